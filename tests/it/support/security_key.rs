//! A security key in software: it takes part in ceremonies as a browser would send them, or wrongly
//! on purpose.

use aws_lc_rs::digest::{SHA256, digest};
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde_json::{Value, json};
use uuid::Uuid;

use super::attestation::{Maker, Statement};
use super::key_pair::{Algorithm, KeyPair};

/// The origin of test servers' client URL.
pub(crate) const ORIGIN: &str = "http://localhost:3000";

const USER_PRESENT: u8 = 0x01;
const BACKUP_ELIGIBLE: u8 = 0x08;
const BACKED_UP: u8 = 0x10;
const ATTESTED: u8 = 0x40;

/// How the key's owner is named in its responses.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Handle {
    /// The client took the id in the options for base64url.
    Decoded,
    /// The client encoded the text of the id.
    Encoded,
    /// The bytes of the UUID.
    Raw,
    None,
}

/// Who attests a new key.
pub(crate) enum AttestationKind {
    None,
    /// The key itself, in the format `packed`.
    Own,
    /// In the format `packed`.
    Maker(Maker),
    /// In the format `fido-u2f`.
    U2f(Maker),
}

/// One key pair in one device. Its fields are what tests bend.
pub(crate) struct SecurityKey {
    pub(crate) pair: KeyPair,
    /// What its public key says it is for.
    pub(crate) algorithm: Algorithm,
    pub(crate) attestation: AttestationKind,
    pub(crate) id: Vec<u8>,
    pub(crate) user: String,
    pub(crate) origin: String,
    pub(crate) rp_id: String,
    pub(crate) flags: u8,
    /// Stays 0 on keys that do not count.
    pub(crate) counter: u32,
    pub(crate) handle: Handle,
}

pub(crate) fn base64url(bytes: impl AsRef<[u8]>) -> String {
    URL_SAFE_NO_PAD.encode(bytes)
}

impl SecurityKey {
    pub(crate) fn new() -> Self {
        Self::of(Algorithm::Es256)
    }

    pub(crate) fn of(algorithm: Algorithm) -> Self {
        Self {
            pair: KeyPair::new(algorithm),
            algorithm,
            attestation: AttestationKind::None,
            id: Uuid::new_v4().as_bytes().to_vec(),
            user: String::new(),
            origin: ORIGIN.to_owned(),
            rp_id: "localhost".to_owned(),
            flags: USER_PRESENT,
            counter: 0,
            handle: Handle::Decoded,
        }
    }

    /// One that its provider copies between devices.
    pub(crate) fn synced() -> Self {
        Self { flags: USER_PRESENT | BACKUP_ELIGIBLE | BACKED_UP, ..Self::new() }
    }

    pub(crate) fn credential_id(&self) -> String {
        base64url(&self.id)
    }

    /// The key as the reference stores it.
    pub(crate) fn cose(&self) -> Vec<u8> {
        self.pair.cose(self.algorithm)
    }

    /// The same in the notation of Postgres.
    pub(crate) fn cose_hex(&self) -> String {
        self.cose().iter().fold(String::new(), |text, byte| format!("{text}{byte:02x}"))
    }

    fn client_data(&self, kind: &str, challenge: &str) -> Vec<u8> {
        let data = json!({
            "type": kind, "challenge": challenge, "origin": self.origin, "crossOrigin": false,
        });
        data.to_string().into_bytes()
    }

    fn authenticator_data(&self, flags: u8) -> Vec<u8> {
        let mut data = digest(&SHA256, self.rp_id.as_bytes()).as_ref().to_vec();
        data.push(self.flags | flags);
        data.extend_from_slice(&self.counter.to_be_bytes());
        data
    }

    /// Responds to creation options.
    pub(crate) fn create(&mut self, options: &Value) -> Value {
        options["user"]["id"].as_str().unwrap().clone_into(&mut self.user);
        let mut data = self.authenticator_data(ATTESTED);
        data.extend_from_slice(&[0; 16]);
        data.extend_from_slice(&u16::try_from(self.id.len()).unwrap().to_be_bytes());
        data.extend_from_slice(&self.id);
        data.extend_from_slice(&self.cose());
        let client_data =
            self.client_data("webauthn.create", options["challenge"].as_str().unwrap());
        let hash = digest(&SHA256, &client_data);
        let signed = [&data, hash.as_ref()].concat();
        let statement = match &self.attestation {
            AttestationKind::None => Statement::none(),
            AttestationKind::Own => Statement::own(&self.pair, self.algorithm, &signed),
            AttestationKind::Maker(maker) => maker.packed(&signed),
            AttestationKind::U2f(maker) => {
                let parts = [&[0], &data[..32], hash.as_ref(), &self.id, self.pair.point()];
                maker.u2f(&parts.concat())
            }
        };
        let object = statement.object(data);
        json!({
            "id": self.credential_id(),
            "rawId": self.credential_id(),
            "type": "public-key",
            "authenticatorAttachment": "cross-platform",
            "clientExtensionResults": {},
            "response": {
                "clientDataJSON": base64url(client_data),
                "attestationObject": base64url(object),
                "transports": ["usb", "nfc"],
            },
        })
    }

    /// Responds to request options.
    pub(crate) fn get(&mut self, options: &Value) -> Value {
        let client_data = self.client_data("webauthn.get", options["challenge"].as_str().unwrap());
        self.sign(&client_data)
    }

    /// Signs these client data.
    pub(crate) fn sign(&mut self, client_data: &[u8]) -> Value {
        if self.counter > 0 {
            self.counter += 1;
        }
        let data = self.authenticator_data(0);
        let mut signed = data.clone();
        signed.extend_from_slice(digest(&SHA256, client_data).as_ref());
        let signature = self.pair.sign(&signed);
        let handle = match self.handle {
            Handle::Decoded => Value::from(self.user.clone()),
            Handle::Encoded => Value::from(base64url(&self.user)),
            Handle::Raw => base64url(self.user.parse::<Uuid>().unwrap().as_bytes()).into(),
            Handle::None => Value::Null,
        };
        json!({
            "id": self.credential_id(),
            "rawId": self.credential_id(),
            "type": "public-key",
            "clientExtensionResults": {},
            "response": {
                "clientDataJSON": base64url(client_data),
                "authenticatorData": base64url(data),
                "signature": base64url(signature),
                "userHandle": handle,
            },
        })
    }
}
