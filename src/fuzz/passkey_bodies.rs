//! The bodies that end passkey ceremonies, and keys of every algorithm: whatever a client sends and
//! whatever a database holds, nothing panics.

use std::sync::LazyLock;
use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use webauthn_rs_core::proto::AuthenticatorAssertionResponseRaw;

use super::Target;
use crate::config::{GivenRelyingParty, UserVerification, WebauthnConfig};
use crate::domain::challenge::Challenge;
use crate::http::input::webauthn::{AssertionRequest, CreatedCredential};
use crate::passkeys::{PendingRegistration, RelyingParty};

pub(super) const TARGET: Target = Target {
    name: "passkey_bodies",
    run,
    // The first byte chooses what the rest is taken for.
    seeds: &[
        b"d{\x22credential\x22:{\x22id\x22:\x22AAAA\x22,\x22rawId\x22:\x22AAAA\x22,\x22t\
          ype\x22:\x22public-key\x22,\x22response\x22:{\x22clientDataJSON\x22:\x22eyJ0eX\
          BlIjoid2ViYXV0aG4uZ2V0IiwiY2hhbGxlbmdlIjoiQUFBQUFBQUFBQUFBQUFBQUFBQUFBQUFBQUFB\
          QUFBQUFBQUFBQUFBQUFBQSIsIm9yaWdpbiI6Imh0dHA6Ly9sb2NhbGhvc3Q6MzAwMCJ9\x22,\x22a\
          uthenticatorData\x22:\x22AAAA\x22,\x22signature\x22:\x22AAAA\x22,\x22userHandl\
          e\x22:null}}}",
        b"e{\x22id\x22:\x22AAAA\x22,\x22rawId\x22:\x22AAAA\x22,\x22type\x22:\x22public-k\
          ey\x22,\x22authenticatorAttachment\x22:\x22platform\x22,\x22clientExtensionRes\
          ults\x22:{},\x22response\x22:{\x22clientDataJSON\x22:\x22AAAA\x22,\x22attestat\
          ionObject\x22:\x22AAAA\x22,\x22transports\x22:[\x22usb\x22]}}",
        b"f\xa3cfmtdnonegattStmt\xa0hauthDataX\x88I\x96\x0d\xe5\x88\x0e\x8cht4\x17\x0fdv\
          `[\x8f\xe4\xae\xb9\xa2\x862\xc7\x99\x5c\xf3\xba\x83\x1d\x97cE\x00\x00\x00\x00\
          \x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x04abcd\
          \xa5\x01\x02\x03& \x01!X k\x17\xd1\xf2\xe1,BG\xf8\xbc\xe6\xe5c\xa4@\xf2w\x03}\
          \x81-\xeb3\xa0\xf4\xa19E\xd8\x98\xc2\x96\x22X O\xe3B\xe2\xfe\x1a\x7f\x9b\x8e\
          \xe7\xebJ|\x0f\x9e\x16+\xce3Wk1^\xce\xcb\xb6@h7\xbfQ\xf5",
        b"f\xa3cfmtfpackedgattStmt\xa2calg&csigDabcdhauthDataX\x88I\x96\x0d\xe5\x88\x0e\
          \x8cht4\x17\x0fdv`[\x8f\xe4\xae\xb9\xa2\x862\xc7\x99\x5c\xf3\xba\x83\x1d\x97cE\
          \x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\
          \x00\x00\x04abcd\xa5\x01\x02\x03& \x01!X k\x17\xd1\xf2\xe1,BG\xf8\xbc\xe6\xe5c\
          \xa4@\xf2w\x03}\x81-\xeb3\xa0\xf4\xa19E\xd8\x98\xc2\x96\x22X O\xe3B\xe2\xfe\
          \x1a\x7f\x9b\x8e\xe7\xebJ|\x0f\x9e\x16+\xce3Wk1^\xce\xcb\xb6@h7\xbfQ\xf5",
        b"gI\x96\x0d\xe5\x88\x0e\x8cht4\x17\x0fdv`[\x8f\xe4\xae\xb9\xa2\x862\xc7\x99\x5c\
          \xf3\xba\x83\x1d\x97c\x05\x00\x00\x00\x07",
        b"h\xa5\x01\x02\x03& \x01!X k\x17\xd1\xf2\xe1,BG\xf8\xbc\xe6\xe5c\xa4@\xf2w\x03}\
          \x81-\xeb3\xa0\xf4\xa19E\xd8\x98\xc2\x96\x22X O\xe3B\xe2\xfe\x1a\x7f\x9b\x8e\
          \xe7\xebJ|\x0f\x9e\x16+\xce3Wk1^\xce\xcb\xb6@h7\xbfQ\xf5",
        b"h\xa4\x01\x01\x03' \x06!X k\x17\xd1\xf2\xe1,BG\xf8\xbc\xe6\xe5c\xa4@\xf2w\x03}\
          \x81-\xeb3\xa0\xf4\xa19E\xd8\x98\xc2\x96",
        b"h\xa4\x01\x03\x039\x01\x00 X \xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\
          \xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\
          \xff!C\x01\x00\x01",
    ],
};

/// [`ANSWERED`], as client data have it.
const CHALLENGE: &str = "AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA";

/// The challenge of every ceremony here.
const ANSWERED: Challenge = Challenge([0; 32]);

static PARTY: LazyLock<RelyingParty> = LazyLock::new(|| {
    let given = GivenRelyingParty::default();
    let relying_party = given.resolve("http://localhost:3000").expect("a usable client URL");
    RelyingParty::new(&WebauthnConfig {
        enabled: true,
        given,
        relying_party,
        timeout: Duration::from_mins(5),
        user_verification: UserVerification::Preferred,
        max_challenges: 1,
    })
});

fn client_data(kind: &str) -> String {
    URL_SAFE_NO_PAD.encode(format!(
        r#"{{"type":"{kind}","challenge":"{CHALLENGE}","origin":"http://localhost:3000"}}"#
    ))
}

fn finish_assertion(body: &[u8]) {
    let Ok(request) = serde_json::from_slice::<AssertionRequest>(body) else { return };
    let Ok(assertion) = request.into_assertion() else { return };
    // A valid key; the other run below takes the body itself for one.
    let mut key = vec![0xa5, 1, 2, 3, 0x26, 0x20, 1, 0x21, 0x58, 32];
    key.extend_from_slice(&GENERATOR[..32]);
    key.extend_from_slice(&[0x22, 0x58, 32]);
    key.extend_from_slice(&GENERATOR[32..]);
    let _ = PARTY.finish_assertion(&assertion.response, ANSWERED, &key);
    let _ = PARTY.finish_assertion(&assertion.response, ANSWERED, body);
}

/// Authenticator data that pass every check, so that keys are read and asked to verify.
fn verify_by(key: &[u8]) {
    let client_data = format!(
        r#"{{"type":"webauthn.get","challenge":"{CHALLENGE}","origin":"http://localhost:3000"}}"#
    );
    // The hash of "localhost", presence, and a counter.
    let mut data = LOCALHOST.to_vec();
    data.extend_from_slice(&[1, 0, 0, 0, 0]);
    let response = AuthenticatorAssertionResponseRaw {
        authenticator_data: data,
        client_data_json: client_data.into_bytes(),
        signature: key.iter().rev().copied().collect(),
        user_handle: None,
    };
    let _ = PARTY.finish_assertion(&response, ANSWERED, key);
}

/// SHA-256 of "localhost".
const LOCALHOST: [u8; 32] = [
    0x49, 0x96, 0x0d, 0xe5, 0x88, 0x0e, 0x8c, 0x68, 0x74, 0x34, 0x17, 0x0f, 0x64, 0x76, 0x60, 0x5b,
    0x8f, 0xe4, 0xae, 0xb9, 0xa2, 0x86, 0x32, 0xc7, 0x99, 0x5c, 0xf3, 0xba, 0x83, 0x1d, 0x97, 0x63,
];

/// The generator of P-256, a valid public key.
const GENERATOR: [u8; 64] = [
    0x6b, 0x17, 0xd1, 0xf2, 0xe1, 0x2c, 0x42, 0x47, 0xf8, 0xbc, 0xe6, 0xe5, 0x63, 0xa4, 0x40, 0xf2,
    0x77, 0x03, 0x7d, 0x81, 0x2d, 0xeb, 0x33, 0xa0, 0xf4, 0xa1, 0x39, 0x45, 0xd8, 0x98, 0xc2, 0x96,
    0x4f, 0xe3, 0x42, 0xe2, 0xfe, 0x1a, 0x7f, 0x9b, 0x8e, 0xe7, 0xeb, 0x4a, 0x7c, 0x0f, 0x9e, 0x16,
    0x2b, 0xce, 0x33, 0x57, 0x6b, 0x31, 0x5e, 0xce, 0xcb, 0xb6, 0x40, 0x68, 0x37, 0xbf, 0x51, 0xf5,
];

fn finish_registration(body: &[u8]) {
    let Ok(created) = serde_json::from_slice::<CreatedCredential>(body) else { return };
    let Ok(registration) = created.into_registration() else { return };
    let pending: PendingRegistration = serde_json::from_str(&format!(
        r#"{{"policy":"preferred","exclude_credentials":[],"challenge":"{CHALLENGE}",
            "credential_algorithms":["ES256","ES384","ES521","RS256","RS384","RS512","PS256","PS384",
                "PS512","EDDSA"],"require_resident_key":false,
            "authenticator_attachment":null,"extensions":{{}},
            "allow_synchronised_authenticators":true}}"#
    ))
    .expect("as stored");
    let _ = PARTY.finish_registration(
        &registration.response,
        registration.transports,
        ANSWERED,
        &pending,
    );
}

fn run(data: &[u8]) {
    let Some((kind, rest)) = data.split_first() else { return };
    let bytes = URL_SAFE_NO_PAD.encode(rest);
    match kind {
        b'd' => finish_assertion(rest),
        b'e' => finish_registration(rest),
        b'h' => verify_by(rest),
        // Past the JSON, into the CBOR and the authenticator data.
        b'f' => finish_registration(
            format!(
                r#"{{"id":"AAAA","rawId":"AAAA","type":"public-key","response":{{
                    "clientDataJSON":"{}","attestationObject":"{bytes}"}}}}"#,
                client_data("webauthn.create")
            )
            .as_bytes(),
        ),
        _ => finish_assertion(
            format!(
                r#"{{"credential":{{"id":"AAAA","rawId":"AAAA","type":"public-key","response":{{
                    "clientDataJSON":"{}","authenticatorData":"{bytes}","signature":"{bytes}"}}}}}}"#,
                client_data("webauthn.get")
            )
            .as_bytes(),
        ),
    }
}
