//! One knob for all nodes.

use std::time::Duration;

use reqwest::{Method, StatusCode};
use serde_json::{Value, json};
use tokio::time::Instant;

use crate::support::admin::{METRICS_TOKEN, Operator, TOKEN};
use crate::support::app::{Client, TestResponse};
use crate::support::smtp::eventually;
use crate::support::three_nodes::{ThreeNodes, node};

const NAME: &str = "AUTH_SESSION_BATCH_MAX";
/// In which a change is in force everywhere.
const SOON: Duration = Duration::from_secs(1);

async fn patch_all(operator: &Operator, body: &Value) -> TestResponse {
    let request = operator.stranger().request(Method::PATCH, "/ops/cluster/settings");
    Client::send(request.bearer_auth(TOKEN).json(body)).await
}

async fn setting(operator: &Operator, name: &str) -> Value {
    let report = operator.get("/ops/settings").await.json();
    let all = report["settings"].as_array().unwrap();
    all.iter().find(|setting| setting["name"] == name).unwrap().clone()
}

/// Value and where it comes from.
async fn value(operator: &Operator) -> (String, String) {
    let setting = setting(operator, NAME).await;
    let text = |member: &str| setting[member].as_str().unwrap().to_owned();
    (text("value"), text("source"))
}

/// Waits until all nodes have it; how long that took.
async fn everywhere(operators: &[Operator], since: Instant, expected: (&str, &str)) -> Duration {
    for operator in operators {
        eventually("the value", async || {
            let (value, source) = value(operator).await;
            (value.as_str(), source.as_str()) == expected
        })
        .await;
    }
    since.elapsed()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_change_for_all_is_in_force_everywhere_within_a_second_and_at_newcomers() {
    let three = ThreeNodes::start().await;
    let operators = three.operators();
    assert_eq!(value(&operators[2]).await, ("256".to_owned(), "default".to_owned()));

    let asked = Instant::now();
    let changed = patch_all(&operators[0], &json!({NAME: 7})).await;
    assert_eq!(changed.json()["changed"], json!([{"name": NAME, "old": "256", "new": "7"}]));
    let mut took = vec![everywhere(&operators, asked, ("7", "cluster")).await];
    for node in &three.nodes {
        assert_eq!(node.app().config().actors.session_batch_max, 7);
    }

    let environment = [("AUTH_NODE_NAME", "newcomer"), (NAME, "99")];
    let newcomer = three.another(&environment).await;
    let there = Operator::of(&newcomer);
    assert_eq!(newcomer.app().config().actors.session_batch_max, 7, "from its first request on");
    assert_eq!(value(&there).await, ("7".to_owned(), "cluster".to_owned()));

    // Who sets it at one node means that node, until it is set for all anew.
    there.tune(json!({NAME: 8})).await;
    assert_eq!(value(&there).await, ("8".to_owned(), "node".to_owned()));
    assert_eq!(value(&operators[0]).await, ("7".to_owned(), "cluster".to_owned()));
    assert_eq!(setting(&there, NAME).await["cluster"], "7");
    let asked = Instant::now();
    patch_all(&there, &json!({NAME: "9"})).await;
    assert_eq!(value(&there).await, ("9".to_owned(), "cluster".to_owned()));
    took.push(everywhere(&operators, asked, ("9", "cluster")).await);

    let asked = Instant::now();
    let changed = patch_all(&operators[1], &json!({NAME: null})).await;
    assert_eq!(changed.json()["changed"], json!([{"name": NAME, "old": "9", "new": "256"}]));
    took.push(everywhere(&operators, asked, ("256", "default")).await);
    // One may meet a machine that is busy with other tests.
    assert!(took.iter().min() < Some(&SOON), "{took:?}");
    eventually("the newcomer", async || {
        value(&there).await == ("99".to_owned(), "environment".to_owned())
    })
    .await;
    let stored = "select count(*) from auth.keywright_settings where name like 'override.%'";
    assert_eq!(three.database.count(stored).await, 0);
}

#[tokio::test]
async fn a_change_that_one_node_cannot_use_is_refused_as_a_whole() {
    let three = ThreeNodes::start().await;
    let operators = three.operators();
    for (name, value, reason) in [
        ("AUTH_NO_SUCH_SETTING", json!(1), "no such setting"),
        ("AUTH_SESSION_SHARDS", json!(2), "next start"),
        ("HASURA_GRAPHQL_JWT_SECRET", json!("{}"), "SIGHUP"),
        ("AUTH_ADMIN_TOKEN", json!("x"), "SIGHUP"),
        ("AUTH_SESSION_MAX_IN_FLIGHT", json!(0), "between 1 and"),
        ("AUTH_ACTOR_BACKOFF_MIN", json!("1h"), "AUTH_ACTOR_BACKOFF_MAX"),
    ] {
        let refused = patch_all(&operators[0], &json!({NAME: 5, name: value})).await;
        assert_eq!(refused.status, StatusCode::BAD_REQUEST, "{name}: {refused:?}");
        let problem = refused.json()["problems"][0].clone();
        assert_eq!(problem["name"], name);
        assert!(problem["reason"].as_str().unwrap().contains(reason), "{problem}");
    }
    // A node of a version that does not know the setting yet.
    let change =
        "update auth.keywright_nodes set knobs = array_remove(knobs, 'AUTH_SESSION_BATCH_MAX'),
                      version = '0.0.9' where name = 'b'";
    three.database.execute(change).await;
    let refused =
        patch_all(&operators[0], &json!({NAME: 5, "AUTH_SESSION_MAX_IN_FLIGHT": 6})).await;
    assert_eq!(refused.status, StatusCode::BAD_REQUEST);
    let reason = refused.json()["problems"][0]["reason"].to_string();
    assert!(reason.contains("node b of version 0.0.9 does not know it"), "{reason}");
    for operator in &operators {
        assert_eq!(value(operator).await, ("256".to_owned(), "default".to_owned()));
        assert_eq!(setting(operator, "AUTH_SESSION_MAX_IN_FLIGHT").await["value"], "8192");
    }
    let stored = "select count(*) from auth.keywright_settings where name like 'override.%'";
    assert_eq!(three.database.count(stored).await, 0);

    // Without the token of operators there is no knob.
    for token in ["wrong", METRICS_TOKEN] {
        let request = operators[0].stranger().request(Method::PATCH, "/ops/cluster/settings");
        let refused = Client::send(request.bearer_auth(token).json(&json!({NAME: 5}))).await;
        refused.assert_refused(401, "unauthorized");
    }
}

/// What another version has set for all, or what does not go with what one node was given.
#[tokio::test]
async fn a_node_that_cannot_use_what_holds_for_all_serves_without_and_says_so() {
    let three = ThreeNodes::start().await;
    let operator = three.operator();
    let put = "insert into auth.keywright_settings (name, value)
               values ('override.AUTH_OF_A_LATER_VERSION', '1'), ('override.AUTH_SESSION_BATCH_MAX', '12')";
    three.database.execute(put).await;
    eventually("what is known", async || {
        value(&operator).await == ("12".to_owned(), "cluster".to_owned())
    })
    .await;
    eventually("the word", async || {
        let disagrees = node(&operator, "b").await["disagrees"][0].clone();
        disagrees["subject"] == "settings"
            && disagrees["advice"].as_str().unwrap().contains("AUTH_OF_A_LATER_VERSION")
    })
    .await;
    let newcomer = three.another(&[("AUTH_NODE_NAME", "newcomer")]).await;
    assert_eq!(newcomer.app().config().actors.session_batch_max, 12);
    // It can be taken back by whoever does not know it.
    let back = patch_all(&operator, &json!({"AUTH_OF_A_LATER_VERSION": null, NAME: null})).await;
    assert_eq!(back.status, StatusCode::OK, "{back:?}");
    eventually("agreement", async || {
        node(&operator, "b").await["disagrees"] == json!([])
            && value(&operator).await.1 == "default"
    })
    .await;

    let picky =
        three.another(&[("AUTH_NODE_NAME", "picky"), ("AUTH_ACTOR_BACKOFF_MIN", "3s")]).await;
    let set = patch_all(&operator, &json!({"AUTH_ACTOR_BACKOFF_MAX": "2s"})).await;
    assert_eq!(set.status, StatusCode::OK, "{set:?}");
    eventually("the word", async || {
        node(&operator, "picky").await["disagrees"][0]["subject"] == "settings"
    })
    .await;
    picky.anonymous().await;
    assert_eq!(picky.app().config().actors.backoff_max, Duration::from_secs(5));
}
