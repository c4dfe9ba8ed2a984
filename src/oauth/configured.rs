//! A provider as an operator has configured it: its credentials, its addresses, and who signs for
//! it.

use jsonwebtoken::Algorithm;
use oauth2::AuthType;
use secrecy::SecretString;
use url::Url;

use super::apple_secret::AppleKey;
use super::provider::Provider;
use crate::clients::Address;

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

/// What an id token is verified by.
#[derive(Clone, Debug)]
pub struct IdTokenRules {
    /// Spellings of the issuer.
    pub issuers: Vec<String>,
    pub audiences: Vec<String>,
    pub jwks: Address,
    pub algorithms: &'static [Algorithm],
}

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

impl IdTokenRules {
    /// For an issuer that was discovered.
    pub fn discovered(issuer: String, audiences: Vec<String>, jwks: Address) -> Self {
        Self { issuers: vec![issuer], audiences, jwks, algorithms: ASYMMETRIC }
    }
}
