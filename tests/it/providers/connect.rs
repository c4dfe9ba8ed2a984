//! Another identity for an account that one is signed in to: `connect`, and `POST /link/provider/{provider}`.

use futures_util::future::join_all;
use serde_json::{Value, json};

use crate::support::app::{Client, Session, TestApp};
use crate::support::jwt;
use crate::support::postgres::TestDatabase;
use crate::support::providers::browser::{Browser, FinalPage, Step};
use crate::support::providers::social::{Social, assert_at_home, callback};
use crate::support::providers::{Endpoint, Fault, Providers, SERVER_URL};

const ALREADY: &str = "provider-account-already-linked";

async fn connect(social: &Social, provider: &str, session: &Session) -> FinalPage {
    social.sign_in(provider, &[("connect", session.access_token())]).await
}

#[track_caller]
fn assert_connected(final_page: &FinalPage) {
    assert_at_home(final_page);
    final_page.assert_silent();
    assert!(final_page.query().is_empty(), "{}", final_page.url);
}

fn link(provider: &str, id: &str, user: &str) -> (String, String, String) {
    (provider.to_owned(), id.to_owned(), user.to_owned())
}

#[tokio::test]
async fn an_identity_is_connected_whatever_its_address_and_signs_in_from_then_on() {
    let social = Social::start(&["discord", "strava", "apple"], &[]).await;
    let ann = social.app.sign_up("ann@example.com").await.session();
    let before = social.user().await;
    for id in ["discord", "strava"] {
        assert_connected(&connect(&social, id, &ann).await);
        let session = social.session(&social.sign_in(id, &[]).await).await;
        assert_eq!(session.user_id(), ann.user_id());
    }
    let expected =
        [link("discord", "104", "ann@example.com"), link("strava", "114", "ann@example.com")];
    assert_eq!(social.links().await, expected);
    let after = social.user().await;
    for column in ["email", "email_verified", "display_name", "avatar_url"] {
        assert_eq!(after[column], before[column]);
    }
}

#[tokio::test]
async fn no_session_comes_of_connecting_and_the_application_gets_its_state_back() {
    let social = Social::start(&["github"], &[]).await;
    let ann = social.app.sign_up("ann@example.com").await.session();
    let sessions = "select count(*) from auth.refresh_tokens";
    let before = social.app.database.count(sessions).await;
    let challenge = "A".repeat(43);
    let query = [
        ("connect", ann.access_token()),
        ("redirectTo", "http://localhost:3000/settings?tab=1#here"),
        ("state", "mine"),
        ("codeChallenge", &challenge),
    ];
    let final_page = social.sign_in("github", &query).await;
    final_page.assert_silent();
    assert_eq!(final_page.url.as_str(), "http://localhost:3000/settings?state=mine&tab=1#here");
    assert_eq!(social.app.database.count(sessions).await, before);
}

/// The token goes to the start route, and nowhere else.
#[tokio::test]
async fn the_access_token_is_told_to_nobody() {
    let social = Social::start(&["github"], &[]).await;
    let ann = social.app.sign_up("ann@example.com").await.session();
    let final_page = connect(&social, "github", &ann).await;
    for visit in final_page.visits.iter().skip(1) {
        assert!(!visit.url.as_str().contains(ann.access_token()), "{visit:?}");
        let state = visit.url.query_pairs().find(|(name, _)| name == "state").unwrap().1;
        assert!(!state.contains('.'), "an opaque state: {state}");
    }
    assert!(social.rows_that_contain(ann.access_token()).await.is_empty());
}

#[tokio::test]
async fn an_identity_belongs_to_one_account() {
    let social = Social::start(&["github"], &[]).await;
    let ann = social.app.sign_up("ann@example.com").await.session();
    let bob = social.app.sign_up("bob@example.com").await.session();
    assert_connected(&connect(&social, "github", &ann).await);
    for session in [&ann, &bob] {
        let final_page = connect(&social, "github", session).await;
        assert_at_home(&final_page);
        assert_eq!(final_page.error(), ALREADY);
    }
    assert_eq!(social.links().await, [link("github", "101", "ann@example.com")]);
}

#[tokio::test]
async fn a_second_account_of_the_same_provider_is_connected_too() {
    let social = Social::start(&["strava"], &[]).await;
    let ann = social.app.sign_up("ann@example.com").await.session();
    for id in [114, 115] {
        social.providers.at("strava").change_profile(&json!({"id": id}));
        assert_connected(&connect(&social, "strava", &ann).await);
        let session = social.session(&social.sign_in("strava", &[]).await).await;
        assert_eq!(session.user_id(), ann.user_id());
    }
    assert_eq!(social.links().await.len(), 2);
}

#[tokio::test]
async fn tokens_that_are_none_are_refused_before_anybody_leaves() {
    let social = Social::start(&["github"], &[]).await;
    let ann = social.app.sign_up("ann@example.com").await.session();
    let mut tokens = jwt::refused_tokens(ann.user_id());
    tokens.push(("a refresh token", ann.refresh_token().to_owned()));
    for (what, token) in tokens {
        let query = [("connect", token.as_str()), ("state", "mine")];
        let final_page = social.sign_in("github", &query).await;
        assert_at_home(&final_page);
        assert_eq!(final_page.error(), "invalid-request", "{what}");
        assert_eq!(final_page.query()["state"], "mine", "{what}");
    }
    assert!(social.providers.at("github").authorizations().is_empty());
}

#[tokio::test]
async fn of_two_users_who_connect_one_identity_at_once_on_two_nodes_one_gets_it() {
    for _ in 0..5 {
        let social = Social::start(&["github"], &[]).await;
        let other = social.another(&["github"], &[]).await;
        let mut ready = Vec::new();
        for (email, node) in [("ann@example.com", &social.app), ("bob@example.com", &other)] {
            let session = social.app.sign_up(email).await.session();
            let mut browser = social.browser();
            let first = social.link("github", &[("connect", session.access_token())]);
            let step = callback(&mut browser, &first).await;
            browser.lead_to(node.url());
            ready.push((browser, step));
        }
        social.providers.at("github").fail(Endpoint::Emails, Fault::together(2));
        let final_pages =
            join_all(ready.iter_mut().map(|(browser, step)| browser.follow(step))).await;
        let refused =
            final_pages.iter().filter(|final_page| final_page.query().contains_key("error"));
        let codes: Vec<String> = refused.map(FinalPage::error).collect();
        assert_eq!(codes, [ALREADY]);
        assert_eq!(social.links().await.len(), 1);
    }
}

/// Users without an address may connect.
#[tokio::test]
async fn a_user_without_an_address_connects() {
    let social = Social::start(&["strava", "discord"], &[]).await;
    let session = social.session(&social.sign_in("strava", &[]).await).await;
    assert_connected(&connect(&social, "discord", &session).await);
    let id = session.user_id().to_string();
    assert_eq!(social.links().await, [link("discord", "104", &id), link("strava", "114", &id)]);
}

#[tokio::test]
async fn users_who_are_kept_out_do_not_connect() {
    let required = [("AUTH_EMAIL_SIGNIN_EMAIL_VERIFIED_REQUIRED", "true")];
    let blocked = [("AUTH_ACCESS_CONTROL_BLOCKED_EMAILS", "ann@example.com")];
    for (what, sql, more, code) in [
        ("disabled", "update auth.users set disabled = true", &[][..], "disabled-user"),
        ("deleted", "delete from auth.users", &[], "invalid-email-password"),
        ("unverified", "select 1", &required[..], "unverified-user"),
        ("blocked", "select 1", &blocked[..], "invalid-email-password"),
    ] {
        let social = Social::start(&["github"], &[]).await;
        let ann = social.app.sign_up("ann@example.com").await.session();
        let strict = social.another(&["github"], more).await;
        // Kept out when it begins, and when it ends.
        let mut browser = Browser::new(SERVER_URL, social.app.url());
        let begun = social.link("github", &[("connect", ann.access_token())]);
        let step = callback(&mut browser, &begun).await;
        social.app.database.execute(sql).await;
        browser.lead_to(strict.url());
        assert_eq!(browser.follow(&step).await.error(), code, "{what}, at the end");
        assert_eq!(browser.follow(&begun).await.error(), code, "{what}, at the start");
        assert!(social.links().await.is_empty(), "{what}");
    }
}

#[tokio::test]
async fn anonymous_users_do_not_connect() {
    let social = Social::start(&["github"], &[]).await;
    let session = social.app.anonymous().await;
    assert_eq!(connect(&social, "github", &session).await.error(), "forbidden-anonymous");
    assert!(social.providers.at("github").authorizations().is_empty());
}

/// The attacker begins to connect, and has the victim's browser finish.
#[tokio::test]
async fn a_victim_is_not_made_to_connect_an_identity_to_the_attackers_account() {
    let social = Social::start(&["github"], &[]).await;
    let attacker = social.app.sign_up("eve@example.com").await.session();
    let mut browser = social.browser();
    let first = social.link("github", &[("connect", attacker.access_token())]);
    let (visit, next) = browser.visit(&first).await.expect("our server");
    assert_eq!(visit.response.status, 302);
    let mut victim = social.browser();
    let final_page = victim.follow(&next.expect("the provider")).await;
    assert_eq!(final_page.error(), "invalid-state");
    assert!(social.links().await.is_empty());
    assert!(social.providers.at("github").calls(Endpoint::Token).is_empty());
}

/// The attacker's page has the victim's browser begin, with the attacker's token
/// (docs/reference-behaviour.md#pages-that-may-connect).
#[tokio::test]
async fn a_page_of_somebody_else_does_not_begin_to_connect() {
    let more = [("AUTH_ACCESS_CONTROL_ALLOWED_REDIRECT_URLS", "https://app.test/ok")];
    let social = Social::start(&["github"], &more).await;
    let attacker = social.app.sign_up("eve@example.com").await.session();
    let connect = ("connect", attacker.access_token());
    let link = social.link("github", &[connect]);
    let to_app = social.link("github", &[connect, ("redirectTo", "https://app.test/ok")]);
    for foreign in [
        link.on("https://evil.test/"),
        link.on("http://localhost:3001/"),
        link.on("https://app.test/"),
        link.on("https://evil.test/").hidden(),
        link.hidden(),
        to_app.on("https://evil.test/"),
        to_app.hidden(),
    ] {
        let final_page = social.browser().follow(&foreign).await;
        assert_eq!(final_page.error(), "invalid-request", "{foreign:?}");
        assert!(final_page.last().header("set-cookie").is_none(), "{foreign:?}");
    }
    assert!(social.providers.at("github").authorizations().is_empty());
    assert!(social.links().await.is_empty());
    // To sign in is for every page.
    let sign_in = social.link("github", &[]).on("https://evil.test/");
    social.session(&social.browser().follow(&sign_in).await).await;
    let own =
        [link.clone(), to_app.on("https://app.test/settings"), Step::typed(link.url.as_str())];
    for own in own {
        social.app.database.execute("delete from auth.user_providers").await;
        social.browser().follow(&own).await.assert_silent();
        assert_eq!(social.links().await.len(), 1, "{own:?}");
    }
}

#[tokio::test]
async fn whether_an_address_may_connect_is_configured() {
    for (mode, from_anywhere, from_own) in
        [("always", None, None), ("never", Some("disabled-endpoint"), Some("disabled-endpoint"))]
    {
        let more = [("AUTH_PROVIDER_CONNECT_BY_URL", mode)];
        let social = Social::start(&["github"], &more).await;
        let ann = social.app.sign_up("ann@example.com").await.session();
        let link = social.link("github", &[("connect", ann.access_token())]);
        for (step, refusal) in
            [(link.on("https://elsewhere.test/").hidden(), from_anywhere), (link, from_own)]
        {
            social.app.database.execute("delete from auth.user_providers").await;
            let final_page = social.browser().follow(&step).await;
            match refusal {
                Some(error) => assert_eq!(final_page.error(), error, "{mode} {step:?}"),
                None => assert_connected(&final_page),
            }
        }
        assert_eq!(social.links().await.is_empty(), from_own.is_some());
        // The way without a token in an address is there in every mode.
        social.app.database.execute("delete from auth.user_providers").await;
        let mut browser = social.browser();
        let body = json!({});
        let step = post_link(&mut browser, &social.app, "github", ann.access_token(), body).await;
        assert_connected(&browser.follow(&step.unwrap()).await);
    }
}

/// A page can keep `Referer` back, and old browsers have no Fetch Metadata
/// (docs/reference-behaviour.md#pages-that-may-connect).
#[tokio::test]
async fn who_does_not_say_where_it_comes_from_connects_on_adopted_databases_only() {
    for (is_adopted, mode, is_let_in) in [
        (false, None, false),
        (true, None, true),
        (false, Some("own-pages-or-unknown"), true),
        (true, Some("own-pages"), false),
    ] {
        let database =
            if is_adopted { TestDatabase::adopted().await } else { TestDatabase::new().await };
        let more: Vec<_> =
            mode.map(|mode| ("AUTH_PROVIDER_CONNECT_BY_URL", mode)).into_iter().collect();
        let providers = Providers::start().await;
        let social = Social::start_on(database, providers, &["github"], &more).await;
        let ann = social.app.sign_up("ann@example.com").await.session();
        let path = format!("/signin/provider/github?connect={}", ann.access_token());
        let (target, query) = social.app.get(&path).await.redirect();
        let case = format!("adopted: {is_adopted}, {mode:?}");
        if is_let_in {
            assert!(target.starts_with(&social.providers.url), "{case}: {target}");
        } else {
            assert_eq!(query["error"], "invalid-request", "{case}");
        }
        // With the token in a header it is the application's own.
        let path = "/link/provider/github";
        let linked = social.app.post_as(path, ann.access_token(), json!({})).await;
        assert_eq!(linked.status, 200, "{case}");
    }
}

fn elevated(session: &Session) -> String {
    let id = session.user_id();
    let mut claims = jwt::claims(id);
    claims["https://hasura.io/jwt/claims"] =
        json!({"x-hasura-user-id": id, "x-hasura-auth-elevated": id});
    jwt::sign(&claims)
}

#[tokio::test]
async fn elevation_is_asked_for_where_it_is_required() {
    let more = [("AUTH_REQUIRE_ELEVATED_CLAIM", "required")];
    let social = Social::start(&["github"], &more).await;
    let ann = social.app.sign_up("ann@example.com").await.session();
    let refused = connect(&social, "github", &ann).await;
    assert_eq!(refused.error(), "elevated-claim-required");
    assert!(social.links().await.is_empty());
    let token = elevated(&ann);
    assert_connected(&social.sign_in("github", &[("connect", &token)]).await);
}

/// Asks for the address to connect at, as a browser's script would: its cookies are kept.
async fn post_link(
    browser: &mut Browser,
    app: &TestApp,
    provider: &str,
    token: &str,
    body: Value,
) -> Result<Step, crate::support::app::TestResponse> {
    let response = app.post_as(&format!("/link/provider/{provider}"), token, body).await;
    if response.status != 200 {
        return Err(response);
    }
    browser.take_cookies(&response);
    Ok(Step::link(response.json()["url"].as_str().expect("an address")))
}

#[tokio::test]
async fn a_signed_in_application_asks_for_the_address_to_connect_at() {
    let social = Social::start(&["github"], &[]).await;
    let ann = social.app.sign_up("ann@example.com").await.session();
    let mut browser = social.browser();
    let body = json!({"redirectTo": "http://localhost:3000/settings", "state": "mine"});
    let step = post_link(&mut browser, &social.app, "github", ann.access_token(), body).await;
    let step = step.unwrap();
    assert!(step.url.as_str().starts_with(&social.providers.url), "{}", step.url);
    assert!(!step.url.as_str().contains(ann.access_token()));
    let copy = step.clone();
    // Without the cookie it is worth nothing.
    assert_eq!(social.browser().follow(&copy).await.error(), "invalid-state");
    let final_page = browser.follow(&step).await;
    final_page.assert_silent();
    assert_eq!(final_page.url.as_str(), "http://localhost:3000/settings?state=mine");
    assert_eq!(social.links().await, [link("github", "101", "ann@example.com")]);
}

/// A page of the attacker has the attacker's token, and the victim's browser.
#[tokio::test]
async fn the_address_to_connect_at_is_for_pages_that_are_returned_to() {
    let more = [("AUTH_ACCESS_CONTROL_ALLOWED_REDIRECT_URLS", "https://app.test/ok,myapp://")];
    let social = Social::start(&["github"], &more).await;
    let ann = social.app.sign_up("ann@example.com").await.session();
    for (origin, redirect_to, status) in [
        (None, None, 200),
        (None, Some("myapp://cb"), 200),
        (Some("http://localhost:3000"), None, 200),
        (Some("http://localhost:3000"), Some("https://app.test/ok"), 200),
        (Some("https://app.test"), Some("https://app.test/ok/x"), 200),
        (Some("https://app.test"), None, 400),
        (Some("https://evil.test"), None, 400),
        (Some("https://evil.test"), Some("https://evil.test/"), 400),
        (Some("https://evil.test"), Some("https://app.test/ok"), 400),
        (Some("http://localhost:3001"), None, 400),
        (Some("null"), None, 400),
        (Some("null"), Some("myapp://cb"), 400),
    ] {
        let path = "/link/provider/github";
        let body = redirect_to.map_or_else(|| json!({}), |to| json!({"redirectTo": to}));
        let request = social.app.request(reqwest::Method::POST, path);
        let mut request = request.bearer_auth(ann.access_token()).json(&body);
        if let Some(origin) = origin {
            request = request.header("origin", origin);
        }
        let response = Client::send(request).await;
        assert_eq!(response.status, status, "{origin:?} {redirect_to:?}: {response:?}");
        let sets = response.header("set-cookie").is_some();
        assert_eq!(sets, status == 200, "{origin:?} {redirect_to:?}: {response:?}");
    }
}

#[tokio::test]
async fn the_address_to_connect_at_is_refused_as_json() {
    let more = [("AUTH_REQUIRE_ELEVATED_CLAIM", "required")];
    let social = Social::start(&["github"], &more).await;
    let ann = social.app.sign_up("ann@example.com").await.session();
    let mut browser = social.browser();
    let token = elevated(&ann);
    let anonymous = elevated(&social.app.anonymous().await);
    let evil = json!({"redirectTo": "https://evil.test"});
    for (provider, token, body, status, code) in [
        ("github", ann.access_token(), json!({}), 400, "elevated-claim-required"),
        ("github", "nonsense", json!({}), 400, "invalid-request"),
        ("gitlab", &token, json!({}), 409, "disabled-endpoint"),
        ("github", &token, evil, 400, "redirectTo-not-allowed"),
        ("github", &token, json!({"surprise": 1}), 400, "invalid-request"),
        ("github", &anonymous, json!({}), 403, "forbidden-anonymous"),
    ] {
        let response = post_link(&mut browser, &social.app, provider, token, body.clone()).await;
        let response = response.expect_err("a refusal");
        assert_eq!(
            (response.status.as_u16(), response.error()),
            (status, code.to_owned()),
            "{body}"
        );
    }
    let request = social.app.request(reqwest::Method::POST, "/link/provider/github");
    Client::send(request.json(&json!({}))).await.assert_refused(400, "invalid-request");
    assert!(social.providers.at("github").authorizations().is_empty());
}
