//! What can be wrong with an endpoint.

use std::sync::Arc;

use tokio::sync::Barrier;

/// A part of a provider that can be asked.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Endpoint {
    Authorize,
    Token,
    Profile,
    Emails,
    RequestToken,
    Jwks,
    Discovery,
}

impl Endpoint {
    /// By the path after the provider's id.
    pub(super) fn of(path: &str) -> Option<Self> {
        Some(match path {
            "authorize" => Self::Authorize,
            "token" => Self::Token,
            "profile" => Self::Profile,
            "emails" => Self::Emails,
            "request_token" => Self::RequestToken,
            "jwks" => Self::Jwks,
            ".well-known/openid-configuration" => Self::Discovery,
            _ => return None,
        })
    }
}

/// How it fails, until it is told to be well again.
#[derive(Clone, Debug)]
pub(crate) enum Fault {
    /// This status, content type and body, whatever was asked.
    Say(u16, &'static str, String),
    /// No response, ever.
    Hang,
    /// The connection ends instead of a response.
    Close,
    /// The right response, and two megabytes of blanks before it.
    Padded,
    /// A good beginning, and then bytes without an end or a length.
    Endless,
    /// 307 to another place, which keeps method and body.
    Redirect(String),
    /// The right response, but to all only when so many have asked.
    Together(Arc<Barrier>),
}

impl Fault {
    pub(crate) fn json(status: u16, body: &serde_json::Value) -> Self {
        Self::Say(status, "application/json", body.to_string())
    }

    pub(crate) fn together(count: usize) -> Self {
        Self::Together(Arc::new(Barrier::new(count)))
    }
}
