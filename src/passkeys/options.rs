//! What browsers are asked for: the options of WebAuthn ceremonies, as the contract has them.

use serde::Serialize;

use crate::config::UserVerification;
use crate::domain::challenge::Challenge;
use crate::domain::ids::UserId;

/// `PublicKeyCredentialCreationOptions` of the contract.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct CreationOptions {
    pub(super) rp: RelyingPartyEntity,
    pub(super) user: UserEntity,
    pub(super) challenge: String,
    pub(super) pub_key_cred_params: Vec<CredentialParameter>,
    pub(super) timeout: u64,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub(super) exclude_credentials: Vec<Descriptor>,
    pub(super) authenticator_selection: AuthenticatorSelection,
    pub(super) attestation: &'static str,
}

#[derive(Debug, Serialize)]
pub(super) struct RelyingPartyEntity {
    pub(super) name: String,
    pub(super) id: String,
}

#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct UserEntity {
    pub(super) name: String,
    pub(super) display_name: String,
    /// The UUID as text, which authenticators in the field hold already
    /// (docs/reference-behaviour.md#user-handles).
    pub(super) id: UserId,
}

#[derive(Debug, Serialize)]
pub(super) struct CredentialParameter {
    #[serde(rename = "type")]
    pub(super) kind: &'static str,
    pub(super) alg: i64,
}

#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct AuthenticatorSelection {
    pub(super) require_resident_key: bool,
    pub(super) resident_key: &'static str,
    pub(super) user_verification: &'static str,
}

/// A key by its credential id.
#[derive(Debug, Serialize)]
pub(super) struct Descriptor {
    #[serde(rename = "type")]
    kind: &'static str,
    id: String,
}

impl Descriptor {
    pub(super) fn new(credential_id: String) -> Self {
        Self { kind: "public-key", id: credential_id }
    }
}

/// `PublicKeyCredentialRequestOptions` of the contract.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct RequestOptions {
    challenge: String,
    timeout: u64,
    rp_id: String,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    allow_credentials: Vec<Descriptor>,
    user_verification: &'static str,
}

impl RequestOptions {
    /// Asks for one of these keys, or for any that the authenticator can find by itself.
    pub(super) fn new(
        challenge: Challenge,
        timeout: u64,
        rp_id: String,
        credential_ids: Vec<String>,
        user_verification: UserVerification,
    ) -> Self {
        Self {
            challenge: challenge.to_string(),
            timeout,
            rp_id,
            allow_credentials: credential_ids.into_iter().map(Descriptor::new).collect(),
            user_verification: user_verification.as_str(),
        }
    }
}
