//! What authenticators attest of new keys, whatever their algorithm.

use std::collections::BTreeMap;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use rcgen::{BasicConstraints, IsCa};
use serde_cbor_2::Value as Cbor;
use serde_json::{Value, json};

use crate::support::app::TestApp;
use crate::support::attestation::{Maker, text};
use crate::support::ceremonies::{ON, begin_sign_up, finish_sign_up, sign_in, sign_up};
use crate::support::key_pair::Algorithm;
use crate::support::security_key::{AttestationKind, SecurityKey, base64url};

const ANN: &str = "ann@example.com";

type Members = BTreeMap<Cbor, Cbor>;

/// Changes the attestation object of a response.
fn altered(mut credential: Value, change: impl FnOnce(&mut Members)) -> Value {
    let object = &mut credential["response"]["attestationObject"];
    let bytes = URL_SAFE_NO_PAD.decode(object.as_str().unwrap()).unwrap();
    let Cbor::Map(mut members) = serde_cbor_2::from_slice(&bytes).unwrap() else {
        panic!("an attestation object is a map");
    };
    change(&mut members);
    *object = json!(base64url(serde_cbor_2::to_vec(&Cbor::Map(members)).unwrap()));
    credential
}

/// Changes its statement.
fn with_statement(credential: Value, change: impl FnOnce(&mut Members)) -> Value {
    altered(credential, |object| {
        let Some(Cbor::Map(statement)) = object.get_mut(&text("attStmt")) else {
            panic!("a statement is a map");
        };
        change(statement);
    })
}

async fn assert_refused(app: &TestApp, what: &str, credential: &Value) {
    let response = finish_sign_up(app, credential).await;
    let (status, error) = (response.status.as_u16(), response.error());
    assert_eq!((status, error.as_str()), (400, "invalid-request"), "{what}");
}

#[tokio::test]
async fn keys_of_every_algorithm_may_attest_themselves_or_be_attested_by_a_maker() {
    let app = TestApp::start(&[ON]).await;
    for algorithm in Algorithm::ALL {
        for attestation in [AttestationKind::Own, AttestationKind::Maker(Maker::default())] {
            let mut key = SecurityKey::of(algorithm);
            key.attestation = attestation;
            let email = format!("{}@example.com", uuid::Uuid::new_v4());
            sign_up(&app, &email, &mut key).await;
            sign_in(&app, Some(&email), &mut key).await.session();
        }
    }
}

/// A format that webauthn-rs-core checks.
#[tokio::test]
async fn keys_of_u2f_are_registered_if_their_maker_signed_for_them() {
    let app = TestApp::start(&[ON]).await;
    let mut key = SecurityKey::new();
    key.attestation = AttestationKind::U2f(Maker::default());
    let credential = key.create(&begin_sign_up(&app, ANN).await);
    let forged = with_statement(credential, |statement| flip(statement, "sig"));
    assert_refused(&app, "a forged signature", &forged).await;
    // What is checked before the format matters here as well.
    key.flags = 0;
    let credential = key.create(&begin_sign_up(&app, ANN).await);
    assert_refused(&app, "nobody present", &credential).await;
    key.flags = 1;
    sign_up(&app, ANN, &mut key).await;
    sign_in(&app, Some(ANN), &mut key).await.session();
}

fn flip(members: &mut Members, name: &str) {
    let Some(Cbor::Bytes(bytes)) = members.get_mut(&text(name)) else { panic!("no {name}") };
    *bytes.last_mut().unwrap() ^= 1;
}

#[tokio::test]
async fn statements_that_do_not_hold_are_refused_for_every_algorithm() {
    let app = TestApp::start(&[ON]).await;
    for algorithm in Algorithm::ALL {
        let create = async |attestation: AttestationKind| {
            let mut key = SecurityKey::of(algorithm);
            key.attestation = attestation;
            key.create(&begin_sign_up(&app, ANN).await)
        };
        let own = async || create(AttestationKind::Own).await;
        let made = async |maker: Maker| create(AttestationKind::Maker(maker)).await;
        let other = if algorithm == Algorithm::Ps256 { Algorithm::Rs256 } else { Algorithm::Ps256 };
        let other = Cbor::Integer(other.number().into());
        let ca = IsCa::Ca(BasicConstraints::Unconstrained);
        let refused = [
            ("own signature", with_statement(own().await, |own| flip(own, "sig"))),
            (
                "own algorithm",
                with_statement(own().await, |own| drop(own.insert(text("alg"), other))),
            ),
            ("ECDAA", {
                let id = Cbor::Bytes(vec![1]);
                with_statement(own().await, |own| drop(own.insert(text("ecdaaKeyId"), id)))
            }),
            ("no signature", with_statement(own().await, |own| drop(own.remove(&text("sig"))))),
            (
                "another counter",
                altered(own().await, |object| {
                    let Some(Cbor::Bytes(data)) = object.get_mut(&text("authData")) else {
                        panic!("no authenticator data");
                    };
                    data[36] ^= 1;
                }),
            ),
            (
                "a maker's signature",
                with_statement(made(Maker::default()).await, |made| flip(made, "sig")),
            ),
            (
                "no certificate",
                with_statement(made(Maker::default()).await, |made| {
                    drop(made.insert(text("x5c"), Cbor::Array(Vec::new())));
                }),
            ),
            (
                "junk for a certificate",
                with_statement(made(Maker::default()).await, |made| {
                    let junk = Cbor::Array(vec![Cbor::Bytes(vec![0x30; 64])]);
                    drop(made.insert(text("x5c"), junk));
                }),
            ),
            ("another model", made(Maker { aaguid: [1; 16], ..Maker::default() }).await),
            ("another unit", made(Maker { unit: "Sales", ..Maker::default() }).await),
            ("a CA", made(Maker { is_ca: ca, ..Maker::default() }).await),
        ];
        for (what, credential) in &refused {
            assert_refused(&app, &format!("{algorithm:?}: {what}"), credential).await;
        }
    }
    assert_eq!(app.database.text("select count(*)::text from auth.users").await.unwrap(), "0");
}

#[tokio::test]
async fn objects_that_are_no_attestation_are_refused() {
    let app = TestApp::start(&[ON]).await;
    let create = async || SecurityKey::new().create(&begin_sign_up(&app, ANN).await);
    let format = |name: &'static str| {
        move |object: &mut Members| drop(object.insert(text("fmt"), text(name)))
    };
    let mut refused = vec![
        (
            "a statement of nothing",
            with_statement(create().await, |none| {
                drop(none.insert(text("sig"), Cbor::Null));
            }),
        ),
        (
            "no authenticator data",
            altered(create().await, |object| {
                drop(object.remove(&text("authData")));
            }),
        ),
        (
            "no key",
            altered(create().await, |object| {
                let Some(Cbor::Bytes(data)) = object.get_mut(&text("authData")) else { panic!() };
                data.truncate(37);
                data[32] = 1;
            }),
        ),
        (
            "something behind the key",
            altered(create().await, |object| {
                let Some(Cbor::Bytes(data)) = object.get_mut(&text("authData")) else { panic!() };
                data.push(0);
            }),
        ),
    ];
    for name in ["", "unknown", "compound", "tpm", "apple", "android-key", "android-safetynet"] {
        refused.push((name, altered(create().await, format(name))));
    }
    for (what, credential) in &refused {
        assert_refused(&app, what, credential).await;
    }
    sign_up(&app, ANN, &mut SecurityKey::new()).await;
}
