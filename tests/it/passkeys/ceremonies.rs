//! Passkeys: the eight WebAuthn operations of the contract, and a user's own keys.

use futures_util::future::join_all;
use reqwest::Method;
use serde_json::{Value, json};
use time::Duration;

use crate::support::app::{Client, Session, TestApp};
use crate::support::ceremonies::{
    ON, add_key, begin_sign_in, begin_sign_up, finish_sign_in, sign_up,
};
use crate::support::security_key::{Handle, SecurityKey, base64url};
use crate::support::two_nodes::TwoNodes;
use crate::support::{jwt, logs};

const ANN: &str = "ann@example.com";
const BOB: &str = "bob@example.com";

fn elevated_claim(session: &Session) -> Value {
    let claims = jwt::payload(session.access_token());
    claims["https://hasura.io/jwt/claims"]["x-hasura-auth-elevated"].clone()
}

#[tokio::test]
async fn options_are_those_of_the_contract() {
    let app = TestApp::start(&[ON, ("AUTH_WEBAUTHN_RP_NAME", "Acme")]).await;
    let mut options = begin_sign_up(&app, ANN).await;
    let id: uuid::Uuid = options["user"]["id"].as_str().unwrap().parse().unwrap();
    assert_eq!(options["challenge"].as_str().unwrap().len(), 43);
    options["challenge"] = Value::Null;
    let offered = [-7, -35, -36, -257, -258, -259, -37, -38, -39, -8]
        .map(|number| json!({"type": "public-key", "alg": number}));
    assert_eq!(
        options,
        json!({
            "rp": {"id": "localhost", "name": "Acme"},
            "user": {"id": id, "name": ANN, "displayName": ANN},
            "challenge": null,
            "pubKeyCredParams": offered,
            "timeout": 300_000,
            "authenticatorSelection": {
                "requireResidentKey": false, "residentKey": "preferred",
                "userVerification": "preferred",
            },
            "attestation": "indirect",
        })
    );
    let mut key = SecurityKey::new();
    let session = sign_up(&app, ANN, &mut key).await;
    let mut asked = begin_sign_in(&app, Some(ANN)).await;
    asked["challenge"] = Value::Null;
    let known = json!([{"type": "public-key", "id": key.credential_id()}]);
    assert_eq!(
        asked,
        json!({
            "challenge": null, "timeout": 300_000, "rpId": "localhost",
            "allowCredentials": known, "userVerification": "preferred",
        })
    );
    assert!(begin_sign_in(&app, None).await.get("allowCredentials").is_none());
    let more = app.post_as("/user/webauthn/add", session.access_token(), json!({})).await.json();
    assert_eq!(more["excludeCredentials"], known);
    assert_eq!(more["user"]["id"], session.user_id().to_string());
}

#[tokio::test]
async fn a_user_signs_up_and_in_with_one_key_by_address_and_without() {
    let app = TestApp::start(&[ON]).await;
    let mut key = SecurityKey::new();
    let session = sign_up(&app, ANN, &mut key).await;
    assert_eq!(session.0["user"]["email"], ANN);
    assert_eq!(key.user, session.user_id().to_string());
    for email in [Some(ANN), None] {
        let options = begin_sign_in(&app, email).await;
        let signed_in = finish_sign_in(&app, &key.get(&options)).await.session();
        assert_eq!(signed_in.user_id(), session.user_id());
        assert_eq!(elevated_claim(&signed_in), Value::Null);
        app.refresh(signed_in.refresh_token()).await.session();
    }
    let stored = app
        .database
        .text("select encode(credential_public_key, 'hex') || counter || transports || nickname from auth.user_security_keys")
        .await;
    let cose = key.cose_hex();
    assert_eq!(stored.unwrap(), format!("{cose}0"), "as the reference leaves the row");
}

#[tokio::test]
async fn every_form_of_user_handle_is_taken_and_none_only_where_the_user_is_known() {
    let app = TestApp::start(&[ON]).await;
    let mut key = SecurityKey::new();
    sign_up(&app, ANN, &mut key).await;
    for handle in [Handle::Decoded, Handle::Encoded, Handle::Raw, Handle::None] {
        key.handle = handle;
        let by_address = begin_sign_in(&app, Some(ANN)).await;
        finish_sign_in(&app, &key.get(&by_address)).await.session();
        let by_key = begin_sign_in(&app, None).await;
        let response = finish_sign_in(&app, &key.get(&by_key)).await;
        if handle == Handle::None {
            response.assert_refused(400, "invalid-request");
        } else {
            response.session();
        }
    }
    key.handle = Handle::Decoded;
    key.user = uuid::Uuid::new_v4().to_string();
    for email in [Some(ANN), None] {
        let options = begin_sign_in(&app, email).await;
        finish_sign_in(&app, &key.get(&options)).await.assert_refused(400, "invalid-request");
    }
}

#[tokio::test]
async fn half_a_ceremony_on_each_node_works_and_a_response_is_taken_once_on_all_of_them() {
    let two = TwoNodes::start(&[ON]).await;
    let [one, other] = &two.nodes;
    let mut key = SecurityKey::new();
    let options = begin_sign_up(one, ANN).await;
    let body = json!({"credential": key.create(&options)});
    other.post("/signup/webauthn/verify", body.clone()).await.session();
    for node in [one, other] {
        node.post("/signup/webauthn/verify", body.clone())
            .await
            .assert_refused(400, "invalid-request");
    }
    let credential = key.get(&begin_sign_in(other, Some(ANN)).await);
    let calls = (0..16).map(|n| finish_sign_in(&two.nodes[n % 2], &credential));
    let responses = join_all(calls).await;
    let accepted = responses.iter().filter(|response| response.status == 200).count();
    assert_eq!(accepted, 1, "of 16 parallel calls on two nodes");
    for node in [one, other] {
        finish_sign_in(node, &credential).await.assert_refused(400, "invalid-request");
    }
}

#[tokio::test]
async fn a_ceremony_outlives_a_restart() {
    let app = TestApp::start(&[ON]).await;
    let mut key = SecurityKey::new();
    sign_up(&app, ANN, &mut key).await;
    let options = begin_sign_in(&app, Some(ANN)).await;
    app.app().actors.challenges.actor().crash();
    let database = std::sync::Arc::clone(&app.database);
    app.stop().await;
    let app = TestApp::start_on(database, &[ON]).await;
    finish_sign_in(&app, &key.get(&options)).await.session();
}

#[tokio::test]
async fn a_ceremony_expires_after_the_time_that_browsers_are_told() {
    let app = TestApp::start(&[ON, ("AUTH_WEBAUTHN_ATTESTATION_TIMEOUT", "60000")]).await;
    let mut key = SecurityKey::new();
    sign_up(&app, ANN, &mut key).await;
    let in_time = begin_sign_in(&app, Some(ANN)).await;
    assert_eq!(in_time["timeout"], 60_000);
    app.clock.advance(Duration::seconds(59));
    finish_sign_in(&app, &key.get(&in_time)).await.session();
    let late = begin_sign_in(&app, Some(ANN)).await;
    app.clock.advance(Duration::seconds(60));
    finish_sign_in(&app, &key.get(&late)).await.assert_refused(400, "invalid-request");
}

#[tokio::test]
async fn a_wrong_response_uses_the_ceremony_up() {
    let app = TestApp::start(&[ON]).await;
    let mut key = SecurityKey::new();
    sign_up(&app, ANN, &mut key).await;
    let options = begin_sign_in(&app, Some(ANN)).await;
    let right = key.get(&options);
    let mut wrong = right.clone();
    wrong["response"]["signature"] = json!(base64url("no signature"));
    finish_sign_in(&app, &wrong).await.assert_refused(400, "invalid-request");
    finish_sign_in(&app, &right).await.assert_refused(400, "invalid-request");
}

#[tokio::test]
async fn responses_that_are_not_what_was_asked_for_are_refused() {
    let app = TestApp::start(&[ON]).await;
    let mut key = SecurityKey::new();
    sign_up(&app, ANN, &mut key).await;
    let mut other = SecurityKey::new();
    sign_up(&app, BOB, &mut other).await;
    let mut unknown = SecurityKey::new();
    unknown.user.clone_from(&key.user);

    let mut refused = Vec::new();
    // The challenge of one user, the key of another, and a key that nobody owns.
    refused.push(("another user's key", other.get(&begin_sign_in(&app, Some(ANN)).await)));
    refused.push(("unknown credential", unknown.get(&begin_sign_in(&app, None).await)));
    key.origin = "http://localhost:3001".to_owned();
    refused.push(("wrong origin", key.get(&begin_sign_in(&app, Some(ANN)).await)));
    key.origin = "http://localhost:3000".to_owned();
    key.rp_id = "evil.example".to_owned();
    refused.push(("wrong RP id", key.get(&begin_sign_in(&app, Some(ANN)).await)));
    key.rp_id = "localhost".to_owned();
    key.flags = 0;
    refused.push(("user not present", key.get(&begin_sign_in(&app, Some(ANN)).await)));
    key.flags = 0x11;
    refused.push(("backed up, not eligible", key.get(&begin_sign_in(&app, Some(ANN)).await)));
    key.flags = 1;
    let mut tampered = key.get(&begin_sign_in(&app, Some(ANN)).await);
    let challenge = begin_sign_in(&app, Some(ANN)).await["challenge"].clone();
    let data = json!({"type": "webauthn.get", "challenge": challenge, "origin": key.origin});
    tampered["response"]["clientDataJSON"] = json!(base64url(data.to_string()));
    refused.push(("tampered client data", tampered));
    let challenge = begin_sign_in(&app, Some(ANN)).await["challenge"].clone();
    let data = json!({"type": "webauthn.create", "challenge": challenge, "origin": key.origin});
    refused.push(("wrong type", key.sign(data.to_string().as_bytes())));
    let mut cut = key.get(&begin_sign_in(&app, Some(ANN)).await);
    cut["response"]["authenticatorData"] = json!(base64url("short"));
    refused.push(("junk authenticator data", cut));
    for (what, credential) in refused {
        let response = finish_sign_in(&app, &credential).await;
        assert_eq!(
            (response.status.as_u16(), response.error().as_str()),
            (400, "invalid-request"),
            "{what}"
        );
    }
    let options = begin_sign_in(&app, Some(ANN)).await;
    finish_sign_in(&app, &key.get(&options)).await.session();
}

#[tokio::test]
async fn registrations_that_are_wrong_are_refused_and_leave_no_user() {
    let app = TestApp::start(&[ON]).await;
    let mut refused = Vec::new();
    for (what, member, value) in [
        ("junk CBOR", "attestationObject", base64url([0xff, 0x00, 0xa3])),
        ("deep CBOR", "attestationObject", base64url(vec![0x81; 4_000])),
        ("client data that are no JSON", "clientDataJSON", base64url("{")),
    ] {
        let mut credential = SecurityKey::new().create(&begin_sign_up(&app, ANN).await);
        credential["response"][member] = json!(value);
        refused.push((what, credential));
    }
    let mut key = SecurityKey::new();
    key.origin = "https://evil.example".to_owned();
    refused.push(("wrong origin", key.create(&begin_sign_up(&app, ANN).await)));
    let mut key = SecurityKey::new();
    key.rp_id = "evil.example".to_owned();
    refused.push(("wrong RP id", key.create(&begin_sign_up(&app, ANN).await)));
    let mut key = SecurityKey::new();
    key.flags = 0;
    refused.push(("user not present", key.create(&begin_sign_up(&app, ANN).await)));
    for (what, credential) in refused {
        let response = app.post("/signup/webauthn/verify", json!({"credential": credential})).await;
        assert_eq!(
            (response.status.as_u16(), response.error().as_str()),
            (400, "invalid-request"),
            "{what}"
        );
    }
    assert_eq!(app.database.text("select count(*)::text from auth.users").await.unwrap(), "0");
}

#[tokio::test]
async fn bodies_against_the_contract_name_the_field_and_use_nothing_up() {
    let app = TestApp::start(&[ON]).await;
    let mut key = SecurityKey::new();
    sign_up(&app, ANN, &mut key).await;
    let options = begin_sign_in(&app, Some(ANN)).await;
    let credential = key.get(&options);
    for (pointer, value) in [
        ("/type", json!("password")),
        ("/id", json!("other")),
        ("/rawId", json!("%%")),
        ("/response/signature", json!(7)),
        ("/response", json!([])),
    ] {
        let mut body = credential.clone();
        let (parent, member) = pointer.rsplit_once('/').unwrap();
        body.pointer_mut(parent).unwrap()[member] = value;
        let response = finish_sign_in(&app, &body).await;
        response.assert_refused(400, "invalid-request");
        assert!(response.text.contains("credential"), "{pointer}: {response:?}");
    }
    finish_sign_in(&app, &credential).await.session();
}

#[tokio::test]
async fn a_counter_that_does_not_advance_is_refused_also_for_old_rows() {
    logs::keep_security_events();
    let app = TestApp::start(&[ON]).await;
    let mut key = SecurityKey::new();
    key.counter = 10;
    let owner = sign_up(&app, ANN, &mut key).await.user_id().to_string();
    let signed_in = finish_sign_in(&app, &key.get(&begin_sign_in(&app, Some(ANN)).await)).await;
    signed_in.session();
    for counter in [9, 10] {
        // The next response carries one more.
        key.counter = counter;
        let options = begin_sign_in(&app, Some(ANN)).await;
        finish_sign_in(&app, &key.get(&options)).await.assert_refused(400, "invalid-request");
    }
    let events = logs::security_events_of_user(&owner);
    assert_eq!(events.len(), 2);
    assert_eq!(events[0]["security_event"], "security-key-counter-regress");
    assert_eq!((&*events[0]["stored"], &*events[0]["presented"]), ("11", "10"));
    key.counter = 11;
    finish_sign_in(&app, &key.get(&begin_sign_in(&app, Some(ANN)).await)).await.session();
    // A row of the Node.js generation, which wrote the column of the reference.
    app.database.execute("delete from auth.keywright_security_keys").await;
    app.database.execute("update auth.user_security_keys set counter = 50").await;
    let options = begin_sign_in(&app, Some(ANN)).await;
    finish_sign_in(&app, &key.get(&options)).await.assert_refused(400, "invalid-request");
    key.counter = 50;
    finish_sign_in(&app, &key.get(&begin_sign_in(&app, Some(ANN)).await)).await.session();
}

#[tokio::test]
async fn keys_of_the_reference_sign_in_whatever_their_flags_are_now() {
    let app = TestApp::start(&[ON]).await;
    let session = app.sign_up(ANN).await.session();
    for (mut key, counter) in
        [(SecurityKey::new(), 0), (SecurityKey::synced(), 0), (SecurityKey::new(), 7)]
    {
        key.user = session.user_id().to_string();
        key.counter = counter;
        let cose = key.cose_hex();
        app.database
            .execute(&format!(
                "insert into auth.user_security_keys (user_id, credential_id, credential_public_key) \
                 values ('{}', '{}', '\\x{cose}')",
                key.user,
                key.credential_id(),
            ))
            .await;
        for email in [Some(ANN), None] {
            let options = begin_sign_in(&app, email).await;
            finish_sign_in(&app, &key.get(&options)).await.session();
        }
    }
    // A row that nothing can use does not keep its owner out.
    app.database
        .execute(&format!(
            "insert into auth.user_security_keys (user_id, credential_id) values ('{}', 'no/base64=')",
            session.user_id()
        ))
        .await;
    let options = begin_sign_in(&app, Some(ANN)).await;
    assert_eq!(options["allowCredentials"].as_array().unwrap().len(), 3);
}

#[tokio::test]
async fn a_second_key_signs_in_too_and_no_key_is_registered_twice() {
    let app = TestApp::start(&[ON]).await;
    let mut first = SecurityKey::synced();
    let session = sign_up(&app, ANN, &mut first).await;
    let mut second = SecurityKey::new();
    let response = add_key(&app, session.access_token(), &mut second, "Blue").await;
    assert_eq!(response.json()["nickname"], "Blue", "{response:?}");
    for key in [&mut first, &mut second] {
        let options = begin_sign_in(&app, Some(ANN)).await;
        let session_again = finish_sign_in(&app, &key.get(&options)).await.session();
        assert_eq!(session_again.user_id(), session.user_id());
    }
    add_key(&app, session.access_token(), &mut second, "Again")
        .await
        .assert_refused(400, "invalid-request");
    let options = begin_sign_up(&app, BOB).await;
    app.post("/signup/webauthn/verify", json!({"credential": second.create(&options)}))
        .await
        .assert_refused(400, "invalid-request");
}

#[tokio::test]
async fn only_a_key_of_the_bearer_elevates_and_only_by_an_elevation() {
    let app = TestApp::start(&[ON, ("AUTH_REQUIRE_ELEVATED_CLAIM", "recommended")]).await;
    let (mut of_ann, mut of_bob) = (SecurityKey::new(), SecurityKey::new());
    let ann = sign_up(&app, ANN, &mut of_ann).await;
    let bob = sign_up(&app, BOB, &mut of_bob).await;
    let begin = async |session: &Session| {
        app.post_as("/elevate/webauthn", session.access_token(), json!({})).await.json()
    };
    let finish = async |session: &Session, credential: &Value| {
        let body = json!({"credential": credential});
        app.post_as("/elevate/webauthn/verify", session.access_token(), body).await
    };
    // Mallory has Ann's plain token and keys of his own.
    let (his, hers) = (begin(&bob).await, begin(&ann).await);
    finish(&ann, &of_bob.get(&his)).await.assert_refused(400, "invalid-request");
    finish(&ann, &of_bob.get(&hers)).await.assert_refused(400, "invalid-request");
    let sign_in = begin_sign_in(&app, Some(ANN)).await;
    finish(&ann, &of_ann.get(&sign_in)).await.assert_refused(400, "invalid-request");
    let elevation = begin(&ann).await;
    finish_sign_in(&app, &of_ann.get(&elevation)).await.assert_refused(400, "invalid-request");
    assert_eq!(begin(&ann).await["allowCredentials"][0]["id"], of_ann.credential_id());

    let elevated = finish(&ann, &of_ann.get(&begin(&ann).await)).await.session();
    assert_eq!(elevated_claim(&elevated), ann.user_id().to_string());
    let pat = json!({"expiresAt": "2090-01-01T00:00:00Z"});
    let plain = app.post_as("/pat", ann.access_token(), pat.clone()).await;
    assert_eq!(plain.error(), "elevated-claim-required");
    assert_eq!(app.post_as("/pat", elevated.access_token(), pat).await.status, 200);
    let refreshed = app.refresh(elevated.refresh_token()).await.session();
    assert_eq!(elevated_claim(&refreshed), Value::Null, "elevation ends with its access token");
}

#[tokio::test]
async fn the_first_key_needs_no_elevation_also_under_a_prefix() {
    for (mode, prefix) in [("required", ""), ("required", "/v1"), ("recommended", "/v1")] {
        let app = TestApp::start(&[
            ON,
            ("AUTH_REQUIRE_ELEVATED_CLAIM", mode),
            ("AUTH_API_PREFIX", prefix),
        ])
        .await;
        let at = Client::new(format!("{}{prefix}", app.url()));
        let session = at.sign_up(ANN).await.session();
        let mut first = SecurityKey::new();
        let response = add_key(&at, session.access_token(), &mut first, "First").await;
        assert_eq!(response.status, 200, "{mode} {prefix}: {response:?}");
        let second = at.post_as("/user/webauthn/add", session.access_token(), json!({})).await;
        assert_eq!(second.error(), "elevated-claim-required", "{mode} {prefix}");
        app.stop().await;
    }
}

#[tokio::test]
async fn keys_are_listed_renamed_and_deleted_by_their_owner_only() {
    let app = TestApp::start(&[ON]).await;
    let (mut first, mut second) = (SecurityKey::synced(), SecurityKey::new());
    let ann = sign_up(&app, ANN, &mut first).await;
    let bob = sign_up(&app, BOB, &mut SecurityKey::new()).await;
    let second_id = add_key(&app, ann.access_token(), &mut second, "Blue").await.json()["id"]
        .as_str()
        .unwrap()
        .to_owned();
    finish_sign_in(&app, &second.get(&begin_sign_in(&app, Some(ANN)).await)).await.session();
    let list = async || {
        let response = app.get_as("/user/webauthn/keys", ann.access_token()).await;
        response.json()["securityKeys"].as_array().unwrap().clone()
    };
    let keys = list().await;
    assert_eq!(keys.len(), 2);
    assert_eq!(
        (keys[0]["backedUp"].as_bool(), keys[1]["backedUp"].as_bool()),
        (Some(true), Some(false))
    );
    assert_eq!(keys[1]["nickname"], "Blue");
    assert_eq!(keys[1]["transports"], json!(["usb", "nfc"]));
    assert!(keys[1]["lastUsedAt"].is_string() && keys[0]["lastUsedAt"].is_null());

    let call = async |method: Method, id: &str, session: &Session, body: Value| {
        let request = app.request(method, &format!("/user/webauthn/keys/{id}"));
        Client::send(request.bearer_auth(session.access_token()).json(&body)).await
    };
    let name = json!({"nickname": "Red"});
    call(Method::PATCH, &second_id, &bob, name.clone())
        .await
        .assert_refused(400, "invalid-request");
    call(Method::DELETE, &second_id, &bob, json!({})).await.assert_refused(400, "invalid-request");
    call(Method::PATCH, "nonsense", &ann, name.clone())
        .await
        .assert_refused(400, "invalid-request");
    call(Method::PATCH, &second_id, &ann, name).await.assert_ok();
    assert_eq!(list().await[1]["nickname"], "Red");

    let first_id = keys[0]["id"].as_str().unwrap().to_owned();
    let both = [&first_id, &second_id].map(|id| call(Method::DELETE, id, &ann, json!({})));
    let responses = join_all(both).await;
    let deleted = responses.iter().filter(|response| response.status == 200).count();
    assert_eq!(deleted, 1, "the last way to sign in stays, also of two deletions at once");
    let left = list().await[0]["id"].as_str().unwrap().to_owned();
    let response = call(Method::DELETE, &left, &ann, json!({})).await;
    response.assert_refused(400, "invalid-request");
    assert!(response.text.contains("last way"), "{response:?}");
}

#[tokio::test]
async fn users_who_may_not_sign_in_do_not_and_strangers_get_no_ceremony() {
    let app = TestApp::start(&[ON]).await;
    let mut key = SecurityKey::new();
    sign_up(&app, ANN, &mut key).await;
    app.sign_up(BOB).await.session();
    let sign_in = async |email: &str| app.post("/signin/webauthn", json!({"email": email})).await;
    sign_in("nobody@example.com").await.assert_refused(401, "invalid-email-password");
    sign_in(BOB).await.assert_refused(400, "invalid-request");
    let options = begin_sign_in(&app, Some(ANN)).await;
    app.database.execute("update auth.users set disabled = true").await;
    finish_sign_in(&app, &key.get(&options)).await.assert_refused(401, "disabled-user");
    sign_in(ANN).await.assert_refused(401, "disabled-user");
}

#[tokio::test]
async fn options_at_the_end_of_a_sign_up_override_those_of_its_beginning() {
    let app = TestApp::start(&[ON]).await;
    let begin = json!({"email": ANN, "options": {"displayName": "Ann", "metadata": {"a": 1}}});
    let options = app.post("/signup/webauthn", begin).await.json();
    assert_eq!(options["user"]["displayName"], "Ann");
    let finish = json!({
        "credential": SecurityKey::new().create(&options), "nickname": "Key",
        "options": {"displayName": "Anna"},
    });
    let user = app.post("/signup/webauthn/verify", finish).await.session().0["user"].clone();
    assert_eq!((&user["displayName"], &user["metadata"]), (&json!("Anna"), &json!({"a": 1})));
}

#[tokio::test]
async fn sign_up_keeps_the_rules_of_accounts() {
    let app = TestApp::start(&[ON, ("AUTH_ACCESS_CONTROL_BLOCKED_EMAILS", BOB)]).await;
    let begin = async |body: Value| app.post("/signup/webauthn", body).await;
    begin(json!({"email": BOB})).await.assert_refused(401, "invalid-email-password");
    begin(json!({"email": ANN, "options": {"defaultRole": "admin"}}))
        .await
        .assert_refused(400, "default-role-must-be-in-allowed-roles");
    sign_up(&app, ANN, &mut SecurityKey::new()).await;
    let options = begin_sign_up(&app, ANN).await;
    app.post("/signup/webauthn/verify", json!({"credential": SecurityKey::new().create(&options)}))
        .await
        .assert_refused(409, "email-already-in-use");
}

#[tokio::test]
async fn all_operations_are_off_by_default() {
    let app = TestApp::start(&[]).await;
    let session = app.sign_up(ANN).await.session();
    let key = &mut SecurityKey::new();
    let created = key.create(&json!({"user": {"id": ""}, "challenge": ""}));
    let asserted = key.sign(b"{}");
    for (path, body) in [
        ("/signup/webauthn", json!({"email": BOB})),
        ("/signup/webauthn/verify", json!({"credential": created})),
        ("/signin/webauthn", json!({})),
        ("/signin/webauthn/verify", json!({"credential": asserted})),
        ("/elevate/webauthn", json!({})),
        ("/elevate/webauthn/verify", json!({"credential": asserted})),
        ("/user/webauthn/add", json!({})),
        ("/user/webauthn/verify", json!({"credential": created})),
    ] {
        let response = app.post_as(path, session.access_token(), body).await;
        assert_eq!(
            (response.status.as_u16(), response.error().as_str()),
            (409, "disabled-endpoint"),
            "{path}"
        );
    }
}

/// However many have begun meanwhile, and nothing is stored of them.
#[tokio::test]
async fn ceremonies_that_begin_do_not_end_others_of_the_user() {
    let app = TestApp::start(&[ON]).await;
    let mut key = SecurityKey::new();
    let session = sign_up(&app, ANN, &mut key).await;
    let elevation =
        app.post_as("/elevate/webauthn", session.access_token(), json!({})).await.json();
    let oldest = begin_sign_in(&app, Some(ANN)).await;
    for _ in 0..70 {
        app.clock.advance(Duration::milliseconds(1));
        begin_sign_in(&app, Some(ANN)).await;
    }
    let pending = "select count(*)::text from auth.keywright_challenges";
    assert_eq!(app.database.text(pending).await.unwrap(), "0");
    finish_sign_in(&app, &key.get(&oldest)).await.session();
    let body = json!({"credential": key.get(&elevation)});
    app.post_as("/elevate/webauthn/verify", session.access_token(), body).await.session();
}
