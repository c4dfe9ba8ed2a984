//! Every provider, end to end, with the conformance vectors: what it is asked, what is stored, and
//! where the user lands.

use std::collections::BTreeSet;

use md5::{Digest as _, Md5};
use serde_json::{Value, json};

use crate::support::app::TestApp;
use crate::support::hex::hex;
use crate::support::providers::social::{Social, assert_at_home};
use crate::support::providers::vectors::{self, Avatar, Vector};
use crate::support::providers::{
    ClientAuth, Control, Endpoint, PROVIDERS, Providers, Style, shape,
};

fn all() -> Vec<&'static str> {
    PROVIDERS.iter().map(|provider| provider.id).collect()
}

fn gravatar(email: &str) -> String {
    format!("https://www.gravatar.com/avatar/{}?d=blank&r=g", hex(Md5::digest(email)))
}

/// What a new user's row holds.
fn assert_row(vector: &Vector, user: &Value) {
    let who = format!("{}, {}", vector.provider, vector.what);
    let avatar = match vector.avatar {
        Avatar::Picture(url) => url.to_owned(),
        Avatar::Gravatar => gravatar(vector.email.expect("an address")),
        Avatar::None => String::new(),
    };
    for (column, expected) in [
        ("email", json!(vector.email)),
        ("email_verified", json!(vector.is_verified)),
        ("display_name", json!(vector.name)),
        ("avatar_url", json!(avatar)),
        ("locale", json!("en")),
        ("default_role", json!("user")),
        ("roles", json!(["editor", "me", "user"])),
        ("disabled", json!(false)),
        ("is_anonymous", json!(false)),
        ("password_hash", Value::Null),
        ("phone_number", Value::Null),
        ("metadata", Value::Null),
    ] {
        assert_eq!(user[column], expected, "{who}: {column} of {user}");
    }
    assert!(user["last_seen"].is_string(), "{who}: {user}");
}

/// Signs the account up, looks at the rows, and signs it in again.
async fn check(social: &Social, vector: &Vector) {
    let who = format!("{}, {}", vector.provider, vector.what);
    social.providers.at(vector.provider).account(vector.account.clone());
    social.app.database.execute("delete from auth.users").await;

    let final_page = social.sign_in(vector.provider, &[]).await;
    assert_at_home(&final_page);
    let names: Vec<String> = final_page.query().into_keys().collect();
    assert_eq!(names, ["refreshToken"], "{who}");
    let session = social.session(&final_page).await;

    let user = social.user().await;
    assert_row(vector, &user);
    assert_eq!(user["id"], session.user_id().to_string(), "{who}");
    let link = social
        .app
        .database
        .text(
            "select json_agg(json_build_array(provider_id, provider_user_id, access_token,
                                              refresh_token))::text from auth.user_providers",
        )
        .await;
    let link: Value = serde_json::from_str(&link.unwrap()).unwrap();
    assert_eq!(link, json!([[vector.provider, vector.id, "unset", null]]), "{who}");
    let profile = &session.0["user"];
    assert_eq!(profile["avatarUrl"], user["avatar_url"], "{who}");
    assert_eq!(profile["displayName"], vector.name, "{who}");

    // The same identity is the same user, whose row stays as it is.
    let again = social.sign_in(vector.provider, &[]).await;
    assert_eq!(social.session(&again).await.user_id(), session.user_id(), "{who}");
    let mut after = social.user().await;
    for column in ["last_seen", "updated_at"] {
        after[column] = user[column].clone();
    }
    assert_eq!(after, user, "{who}");
    assert_eq!(social.links().await.len(), 1, "{who}");
}

#[tokio::test]
async fn every_provider_signs_new_users_up_and_in_again() {
    let social = Social::start_secure(&all(), &[]).await;
    for vector in vectors::usual() {
        check(&social, &vector).await;
    }
}

#[tokio::test]
async fn accounts_out_of_the_ordinary_become_the_right_rows() {
    let social = Social::start_secure(&all(), &[]).await;
    for vector in vectors::unusual() {
        check(&social, &vector).await;
    }
}

#[tokio::test]
async fn bitbucket_without_a_confirmed_address_is_refused() {
    let social = Social::start(&["bitbucket"], &[]).await;
    let account = vectors::account("bitbucket")
        .with_emails(json!({"values": [{"email": "unc@x.test", "is_confirmed": false}]}));
    social.providers.at("bitbucket").account(account);
    assert_eq!(social.sign_in("bitbucket", &[]).await.error(), "oauth-profile-fetch-failed");
    assert_eq!(social.rows().await, 0);
}

#[tokio::test]
async fn profiles_of_existing_users_are_not_refreshed() {
    let social = Social::start(&["google"], &[]).await;
    social.sign_in("google", &[]).await.refresh_token();
    let before = social.user().await;
    social.providers.at("google").change_profile(&json!({
        "email": "other@x.test", "name": "Other", "picture": "https://a.test/other.png",
    }));
    social.sign_in("google", &[]).await.refresh_token();
    let after = social.user().await;
    for column in ["email", "display_name", "avatar_url"] {
        assert_eq!(after[column], before[column]);
    }
}

/// The parameters of one authorization request, apart from what is different each time.
#[tokio::test]
async fn authorization_requests_have_what_the_provider_wants_and_nothing_else() {
    let social = Social::start(&all(), &[]).await;
    for provider in PROVIDERS.iter().filter(|provider| provider.id != "twitter") {
        let id = provider.id;
        let control = social.providers.at(id);
        let mut seen = Vec::new();
        for _ in 0..2 {
            social.to_callback(id, &[]).await;
            seen.push(control.authorization());
        }
        let [first, second] = &seen[..] else { unreachable!() };
        let mut expected = BTreeSet::from(["client_id", "redirect_uri", "response_type", "state"]);
        if provider.takes_pkce {
            expected.extend(["code_challenge", "code_challenge_method"]);
        }
        expected.extend(provider.extra.iter().map(|(name, _)| name));
        expected.extend(provider.scope.map(|_| "scope"));
        // Those that return id tokens that are looked at.
        let names: BTreeSet<&str> =
            first.keys().map(String::as_str).filter(|name| *name != "nonce").collect();
        assert_eq!(names, expected, "{id}");
        if id == "apple" {
            assert!(first["nonce"].len() >= 22 && first["nonce"] != second["nonce"], "{first:?}");
        }
        for (name, value) in provider.extra {
            assert_eq!(first[*name], *value, "{id}");
        }
        if let Some(scope) = provider.scope {
            assert_eq!(first["scope"], scope, "{id}");
        }
        for name in ["state", "code_challenge"] {
            assert!(first.get(name) != second.get(name) || !first.contains_key(name), "{id}");
        }
        let state = &first["state"];
        assert!(state.len() >= 22 && !state.contains('.'), "{id}: no opaque handle: {state}");
    }
}

#[tokio::test]
async fn scopes_are_configured() {
    let more = [("AUTH_PROVIDER_GITHUB_SCOPE", "read:user,,repo")];
    let social = Social::start(&["github"], &more).await;
    social.sign_in("github", &[]).await.refresh_token();
    assert_eq!(social.providers.at("github").authorization()["scope"], "read:user repo");
}

#[tokio::test]
async fn workos_is_told_which_organization_and_others_are_not() {
    let more = [
        ("AUTH_PROVIDER_WORKOS_DEFAULT_ORGANIZATION", "org_1"),
        ("AUTH_PROVIDER_WORKOS_DEFAULT_CONNECTION", "conn_1"),
        ("AUTH_PROVIDER_WORKOS_DEFAULT_DOMAIN", "x.test"),
    ];
    let social = Social::start(&["workos", "github"], &more).await;
    let asked = async |provider: &str, query: &[(&str, &str)]| {
        social.sign_in(provider, query).await.refresh_token();
        let sent = social.providers.at(provider).authorization();
        ["organization", "connection", "domain"]
            .map(|name| sent.get(name).cloned().unwrap_or_default())
    };
    assert_eq!(asked("workos", &[]).await, ["org_1", "conn_1", "x.test"]);
    let own = [("organization", "org_2"), ("connection", "conn_2"), ("domain", "y.test")];
    assert_eq!(asked("workos", &own).await, ["org_2", "conn_2", "x.test"]);
    assert_eq!(asked("github", &own).await, ["", "", ""]);

    let social = Social::start(&["workos"], &[]).await;
    social.sign_in("workos", &[("organization", "org 3&x")]).await.refresh_token();
    let sent = social.providers.at("workos").authorization();
    assert_eq!(sent["organization"], "org 3&x");
    assert!(!sent.contains_key("connection") && !sent.contains_key("domain"), "{sent:?}");
}

fn last_style(control: &Control<'_>) -> Style {
    control.token_requests().pop().expect("it was asked").style
}

#[tokio::test]
async fn clients_authenticate_in_the_providers_way_and_codes_are_sent_once() {
    let social = Social::start_secure(&all(), &[]).await;
    for provider in PROVIDERS.iter().filter(|provider| provider.id != "twitter") {
        let control = social.providers.at(provider.id);
        social.sign_in(provider.id, &[]).await.refresh_token();
        let style = if provider.id == "spotify" { Style::Basic } else { Style::Body };
        assert_eq!(last_style(&control), style, "{}", provider.id);
        // Found right at once, without trying the other with the same code.
        assert_eq!(control.calls(Endpoint::Token).len(), 1, "{}", provider.id);
        let call = control.calls(Endpoint::Token).remove(0);
        let accept = call.header("accept").unwrap_or_default();
        assert!(accept.contains("application/json"), "{}: {accept}", provider.id);
    }
}

#[tokio::test]
async fn the_way_to_authenticate_is_configured() {
    for (value, wanted, style) in [
        ("basic", ClientAuth::BasicOnly, Style::Basic),
        ("body", ClientAuth::BodyOnly, Style::Body),
    ] {
        let providers = ["discord", "spotify", "workos"];
        let social = Social::start(
            &providers,
            &[
                ("AUTH_PROVIDER_DISCORD_TOKEN_AUTH_STYLE", value),
                ("AUTH_PROVIDER_SPOTIFY_TOKEN_AUTH_STYLE", value),
                ("AUTH_PROVIDER_WORKOS_TOKEN_AUTH_STYLE", value),
            ],
        )
        .await;
        for id in providers {
            let control = social.providers.at(id);
            control.client_auth(wanted);
            social.sign_in(id, &[]).await.refresh_token();
            assert_eq!(last_style(&control), style, "{id}");
        }
    }
}

#[tokio::test]
async fn pkce_is_switched_off_for_one_provider() {
    let more = [("AUTH_PROVIDER_STRAVA_PKCE", "false")];
    let social = Social::start(&["strava", "discord"], &more).await;
    for (id, is_on) in [("strava", false), ("discord", true)] {
        let control = social.providers.at(id);
        social.sign_in(id, &[]).await.refresh_token();
        let sent = control.authorization();
        for name in ["code_challenge", "code_challenge_method"] {
            assert_eq!(sent.contains_key(name), is_on, "{id}: {sent:?}");
        }
        let form = control.token_requests().remove(0).form;
        assert_eq!(form.contains_key("code_verifier"), is_on, "{id}: {form:?}");
    }
}

#[tokio::test]
async fn token_responses_are_understood_in_every_shape() {
    use shape::{Expiry, Format, RefreshToken};
    let social = Social::start(&["discord"], &[]).await;
    let control = social.providers.at("discord");
    for format in [Format::Json, Format::Form] {
        for expiry in [Expiry::Number, Expiry::Text, Expiry::Absent] {
            for flag in [true, false] {
                control.shape(|shape| {
                    shape.format = format;
                    shape.expiry = expiry;
                    shape.token_type = flag;
                    shape.scope_list = flag;
                    shape.refresh_token =
                        if flag { RefreshToken::Absent } else { RefreshToken::Kept };
                });
                let final_page = social.sign_in("discord", &[]).await;
                assert!(!final_page.refresh_token().is_empty(), "{format:?} {expiry:?} {flag}");
            }
        }
    }
}

/// Where browsers are sent when nothing but credentials is configured.
#[tokio::test]
async fn without_overrides_browsers_go_to_the_real_providers() {
    let simulator = Providers::start().await;
    let mut settings = simulator.settings(&all());
    settings.retain(|(name, _)| !name.ends_with("_URL"));
    settings.push(("AUTH_PROVIDER_AZUREAD_TENANT".to_owned(), "tenant-1".to_owned()));
    let settings: Vec<(&str, &str)> =
        settings.iter().map(|(name, value)| (name.as_str(), value.as_str())).collect();
    let app = TestApp::start(&settings).await;
    for (id, expected) in [
        ("apple", "https://appleid.apple.com/auth/authorize"),
        ("azuread", "https://login.microsoftonline.com/tenant-1/oauth2/authorize"),
        ("bitbucket", "https://bitbucket.org/site/oauth2/authorize"),
        ("discord", "https://discord.com/api/oauth2/authorize"),
        ("entraid", "https://login.microsoftonline.com/common/oauth2/v2.0/authorize"),
        ("facebook", "https://www.facebook.com/v22.0/dialog/oauth"),
        ("github", "https://github.com/login/oauth/authorize"),
        ("gitlab", "https://gitlab.com/oauth/authorize"),
        ("linkedin", "https://www.linkedin.com/oauth/v2/authorization"),
        ("spotify", "https://accounts.spotify.com/authorize"),
        ("strava", "https://www.strava.com/api/v3/oauth/authorize"),
        ("twitch", "https://id.twitch.tv/oauth2/authorize"),
        ("windowslive", "https://login.live.com/oauth20_authorize.srf"),
        ("workos", "https://api.workos.com/sso/authorize"),
    ] {
        let response = app.get(&format!("/signin/provider/{id}")).await;
        let (target, query) = response.redirect();
        assert_eq!(target, expected);
        if id == "azuread" {
            assert_eq!(query["prompt"], "select_account");
        }
    }
    let (target, _) = app.get("/signin/provider/google").await.redirect();
    assert!(target.starts_with("https://accounts.google.com/o/oauth2/"), "{target}");
}

#[tokio::test]
async fn the_callback_is_below_the_servers_own_url() {
    let simulator = Providers::start_for("http://auth.test/v1").await;
    let social = Social::start_with(simulator, &["github"], &[("AUTH_API_PREFIX", "/v1")]).await;
    let final_page = social.sign_in("github", &[]).await;
    assert_at_home(&final_page);
    let callback = "http://auth.test/v1/signin/provider/github/callback";
    assert_eq!(social.providers.at("github").authorization()["redirect_uri"], callback);
    assert!(final_page.last().header("location").is_some());
}
