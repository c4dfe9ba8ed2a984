//! One session, by one request of the contract.

use std::time::Duration;

use anyhow::{Context as _, bail};
use http::StatusCode;
use secrecy::{ExposeSecret as _, SecretString};
use serde_json::{Value, json};
use uuid::Uuid;

use crate::args::LoadArgs;
use crate::client::{Client, pause};

/// Tries for one session while the server sheds load.
const TRIES: u32 = 20;

/// How somebody gets a session.
#[derive(Clone, Debug)]
pub enum SignInMethod {
    Anonymous,
    SignUp { prefix: String, password: SecretString },
    SignIn { email: String, password: SecretString },
}

impl SignInMethod {
    /// Signs up accounts with the addresses of the arguments and a password of this run.
    pub fn sign_up(args: &LoadArgs) -> Self {
        let password = SecretString::from(format!("Kw-{}", Uuid::new_v4()));
        Self::SignUp { prefix: args.email_prefix.clone(), password }
    }

    /// The name in messages.
    pub const fn name(&self) -> &'static str {
        match self {
            Self::Anonymous => "anonymous sign-in",
            Self::SignUp { .. } => "sign-up with e-mail and password",
            Self::SignIn { .. } => "sign-in with --email and --password",
        }
    }

    /// Path and body of one request.
    pub fn request(&self) -> (&'static str, Value) {
        match self {
            Self::Anonymous => ("/signin/anonymous", json!({})),
            Self::SignUp { prefix, password } => {
                let email = format!("{prefix}{}@example.com", Uuid::new_v4().simple());
                let password = password.expose_secret();
                ("/signup/email-password", json!({ "email": email, "password": password }))
            }
            Self::SignIn { email, password } => {
                let password = password.expose_secret();
                ("/signin/email-password", json!({ "email": email, "password": password }))
            }
        }
    }
}

/// One session; waits and tries again while the server says that it is overloaded.
pub async fn obtain(client: &mut Client, method: &SignInMethod) -> anyhow::Result<Tokens> {
    let (path, body) = method.request();
    for attempt in 1..=TRIES {
        match client.post(path, &body).await? {
            StatusCode::OK => return session_tokens(client.response_body()),
            StatusCode::SERVICE_UNAVAILABLE | StatusCode::TOO_MANY_REQUESTS => {
                pause(Duration::from_millis(100) * attempt.min(10)).await;
            }
            status => bail!("{} {}", status.as_u16(), client.error_code()),
        }
    }
    bail!("the server was overloaded for {TRIES} tries: {}", client.error_code())
}

/// What a session gives its client.
#[derive(Clone, Debug)]
pub struct Tokens {
    pub refresh: String,
    /// Empty if there is none, which only matters to those who use it.
    pub access: String,
}

/// The tokens of a response that has a session, wrapped as sign-ins do it.
pub fn session_tokens(response: &[u8]) -> anyhow::Result<Tokens> {
    let response: Value = serde_json::from_slice(response).context("the response is not JSON")?;
    if response.get("mfa").is_some_and(|mfa| !mfa.is_null()) {
        bail!("the account has a second factor");
    }
    match response.pointer("/session/refreshToken").and_then(Value::as_str) {
        // It is put between quotes as it is.
        Some(token) if !token.contains(['"', '\\']) => {
            let access = response.pointer("/session/accessToken").and_then(Value::as_str);
            Ok(Tokens { refresh: token.to_owned(), access: access.unwrap_or_default().to_owned() })
        }
        Some(_) => bail!("the refresh token has characters that no server of this contract uses"),
        None => bail!("accepted, but without a session (addresses must be verified first)"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn responses_without_a_session_say_why() {
        let token = br#"{"session":{"refreshToken":"t-1","accessToken":"x"}}"#;
        let tokens = session_tokens(token).unwrap();
        assert_eq!((tokens.refresh.as_str(), tokens.access.as_str()), ("t-1", "x"));
        let reason = |response: &[u8]| session_tokens(response).unwrap_err().to_string();
        assert!(reason(b"{}").contains("verified"));
        assert!(reason(br#"{"session":null}"#).contains("verified"));
        assert!(reason(br#"{"mfa":{"ticket":"mfaTotp:1"}}"#).contains("second factor"));
        assert!(reason(b"<html>").contains("JSON"));
    }

    #[test]
    fn a_made_up_password_fits_the_contract_and_addresses_differ() {
        let password = SecretString::from(format!("Kw-{}", Uuid::new_v4()));
        assert!((9..=50).contains(&password.expose_secret().len()));
        let method = SignInMethod::SignUp { prefix: "b-".to_owned(), password };
        assert_ne!(method.request().1["email"], method.request().1["email"]);
    }
}
