//! Every node at a glance: who is there, who is gone, and who disagrees.

use std::process::Stdio;
use std::sync::Arc;
use std::time::Duration;

use keywright::domain::clock::Clock;
use serde_json::{Value, json};
use tokio::time::Instant;

use crate::support::admin::{METRICS_TOKEN, Operator, TOKEN, with_admin};
use crate::support::app::{JWT_SECRET, TestApp, settings};
use crate::support::postgres::TestDatabase;
use crate::support::process::ServerProcess;
use crate::support::smtp::eventually;
use crate::support::three_nodes::{ThreeNodes, living, node, nodes};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn each_node_shows_all_with_how_they_are() {
    let three = ThreeNodes::start().await;
    let mut session = three.nodes[1].anonymous().await;
    for _ in 0..5 {
        session = three.nodes[1].refresh(session.refresh_token()).await.session();
    }
    for operator in three.operators() {
        assert_eq!(living(&operator).await, ["a", "b", "c"]);
    }
    let operator = three.operator();
    eventually("the refreshes", async || {
        node(&operator, "b").await["digest"]["refreshesPerS"].as_f64() > Some(0.0)
    })
    .await;
    let report = operator.get("/ops/cluster").await.json();
    assert_eq!((&report["fresh"], &report["mailWaiting"]), (&json!(true), &json!(0)));
    let b = node(&operator, "b").await;
    assert_eq!(b["version"], env!("CARGO_PKG_VERSION"));
    assert_eq!(b["address"], three.nodes[1].url().trim_start_matches("http://"));
    let admin = three.nodes[1].admin_address().unwrap().to_string();
    assert_eq!(b["adminAddress"], admin);
    assert!(b["clockDifferenceS"].as_f64().unwrap().abs() < 2.0, "{b}");
    assert!(b["lastHeartbeatS"].as_f64().unwrap() < 3.0 && b["uptimeS"].is_f64(), "{b}");
    let digest = &b["digest"];
    assert_eq!((&digest["standing"], &digest["leaseHeld"]), (&json!(true), &json!(true)));
    assert_eq!((&digest["actorsDown"], &digest["maxRestarts"]), (&json!(0), &json!(10)));
    assert!(digest["actors"].as_u64() >= Some(9) && digest["poolMax"] == 3, "{digest}");
    assert!(digest["sessionsCached"].as_u64() >= Some(1), "{digest}");
    assert!(digest["refreshP99S"].as_f64() > Some(0.0), "{digest}");
    assert_eq!(digest["batchSize"], 1.0);
    for one in nodes(&operator).await {
        assert_eq!(one["disagrees"], json!([]), "{one}");
        assert_eq!(one["fingerprints"], b["fingerprints"]);
    }
    let metrics = operator.metrics().await;
    assert_eq!(metrics.count("keywright_cluster_nodes{state=\"live\"}"), 3);
    assert_eq!(metrics.count("keywright_cluster_disagreements{subject=\"jwt-keys\"}"), 0);

    let history = Operator::of(&three.nodes[1]).get("/ops/history").await.json();
    let sum = |name: &str| -> f64 {
        history[name].as_array().unwrap().iter().filter_map(Value::as_f64).sum()
    };
    assert!(sum("refreshesPerS") > 1.0, "{history}");
    assert!(sum("batchSize") >= 1.0 && sum("refreshP99S") > 0.0, "{history}");
    let last = history["at"].as_array().unwrap().last().unwrap().as_i64().unwrap();
    let later = operator.get(&format!("/ops/history?since={last}")).await.json();
    assert!(later["at"].as_array().unwrap().len() <= 2, "only what is new: {later}");
    operator.get("/ops/history?since=x").await.assert_refused(400, "invalid-request");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_node_that_is_killed_is_gone_within_three_seconds_and_one_that_stops_at_once() {
    let mut three = ThreeNodes::start().await;
    let operator = three.operator();
    let named = with_admin(&[("AUTH_NODE_NAME", "killed")]);
    let mut victim = ServerProcess::start(&three.database, &named).await;
    eventually("the fourth", async || living(&operator).await.len() == 4).await;

    let killed = Instant::now();
    victim.kill().await;
    // Meanwhile another one is told to stop.
    let stopping = three.nodes.pop().unwrap();
    let asked = Instant::now();
    stopping.stop().await;
    assert_eq!(node(&operator, "c").await["state"], "stopped");
    assert!(asked.elapsed() < Duration::from_secs(2), "{:?}", asked.elapsed());

    eventually("the loss", async || node(&operator, "killed").await["state"] == "gone").await;
    let took = killed.elapsed();
    assert!(took < Duration::from_millis(3_500), "{took:?}");
    assert_eq!(living(&operator).await, ["a", "b"]);
    eventually("the metric", async || {
        let metrics = operator.metrics().await;
        metrics.count("keywright_cluster_nodes{state=\"gone\"}") == 1
            && metrics.count("keywright_cluster_nodes{state=\"stopped\"}") == 1
    })
    .await;

    // Its successor takes the alarm away.
    let successor = ServerProcess::start(&three.database, &named).await;
    eventually("the successor", async || {
        let all = nodes(&operator).await;
        all.iter().any(|node| node["name"] == "killed" && node["state"] == "replaced")
    })
    .await;
    drop(successor);

    // A heartbeat leaves nothing behind: it changes no index and stays on its page.
    eventually("the figures of Postgres", async || {
        let table = "from pg_stat_user_tables where relname = 'keywright_nodes'";
        let updates = three.database.count(&format!("select n_tup_upd {table}")).await;
        let hot = three.database.count(&format!("select n_tup_hot_upd {table}")).await;
        updates >= 4 && hot == updates
    })
    .await;
}

#[tokio::test]
async fn a_node_that_finishes_its_requests_has_already_said_that_it_stops() {
    let three = ThreeNodes::start().await;
    let operator = three.operator();
    let session = three.nodes[1].anonymous().await;
    let brake = crate::support::brake::Brake::on(&three.database, &session).await;
    let mut nodes = three.nodes.into_iter().skip(1);
    let b = nodes.next().unwrap();
    let (client, shard) = (b.client().clone(), b.app().actors.sessions.shards()[0].clone());
    let stopping = async {
        eventually("the refresh", async || shard.in_flight() == 1).await;
        let watched = async {
            eventually("the word", async || node(&operator, "b").await["state"] == "stopped").await;
            brake.release().await;
        };
        tokio::join!(b.stop(), watched);
    };
    let (response, ()) = tokio::join!(client.refresh(session.refresh_token()), stopping);
    assert_eq!(response.status, 200, "{response:?}");
}

const OTHER_JWT: &str =
    r#"{"type":"HS256","key":"a-secret-that-is-another-one-0123456789abcdef0123456789abcdef"}"#;
const OTHER_KEY: &str = "another-rotation-key-0123456789abcdef";
const OTHER_SEAL: &str = "00112233445566778899aabbccddeeff00112233445566778899aabbccddeeff";

/// What each node must have as the others have it, and a node that has it otherwise.
const ODD: [(&str, &str, &str); 4] = [
    ("jwt-keys", "HASURA_GRAPHQL_JWT_SECRET", OTHER_JWT),
    ("rotation-key", "AUTH_REFRESH_TOKEN_KEY", OTHER_KEY),
    ("encryption-key", "AUTH_ENCRYPTION_KEY", OTHER_SEAL),
    ("stored-forms", "AUTH_STORAGE_COMPATIBILITY", "reference"),
];

fn subjects(node: &Value) -> Vec<&str> {
    let disagrees = node["disagrees"].as_array().map(Vec::as_slice).unwrap_or_default();
    disagrees.iter().map(|one| one["subject"].as_str().unwrap()).collect()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_newcomer_that_disagrees_is_named_by_all_and_counted_and_no_secret_is_told() {
    let three = ThreeNodes::start().await;
    let operator = three.operator();
    for (subject, setting, value) in ODD {
        let odd = three.another(&[("AUTH_NODE_NAME", "odd"), (setting, value)]).await;
        for operator in [&operator, &Operator::of(&odd)] {
            eventually(subject, async || subjects(&node(operator, "odd").await) == [subject]).await;
        }
        for name in ["a", "b", "c"] {
            assert!(subjects(&node(&operator, name).await).is_empty(), "{subject} {name}");
        }
        eventually("the metric", async || {
            let name = format!("keywright_cluster_disagreements{{subject=\"{subject}\"}}");
            operator.metrics().await.count(&name) == 1
        })
        .await;
        let told = operator.get("/ops/cluster").await.text;
        for secret in [OTHER_JWT, OTHER_KEY, OTHER_SEAL, JWT_SECRET, TOKEN, METRICS_TOKEN] {
            let key = secret.rsplit_once(":\"").map_or(secret, |(_, key)| &key[..20]);
            assert!(!told.contains(key), "{key} in {told}");
        }
        odd.stop().await;
        three.database.execute("delete from auth.keywright_nodes where name = 'odd'").await;
    }
    let wrong = Clock::system();
    wrong.go_wrong(time::Duration::seconds(5));
    let more = with_admin(&[("AUTH_NODE_NAME", "late")]);
    let late = TestApp::start_at(Arc::clone(&three.database), wrong, &more).await;
    eventually("the clock", async || subjects(&node(&operator, "late").await) == ["clock"]).await;
    let difference = node(&operator, "late").await["clockDifferenceS"].as_f64().unwrap();
    assert!((difference - 5.0).abs() < 1.0, "{difference}");
    late.stop().await;

    // A version is what a start says.
    let old = "update auth.keywright_nodes set version = '7.9.1' where name = 'b'";
    three.database.execute(old).await;
    eventually("the version", async || subjects(&node(&operator, "b").await) == ["version"]).await;
}

#[tokio::test]
async fn a_newcomer_that_disagrees_is_warned_at_its_start_and_doctor_fails() {
    let database = Arc::new(TestDatabase::new().await);
    let first = TestApp::start_on(Arc::clone(&database), &[("AUTH_NODE_NAME", "first")]).await;
    let doctor = async |more: &[(&str, &str)]| {
        let mut doctor = tokio::process::Command::new(env!("CARGO_BIN_EXE_keywright"));
        let output = doctor
            .arg("doctor")
            .env_clear()
            .envs(settings(&database.url(), more))
            .stdin(Stdio::null())
            .output()
            .await
            .unwrap();
        (output.status.success(), String::from_utf8(output.stdout).unwrap())
    };
    eventually("its heartbeat", async || {
        database.count("select count(*) from auth.keywright_nodes").await == 1
    })
    .await;
    let (is_well, said) = doctor(&[]).await;
    assert!(is_well && said.contains("1 live on this database"), "{said}");
    assert!(said.contains("from the environment: ") && !said.contains("FAILED"), "{said}");
    for (subject, setting, value) in ODD {
        let (is_well, said) = doctor(&[(setting, value)]).await;
        let line = said.lines().find(|line| line.starts_with("FAILED")).unwrap_or_default();
        assert!(!is_well && line.contains(subject) && line.contains(setting), "{said}");
        assert!(!said.contains(value), "{said}");
    }
    let (_, setting, value) = ODD[0];
    let newcomer = ServerProcess::start(&database, &[(setting, value)]).await;
    eventually("the warning", async || {
        newcomer.log().iter().any(|line| line["level"] == "WARN" && line["subject"] == "jwt-keys")
    })
    .await;
    first.stop().await;
}

#[tokio::test]
async fn rows_that_no_node_has_written_cost_nobody_a_heartbeat() {
    let database = Arc::new(TestDatabase::new().await);
    let node = TestApp::start_on(Arc::clone(&database), &[("AUTH_NODE_NAME", "first")]).await;
    for (name, heartbeat, clock, knobs) in [
        ("no-time", "'infinity'", "0", "'{}'"),
        ("no-start", "'-infinity'", "0", "'{}'"),
        ("to-come", "now() + interval '1 day'", "0", "'{}'"),
        ("no-clock", "now()", "-9223372036854775808", "'{}'"),
        ("no-knobs", "now()", "0", "'{a,NULL}'"),
    ] {
        let row = format!(
            "insert into auth.keywright_nodes (id, name, version, started_at, heartbeat_at, host,
                 port, clock_ms, fingerprints, knobs, digest)
             values (gen_random_uuid(), '{name}', '0.1.0', {heartbeat}, {heartbeat}, 'nowhere', 4000,
                 {clock}, '{{}}', {knobs}, '{{}}')"
        );
        database.execute(&row).await;
    }
    let now = database.count("select extract(epoch from clock_timestamp())::bigint").await;
    let beats = format!(
        "select count(*) from auth.keywright_nodes
          where name = 'first' and heartbeat_at > to_timestamp({now}) + interval '2 seconds'"
    );
    eventually("two more heartbeats", async || database.count(&beats).await == 1).await;
    node.stop().await;
}

#[tokio::test]
async fn rows_of_nodes_that_are_long_gone_are_removed() {
    let database = Arc::new(TestDatabase::new().await);
    let row = |name: &str, minutes: u32| {
        format!(
            "insert into auth.keywright_nodes (id, name, version, started_at, heartbeat_at, host, port,
                 clock_ms, fingerprints, knobs, digest)
             values (gen_random_uuid(), '{name}', '0.1.0', now() - interval '1 day',
                 now() - interval '{minutes} min', '10.0.0.9', 4000, 0, '{{}}', '{{}}', '{{}}')"
        )
    };
    database.execute(&row("long gone", 61)).await;
    database.execute(&row("just gone", 59)).await;
    let app = TestApp::start_on(Arc::clone(&database), &with_admin(&[])).await;
    let operator = Operator::of(&app);
    eventually("the removal", async || node(&operator, "long gone").await.is_null()).await;
    assert_eq!(node(&operator, "just gone").await["state"], "gone");
}

/// The heartbeat is for people; who serves must not depend on it.
#[tokio::test]
async fn a_table_of_nodes_that_is_locked_or_refused_costs_no_lease() {
    let app = TestApp::start(&with_admin(&[])).await;
    let operator = Operator::of(&app);
    let is_held = async || operator.metrics().await.count("keywright_cache_lease_held") == 1;
    eventually("the lease", is_held).await;
    let mut holder = app.database.connection().await;
    let mut holding = sqlx::Connection::begin(&mut holder).await.unwrap();
    sqlx::query("lock table auth.keywright_nodes in access exclusive mode")
        .execute(&mut *holding)
        .await
        .unwrap();
    // Longer than a lease lasts.
    let until = Instant::now() + Duration::from_millis(2_500);
    eventually("the time", async || {
        assert!(is_held().await, "the lease is lost");
        Instant::now() > until
    })
    .await;
    let told = operator.get("/ops/cluster").await.json();
    assert_eq!(told["fresh"], false, "what was heard last is told: {told}");
    holding.rollback().await.unwrap();
    eventually("a fresh report", async || {
        operator.get("/ops/cluster").await.json()["fresh"] == true
    })
    .await;
    app.database.execute("alter table auth.keywright_nodes rename to elsewhere").await;
    let until = Instant::now() + Duration::from_millis(2_500);
    eventually("the time", async || {
        assert!(is_held().await, "the lease is lost");
        Instant::now() > until
    })
    .await;
}

#[tokio::test]
async fn the_command_prints_every_node_and_what_is_wrong() {
    let three = ThreeNodes::start().await;
    let port = three.nodes[0].admin_address().unwrap().port().to_string();
    let old = "update auth.keywright_nodes set version = '7.9.1' where name = 'b'";
    three.database.execute(old).await;
    let run = async |arguments: &[&str]| {
        let output = tokio::process::Command::new(env!("CARGO_BIN_EXE_keywright"))
            .args(arguments)
            .env_clear()
            .env("AUTH_ADMIN_PORT", &port)
            .env("AUTH_ADMIN_TOKEN", TOKEN)
            .stdin(Stdio::null())
            .output()
            .await
            .unwrap();
        let text = |bytes: Vec<u8>| String::from_utf8(bytes).unwrap();
        (output.status.code(), text(output.stdout), text(output.stderr))
    };
    let (code, text, errors) = run(&["cluster"]).await;
    assert_eq!((code, errors.as_str()), (Some(0), ""));
    for part in ["3 of 3 nodes live", "\na *", "\nb ", "\nc ", "held", "b disagrees (version)"] {
        assert!(text.contains(part), "{part} is missing in\n{text}");
    }
    let (_, text, _) = run(&["cluster", "--json"]).await;
    let report: Value = serde_json::from_str(&text).unwrap();
    assert_eq!(report["nodes"].as_array().unwrap().len(), 3);

    let (code, text, errors) = run(&["actors", "set", "--all", "AUTH_SESSION_BATCH_MAX=5"]).await;
    assert_eq!((code, text.as_str()), (Some(0), "AUTH_SESSION_BATCH_MAX: 256 -> 5\n"), "{errors}");
    let (_, text, _) = run(&["actors", "settings"]).await;
    let line = text.lines().find(|line| line.starts_with("AUTH_SESSION_BATCH_MAX")).unwrap();
    assert!(line.contains(" 5 ") && line.contains("for all nodes"), "{line}");
    let (_, text, _) = run(&["cluster"]).await;
    assert!(text.contains("for all nodes: AUTH_SESSION_BATCH_MAX=5"), "{text}");
    let (_, text, _) = run(&["actors", "set", "--all", "AUTH_SESSION_BATCH_MAX="]).await;
    assert_eq!(text, "AUTH_SESSION_BATCH_MAX: 5 -> 256\n");
    let (code, _, errors) = run(&["actors", "set", "--all", "AUTH_SESSION_SHARDS=2"]).await;
    assert!(code == Some(1) && errors.contains("next start"), "{errors}");
}
