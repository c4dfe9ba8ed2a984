//! Asks sign-ups for a proof that a person is there (`AUTH_TURNSTILE_SECRET`).
//!
//! Routes say so where they are mounted: those under `/signup/`, as the reference does. Ways to sign in
//! that create users (anonymous, magic links, codes) are not asked. The responses have the reference's
//! bodies.

use std::sync::Arc;

use http::{HeaderName, HeaderValue, StatusCode};
use serde::Serialize;

use super::middleware::{Enter, Entered, Middleware};
use crate::actors::limits::counters::{Counters, Guard};
use crate::clients::turnstile::verify;
use crate::config::LiveConfig;
use crate::domain::error::{ErrorCode, chain};
use crate::http::message::call::{Reply, Routed};
use crate::http::message::error::code_response;
use crate::http::message::route::Turnstile;
use crate::http::{ApiResponse, RequestId};

const PROOF: HeaderName = HeaderName::from_static("x-cf-turnstile-response");

/// What proofs are verified with.
pub struct TurnstileParts {
    pub config: LiveConfig,
    pub client: reqwest::Client,
    pub counters: Counters,
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

    /// What to ask with, if this route asks.
    fn asking<B>(&self, routed: &Routed<B>) -> Option<&Arc<TurnstileParts>> {
        let found = routed.route.as_ref().ok()?;
        let parts = self.parts.as_ref()?;
        let is_on = || parts.config.load().protection.turnstile.is_some();
        (found.rules.turnstile == Turnstile::Asked && is_on()).then_some(parts)
    }
}

impl<B: Send + 'static> Middleware<Routed<B>> for TurnstileLayer {
    type Out = Routed<B>;
    type Exit = ();

    fn enter(&self, routed: Routed<B>) -> Enter<Routed<B>, ()> {
        let Some(parts) = self.asking(&routed).map(Arc::clone) else {
            return Enter::Pass(routed, ());
        };
        Enter::Wait(Box::pin(async move {
            let proof = routed.call.request.headers().get(PROOF).cloned();
            match parts.refusal(proof.as_ref(), &routed.call.request_id).await {
                Some(refusal) => {
                    parts.counters.note_refusal(Guard::Turnstile);
                    Entered::Respond(refusal.into())
                }
                None => Entered::Pass(routed, ()),
            }
        }))
    }

    fn leave((): (), reply: Reply) -> Reply {
        reply
    }
}

#[derive(Serialize)]
struct Refused<'a> {
    error: &'a str,
}

impl TurnstileParts {
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
            Ok(response) if response.success => None,
            Ok(response) => {
                let why = response.messages.join(" ");
                let text = format!("failed to pass turnstile: [{why}]");
                Some(refuse(StatusCode::FORBIDDEN, &text))
            }
            Err(error) => {
                tracing::error!(%request_id, error = %chain(&error), "Turnstile did not respond");
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
