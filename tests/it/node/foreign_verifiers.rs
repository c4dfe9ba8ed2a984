//! Verifiers that cache the published set, while keys rotate under load on three nodes.

use std::path::Path;
use std::time::Duration;

use futures_util::future::join_all;
use jsonwebtoken::jwk::JwkSet;
use jsonwebtoken::{DecodingKey, Validation};
use serde_json::{Value, json};
use tokio::process::Command;

use super::signing_keys::{Nodes, published};
use crate::support::app::{Client, Session};
use crate::support::{jwt, tool};

/// A resource server that keeps the published set for ten minutes, whatever names tokens have.
struct Verifier {
    set: Value,
    fetched_at: i64,
}

impl Verifier {
    const KEEPS_S: i64 = 600;

    fn new() -> Self {
        Self { set: Value::Null, fetched_at: i64::MIN / 2 }
    }

    async fn verify(&mut self, node: &Client, token: &str, now: i64) -> Result<(), String> {
        if now - self.fetched_at >= Self::KEEPS_S {
            self.set = node.get("/.well-known/jwks.json").await.json();
            self.fetched_at = now;
        }
        let set: JwkSet = serde_json::from_value(self.set.clone()).unwrap();
        let header = jsonwebtoken::decode_header(token).map_err(|error| error.to_string())?;
        let jwk = header.kid.as_deref().and_then(|kid| set.find(kid)).ok_or("an unknown key")?;
        let mut rules = Validation::new(header.alg);
        rules.set_issuer(&["hasura-auth"]);
        let key = DecodingKey::from_jwk(jwk).map_err(|error| error.to_string())?;
        jsonwebtoken::decode::<Value>(token, &key, &rules).map_err(|error| error.to_string())?;
        Ok(())
    }
}

/// Somebody who refreshes at one node after the other and uses every token everywhere.
struct Visitor {
    session: Session,
    /// Of the round before, which is good for a while.
    before: String,
    verifier: Verifier,
    rounds: usize,
    /// What others are asked about afterwards.
    seen: Vec<Value>,
}

impl Visitor {
    async fn round(&mut self, nodes: &Nodes) {
        let node = &nodes.nodes[self.rounds % nodes.nodes.len()];
        self.rounds += 1;
        let response = node.refresh(self.session.refresh_token()).await;
        assert_eq!(response.status, 200, "round {}: {response:?}", self.rounds);
        self.session = response.session();
        let token = self.session.access_token().to_owned();
        for token in [&token, &self.before] {
            nodes.assert_accepted(token, true, &format!("round {}", self.rounds)).await;
            if jwt::header(token)["alg"] != "HS256" {
                let now = nodes.clock.now().unix_timestamp();
                let verified = self.verifier.verify(node, token, now).await;
                assert_eq!(verified, Ok(()), "round {}", self.rounds);
                let jwks = node.get("/.well-known/jwks.json").await.json();
                let node = self.rounds % nodes.nodes.len();
                self.seen.push(json!({"node": node, "now": now, "token": token, "jwks": jwks}));
            }
        }
        self.before = token;
    }
}

/// Three rotations while visitors come to three nodes; everything that they saw, in order.
async fn rotate_under_load() -> Vec<Value> {
    let nodes = Nodes::start(3, &[("AUTH_RATE_LIMIT_ENABLE", "false")]).await;
    let mut visitors = Vec::new();
    for _ in 0..3 {
        let session = nodes.first().anonymous().await;
        let (before, verifier) = (session.access_token().to_owned(), Verifier::new());
        visitors.push(Visitor { session, before, verifier, rounds: 0, seen: Vec::new() });
    }
    let mut kids = Vec::new();
    for algorithm in ["ES256", "EdDSA", "RS256"] {
        let kid = nodes.add(algorithm, false).await;
        // The hour in which the key is published, in steps that tokens outlive.
        for _ in 0..6 {
            nodes.advance(Duration::from_mins(10));
            join_all(visitors.iter_mut().map(|visitor| visitor.round(&nodes))).await;
        }
        // Some nodes sign with the new key while others have not heard of it.
        let rounds = visitors.iter_mut().map(async |visitor| {
            for _ in 0..5 {
                visitor.round(&nodes).await;
            }
        });
        tokio::join!(nodes.rotate(false), join_all(rounds));
        nodes.sign_with(&kid).await;
        for visitor in &mut visitors {
            visitor.round(&nodes).await;
            assert_eq!(jwt::header(visitor.session.access_token())["kid"], kid.as_str());
        }
        kids.push(kid);
    }
    let keys = published(nodes.first()).await;
    assert_eq!(keys, [kids[2].as_str(), kids[1].as_str()], "the current key and the one before");
    let mut seen: Vec<_> = visitors.into_iter().flat_map(|visitor| visitor.seen).collect();
    seen.sort_by_key(|entry| entry["now"].as_i64());
    seen
}

#[tokio::test]
async fn three_rotations_under_load_refuse_nothing_anywhere() {
    assert!(rotate_under_load().await.len() > 100);
}

#[tokio::test]
async fn libraries_of_others_that_cache_the_published_set_refuse_nothing() {
    let seen = rotate_under_load().await;
    let file = std::env::temp_dir().join(format!("keywright-seen-{}.json", uuid::Uuid::new_v4()));
    std::fs::write(&file, serde_json::to_string(&seen).unwrap()).unwrap();
    let tests = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests");
    let python = tests.join("schemathesis/.venv/bin/python");
    assert!(tests.join("js/node_modules/jose").exists(), "jose is not installed: run make test");
    assert!(python.exists(), "PyJWT is not installed: run make test");
    let jose = tool::run_node(|node| {
        node.arg(tests.join("js/cached-jwks.mjs")).arg(&file);
    })
    .await;
    let arguments = |command: &mut Command| {
        command.arg(tests.join("schemathesis/cached_jwks.py")).arg(&file);
    };
    let pyjwt = tool::run("PyJWT", python, arguments, tool::killed).await;
    std::fs::remove_file(&file).unwrap();
    for output in [jose, pyjwt] {
        let said = [output.stdout, output.stderr].concat();
        let said = String::from_utf8_lossy(&said);
        assert!(output.status.success(), "{said}");
        assert_eq!(said.trim(), format!("{} accepted", seen.len()));
    }
}
