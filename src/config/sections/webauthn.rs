//! Passkeys: who this server is to authenticators.

use std::time::Duration;

use url::{Host, Origin, Url};

use crate::config::reading::Reader;
use crate::config::rows;
use crate::settings::Setting;

/// Passkeys: who this server is to authenticators.
#[derive(Clone, Debug)]
pub struct WebauthnConfig {
    /// `AUTH_WEBAUTHN_ENABLED`.
    pub enabled: bool,
    /// What was configured, from which the rest is made again when a part of it changes.
    pub given: GivenRelyingParty,
    /// The relying party in force; without id and origins while passkeys are off and not
    /// configured.
    pub relying_party: RelyingPartyConfig,
    /// `AUTH_WEBAUTHN_ATTESTATION_TIMEOUT`: how long a ceremony may take.
    pub timeout: Duration,
    /// `AUTH_WEBAUTHN_USER_VERIFICATION` (ours).
    pub user_verification: UserVerification,
    /// `AUTH_WEBAUTHN_MAX_CHALLENGES` (ours): sign-ups that may be pending in the whole cluster.
    pub max_challenges: i64,
}

/// Whether authenticators have to know who uses them (WebAuthn 5.8.6).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum UserVerification {
    /// Asked for where an authenticator can do it.
    Preferred,
    /// Refused without it.
    Required,
}

impl UserVerification {
    /// As browsers know it.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Preferred => "preferred",
            Self::Required => "required",
        }
    }
}

/// The relying party as configured.
#[derive(Clone, Debug, Default)]
pub struct GivenRelyingParty {
    /// `AUTH_WEBAUTHN_RP_ID`; empty for the host of the client URL.
    pub id: String,
    /// `AUTH_WEBAUTHN_RP_NAME`; empty for the id.
    pub name: String,
    /// `AUTH_WEBAUTHN_RP_ORIGINS`.
    pub origins: Vec<String>,
}

/// The relying party of WebAuthn.
#[derive(Clone, Debug, Default)]
pub struct RelyingPartyConfig {
    pub id: String,
    pub name: String,
    /// Normalised to `scheme://host[:port]`, or `android:apk-key-hash:…`.
    pub origins: Vec<Url>,
}

impl RelyingPartyConfig {
    /// Pages outside the domain that may use its passkeys, if the domain says so itself (WebAuthn
    /// level 3, 5.11: related origins).
    pub fn related_origins(&self) -> impl Iterator<Item = String> {
        let is_web = |origin: &&Url| matches!(origin.scheme(), "http" | "https");
        let related = self.origins.iter().filter(|origin| !is_within(origin, &self.id));
        related.filter(is_web).map(|origin| origin.origin().ascii_serialization())
    }

    /// What browsers may not accept, by setting; they are the ones to judge.
    pub(in crate::config) fn doubts(&self) -> Vec<(&'static Setting, String)> {
        let mut doubts = Vec::new();
        if !matches!(Host::parse(&self.id), Ok(Host::Domain(_))) {
            let text = format!("{} is an address, and browsers bind passkeys to domains", self.id);
            doubts.push((&rows::webauthn::WEBAUTHN_RP_ID, text));
        }
        let related: Vec<_> = self.related_origins().collect();
        if !related.is_empty() {
            let text = format!(
                "outside the domain {id}: {origins}; browsers let them use its passkeys only if \
                 https://{id}/.well-known/webauthn names them, which this server does",
                id = self.id,
                origins = related.join(", "),
            );
            doubts.push((&rows::webauthn::WEBAUTHN_RP_ORIGINS, text));
        }
        doubts
    }
}

/// Why a relying party cannot work, and which setting to change.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{reason}")]
pub struct RelyingPartyError {
    pub setting: &'static Setting,
    pub reason: String,
}

fn refused(setting: &'static Setting, reason: impl Into<String>) -> RelyingPartyError {
    RelyingPartyError { setting, reason: reason.into() }
}

impl WebauthnConfig {
    pub(in crate::config) fn read(reader: &mut Reader<'_>, client_url: &str) -> Self {
        let enabled = reader.boolean(&rows::webauthn::WEBAUTHN_ENABLED);
        let given = GivenRelyingParty {
            id: reader.text(&rows::webauthn::WEBAUTHN_RP_ID),
            name: reader.text(&rows::webauthn::WEBAUTHN_RP_NAME),
            origins: reader.list(&rows::webauthn::WEBAUTHN_RP_ORIGINS),
        };
        let timeout =
            reader.number(&rows::webauthn::WEBAUTHN_ATTESTATION_TIMEOUT, 1_000..=86_400_000);
        let relying_party = match given.resolve(client_url) {
            Ok(relying_party) => {
                if enabled {
                    for (setting, doubt) in relying_party.doubts() {
                        reader.warn(setting, doubt);
                    }
                }
                relying_party
            }
            Err(error) => {
                if enabled {
                    reader.refuse(error.setting, error.reason);
                }
                RelyingPartyConfig::default()
            }
        };
        Self {
            enabled,
            given,
            relying_party,
            timeout: Duration::from_millis(timeout),
            user_verification: match reader.choice(&rows::webauthn::WEBAUTHN_USER_VERIFICATION) {
                Some("required") => UserVerification::Required,
                _ => UserVerification::Preferred,
            },
            max_challenges: reader
                .number(&rows::webauthn::WEBAUTHN_MAX_CHALLENGES, 1_000..=10_000_000),
        }
    }
}

impl GivenRelyingParty {
    /// Fills in what is not configured and checks that there is something for browsers to judge
    /// (docs/reference-behaviour.md#origins-are-normalised).
    pub fn resolve(&self, client_url: &str) -> Result<RelyingPartyConfig, RelyingPartyError> {
        let client = Url::parse(client_url).ok().filter(Url::has_host);
        let id = match (self.id.trim(), &client) {
            ("", Some(client)) => client.host_str().unwrap_or_default().to_owned(),
            ("", None) => {
                return Err(refused(
                    &rows::webauthn::WEBAUTHN_RP_ID,
                    "passkeys need a domain: set it, or AUTH_CLIENT_URL",
                ));
            }
            (id, _) => id.to_ascii_lowercase(),
        };
        if !Host::parse(&id).is_ok_and(|host| host.to_string() == id) {
            let reason = format!(
                "\"{}\" is not a domain name, which passkeys are bound to (no scheme or port)",
                id.escape_debug()
            );
            return Err(refused(&rows::webauthn::WEBAUTHN_RP_ID, reason));
        }
        let mut origins = Vec::with_capacity(self.origins.len() + 1);
        for text in &self.origins {
            let origin = origin_of(text).ok_or_else(|| {
                refused(
                    &rows::webauthn::WEBAUTHN_RP_ORIGINS,
                    format!("\"{}\" is not an origin", text.escape_debug()),
                )
            })?;
            origins.push(origin);
        }
        // Added by itself, so it is left out where it cannot work.
        let client = client.as_ref().and_then(|client| origin_of(client.as_str()));
        if let Some(client) = client.filter(|client| is_within(client, &id))
            && !origins.contains(&client)
        {
            origins.push(client);
        }
        if origins.is_empty() {
            let reason =
                format!("no origin is within the domain {id}: set one, or AUTH_CLIENT_URL");
            return Err(refused(&rows::webauthn::WEBAUTHN_RP_ORIGINS, reason));
        }
        let name = if self.name.is_empty() { id.clone() } else { self.name.clone() };
        Ok(RelyingPartyConfig { id, name, origins })
    }
}

/// An origin as browsers and Android report it: path, query and user are dropped.
fn origin_of(text: &str) -> Option<Url> {
    let url = Url::parse(text.trim()).ok()?;
    if url.scheme() == "android" {
        return Some(url);
    }
    if !url.has_host() {
        return None;
    }
    match url.origin() {
        origin @ Origin::Tuple(..) => Url::parse(&origin.ascii_serialization()).ok(),
        // Of extensions and of applications made of pages: `chrome-extension://…`.
        Origin::Opaque(_) => {
            let port = url.port().map(|port| format!(":{port}")).unwrap_or_default();
            Url::parse(&format!("{}://{}{port}", url.scheme(), url.host_str()?)).ok()
        }
    }
}

/// Whether a page of `origin` may use passkeys of the domain `id`.
fn is_within(origin: &Url, id: &str) -> bool {
    match origin.host_str() {
        // Android applications are bound to a domain by a file there, not by their origin.
        None => origin.scheme() == "android",
        Some(host) => host == id || host.strip_suffix(id).is_some_and(|rest| rest.ends_with('.')),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn given(id: &str, origins: &[&str]) -> GivenRelyingParty {
        GivenRelyingParty {
            id: id.to_owned(),
            name: String::new(),
            origins: origins.iter().map(|&origin| origin.to_owned()).collect(),
        }
    }

    fn origins(party: &RelyingPartyConfig) -> Vec<&str> {
        party.origins.iter().map(Url::as_str).collect()
    }

    #[test]
    fn everything_comes_from_the_client_url_where_nothing_is_set() {
        let party = given("", &[]).resolve("https://App.example.com:8443/start/?a=b").unwrap();
        assert_eq!(
            (party.id.as_str(), party.name.as_str()),
            ("app.example.com", "app.example.com")
        );
        assert_eq!(origins(&party), ["https://app.example.com:8443/"]);
    }

    #[test]
    fn origins_are_normalised_and_the_client_url_is_added_once() {
        let party =
            given("example.com", &["https://app.example.com/path", "android:apk-key-hash:Ab_-"])
                .resolve("https://app.example.com/")
                .unwrap();
        assert_eq!(origins(&party), ["https://app.example.com/", "android:apk-key-hash:Ab_-"]);
    }

    #[test]
    fn a_client_url_elsewhere_is_left_out_and_a_configured_origin_elsewhere_is_a_related_one() {
        let party = given("example.com", &["https://example.com"]).resolve("http://localhost:3000");
        assert_eq!(origins(&party.unwrap()), ["https://example.com/"]);
        for outside in ["https://badexample.com", "https://example.com.evil.io", "https://com"] {
            let party = given("example.com", &[outside]).resolve("").unwrap();
            assert_eq!(party.related_origins().collect::<Vec<_>>(), [outside]);
            let [(setting, doubt)] = party.doubts().try_into().unwrap();
            assert_eq!(setting, &rows::webauthn::WEBAUTHN_RP_ORIGINS, "{outside}");
            assert!(doubt.contains(outside), "{doubt}");
        }
        let within = given("example.com", &["https://a.example.com"]).resolve("").unwrap();
        assert_eq!((within.related_origins().count(), within.doubts().len()), (0, 0));
        let none_left = given("example.com", &[]).resolve("http://localhost:3000").unwrap_err();
        assert_eq!(none_left.setting, &rows::webauthn::WEBAUTHN_RP_ORIGINS);
    }

    #[test]
    fn origins_of_extensions_and_applications_are_taken() {
        for (given_as, origin) in [
            ("chrome-extension://gbjjnphl/popup.html", "chrome-extension://gbjjnphl"),
            ("moz-extension://9f1a/", "moz-extension://9f1a"),
            ("capacitor://localhost", "capacitor://localhost"),
            ("tauri://localhost:1420/x", "tauri://localhost:1420"),
            ("https://example.de/start", "https://example.de/"),
        ] {
            let party = given("example.com", &[given_as]).resolve("").unwrap();
            assert_eq!(origins(&party), [origin]);
        }
        let none = given("example.com", &["example.de"]).resolve("").unwrap_err();
        assert_eq!(none.setting, &rows::webauthn::WEBAUTHN_RP_ORIGINS);
    }

    #[test]
    fn an_address_instead_of_a_domain_is_a_doubt() {
        for (id, client_url, host) in [
            ("", "http://127.0.0.1:3000", "127.0.0.1"),
            ("192.0.2.7", "", "192.0.2.7"),
            ("", "http://[::1]:3000", "[::1]"),
        ] {
            let party = given(id, &["https://app.example.com"]).resolve(client_url).unwrap();
            assert_eq!(party.id, host);
            assert_eq!(party.doubts()[0].0, &rows::webauthn::WEBAUTHN_RP_ID);
        }
    }

    #[test]
    fn a_domain_is_needed_and_neither_scheme_nor_port_belongs_to_one() {
        for (id, client_url) in [("", ""), ("https://a.io", ""), ("a.io:80", "")] {
            assert_eq!(
                given(id, &[]).resolve(client_url).unwrap_err().setting,
                &rows::webauthn::WEBAUTHN_RP_ID,
                "{id}"
            );
        }
    }
}
