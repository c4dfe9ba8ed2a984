//! WebAuthn: options for browsers, and the check of what authenticators return.
//!
//! Signatures are verified here, by aws-lc-rs, and so is what stands around them, because
//! webauthn-rs-core verifies three of the ten algorithms that keys of the reference have. That crate
//! begins registrations and checks the attestation of platforms.

mod attestation;
mod authenticator_data;
mod client_data;
mod cose;
pub mod options;
pub mod signed_challenge;
pub mod user_handle;

use aws_lc_rs::digest::{SHA256, digest};
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde::{Deserialize, Serialize};
use webauthn_rs_core::WebauthnCore;
use webauthn_rs_core::error::WebauthnError;
use webauthn_rs_core::proto::{
    AuthenticatorAssertionResponseRaw, RegisterPublicKeyCredential, RegistrationState,
    UserVerificationPolicy,
};

use self::attestation::Attestation;
use self::authenticator_data::AuthenticatorData;
use self::client_data::Ceremony;
use self::cose::{ALGORITHMS, CoseKey};
use self::options::{
    AuthenticatorSelection, CreationOptions, CredentialParameter, Descriptor, RelyingPartyEntity,
    RequestOptions, UserEntity,
};
use crate::config::{UserVerification, WebauthnConfig};
use crate::domain::challenge::Challenge;
use crate::domain::ids::UserId;
use crate::domain::security_key::{KeyUse, NewSecurityKey};

/// Why an authenticator's response was not accepted; for the log, never for the client.
#[derive(Debug, thiserror::Error)]
pub enum CeremonyError {
    #[error(transparent)]
    Webauthn(#[from] WebauthnError),
    #[error("the client data are refused: {0}")]
    ClientData(&'static str),
    #[error("the authenticator data are refused: {0}")]
    AuthenticatorData(&'static str),
    #[error("the attestation is refused: {0}")]
    Attestation(&'static str),
    #[error("the state of a registration cannot be made")]
    State(#[from] serde_json::Error),
    #[error("there is no new key")]
    NoPublicKey,
    #[error("the public key is malformed, or not of a kind that can be verified")]
    PublicKey,
    #[error("the public key is weak")]
    WeakPublicKey,
    #[error("the signature is wrong")]
    Signature,
}

/// What finishing a registration needs; opaque, stored with the challenge.
#[derive(Debug, Serialize, Deserialize)]
#[serde(transparent)]
pub struct PendingRegistration(RegistrationState);

/// This server as authenticators know it.
pub struct RelyingParty {
    core: WebauthnCore,
    id: String,
    name: String,
    timeout: u64,
    user_verification: UserVerification,
}

impl RelyingParty {
    /// From the settings; cheap enough to be made for each request.
    pub fn new(config: &WebauthnConfig) -> Self {
        let party = &config.relying_party;
        let core = WebauthnCore::new_unsafe_experts_only(
            &party.name,
            &party.id,
            party.origins.clone(),
            config.timeout,
            Some(false),
            Some(false),
        );
        Self {
            core,
            id: party.id.clone(),
            name: party.name.clone(),
            timeout: u64::try_from(config.timeout.as_millis()).unwrap_or(u64::MAX),
            user_verification: config.user_verification,
        }
    }

    /// Asks for a new key for a user who has those in `existing` already.
    pub fn begin_registration(
        &self,
        challenge: Challenge,
        user: UserId,
        name: &str,
        existing: Vec<String>,
    ) -> CreationOptions {
        CreationOptions {
            rp: RelyingPartyEntity { name: self.name.clone(), id: self.id.clone() },
            user: UserEntity { name: name.to_owned(), display_name: name.to_owned(), id: user },
            challenge: challenge.to_string(),
            pub_key_cred_params: ALGORITHMS
                .iter()
                .map(|algorithm| CredentialParameter { kind: "public-key", alg: *algorithm as i64 })
                .collect(),
            timeout: self.timeout,
            exclude_credentials: existing.into_iter().map(Descriptor::new).collect(),
            authenticator_selection: AuthenticatorSelection {
                require_resident_key: false,
                resident_key: "preferred",
                user_verification: self.user_verification.as_str(),
            },
            attestation: "indirect",
        }
    }

    /// What finishing a registration with this challenge needs; it depends on nothing else.
    pub fn pending_registration(
        &self,
        challenge: Challenge,
    ) -> Result<PendingRegistration, CeremonyError> {
        // The crate wants a user, and leaves it out of the state.
        let builder = self
            .core
            .new_challenge_register_builder(&[0], "-", "-")?
            .credential_algorithms(ALGORITHMS.to_vec())
            .user_verification_policy(UserVerificationPolicy::Preferred);
        let (_, state) = self.core.generate_challenge_register(builder)?;
        // It draws a challenge of its own, which can be replaced in the stored form only.
        let mut state = serde_json::to_value(state)?;
        state["challenge"] = challenge.to_string().into();
        Ok(PendingRegistration(serde_json::from_value(state)?))
    }

    /// Checks the new key made for this challenge (WebAuthn 7.1).
    pub fn finish_registration(
        &self,
        response: &RegisterPublicKeyCredential,
        transports: Vec<String>,
        challenge: Challenge,
        pending: &PendingRegistration,
    ) -> Result<NewSecurityKey, CeremonyError> {
        let client_data = &response.response.client_data_json;
        let origins = self.core.get_allowed_origins();
        client_data::check(client_data, Ceremony::Create, challenge, origins)?;
        let (attestation, bytes) = attestation::parse(&response.response.attestation_object)?;
        let data = AuthenticatorData::parse(bytes)?;
        data.check(&self.id, self.user_verification)?;
        let attested = data.attested.as_ref().ok_or(CeremonyError::NoPublicKey)?;
        let key = CoseKey::parse_new(attested.public_key)?;
        match attestation {
            Attestation::None => {}
            Attestation::Packed(statement) => {
                statement.check(attested, &key, &signed(bytes, client_data))?;
            }
            Attestation::Other => {
                self.core.register_credential(response, &pending.0, None)?;
            }
        }
        Ok(NewSecurityKey {
            credential_id: URL_SAFE_NO_PAD.encode(attested.credential_id),
            public_key: attested.public_key.to_vec(),
            sign_count: data.sign_count,
            transports,
            backup_eligible: data.backup_eligible(),
            backed_up: data.backed_up(),
            user_verified: data.user_verified(),
        })
    }

    /// Asks for an assertion by one of these keys; by any that can be found where there are none.
    pub fn begin_assertion(
        &self,
        challenge: Challenge,
        credential_ids: Vec<String>,
    ) -> RequestOptions {
        RequestOptions::new(
            challenge,
            self.timeout,
            self.id.clone(),
            credential_ids,
            self.user_verification,
        )
    }

    /// Checks an assertion for this challenge, by the key with these COSE bytes
    /// (WebAuthn 7.2); the counter is the caller's to compare, with the stored one.
    pub fn finish_assertion(
        &self,
        response: &AuthenticatorAssertionResponseRaw,
        challenge: Challenge,
        public_key: &[u8],
    ) -> Result<KeyUse, CeremonyError> {
        let client_data = &response.client_data_json;
        let origins = self.core.get_allowed_origins();
        client_data::check(client_data, Ceremony::Get, challenge, origins)?;
        let data = AuthenticatorData::parse(&response.authenticator_data)?;
        data.check(&self.id, self.user_verification)?;
        let signed = signed(&response.authenticator_data, client_data);
        CoseKey::parse(public_key)?.verify(&signed, &response.signature)?;
        // Neither verification nor eligibility is known of keys of the reference, so a change of them
        // is no ground for refusal (docs/reference-behaviour.md#stored-keys).
        Ok(KeyUse {
            sign_count: data.sign_count,
            backup_eligible: data.backup_eligible(),
            backed_up: data.backed_up(),
            user_verified: data.user_verified(),
        })
    }
}

/// What authenticators sign in both ceremonies.
fn signed(authenticator_data: &[u8], client_data_json: &[u8]) -> Vec<u8> {
    [authenticator_data, digest(&SHA256, client_data_json).as_ref()].concat()
}
