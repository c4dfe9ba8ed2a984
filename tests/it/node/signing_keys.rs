//! Signing keys that the database keeps: rotated under load, by themselves, and by two at once.

use std::sync::Arc;
use std::time::Duration;

use keywright::actors::signing_keys::{Addition, add_next};
use keywright::config::{Config, Sources};
use keywright::domain::clock::Clock;
use keywright::domain::signing_key::{KeyState, Rotation, SigningKey, rotation};
use keywright::persistence::signing_keys as table;
use keywright::reload;
use keywright::sealing::Sealer;
use secrecy::SecretString;
use serde_json::json;

use crate::support::app::{Client, JWT_SECRET, TestApp, settings};
use crate::support::gate::Gate;
use crate::support::jwt;
use crate::support::postgres::TestDatabase;
use crate::support::smtp::eventually;

const HOUR: Duration = Duration::from_hours(1);
/// Of access tokens, with what is added for nodes that hear late.
const ACCEPTED_FOR: Duration = Duration::from_mins(16);

/// Nodes on one database, with one clock, and an operator.
pub(super) struct Nodes {
    pub(super) nodes: Vec<TestApp>,
    pub(super) clock: Clock,
}

impl Nodes {
    pub(super) async fn start(count: usize, more: &[(&str, &str)]) -> Self {
        let (database, clock) = (Arc::new(TestDatabase::new().await), Clock::system());
        let mut nodes = Vec::new();
        for _ in 0..count {
            nodes.push(TestApp::start_at(Arc::clone(&database), clock.clone(), more).await);
        }
        Self { nodes, clock }
    }

    pub(super) fn first(&self) -> &TestApp {
        &self.nodes[0]
    }

    pub(super) fn advance(&self, by: Duration) {
        self.clock.advance(by.try_into().unwrap());
    }

    /// The stored keys, newest first.
    async fn keys(&self) -> Vec<SigningKey> {
        let rows = table::list(&self.first().app().pool, true).await.unwrap();
        rows.into_iter().map(|row| row.key).collect()
    }

    async fn kid(&self, state: KeyState) -> Option<String> {
        self.keys().await.into_iter().find(|key| key.state == state).map(|key| key.kid)
    }

    /// Adds a next key and waits until every node publishes it.
    pub(super) async fn add(&self, algorithm: &str, signs_by_itself: bool) -> String {
        let app = self.first().app();
        let addition = Addition {
            algorithm: algorithm.to_owned(),
            publish_ahead: HOUR,
            signs_by_itself,
            advanced: self.clock.advanced(),
        };
        let added = add_next(&app.pool, &app.signing_keys.sealer, &addition).await.unwrap();
        let kid = added.expect("there is no next key").kid;
        for node in &self.nodes {
            eventually("a published key", async || published(node).await.contains(&kid)).await;
        }
        kid
    }

    async fn rotate_as(&self, rotation: &Rotation, early: bool) -> bool {
        let pool = &self.first().app().pool;
        let advanced = self.clock.advanced();
        table::rotate(pool, rotation, ACCEPTED_FOR, early, advanced).await.unwrap()
    }

    pub(super) async fn rotate(&self, early: bool) {
        let rotation = rotation(&self.keys().await).expect("there is a next key");
        assert!(self.rotate_as(&rotation, early).await);
    }

    /// Waits until every node signs with this key.
    pub(super) async fn sign_with(&self, kid: &str) {
        for node in &self.nodes {
            eventually("a new key", async || node.app().keys.load().kid() == Some(kid)).await;
        }
    }

    /// Every node says that this token is good, or none does.
    pub(super) async fn assert_accepted(&self, token: &str, is_accepted: bool, when: &str) {
        for (at, node) in self.nodes.iter().enumerate() {
            let response = node.post("/token/verify", json!({"token": token})).await;
            assert_eq!(response.status == 200, is_accepted, "node {at}, {when}: {response:?}");
        }
    }
}

/// The names of the published keys.
pub(super) async fn published(client: &Client) -> Vec<String> {
    let keys = client.get("/.well-known/jwks.json").await.json()["keys"].clone();
    let keys = keys.as_array().unwrap().clone();
    keys.iter().map(|key| key["kid"].as_str().unwrap().to_owned()).collect()
}

#[tokio::test]
async fn a_previous_key_ends_after_the_lifetime_and_its_private_half_with_it() {
    // Tokens that live longer than the key is accepted tell the end of one from that of the other.
    let nodes = Nodes::start(2, &[("AUTH_ACCESS_TOKEN_EXPIRES_IN", "7200")]).await;
    let one = nodes.add("ES256", false).await;
    nodes.rotate(true).await;
    nodes.sign_with(&one).await;
    let token = nodes.first().anonymous().await.access_token().to_owned();
    let two = nodes.add("ES256", false).await;
    nodes.rotate(true).await;
    nodes.sign_with(&two).await;
    nodes.advance(ACCEPTED_FOR.checked_sub(Duration::from_mins(2)).unwrap());
    nodes.assert_accepted(&token, true, "within the lifetime").await;
    assert!(published(nodes.first()).await.contains(&one));
    nodes.advance(Duration::from_mins(2));
    nodes.assert_accepted(&token, false, "after the lifetime").await;
    assert!(!published(nodes.first()).await.contains(&one));
    eventually("the end of the private key", async || {
        let rows = table::list(&nodes.first().app().pool, true).await.unwrap();
        rows.iter().any(|row| row.key.kid == one && row.private_key.is_none())
    })
    .await;
}

#[tokio::test]
async fn from_a_shared_secret_to_a_key_pair_nobody_is_signed_out() {
    let nodes = Nodes::start(2, &[]).await;
    let [first, second] = [&nodes.nodes[0], &nodes.nodes[1]];
    let session = first.sign_up("ann@example.com").await.session();
    assert_eq!(published(first).await, [""; 0]);
    let kid = nodes.add("ES256", true).await;
    let token = first.refresh(session.refresh_token()).await.session();
    assert_eq!(jwt::header(token.access_token())["alg"], "HS256", "published first");
    nodes.advance(HOUR);
    nodes.sign_with(&kid).await;
    // The token of before has expired meanwhile; the session goes on.
    let after = second.refresh(token.refresh_token()).await.session();
    assert_eq!(jwt::header(after.access_token())["kid"], kid.as_str());
    nodes.assert_accepted(after.access_token(), true, "after").await;
    let mut claims = jwt::claims(session.user_id());
    let now = nodes.clock.now().unix_timestamp();
    claims["iat"] = json!(now);
    claims["exp"] = json!(now + 3_600);
    let old = jwt::sign(&claims);
    nodes.assert_accepted(&old, true, "an old token within its lifetime").await;
    nodes.advance(ACCEPTED_FOR + Duration::from_secs(5));
    nodes.assert_accepted(&old, false, "the secret counts no more").await;
}

#[tokio::test]
async fn keys_rotate_by_themselves_on_one_node_each_time() {
    let more = [("AUTH_JWT_KEY_ROTATION", "24h"), ("AUTH_JWT_KEY_PUBLISH_AHEAD", "1h")];
    let nodes = Nodes::start(3, &more).await;
    let mut kid = nodes.add("ES384", false).await;
    nodes.rotate(true).await;
    nodes.sign_with(&kid).await;
    let steps = |nodes: &Nodes| {
        let stats = nodes.nodes.iter().map(|node| &node.app().signing_keys.stats);
        stats.fold((0, 0), |sum, stats| (sum.0 + stats.added.get(), sum.1 + stats.rotated.get()))
    };
    for round in 1..=2 {
        nodes.advance(HOUR * 23);
        eventually("a next key", async || nodes.kid(KeyState::Next).await.is_some()).await;
        let next = nodes.kid(KeyState::Next).await.unwrap();
        nodes.advance(HOUR);
        nodes.sign_with(&next).await;
        assert_ne!(kid, next);
        kid = next;
        assert_eq!(steps(&nodes), (round, round));
    }
    let keys = nodes.keys().await;
    assert_eq!(keys.len(), 3);
    assert!(keys.iter().all(|key| key.algorithm == "ES384"), "each is like the one before");
}

#[tokio::test]
async fn of_two_operators_one_rotates_and_no_key_signs_before_it_is_ready() {
    let nodes = Nodes::start(1, &[]).await;
    let app = nodes.first().app();
    nodes.add("ES256", false).await;
    let first = rotation(&nodes.keys().await).unwrap();
    assert!(!nodes.rotate_as(&first, false).await, "it was published a moment ago");
    let both = tokio::join!(nodes.rotate_as(&first, true), nodes.rotate_as(&first, true));
    assert!(both.0 != both.1, "{both:?}");
    let addition = Addition {
        algorithm: "ES256".to_owned(),
        publish_ahead: HOUR,
        signs_by_itself: false,
        advanced: nodes.clock.advanced(),
    };
    let add = || add_next(&app.pool, &app.signing_keys.sealer, &addition);
    let (one, other) = tokio::join!(add(), add());
    assert!(one.unwrap().is_some() != other.unwrap().is_some(), "one next key");
    let second = rotation(&nodes.keys().await).unwrap();
    let both = tokio::join!(nodes.rotate_as(&second, true), nodes.rotate_as(&second, true));
    assert!(both.0 != both.1, "{both:?}");
    assert!(!nodes.rotate_as(&first, true).await, "these keys are others meanwhile");
    let current: Vec<_> =
        nodes.keys().await.into_iter().filter(|key| key.state == KeyState::Current).collect();
    assert_eq!(current.len(), 1);
    let retired = table::retire(&app.pool, &current[0].kid, nodes.clock.advanced()).await;
    assert!(!retired.unwrap(), "it signs");
}

#[tokio::test]
async fn a_previous_key_that_an_operator_ends_is_refused_at_once() {
    let nodes = Nodes::start(2, &[]).await;
    let one = nodes.add("ES256", false).await;
    nodes.rotate(true).await;
    nodes.sign_with(&one).await;
    let token = nodes.first().anonymous().await.access_token().to_owned();
    let two = nodes.add("ES256", false).await;
    nodes.rotate(true).await;
    nodes.sign_with(&two).await;
    nodes.assert_accepted(&token, true, "for a while").await;
    assert!(table::retire(&nodes.first().app().pool, &one, nodes.clock.advanced()).await.unwrap());
    for node in &nodes.nodes {
        eventually("the end of a key", async || {
            node.post("/token/verify", json!({"token": token})).await.status == 400
        })
        .await;
        assert_eq!(published(node).await, [two.as_str()]);
    }
}

#[tokio::test]
async fn a_node_whose_key_rotator_dies_goes_on_signing_and_hears_of_rotations_again() {
    let nodes = Nodes::start(2, &[]).await;
    let one = nodes.add("ES256", false).await;
    nodes.rotate(true).await;
    nodes.sign_with(&one).await;
    let second = &nodes.nodes[1];
    let rotator = &second.app().actors.key_rotator;
    rotator.crash();
    let session = second.anonymous().await;
    assert_eq!(jwt::header(session.access_token())["kid"], one.as_str());
    nodes.assert_accepted(session.access_token(), true, "meanwhile").await;
    rotator.kill();
    let two = nodes.add("ES256", false).await;
    rotator.crash();
    nodes.rotate(true).await;
    nodes.sign_with(&two).await;
    let session = second.refresh(session.refresh_token()).await.session();
    assert_eq!(jwt::header(session.access_token())["kid"], two.as_str());
    nodes.assert_accepted(session.access_token(), true, "after the rotation").await;
}

#[tokio::test]
async fn a_node_that_hears_nothing_reads_the_keys_all_the_same() {
    let database = TestDatabase::new().await;
    // What its change feed sends to itself never arrives.
    let gate = Gate::to(&database.url(), "pg_notify", Arc::default()).await;
    let url = gate.url(database.name());
    gate.close();
    let (database, clock) = (Arc::new(database), Clock::system());
    let hears = TestApp::start_at(Arc::clone(&database), clock.clone(), &[]).await;
    let deaf = [("POSTGRES_CONNECTION", url.as_str())];
    let deaf = TestApp::start_at(database, clock.clone(), &deaf).await;
    let nodes = Nodes { nodes: vec![hears, deaf], clock };
    let kid = nodes.add("ES256", false).await;
    nodes.rotate(true).await;
    nodes.sign_with(&kid).await;
}

#[tokio::test]
async fn a_node_that_cannot_open_a_key_goes_on_with_the_one_before_and_says_so() {
    let nodes = Nodes::start(1, &[]).await;
    let app = nodes.first().app();
    let other = SecretString::from("000102030405060708090a0b0c0d0e0f");
    let other = Sealer::new(Some(&other), None).unwrap();
    let addition = Addition {
        algorithm: "ES256".to_owned(),
        publish_ahead: HOUR,
        signs_by_itself: false,
        advanced: nodes.clock.advanced(),
    };
    let added = add_next(&app.pool, &other, &addition).await.unwrap().unwrap();
    let failed = || app.signing_keys.stats.failed.get();
    eventually("a failure", async || failed() > 0).await;
    nodes.advance(HOUR * 2);
    let before = failed();
    nodes.rotate(false).await;
    eventually("another failure", async || failed() > before).await;
    let token = nodes.first().anonymous().await.access_token().to_owned();
    assert_eq!(jwt::header(&token)["alg"], "HS256");
    nodes.assert_accepted(&token, true, "of the key before").await;
    assert!(!published(nodes.first()).await.contains(&added.kid));
}

/// The configuration of a test server with this secret, and with sign-up switched off.
fn changed(app: &TestApp, secret: &str) -> Config {
    let url = app.database.url();
    let more = [("HASURA_GRAPHQL_JWT_SECRET", secret), ("AUTH_DISABLE_SIGNUP", "true")];
    Config::from_sources(&Sources::from_env(settings(&url, &more))).unwrap().config
}

#[tokio::test]
async fn a_reload_puts_all_in_force_or_nothing_and_the_key_before_is_accepted_for_a_while() {
    let nodes = Nodes::start(1, &[]).await;
    let app = nodes.first();
    let session = app.anonymous().await;
    let bad = json!({"type": "ES256", "key": "no key", "signing_key": "no key"}).to_string();
    reload::apply(app.app(), changed(app, &bad)).await.unwrap_err();
    app.sign_up("ann@example.com").await.session();
    let fresh = app.refresh(session.refresh_token()).await.session();
    nodes.assert_accepted(fresh.access_token(), true, "nothing has changed").await;

    let other = JWT_SECRET.replace("5152fa85", "deadbeef");
    reload::apply(app.app(), changed(app, &other)).await.unwrap();
    app.sign_up("bob@example.com").await.assert_refused(403, "signup-disabled");
    let after = app.refresh(fresh.refresh_token()).await.session();
    nodes.assert_accepted(fresh.access_token(), true, "the key before").await;
    nodes.assert_accepted(after.access_token(), true, "the new key").await;
    // A token that would live longer is over when the key is.
    let mut claims = jwt::claims(uuid::Uuid::new_v4());
    claims["exp"] = json!(nodes.clock.now().unix_timestamp() + 7_200);
    let long = jwt::sign(&claims);
    nodes.advance(ACCEPTED_FOR.checked_sub(Duration::from_mins(2)).unwrap());
    nodes.assert_accepted(&long, true, "within the lifetime").await;
    nodes.advance(Duration::from_secs(130));
    nodes.assert_accepted(&long, false, "after the lifetime").await;
}

#[tokio::test]
async fn the_published_set_may_be_cached_for_less_than_a_key_is_published_ahead() {
    for (ahead, seconds) in [("1h", 300), ("10m", 150), ("0s", 0)] {
        let app = TestApp::start(&[("AUTH_JWT_KEY_PUBLISH_AHEAD", ahead)]).await;
        let jwks = app.get("/.well-known/jwks.json").await;
        let expected = format!("public, max-age={seconds}");
        assert_eq!(jwks.header("cache-control"), Some(expected.as_str()), "{ahead}");
    }
}
