//! Password sign-ins beside a measurement: as much hashing as the server lets in.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Instant;

use anyhow::ensure;
use http::StatusCode;
use secrecy::ExposeSecret as _;
use serde_json::json;
use tokio::task::JoinSet;
use uuid::Uuid;

use crate::args::LoadArgs;
use crate::client::{Client, pause};
use crate::results::float;
use crate::target::Target;

/// Wait after a refusal.
const PAUSE: std::time::Duration = std::time::Duration::from_millis(20);

/// Connections that sign in until [`SignInBurst::stop`].
pub struct SignInBurst {
    started: Instant,
    signed_in: Arc<AtomicU64>,
    _tasks: JoinSet<()>,
}

impl SignInBurst {
    /// Signs in as the account of the arguments, else as one that it signs up; returns when the
    /// first sign-in has worked.
    pub async fn start(
        target: &Arc<Target>,
        connections: u16,
        args: &LoadArgs,
    ) -> anyhow::Result<Self> {
        let mut first = Client::new(Arc::clone(target), args.timeout);
        let body = if let (Some(email), Some(password)) = (&args.email, &args.password) {
            json!({ "email": email, "password": password.expose_secret() })
        } else {
            let email = format!("{}{}@example.com", args.email_prefix, Uuid::new_v4().simple());
            let body = json!({ "email": email, "password": format!("Kw-{}", Uuid::new_v4()) });
            let status = first.post("/signup/email-password", &body).await?;
            ensure!(status == StatusCode::OK, "sign-up: {status} {}", first.error_code());
            body
        };
        let status = first.post("/signin/email-password", &body).await?;
        ensure!(status == StatusCode::OK, "sign-in: {status} {}", first.error_code());
        let (signed_in, mut tasks) = (Arc::new(AtomicU64::new(0)), JoinSet::new());
        for _ in 0..connections {
            let mut client = Client::new(Arc::clone(target), args.timeout);
            let (body, signed_in) = (body.clone(), Arc::clone(&signed_in));
            tasks.spawn(async move {
                loop {
                    match client.post("/signin/email-password", &body).await {
                        Ok(StatusCode::OK) => {
                            signed_in.fetch_add(1, Ordering::Relaxed);
                        }
                        _ => pause(PAUSE).await,
                    }
                }
            });
        }
        Ok(Self { started: Instant::now(), signed_in, _tasks: tasks })
    }

    /// Ends it; returns the sign-ins of a second.
    pub fn stop(self) -> f64 {
        float(self.signed_in.load(Ordering::Relaxed)) / self.started.elapsed().as_secs_f64()
    }
}
