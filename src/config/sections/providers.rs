//! Providers of identities: which are on, and how each is spoken to.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use jsonwebtoken::Algorithm;
use oauth2::AuthType;
use secrecy::SecretString;
use serde::Deserialize;
use url::Url;

use crate::clients::Address;
use crate::config::reading::Reader;
use crate::config::rows;
use crate::domain::schema_origin::Origin;
use crate::oauth::apple_secret::AppleKey;
use crate::oauth::configured::{
    ClientSecret, Endpoints, IdTokenRules, KnownEndpoints, ProviderConfig,
};
use crate::oauth::provider::{Protocol, Provider, SettingPart, Source};
use crate::oauth::providers::{self, custom};
use crate::settings::value::parse_http_url;
use crate::settings::{Setting, place};

/// The only algorithm of Apple and Google.
const RS256: &[Algorithm] = &[Algorithm::RS256];

/// Sign-in with identities of others.
#[derive(Clone, Debug)]
pub struct ProvidersConfig {
    /// Those that are on, by their id.
    pub enabled: BTreeMap<String, Arc<ProviderConfig>>,
    /// Issuers whose id tokens applications may bring, by the id of their provider.
    pub id_tokens: BTreeMap<&'static str, Arc<IdTokenRules>>,
    /// `AUTH_PROVIDER_TIMEOUT` (ours): for one call to a provider.
    pub timeout: Duration,
    /// `AUTH_PROVIDER_STATE_LIFETIME` (ours): how long people may stay at a provider.
    pub state_lifetime: Duration,
    /// `AUTH_PROVIDER_MAX_STATES` (ours): sign-ins and codes that may be pending in the whole
    /// cluster.
    pub max_states: i64,
    /// `AUTH_PROVIDER_TOKENS` (ours): whether the tokens of providers are kept for their users.
    pub tokens: KeepTokens,
    /// `AUTH_PROVIDER_CONNECT_BY_URL` (ours): who may begin to add an identity by an access token
    /// in an address; `None`: by the origin of the database.
    pub connect_by_url: Option<ConnectFrom>,
}

/// From where a signed-in user may begin to add an identity.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ConnectFrom {
    Nowhere,
    /// Not from pages of others, who could have somebody's browser add an identity to their
    /// account; nor where neither `Referer` nor Fetch Metadata say that it is none of those.
    OwnPages,
    /// Not from pages that say that they are of others.
    OwnPagesOrUnknown,
    /// As in the reference.
    Anywhere,
}

/// Whether the tokens that a provider issues are kept, sealed, until their user fetches them.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum KeepTokens {
    Never,
    /// If the application asks for it when a sign-in begins.
    OnRequest,
    /// At each sign-in, as Nhost Auth does.
    Always,
}

impl ProvidersConfig {
    /// The provider, if it is on.
    pub fn find(&self, id: &str) -> Option<&Arc<ProviderConfig>> {
        self.enabled.get(id)
    }

    /// From where an access token in an address may add an identity.
    pub fn connect_from(&self, origin: Origin) -> ConnectFrom {
        self.connect_by_url.unwrap_or(match origin {
            Origin::Created => ConnectFrom::OwnPages,
            Origin::Adopted => ConnectFrom::OwnPagesOrUnknown,
        })
    }

    /// The ids of those that have names of their own.
    pub fn custom_ids(&self) -> Vec<String> {
        self.enabled.keys().filter(|id| id.starts_with(custom::PREFIX)).cloned().collect()
    }

    pub(in crate::config) fn read(reader: &mut Reader<'_>, server_url: Option<&Url>) -> Self {
        let mut enabled = BTreeMap::new();
        for provider in providers::ALL {
            if let Some(config) = read_provider(reader, provider) {
                enabled.insert(config.id.clone(), Arc::new(config));
            }
        }
        for config in read_custom(reader) {
            enabled.insert(config.id.clone(), Arc::new(config));
        }
        if !enabled.is_empty() && server_url.is_none() {
            reader.refuse(
                &rows::server::SERVER_URL,
                "needed for sign-in with providers, which send people back to it",
            );
        }
        let mut id_tokens = BTreeMap::new();
        for provider in providers::ALL {
            if let Some(rules) = read_brought_id_tokens(reader, provider) {
                id_tokens.insert(provider.id, Arc::new(rules));
            }
        }
        Self {
            enabled,
            id_tokens,
            timeout: reader.duration(&rows::providers::PROVIDER_TIMEOUT, false),
            state_lifetime: reader.duration(&rows::providers::PROVIDER_STATE_LIFETIME, false),
            max_states: reader.number(&rows::providers::PROVIDER_MAX_STATES, 1_000..=10_000_000),
            tokens: match reader.choice(&rows::providers::PROVIDER_TOKENS) {
                Some("never") => KeepTokens::Never,
                Some("always") => KeepTokens::Always,
                _ => KeepTokens::OnRequest,
            },
            connect_by_url: match reader.choice(&rows::providers::PROVIDER_CONNECT_BY_URL) {
                Some("never") => Some(ConnectFrom::Nowhere),
                Some("own-pages") => Some(ConnectFrom::OwnPages),
                Some("always") => Some(ConnectFrom::Anywhere),
                Some(_) => Some(ConnectFrom::OwnPagesOrUnknown),
                None => None,
            },
        }
    }
}

/// Reads also what is off, so that a mistake shows before it is needed. `None` if it is off, or
/// cannot work.
fn read_provider(reader: &mut Reader<'_>, provider: &'static Provider) -> Option<ProviderConfig> {
    let enabled = provider.get_setting(SettingPart::Enabled);
    let on = reader.boolean(enabled);
    let (id, secret) = match provider.protocol {
        Protocol::OAuth2 => (SettingPart::ClientId, SettingPart::ClientSecret),
        Protocol::OAuth1 => (SettingPart::ConsumerKey, SettingPart::ConsumerSecret),
    };
    let (id, secret) = (provider.get_setting(id), provider.find_setting(secret));
    let is_oauth2 = provider.protocol == Protocol::OAuth2;
    let client_id = reader.text(id);
    let client_secret = match secret {
        Some(secret) => reader.optional_secret(secret).map(ClientSecret::Text),
        None => read_apple_secret(reader, provider, on),
    };
    let scopes =
        if is_oauth2 { reader.list(provider.get_setting(SettingPart::Scope)) } else { Vec::new() };
    let endpoints = read_endpoints(reader, provider, on);
    let auth_style = if is_oauth2
        && reader.choice(provider.get_setting(SettingPart::TokenAuthStyle)) == Some("basic")
    {
        AuthType::BasicAuth
    } else {
        AuthType::RequestBody
    };
    let pkce = is_oauth2 && reader.boolean(provider.get_setting(SettingPart::Pkce));
    let trust_email = provider.find_setting(SettingPart::TrustEmail);
    let trust_email = trust_email.is_some_and(|setting| reader.boolean(setting));
    let parameters = read_parameters(reader, provider);
    let id_token = (provider.source == Source::IdToken)
        .then(|| read_id_token_rules(reader, provider, vec![client_id.clone()]));
    if !on {
        return None;
    }
    if provider.id == "azuread" {
        reader.warn(enabled, "Azure AD is deprecated, use Entra ID");
    }
    let missing = [
        client_id.is_empty().then_some(id),
        // Apple's key has said so itself.
        secret.filter(|_| client_secret.is_none()),
    ];
    for setting in missing.into_iter().flatten() {
        let text = format!("not set: sign-in with {} stays off", provider.title);
        reader.warn(setting, text);
    }
    if client_id.is_empty() {
        return None;
    }
    Some(ProviderConfig {
        id: provider.id.to_owned(),
        provider,
        client_id,
        secret: client_secret?,
        scopes,
        endpoints: Endpoints::Known(Box::new(endpoints)),
        auth_style: Some(auth_style),
        pkce,
        trust_email,
        parameters,
        id_token,
    })
}

fn read_apple_secret(
    reader: &mut Reader<'_>,
    provider: &Provider,
    on: bool,
) -> Option<ClientSecret> {
    const NEEDED: &str = "needed for sign-in with Apple";
    let team_id_setting = provider.get_setting(SettingPart::TeamId);
    let key_id_setting = provider.get_setting(SettingPart::KeyId);
    let private_key_setting = provider.get_setting(SettingPart::PrivateKey);
    let team_id = reader.text(team_id_setting);
    let key_id = reader.text(key_id_setting);
    let private_key = reader.optional_secret(private_key_setting);
    // Apple wants its own name there, also where its endpoints are elsewhere.
    let audience = reader.text(provider.get_setting(SettingPart::Issuer));
    if !on {
        return None;
    }
    for (value, setting) in [(&team_id, team_id_setting), (&key_id, key_id_setting)] {
        if value.is_empty() {
            reader.refuse(setting, NEEDED);
        }
    }
    let Some(private_key) = private_key else {
        reader.refuse(private_key_setting, NEEDED);
        return None;
    };
    match AppleKey::parse(&private_key, &key_id, &team_id) {
        Ok(key) => Some(ClientSecret::Apple(key, audience)),
        Err(error) => {
            reader.refuse(private_key_setting, error);
            None
        }
    }
}

fn read_endpoints(reader: &mut Reader<'_>, provider: &Provider, on: bool) -> KnownEndpoints {
    let tenant = provider.find_setting(SettingPart::Tenant).map(|setting| reader.text(setting));
    let mut url = |setting| read_url(reader, setting, tenant.as_deref(), on);
    let authorization = url(provider.get_setting(SettingPart::AuthorizationUrl));
    let token = url(provider.get_setting(SettingPart::TokenUrl));
    let request_token = provider.find_setting(SettingPart::RequestTokenUrl).map(&mut url);
    let profile = provider.find_setting(SettingPart::UserProfileUrl).map(&mut url);
    let emails = provider.find_setting(SettingPart::UserEmailsUrl).map(|setting| {
        reader.http_url(setting).unwrap_or_else(|| below(profile.as_ref(), "emails"))
    });
    KnownEndpoints {
        authorization,
        token: Address::configured(token),
        request_token: request_token.map(Address::configured),
        profile: profile.map(Address::configured),
        emails: emails.map(Address::configured),
    }
}

/// One more segment behind the path.
fn below(url: Option<&Url>, segment: &str) -> Url {
    let mut url = url.cloned().expect("providers with addresses apart have profiles");
    url.set_query(None);
    if let Ok(mut segments) = url.path_segments_mut() {
        segments.pop_if_empty().push(segment);
    }
    url
}

fn read_url(
    reader: &mut Reader<'_>,
    setting: &'static Setting,
    tenant: Option<&str>,
    on: bool,
) -> Url {
    let text = reader.text(setting);
    let text = tenant.map_or_else(|| text.clone(), |tenant| text.replace("{tenant}", tenant));
    match parse_http_url(&text) {
        Ok(url) => {
            if on && url.scheme() == "http" && !is_loopback(&url) {
                reader.warn(setting, "not https: secrets will travel for everybody to read");
            }
            url
        }
        Err(error) => {
            reader.refuse(setting, error);
            Url::parse("http://localhost").expect("a constant that is an address")
        }
    }
}

fn is_loopback(url: &Url) -> bool {
    match url.host() {
        Some(url::Host::Domain(name)) => name == "localhost",
        Some(url::Host::Ipv4(ip)) => ip.is_loopback(),
        Some(url::Host::Ipv6(ip)) => ip.is_loopback(),
        None => false,
    }
}

fn read_parameters(reader: &mut Reader<'_>, provider: &Provider) -> Vec<(&'static str, String)> {
    let mut parameters: Vec<_> = provider
        .authorization_parameters
        .iter()
        .map(|(key, value)| (*key, (*value).to_owned()))
        .collect();
    for (key, part) in [
        ("organization", SettingPart::DefaultOrganization),
        ("connection", SettingPart::DefaultConnection),
        ("domain", SettingPart::DefaultDomain),
    ] {
        if let Some(setting) = provider.find_setting(part) {
            let value = reader.text(setting);
            if !value.is_empty() {
                parameters.push((key, value));
            }
        }
    }
    parameters
}

/// Id tokens that applications bring, if there is an audience for them.
fn read_brought_id_tokens(
    reader: &mut Reader<'_>,
    provider: &'static Provider,
) -> Option<IdTokenRules> {
    let audiences = reader.list(provider.find_setting(SettingPart::Audience)?);
    let audiences: Vec<String> = audiences.iter().map(|text| text.trim().to_owned()).collect();
    let rules = read_id_token_rules(reader, provider, audiences);
    (!rules.audiences.is_empty()).then_some(rules)
}

fn read_id_token_rules(
    reader: &mut Reader<'_>,
    provider: &Provider,
    audiences: Vec<String>,
) -> IdTokenRules {
    let issuer = reader.text(provider.get_setting(SettingPart::Issuer));
    let jwks = reader.required_url(provider.get_setting(SettingPart::JwksUrl));
    // Google documents both spellings, with the scheme and without.
    let bare = issuer.strip_prefix("https://").filter(|_| provider.id == "google");
    let bare = bare.map(ToOwned::to_owned);
    IdTokenRules {
        issuers: [Some(issuer), bare].into_iter().flatten().collect(),
        audiences,
        jwks: Address::configured(jwks),
        algorithms: RS256,
    }
}

/// One entry of `AUTH_PROVIDER_CUSTOM`, in the form of Nhost Auth.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct CustomProvider {
    #[serde(rename = "type", default = "oidc")]
    kind: String,
    client_id: String,
    client_secret: SecretString,
    issuer: String,
    #[serde(default)]
    discovery_url: Option<String>,
    #[serde(default)]
    scopes: Option<Vec<String>>,
    #[serde(default)]
    audiences: Vec<String>,
    #[serde(default)]
    token_auth_style: Option<String>,
    #[serde(default = "on")]
    pkce: bool,
}

fn oidc() -> String {
    "oidc".to_owned()
}

const fn on() -> bool {
    true
}

fn read_custom(reader: &mut Reader<'_>) -> Vec<ProviderConfig> {
    let text = reader.json(&rows::providers::PROVIDER_CUSTOM);
    if text.is_empty() {
        return Vec::new();
    }
    let entries: BTreeMap<String, CustomProvider> = match serde_json::from_str(&text) {
        Ok(entries) => entries,
        Err(error) => {
            // Its text may quote a secret.
            let place = place(&error);
            reader.refuse(
                &rows::providers::PROVIDER_CUSTOM,
                format!("not an object of providers: {place}"),
            );
            return Vec::new();
        }
    };
    let mut configs = Vec::with_capacity(entries.len());
    for (slug, entry) in entries {
        match entry.into_config(&slug) {
            Ok(config) => configs.push(config),
            Err(reason) => reader.refuse(
                &rows::providers::PROVIDER_CUSTOM,
                format!("{}: {reason}", slug.escape_debug()),
            ),
        }
    }
    configs
}

impl CustomProvider {
    fn into_config(self, slug: &str) -> Result<ProviderConfig, &'static str> {
        if !custom::is_slug(slug) {
            return Err("a name has up to 40 of a to z, 0 to 9 and hyphens between them");
        }
        if self.kind != "oidc" {
            return Err("the type must be oidc");
        }
        if self.client_id.is_empty() {
            return Err("clientId must not be empty");
        }
        let issuer = parse_http_url(&self.issuer).map_err(|_| "issuer must be an address")?;
        let document = self.discovery_url.unwrap_or_else(|| {
            format!("{}/.well-known/openid-configuration", self.issuer.trim_end_matches('/'))
        });
        let document = parse_http_url(&document).map_err(|_| "discoveryUrl must be an address")?;
        if issuer.scheme() == "http" && !is_loopback(&issuer) {
            return Err("issuer must be https");
        }
        let auth_style = match self.token_auth_style.as_deref() {
            None => None,
            Some("body") => Some(AuthType::RequestBody),
            Some("basic") => Some(AuthType::BasicAuth),
            Some(_) => return Err("tokenAuthStyle is basic or body"),
        };
        let scopes = self.scopes.unwrap_or_else(|| {
            ["openid", "email", "profile"].into_iter().map(ToOwned::to_owned).collect()
        });
        if !scopes.iter().any(|scope| scope == "openid") {
            return Err("scopes must have openid among them");
        }
        let mut audiences = self.audiences;
        audiences.push(self.client_id.clone());
        Ok(ProviderConfig {
            id: format!("{}{slug}", custom::PREFIX),
            provider: &custom::PROVIDER,
            client_id: self.client_id,
            secret: ClientSecret::Text(self.client_secret),
            scopes,
            endpoints: Endpoints::Discovered { issuer: self.issuer, document, audiences },
            auth_style,
            pkce: self.pkce,
            trust_email: false,
            parameters: Vec::new(),
            id_token: None,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_are_listed_below_the_profile() {
        for profile in [
            "https://github.acme.example/api/v3/user",
            "https://github.acme.example/api/v3/user/?x=1",
        ] {
            let emails = below(Url::parse(profile).ok().as_ref(), "emails");
            assert_eq!(emails.as_str(), "https://github.acme.example/api/v3/user/emails");
        }
    }
}
