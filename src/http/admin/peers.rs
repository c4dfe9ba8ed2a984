//! `GET /ops/nodes/{id}/{question}`: what another node says of itself, asked by this one.
//!
//! Nodes prove to each other that they have the same token without sending it: an address comes from a
//! table, which others may write to, and whoever listens there must learn nothing. The proof is for one
//! node, one question and one minute. Only addresses of nodes that live are asked, for a short time, and
//! only what looks like a report is handed on.

use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;
use std::time::Duration;

use aws_lc_rs::hmac;
use http::StatusCode;
use http::header::AUTHORIZATION;
use reqwest::redirect::Policy;
use secrecy::{ExposeSecret as _, SecretString};
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use time::OffsetDateTime;
use uuid::Uuid;

use super::Admin;
use super::cluster::since;
use super::report::TreeReport;
use super::settings::SettingsReport;
use crate::actors::cluster::history::HistoryReport;
use crate::actors::cluster::members::assess;
use crate::http::pipeline::router::HandlerResult;
use crate::http::{ApiRequest, ApiResponse};
use crate::http_client;
use crate::persistence::nodes::{self, NodeRow};
use crate::persistence::settings::{from_hex, to_hex};

/// What nodes ask each other.
pub(super) const QUESTIONS: [&str; 3] = ["/ops/actors", "/ops/history", "/ops/settings"];

/// Longest wait for a node.
const PATIENCE: Duration = Duration::from_secs(2);
/// Longest report.
const MAX_BYTES: usize = 1 << 20;
/// How far the clocks of two nodes may be apart, and how old a proof may be, in seconds.
const PROOF_AGE_S: i64 = 60;
/// The scheme of a proof in `Authorization`.
const SCHEME: &str = "Keywright-Node";

/// Asks other nodes.
pub struct Peers(reqwest::Client);

impl Peers {
    /// Directly, and nobody whom a node points to.
    pub fn new() -> reqwest::Result<Self> {
        let client = http_client::builder()
            .timeout(PATIENCE)
            .no_proxy()
            .redirect(Policy::none())
            .pool_max_idle_per_host(2)
            .build()?;
        Ok(Self(client))
    }
}

/// What shows that somebody has `token` and asks this node this question now.
fn proof(token: &SecretString, node: Uuid, path: &str, now: OffsetDateTime) -> String {
    let at = now.unix_timestamp();
    format!("{SCHEME} {at} {}", to_hex(tag(token, node, path, at).as_ref()))
}

/// Whether it is a proof for this node and question of about now.
pub(super) fn is_proof(
    text: &str,
    token: &SecretString,
    node: Uuid,
    path: &str,
    now: OffsetDateTime,
) -> bool {
    let mut words = text.split(' ');
    let (Some(SCHEME), Some(at), Some(shown), None) =
        (words.next(), words.next(), words.next(), words.next())
    else {
        return false;
    };
    let (Ok(at), Some(shown)) = (at.parse::<i64>(), from_hex(shown)) else { return false };
    let is_of_now = now.unix_timestamp().abs_diff(at) <= PROOF_AGE_S.unsigned_abs();
    let right = tag(token, node, path, at);
    is_of_now && aws_lc_rs::constant_time::verify_slices_are_equal(right.as_ref(), &shown).is_ok()
}

fn tag(token: &SecretString, node: Uuid, path: &str, at: i64) -> hmac::Tag {
    let key = hmac::Key::new(hmac::HMAC_SHA256, token.expose_secret().as_bytes());
    hmac::sign(&key, format!("keywright node asks v1\nGET\n{path}\n{node}\n{at}").as_bytes())
}

/// Why a node did not tell.
#[derive(Debug)]
struct Silent {
    status: StatusCode,
    error: &'static str,
    message: String,
}

#[derive(Serialize, Deserialize)]
struct SilentReport<'a> {
    error: &'a str,
    message: &'a str,
    status: u16,
}

impl Silent {
    fn new(status: StatusCode, error: &'static str, message: impl Into<String>) -> Self {
        Self { status, error, message: message.into() }
    }

    fn response(&self) -> HandlerResult {
        let Self { status, error, message } = self;
        let report = SilentReport { error, message, status: status.as_u16() };
        Ok(ApiResponse::json(&report)?.with_status(*status))
    }
}

/// Asks the node, or answers for this one.
pub async fn get(admin: Arc<Admin>, request: ApiRequest) -> HandlerResult {
    let id = request.param("id").and_then(|id| Uuid::parse_str(id).ok());
    let question = request.param("question").unwrap_or_default();
    let is_own = id == Some(admin.app.cluster.id());
    let since = if question == "history" { since(&request)? } else { 0 };
    let Some(id) = id else { return unknown().response() };
    match question {
        "actors" if is_own => ApiResponse::json(&TreeReport::of(&admin.app)),
        "settings" if is_own => ApiResponse::json(&SettingsReport::of(&admin)),
        "history" if is_own => ApiResponse::json(&admin.app.cluster.history().after(since)),
        "actors" => hand_on(ask::<TreeReport>(&admin, id, "/ops/actors", 0).await),
        "settings" => hand_on(ask::<SettingsReport>(&admin, id, "/ops/settings", 0).await),
        "history" => hand_on(ask::<HistoryReport>(&admin, id, "/ops/history", since).await),
        _ => {
            let known = "a node can be asked for actors, history or settings";
            Silent::new(StatusCode::NOT_FOUND, "not-found", known).response()
        }
    }
}

fn hand_on<T: Serialize>(told: Result<T, Silent>) -> HandlerResult {
    match told {
        Ok(report) => ApiResponse::json(&report),
        Err(silent) => silent.response(),
    }
}

fn unknown() -> Silent {
    Silent::new(StatusCode::NOT_FOUND, "no-such-node", "No node of this id lives")
}

/// A report of another node, read and written anew: nothing else passes.
async fn ask<T: DeserializeOwned>(
    admin: &Admin,
    id: Uuid,
    path: &str,
    since: i64,
) -> Result<T, Silent> {
    let rows = nodes::list(&admin.app.pool).await.map_err(|_error| {
        let reason = "Postgres, which knows where the node is, does not respond";
        Silent::new(StatusCode::SERVICE_UNAVAILABLE, "service-unavailable", reason)
    })?;
    let members = assess(&rows, Duration::ZERO);
    let node = members.into_iter().find(|node| node.row.id == id && node.state.lives());
    let node = node.ok_or_else(unknown)?.row;
    let address = address(&node).ok_or_else(|| {
        let reason = format!("{} has no admin listener (AUTH_ADMIN_PORT)", node.name);
        Silent::new(StatusCode::CONFLICT, "no-admin-listener", reason)
    })?;
    let cluster = &admin.app.cluster;
    if cluster.id() != id && cluster.admin_address() == Some(address) {
        let reason = format!("{} listens on its own machine only (AUTH_ADMIN_BIND)", node.name);
        return Err(Silent::new(StatusCode::CONFLICT, "no-admin-listener", reason));
    }
    let config = admin.app.config.load_full();
    let token = config.admin.token.as_ref().ok_or_else(|| {
        Silent::new(StatusCode::CONFLICT, "token-differs", "AUTH_ADMIN_TOKEN is not set")
    })?;
    let proof = proof(token, id, path, admin.app.clock.now());
    let url = format!("http://{address}{path}{}", query(since));
    let request = admin.peers.0.get(url).header(AUTHORIZATION, proof);
    let away = |reason: &str| {
        let reason = format!("{} at {address} {reason}", node.name);
        Silent::new(StatusCode::BAD_GATEWAY, "node-unreachable", reason)
    };
    let mut response = request.send().await.map_err(|error| {
        away(if error.is_timeout() { "does not respond in time" } else { "cannot be reached" })
    })?;
    if response.status() == StatusCode::UNAUTHORIZED {
        let reason = format!(
            "{} has another AUTH_ADMIN_TOKEN, or its clock is more than a minute off",
            node.name
        );
        return Err(Silent::new(StatusCode::BAD_GATEWAY, "token-differs", reason));
    }
    let mut body = Vec::new();
    while let Some(bytes) = response.chunk().await.map_err(|_error| away("broke off"))? {
        if body.len() + bytes.len() > MAX_BYTES {
            return Err(away("said too much"));
        }
        body.extend_from_slice(&bytes);
    }
    if !response.status().is_success() {
        return Err(away(&format!("responds {}", response.status().as_u16())));
    }
    serde_json::from_slice(&body)
        .map_err(|_error| away("says what this version does not understand"))
}

fn query(since: i64) -> String {
    if since == 0 { String::new() } else { format!("?since={since}") }
}

/// Numbers only: no name is looked up.
fn address(node: &NodeRow) -> Option<SocketAddr> {
    let ip: IpAddr = node.admin_host.as_deref()?.parse().ok()?;
    let port = u16::try_from(node.admin_port?).ok().filter(|port| *port != 0)?;
    Some(SocketAddr::new(ip, port))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_proof_is_for_one_token_one_node_one_question_and_one_minute() {
        let token = SecretString::from("operator-0123456789abcdef0123456789");
        let (node, other) = (Uuid::from_bytes([1; 16]), Uuid::from_bytes([2; 16]));
        let now = OffsetDateTime::from_unix_timestamp(1_800_000_000).unwrap();
        let text = proof(&token, node, "/ops/actors", now);
        assert!(!text.contains(token.expose_secret()));
        let second = time::Duration::SECOND;
        let holds = |text: &str| is_proof(text, &token, node, "/ops/actors", now);
        assert!(holds(&text));
        assert!(is_proof(&text, &token, node, "/ops/actors", now + second * 60));
        assert!(!is_proof(&text, &token, node, "/ops/actors", now + second * 61));
        assert!(!is_proof(&text, &token, node, "/ops/actors", now - second * 61));
        assert!(!is_proof(&text, &token, node, "/ops/settings", now));
        assert!(!is_proof(&text, &token, other, "/ops/actors", now));
        let another = SecretString::from("operator-0123456789abcdef012345678X");
        assert!(!is_proof(&text, &another, node, "/ops/actors", now));
        let later = text.replacen("1800000000", "1800000001", 1);
        assert!(!holds(&later), "the time is part of it");
        for text in ["", SCHEME, "Keywright-Node x y", &format!("{text} more"), &text[..80]] {
            assert!(!holds(text), "{text}");
        }
    }
}
