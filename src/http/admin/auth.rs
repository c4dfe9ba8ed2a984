//! Who may use the admin listener: whoever has a token of the settings, and the other nodes, for a few
//! questions.

use std::sync::Arc;

use aws_lc_rs::digest::{SHA256, digest};
use http::header::{AUTHORIZATION, WWW_AUTHENTICATE};
use http::{HeaderMap, HeaderValue, Method, StatusCode};
use secrecy::{ExposeSecret as _, SecretString};
use serde::Serialize;

use super::page;
use super::peers::{self, QUESTIONS};
use crate::app::App;
use crate::domain::auth_scheme::bearer_token;
use crate::http::ApiResponse;
use crate::http::layers::middleware::{Enter, Middleware};
use crate::http::message::call::{Call, Reply};
use crate::metrics::SecurityEvent;

/// Refuses whoever has no token. Tokens are those of the configuration in force, so that a reload
/// changes them.
#[derive(Clone)]
pub struct Auth {
    app: Arc<App>,
}

impl<B> Middleware<Call<B>> for Auth {
    type Out = Call<B>;
    type Exit = ();

    fn enter(&self, call: Call<B>) -> Enter<Call<B>, ()> {
        let path = call.request.uri().path();
        let (method, headers) = (call.request.method(), call.request.headers());
        if is_public(path) || self.admits(path, headers) || self.is_peer(method, path, headers) {
            return Enter::Pass(call, ());
        }
        let security_event = self.app.security.note(SecurityEvent::AdminUnauthorized);
        tracing::warn!(
            security_event,
            request_id = %call.request_id,
            client_ip = %call.client_ip,
            "a request to the admin listener had no valid token"
        );
        Enter::Respond(refusal().into())
    }

    fn leave((): (), reply: Reply) -> Reply {
        reply
    }
}

impl Auth {
    /// For the tokens of this server.
    pub fn new(app: Arc<App>) -> Self {
        Self { app }
    }

    fn admits(&self, path: &str, headers: &HeaderMap) -> bool {
        let value = headers.get(AUTHORIZATION).and_then(|value| value.to_str().ok());
        let Some(token) = value.and_then(bearer_token) else { return false };
        let config = self.app.config();
        let admin = &config.admin;
        is_token(token, admin.token.as_ref())
            || path == "/metrics" && is_token(token, admin.metrics_token.as_ref())
    }

    /// Whether another node that has our token asks what nodes may ask each other.
    fn is_peer(&self, method: &Method, path: &str, headers: &HeaderMap) -> bool {
        let config = self.app.config();
        let Some(token) = &config.admin.token else { return false };
        let proof = headers.get(AUTHORIZATION).and_then(|value| value.to_str().ok());
        method == Method::GET
            && QUESTIONS.contains(&path)
            && proof.is_some_and(|proof| {
                peers::is_proof(proof, token, self.app.cluster.id(), path, self.app.clock.now())
            })
    }
}

/// The page itself tells nothing; its script asks for the token.
fn is_public(path: &str) -> bool {
    path.trim_end_matches('/') == "/ops" || page::is_part(path)
}

/// Compares hashes, so that the time tells neither how much was right nor how long the token is.
fn is_token(presented: &str, expected: Option<&SecretString>) -> bool {
    let Some(expected) = expected else { return false };
    let hash = |text: &str| digest(&SHA256, text.as_bytes());
    let (presented, expected) = (hash(presented), hash(expected.expose_secret()));
    aws_lc_rs::constant_time::verify_slices_are_equal(presented.as_ref(), expected.as_ref()).is_ok()
}

fn refusal() -> ApiResponse {
    #[derive(Serialize)]
    struct Refusal {
        error: &'static str,
        message: &'static str,
        status: u16,
    }
    let body = Refusal {
        error: "unauthorized",
        message: "Send the token of AUTH_ADMIN_TOKEN: Authorization: Bearer <token>",
        status: 401,
    };
    ApiResponse::json(&body)
        .unwrap_or_default()
        .with_status(StatusCode::UNAUTHORIZED)
        .with_header(WWW_AUTHENTICATE, HeaderValue::from_static("Bearer realm=\"keywright-admin\""))
}
