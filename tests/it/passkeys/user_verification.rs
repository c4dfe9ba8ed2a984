//! Whether an authenticator knows who uses it, and keys that are too weak to be registered.

use serde_cbor_2::Value as Cbor;

use crate::support::app::TestApp;
use crate::support::ceremonies::{
    ON, add_key, begin_sign_in, begin_sign_up, elevate, finish_sign_up, sign_in, sign_up,
};
use crate::support::key_pair::{Algorithm, KeyPair};
use crate::support::security_key::SecurityKey;

const ANN: &str = "ann@example.com";
const REQUIRED: (&str, &str) = ("AUTH_WEBAUTHN_USER_VERIFICATION", "required");

/// The flag by which an authenticator says that it verified its user.
const USER_VERIFIED: u8 = 0x04;

async fn recorded(app: &TestApp) -> Option<String> {
    app.database.text("select user_verified::text from auth.keywright_security_keys").await
}

#[tokio::test]
async fn verification_is_asked_for_and_recorded_and_a_touch_is_enough() {
    let app = TestApp::start(&[ON]).await;
    let mut key = SecurityKey::new();
    sign_up(&app, ANN, &mut key).await;
    assert_eq!(recorded(&app).await.as_deref(), Some("false"));
    assert_eq!(begin_sign_in(&app, Some(ANN)).await["userVerification"], "preferred");
    for (flag, expected) in [(USER_VERIFIED, "true"), (0, "false")] {
        key.flags = key.flags & !USER_VERIFIED | flag;
        sign_in(&app, Some(ANN), &mut key).await.session();
        assert_eq!(recorded(&app).await.as_deref(), Some(expected));
    }
}

#[tokio::test]
async fn where_verification_is_required_a_touch_is_refused() {
    let lax = TestApp::start(&[ON]).await;
    let mut key = SecurityKey::new();
    let session = sign_up(&lax, ANN, &mut key).await;
    let app = TestApp::start_on(lax.database.clone(), &[ON, REQUIRED]).await;
    let token = session.access_token();

    assert_eq!(begin_sign_in(&app, Some(ANN)).await["userVerification"], "required");
    sign_in(&app, Some(ANN), &mut key).await.assert_refused(400, "invalid-request");
    sign_in(&app, None, &mut key).await.assert_refused(400, "invalid-request");
    elevate(&app, token, &mut key).await.assert_refused(400, "invalid-request");
    let mut second = SecurityKey::new();
    add_key(&app, token, &mut second, "Second").await.assert_refused(400, "invalid-request");

    key.flags |= USER_VERIFIED;
    second.flags |= USER_VERIFIED;
    sign_in(&app, Some(ANN), &mut key).await.session();
    elevate(&app, token, &mut key).await.session();
    assert_eq!(add_key(&app, token, &mut second, "Second").await.status, 200);
    let options = begin_sign_up(&app, "bob@example.com").await;
    assert_eq!(options["authenticatorSelection"]["userVerification"], "required");
}

/// A key of this algorithm whose member -2 (exponent or point) is another one.
fn weak_key(algorithm: Algorithm, member: Vec<u8>) -> SecurityKey {
    let mut key = SecurityKey::of(algorithm);
    let Cbor::Map(mut members) = serde_cbor_2::from_slice(&key.cose()).unwrap() else {
        panic!("COSE keys are maps");
    };
    members.insert(Cbor::Integer(-2), Cbor::Bytes(member));
    key.pair = KeyPair::Public(serde_cbor_2::to_vec(&Cbor::Map(members)).unwrap());
    key
}

/// docs/reference-behaviour.md#weak-keys-are-refused
#[tokio::test]
async fn weak_keys_are_not_registered() {
    let app = TestApp::start(&[ON]).await;
    let session = app.sign_up(ANN).await.session();
    let point = |first: u8| [vec![first], vec![0; 31]].concat();
    for (what, algorithm, member) in [
        ("exponent 3", Algorithm::Rs256, vec![3]),
        ("exponent 3 for PSS", Algorithm::Ps256, vec![3]),
        ("the neutral point", Algorithm::EdDsa, point(1)),
        ("a point of order four", Algorithm::EdDsa, point(0)),
    ] {
        let mut key = weak_key(algorithm, member.clone());
        let response = add_key(&app, session.access_token(), &mut key, "Weak").await;
        assert_eq!(
            (response.status.as_u16(), response.error()),
            (400, "invalid-request".into()),
            "{what}"
        );
        let mut key = weak_key(algorithm, member);
        let options = begin_sign_up(&app, "bob@example.com").await;
        finish_sign_up(&app, &key.create(&options)).await.assert_refused(400, "invalid-request");
    }
    assert_eq!(app.database.count("select count(*) from auth.user_security_keys").await, 0);
}
