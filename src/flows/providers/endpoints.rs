//! A configured provider with its addresses, which some have to be asked for.

use std::sync::Arc;
use std::time::Duration;

use oauth2::AuthType;

use crate::app::App;
use crate::clients::HttpClients;
use crate::config::Config;
use crate::domain::error::{AuthError, ErrorCode};
use crate::oauth::client::{ProviderClient, ProviderError};
use crate::oauth::configured::{Endpoints, IdTokenRules, KnownEndpoints, ProviderConfig};
use crate::oauth::discovery::Discovered;

/// A provider whose addresses are known.
pub struct ResolvedProvider<'a> {
    config: &'a ProviderConfig,
    discovered: Option<Arc<Discovered>>,
    clients: &'a HttpClients,
    timeout: Duration,
    redirect_uri: String,
}

impl<'a> ResolvedProvider<'a> {
    /// Resolves its addresses; an issuer's document is read at most once an hour.
    pub async fn resolve(
        app: &'a App,
        config: &Config,
        provider: &'a ProviderConfig,
    ) -> Result<Self, ProviderError> {
        let timeout = config.providers.timeout;
        let discovered = match &provider.endpoints {
            Endpoints::Known(_) => None,
            Endpoints::Discovered { .. } => {
                Some(app.issuers.discovery.find(&app.provider_clients, timeout, provider).await?)
            }
        };
        Ok(Self {
            config: provider,
            discovered,
            clients: &app.provider_clients,
            timeout,
            redirect_uri: callback_url(config, &provider.id),
        })
    }

    fn endpoints(&self) -> &KnownEndpoints {
        match (&self.config.endpoints, &self.discovered) {
            (Endpoints::Known(endpoints), _) => endpoints,
            (Endpoints::Discovered { .. }, Some(discovered)) => &discovered.endpoints,
            (Endpoints::Discovered { .. }, None) => unreachable!("was asked for in the beginning"),
        }
    }

    fn auth_style(&self) -> &AuthType {
        let discovered = self.discovered.as_ref().map(|discovered| &discovered.auth_style);
        self.config.auth_style.as_ref().or(discovered).unwrap_or(&AuthType::RequestBody)
    }

    /// What its id tokens are verified by, if identity comes from them.
    pub fn id_token_rules(&self) -> Option<&IdTokenRules> {
        match &self.discovered {
            Some(discovered) => Some(&discovered.id_token),
            None => self.config.id_token.as_ref(),
        }
    }

    /// Where the provider sends people back to.
    pub fn redirect_uri(&self) -> &str {
        &self.redirect_uri
    }

    /// To speak to it.
    pub fn client(&self) -> ProviderClient<'_> {
        ProviderClient {
            config: self.config,
            endpoints: self.endpoints(),
            auth_style: self.auth_style(),
            clients: self.clients,
            timeout: self.timeout,
            redirect_uri: &self.redirect_uri,
        }
    }
}

/// Where a provider sends people back to; to be registered there.
pub fn callback_url(config: &Config, provider: &str) -> String {
    let server_url = config.server.server_url.as_ref().map_or("", url::Url::as_str);
    format!("{}/signin/provider/{provider}/callback", server_url.trim_end_matches('/'))
}

/// What the application is told about a failure of a provider, whose cause is for the log.
pub fn failed(provider: &str, code: ErrorCode, error: ProviderError) -> AuthError {
    AuthError::Provider { code, provider: provider.to_owned(), source: Box::new(error) }
}
