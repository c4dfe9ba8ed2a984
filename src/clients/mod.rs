//! Clients of external services that are called during a request.

pub mod hasura_claims;
pub mod hibp;
pub mod modica;
pub mod postmark;
mod public_network;
pub mod turnstile;
pub mod twilio;

use std::sync::Arc;
use std::time::Duration;

use bytes::{Bytes, BytesMut};
use reqwest::{ClientBuilder, Response, redirect};
use url::Url;

use self::public_network::PublicOnly;
use crate::domain::json::without_mark;
use crate::http_client;

/// Most bytes that are read of a response; the longest that is expected has some 50,000.
const MAX_RESPONSE: usize = 1024 * 1024;

/// How long it may take to be connected; calls have time limits of their own for the whole.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(5);

/// Why a call failed. Never says what was sent: URLs and bodies carry parts of
/// passwords and secrets.
#[derive(Debug, thiserror::Error)]
pub enum ClientError {
    #[error("no response")]
    Transport(#[source] reqwest::Error),
    #[error("status {0}")]
    Status(u16),
    #[error("no response in time")]
    TimedOut,
    #[error("the response is too long")]
    TooLong,
    #[error("the response cannot be read")]
    Malformed,
    #[error("the response has no data")]
    NoData,
    #[error("the address is in a private network")]
    Private,
}

impl From<reqwest::Error> for ClientError {
    fn from(error: reqwest::Error) -> Self {
        Self::Transport(error.without_url())
    }
}

/// One client for all, so that connections are used again. Redirects are not followed: what was
/// meant for one host must not reach another.
pub fn client() -> reqwest::Result<reqwest::Client> {
    builder().build()
}

fn builder() -> ClientBuilder {
    http_client::builder()
        .redirect(redirect::Policy::none())
        .connect_timeout(CONNECT_TIMEOUT)
        .user_agent(concat!("keywright/", env!("CARGO_PKG_VERSION")))
}

/// A client for addresses that the operator chose, and another for those that others named.
#[derive(Clone, Debug)]
pub struct HttpClients {
    anywhere: reqwest::Client,
    public: reqwest::Client,
}

impl HttpClients {
    /// Both clients.
    pub fn new() -> reqwest::Result<Self> {
        let public = builder().no_proxy().dns_resolver(Arc::new(PublicOnly)).build()?;
        Ok(Self { anywhere: client()?, public })
    }

    /// The client for addresses that the operator chose.
    pub fn anywhere(&self) -> &reqwest::Client {
        &self.anywhere
    }

    /// The client for this address.
    pub fn client(&self, at: &Address) -> Result<&reqwest::Client, ClientError> {
        match at.chosen_by {
            ChosenBy::Operator => Ok(&self.anywhere),
            ChosenBy::Others if public_network::may_be_public(&at.url) => Ok(&self.public),
            ChosenBy::Others => Err(ClientError::Private),
        }
    }
}

/// An address, and how far it is trusted.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Address {
    pub url: Url,
    pub chosen_by: ChosenBy,
}

impl Address {
    /// One from the settings.
    pub const fn configured(url: Url) -> Self {
        Self { url, chosen_by: ChosenBy::Operator }
    }
}

/// Who decided on an address.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum ChosenBy {
    /// By a setting: it may be anywhere.
    Operator,
    /// By a document of somebody else: it must not be in a private network.
    Others,
}

pub(crate) async fn read(mut response: Response) -> Result<Bytes, ClientError> {
    let mut body = BytesMut::new();
    while let Some(chunk) = response.chunk().await? {
        if body.len() + chunk.len() > MAX_RESPONSE {
            return Err(ClientError::TooLong);
        }
        body.extend_from_slice(&chunk);
    }
    let body = body.freeze();
    Ok(body.slice_ref(without_mark(&body)))
}
