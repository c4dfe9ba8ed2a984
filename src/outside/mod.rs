//! Services of others that are asked during a request.

pub mod hasura_claims;
pub mod hibp;
pub mod modica;
pub mod postmark;
pub mod turnstile;
pub mod twilio;

use bytes::{Bytes, BytesMut};
use reqwest::{Response, redirect};

/// Most bytes that are read of an answer; the longest that is expected has some 50,000.
const MAX_ANSWER: usize = 1024 * 1024;

/// Why a service could not be asked. Never says what was asked: URLs and bodies carry parts of
/// passwords and secrets.
#[derive(Debug, thiserror::Error)]
pub enum OutsideError {
    #[error("no answer")]
    Transport(#[source] reqwest::Error),
    #[error("status {0}")]
    Status(u16),
    #[error("no answer in time")]
    TimedOut,
    #[error("the answer is too long")]
    TooLong,
    #[error("the answer cannot be read")]
    Malformed,
    #[error("the answer has no data")]
    NoData,
}

impl From<reqwest::Error> for OutsideError {
    fn from(error: reqwest::Error) -> Self {
        Self::Transport(error.without_url())
    }
}

/// One client for all, so that connections are used again. Redirects are not followed: what was
/// meant for one host must not reach another.
pub fn client() -> reqwest::Result<reqwest::Client> {
    reqwest::Client::builder().redirect(redirect::Policy::none()).build()
}

async fn read(mut answer: Response) -> Result<Bytes, OutsideError> {
    let mut body = BytesMut::new();
    while let Some(chunk) = answer.chunk().await? {
        if body.len() + chunk.len() > MAX_ANSWER {
            return Err(OutsideError::TooLong);
        }
        body.extend_from_slice(&chunk);
    }
    Ok(body.freeze())
}
