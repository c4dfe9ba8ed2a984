//! Asks sign-ups for a proof that a person is there (`AUTH_TURNSTILE_SECRET`).
//!
//! Only what lies under `/signup/`, as the reference: ways to sign in that create users (anonymous,
//! magic links, codes) are not asked (docs/reference-behaviour.md#turnstile-guards-sign-up-paths).
//! The answers have the reference's bodies.

use std::convert::Infallible;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};

use futures_util::future::BoxFuture;
use http::{HeaderName, HeaderValue, StatusCode};
use pin_project_lite::pin_project;
use serde::Serialize;
use tower::{Layer, Service};

use super::buckets::bare;
use crate::actors::limits::rate_limiter::{Counters, Guard};
use crate::clients::turnstile::verify;
use crate::config::LiveConfig;
use crate::domain::error::{ErrorCode, chain};
use crate::http::message::call::{Call, Reply};
use crate::http::message::error::code_response;
use crate::http::{ApiResponse, RequestId};

const PROOF: HeaderName = HeaderName::from_static("x-cf-turnstile-response");

/// What proofs are verified with.
pub struct TurnstileParts {
    pub config: LiveConfig,
    pub client: reqwest::Client,
    pub counters: Counters,
    /// `AUTH_API_PREFIX` of the router.
    pub prefix: String,
}

/// Lets sign-ups pass that bring a proof; without parts, or without a secret, everything.
#[derive(Clone)]
pub struct TurnstileLayer {
    parts: Option<Arc<TurnstileParts>>,
}

impl TurnstileLayer {
    /// `None` never asks.
    pub fn new(parts: Option<TurnstileParts>) -> Self {
        Self { parts: parts.map(Arc::new) }
    }
}

impl<T> Layer<T> for TurnstileLayer {
    type Service = Turnstile<T>;

    fn layer(&self, inner: T) -> Turnstile<T> {
        Turnstile { inner, parts: self.parts.clone() }
    }
}

/// See [`TurnstileLayer`].
#[derive(Clone)]
pub struct Turnstile<T> {
    inner: T,
    parts: Option<Arc<TurnstileParts>>,
}

impl<T, B> Service<Call<B>> for Turnstile<T>
where
    T: Service<Call<B>, Response = Reply, Error = Infallible> + Clone + Send + 'static,
    T::Future: Send + 'static,
    B: Send + 'static,
{
    type Response = Reply;
    type Error = Infallible;
    type Future = TurnstileFuture<T::Future>;

    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), Infallible>> {
        self.inner.poll_ready(cx)
    }

    fn call(&mut self, call: Call<B>) -> Self::Future {
        let asked = self.parts.as_ref().filter(|parts| parts.asks(call.request.uri().path()));
        let Some(parts) = asked.map(Arc::clone) else {
            return TurnstileFuture::Open { inner: self.inner.call(call) };
        };
        let mut inner = self.inner.clone();
        let proof = call.request.headers().get(PROOF).cloned();
        let request_id = call.request_id.clone();
        TurnstileFuture::Asked {
            inner: Box::pin(async move {
                match parts.refusal(proof.as_ref(), &request_id).await {
                    Some(refusal) => {
                        parts.counters.note_refusal(Guard::Turnstile);
                        Ok(refusal.into())
                    }
                    None => inner.call(call).await,
                }
            }),
        }
    }
}

#[derive(Serialize)]
struct Refused<'a> {
    error: &'a str,
}

impl TurnstileParts {
    fn asks(&self, path: &str) -> bool {
        let Some(path) = path.strip_prefix(self.prefix.as_str()) else { return false };
        let path = bare(path);
        path.starts_with("/signup/")
            && !path.ends_with("/verify")
            && !path.ends_with("/callback")
            && self.config.load().protection.turnstile.is_some()
    }

    /// Why the request does not pass; neither proof nor secret is logged.
    async fn refusal(
        &self,
        proof: Option<&HeaderValue>,
        request_id: &RequestId,
    ) -> Option<ApiResponse> {
        let config = self.config.load_full();
        let turnstile = config.protection.turnstile.as_ref()?;
        let proof = proof.and_then(|value| value.to_str().ok());
        let Some(proof) = proof.filter(|proof| !proof.is_empty()) else {
            return Some(refuse(StatusCode::FORBIDDEN, "missing x-cf-turnstile-response header"));
        };
        match verify(&self.client, turnstile, proof).await {
            Ok(answer) if answer.success => None,
            Ok(answer) => {
                let why = answer.messages.join(" ");
                let text = format!("failed to pass turnstile: [{why}]");
                Some(refuse(StatusCode::FORBIDDEN, &text))
            }
            Err(error) => {
                tracing::error!(%request_id, error = %chain(&error), "Turnstile did not answer");
                Some(refuse(
                    StatusCode::INTERNAL_SERVER_ERROR,
                    "internal server error when attempting to pass turnstile",
                ))
            }
        }
    }
}

fn refuse(status: StatusCode, error: &str) -> ApiResponse {
    match ApiResponse::json(&Refused { error }) {
        Ok(response) => response.with_status(status),
        Err(_) => code_response(ErrorCode::InternalServerError),
    }
}

pin_project! {
    /// The future of [`Turnstile`]; boxed only where a proof is asked for.
    #[project = TurnstileProjection]
    pub enum TurnstileFuture<F> {
        Open { #[pin] inner: F },
        Asked { inner: BoxFuture<'static, Result<Reply, Infallible>> },
    }
}

impl<F: Future<Output = Result<Reply, Infallible>>> Future for TurnstileFuture<F> {
    type Output = Result<Reply, Infallible>;

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        match self.project() {
            TurnstileProjection::Open { inner } => inner.poll(cx),
            TurnstileProjection::Asked { inner } => inner.as_mut().poll(cx),
        }
    }
}
