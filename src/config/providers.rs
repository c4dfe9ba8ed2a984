//! Providers of identities: which are on, and how each is spoken to.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use jsonwebtoken::Algorithm;
use oauth2::AuthType;
use secrecy::SecretString;
use serde::Deserialize;
use url::Url;

use super::reader::Reader;
use super::value::parse_http_url;
use crate::clients::Address;
use crate::oauth::apple_secret::AppleKey;
use crate::oauth::provider::{Protocol, Provider, Source};
use crate::oauth::providers::{self, custom};

const CUSTOM: &str = "AUTH_PROVIDER_CUSTOM";

/// The only algorithm of Apple and Google.
const RS256: &[Algorithm] = &[Algorithm::RS256];

/// What other issuers may sign with: never a shared secret.
const ASYMMETRIC: &[Algorithm] = &[
    Algorithm::RS256,
    Algorithm::RS384,
    Algorithm::RS512,
    Algorithm::PS256,
    Algorithm::PS384,
    Algorithm::PS512,
    Algorithm::ES256,
    Algorithm::ES384,
    Algorithm::EdDSA,
];

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
    /// `AUTH_PROVIDER_MAX_STATES` (ours): sign-ins and codes that may be pending in the whole cluster.
    pub max_states: i64,
    /// `AUTH_PROVIDER_TOKENS` (ours): whether the tokens of providers are kept for their users.
    pub tokens: KeepTokens,
    /// `AUTH_PROVIDER_CONNECT_BY_URL` (ours): who may begin to add an identity by an access token in an
    /// address.
    pub connect_by_url: ConnectFrom,
}

/// From where a signed-in user may begin to add an identity.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ConnectFrom {
    Nowhere,
    /// Not from pages of others, who could have somebody's browser add an identity to their account.
    OwnPages,
    /// As in the reference.
    Anywhere,
}

/// Whether the tokens that a provider issues are kept, sealed, until their user fetches them.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum KeepTokens {
    Never,
    /// If the application asks for it when a sign-in begins.
    OnRequest,
    /// At each sign-in, as the reference's successor does.
    Always,
}

/// One provider that is on.
#[derive(Debug)]
pub struct ProviderConfig {
    /// As in paths and rows.
    pub id: String,
    pub provider: &'static Provider,
    pub client_id: String,
    pub secret: ClientSecret,
    pub scopes: Vec<String>,
    pub endpoints: Endpoints,
    /// None: as the issuer's document says.
    pub auth_style: Option<AuthType>,
    pub pkce: bool,
    /// Whether an address counts as verified where the provider does not tell.
    pub trust_email: bool,
    /// Further parameters of the authorization request.
    pub parameters: Vec<(&'static str, String)>,
    /// For providers whose identity comes from an id token, if nothing has to be discovered.
    pub id_token: Option<IdTokenRules>,
}

/// What the token endpoint wants to see.
#[derive(Debug)]
pub enum ClientSecret {
    Text(SecretString),
    /// Made for each request, for this audience.
    Apple(AppleKey, String),
}

/// Where a provider is.
#[derive(Debug)]
pub enum Endpoints {
    Known(Box<KnownEndpoints>),
    /// To be read from the issuer's document.
    Discovered {
        issuer: String,
        document: Url,
        audiences: Vec<String>,
    },
}

/// Addresses of a provider.
#[derive(Clone, Debug)]
pub struct KnownEndpoints {
    pub authorization: Url,
    pub token: Address,
    /// `OAuth` 1.0a only.
    pub request_token: Option<Address>,
    pub profile: Option<Address>,
    pub emails: Option<Address>,
}

/// What an id token is judged by.
#[derive(Clone, Debug)]
pub struct IdTokenRules {
    /// Spellings of the issuer.
    pub issuers: Vec<String>,
    pub audiences: Vec<String>,
    pub jwks: Address,
    pub algorithms: &'static [Algorithm],
}

impl ProvidersConfig {
    /// The provider, if it is on.
    pub fn find(&self, id: &str) -> Option<&Arc<ProviderConfig>> {
        self.enabled.get(id)
    }

    /// The ids of those that have names of their own.
    pub fn custom_ids(&self) -> Vec<String> {
        self.enabled.keys().filter(|id| id.starts_with(custom::PREFIX)).cloned().collect()
    }

    pub(super) fn read(reader: &mut Reader<'_>, server_url: Option<&Url>) -> Self {
        let mut enabled = BTreeMap::new();
        for provider in providers::ALL {
            if let Some(config) = ProviderConfig::read(reader, provider) {
                enabled.insert(config.id.clone(), Arc::new(config));
            }
        }
        for config in read_custom(reader) {
            enabled.insert(config.id.clone(), Arc::new(config));
        }
        if !enabled.is_empty() && server_url.is_none() {
            reader.refuse(
                "AUTH_SERVER_URL",
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
            timeout: reader.duration("AUTH_PROVIDER_TIMEOUT", false),
            state_lifetime: reader.duration("AUTH_PROVIDER_STATE_LIFETIME", false),
            max_states: reader.number("AUTH_PROVIDER_MAX_STATES", 1_000..=10_000_000),
            tokens: match reader.choice("AUTH_PROVIDER_TOKENS") {
                Some("never") => KeepTokens::Never,
                Some("always") => KeepTokens::Always,
                _ => KeepTokens::OnRequest,
            },
            connect_by_url: match reader.choice("AUTH_PROVIDER_CONNECT_BY_URL") {
                Some("never") => ConnectFrom::Nowhere,
                Some("always") => ConnectFrom::Anywhere,
                _ => ConnectFrom::OwnPages,
            },
        }
    }
}

/// The name of a setting of a provider.
fn name(provider: &Provider, suffix: &str) -> String {
    format!("AUTH_PROVIDER_{}_{suffix}", provider.variable)
}

fn has(provider: &Provider, suffix: &str) -> bool {
    let name = name(provider, suffix);
    provider.settings.iter().any(|setting| setting.variable == name)
}

impl ProviderConfig {
    /// Reads also what is off, so that a mistake shows before it is needed. `None` if it is off, or
    /// cannot work.
    fn read(reader: &mut Reader<'_>, provider: &'static Provider) -> Option<Self> {
        let on = reader.boolean(&name(provider, "ENABLED"));
        let (id_suffix, secret_suffix) = match provider.protocol {
            Protocol::OAuth2 => ("CLIENT_ID", "CLIENT_SECRET"),
            Protocol::OAuth1 => ("CONSUMER_KEY", "CONSUMER_SECRET"),
        };
        let client_id = reader.text(&name(provider, id_suffix));
        let is_oauth2 = provider.protocol == Protocol::OAuth2;
        let secret = if has(provider, secret_suffix) {
            let secret = reader.optional_secret(&name(provider, secret_suffix));
            secret.map(ClientSecret::Text)
        } else {
            read_apple_secret(reader, provider, on)
        };
        let scopes = if is_oauth2 { reader.list(&name(provider, "SCOPE")) } else { Vec::new() };
        let endpoints = read_endpoints(reader, provider, on);
        let auth_style = match is_oauth2.then(|| reader.choice(&name(provider, "TOKEN_AUTH_STYLE")))
        {
            Some(Some("basic")) => Some(AuthType::BasicAuth),
            _ => Some(AuthType::RequestBody),
        };
        let pkce = is_oauth2 && reader.boolean(&name(provider, "PKCE"));
        let trust_email =
            has(provider, "TRUST_EMAIL") && reader.boolean(&name(provider, "TRUST_EMAIL"));
        let parameters = read_parameters(reader, provider);
        let id_token = (provider.source == Source::IdToken)
            .then(|| read_id_token_rules(reader, provider, vec![client_id.clone()]));
        if !on {
            return None;
        }
        if provider.id == "azuread" {
            reader.warn(&name(provider, "ENABLED"), "Azure AD is deprecated, use Entra ID");
        }
        let missing = [(client_id.is_empty(), id_suffix), (secret.is_none(), secret_suffix)];
        for (_, suffix) in missing.into_iter().filter(|(is_missing, _)| *is_missing) {
            reader.warn(
                &name(provider, suffix),
                format!("not set: sign-in with {} stays off", provider.title),
            );
        }
        if client_id.is_empty() {
            return None;
        }
        Some(Self {
            id: provider.id.to_owned(),
            provider,
            client_id,
            secret: secret?,
            scopes,
            endpoints: Endpoints::Known(Box::new(endpoints)),
            auth_style,
            pkce,
            trust_email,
            parameters,
            id_token,
        })
    }
}

fn read_apple_secret(
    reader: &mut Reader<'_>,
    provider: &Provider,
    on: bool,
) -> Option<ClientSecret> {
    let team_id = reader.text(&name(provider, "TEAM_ID"));
    let key_id = reader.text(&name(provider, "KEY_ID"));
    let private_key = reader.optional_secret(&name(provider, "PRIVATE_KEY"));
    // Apple wants its own name there, also where its endpoints are elsewhere.
    let audience = reader.text(&name(provider, "ISSUER"));
    if !on {
        return None;
    }
    for (value, suffix) in [(&team_id, "TEAM_ID"), (&key_id, "KEY_ID")] {
        if value.is_empty() {
            reader.refuse(&name(provider, suffix), "needed for sign-in with Apple");
        }
    }
    let Some(private_key) = private_key else {
        reader.refuse(&name(provider, "PRIVATE_KEY"), "needed for sign-in with Apple");
        return None;
    };
    match AppleKey::parse(&private_key, &key_id, &team_id) {
        Ok(key) => Some(ClientSecret::Apple(key, audience)),
        Err(error) => {
            reader.refuse(&name(provider, "PRIVATE_KEY"), error);
            None
        }
    }
}

fn read_endpoints(reader: &mut Reader<'_>, provider: &Provider, on: bool) -> KnownEndpoints {
    let tenant = has(provider, "TENANT").then(|| reader.text(&name(provider, "TENANT")));
    let mut url = |suffix: &str| {
        let variable = name(provider, suffix);
        read_url(reader, &variable, tenant.as_deref(), on)
    };
    let authorization = url("AUTHORIZATION_URL");
    let token = url("TOKEN_URL");
    let request_token = has(provider, "REQUEST_TOKEN_URL").then(|| url("REQUEST_TOKEN_URL"));
    let profile = has(provider, "USER_PROFILE_URL").then(|| url("USER_PROFILE_URL"));
    let emails = has(provider, "USER_EMAILS_URL").then(|| {
        let variable = name(provider, "USER_EMAILS_URL");
        reader.http_url(&variable).unwrap_or_else(|| below(profile.as_ref(), "emails"))
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

fn read_url(reader: &mut Reader<'_>, variable: &str, tenant: Option<&str>, on: bool) -> Url {
    let text = reader.text(variable);
    let text = tenant.map_or_else(|| text.clone(), |tenant| text.replace("{tenant}", tenant));
    match parse_http_url(&text) {
        Ok(url) => {
            if on && url.scheme() == "http" && !is_loopback(&url) {
                reader.warn(variable, "not https: secrets will travel for everybody to read");
            }
            url
        }
        Err(error) => {
            reader.refuse(variable, error);
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
    for (key, suffix) in [
        ("organization", "DEFAULT_ORGANIZATION"),
        ("connection", "DEFAULT_CONNECTION"),
        ("domain", "DEFAULT_DOMAIN"),
    ] {
        if has(provider, suffix) {
            let value = reader.text(&name(provider, suffix));
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
    if !has(provider, "AUDIENCE") {
        return None;
    }
    let audiences = reader.list(&name(provider, "AUDIENCE"));
    let audiences: Vec<String> = audiences.iter().map(|text| text.trim().to_owned()).collect();
    let rules = read_id_token_rules(reader, provider, audiences);
    (!rules.audiences.is_empty()).then_some(rules)
}

fn read_id_token_rules(
    reader: &mut Reader<'_>,
    provider: &Provider,
    audiences: Vec<String>,
) -> IdTokenRules {
    let issuer = reader.text(&name(provider, "ISSUER"));
    let jwks = reader.required_url(&name(provider, "JWKS_URL"));
    // Google documents both spellings.
    let bare = issuer.strip_prefix("https://").filter(|_| provider.id == "google");
    let bare = bare.map(ToOwned::to_owned);
    IdTokenRules {
        issuers: [Some(issuer), bare].into_iter().flatten().collect(),
        audiences,
        jwks: Address::configured(jwks),
        algorithms: RS256,
    }
}

/// One entry of `AUTH_PROVIDER_CUSTOM`, in the form of the reference's successor.
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
    let text = reader.json(CUSTOM);
    if text.is_empty() {
        return Vec::new();
    }
    let entries: BTreeMap<String, CustomProvider> = match serde_json::from_str(&text) {
        Ok(entries) => entries,
        Err(error) => {
            // Its text may quote a secret.
            let place = super::settings::place(&error);
            reader.refuse(CUSTOM, format!("not an object of providers: {place}"));
            return Vec::new();
        }
    };
    let mut configs = Vec::with_capacity(entries.len());
    for (slug, entry) in entries {
        match entry.into_config(&slug) {
            Ok(config) => configs.push(config),
            Err(reason) => reader.refuse(CUSTOM, format!("{}: {reason}", slug.escape_debug())),
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

impl IdTokenRules {
    /// For an issuer that was discovered.
    pub fn discovered(issuer: String, audiences: Vec<String>, jwks: Address) -> Self {
        Self { issuers: vec![issuer], audiences, jwks, algorithms: ASYMMETRIC }
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
