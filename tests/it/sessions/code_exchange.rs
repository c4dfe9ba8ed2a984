//! `codeChallenge` and `POST /token/exchange`: a session without a refresh token in any address.

use aws_lc_rs::digest::{SHA256, digest};
use futures_util::future::join_all;
use serde_json::json;
use time::Duration;

use crate::support::app::TestResponse;
use crate::support::mailbox::Mailbox;
use crate::support::providers::browser::{Browser, FinalPage};
use crate::support::providers::social::{Social, assert_at_home, begin, callback, start};
use crate::support::providers::{Providers, SERVER_URL};
use crate::support::security_key::base64url;
use crate::support::two_nodes::TwoNodes;

const VERIFIER: &str = "a-verifier.of_43-characters~which-nobody-se";

fn challenge(verifier: &str) -> String {
    base64url(digest(&SHA256, verifier.as_bytes()))
}

async fn exchange(
    client: &crate::support::app::Client,
    code: &str,
    verifier: &str,
) -> TestResponse {
    client.post("/token/exchange", json!({"code": code, "codeVerifier": verifier})).await
}

async fn with_code(social: &Social, provider: &str, more: &[(&str, &str)]) -> FinalPage {
    let challenge = challenge(VERIFIER);
    let mut query = vec![("codeChallenge", challenge.as_str())];
    query.extend_from_slice(more);
    social.sign_in(provider, &query).await
}

#[track_caller]
fn code(final_page: &FinalPage) -> String {
    assert_at_home(final_page);
    let query = final_page.query();
    assert!(!query.contains_key("refreshToken"), "{}", final_page.url);
    assert!(!query.contains_key("error"), "{}", final_page.url);
    query["code"].clone()
}

#[tokio::test]
async fn a_code_and_its_verifier_are_worth_a_session_once() {
    assert_eq!(VERIFIER.len(), 43);
    let social = Social::start(&["github"], &[]).await;
    let final_page = with_code(&social, "github", &[("state", "mine")]).await;
    let names: Vec<String> = final_page.query().into_keys().collect();
    assert_eq!(names, ["code", "state"]);
    let code = code(&final_page);
    assert!(code.len() >= 43, "{code}");
    let tokens = "select count(*) from auth.refresh_tokens";
    assert_eq!(social.app.database.count(tokens).await, 0, "no session before it is asked for");
    let response = exchange(&social.app, &code, VERIFIER).await;
    let names: Vec<String> =
        response.json().as_object().unwrap().keys().map(ToOwned::to_owned).collect();
    assert_eq!(names, ["session"]);
    let session = response.session();
    assert_eq!(session.0["user"]["email"], "gh@x.test");
    social.app.refresh(session.refresh_token()).await.session();
    for _ in 0..2 {
        exchange(&social.app, &code, VERIFIER).await.assert_refused(400, "invalid-request");
    }
}

#[tokio::test]
async fn a_wrong_verifier_gets_nothing_and_burns_nothing() {
    let social = Social::start(&["github"], &[]).await;
    let code = code(&with_code(&social, "github", &[]).await);
    for wrong in [
        VERIFIER.to_uppercase(),
        challenge(VERIFIER),
        "A".repeat(43),
        "A".repeat(128),
        format!("{VERIFIER}x"),
    ] {
        exchange(&social.app, &code, &wrong).await.assert_refused(400, "invalid-request");
    }
    exchange(&social.app, &code, VERIFIER).await.session();
}

#[tokio::test]
async fn bodies_against_the_contract_are_refused() {
    let social = Social::start(&["github"], &[]).await;
    let code = code(&with_code(&social, "github", &[]).await);
    for body in [
        json!({}),
        json!({"code": code}),
        json!({"codeVerifier": VERIFIER}),
        json!({"code": code, "codeVerifier": "A".repeat(42)}),
        json!({"code": code, "codeVerifier": "A".repeat(129)}),
        json!({"code": 7, "codeVerifier": VERIFIER}),
        json!({"code": code, "codeVerifier": null}),
        json!({"code": code, "codeVerifier": VERIFIER, "surprise": 1}),
        json!({"code": "unknown", "codeVerifier": VERIFIER}),
        json!({"code": "", "codeVerifier": VERIFIER}),
    ] {
        let response = social.app.post("/token/exchange", body.clone()).await;
        assert_eq!(
            (response.status.as_u16(), response.error().as_str()),
            (400, "invalid-request"),
            "{body}"
        );
    }
    exchange(&social.app, &code, VERIFIER).await.session();
}

#[tokio::test]
async fn a_code_lives_five_minutes() {
    let social = Social::start(&["github"], &[]).await;
    let code_of = async || code(&with_code(&social, "github", &[]).await);
    let in_time = code_of().await;
    social.providers.clock.advance(Duration::seconds(295));
    exchange(&social.app, &in_time, VERIFIER).await.session();
    let late = code_of().await;
    social.providers.clock.advance(Duration::minutes(5));
    exchange(&social.app, &late, VERIFIER).await.assert_refused(400, "invalid-request");
}

#[tokio::test]
async fn users_are_looked_at_again_and_those_without_an_address_have_a_session() {
    let social = Social::start(&["github", "strava"], &[]).await;
    let without = code(&with_code(&social, "strava", &[]).await);
    exchange(&social.app, &without, VERIFIER).await.session();

    for (sql, more, code_of_refusal) in [
        ("update auth.users set disabled = true", &[][..], "disabled-user"),
        (
            "update auth.users set email_verified = false",
            &[("AUTH_EMAIL_SIGNIN_EMAIL_VERIFIED_REQUIRED", "true")],
            "unverified-user",
        ),
    ] {
        social.app.database.execute("delete from auth.users").await;
        let code = code(&with_code(&social, "github", &[]).await);
        social.app.database.execute(sql).await;
        let strict = social.another(&["github"], more).await;
        exchange(&strict, &code, VERIFIER).await.assert_refused(401, code_of_refusal);
    }
    social.app.database.execute("delete from auth.users").await;
    let code = code(&with_code(&social, "github", &[]).await);
    social.app.database.execute("delete from auth.users").await;
    let gone = exchange(&social.app, &code, VERIFIER).await;
    assert!(["invalid-request", "invalid-email-password"].contains(&gone.error().as_str()));
}

#[tokio::test]
async fn of_many_exchanges_at_once_on_two_nodes_one_counts() {
    let providers = Providers::start().await;
    let settings = providers.settings(&["github"]);
    let settings: Vec<(&str, &str)> =
        settings.iter().map(|(name, value)| (name.as_str(), value.as_str())).collect();
    let two = TwoNodes::start(&settings).await;
    let mut browser = Browser::new(SERVER_URL, two.nodes[0].url());
    let challenge = challenge(VERIFIER);
    let step = callback(&mut browser, &start("github", &[("codeChallenge", &challenge)])).await;
    browser.lead_to(two.nodes[1].url());
    let code = code(&browser.follow(&step).await);
    let calls = (0..16).map(|n| exchange(&two.nodes[n % 2], &code, VERIFIER));
    let responses = join_all(calls).await;
    let won = responses.iter().filter(|response| response.status == 200).count();
    assert_eq!(won, 1);
    for response in responses.iter().filter(|response| response.status != 200) {
        response.assert_refused(400, "invalid-request");
    }
}

#[tokio::test]
async fn neither_code_nor_verifier_is_stored_as_it_is() {
    let social = Social::start(&["github"], &[]).await;
    let code = code(&with_code(&social, "github", &[]).await);
    for secret in [code.as_str(), VERIFIER] {
        assert!(social.rows_that_contain(secret).await.is_empty());
    }
}

#[tokio::test]
async fn refusals_come_without_a_code() {
    let social = Social::start(&["github"], &[("AUTH_DISABLE_SIGNUP", "true")]).await;
    let final_page = with_code(&social, "github", &[]).await;
    assert_eq!(final_page.error(), "signup-disabled");
}

#[tokio::test]
async fn a_user_who_has_to_verify_an_address_first_gets_no_code() {
    let mailbox = Mailbox::start().await;
    let social = Social::start(&["discord"], &mailbox.settings(&[])).await;
    with_code(&social, "discord", &[]).await.assert_silent();
    // The mailed link brings one instead, for the same verifier.
    let mail = mailbox.last(&social.app.database, 1).await;
    let (_, query) = social.app.get(&mail.path()).await.redirect();
    assert!(!query.contains_key("refreshToken"), "{query:?}");
    exchange(&social.app, &query["code"], VERIFIER).await.session();
}

#[tokio::test]
async fn sign_up_by_provider_gives_a_code_too() {
    let social = Social::start(&["github"], &[]).await;
    let challenge = challenge(VERIFIER);
    let url = format!("{SERVER_URL}/signup/provider/github");
    let first = begin(&url, &[("codeChallenge", &challenge)]);
    let code = code(&social.browser().follow(&first).await);
    exchange(&social.app, &code, VERIFIER).await.session();
}

/// A challenge is of one sign-in: the code of another is worth nothing with this verifier.
#[tokio::test]
async fn a_code_goes_with_its_own_verifier_only() {
    let social = Social::start(&["github"], &[]).await;
    let other = "B".repeat(43);
    let mine = code(&with_code(&social, "github", &[]).await);
    let challenge = challenge(&other);
    let final_page = social.sign_in("github", &[("codeChallenge", &challenge)]).await;
    let theirs = code(&final_page);
    exchange(&social.app, &theirs, VERIFIER).await.assert_refused(400, "invalid-request");
    exchange(&social.app, &mine, &other).await.assert_refused(400, "invalid-request");
    exchange(&social.app, &mine, VERIFIER).await.session();
    exchange(&social.app, &theirs, &other).await.session();
}
