//! `CredentialCreationResponse` and `CredentialAssertionResponse` of the contract.
//!
//! The objects are made by browsers, extensions and libraries, which add members as the standard
//! grows and write `null` for what they do not have. So only what is used here is read of them, and
//! everything else is left alone.

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde::Deserialize;
use webauthn_rs_core::proto::{
    AuthenticatorAssertionResponseRaw, AuthenticatorAttestationResponseRaw,
    RegisterPublicKeyCredential, RegistrationExtensionsClientOutputs,
};

use super::fields::{Object, TextField, not_null};
use crate::domain::challenge::Challenge;
use crate::domain::email::EmailAddress;
use crate::domain::error::AuthError;
use crate::flows::passkeys::ceremonies::{Assertion, RegistrationResponse};

/// Longest credential id (CTAP 2.1).
const MAX_CREDENTIAL_ID: usize = 1_023;

/// Transports that are kept of a key; the standard has six.
const MAX_TRANSPORTS: usize = 8;

/// Longest name of a transport that is kept.
const MAX_TRANSPORT: usize = 32;

/// Binary members: base64url, whatever the padding.
#[derive(Deserialize)]
#[serde(try_from = "String")]
struct Base64Url(Vec<u8>);

impl TryFrom<String> for Base64Url {
    type Error = &'static str;

    fn try_from(text: String) -> Result<Self, Self::Error> {
        let bytes = URL_SAFE_NO_PAD.decode(text.trim_end_matches('='));
        bytes.map(Self).map_err(|_| "must be base64url")
    }
}

/// The only type of credential there is.
#[derive(Debug, Deserialize)]
#[serde(try_from = "String")]
struct CredentialType;

impl TryFrom<String> for CredentialType {
    type Error = &'static str;

    fn try_from(text: String) -> Result<Self, Self::Error> {
        if text == "public-key" { Ok(Self) } else { Err("must be public-key") }
    }
}

/// What an authenticator returns for creation options.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct CreatedCredential {
    id: TextField,
    raw_id: Base64Url,
    #[serde(rename = "type")]
    _type: CredentialType,
    response: Object<AttestationResponse>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct AttestationResponse {
    #[serde(rename = "clientDataJSON")]
    client_data_json: Base64Url,
    attestation_object: Base64Url,
    #[serde(default)]
    transports: Option<Vec<TextField>>,
}

/// What an authenticator returns for request options.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct AssertedCredential {
    id: TextField,
    raw_id: Base64Url,
    #[serde(rename = "type")]
    _type: CredentialType,
    response: Object<AssertionResponse>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct AssertionResponse {
    #[serde(rename = "clientDataJSON")]
    client_data_json: Base64Url,
    authenticator_data: Base64Url,
    signature: Base64Url,
    #[serde(default)]
    user_handle: Option<Base64Url>,
}

/// `SignInWebauthnVerifyRequest` of the contract.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct AssertionRequest {
    credential: Object<AssertedCredential>,
    /// Deprecated in the contract and without meaning: the key tells whose it is.
    #[serde(default, rename = "email", deserialize_with = "not_null")]
    _email: Option<EmailAddress>,
}

impl CreatedCredential {
    /// For the flow; `id` has to be what `rawId` is.
    pub fn into_registration(self) -> Result<RegistrationResponse, AuthError> {
        let Object(response) = self.response;
        let id = checked_id(&self.id, &self.raw_id)?;
        let transports = response.transports.unwrap_or_default();
        Ok(RegistrationResponse {
            challenge: challenge_in(&response.client_data_json.0),
            transports: transports
                .iter()
                .map(TextField::as_str)
                .filter(|name| !name.is_empty() && name.len() <= MAX_TRANSPORT)
                .take(MAX_TRANSPORTS)
                .map(ToOwned::to_owned)
                .collect(),
            response: RegisterPublicKeyCredential {
                id,
                raw_id: self.raw_id.0,
                response: AuthenticatorAttestationResponseRaw {
                    attestation_object: response.attestation_object.0,
                    client_data_json: response.client_data_json.0,
                    transports: None,
                },
                type_: "public-key".to_owned(),
                extensions: RegistrationExtensionsClientOutputs::default(),
            },
        })
    }
}

impl AssertionRequest {
    /// For the flow; `id` has to be what `rawId` is.
    pub fn into_assertion(self) -> Result<Assertion, AuthError> {
        let Object(credential) = self.credential;
        let Object(response) = credential.response;
        let credential_id = checked_id(&credential.id, &credential.raw_id)?;
        Ok(Assertion {
            challenge: challenge_in(&response.client_data_json.0),
            credential_id,
            response: AuthenticatorAssertionResponseRaw {
                authenticator_data: response.authenticator_data.0,
                client_data_json: response.client_data_json.0,
                signature: response.signature.0,
                // Some clients send an empty text where the authenticator gave none.
                user_handle: response
                    .user_handle
                    .map(|handle| handle.0)
                    .filter(|handle| !handle.is_empty()),
            },
        })
    }
}

fn checked_id(id: &TextField, raw_id: &Base64Url) -> Result<String, AuthError> {
    let text = URL_SAFE_NO_PAD.encode(&raw_id.0);
    if raw_id.0.is_empty() || raw_id.0.len() > MAX_CREDENTIAL_ID || text != id.as_str() {
        return Err(AuthError::InvalidRequest(
            "/credential/id: must be rawId as base64url without padding".to_owned(),
        ));
    }
    Ok(text)
}

/// The challenge names the ceremony; the rest of the client data is checked when that is found.
fn challenge_in(client_data_json: &[u8]) -> Option<Challenge> {
    #[derive(Deserialize)]
    struct ClientData {
        challenge: String,
    }
    let data: ClientData = serde_json::from_slice(client_data_json).ok()?;
    Challenge::parse(&data.challenge)
}
