//! Errors, CORS, ids, addresses, prefix and log lines; no sockets.

use http::Request;

use super::harness::{Options, Site, get, post};

#[tokio::test]
async fn unknown_paths_and_methods_get_the_body_of_the_contract() {
    let site = Site::new(&Options::default());
    let unknown = site.send(get("/nothing"), "").await;
    assert_eq!((unknown.status, unknown.error_code().as_str()), (404, "not-found"));
    let wrong = site.send(Request::put("/about"), "").await;
    assert_eq!((wrong.status, wrong.error_code().as_str()), (405, "method-not-allowed"));
    assert_eq!(wrong.header("allow"), Some("GET, POST"));
}

#[tokio::test]
async fn failures_get_the_body_of_the_contract_without_internals() {
    let site = Site::new(&Options::default());
    let internal = site.send(get("/broken"), "").await;
    assert_eq!((internal.status, internal.error_code().as_str()), (500, "internal-server-error"));
    assert!(!internal.body.contains("secret"), "{}", internal.body);
    let busy = site.send(get("/broken?busy"), "").await;
    assert_eq!((busy.status, busy.error_code().as_str()), (503, "service-unavailable"));
    assert_eq!(busy.header("retry-after"), Some("1"));
    let sensitive = site.send(get("/broken?sensitive"), "").await;
    assert_eq!((sensitive.status, sensitive.error_code().as_str()), (401, "disabled-user"));
}

#[tokio::test]
async fn sensitive_errors_are_concealed_when_asked() {
    let site = Site::new(&Options { conceal: true, ..Options::default() });
    let sensitive = site.send(get("/broken?sensitive"), "").await;
    assert_eq!((sensitive.status, sensitive.error_code().as_str()), (400, "invalid-request"));
}

#[tokio::test]
async fn a_panic_is_a_500_of_its_own_request_only() {
    let site = Site::new(&Options { max_concurrency: 1, ..Options::default() });
    for path in ["/broken?panic", "/panics-at-once"] {
        let response = site.send(get(path), "").await;
        assert_eq!(
            (response.status, response.error_code().as_str()),
            (500, "internal-server-error")
        );
    }
    assert_eq!(site.send(get("/healthz"), "").await.status, 200);
}

#[tokio::test]
async fn options_has_a_response_on_every_path() {
    let site = Site::new(&Options::default());
    let request = Request::options("/nothing")
        .header("origin", "https://app.example")
        .header("access-control-request-headers", "x-a, x-b");
    let response = site.send(request, "").await;
    assert_eq!((response.status, response.body.as_str()), (204, ""));
    assert_eq!(response.header("access-control-allow-origin"), Some("https://app.example"));
    assert_eq!(response.header("access-control-allow-headers"), Some("x-a, x-b"));
    assert_eq!(response.header("access-control-allow-methods"), Some("POST, GET"));
    assert_eq!(response.header("access-control-allow-credentials"), Some("true"));
    assert_eq!(response.header("access-control-max-age"), Some("86400"));
    assert_eq!(response.header("vary"), Some("Origin, Access-Control-Request-Method"));

    let bare = site.send(Request::options("/healthz"), "").await;
    assert_eq!(bare.status, 204);
    assert_eq!(bare.header("access-control-allow-origin"), None);
    assert_eq!(bare.header("access-control-allow-headers"), None);
    assert_eq!(bare.header("access-control-allow-methods"), Some("GET, HEAD"));
    assert_eq!(site.log_lines().len(), 0, "OPTIONS is not logged");
}

#[tokio::test]
async fn other_methods_get_the_headers_only_with_an_origin() {
    let site = Site::new(&Options::default());
    for path in ["/healthz", "/nothing", "/broken?panic"] {
        let with = site.send(get(path).header("origin", "null"), "").await;
        assert_eq!(with.header("access-control-allow-origin"), Some("null"), "{path}");
        assert_eq!(with.header("access-control-allow-credentials"), Some("true"), "{path}");
        for request in [get(path), get(path).header("origin", "")] {
            let without = site.send(request, "").await;
            assert!(!without.headers.keys().any(|name| name.as_str().starts_with("access-")));
            assert_eq!(without.header("vary"), None);
        }
    }
}

#[tokio::test]
async fn request_ids_are_echoed_or_made() {
    let site = Site::new(&Options::default());
    let sent = site.send(get("/about").header("x-request-id", "abc-1"), "").await;
    assert_eq!(sent.header("x-request-id"), Some("abc-1"));
    assert_eq!(sent.json()["requestId"], "abc-1");
    let insane = site.send(get("/about").header("x-request-id", "a b\"c"), "").await;
    let made = insane.header("x-request-id").unwrap();
    assert_eq!(made.len(), 36);
    assert_eq!(insane.json()["requestId"], made);
    assert!(site.send(get("/nothing"), "").await.header("x-request-id").is_some());
}

#[tokio::test]
async fn trace_headers_are_echoed_and_not_invented() {
    let site = Site::new(&Options::default());
    let request = get("/healthz").header("x-b3-traceid", "4bf9").header("x-b3-spanid", "00f0");
    let response = site.send(request, "").await;
    assert_eq!(response.header("x-b3-traceid"), Some("4bf9"));
    assert_eq!(response.header("x-b3-spanid"), Some("00f0"));
    assert_eq!(response.header("x-b3-parentspanid"), None);
    assert_eq!(site.send(get("/healthz"), "").await.header("x-b3-traceid"), None);
}

#[tokio::test]
async fn forwarded_addresses_are_believed_from_trusted_peers_only() {
    let site = Site::new(&Options::default());
    let about = || get("/about").header("x-forwarded-for", "6.6.6.6, 203.0.113.7");
    let trusted = site.send_from("127.0.0.1", about(), "").await;
    assert_eq!(trusted.json()["clientIp"], "203.0.113.7");
    let stranger = site.send_from("198.51.100.1", about(), "").await;
    assert_eq!(stranger.json()["clientIp"], "198.51.100.1");
}

#[tokio::test]
async fn routes_move_with_the_prefix_except_those_outside() {
    let site = Site::new(&Options { prefix: "/v1", ..Options::default() });
    let response = site.send(get("/v1/about/?a=b"), "").await;
    assert_eq!(response.json()["path"], "/about/");
    assert_eq!(response.json()["query"], "a=b");
    assert_eq!(site.send(get("/about"), "").await.status, 404);
    assert_eq!(site.send(get("/livez"), "").await.status, 200);
    assert_eq!(site.send(get("/v1/livez"), "").await.status, 404);
}

#[tokio::test]
async fn bodies_are_whole() {
    let site = Site::new(&Options::default());
    assert_eq!(site.send(post("/about"), "{}").await.json()["bodyBytes"], 2);
}

#[tokio::test]
async fn each_request_is_one_log_line_without_its_query() {
    let site = Site::new(&Options::default());
    let request = get("/about?ticket=verifyEmail:secret&refreshToken=hidden")
        .header("x-forwarded-for", "203.0.113.7")
        .header("x-request-id", "r-1")
        .header("x-b3-traceid", "4bf9");
    site.send(request, "").await;
    site.send(get("/broken"), "").await;
    site.send(get("/broken?busy"), "").await;
    let lines = site.log_lines();
    let text = serde_json::to_string(&lines).unwrap();
    assert!(!text.contains("ticket") && !text.contains("hidden") && !text.contains('?'), "{text}");
    assert_eq!(lines.len(), 3);
    let line = &lines[0];
    assert_eq!(line["msg"], "call completed");
    assert_eq!(line["level"], "INFO");
    assert_eq!(line["trace"]["trace_id"], "4bf9");
    assert_eq!(line["request"]["id"], "r-1");
    assert_eq!(line["request"]["client_ip"], "203.0.113.7");
    assert_eq!(line["request"]["method"], "GET");
    assert_eq!(line["request"]["url"], "/about");
    assert_eq!(line["response"]["status_code"], 200);
    assert!(line["response"]["latency_us"].is_u64());
    assert_eq!((&lines[1]["level"], &lines[2]["level"]), (&"ERROR".into(), &"WARN".into()));
    assert_eq!(lines[1]["trace"]["trace_id"], lines[1]["request"]["id"]);
}
