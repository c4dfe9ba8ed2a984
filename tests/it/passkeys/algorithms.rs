//! Passkeys of every algorithm that the reference offers: made here, brought along, and misused.

use aws_lc_rs::signature::{ECDSA_P521_SHA256_ASN1_SIGNING, ECDSA_P521_SHA384_ASN1_SIGNING};
use serde_json::{Value, json};

use crate::support::app::{Session, TestApp};
use crate::support::ceremonies::{
    ON, add_key, begin_sign_in, begin_sign_up, elevate, finish_sign_in, finish_sign_up, sign_in,
    sign_up,
};
use crate::support::key_pair::{Algorithm, KeyPair};
use crate::support::security_key::{SecurityKey, base64url};

const ANN: &str = "ann@example.com";

/// Stores the key as the reference would have.
async fn bring_along(app: &TestApp, owner: &Session, key: &mut SecurityKey) {
    key.user = owner.user_id().to_string();
    let (user, id, cose) = (&key.user, key.credential_id(), key.cose_hex());
    app.database
        .execute(&format!(
            "insert into auth.user_security_keys \
                    (user_id, credential_id, credential_public_key, counter, transports) \
             values ('{user}', '{id}', '\\x{cose}', 0, '')"
        ))
        .await;
}

async fn assert_refused(app: &TestApp, what: &str, credential: &Value) {
    let response = finish_sign_in(app, credential).await;
    let (status, error) = (response.status.as_u16(), response.error());
    assert_eq!((status, error.as_str()), (400, "invalid-request"), "{what}");
}

#[tokio::test]
async fn a_key_of_every_algorithm_signs_up_and_in_elevates_and_is_added() {
    let app = TestApp::start(&[ON]).await;
    for algorithm in Algorithm::ALL {
        let email = format!("{algorithm:?}@example.com").to_lowercase();
        let options = begin_sign_up(&app, &email).await;
        let offer = json!({"type": "public-key", "alg": algorithm.number()});
        assert!(options["pubKeyCredParams"].as_array().unwrap().contains(&offer));
        let mut key = SecurityKey::of(algorithm);
        let session = finish_sign_up(&app, &key.create(&options)).await.session();
        let stored = app
            .database
            .text(&format!(
                "select encode(credential_public_key, 'hex') from auth.user_security_keys \
                  where user_id = '{}'",
                session.user_id()
            ))
            .await;
        assert_eq!(stored.unwrap(), key.cose_hex(), "{algorithm:?}: as the reference stores it");
        for address in [Some(email.as_str()), None] {
            let signed_in = sign_in(&app, address, &mut key).await.session();
            assert_eq!(signed_in.user_id(), session.user_id(), "{algorithm:?}");
        }
        let elevated = elevate(&app, session.access_token(), &mut key).await.session();
        let mut second = SecurityKey::of(algorithm);
        let added = add_key(&app, elevated.access_token(), &mut second, "Second").await;
        assert_eq!(added.json()["nickname"], "Second", "{algorithm:?}: {added:?}");
        sign_in(&app, Some(&email), &mut second).await.session();
    }
}

#[tokio::test]
async fn a_key_of_the_reference_signs_in_and_elevates_whatever_its_algorithm() {
    let app = TestApp::start(&[ON]).await;
    let owner = app.sign_up(ANN).await.session();
    for algorithm in Algorithm::ALL {
        let mut key = SecurityKey::of(algorithm);
        bring_along(&app, &owner, &mut key).await;
        for address in [Some(ANN), None] {
            let signed_in = sign_in(&app, address, &mut key).await.session();
            assert_eq!(signed_in.user_id(), owner.user_id(), "{algorithm:?}");
        }
        elevate(&app, owner.access_token(), &mut key).await.session();
    }
}

#[tokio::test]
async fn assertions_that_are_wrong_are_refused_for_every_algorithm() {
    let app = TestApp::start(&[ON]).await;
    let owner = app.sign_up(ANN).await.session();
    for algorithm in Algorithm::ALL {
        let mut key = SecurityKey::of(algorithm);
        bring_along(&app, &owner, &mut key).await;
        let begin = async || begin_sign_in(&app, None).await;
        let with = |mut credential: Value, member: &str, value: String| {
            credential["response"][member] = json!(value);
            credential
        };
        let mut refused = Vec::new();

        let credential = key.get(&begin().await);
        let mut signature = decoded(&credential, "signature");
        *signature.last_mut().unwrap() ^= 1;
        refused.push(("bad signature", with(credential, "signature", base64url(signature))));
        for (what, signature) in [("no signature", vec![]), ("long signature", vec![1; 5_000])] {
            let credential = key.get(&begin().await);
            refused.push((what, with(credential, "signature", base64url(signature))));
        }
        let credential = key.get(&begin().await);
        let challenge = begin().await["challenge"].clone();
        let data = json!({"type": "webauthn.get", "challenge": challenge, "origin": key.origin});
        let data = base64url(data.to_string());
        refused.push(("tampered client data", with(credential, "clientDataJSON", data)));
        let credential = key.get(&begin().await);
        let mut data = decoded(&credential, "authenticatorData");
        data[36] ^= 1;
        refused.push((
            "tampered authenticator data",
            with(credential, "authenticatorData", base64url(data)),
        ));
        let credential = key.get(&begin().await);
        let data = [decoded(&credential, "authenticatorData"), vec![0]].concat();
        refused.push((
            "more authenticator data",
            with(credential, "authenticatorData", base64url(data)),
        ));
        "evil.example".clone_into(&mut key.rp_id);
        refused.push(("wrong RP hash", key.get(&begin().await)));
        "localhost".clone_into(&mut key.rp_id);
        key.flags = 0;
        refused.push(("user not present", key.get(&begin().await)));
        key.flags = 0x11;
        refused.push(("backed up, not eligible", key.get(&begin().await)));
        key.flags = 1;
        "https://evil.example".clone_into(&mut key.origin);
        refused.push(("wrong origin", key.get(&begin().await)));
        "http://localhost:3000".clone_into(&mut key.origin);
        let challenge = begin().await["challenge"].clone();
        let framed = json!({
            "type": "webauthn.get", "challenge": challenge, "origin": key.origin,
            "crossOrigin": true,
        });
        refused.push(("in a frame", key.sign(framed.to_string().as_bytes())));

        for (what, credential) in &refused {
            assert_refused(&app, &format!("{algorithm:?}: {what}"), credential).await;
        }
        sign_in(&app, None, &mut key).await.session();
    }
}

fn decoded(credential: &Value, member: &str) -> Vec<u8> {
    use base64::Engine as _;
    let text = credential["response"][member].as_str().unwrap();
    base64::engine::general_purpose::URL_SAFE_NO_PAD.decode(text).unwrap()
}

#[tokio::test]
async fn the_signature_of_another_key_or_algorithm_is_refused() {
    let app = TestApp::start(&[ON]).await;
    let owner = app.sign_up(ANN).await.session();
    for algorithm in Algorithm::ALL {
        let mut key = SecurityKey::of(algorithm);
        bring_along(&app, &owner, &mut key).await;
        let own = std::mem::replace(&mut key.pair, KeyPair::new(algorithm));
        // The RSA keys of a test are the same one, so that only the algorithm is another.
        for other in Algorithm::ALL.into_iter().filter(|other| *other != algorithm) {
            key.pair = KeyPair::new(other);
            let credential = key.get(&begin_sign_in(&app, None).await);
            assert_refused(&app, &format!("{algorithm:?} by {other:?}"), &credential).await;
        }
        if !algorithm.is_rsa() {
            key.pair = KeyPair::new(algorithm);
            let credential = key.get(&begin_sign_in(&app, None).await);
            assert_refused(&app, &format!("another key of {algorithm:?}"), &credential).await;
        }
        key.pair = own;
        sign_in(&app, None, &mut key).await.session();
    }
    // The right key on the right curve, but the hash of another algorithm.
    for signs in [&ECDSA_P521_SHA256_ASN1_SIGNING, &ECDSA_P521_SHA384_ASN1_SIGNING] {
        let mut key = SecurityKey::of(Algorithm::Es512);
        key.pair = KeyPair::ecdsa(signs);
        bring_along(&app, &owner, &mut key).await;
        let credential = key.get(&begin_sign_in(&app, None).await);
        assert_refused(&app, "Es512 with another hash", &credential).await;
    }
}

#[tokio::test]
async fn a_key_that_says_it_is_for_an_algorithm_of_other_keys_is_refused() {
    let app = TestApp::start(&[ON]).await;
    let owner = app.sign_up(ANN).await.session();
    for algorithm in Algorithm::ALL {
        for claimed in Algorithm::ALL {
            if claimed == algorithm || (claimed.is_rsa() && algorithm.is_rsa()) {
                continue;
            }
            let what = format!("{algorithm:?} as {claimed:?}");
            let mut key = SecurityKey::of(algorithm);
            key.algorithm = claimed;
            let options = begin_sign_up(&app, "bob@example.com").await;
            let response = finish_sign_up(&app, &key.create(&options)).await;
            assert_eq!(response.status.as_u16(), 400, "{what}: {response:?}");
            bring_along(&app, &owner, &mut key).await;
            let credential = key.get(&begin_sign_in(&app, None).await);
            assert_refused(&app, &what, &credential).await;
        }
    }
    sign_up(&app, "bob@example.com", &mut SecurityKey::new()).await;
}
