//! Makes the sessions that a run refreshes: each is one refresh token that has worked once.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::Duration;

use anyhow::{Context as _, bail};
use http::StatusCode;
use indicatif::ProgressBar;
use secrecy::{ExposeSecret as _, SecretString};
use serde_json::{Value, json};
use tokio::task::JoinSet;
use uuid::Uuid;

use crate::args::{LoadArgs, Operation, Setup};
use crate::client::{Client, Outcome, pause};
use crate::target::Target;

/// Sessions made at once.
const WORKERS: usize = 8;
/// Tries for one session while the server sheds load.
const TRIES: u32 = 20;

/// How to get a session, with what is needed for it.
#[derive(Clone, Debug)]
pub struct Accounts {
    methods: Vec<SignInMethod>,
    timeout: Duration,
}

#[derive(Clone, Debug)]
enum SignInMethod {
    Anonymous,
    SignUp { prefix: String, password: SecretString },
    SignIn { email: String, password: SecretString },
}

impl Accounts {
    /// The methods that the arguments permit, in the order in which they are tried.
    pub fn from_args(args: &LoadArgs, operation: Operation) -> anyhow::Result<Self> {
        let mut methods = Vec::new();
        // Who is anonymous has no profile to read.
        let is_auto = args.setup == Setup::Auto && operation != Operation::User;
        if is_auto || args.setup == Setup::Anonymous {
            methods.push(SignInMethod::Anonymous);
        }
        if matches!(args.setup, Setup::Auto | Setup::SignUp) {
            let password = SecretString::from(format!("Kw-{}", Uuid::new_v4()));
            methods.push(SignInMethod::SignUp { prefix: args.email_prefix.clone(), password });
        }
        if matches!(args.setup, Setup::Auto | Setup::SignIn) {
            match (&args.email, &args.password) {
                (Some(email), Some(password)) => {
                    let (email, password) = (email.clone(), password.clone());
                    methods.push(SignInMethod::SignIn { email, password });
                }
                _ if args.setup == Setup::SignIn => {
                    bail!("--setup sign-in needs --email and --password");
                }
                _ => {}
            }
        }
        Ok(Self { methods, timeout: args.timeout })
    }

    /// Makes `count` sessions and returns their newest tokens, those that `operation` needs.
    ///
    /// The first session decides about the method: it must also refresh, because a server that requires
    /// verified addresses signs anonymous users in and then refuses to refresh them.
    pub async fn open(
        &self,
        target: &Arc<Target>,
        operation: Operation,
        count: usize,
        stop: &Arc<AtomicBool>,
        bar: &ProgressBar,
    ) -> anyhow::Result<Vec<String>> {
        let mut client = Client::new(Arc::clone(target), self.timeout);
        let mut reasons = Vec::new();
        for method in &self.methods {
            match first(&mut client, method).await {
                Ok(token) => {
                    bar.inc(1);
                    let mut tokens = self.others(target, method, count - 1, stop, bar).await?;
                    tokens.insert(0, token);
                    let of_use = |tokens: Tokens| match operation {
                        Operation::Refresh => tokens.refresh,
                        Operation::Verify | Operation::User => tokens.access,
                    };
                    return Ok(tokens.into_iter().map(of_use).collect());
                }
                Err(reason) => reasons.push(format!("  {}: {reason:#}", method.name())),
            }
        }
        bail!(
            "{} gives no session that can be refreshed:\n{}\nSet AUTH_ANONYMOUS_USERS_ENABLED=true \
             and AUTH_EMAIL_SIGNIN_EMAIL_VERIFIED_REQUIRED=false on a server made for measuring, or \
             name a verified account with --email and --password",
            target.url,
            reasons.join("\n")
        )
    }

    async fn others(
        &self,
        target: &Arc<Target>,
        method: &SignInMethod,
        count: usize,
        stop: &Arc<AtomicBool>,
        bar: &ProgressBar,
    ) -> anyhow::Result<Vec<Tokens>> {
        let left = Arc::new(AtomicUsize::new(count));
        let mut workers = JoinSet::new();
        for _ in 0..WORKERS.min(count) {
            let mut client = Client::new(Arc::clone(target), self.timeout);
            let (method, bar) = (method.clone(), bar.clone());
            let (left, stop) = (Arc::clone(&left), Arc::clone(stop));
            workers.spawn(async move {
                let mut tokens = Vec::new();
                let take = |left: usize| left.checked_sub(1);
                while !stop.load(Ordering::Relaxed)
                    && left.fetch_update(Ordering::Relaxed, Ordering::Relaxed, take).is_ok()
                {
                    tokens.push(obtain(&mut client, &method).await?);
                    bar.inc(1);
                }
                anyhow::Ok(tokens)
            });
        }
        let mut tokens = Vec::with_capacity(count + 1);
        while let Some(made) = workers.join_next().await {
            let made = made.context("a set-up task ended")?;
            tokens.extend(made.context("the first session could be made, a later one not")?);
        }
        Ok(tokens)
    }
}

impl SignInMethod {
    const fn name(&self) -> &'static str {
        match self {
            Self::Anonymous => "anonymous sign-in",
            Self::SignUp { .. } => "sign-up with e-mail and password",
            Self::SignIn { .. } => "sign-in with --email and --password",
        }
    }

    /// Path and body of one request.
    fn request(&self) -> (&'static str, Value) {
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

async fn first(client: &mut Client, method: &SignInMethod) -> anyhow::Result<Tokens> {
    let mut tokens = obtain(client, method).await?;
    match client.refresh(&mut tokens.refresh).await {
        Outcome::Ok => Ok(tokens),
        Outcome::Lost => bail!("signed in, but the refresh gave 401 invalid-refresh-token"),
        Outcome::Refused(status, code) => {
            bail!("signed in, but the refresh gave {} {code}", status.as_u16())
        }
        Outcome::Failed(failure) => bail!("signed in, but the refresh: {}", failure.kind()),
    }
}

/// One session; waits and tries again while the server says that it is overloaded.
async fn obtain(client: &mut Client, method: &SignInMethod) -> anyhow::Result<Tokens> {
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
struct Tokens {
    refresh: String,
    /// Empty if there is none, which only matters to those who use it.
    access: String,
}

fn session_tokens(response: &[u8]) -> anyhow::Result<Tokens> {
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
