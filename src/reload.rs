//! Puts a new configuration in force while the server runs.

pub mod all_nodes;

use std::sync::Arc;

use crate::actors::key_rotator::{Checked, KeyRotatorMsg};
use crate::app::App;
use crate::config::{Config, ConfigError, ConfigErrors, Loaded, MailTransport, Notice};
use crate::config::{rows, table};
use crate::domain::error::AuthError;
use crate::notify::sender::{MailSender, MailSetupError};
use crate::persistence::{migrate, user_providers};
use crate::settings::Setting;
use crate::tokens::key_ring::ConfiguredKey;
use crate::tokens::keys::KeyError;

/// Why the old configuration stays in force.
#[derive(Debug, thiserror::Error)]
pub enum ReloadError {
    #[error("{0}")]
    File(#[from] ConfigError),
    #[error("{0}")]
    Settings(#[from] ConfigErrors),
    #[error("HASURA_GRAPHQL_JWT_SECRET cannot be used")]
    Keys(#[from] KeyError),
    #[error("the mail settings cannot be used")]
    Mail(#[from] MailSetupError),
    #[error("new roles or providers not inserted")]
    Rows(#[from] sqlx::Error),
    #[error("settings for all nodes not read or written")]
    Overrides(#[source] sqlx::Error),
    #[error("the configuration could not be put in force")]
    Publish(#[source] AuthError),
}

/// Reads the env file again and puts it in force; the old configuration stays if anything is wrong.
///
/// Returns what the operator should know.
pub async fn reload_env_file(app: &App) -> Result<Vec<Notice>, ReloadError> {
    let _alone = app.reloading.lock().await;
    let before = Arc::clone(&app.config().sources);
    let sources = before.reload_env_file()?;
    let Loaded { config, mut notices } = Config::from_sources(&sources)?;
    notices.extend(sources.restart_notices(&before));
    apply(app, config).await?;
    app.cluster.try_refused_again();
    Ok(notices)
}

/// Settings that were changed, and what there is to say about it.
#[derive(Debug)]
pub struct Changed {
    pub changes: Vec<Change>,
    pub notices: Vec<Notice>,
}

/// One setting that has another value now.
#[derive(Debug)]
pub struct Change {
    pub setting: &'static str,
    pub old: String,
    pub new: String,
}

/// Why nothing was changed.
#[derive(Debug, thiserror::Error)]
pub enum ChangeError {
    #[error("the new settings cannot be used")]
    Refused(Vec<ConfigError>),
    #[error(transparent)]
    Reload(#[from] ReloadError),
}

/// Changes settings of the running server, all or none, in the way of every reload; `None` takes an
/// earlier change back. They win over env file and environment and end with the process.
pub async fn change(
    app: &App,
    changes: Vec<(String, Option<String>)>,
) -> Result<Changed, ChangeError> {
    let _alone = app.reloading.lock().await;
    let before = app.config.load_full();
    let (mut sources, mut refused) = ((*before.sources).clone(), Vec::new());
    let mut wanted = Vec::with_capacity(changes.len());
    for (name, value) in changes {
        match tunable(&name) {
            Ok(setting) => {
                wanted.push(setting);
                sources = sources.with_override(setting, value);
            }
            Err(reason) => refused.push(ConfigError { variable: name, message: reason }),
        }
    }
    if !refused.is_empty() {
        return Err(ChangeError::Refused(refused));
    }
    let Loaded { config, notices } =
        Config::from_sources(&sources).map_err(|errors| ChangeError::Refused(errors.0))?;
    apply(app, config).await?;
    app.cluster.try_refused_again();
    let after = app.config.load_full();
    let changes = wanted.into_iter().map(|setting| {
        let (old, new) = (in_force(&before, setting), in_force(&after, setting));
        tracing::info!(setting = setting.variable, old, new, "setting changed by an operator");
        Change { setting: setting.variable, old, new }
    });
    let changes: Vec<_> = changes.collect();
    // What the configuration had to say before was said when it was read.
    let names: Vec<_> = changes.iter().map(|change| change.setting).collect();
    let notices = notices.into_iter().filter(|notice| names.contains(&notice.variable.as_str()));
    Ok(Changed { notices: notices.collect(), changes })
}

/// The setting, or why it cannot be changed here.
fn tunable(name: &str) -> Result<&'static Setting, String> {
    let setting = table::find(name).ok_or(
        "there is no such setting; GET /ops/settings lists those that can be changed here",
    )?;
    if setting.is_tunable() {
        Ok(setting)
    } else if setting.is_live() {
        Err("it cannot be changed here: change it in the env file and send SIGHUP".to_owned())
    } else {
        Err("it cannot be changed while the server runs: it takes effect at the next start"
            .to_owned())
    }
}

/// The value of a setting as it is in force, also where the default is computed.
pub fn in_force(config: &Config, setting: &Setting) -> String {
    if *setting == rows::passwords::PASSWORD_HASH_THREADS {
        config.passwords.threads.to_string()
    } else {
        config.sources.effective(setting)
    }
}

/// Checks everything first, then swaps all of it or nothing.
pub async fn apply(app: &App, mut config: Config) -> Result<(), ReloadError> {
    let old = app.config.load_full();
    if let MailTransport::Capture { .. } = old.mail.transport {
        // The development server captures mail whatever the file says.
        config.mail = old.mail.clone();
    }
    let key = ConfiguredKey::from_secret(&config.tokens.jwt_secret)?;
    let default_locale = config.accounts.locales.default_locale();
    let mail = MailSender::from_config(&config.mail, default_locale, app.origin())?;
    let mut roles = config.accounts.roles.allowed().to_vec();
    roles.push(config.accounts.roles.default_role().to_owned());
    // Rows too many do no harm if the rest fails.
    migrate::seed_roles(&app.pool, &roles).await?;
    user_providers::seed(&app.pool, &config.providers.custom_ids()).await?;

    let checked = Checked { config: Arc::new(config), key, mail: Arc::new(mail) };
    let put_in_force = app
        .actors
        .key_rotator
        .call(|reply| KeyRotatorMsg::PutInForce(checked.clone(), reply))
        .await;
    // Of what is in force, also if the reply came too late.
    let in_force = app.config.load_full();
    app.restart_policy.set(in_force.actors.restart_policy());
    app.actors.tune(&in_force);
    put_in_force.map_err(ReloadError::Publish)
}
