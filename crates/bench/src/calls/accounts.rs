//! The accounts that sign in during a run, made before it.

use std::sync::Arc;

use anyhow::{Context as _, bail, ensure};
use http::StatusCode;
use secrecy::ExposeSecret as _;
use serde_json::json;
use tokio::task::JoinSet;

use crate::args::LoadArgs;
use crate::client::Client;
use crate::control::Control;
use crate::progress::Progress;
use crate::scan::top_level_string;
use crate::sign_in_method::{SignInMethod, session_tokens};
use crate::target::Target;

/// Accounts made at once.
const WORKERS: usize = 8;
/// Longer than any run; servers have their own bound.
const PAT_EXPIRES_AT: &str = "2099-01-01T00:00:00Z";

/// Makes accounts; each is the body of a sign-in with the password, or with a personal access token
/// if `with_pat`.
///
/// With `--email` it is that account alone.
pub async fn make(
    target: &Arc<Target>,
    args: &LoadArgs,
    count: usize,
    with_pat: bool,
    control: &Control,
) -> anyhow::Result<Vec<String>> {
    if let (Some(email), Some(password)) = (&args.email, &args.password) {
        let body = json!({ "email": email, "password": password.expose_secret() }).to_string();
        let mut client = Client::new(Arc::clone(target), args.timeout);
        return Ok(vec![usable(&mut client, body, with_pat).await?]);
    }
    let progress = Arc::new(Progress::new(count as u64, "accounts", control.note));
    let mut workers = JoinSet::new();
    for worker in 0..WORKERS.min(count) {
        let share = count / WORKERS + usize::from(worker < count % WORKERS);
        let mut client = Client::new(Arc::clone(target), args.timeout);
        let (method, control) = (SignInMethod::sign_up(args), control.clone());
        let progress = Arc::clone(&progress);
        workers.spawn(async move {
            let mut bodies = Vec::with_capacity(share);
            while bodies.len() < share {
                control.go_on()?;
                let (path, body) = method.request();
                let status = client.post(path, &body).await?;
                let code = client.error_code();
                ensure!(status == StatusCode::OK, "sign-up: {} {code}", status.as_u16());
                bodies.push(usable(&mut client, body.to_string(), with_pat).await?);
                progress.add(1);
            }
            anyhow::Ok(bodies)
        });
    }
    let mut all = Vec::with_capacity(count);
    while let Some(bodies) = workers.join_next().await {
        let bodies = bodies.context("a set-up task ended")?;
        all.extend(bodies.context(
            "an account can be made neither by sign-up nor from --email; set \
             AUTH_EMAIL_SIGNIN_EMAIL_VERIFIED_REQUIRED=false on a server made for measuring",
        )?);
    }
    progress.finish();
    Ok(all)
}

/// The body itself after one sign-in with it; or one with a token of that account.
async fn usable(client: &mut Client, body: String, with_pat: bool) -> anyhow::Result<String> {
    let status = client.post_text("/signin/email-password", None, &body).await;
    let status = status.map_err(|failure| anyhow::anyhow!("sign-in: {}", failure.kind()))?;
    ensure!(status == StatusCode::OK, "sign-in: {} {}", status.as_u16(), client.error_code());
    let access = session_tokens(client.response_body()).context("sign-in")?.access;
    if !with_pat {
        return Ok(body);
    }
    let wanted = json!({ "expiresAt": PAT_EXPIRES_AT }).to_string();
    let status = client.post_text("/pat", Some(&access), &wanted).await;
    let status = status.map_err(|failure| anyhow::anyhow!("PAT: {}", failure.kind()))?;
    ensure!(status == StatusCode::OK, "PAT: {} {}", status.as_u16(), client.error_code());
    let token = top_level_string(client.response_body(), "personalAccessToken");
    let Some(token) = token.and_then(|token| std::str::from_utf8(token).ok()) else {
        bail!("the response to POST /pat has no personalAccessToken");
    };
    Ok(json!({ "personalAccessToken": token }).to_string())
}
