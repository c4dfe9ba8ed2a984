//! Providers that say no, are broken, slow, or down: the specified redirect, nothing written, and the next try works.

use serde_json::{Value, json};

use crate::support::http_simulator::{HttpSimulator, Reply};
use crate::support::postgres::TestDatabase;
use crate::support::process::ServerProcess;
use crate::support::providers::browser::{Browser, FinalPage};
use crate::support::providers::social::{Social, assert_at_home, callback, start};
use crate::support::providers::{Endpoint, Fault, Providers, SERVER_URL, vectors};

const TOKEN: &str = "oauth-token-echange-failed";
const PROFILE: &str = "oauth-profile-fetch-failed";
const HASTY: (&str, &str) = ("AUTH_PROVIDER_TIMEOUT", "300ms");
const PAGE: &str = "http://localhost:3000/signed-in?from=test";

fn say(status: u16, body: &Value) -> Fault {
    Fault::json(status, body)
}

fn html(status: u16) -> Fault {
    Fault::Say(status, "text/html", "<!doctype html><h1>Sorry</h1>".to_owned())
}

/// One failing part: the sign-in ends at the page that was asked for, with this code, and without a trace.
async fn check(social: &Social, provider: &str, endpoint: Endpoint, fault: Fault, code: &str) {
    let who = format!("{provider} {endpoint:?} {fault:?}");
    let control = social.providers.at(provider);
    control.fail(endpoint, fault);
    let final_page = social.sign_in(provider, &[("redirectTo", PAGE), ("state", "mine")]).await;
    assert_eq!(final_page.error(), code, "{who}");
    assert_eq!(final_page.target(), "http://localhost:3000/signed-in", "{who}");
    let query = final_page.query();
    let names: Vec<&str> = query.keys().map(String::as_str).collect();
    assert_eq!(names, ["error", "errorDescription", "from", "state"], "{who}");
    assert_eq!(query["state"], "mine", "{who}");
    assert_eq!(social.rows().await, 0, "{who}");
    control.recover();
}

async fn works_again(social: &Social, provider: &str) {
    social.sign_in(provider, &[]).await.refresh_token();
}

#[tokio::test]
async fn what_a_provider_says_no_with_is_told_to_the_application() {
    let social = Social::start(&["github"], &[]).await;
    let control = social.providers.at("github");
    let refused = async |parameters: &[(&str, &str)]| {
        control.refuse(parameters);
        let final_page = social.sign_in("github", &[("redirectTo", PAGE), ("state", "a b")]).await;
        assert_eq!(final_page.error(), "oauth-provider-error");
        assert_eq!(final_page.target(), "http://localhost:3000/signed-in");
        let query = final_page.query();
        assert_eq!((query["from"].as_str(), query["state"].as_str()), ("test", "a b"));
        ["provider_error", "provider_error_description", "provider_error_url"]
            .map(|name| query.get(name).cloned().unwrap_or_default())
    };
    let full = [
        ("error", "access_denied"),
        ("error_description", "The user said no & left"),
        ("error_uri", "https://docs.test/access?x=1&y=2"),
    ];
    assert_eq!(refused(&full).await, full.map(|(_, value)| value));
    assert_eq!(refused(&full[..1]).await, ["access_denied", "", ""]);
    // A code beside an error is no reason to go on.
    let both = [("error", "server_error"), ("code", "x")];
    assert_eq!(refused(&both).await, ["server_error", "", ""]);
    assert!(control.calls(Endpoint::Token).is_empty());

    let long = "ä<&".repeat(1_000);
    let said =
        refused(&[("error", long.as_str()), ("error_description", &long), ("error_uri", &long)])
            .await;
    for value in said {
        assert!(long.starts_with(&value), "{value}");
        assert!((1..=256).contains(&value.chars().count()), "{value}");
    }
    assert_eq!(social.rows().await, 0);
    control.allow();
    works_again(&social, "github").await;
}

#[tokio::test]
async fn a_provider_that_says_no_uses_the_state_up() {
    let social = Social::start(&["github"], &[]).await;
    let (mut browser, step) = social.to_callback("github", &[]).await;
    let denied = step.with("code", None).with("error", Some("access_denied"));
    assert_eq!(browser.clone().follow(&denied).await.error(), "oauth-provider-error");
    assert_eq!(browser.follow(&step).await.error(), "invalid-state");
}

#[tokio::test]
async fn a_callback_without_a_code_is_a_failed_exchange() {
    let social = Social::start(&["github"], &[]).await;
    for code in [None, Some(""), Some("nobody gave this out"), Some("\u{0}")] {
        let (mut browser, step) = social.to_callback("github", &[]).await;
        let final_page = browser.follow(&step.with("code", code)).await;
        assert_at_home(&final_page);
        assert_eq!(final_page.error(), TOKEN, "{code:?}");
    }
    assert_eq!(social.rows().await, 0);
}

/// Codes are bound to the provider's client, to the challenge, and to the place they were sent to.
#[tokio::test]
async fn the_code_of_another_sign_in_is_worth_nothing() {
    let social = Social::start(&["discord"], &[]).await;
    let (_, stolen) = social.to_callback("discord", &[]).await;
    let (mut attacker, step) = social.to_callback("discord", &[]).await;
    let final_page = attacker.follow(&step.with("code", stolen.parameter("code").as_deref())).await;
    assert_eq!(final_page.error(), TOKEN, "PKCE binds a code to the state it was made for");
    assert_eq!(social.rows().await, 0);
}

#[tokio::test]
async fn a_token_endpoint_that_fails_ends_the_sign_in() {
    let social = Social::start(&["discord", "github"], &[]).await;
    for fault in [
        say(400, &json!({"error": "invalid_grant"})),
        say(401, &json!({"error": "invalid_client"})),
        say(200, &json!({"error": "bad_verification_code", "access_token": "x"})),
        say(500, &json!({})),
        say(503, &json!({"access_token": "x", "token_type": "bearer"})),
        say(200, &json!({})),
        say(200, &json!([])),
        say(200, &json!(null)),
        say(200, &json!({"access_token": ""})),
        say(200, &json!({"access_token": 7})),
        say(200, &json!({"token_type": "bearer"})),
        html(200),
        html(502),
        Fault::Say(200, "application/json", "{\"access_token\":\"x\"".to_owned()),
        Fault::Say(200, "application/json", String::new()),
        Fault::Say(
            200,
            "application/x-www-form-urlencoded",
            "error=bad_code&access_token=x".into(),
        ),
        Fault::Say(200, "application/x-www-form-urlencoded", "scope=user".into()),
        Fault::Close,
    ] {
        check(&social, "discord", Endpoint::Token, fault.clone(), TOKEN).await;
        check(&social, "github", Endpoint::Token, fault, TOKEN).await;
    }
    works_again(&social, "discord").await;
}

#[tokio::test]
async fn a_profile_endpoint_that_fails_ends_the_sign_in() {
    let social = Social::start(&["discord"], &[]).await;
    for fault in [
        say(401, &json!({"message": "401: Unauthorized"})),
        say(500, &json!({})),
        say(201, &json!({"id": "1", "email": "a@x.test"})),
        say(204, &json!({})),
        say(200, &json!({})),
        say(200, &json!([])),
        say(200, &json!(null)),
        say(200, &json!("104")),
        html(200),
        Fault::Say(200, "application/json", "{\"id\":\"104\"".to_owned()),
        Fault::Say(200, "application/json", "\u{feff}".to_owned()),
        Fault::Close,
    ] {
        check(&social, "discord", Endpoint::Profile, fault, PROFILE).await;
    }
    works_again(&social, "discord").await;
}

/// Addresses apart from the profile: who may not see them goes without, who cannot at the moment fails.
#[tokio::test]
async fn an_account_whose_addresses_may_not_be_seen_has_none() {
    for provider in ["github", "bitbucket"] {
        let social = Social::start(&[provider], &[]).await;
        let control = social.providers.at(provider);
        let unusual =
            [say(401, &json!({})), say(429, &json!({})), say(500, &json!({})), Fault::Close];
        for fault in unusual {
            check(&social, provider, Endpoint::Emails, fault, PROFILE).await;
        }
        for fault in [
            say(403, &json!({"message": "Resource not accessible by integration"})),
            say(404, &json!({"message": "Not Found"})),
            html(404),
        ] {
            control.fail(Endpoint::Emails, fault);
            social.sign_in(provider, &[]).await.refresh_token();
            assert_eq!(social.user().await["email"], Value::Null, "{provider}");
        }
        // The same account, also when they can be seen.
        control.recover();
        social.sign_in(provider, &[]).await.refresh_token();
        assert_eq!(social.user().await["email"], Value::Null, "{provider}");
    }
}

/// Nobody becomes user 0, and nobody's id is rounded.
#[tokio::test]
async fn profiles_without_an_id_or_of_wrong_types_end_the_sign_in() {
    let providers =
        ["github", "gitlab", "strava", "google", "discord", "twitch", "azuread", "facebook"];
    let social = Social::start(&providers, &[]).await;
    for (id, changes) in [
        ("github", json!({"id": null})),
        ("github", json!({"id": 0})),
        ("github", json!({"id": -1})),
        ("github", json!({"id": 1.5})),
        ("github", json!({"id": 1e30})),
        ("github", json!({"id": ""})),
        ("github", json!({"id": {"a": 1}})),
        ("gitlab", json!({"id": null})),
        ("gitlab", json!({"id": 0})),
        ("strava", json!({"id": null})),
        ("strava", json!({"id": 0})),
        ("google", json!({"id": null})),
        ("google", json!({"id": ""})),
        ("google", json!({"id": true})),
        ("discord", json!({"id": ""})),
        ("discord", json!({"id": "  "})),
        ("twitch", json!({"data": []})),
        ("twitch", json!({"data": null})),
        ("twitch", json!({"data": [{"display_name": "Twi"}]})),
        ("azuread", json!({"oid": null})),
        ("facebook", json!({"id": null})),
    ] {
        let control = social.providers.at(id);
        control.account(vectors::account(id));
        control.change_profile(&changes);
        let final_page = social.sign_in(id, &[]).await;
        assert_eq!(final_page.error(), PROFILE, "{id} {changes}");
        assert_eq!(social.rows().await, 0, "{id} {changes}");
    }
}

/// What has the wrong type is not there, and nobody is called after it.
#[tokio::test]
async fn addresses_and_names_of_wrong_types_are_none() {
    let social = Social::start(&["google", "gitlab", "github"], &[]).await;
    for (id, changes) in [
        ("google", json!({"email": ["google@x.test"], "name": {"a": 1}, "picture": 7})),
        ("gitlab", json!({"email": 5, "name": [], "avatar_url": "javascript:alert(1)"})),
        ("google", json!({"email": "no address", "name": "", "picture": ""})),
    ] {
        social.app.database.execute("delete from auth.users").await;
        let control = social.providers.at(id);
        control.account(vectors::account(id));
        control.change_profile(&changes);
        social.sign_in(id, &[]).await.refresh_token();
        let user = social.user().await;
        assert_eq!((&user["email"], &user["avatar_url"]), (&Value::Null, &json!("")), "{changes}");
        let name = user["display_name"].as_str().unwrap();
        assert!(["102", "107", "gl"].contains(&name), "{changes}: {name}");
    }
    for emails in [json!([]), json!([{"email": 7}])] {
        social.app.database.execute("delete from auth.users").await;
        let account = vectors::account("github").with_emails(emails);
        social.providers.at("github").account(account);
        social.sign_in("github", &[]).await.refresh_token();
        assert_eq!(social.user().await["email"], Value::Null);
    }
}

#[tokio::test]
async fn lists_of_addresses_that_fail_end_the_sign_in() {
    let social = Social::start(&["github", "bitbucket"], &[HASTY]).await;
    for id in ["github", "bitbucket"] {
        for fault in [
            say(500, &json!([])),
            say(200, &json!({})),
            say(200, &json!(null)),
            say(200, &json!("x")),
            say(200, &json!({"values": [{"email": 7}]})),
            html(200),
            Fault::Hang,
            Fault::Padded,
            Fault::Close,
        ] {
            check(&social, id, Endpoint::Emails, fault, PROFILE).await;
        }
    }
    works_again(&social, "github").await;
}

#[tokio::test]
async fn responses_that_never_come_or_never_end_cost_bounded_time() {
    let social = Social::start(&["discord"], &[HASTY]).await;
    for (endpoint, code) in [(Endpoint::Token, TOKEN), (Endpoint::Profile, PROFILE)] {
        for fault in [Fault::Hang, Fault::Padded, Fault::Endless] {
            check(&social, "discord", endpoint, fault, code).await;
        }
    }
    works_again(&social, "discord").await;
}

/// Neither a code nor a token goes to a place that a response names.
#[tokio::test]
async fn redirects_of_providers_are_not_followed() {
    let social = Social::start(&["discord"], &[]).await;
    let elsewhere = HttpSimulator::start(Reply::json(200, &json!({"access_token": "x"}))).await;
    let redirect = Fault::Redirect(format!("{}/x", elsewhere.url));
    check(&social, "discord", Endpoint::Token, redirect.clone(), TOKEN).await;
    check(&social, "discord", Endpoint::Profile, redirect, PROFILE).await;
    assert!(elsewhere.asked().is_empty(), "{:?}", elsewhere.asked());
}

#[tokio::test]
async fn a_provider_that_is_down_is_told_apart_in_the_log_and_nothing_else_is() {
    let providers = Providers::start().await;
    // Nobody listens there any more.
    let gone = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    let gone = format!("http://{gone}/token");
    let mut settings = providers.settings(&["github"]);
    settings.push(("AUTH_PROVIDER_GITHUB_TOKEN_URL".to_owned(), gone));
    let settings: Vec<(&str, &str)> =
        settings.iter().map(|(name, value)| (name.as_str(), value.as_str())).collect();
    let database = TestDatabase::new().await;
    let server = ServerProcess::start(&database, &settings).await;
    let mut browser = Browser::new(SERVER_URL, server.client().base());
    let step = callback(&mut browser, &start("github", &[])).await;
    let cookie = browser.jar.cookies[0].value.clone();
    let final_page: FinalPage = browser.follow(&step).await;
    assert_eq!(final_page.error(), TOKEN);
    // The log is written by a thread of its own; a line of a later request is proof that it is through.
    let marker = "/signin/provider/nobody-has-this-name";
    crate::support::smtp::eventually("the log to be written", async || {
        server.client().get(marker).await;
        server.log().iter().any(|line| line.to_string().contains("nobody-has-this-name"))
    })
    .await;
    let log = server.log();
    let lines: Vec<String> = log.iter().map(Value::to_string).collect();
    let cause =
        log.iter().find(|line| line["level"] != "INFO" && line.to_string().contains("github"));
    let cause = cause.unwrap_or_else(|| panic!("no cause in {lines:#?}")).to_string();
    assert!(cause.to_lowercase().contains("connect"), "{cause}");
    let code = step.parameter("code").unwrap();
    let state = step.parameter("state").unwrap();
    for secret in [code.as_str(), &state, &cookie, "s3cret"] {
        let encoded: String = url::form_urlencoded::byte_serialize(secret.as_bytes()).collect();
        for form in [secret, &encoded] {
            assert!(!lines.iter().any(|line| line.contains(form)), "{form} in {lines:#?}");
        }
    }
}
