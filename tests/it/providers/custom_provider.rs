//! A generic `OpenID` Connect provider, configured by issuer, client id and secret under a name of one's own.

use serde_json::{Value, json};
use time::Duration;

use crate::support::app::{TestApp, settings};
use crate::support::mailbox::Mailbox;
use crate::support::providers::browser::Step;
use crate::support::providers::id_tokens::Keys;
use crate::support::providers::social::{Social, callback};
use crate::support::providers::{ClientAuth, Endpoint, Fault, Providers};

const ACME: &str = "c:acme";
const PROFILE: &str = "oauth-profile-fetch-failed";
const TOKEN: &str = "oauth-token-echange-failed";

async fn start(change: impl FnOnce(&mut Value), more: &[(&str, &str)]) -> Social {
    let simulator = Providers::start().await;
    let mut custom = simulator.custom();
    change(&mut custom["acme"]);
    let custom = custom.to_string();
    let mut all = vec![("AUTH_PROVIDER_CUSTOM", custom.as_str())];
    all.extend_from_slice(more);
    Social::start_with(simulator, &[], &all).await
}

#[tokio::test]
async fn a_user_signs_up_and_in_again() {
    let social = start(|_| {}, &[]).await;
    for _ in 0..2 {
        let session = social.session(&social.sign_in(ACME, &[]).await).await;
        assert_eq!(session.0["user"]["email"], "acme@x.test");
    }
    let user = social.user().await;
    for (column, expected) in [
        ("email_verified", json!(true)),
        ("display_name", json!("Ac Me")),
        ("avatar_url", json!("https://a.test/ac.png")),
    ] {
        assert_eq!(user[column], expected);
    }
    assert_eq!(social.links().await, [(ACME.into(), "acme|116".into(), "acme@x.test".into())]);
}

#[tokio::test]
async fn it_is_asked_as_openid_connect_wants_it() {
    let social = start(|_| {}, &[]).await;
    let control = social.providers.at(ACME);
    social.sign_in(ACME, &[]).await.refresh_token();
    let asked = control.authorization();
    assert!(asked["scope"].split(' ').any(|scope| scope == "openid"), "{asked:?}");
    assert!(asked["nonce"].len() >= 22, "{asked:?}");
    assert_eq!(asked["code_challenge_method"], "S256");
    let discovered = control.calls(Endpoint::Discovery).len();
    assert!((1..=2).contains(&discovered), "{discovered}");
    for _ in 0..3 {
        social.sign_in(ACME, &[]).await.refresh_token();
    }
    assert_eq!(control.calls(Endpoint::Discovery).len(), discovered, "kept for a while");
    assert_eq!(control.calls(Endpoint::Jwks).len(), 1);
}

#[tokio::test]
async fn scopes_audiences_and_the_way_to_the_document_are_configured() {
    let simulator = Providers::start().await;
    let document = format!("{}/c:acme/.well-known/openid-configuration", simulator.url);
    let mut custom = simulator.custom();
    custom["acme"]["scopes"] = json!(["openid", "groups"]);
    custom["acme"]["discoveryUrl"] = json!(document);
    let custom = custom.to_string();
    let more = [("AUTH_PROVIDER_CUSTOM", custom.as_str())];
    let social = Social::start_with(simulator, &[], &more).await;
    social.sign_in(ACME, &[]).await.refresh_token();
    assert_eq!(social.providers.at(ACME).authorization()["scope"], "openid groups");

    let social =
        start(|acme| acme["audiences"] = json!(["other-client", "acme-client"]), &[]).await;
    social.providers.at(ACME).claims(&json!({"aud": "other-client"}));
    social.sign_in(ACME, &[]).await.refresh_token();
}

#[tokio::test]
async fn clients_authenticate_in_a_way_that_the_provider_offers() {
    for client_auth in [ClientAuth::Either, ClientAuth::BasicOnly, ClientAuth::BodyOnly] {
        let social = start(|_| {}, &[]).await;
        social.providers.at(ACME).client_auth(client_auth);
        social.sign_in(ACME, &[]).await.refresh_token();
    }
}

#[tokio::test]
async fn userinfo_fills_up_a_thin_id_token_if_it_is_of_the_same_subject() {
    let social = start(|_| {}, &[]).await;
    let control = social.providers.at(ACME);
    control.claims(&json!({"email": null, "email_verified": null, "name": null, "picture": null}));
    social.sign_in(ACME, &[]).await.refresh_token();
    assert_eq!(social.user().await["email"], "acme@x.test");

    // What may not be seen is not there.
    for status in [403, 404] {
        social.app.database.execute("delete from auth.users").await;
        control.claims(&json!({"email": null}));
        control.fail(Endpoint::Profile, Fault::json(status, &json!({})));
        social.sign_in(ACME, &[]).await.refresh_token();
        assert_eq!(social.user().await["email"], Value::Null);
    }
    control.recover();
    social.app.database.execute("delete from auth.users").await;
    // Of another subject nothing is taken (OpenID Connect Core 5.3.2).
    control.claims(&json!({"sub": "another", "email": null, "name": null, "picture": null}));
    social.sign_in(ACME, &[]).await.refresh_token();
    let user = social.user().await;
    assert_eq!(user["email"], Value::Null);
    assert_eq!((&user["display_name"], &user["avatar_url"]), (&json!("another"), &json!("")));
}

#[tokio::test]
async fn id_tokens_that_are_not_right_in_everything_end_the_sign_in() {
    let social = start(|_| {}, &[]).await;
    let control = social.providers.at(ACME);
    let now = social.providers.clock.now().unix_timestamp();
    for claims in [
        json!({"aud": "another"}),
        json!({"aud": null}),
        json!({"iss": "https://evil.test"}),
        json!({"iss": format!("{}/", social.providers.issuer(ACME))}),
        json!({"nonce": "another"}),
        json!({"nonce": null}),
        json!({"exp": now - 120}),
        json!({"exp": null}),
        json!({"iat": now + 600}),
        json!({"sub": null}),
        json!({"sub": ""}),
        json!({"aud": ["acme-client", "another"], "azp": "another"}),
    ] {
        control.claims(&claims);
        let code = social.sign_in(ACME, &[]).await.error();
        assert!([PROFILE, TOKEN].contains(&code.as_str()), "{claims}: {code}");
        assert_eq!(social.rows().await, 0, "{claims}");
    }
    control.claims(&json!({}));
    let nonce_of = |step: &Step| {
        let asked = control.authorization();
        assert_eq!(step.parameter("state").as_deref(), Some(asked["state"].as_str()));
        asked["nonce"].clone()
    };
    let good = |nonce: String| control.good_claims(&json!({"nonce": nonce}));
    let keys = Keys::shared();
    let header = |alg: &str| json!({"alg": alg, "kid": "key-0"});
    let unsigned = |nonce: String| {
        format!("{}.", crate::support::jwt::unsigned(&header("none"), &good(nonce)))
    };
    let forgeries: [(&str, &dyn Fn(String) -> String); 3] = [
        ("another key", &|nonce| keys.rs256(1, &header("RS256"), &good(nonce))),
        ("HS256 with the public key", &|nonce| keys.hs256_confusion(0, &good(nonce))),
        ("alg none", &unsigned),
    ];
    for (what, forge) in forgeries {
        let mut browser = social.browser();
        let step = callback(&mut browser, &social.link(ACME, &[])).await;
        let body = json!({
            "access_token": "x", "token_type": "bearer", "id_token": forge(nonce_of(&step)),
        });
        control.fail(Endpoint::Token, Fault::json(200, &body));
        let code = browser.follow(&step).await.error();
        assert!([PROFILE, TOKEN].contains(&code.as_str()), "{what}: {code}");
        control.recover();
    }
    assert_eq!(social.rows().await, 0);
    social.sign_in(ACME, &[]).await.refresh_token();
}

#[tokio::test]
async fn a_document_that_lies_or_does_not_come_is_told_to_the_application() {
    for fault in [
        Fault::Say(404, "text/plain", "no".to_owned()),
        Fault::json(200, &json!({})),
        Fault::Say(200, "text/html", "<h1>x</h1>".to_owned()),
        Fault::Hang,
        Fault::Padded,
        Fault::Endless,
        Fault::Close,
    ] {
        let social = start(|_| {}, &[("AUTH_PROVIDER_TIMEOUT", "300ms")]).await;
        let control = social.providers.at(ACME);
        control.fail(Endpoint::Discovery, fault.clone());
        let final_page = social.sign_in(ACME, &[("state", "mine")]).await;
        final_page.error();
        assert_eq!(final_page.query()["state"], "mine", "{fault:?}");
        control.recover();
        // It comes back by itself, without a restart.
        social.providers.clock.advance(Duration::minutes(6));
        social.sign_in(ACME, &[]).await.refresh_token();
    }
    for issuer in ["https://evil.test", ""] {
        let social = start(|_| {}, &[]).await;
        social.providers.at(ACME).claim_issuer(Some(issuer));
        social.sign_in(ACME, &[]).await.error();
        assert!(social.providers.at(ACME).authorizations().is_empty(), "{issuer}");
    }
}

/// Addresses that the document names are the choice of others: they do not lead into one's own network.
#[tokio::test]
async fn a_document_does_not_lead_into_the_private_network() {
    let inside = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    inside.set_nonblocking(true).unwrap();
    let port = inside.local_addr().unwrap().port();
    let with = async |member: &str, address: &str| {
        let social = start(|_| {}, &[("AUTH_PROVIDER_TIMEOUT", "2s")]).await;
        let here = social.providers.issuer(ACME);
        let mut document = json!({
            "issuer": here, "authorization_endpoint": format!("{here}/authorize"),
            "token_endpoint": format!("{here}/token"), "jwks_uri": format!("{here}/jwks"),
            "token_endpoint_auth_methods_supported": ["client_secret_post"],
        });
        document[member] = json!(address);
        social.providers.at(ACME).fail(Endpoint::Discovery, Fault::json(200, &document));
        let final_page = social.sign_in(ACME, &[]).await;
        (final_page, social.rows().await)
    };
    let (final_page, _) = with("about", "nothing in particular").await;
    final_page.refresh_token();
    for (member, address) in [
        ("token_endpoint", format!("https://localhost:{port}/token")),
        ("token_endpoint", format!("http://localhost:{port}/token")),
        ("token_endpoint", format!("https://[::ffff:127.0.0.1]:{port}/token")),
        ("token_endpoint", "https://10.0.0.1/token".to_owned()),
        ("token_endpoint", "https://169.254.169.254/latest".to_owned()),
        ("jwks_uri", format!("https://localhost:{port}/jwks")),
        ("jwks_uri", "file:///etc/passwd".to_owned()),
    ] {
        let (final_page, rows) = with(member, &address).await;
        final_page.error();
        assert_eq!(rows, 0, "{member}: {address}");
    }
    let knocked = inside.accept().map(|_| ()).map_err(|error| error.kind());
    assert_eq!(knocked, Err(std::io::ErrorKind::WouldBlock), "somebody came in");
}

#[tokio::test]
async fn keys_that_rotate_are_fetched() {
    let social = start(|_| {}, &[]).await;
    let control = social.providers.at(ACME);
    social.sign_in(ACME, &[]).await.refresh_token();
    social.providers.clock.advance(Duration::minutes(6));
    control.rotate_keys();
    social.sign_in(ACME, &[]).await.refresh_token();
}

/// The same rules as for the sixteen: verified on both sides, or not at all.
#[tokio::test]
async fn an_account_is_not_taken_over_by_a_provider_of_ones_own() {
    let mailbox = Mailbox::start().await;
    let off = ("AUTH_EMAIL_SIGNIN_EMAIL_VERIFIED_REQUIRED", "false");
    let social = start(|_| {}, &mailbox.settings(&[off])).await;
    social.app.sign_up("acme@x.test").await.session();
    let refused = social.sign_in(ACME, &[]).await.error();
    assert!(["unverified-user", "user-already-exists"].contains(&refused.as_str()), "{refused}");
    social.app.database.execute("update auth.users set email_verified = true").await;
    social.providers.at(ACME).change_profile(&json!({"email_verified": false}));
    let refused = social.sign_in(ACME, &[]).await.error();
    assert!(["unverified-user", "user-already-exists"].contains(&refused.as_str()), "{refused}");
    assert!(social.links().await.is_empty());
}

#[tokio::test]
async fn it_is_connected_and_refreshed_like_any_other() {
    let social = start(|_| {}, &[]).await;
    let ann = social.app.sign_up("ann@example.com").await.session();
    let query = [("connect", ann.access_token()), ("providerTokens", "true")];
    social.sign_in(ACME, &query).await.assert_silent();
    let tokens = "/signin/provider/c:acme/callback/tokens";
    let told = social.app.get_as(tokens, ann.access_token()).await.json();
    let body = json!({"refreshToken": told["refreshToken"]});
    let refreshed = social.app.post_as("/token/provider/c:acme", ann.access_token(), body).await;
    assert_eq!(refreshed.status, 200, "{refreshed:?}");
}

#[tokio::test]
async fn names_that_are_not_configured_are_disabled_or_unknown() {
    let social = start(|_| {}, &[]).await;
    for id in ["c:other", "acme", "c%3Aother", "c:"] {
        let response = social.app.get(&format!("/signin/provider/{id}")).await;
        assert!(matches!(response.status.as_u16(), 302 | 400 | 404), "{id}: {response:?}");
        if response.status == 302 {
            assert_eq!(response.redirect().1["error"], "disabled-endpoint", "{id}");
        }
    }
    // As the colon comes out of many URL builders.
    let encoded = social.app.get("/signin/provider/c%3Aacme").await;
    assert_eq!(encoded.status, 302);
    assert!(encoded.redirect().0.starts_with(&social.providers.url), "{encoded:?}");
}

#[test]
fn mistakes_in_the_setting_are_reported_at_start() {
    use keywright::config::{Config, Sources};
    let with = |custom: &str| {
        let sources = Sources::from_env(settings(
            "postgres://localhost/x",
            &[("AUTH_PROVIDER_CUSTOM", custom)],
        ));
        Config::from_sources(&sources).map(|_| ()).map_err(|error| error.to_string())
    };
    let good = json!({"type": "oidc", "clientId": "a", "clientSecret": "hush", "issuer": "https://id.test"});
    with(&json!({"acme": good}).to_string()).unwrap();
    let changed = |name: &str, value: Value| {
        let mut entry = good.clone();
        entry[name] = value;
        json!({"acme": entry}).to_string()
    };
    for bad in [
        "nonsense".to_owned(),
        "[]".to_owned(),
        json!({"Acme": good}).to_string(),
        json!({"a b": good}).to_string(),
        json!({"": good}).to_string(),
        json!({"acme": "x"}).to_string(),
        changed("type", json!("saml")),
        changed("issuer", json!("nonsense")),
        changed("issuer", json!(null)),
        changed("clientId", json!("")),
        changed("clientId", json!(null)),
        changed("scopes", json!("openid")),
        changed("surprise", json!(1)),
    ] {
        let error = with(&bad).expect_err(&bad);
        assert!(error.contains("AUTH_PROVIDER_CUSTOM"), "{bad}: {error}");
        assert!(!error.contains("hush"), "{error}");
    }
}

/// It is served without the sixteen, and they without it.
#[tokio::test]
async fn it_stands_beside_the_sixteen() {
    let simulator = Providers::start().await;
    let custom = simulator.custom().to_string();
    let more = [("AUTH_PROVIDER_CUSTOM", custom.as_str())];
    let social = Social::start_with(simulator, &["github"], &more).await;
    for id in ["github", ACME] {
        social.sign_in(id, &[]).await.refresh_token();
    }
    let app: &TestApp = &social.app;
    assert_eq!(app.get("/healthz").await.status, 200);
}
