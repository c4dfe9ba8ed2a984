//! Where a new key comes from, as its authenticator attests it (WebAuthn 6.5.4, 8).
//!
//! The formats `none` and `packed` come with keys of every algorithm and are checked here. The others
//! belong to platforms that make keys of kinds which webauthn-rs-core knows, and are that crate's.

use crypto_glue::traits::DecodeDer as _;
use crypto_glue::x509::Certificate;
use serde::Deserialize;
use serde_cbor_2::Value;
use webauthn_rs_core::attestation::{
    FidoGenCeAaguid, assert_packed_attest_req, validate_extension,
};
use webauthn_rs_core::crypto::verify_signature;

use super::CeremonyError;
use super::authenticator_data::Attested;
use super::cose::CoseKey;

/// An attestation object; its statement depends on the format.
#[derive(Deserialize)]
struct Object<'a, S> {
    #[serde(rename = "fmt")]
    format: &'a str,
    #[serde(rename = "attStmt")]
    statement: S,
    #[serde(rename = "authData")]
    authenticator_data: &'a [u8],
}

/// `packed` (WebAuthn 8.2). Other members, such as those of ECDAA, are unknown to the standard today.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Packed<'a> {
    alg: i128,
    sig: &'a [u8],
    #[serde(borrow, default)]
    x5c: Option<Vec<&'a [u8]>>,
}

/// How the origin of a key is attested.
pub(super) enum Attestation<'a> {
    /// Not at all.
    None,
    Packed(Statement<'a>),
    /// In a format that is webauthn-rs-core's to check.
    Other,
}

/// A statement in the format `packed`.
pub(super) struct Statement<'a>(Packed<'a>);

/// The attestation in an attestation object, and the authenticator data.
pub(super) fn parse(object: &[u8]) -> Result<(Attestation<'_>, &[u8]), CeremonyError> {
    let Object { format, statement, authenticator_data } = read::<Value>(object)?;
    let attestation = match format {
        "none" if matches!(&statement, Value::Map(members) if members.is_empty()) => {
            Attestation::None
        }
        "none" => return Err(CeremonyError::Attestation("no attestation, but a statement")),
        "packed" => Attestation::Packed(Statement(read(object)?.statement)),
        _ => Attestation::Other,
    };
    Ok((attestation, authenticator_data))
}

fn read<'a, S: Deserialize<'a>>(object: &'a [u8]) -> Result<Object<'a, S>, CeremonyError> {
    serde_cbor_2::from_slice(object).map_err(|_| CeremonyError::Attestation("malformed"))
}

impl Statement<'_> {
    /// Checks that the key itself, or the maker of the authenticator, signed for the key.
    ///
    /// No maker is known here, as in the reference: a certificate has to have the right form.
    pub(super) fn check(
        &self,
        attested: &Attested<'_>,
        key: &CoseKey,
        signed: &[u8],
    ) -> Result<(), CeremonyError> {
        let Self(Packed { alg, sig, x5c }) = self;
        let Some(certificates) = x5c else {
            if *alg != key.algorithm as i128 {
                return Err(CeremonyError::Attestation("by another algorithm than the key's"));
            }
            return key.verify(signed, sig);
        };
        let certificate = certificates
            .first()
            .and_then(|der| Certificate::from_der(der).ok())
            .ok_or(CeremonyError::Attestation("no certificate that can be read"))?;
        if !verify_signature(&certificate, sig, signed)? {
            return Err(CeremonyError::Signature);
        }
        assert_packed_attest_req(&certificate)?;
        validate_extension::<FidoGenCeAaguid>(&certificate, &attested.aaguid)?;
        Ok(())
    }
}
