//! Thousands of parallel sign-ins by passkey: no error, and memory stays bounded
//! (docs/reference-behaviour.md#ceremonies-are-bounded).

use std::time::{Duration, Instant};

use futures_util::future::join_all;

use crate::support::ceremonies::{ON, sign_in, sign_up};
use crate::support::postgres::TestDatabase;
use crate::support::process::ServerProcess;
use crate::support::security_key::SecurityKey;
use crate::support::smtp::eventually;

const CALLS: usize = 10_000;

/// What the crowd may cost while it is there. Measured: 98 MiB, 10 KiB a request.
const MAX_GROWTH_KIB: u64 = 256 * 1_024;

/// What a second crowd may add to that. Measured: 2 MiB.
const MAX_LEAK_KIB: u64 = 64 * 1_024;

type CrowdClient = hyper_util::client::legacy::Client<
    hyper_util::client::legacy::connect::HttpConnector,
    http_body_util::Full<bytes::Bytes>,
>;

/// One HTTP/2 connection.
fn crowd_client() -> CrowdClient {
    hyper_util::client::legacy::Client::builder(hyper_util::rt::TokioExecutor::new())
        .http2_only(true)
        .build_http()
}

async fn begin_over(client: &CrowdClient, url: &str) -> u16 {
    let request = http::Request::post(format!("{url}/signin/webauthn"))
        .header("content-type", "application/json")
        .body(http_body_util::Full::new(bytes::Bytes::from_static(b"{}")))
        .unwrap();
    client.request(request).await.unwrap().status().as_u16()
}

/// All calls at once, over as many streams as the server takes on a connection, since descriptors are
/// scarce.
async fn crowd(url: &str) {
    let connections: Vec<_> = (0..CALLS / 200).map(|_| crowd_client()).collect();
    let calls = (0..CALLS).map(|n| begin_over(&connections[n % connections.len()], url));
    let statuses = join_all(calls).await;
    assert_eq!(statuses.iter().filter(|&&status| status == 200).count(), CALLS);
}

#[tokio::test]
async fn ten_thousand_parallel_sign_ins_begin_without_an_error_in_bounded_memory() {
    let database = TestDatabase::new().await;
    let server = ServerProcess::start(
        &database,
        &[ON, ("AUTH_WEBAUTHN_MAX_CHALLENGES", "4000"), ("AUTH_HTTP_MAX_CONCURRENCY", "20000")],
    )
    .await;
    let client = server.client();
    let mut key = SecurityKey::new();
    sign_up(client, "ann@example.com", &mut key).await;
    let before = server.memory();
    let started = Instant::now();
    crowd(client.base()).await;
    let (took, after_one) = (started.elapsed(), server.memory());
    crowd(client.base()).await;
    let after_two = server.memory();
    // Nobody was shut out, and the oldest ceremonies have gone.
    sign_in(client, None, &mut key).await.session();
    let pending = "select count(*)::text from auth.keywright_challenges";
    eventually("the oldest ceremonies to go", async || {
        database.text(pending).await.unwrap().parse::<u64>().unwrap() <= 4_000
    })
    .await;
    let figures =
        format!("before {before:?}, after one crowd {after_one:?}, after two {after_two:?}");
    assert!(after_two.peak_kib.saturating_sub(before.resident_kib) < MAX_GROWTH_KIB, "{figures}");
    assert!(after_two.peak_kib.saturating_sub(after_one.peak_kib) < MAX_LEAK_KIB, "{figures}");
    assert!(took < Duration::from_mins(2), "{took:?}");
    let errors = server.log().iter().filter(|line| line["level"] == "ERROR").count();
    assert_eq!(errors, 0, "{:?}", server.log());
}
