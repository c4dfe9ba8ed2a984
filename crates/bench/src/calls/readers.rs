//! Requests with access tokens that refreshes have just given.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use crate::args::Operation;
use crate::client::{Client, Outcome};
use crate::scan::top_level_string;

/// Access tokens that are kept: enough that reads meet different users, and few enough that each is
/// replaced before it expires.
const KEPT: usize = 512;
/// Longest access token that is kept.
const MAX_TOKEN: usize = 8_192;

/// The newest access tokens of users who have a profile.
#[derive(Debug, Default)]
pub struct AccessTokens {
    ring: Mutex<Ring>,
}

#[derive(Debug, Default)]
struct Ring {
    tokens: Vec<String>,
    oldest: usize,
}

impl AccessTokens {
    /// Keeps the access token of the response to a refresh, instead of the oldest.
    pub fn keep(&self, response: &[u8]) {
        let token = top_level_string(response, "accessToken");
        let token = token.and_then(|token| std::str::from_utf8(token).ok());
        let Some(token) = token.filter(|token| (1..=MAX_TOKEN).contains(&token.len())) else {
            return;
        };
        let mut ring = self.lock();
        if ring.tokens.len() < KEPT {
            ring.tokens.push(token.to_owned());
            return;
        }
        let oldest = ring.oldest;
        ring.oldest = (oldest + 1) % KEPT;
        let place = &mut ring.tokens[oldest];
        place.clear();
        place.push_str(token);
    }

    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        self.lock().tokens.is_empty()
    }

    /// Puts any of them into `token`, which stays empty if there is none.
    fn pick(&self, token: &mut String) {
        token.clear();
        let ring = self.lock();
        if !ring.tokens.is_empty() {
            token.push_str(&ring.tokens[fastrand::usize(..ring.tokens.len())]);
        }
    }

    fn lock(&self) -> MutexGuard<'_, Ring> {
        self.ring.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Verifies a token or reads its user.
#[derive(Clone, Debug)]
pub struct Read {
    operation: Operation,
    tokens: Arc<AccessTokens>,
    token: String,
}

impl Read {
    /// `POST /token/verify` or `GET /user`.
    pub const fn new(operation: Operation, tokens: Arc<AccessTokens>) -> Self {
        Self { operation, tokens, token: String::new() }
    }

    /// One request with any of the tokens.
    pub async fn perform(&mut self, client: &mut Client) -> Outcome {
        self.tokens.pick(&mut self.token);
        match self.operation {
            Operation::User => client.user(&self.token).await,
            Operation::Verify | Operation::Refresh => client.verify(&self.token).await,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_newest_tokens_are_kept() {
        let (tokens, mut token) = (AccessTokens::default(), String::new());
        assert!(tokens.is_empty());
        tokens.pick(&mut token);
        assert!(token.is_empty());
        tokens.keep(br#"{"accessToken":""}"#);
        assert!(tokens.is_empty());
        for number in 0..KEPT * 2 {
            tokens.keep(format!(r#"{{"accessToken":"{number}"}}"#).as_bytes());
        }
        for _ in 0..100 {
            tokens.pick(&mut token);
            assert!(token.parse::<usize>().unwrap() >= KEPT);
        }
    }
}
