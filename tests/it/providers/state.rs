//! The state between a start and its callback: random, of one browser and one provider, once, for a while.

use std::sync::Arc;

use futures_util::future::join_all;
use serde_json::json;
use time::Duration;

use crate::support::app::Client;
use crate::support::jwt;
use crate::support::providers::browser::{Browser, FinalPage, SameSite, Step};
use crate::support::providers::social::{Social, assert_at_home, callback, start};
use crate::support::providers::{Endpoint, Providers, SERVER_URL};
use crate::support::smtp::eventually;
use crate::support::two_nodes::TwoNodes;

const BOTH: [&str; 2] = ["github", "gitlab"];

/// The application is told at home, which state that was.
#[track_caller]
fn assert_invalid(final_page: &FinalPage, state: &str) {
    assert_at_home(final_page);
    assert_eq!(final_page.error(), "invalid-state");
    let said = final_page.query()["provider_state"].clone();
    let is_whole = said.len() == state.len() || said.len() == 256;
    assert!(is_whole && state.starts_with(&said), "{said} of {state}");
}

fn state_of(step: &Step) -> String {
    step.parameter("state").expect("a state")
}

#[tokio::test]
async fn a_callback_without_a_state_leads_nowhere() {
    let social = Social::start(&["github"], &[]).await;
    for query in ["", "?code=x", "?error=access_denied"] {
        let path = format!("/signin/provider/github/callback{query}");
        social.app.get(&path).await.assert_refused(400, "invalid-request");
        let form = Step::form(&format!("{SERVER_URL}{path}"), &[("code", "x")], SERVER_URL);
        let final_page = social.browser().follow(&form).await;
        final_page.page().assert_refused(400, "invalid-request");
    }
}

#[tokio::test]
async fn states_that_nobody_gave_out_are_invalid() {
    let social = Social::start(&["github"], &[]).await;
    let session = social.app.sign_up("ann@example.com").await.session();
    let id = session.user_id();
    // As the reference would have made it, with the same key.
    let mut reference = jwt::claims(id);
    reference["options"] = json!({"redirectTo": "http://localhost:3000"});
    let reference = jwt::sign(&reference);
    let (_, good) = social.to_callback("github", &[]).await;
    for state in [
        "x",
        "00000000-0000-4000-8000-000000000000",
        &"A".repeat(43),
        session.access_token(),
        &reference,
        session.refresh_token(),
        "%00",
        "ü",
        &"long".repeat(40),
    ] {
        let step = good.with("state", Some(state));
        let mut browser = social.browser();
        let final_page = browser.follow(&step).await;
        assert_invalid(&final_page, state);
        // By a form too.
        let form = Step::form(
            &format!("{SERVER_URL}/signin/provider/github/callback"),
            &[("code", "x"), ("state", state)],
            SERVER_URL,
        );
        assert_invalid(&browser.follow(&form).await, state);
    }
    assert!(social.providers.at("github").calls(Endpoint::Token).is_empty());
    assert!(social.links().await.is_empty());
}

#[tokio::test]
async fn what_comes_back_of_an_invalid_state_is_bounded_and_encoded() {
    let social = Social::start(&["github"], &[]).await;
    let state = format!("<script>&error=none#{}", "x".repeat(3_000));
    let (_, good) = social.to_callback("github", &[]).await;
    let final_page = social.browser().follow(&good.with("state", Some(&state))).await;
    assert_eq!(final_page.error(), "invalid-state");
    let said = final_page.query()["provider_state"].clone();
    assert!(state.starts_with(&said) && said.chars().count() <= 256, "{said}");
    assert_eq!(final_page.url.fragment(), None);
}

#[tokio::test]
async fn a_state_is_no_access_token() {
    let social = Social::start(&["github"], &[]).await;
    let (_, step) = social.to_callback("github", &[]).await;
    let state = state_of(&step);
    social.app.get_as("/user", &state).await.assert_refused(400, "invalid-request");
    let connect = social.sign_in("github", &[("connect", &state)]).await;
    assert_eq!(connect.error(), "invalid-request");
}

#[tokio::test]
async fn a_state_works_once() {
    let social = Social::start(&["github"], &[]).await;
    let (mut browser, step) = social.to_callback("github", &[]).await;
    let mut copy = browser.clone();
    browser.follow(&step).await.refresh_token();
    // With the cookies as they were, and as they are; with the same code, and with another.
    let (_, other) = social.to_callback("github", &[]).await;
    let fresh_code = step.with("code", other.parameter("code").as_deref());
    for step in [&step, &fresh_code] {
        for browser in [&mut browser, &mut copy] {
            assert_invalid(&browser.follow(step).await, &state_of(step));
        }
    }
    let calls = social.providers.at("github").calls(Endpoint::Token);
    assert_eq!(calls.len(), 1, "the provider is asked once");
}

#[tokio::test]
async fn a_state_is_used_up_by_a_failure_too() {
    let social = Social::start(&["github"], &[]).await;
    let (mut browser, step) = social.to_callback("github", &[]).await;
    let copy = browser.clone();
    let wrong = browser.follow(&step.with("code", Some("wrong"))).await;
    assert_eq!(wrong.error(), "oauth-token-echange-failed");
    for mut browser in [browser, copy] {
        assert_invalid(&browser.follow(&step).await, &state_of(&step));
    }
}

#[tokio::test]
async fn a_state_lives_ten_minutes() {
    let social = Social::start(&["github"], &[]).await;
    let (mut browser, step) = social.to_callback("github", &[]).await;
    social.providers.clock.advance(Duration::seconds(9 * 60 + 55));
    browser.follow(&step).await.refresh_token();
    let (mut browser, step) = social.to_callback("github", &[]).await;
    social.providers.clock.advance(Duration::minutes(10));
    assert_invalid(&browser.follow(&step).await, &state_of(&step));
}

#[tokio::test]
async fn how_long_a_state_lives_is_configured() {
    let social = Social::start(&["github"], &[("AUTH_PROVIDER_STATE_LIFETIME", "60s")]).await;
    let (mut browser, step) = social.to_callback("github", &[]).await;
    let max_age = browser.jar.cookies[0].max_age;
    assert_eq!(max_age, Some(60));
    social.providers.clock.advance(Duration::seconds(60));
    assert_invalid(&browser.follow(&step).await, &state_of(&step));
}

/// A flood of strangers must not keep out whoever comes now.
#[tokio::test]
async fn of_too_many_states_the_oldest_go() {
    let social = Social::start(&["github"], &[("AUTH_PROVIDER_MAX_STATES", "1000")]).await;
    let (mut old, oldest) = social.to_callback("github", &[]).await;
    social.providers.clock.advance(Duration::minutes(5));
    for _ in 0..20 {
        join_all((0..50).map(|_| social.app.get("/signin/provider/github"))).await;
    }
    let (mut browser, step) = social.to_callback("github", &[]).await;
    eventually("the oldest to go", async || {
        social.app.get("/signin/provider/github").await;
        let old = "select count(*) from auth.keywright_challenges
                    where created_at < (select max(created_at) - interval '4 minutes'
                                          from auth.keywright_challenges)";
        social.app.database.count(old).await == 0
    })
    .await;
    assert_invalid(&old.follow(&oldest).await, &state_of(&oldest));
    browser.follow(&step).await.refresh_token();
}

/// Who began most makes the room, and not who began first.
#[tokio::test]
async fn of_too_many_states_those_of_the_network_with_the_most_go() {
    let social = Social::start(&["github"], &[("AUTH_PROVIDER_MAX_STATES", "1000")]).await;
    let another = social.another(&["github"], &[("AUTH_PROVIDER_MAX_STATES", "1000")]).await;
    let (mut browser, step) = social.to_callback("github", &[]).await;
    social.providers.clock.advance(Duration::minutes(5));
    for _ in 0..25 {
        join_all((0..50).map(|_| {
            let request = social.app.request(reqwest::Method::GET, "/signin/provider/github");
            Client::send(request.header("x-forwarded-for", "203.0.113.66"))
        }))
        .await;
    }
    eventually("room", async || {
        social.app.database.count("select count(*) from auth.keywright_challenges").await <= 1_000
    })
    .await;
    browser.lead_to(another.url());
    browser.follow(&step).await.refresh_token();
}

#[tokio::test]
async fn a_state_is_of_one_provider_and_not_used_up_at_another() {
    let social = Social::start(&BOTH, &[]).await;
    let (mut browser, step) = social.to_callback("github", &[]).await;
    let mixed = step.at("/signin/provider/gitlab/callback");
    assert_invalid(&browser.follow(&mixed).await, &state_of(&step));
    assert!(social.providers.at("gitlab").calls(Endpoint::Token).is_empty());
    browser.follow(&step).await.refresh_token();
}

/// Nobody can be made to sign in as the attacker, nor to finish what another began
/// (docs/reference-behaviour.md#state-is-of-one-browser).
#[tokio::test]
async fn a_state_is_of_one_browser_and_not_used_up_by_another() {
    let social = Social::start(&["github"], &[]).await;
    let (mut browser, step) = social.to_callback("github", &[]).await;
    assert_invalid(&social.browser().follow(&step).await, &state_of(&step));

    // One that has begun something of its own.
    let (mut other, _) = social.to_callback("github", &[]).await;
    assert_invalid(&other.follow(&step).await, &state_of(&step));
    // The cookie's name is no secret, its value is.
    let mut guess = browser.clone();
    for cookie in &mut guess.jar.cookies {
        cookie.value = "A".repeat(cookie.value.len());
    }
    assert_invalid(&guess.follow(&step).await, &state_of(&step));
    assert!(social.providers.at("github").calls(Endpoint::Token).is_empty());
    browser.follow(&step).await.refresh_token();
}

#[tokio::test]
async fn two_tabs_finish_in_any_order() {
    let social = Social::start(&BOTH, &[]).await;
    let mut browser = social.browser();
    let first = callback(&mut browser, &start("github", &[])).await;
    let second = callback(&mut browser, &start("gitlab", &[])).await;
    let third = callback(&mut browser, &start("github", &[])).await;
    for step in [second, first, third] {
        browser.follow(&step).await.refresh_token();
    }
}

#[tokio::test]
async fn cookies_are_for_nobody_else_and_go_when_they_are_used() {
    for secure in [false, true] {
        let social = if secure {
            Social::start_secure(&["github"], &[]).await
        } else {
            Social::start(&["github"], &[]).await
        };
        let (mut browser, step) = social.to_callback("github", &[]).await;
        assert!(browser.jar.refused.is_empty(), "{:?}", browser.jar);
        let [cookie] = &browser.jar.cookies[..] else { panic!("{:?}", browser.jar) };
        assert!(cookie.is_http_only && cookie.is_secure == secure, "{cookie:?}");
        let is_host_only = cookie.name.starts_with("__Host-") && cookie.path == "/";
        assert_eq!(is_host_only, secure, "{cookie:?}");
        assert_ne!(cookie.same_site, SameSite::Strict, "{cookie:?}");
        assert!(cookie.value.len() >= 22, "128 bits at least: {cookie:?}");
        assert!(cookie.max_age.is_some_and(|age| (1..=600).contains(&age)), "{cookie:?}");
        let state = state_of(&step);
        assert!(!cookie.value.contains(&state) && !state.contains(&cookie.value), "{cookie:?}");
        browser.follow(&step).await.refresh_token();
        assert!(browser.jar.cookies.is_empty(), "{:?}", browser.jar);
    }
}

/// A host of the same site, which somebody else may have taken over, sets cookies for all of the site,
/// but none that begin with `__Host-` (docs/reference-behaviour.md#state-is-of-one-browser).
#[tokio::test]
async fn another_host_of_the_site_cannot_have_a_browser_finish_what_somebody_else_began() {
    let social = Social::start_secure(&["github"], &[]).await;
    let (attacker, step) = social.to_callback("github", &[]).await;
    let mut victim = social.browser();
    let mut tossed = attacker.jar.cookies[0].clone();
    tossed.name = tossed.name.trim_start_matches("__Host-").to_owned();
    for value in [tossed.value.clone(), tossed.value.trim_start_matches("h.").to_owned()] {
        tossed.value = value;
        victim.jar.cookies = vec![tossed.clone()];
        assert_eq!(victim.follow(&step).await.error(), "invalid-state");
    }
    let mut attacker = attacker;
    attacker.follow(&step).await.refresh_token();
}

#[tokio::test]
async fn a_sign_in_begins_on_one_node_and_ends_on_another_or_after_a_restart() {
    let providers = Providers::start().await;
    let settings = providers.settings(&["github"]);
    let settings: Vec<(&str, &str)> =
        settings.iter().map(|(name, value)| (name.as_str(), value.as_str())).collect();
    let two = TwoNodes::start(&settings).await;
    let [one, other] = &two.nodes;
    let mut browser = Browser::new(SERVER_URL, one.url());
    let step = callback(&mut browser, &start("github", &[])).await;
    let after_restart = callback(&mut browser, &start("github", &[])).await;
    browser.lead_to(other.url());
    browser.follow(&step).await.refresh_token();

    let database = Arc::clone(&one.database);
    let TwoNodes { nodes: [one, _other], .. } = two;
    one.stop().await;
    let one = crate::support::app::TestApp::start_on(database, &settings).await;
    browser.lead_to(one.url());
    browser.follow(&after_restart).await.refresh_token();
}

#[tokio::test]
async fn of_many_callbacks_at_once_on_two_nodes_one_counts() {
    let providers = Providers::start().await;
    let settings = providers.settings(&["github"]);
    let settings: Vec<(&str, &str)> =
        settings.iter().map(|(name, value)| (name.as_str(), value.as_str())).collect();
    let two = TwoNodes::start(&settings).await;
    let mut browser = Browser::new(SERVER_URL, two.nodes[0].url());
    let step = callback(&mut browser, &start("github", &[])).await;
    let final_pages = join_all((0..16).map(|n| {
        let (mut browser, step) = (browser.clone(), step.clone());
        browser.lead_to(two.nodes[n % 2].url());
        async move { browser.follow(&step).await }
    }))
    .await;
    let won =
        final_pages.iter().filter(|final_page| final_page.query().contains_key("refreshToken"));
    assert_eq!(won.count(), 1);
    for final_page in
        final_pages.iter().filter(|final_page| final_page.query().contains_key("error"))
    {
        assert_invalid(final_page, &state_of(&step));
    }
    assert_eq!(providers.at("github").calls(Endpoint::Token).len(), 1);
}

/// What one request is told never shows up in another's redirect.
#[tokio::test]
async fn after_errors_a_redirect_is_clean() {
    let social = Social::start(&["github"], &[]).await;
    let (_, good) = social.to_callback("github", &[]).await;
    social.browser().follow(&good.with("state", Some("wrong"))).await.error();
    let control = social.providers.at("github");
    control.refuse(&[("error", "access_denied"), ("error_description", "no thanks")]);
    assert_eq!(social.sign_in("github", &[]).await.error(), "oauth-provider-error");
    control.allow();
    let final_page = social.sign_in("github", &[]).await;
    let names: Vec<String> = final_page.query().into_keys().collect();
    assert_eq!(names, ["refreshToken"]);
}

#[tokio::test]
async fn redirects_are_not_kept_and_not_told_to_others() {
    let social = Social::start(&["github"], &[]).await;
    let final_page = social.sign_in("github", &[]).await;
    final_page.refresh_token();
    let ours = final_page.visits.iter().filter(|visit| visit.url.as_str().starts_with(SERVER_URL));
    let ours: Vec<_> = ours.collect();
    assert_eq!(ours.len(), 2);
    for visit in ours {
        assert_eq!(visit.response.header("cache-control"), Some("no-store"), "{visit:?}");
        assert_eq!(visit.response.header("referrer-policy"), Some("no-referrer"), "{visit:?}");
    }
}

/// What a thief of the database would find: nothing to finish a sign-in with, and no secret of a provider.
#[tokio::test]
async fn nothing_that_counts_is_stored_as_it_is() {
    let social = Social::start(&["discord"], &[]).await;
    let (mut browser, step) = social.to_callback("discord", &[]).await;
    let mut secrets = vec![("state", state_of(&step))];
    let cookie = browser.jar.cookies[0].value.clone();
    secrets.push(("cookie", cookie));
    for (what, secret) in &secrets {
        assert_eq!(social.rows_that_contain(secret).await, Vec::<String>::new(), "{what}");
    }
    let refresh_token = browser.follow(&step).await.refresh_token();
    let control = social.providers.at("discord");
    let bearer = control.calls(Endpoint::Profile).remove(0);
    let bearer = bearer.header("authorization").unwrap().replace("Bearer ", "");
    secrets.push(("access token of the provider", bearer));
    secrets.push(("our refresh token", refresh_token));
    secrets.push(("code", step.parameter("code").unwrap()));
    for (what, secret) in &secrets {
        assert_eq!(social.rows_that_contain(secret).await, Vec::<String>::new(), "{what}");
    }
}

#[tokio::test]
async fn an_abandoned_sign_in_leaves_no_user() {
    let social = Social::start(&["github"], &[]).await;
    let before = social.rows().await;
    social.to_callback("github", &[]).await;
    assert_eq!(social.rows().await, before);
}
