//! What software authenticators attest of new keys, rightly or wrongly.

use std::collections::BTreeMap;

use rcgen::{CertificateParams, CustomExtension, DnType, IsCa, PKCS_ECDSA_P256_SHA256, SigningKey};
use serde_cbor_2::Value;

use super::key_pair::{Algorithm, KeyPair};

/// An attestation object without its authenticator data.
pub(crate) struct Statement {
    pub(crate) format: &'static str,
    pub(crate) members: BTreeMap<Value, Value>,
}

pub(crate) fn text(text: &str) -> Value {
    Value::Text(text.to_owned())
}

impl Statement {
    pub(crate) fn new<const N: usize>(
        format: &'static str,
        members: [(&'static str, Value); N],
    ) -> Self {
        let members = members.into_iter().map(|(name, value)| (text(name), value)).collect();
        Self { format, members }
    }

    pub(crate) fn none() -> Self {
        Self::new("none", [])
    }

    /// The new key signs for itself.
    pub(crate) fn own(pair: &KeyPair, algorithm: Algorithm, signed: &[u8]) -> Self {
        let members = [
            ("alg", Value::Integer(algorithm.number().into())),
            ("sig", Value::Bytes(pair.sign(signed))),
        ];
        Self::new("packed", members)
    }

    /// The attestation object.
    pub(crate) fn object(self, authenticator_data: Vec<u8>) -> Vec<u8> {
        let object = BTreeMap::from([
            (text("fmt"), text(self.format)),
            (text("attStmt"), Value::Map(self.members)),
            (text("authData"), Value::Bytes(authenticator_data)),
        ]);
        serde_cbor_2::to_vec(&Value::Map(object)).unwrap()
    }
}

/// The maker of an authenticator. Its fields are what tests bend.
pub(crate) struct Maker {
    /// Of the model that the certificate is for.
    pub(crate) aaguid: [u8; 16],
    pub(crate) unit: &'static str,
    pub(crate) is_ca: IsCa,
}

impl Default for Maker {
    fn default() -> Self {
        Self { aaguid: [0; 16], unit: "Authenticator Attestation", is_ca: IsCa::ExplicitNoCa }
    }
}

impl Maker {
    /// `packed`, with a certificate.
    pub(crate) fn packed(&self, signed: &[u8]) -> Statement {
        let (certificate, signature) = self.sign(signed);
        let members = [
            ("alg", Value::Integer(Algorithm::Es256.number().into())),
            ("sig", signature),
            ("x5c", certificate),
        ];
        Statement::new("packed", members)
    }

    /// `fido-u2f`.
    pub(crate) fn u2f(&self, signed: &[u8]) -> Statement {
        let (certificate, signature) = self.sign(signed);
        Statement::new("fido-u2f", [("sig", signature), ("x5c", certificate)])
    }

    fn sign(&self, signed: &[u8]) -> (Value, Value) {
        let pair = rcgen::KeyPair::generate_for(&PKCS_ECDSA_P256_SHA256).unwrap();
        let mut params = CertificateParams::default();
        params.is_ca = self.is_ca;
        for (kind, value) in [
            (DnType::CountryName, "SE"),
            (DnType::OrganizationName, "Maker"),
            (DnType::OrganizationalUnitName, self.unit),
            (DnType::CommonName, "Authenticator"),
        ] {
            params.distinguished_name.push(kind, value);
        }
        let octets = [&[4, 16], &self.aaguid[..]].concat();
        let of_model = &[1, 3, 6, 1, 4, 1, 45724, 1, 1, 4];
        params.custom_extensions.push(CustomExtension::from_oid_content(of_model, octets));
        let certificate = params.self_signed(&pair).unwrap().der().to_vec();
        let signature = pair.sign(signed).unwrap();
        (Value::Array(vec![Value::Bytes(certificate)]), Value::Bytes(signature))
    }
}
