//! `GET /signin/provider/{provider}`: what is refused before anybody is sent away.

use reqwest::Method;
use serde_json::json;

use crate::support::app::Client;
use crate::support::providers::social::{Social, assert_at_home};
use crate::support::providers::{CLIENT_URL, Endpoint, Fault};

const ALLOWED: (&str, &str) = (
    "AUTH_ACCESS_CONTROL_ALLOWED_REDIRECT_URLS",
    "https://app.test/ok,https://*.wild.test,myapp://",
);

fn path(provider: &str, query: &[(&str, &str)]) -> String {
    let query = url::form_urlencoded::Serializer::new(String::new()).extend_pairs(query).finish();
    format!("/signin/provider/{provider}?{query}")
}

#[tokio::test]
async fn a_provider_that_does_not_exist_is_a_bad_request() {
    let social = Social::start(&["github"], &[]).await;
    for id in ["myspace", "GitHub", "github%00", "fake", "acme", "c:", "c:A b"] {
        social.app.get(&path(id, &[])).await.assert_refused(400, "invalid-request");
    }
    // Such a name may be configured on another day.
    for id in ["c:acme", "c%3Aacme"] {
        let final_page = social.sign_in(id, &[]).await;
        assert_eq!(final_page.error(), "disabled-endpoint", "{id}");
    }
    assert_eq!(social.rows().await, 0);
}

#[tokio::test]
async fn a_provider_that_is_not_enabled_is_told_to_the_application() {
    let social = Social::start(&["github"], &[ALLOWED]).await;
    let final_page = social.sign_in("gitlab", &[]).await;
    assert_at_home(&final_page);
    assert_eq!(final_page.error(), "disabled-endpoint");
    let query = [("redirectTo", "https://app.test/ok?x=1#part"), ("state", "mine")];
    let final_page = social.sign_in("gitlab", &query).await;
    assert_eq!(final_page.target(), "https://app.test/ok");
    assert_eq!(final_page.query()["x"], "1");
    assert_eq!(final_page.url.fragment(), Some("part"));
    assert_eq!(final_page.error(), "disabled-endpoint");
    for route in ["callback?state=x", "callback?code=x&state=x"] {
        let response = social.app.get(&format!("/signin/provider/gitlab/{route}")).await;
        let (target, query) = response.redirect();
        assert_eq!(target.trim_end_matches('/'), CLIENT_URL);
        assert!(["invalid-state", "disabled-endpoint"].contains(&query["error"].as_str()));
    }
}

/// There is no safe place to tell this to
/// (docs/reference-behaviour.md#provider-targets-are-parsed).
#[tokio::test]
async fn places_that_are_not_allowed_are_refused_without_a_redirect() {
    let social = Social::start(&["github"], &[ALLOWED]).await;
    for bad in [
        "",
        "nonsense",
        "/relative",
        "https://evil.test",
        "//evil.test/x",
        "/\\evil.test",
        "\\\\evil.test",
        "///evil.test",
        "https:evil.test",
        "http://localhost:3000@evil.test/",
        "http://user:pass@localhost:3000/",
        "https://app.test/okk",
        "https://app.test/ok/../../x",
        "https://app.test/ok/%2e%2e/%2e%2e/x",
        "https://a.b.wild.test/",
        "https://wild.test/",
        "javascript:alert(1)",
        "data:text/html,x",
        "http://localhost:3000\u{0}.evil.test",
        "http://localhost:3000\n.evil.test",
        "http://localhost:30001/",
    ] {
        for id in ["github", "gitlab"] {
            let response = social.app.get(&path(id, &[("redirectTo", bad)])).await;
            assert_eq!(response.status, 400, "{bad:?}: {response:?}");
            response.assert_refused(400, "redirectTo-not-allowed");
        }
    }
    assert!(social.providers.at("github").authorizations().is_empty());
}

#[tokio::test]
async fn allowed_places_are_returned_to_with_query_and_fragment() {
    let social = Social::start(&["github"], &[ALLOWED]).await;
    for (wanted, target, fragment) in [
        ("http://localhost:3000", "http://localhost:3000", None),
        ("http://localhost:3000/a/b?x=1&y=%26%20+#frag", "http://localhost:3000/a/b", Some("frag")),
        ("https://app.test/ok?z=1&a=2#frag", "https://app.test/ok", Some("frag")),
        ("https://app.test:443/ok/x", "https://app.test/ok/x", None),
        ("https://a.wild.test/", "https://a.wild.test", None),
        ("myapp://cb?x=1", "myapp://cb", None),
    ] {
        let final_page =
            social.sign_in("github", &[("redirectTo", wanted), ("state", "s 1")]).await;
        assert_eq!(final_page.target(), target, "{wanted}");
        assert_eq!(final_page.url.fragment(), fragment, "{wanted}");
        let mut query = final_page.query();
        query.remove("refreshToken").expect("a session");
        assert_eq!(query.remove("state").as_deref(), Some("s 1"));
        let before: url::Url = wanted.parse().unwrap();
        assert_eq!(query, before.query_pairs().into_owned().collect(), "{wanted}");
    }
}

#[tokio::test]
async fn parameters_of_a_wrong_form_are_bad_requests() {
    let social = Social::start(&["github"], &[]).await;
    for (name, bad) in [
        ("metadata", "nonsense"),
        ("metadata", "[]"),
        ("metadata", "1"),
        ("metadata", "\"text\""),
        ("metadata", "{\"a\":"),
        ("locale", "e"),
        ("locale", "english"),
        ("displayName", "a&b"),
        ("displayName", "a\nb"),
        ("codeChallenge", "short"),
        ("codeChallenge", &"A".repeat(42)),
        ("codeChallenge", &"A".repeat(44)),
        ("codeChallenge", &format!("{}=", "A".repeat(42))),
        ("codeChallenge", &format!("{}+", "A".repeat(42))),
    ] {
        let response = social.app.get(&path("github", &[(name, bad)])).await;
        assert_eq!(response.status, 400, "{name}={bad:?}: {response:?}");
        response.assert_refused(400, "invalid-request");
        assert!(response.text.contains(name), "{response:?}");
    }
    let long = "é".repeat(33);
    let response = social.app.get(&path("github", &[("displayName", &long)])).await;
    response.assert_refused(400, "invalid-request");
    assert!(social.providers.at("github").authorizations().is_empty());
}

#[tokio::test]
async fn a_start_tells_no_cookie_to_those_it_refuses_and_takes_no_other_method() {
    let social = Social::start(&["github"], &[]).await;
    let refused = social.app.get(&path("github", &[("redirectTo", "https://evil.test")])).await;
    assert_eq!(refused.header("set-cookie"), None);
    for method in [Method::PUT, Method::DELETE, Method::POST] {
        let response = Client::send(social.app.request(method, "/signin/provider/github")).await;
        response.assert_refused(405, "method-not-allowed");
    }
}

/// Settings may change while somebody is at the provider; here another node has the new ones.
#[tokio::test]
async fn what_is_no_longer_allowed_is_refused_at_the_end_too() {
    let social = Social::start(&["github"], &[ALLOWED]).await;
    let off = social.another(&["gitlab"], &[ALLOWED]).await;
    let narrow = social.another(&["github"], &[]).await;
    let query = [("redirectTo", "https://app.test/ok"), ("state", "mine")];
    for (node, target, code) in [
        (&off, "https://app.test/ok", "disabled-endpoint"),
        (&narrow, CLIENT_URL, "redirectTo-not-allowed"),
    ] {
        let (mut browser, step) = social.to_callback("github", &query).await;
        browser.lead_to(node.url());
        let final_page = browser.follow(&step).await;
        assert_eq!((final_page.target().as_str(), final_page.error().as_str()), (target, code));
    }
    assert_eq!(social.rows().await, 0);
}

#[tokio::test]
async fn without_a_client_url_there_is_nobody_to_tell_an_invalid_state() {
    let social = Social::start(&["github"], &[("AUTH_CLIENT_URL", ""), ALLOWED]).await;
    let path = "/signin/provider/github/callback?code=x&state=x";
    social.app.get(path).await.assert_refused(400, "invalid-state");
    social.app.get("/signin/provider/github").await.assert_refused(400, "invalid-request");
    let query = [("redirectTo", "https://app.test/ok")];
    social.sign_in("github", &query).await.refresh_token();
}

/// Callbacks are no guesses, and people behind one address sign in at the same time.
#[tokio::test]
async fn people_behind_one_address_do_not_lock_each_other_out() {
    let more = [("AUTH_RATE_LIMIT_ENABLE", "true"), ("AUTH_RATE_LIMIT_BRUTE_FORCE_BURST", "2")];
    let social = Social::start(&["github"], &more).await;
    for _ in 0..8 {
        let final_page = social.sign_in("github", &[]).await;
        assert!(final_page.query().contains_key("refreshToken"), "{final_page:?}");
    }
    let exchange = json!({"code": "x", "codeVerifier": "A".repeat(43)});
    let mut last = 0;
    for _ in 0..3 {
        last = social.app.post("/token/exchange", exchange.clone()).await.status.as_u16();
    }
    assert_eq!(last, 429, "what can be guessed is limited");
}

/// A request token is needed before anybody can be sent to Twitter.
#[tokio::test]
async fn what_fails_at_the_start_is_told_to_the_application() {
    let social = Social::start(&["twitter"], &[ALLOWED, ("AUTH_PROVIDER_TIMEOUT", "300ms")]).await;
    let control = social.providers.at("twitter");
    for fault in [
        Fault::Say(401, "text/plain", "no".to_owned()),
        Fault::Say(200, "text/html", "<h1>x</h1>".to_owned()),
        Fault::Say(
            200,
            "application/x-www-form-urlencoded",
            "oauth_token=a&oauth_token_secret=b&oauth_callback_confirmed=false".to_owned(),
        ),
        Fault::Say(
            200,
            "application/x-www-form-urlencoded",
            "oauth_token_secret=b&oauth_callback_confirmed=true".to_owned(),
        ),
        Fault::Hang,
        Fault::Padded,
        Fault::Close,
    ] {
        control.fail(Endpoint::RequestToken, fault.clone());
        let final_page = social.sign_in("twitter", &[("redirectTo", "https://app.test/ok")]).await;
        assert_eq!(final_page.target(), "https://app.test/ok", "{fault:?}");
        let code = final_page.error();
        let known = ["internal-server-error", "oauth-token-echange-failed"];
        assert!(known.contains(&code.as_str()), "{fault:?}: {code}");
    }
    control.recover();
    social.sign_in("twitter", &[]).await.refresh_token();
}
