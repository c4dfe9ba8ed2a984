//! Twitter: OAuth 1.0a. Every call below is checked by the simulator, signature included.

use serde_json::{Value, json};

use crate::support::http_simulator::{HttpSimulator, Reply};
use crate::support::providers::social::{Social, assert_at_home, callback};
use crate::support::providers::{Endpoint, Fault};

const HASTY: (&str, &str) = ("AUTH_PROVIDER_TIMEOUT", "300ms");
const FORM: &str = "application/x-www-form-urlencoded";

async fn start() -> Social {
    Social::start(&["twitter"], &[HASTY]).await
}

/// The reference tells the failure of step 4 as one of the profile.
#[track_caller]
fn assert_token_failed(code: &str, what: &str) {
    let known = ["oauth-token-echange-failed", "oauth-profile-fetch-failed"];
    assert!(known.contains(&code), "{what}: {code}");
}

#[tokio::test]
async fn a_user_signs_in_with_three_signed_calls() {
    let social = start().await;
    let control = social.providers.at("twitter");
    let page = "http://localhost:3000/in";
    let final_page = social.sign_in("twitter", &[("redirectTo", page), ("state", "mine")]).await;
    assert_eq!(
        (final_page.target().as_str(), final_page.query()["state"].as_str()),
        (page, "mine")
    );
    let session = social.session(&final_page).await;
    assert_eq!(session.0["user"]["displayName"], "Twit");
    assert_eq!(control.authorization().len(), 1, "the state is not in this address");
    for endpoint in [Endpoint::RequestToken, Endpoint::Token, Endpoint::Profile] {
        let calls = control.calls(endpoint);
        assert_eq!(calls.len(), 1, "{endpoint:?}");
        let header = calls[0].header("authorization").unwrap();
        assert!(header.starts_with("OAuth oauth_"), "{header}");
        assert!(!header.contains("s3cret"), "{header}");
    }
    let profile = control.calls(Endpoint::Profile).remove(0);
    assert!(profile.header("accept").is_some_and(|accept| accept.contains("json")));
}

#[tokio::test]
async fn a_wrong_consumer_secret_gets_no_request_token() {
    let more = [("AUTH_PROVIDER_TWITTER_CONSUMER_SECRET", "another")];
    let social = Social::start(&["twitter"], &more).await;
    let final_page = social.sign_in("twitter", &[]).await;
    assert_at_home(&final_page);
    assert_token_failed_at_start(&final_page.error());
}

#[track_caller]
fn assert_token_failed_at_start(code: &str) {
    let known = ["internal-server-error", "oauth-token-echange-failed"];
    assert!(known.contains(&code), "{code}");
}

#[tokio::test]
async fn a_user_who_says_no_is_told_to_the_application() {
    let social = start().await;
    let control = social.providers.at("twitter");
    control.refuse(&[]);
    let page = "http://localhost:3000/in";
    let final_page = social.sign_in("twitter", &[("redirectTo", page), ("state", "mine")]).await;
    assert_eq!(final_page.target(), page);
    assert_eq!(final_page.error(), "oauth-provider-error");
    assert_eq!(final_page.query()["provider_error"], "access_denied");
    assert_eq!(final_page.query()["state"], "mine");
    assert!(control.calls(Endpoint::Token).is_empty());
    control.allow();
    social.sign_in("twitter", &[]).await.refresh_token();
}

/// Two at once do not get each other's request token.
#[tokio::test]
async fn a_request_token_is_of_one_sign_in() {
    let social = start().await;
    let control = social.providers.at("twitter");
    let (mut one, first) = social.to_callback("twitter", &[]).await;
    control.change_profile(&json!({"id_str": "116", "name": "Other", "email": "other@x.test"}));
    let (mut other, second) = social.to_callback("twitter", &[]).await;
    let token = |step: &crate::support::providers::browser::Step| step.parameter("oauth_token");
    assert_ne!(token(&first), token(&second));

    // The other's, with a verifier that fits.
    let (mut attacker, third) = social.to_callback("twitter", &[]).await;
    let mixed = third
        .with("oauth_token", token(&first).as_deref())
        .with("oauth_verifier", first.parameter("oauth_verifier").as_deref());
    assert_token_failed(&attacker.follow(&mixed).await.error(), "mixed up");
    assert!(control.calls(Endpoint::Token).is_empty(), "refused without asking");

    let names = [
        social.session(&one.follow(&first).await).await.0["user"]["displayName"].clone(),
        social.session(&other.follow(&second).await).await.0["user"]["displayName"].clone(),
    ];
    assert_eq!(names, ["Twit", "Other"]);
}

#[tokio::test]
async fn callbacks_that_lack_something_end_the_sign_in() {
    let social = start().await;
    for (name, value) in [
        ("oauth_token", None),
        ("oauth_token", Some("")),
        ("oauth_token", Some("wrong")),
        ("oauth_verifier", None),
        ("oauth_verifier", Some("")),
        ("oauth_verifier", Some("wrong")),
    ] {
        let (mut browser, step) = social.to_callback("twitter", &[]).await;
        let final_page = browser.follow(&step.with(name, value)).await;
        assert_token_failed(&final_page.error(), &format!("{name} {value:?}"));
    }
    assert_eq!(social.rows().await, 0);
}

#[tokio::test]
async fn calls_that_fail_end_the_sign_in() {
    let social = start().await;
    let control = social.providers.at("twitter");
    let form = |text: &str| Fault::Say(200, FORM, text.to_owned());
    let elsewhere = HttpSimulator::start(Reply::json(200, &json!({"id_str": "1"}))).await;
    let redirect = Fault::Redirect(elsewhere.url.clone());
    for fault in [
        Fault::Say(401, "text/plain", "no".to_owned()),
        Fault::Say(500, FORM, "oauth_token=a&oauth_token_secret=b".to_owned()),
        form("oauth_token=a"),
        form("oauth_token_secret=b"),
        form("oauth_token=&oauth_token_secret="),
        form(""),
        redirect.clone(),
        Fault::Hang,
        Fault::Padded,
        Fault::Endless,
        Fault::Close,
    ] {
        control.fail(Endpoint::Token, fault.clone());
        let code = social.sign_in("twitter", &[]).await.error();
        assert_token_failed(&code, &format!("{fault:?}"));
    }
    control.recover();
    let profile = |body: Value| Fault::json(200, &body);
    for fault in [
        Fault::Say(401, "text/plain", "no".to_owned()),
        profile(json!({})),
        profile(json!({"id_str": ""})),
        profile(json!({"id_str": null, "name": "x"})),
        profile(json!({"id_str": 115})),
        profile(json!([])),
        redirect,
        Fault::Hang,
        Fault::Padded,
        Fault::Close,
    ] {
        control.fail(Endpoint::Profile, fault.clone());
        let code = social.sign_in("twitter", &[]).await.error();
        assert_eq!(code, "oauth-profile-fetch-failed", "{fault:?}");
    }
    assert!(elsewhere.asked().is_empty());
    assert_eq!(social.rows().await, 0);
    control.recover();
    social.sign_in("twitter", &[]).await.refresh_token();
}

#[tokio::test]
async fn twitter_without_an_address_is_a_user_without_one() {
    let social = start().await;
    for email in [json!(null), json!("")] {
        social.app.database.execute("delete from auth.users").await;
        social.providers.at("twitter").change_profile(&json!({"email": email}));
        social.sign_in("twitter", &[]).await.refresh_token();
        assert_eq!(social.user().await["email"], Value::Null);
    }
}

#[tokio::test]
async fn an_account_at_twitter_is_connected() {
    let social = start().await;
    let ann = social.app.sign_up("ann@example.com").await.session();
    let mut browser = social.browser();
    let first = social.link("twitter", &[("connect", ann.access_token())]);
    let step = callback(&mut browser, &first).await;
    browser.follow(&step).await.assert_silent();
    assert_eq!(social.links().await.len(), 1);
}
