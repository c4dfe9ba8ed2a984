//! One node asks another: what is told, and that nobody else is asked or told anything.

use reqwest::{Method, StatusCode};
use serde_json::json;

use crate::support::admin::{METRICS_TOKEN, TOKEN};
use crate::support::app::Client;
use crate::support::http_simulator::{HttpSimulator, Reply};
use crate::support::smtp::eventually;
use crate::support::three_nodes::{ThreeNodes, node};

const QUESTIONS: [&str; 3] = ["actors", "history", "settings"];

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn each_node_is_asked_through_any_other() {
    let three = ThreeNodes::start().await;
    let operator = three.operator();
    three.nodes[1].app().actors.courier.crash();
    for name in ["a", "b", "c"] {
        let id = node(&operator, name).await["id"].as_str().unwrap().to_owned();
        for question in QUESTIONS {
            let told = operator.get(&format!("/ops/nodes/{id}/{question}")).await;
            assert_eq!(told.status, StatusCode::OK, "{name} {question}: {told:?}");
            assert!(!told.text.contains(TOKEN) && !told.text.contains(METRICS_TOKEN));
        }
        let restarts = async || {
            let report = operator.get(&format!("/ops/nodes/{id}/actors")).await.json();
            let actors = report["root"]["children"].as_array().unwrap().clone();
            let courier = actors.into_iter().find(|actor| actor["name"] == "courier").unwrap();
            courier["restarts"].as_u64().unwrap()
        };
        let expected = u64::from(name == "b");
        eventually("its own tree", async || restarts().await == expected).await;
    }
    let id = node(&operator, "b").await["id"].as_str().unwrap().to_owned();
    for path in [format!("/ops/nodes/{id}/metrics"), format!("/ops/nodes/{id}/actors/more")] {
        assert_eq!(operator.get(&path).await.status, StatusCode::NOT_FOUND, "{path}");
    }
    for id in ["00000000-0000-4000-8000-000000000000", "127.0.0.1:80", "x"] {
        let told = operator.get(&format!("/ops/nodes/{id}/actors")).await;
        assert_eq!((told.status, told.error().as_str()), (StatusCode::NOT_FOUND, "no-such-node"));
    }
}

#[tokio::test]
async fn routes_about_nodes_need_the_token_of_operators() {
    let three = ThreeNodes::start().await;
    let operator = three.operator();
    let id = node(&operator, "b").await["id"].as_str().unwrap().to_owned();
    let own = node(&operator, "a").await["id"].as_str().unwrap().to_owned();
    let proof = format!("Keywright-Node 1800000000 {}", "0".repeat(64));
    for path in [
        "/ops/cluster".to_owned(),
        "/ops/history".to_owned(),
        "/ops/page/nothing".to_owned(),
        format!("/ops/nodes/{id}/actors"),
        format!("/ops/nodes/{own}/settings"),
    ] {
        for value in ["", "Bearer wrong", &format!("Bearer {METRICS_TOKEN}"), &proof] {
            let request = operator.stranger().request(Method::GET, &path);
            let refused = Client::send(request.header("authorization", value)).await;
            refused.assert_refused(401, "unauthorized");
        }
    }
}

#[tokio::test]
async fn a_node_with_another_token_or_without_a_listener_is_told_apart() {
    let three = ThreeNodes::start().await;
    let operator = three.operator();
    let other = "another-0123456789abcdef0123456789abcd";
    let _stranger =
        three.another(&[("AUTH_NODE_NAME", "stranger"), ("AUTH_ADMIN_TOKEN", other)]).await;
    let _mute = three.another(&[("AUTH_NODE_NAME", "mute"), ("AUTH_ADMIN_PORT", "")]).await;
    for (name, status, error) in
        [("stranger", 502, "token-differs"), ("mute", 409, "no-admin-listener")]
    {
        eventually(name, async || node(&operator, name).await["state"] == "live").await;
        let id = node(&operator, name).await["id"].as_str().unwrap().to_owned();
        let told = operator.get(&format!("/ops/nodes/{id}/actors")).await;
        told.assert_refused(status, error);
        assert!(told.json()["message"].as_str().unwrap().contains(name), "{told:?}");
        assert!(!told.text.contains(other) && !told.text.contains(TOKEN));
    }
}

/// Whoever may write to the table must not get the token, nor make a node fetch what it likes.
#[tokio::test]
async fn an_address_that_somebody_wrote_into_the_table_learns_no_token_and_tells_nothing() {
    let three = ThreeNodes::start().await;
    let operator = three.operator();
    let rogue = HttpSimulator::start(Reply::json(200, &json!({"secret": "of the network"}))).await;
    let port = rogue.url.rsplit_once(':').unwrap().1.to_owned();
    let put = format!(
        "insert into auth.keywright_nodes (id, name, version, started_at, heartbeat_at, host, port,
             admin_host, admin_port, clock_ms, fingerprints, knobs, digest)
         values (gen_random_uuid(), 'rogue', '0.1.0', now(), now() + interval '50 seconds', '127.0.0.1',
             1, '127.0.0.1', {port}, 0, '{{}}', '{{}}', '{{}}')"
    );
    three.database.execute(&put).await;
    let id = node(&operator, "rogue").await["id"].as_str().unwrap().to_owned();
    for question in QUESTIONS {
        let told = operator.get(&format!("/ops/nodes/{id}/{question}")).await;
        told.assert_refused(502, "node-unreachable");
        assert!(!told.text.contains("of the network"), "{told:?}");
    }
    let asked = rogue.asked();
    assert_eq!(asked.len(), QUESTIONS.len());
    for asked in &asked {
        assert!(!format!("{asked:?}").contains(TOKEN), "{asked:?}");
    }
    // What it was shown is of no use, neither there nor anywhere else.
    let proof = asked[0].header("authorization").unwrap().to_owned();
    for node in &three.nodes {
        let client = Client::new(format!("http://{}", node.admin_address().unwrap()));
        let request = client.request(Method::GET, "/ops/actors").header("authorization", &proof);
        Client::send(request).await.assert_refused(401, "unauthorized");
    }
    // Not by name, not elsewhere by a redirect, not endlessly, not for ever.
    for host in ["localhost", "example.com", "127.0.0.1/x", ""] {
        let change =
            format!("update auth.keywright_nodes set admin_host = '{host}' where name = 'rogue'");
        three.database.execute(&change).await;
        let told = operator.get(&format!("/ops/nodes/{id}/actors")).await;
        told.assert_refused(409, "no-admin-listener");
    }
    let back = "update auth.keywright_nodes set admin_host = '127.0.0.1' where name = 'rogue'";
    three.database.execute(back).await;
    let long = "x".repeat(2 << 20);
    for reply in [Reply::empty(302), Reply::empty(500), Reply::Status(200, long), Reply::Hang] {
        rogue.say(reply);
        let told = operator.get(&format!("/ops/nodes/{id}/settings")).await;
        told.assert_refused(502, "node-unreachable");
        assert!(told.text.len() < 400);
    }
    let gone = "update auth.keywright_nodes set heartbeat_at = now() - interval '4 s' where name = 'rogue'";
    three.database.execute(gone).await;
    operator.get(&format!("/ops/nodes/{id}/actors")).await.assert_refused(404, "no-such-node");
}
