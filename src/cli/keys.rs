//! `keywright keys`: the signing keys that the database keeps.
//!
//! Works on the database alone; running nodes hear of changes within moments. No private key is ever
//! shown.

use std::fmt::Write as _;
use std::process::ExitCode;
use std::time::Duration;

use anyhow::{Context as _, bail};
use clap::builder::PossibleValuesParser;
use clap::{Arg, ArgAction, ArgMatches, Command};
use serde_json::json;
use time::OffsetDateTime;
use time::format_description::well_known::Rfc3339;

use super::terminal;
use crate::actors::cluster::digest::Fingerprinter;
use crate::actors::cluster::members::{Member, assess};
use crate::actors::signing_keys::{self, Added, Addition};
use crate::config::{self, Config, Loaded, Sources};
use crate::domain::signing_key::{KeyState, Rotation, SigningKey, rotation};
use crate::node::read_sealer;
use crate::persistence::measured_pool::MeasuredPool;
use crate::persistence::settings::{self, StoredKey};
use crate::persistence::{nodes, pool, signing_keys as table};
use crate::sealing::Sealer;
use crate::tokens::key_ring::accepted_for;
use crate::tokens::keys::{DEFAULT_CLAIMS_NAMESPACE, GENERATED, KeySet};

/// The command line.
pub fn command() -> Command {
    let algorithm = || {
        Arg::new("alg")
            .long("alg")
            .value_parser(PossibleValuesParser::new(GENERATED))
            .default_value("ES256")
            .help("Algorithm of the new key")
    };
    let with = |name: &'static str, about: &'static str| {
        Command::new(name).about(about).args(config::arguments())
    };
    Command::new("keys")
        .about("Show and rotate the keys that sign access tokens")
        .long_about(
            "Show and rotate the keys that sign access tokens, in the database of the configuration.\n\n\
             Without keys there, the key of HASURA_GRAPHQL_JWT_SECRET signs. Run it with the \
             configuration of the servers: AUTH_ENCRYPTION_KEY seals the private keys.",
        )
        .subcommand_required(true)
        .arg_required_else_help(true)
        .subcommand(with("list", "List the keys, newest first"))
        .subcommand(
            with("add", "Add the next key; it is published at once, and signs after a rotation")
                .arg(algorithm()),
        )
        .subcommand(
            with(
                "migrate",
                "From a shared secret to a key pair: add the next key, which signs by itself as soon \
                 as it was published for long enough",
            )
            .arg(algorithm()),
        )
        .subcommand(
            with("rotate", "Let the next key sign; the one before is accepted for a while").arg(
                Arg::new("now")
                    .long("now")
                    .action(ArgAction::SetTrue)
                    .help("Also before verifiers can have fetched the next key"),
            ),
        )
        .subcommand(
            with("retire", "End the next key or a previous one at once")
                .arg(Arg::new("kid").required(true).value_name("KID").allow_hyphen_values(true)),
        )
}

/// What a command works with.
struct Keys {
    config: Config,
    pool: MeasuredPool,
    sealer: Sealer,
}

/// Does what was asked for; fails if it cannot be done.
pub async fn run(matches: &ArgMatches) -> anyhow::Result<ExitCode> {
    let (name, matches) = matches.subcommand().context("no command")?;
    let keys = Keys::open(matches).await?;
    match name {
        "list" => keys.list().await?,
        "add" | "migrate" => keys.add(algorithm(matches), name == "migrate").await?,
        "rotate" => keys.rotate(matches.get_flag("now")).await?,
        "retire" => {
            let kid: &String = matches.get_one("kid").context("no key")?;
            keys.retire(kid).await?;
        }
        _ => unreachable!("clap knows the commands"),
    }
    keys.pool.close().await;
    Ok(ExitCode::SUCCESS)
}

fn algorithm(matches: &ArgMatches) -> String {
    matches.get_one::<String>("alg").cloned().unwrap_or_default()
}

impl Keys {
    async fn open(matches: &ArgMatches) -> anyhow::Result<Self> {
        let sources = Sources::from_process(matches)?;
        let Loaded { config, .. } = Config::from_sources(&sources)?;
        let pool = pool::connect(&config.database)
            .await
            .context("POSTGRES_CONNECTION: cannot use the database")?;
        let sealer = read_sealer(&config, &pool).await?;
        Ok(Self { config, pool, sealer })
    }

    /// The stored keys, newest first.
    async fn read(&self) -> anyhow::Result<Vec<SigningKey>> {
        let rows = table::list(&self.pool, true)
            .await
            .context("cannot read the signing keys (a database that was never migrated?)")?;
        Ok(rows.into_iter().map(|row| row.key).collect())
    }

    /// Nobody adds or rotates keys with another encryption key than the servers'.
    async fn check(&self) -> anyhow::Result<()> {
        let loaded = signing_keys::load(&self.pool, &self.sealer).await?;
        if let Some(unusable) = loaded.unusable() {
            return Err(unusable.clone().into());
        }
        // Without a stored key yet, who tells are the nodes that live.
        let Some(key) = settings::find_key(&self.pool, StoredKey::Fingerprints).await? else {
            return Ok(());
        };
        let own = Fingerprinter::new(&key).encryption_key(&self.sealer);
        let nodes = assess(&nodes::list(&self.pool).await?, Duration::ZERO);
        let mut living = nodes.iter().filter(|node| node.state.lives());
        let told = |node: &&Member| !node.fingerprints.encryption_key.is_empty();
        if let Some(other) =
            living.find(|node| told(node) && node.fingerprints.encryption_key != own)
        {
            bail!("AUTH_ENCRYPTION_KEY is not that of node {}, which lives", other.row.name);
        }
        Ok(())
    }

    async fn list(&self) -> anyhow::Result<()> {
        let keys = self.read().await?;
        terminal::line(&table_of(&keys, &KeySet::from_secret(&self.config.tokens.jwt_secret)?));
        Ok(())
    }

    async fn add(&self, algorithm: String, signs_by_itself: bool) -> anyhow::Result<()> {
        self.check().await?;
        let keys = self.read().await?;
        if let Some(next) = keys.iter().find(|key| key.state == KeyState::Next) {
            bail!("{} is the next key already: rotate, or retire it first", next.kid);
        }
        let is_first = rotates_from_configured(&keys);
        let addition = Addition {
            algorithm,
            publish_ahead: self.config.tokens.key_publish_ahead,
            signs_by_itself,
            advanced: time::Duration::ZERO,
        };
        let added = signing_keys::add_next(&self.pool, &self.sealer, &addition).await?;
        let added = added.context("somebody else has just added a key: keywright keys list")?;
        let Added { kid, ready_at } = added;
        terminal::line(&format!("added {kid} ({}), published from now on", addition.algorithm));
        if signs_by_itself {
            terminal::line(&format!("it signs by itself from {} on", text(ready_at)));
        } else {
            let ready_at = text(ready_at);
            terminal::line(&format!("it may sign from {ready_at} on: keywright keys rotate"));
        }
        if is_first {
            terminal::line(&self.hasura()?);
        }
        Ok(())
    }

    async fn rotate(&self, now: bool) -> anyhow::Result<()> {
        self.check().await?;
        let keys = self.read().await?;
        let Some(rotation) = rotation(&keys) else {
            bail!("there is no next key: keywright keys add")
        };
        let is_first = rotates_from_configured(&keys);
        let accepted_for = accepted_for(self.config.tokens.access_token_lifetime);
        let done =
            table::rotate(&self.pool, &rotation, accepted_for, now, time::Duration::ZERO).await?;
        if !done {
            return self.explain(&rotation).await;
        }
        terminal::line(&format!("{} signs from now on", rotation.next));
        let before = rotation.current.as_deref().unwrap_or("the configured key");
        let seconds = accepted_for.as_secs();
        terminal::line(&format!("tokens of {before} are accepted for {seconds} s"));
        if is_first {
            terminal::line(&self.hasura()?);
        }
        Ok(())
    }

    /// Why a rotation was refused.
    async fn explain(&self, wanted: &Rotation) -> anyhow::Result<()> {
        let keys = self.read().await?;
        if rotation(&keys).as_ref() != Some(wanted) {
            bail!("somebody else has changed the keys meanwhile: keywright keys list");
        }
        let next = keys.iter().find(|key| key.kid == wanted.next).context("it is gone")?;
        bail!(
            "{} may sign from {} on, when everybody who caches the JWKS has fetched it; --now lets \
             it sign at once, and whoever has not fetched it refuses its tokens until then",
            next.kid,
            text(next.ready_at)
        )
    }

    async fn retire(&self, kid: &str) -> anyhow::Result<()> {
        let keys = self.read().await?;
        let key = keys.iter().find(|key| key.kid == kid).context("there is no such key")?;
        if key.state == KeyState::Current {
            bail!("{kid} signs: rotate first");
        }
        if !table::retire(&self.pool, kid, time::Duration::ZERO).await? {
            bail!("{kid} has just begun to sign, or is over already: keywright keys list");
        }
        terminal::line(&format!(
            "{kid} is retired: its tokens are refused, its private half is erased"
        ));
        Ok(())
    }

    /// What Hasura needs when tokens are no longer signed with the configured key.
    fn hasura(&self) -> anyhow::Result<String> {
        let configured = KeySet::from_secret(&self.config.tokens.jwt_secret)?;
        let server = self.config.server.server_url.as_ref();
        let server = server.map_or("<address of this server>", |url| url.as_str());
        let mut secret = json!({
            "jwk_url": format!("{}/.well-known/jwks.json", server.trim_end_matches('/')),
            "issuer": configured.issuer(),
        });
        if configured.claims_namespace() != DEFAULT_CLAIMS_NAMESPACE {
            secret["claims_namespace"] = json!(configured.claims_namespace());
        }
        Ok(format!(
            "Hasura: when the key begins to sign, set HASURA_GRAPHQL_JWT_SECRET='{secret}' there; the \
             HASURA_GRAPHQL_JWT_SECRET of Keywright stays as it is"
        ))
    }
}

fn rotates_from_configured(keys: &[SigningKey]) -> bool {
    keys.iter().all(|key| key.state != KeyState::Current)
}

fn text(time: OffsetDateTime) -> String {
    let seconds = time.replace_nanosecond(0).unwrap_or(time);
    seconds.format(&Rfc3339).unwrap_or_else(|_| time.to_string())
}

fn table_of(keys: &[SigningKey], configured: &KeySet) -> String {
    let mut page = format!("{:<45} {:<8} {:<8} WHEN\n", "KID", "ALG", "STATE");
    for key in keys {
        let when = match key.state {
            KeyState::Next => match key.signs_at {
                Some(at) => format!("signs by itself from {} on", text(at)),
                None => format!("may sign from {} on", text(key.ready_at)),
            },
            KeyState::Current => {
                key.activated_at.map(|at| format!("since {}", text(at))).unwrap_or_default()
            }
            KeyState::Retired => key
                .accepted_until
                .map(|at| format!("accepted until {}", text(at)))
                .unwrap_or_default(),
        };
        let state = key.state.as_str();
        let _ = writeln!(page, "{:<45} {:<8} {state:<8} {when}", key.kid, key.algorithm);
    }
    if rotates_from_configured(keys) {
        let kid = configured.kid().unwrap_or("(without a name)");
        let algorithm = configured.algorithm();
        let _ = writeln!(page, "{kid:<45} {algorithm:<8} current  HASURA_GRAPHQL_JWT_SECRET");
    }
    page.trim_end().to_owned()
}
