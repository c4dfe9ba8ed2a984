//! Keys as stored: COSE bytes within authenticator data (WebAuthn 6.1).

use serde::Deserialize as _;
use serde_cbor_2::Value;
use webauthn_rs_core::proto::COSEKey;

/// Where the attested credential data begin: RP id hash, flags, counter.
const ATTESTED_AT: usize = 37;

/// AAGUID and the length of the credential id.
const BEFORE_ID: usize = 16 + 2;

/// The key that these bytes hold, if it is of a kind that can be verified here.
pub(super) fn parse(bytes: &[u8]) -> Option<COSEKey> {
    let value: Value = serde_cbor_2::from_slice(bytes).ok()?;
    COSEKey::try_from(&value).ok()
}

/// The bytes of the key in an attestation object, to the letter, as the reference stores them.
pub(super) fn bytes_in_attestation(attestation_object: &[u8]) -> Option<Vec<u8>> {
    let Value::Map(members) = serde_cbor_2::from_slice(attestation_object).ok()? else {
        return None;
    };
    let Value::Bytes(data) = members.get(&Value::Text("authData".to_owned()))? else {
        return None;
    };
    let id_length = data.get(ATTESTED_AT + 16..ATTESTED_AT + BEFORE_ID)?;
    let id_length = usize::from(u16::from_be_bytes(id_length.try_into().ok()?));
    let rest = data.get(ATTESTED_AT + BEFORE_ID + id_length..)?;
    // Extensions may follow, so the key ends where its CBOR does.
    let mut reader = serde_cbor_2::Deserializer::from_slice(rest);
    Value::deserialize(&mut reader).ok()?;
    rest.get(..reader.byte_offset()).map(<[u8]>::to_vec)
}
