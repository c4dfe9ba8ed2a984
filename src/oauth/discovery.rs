//! What an issuer of `OpenID` Connect says about itself (`OpenID` Connect Discovery 1.0).

use std::sync::Arc;
use std::time::Duration;

use moka::future::Cache;
use oauth2::AuthType;
use serde::Deserialize;
use url::Url;

use super::configured::{Endpoints, IdTokenRules, KnownEndpoints, ProviderConfig};
use super::fetch;
use crate::clients::{Address, ChosenBy, ClientError, HttpClients};

/// Documents change rarely.
const KEPT_FOR: Duration = Duration::from_hours(1);

/// Issuers whose documents are kept.
const MAX_ISSUERS: u64 = 64;

/// Why an issuer's document cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum DiscoveryError {
    #[error("the document of the issuer cannot be had")]
    Client(#[from] ClientError),
    #[error("the document is about another issuer")]
    WrongIssuer,
    #[error("the document names an address that is neither https nor the issuer's own")]
    Insecure,
    #[error("there is nothing to discover")]
    NotDiscovered,
}

/// Where a provider is, and what its id tokens are verified by.
#[derive(Debug)]
pub struct Discovered {
    pub endpoints: KnownEndpoints,
    pub id_token: IdTokenRules,
    /// How client id and secret travel to the token endpoint.
    pub auth_style: AuthType,
}

#[derive(Deserialize)]
struct Document {
    issuer: String,
    authorization_endpoint: Url,
    token_endpoint: Url,
    jwks_uri: Url,
    #[serde(default)]
    userinfo_endpoint: Option<Url>,
    #[serde(default)]
    token_endpoint_auth_methods_supported: Option<Vec<String>>,
}

/// Documents of issuers; cheap to clone.
#[derive(Clone)]
pub struct Discovery {
    documents: Cache<(Url, String), Arc<Discovered>>,
}

impl Default for Discovery {
    fn default() -> Self {
        Self {
            documents: Cache::builder().max_capacity(MAX_ISSUERS).time_to_live(KEPT_FOR).build(),
        }
    }
}

impl Discovery {
    /// Reads the document of a provider; one caller asks for all who wait.
    pub async fn find(
        &self,
        clients: &HttpClients,
        timeout: Duration,
        provider: &ProviderConfig,
    ) -> Result<Arc<Discovered>, Arc<DiscoveryError>> {
        let Endpoints::Discovered { issuer, document, audiences } = &provider.endpoints else {
            return Err(Arc::new(DiscoveryError::NotDiscovered));
        };
        let key = (document.clone(), provider.client_id.clone());
        let read = async {
            let at = Address::configured(document.clone());
            let found: Document = fetch::get_json(clients, timeout, &at).await?;
            found.checked(issuer, audiences.clone()).map(Arc::new)
        };
        self.documents.try_get_with(key, read).await
    }
}

impl Document {
    /// The issuer has to be the configured one to the letter (Discovery 4.3).
    fn checked(self, issuer: &str, audiences: Vec<String>) -> Result<Discovered, DiscoveryError> {
        if self.issuer != issuer {
            return Err(DiscoveryError::WrongIssuer);
        }
        let own = Url::parse(issuer).map_err(|_| DiscoveryError::WrongIssuer)?;
        let address = |url: Url| address(&own, url);
        // "If omitted, the default is client_secret_basic" (Discovery 3).
        let takes_body = self
            .token_endpoint_auth_methods_supported
            .is_some_and(|methods| methods.iter().any(|method| method == "client_secret_post"));
        Ok(Discovered {
            auth_style: if takes_body { AuthType::RequestBody } else { AuthType::BasicAuth },
            id_token: IdTokenRules::discovered(self.issuer, audiences, address(self.jwks_uri)?),
            endpoints: KnownEndpoints {
                authorization: address(self.authorization_endpoint)?.url,
                token: address(self.token_endpoint)?,
                request_token: None,
                profile: self.userinfo_endpoint.map(address).transpose()?,
                emails: None,
            },
        })
    }
}

/// The operator chose the issuer's host, and no other.
fn address(issuer: &Url, url: Url) -> Result<Address, DiscoveryError> {
    let is_own = url.host() == issuer.host();
    let is_secure =
        url.scheme() == "https" || (is_own && url.scheme() == "http" && issuer.scheme() == "http");
    if !is_secure {
        return Err(DiscoveryError::Insecure);
    }
    let chosen_by = if is_own { ChosenBy::Operator } else { ChosenBy::Others };
    Ok(Address { url, chosen_by })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn document(issuer: &str, token: &str) -> Document {
        let url = |text: &str| Url::parse(text).unwrap();
        Document {
            issuer: issuer.to_owned(),
            authorization_endpoint: url("https://id.example.com/authorize"),
            token_endpoint: url(token),
            jwks_uri: url("https://keys.example.net/jwks"),
            userinfo_endpoint: None,
            token_endpoint_auth_methods_supported: None,
        }
    }

    #[test]
    fn addresses_elsewhere_are_the_choice_of_others() {
        let issuer = "https://id.example.com";
        let found =
            document(issuer, "https://id.example.com/token").checked(issuer, Vec::new()).unwrap();
        assert_eq!(found.endpoints.token.chosen_by, ChosenBy::Operator);
        assert_eq!(found.id_token.jwks.chosen_by, ChosenBy::Others);
    }

    #[test]
    fn the_body_carries_the_secret_only_where_that_is_offered() {
        let issuer = "https://id.example.com";
        let style = |methods: Option<&[&str]>| {
            let methods = methods.map(|all| all.iter().map(|one| (*one).to_owned()).collect());
            let found = document(issuer, "https://id.example.com/token");
            let found = Document { token_endpoint_auth_methods_supported: methods, ..found };
            found.checked(issuer, Vec::new()).unwrap().auth_style
        };
        assert!(matches!(style(None), AuthType::BasicAuth));
        assert!(matches!(style(Some(&["client_secret_basic"])), AuthType::BasicAuth));
        let both = ["client_secret_basic", "client_secret_post"];
        assert!(matches!(style(Some(&both)), AuthType::RequestBody));
    }

    #[test]
    fn other_issuers_and_plain_http_are_refused() {
        let issuer = "https://id.example.com";
        let other = document("https://id.example.com/", "https://id.example.com/token");
        assert!(matches!(other.checked(issuer, Vec::new()), Err(DiscoveryError::WrongIssuer)));
        for token in ["http://id.example.com/token", "http://127.0.0.1/token", "file:///etc/passwd"]
        {
            let insecure = document(issuer, token).checked(issuer, Vec::new());
            assert!(matches!(insecure, Err(DiscoveryError::Insecure)), "{token}");
        }
    }
}
