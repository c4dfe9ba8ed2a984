//! What the browser says of a ceremony, and the authenticator signs (WebAuthn 5.8.1).

use url::Url;
use webauthn_rs_core::proto::CollectedClientData;
use webauthn_rs_core::proto::origin::origins_match;

use super::CeremonyError;
use crate::domain::challenge::Challenge;

/// The ceremony that a browser held.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Ceremony {
    Create,
    Get,
}

impl Ceremony {
    const fn name(self) -> &'static str {
        match self {
            Self::Create => "webauthn.create",
            Self::Get => "webauthn.get",
        }
    }
}

/// Checks that a page of one of these origins held this ceremony (WebAuthn 7.1 and 7.2).
pub(super) fn check(
    json: &[u8],
    ceremony: Ceremony,
    challenge: Challenge,
    origins: &[Url],
) -> Result<(), CeremonyError> {
    let data: CollectedClientData =
        serde_json::from_slice(json).map_err(|_| CeremonyError::ClientData("malformed"))?;
    if data.type_ != ceremony.name() {
        return Err(CeremonyError::ClientData("another type of ceremony"));
    }
    if data.challenge != challenge.0 {
        return Err(CeremonyError::ClientData("another challenge"));
    }
    if !origins.iter().any(|allowed| origins_match(false, false, &data.origin, allowed)) {
        return Err(CeremonyError::ClientData("an origin that is not configured"));
    }
    // Nothing here is meant for frames in other people's pages, where users can be tricked to click.
    if data.cross_origin == Some(true) {
        return Err(CeremonyError::ClientData("a frame in a page of another origin"));
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;

    const CHALLENGE: Challenge = Challenge([7; 32]);

    fn given(change: impl FnOnce(&mut Value)) -> Result<(), CeremonyError> {
        let mut data = json!({
            "type": "webauthn.get", "challenge": CHALLENGE.to_string(),
            "origin": "https://app.example.com", "crossOrigin": false, "other": {"a": 1},
        });
        change(&mut data);
        let origins = ["https://app.example.com", "android:apk-key-hash:abc"]
            .map(|origin| Url::parse(origin).unwrap());
        check(data.to_string().as_bytes(), Ceremony::Get, CHALLENGE, &origins)
    }

    #[test]
    fn what_browsers_and_applications_send_is_taken() {
        given(|_| ()).unwrap();
        given(|data| data["origin"] = json!("https://APP.example.com:443")).unwrap();
        given(|data| data["origin"] = json!("android:apk-key-hash:abc")).unwrap();
        given(|data| drop(data.as_object_mut().unwrap().remove("crossOrigin"))).unwrap();
    }

    #[test]
    fn anything_else_is_refused() {
        for (member, value) in [
            ("type", json!("webauthn.create")),
            ("type", json!("payment.get")),
            ("challenge", json!(Challenge([8; 32]).to_string())),
            ("challenge", json!(&CHALLENGE.to_string()[..42])),
            ("challenge", json!("")),
            ("origin", json!("https://app.example.com:444")),
            ("origin", json!("http://app.example.com")),
            ("origin", json!("https://evil.app.example.com")),
            ("origin", json!("https://example.com")),
            ("origin", json!("android:apk-key-hash:abd")),
            ("origin", json!("null")),
            ("crossOrigin", json!(true)),
            ("crossOrigin", json!("no")),
        ] {
            given(|data| data[member] = value.clone()).expect_err(&format!("{member}: {value}"));
        }
        check(b"{", Ceremony::Get, CHALLENGE, &[]).unwrap_err();
    }
}
