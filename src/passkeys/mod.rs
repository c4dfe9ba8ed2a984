//! WebAuthn: options for browsers, and the check of what authenticators answer.
//!
//! The cryptography is webauthn-rs-core's. What stands here is what the contract asks for and that
//! crate does not offer: its options, user handles as text, and raw COSE keys.

mod cose;
pub mod options;
pub mod user_handle;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde::{Deserialize, Serialize};
use webauthn_rs_core::WebauthnCore;
use webauthn_rs_core::error::WebauthnError;
use webauthn_rs_core::proto::{
    AttestationFormat, AuthenticationState, COSEAlgorithm, Credential, ParsedAttestation,
    PublicKeyCredential, RegisterPublicKeyCredential, RegisteredExtensions, RegistrationState,
    UserVerificationPolicy,
};

use self::options::{
    AuthenticatorSelection, CreationOptions, CredentialParameter, Descriptor, RelyingPartyEntity,
    RequestOptions, UserEntity,
};
use crate::config::WebauthnConfig;
use crate::domain::challenge::Challenge;
use crate::domain::ids::UserId;
use crate::persistence::security_keys::{KeyUse, NewSecurityKey};

/// The algorithms that can be verified here, the preferred one first.
const ALGORITHMS: [COSEAlgorithm; 3] =
    [COSEAlgorithm::ES256, COSEAlgorithm::ES384, COSEAlgorithm::RS256];

/// Bit "backup eligible" of the flags in authenticator data.
const BACKUP_ELIGIBLE: u8 = 0x08;

/// Where the flags are in authenticator data, after the hash of the RP id.
const FLAGS_AT: usize = 32;

/// Why an authenticator's answer was not accepted; for the log, never for the client.
#[derive(Debug, thiserror::Error)]
pub enum CeremonyError {
    #[error("{0}")]
    Webauthn(#[from] WebauthnError),
    #[error("the stored public key is not of a kind that can be verified")]
    StoredKey,
    #[error("the attestation holds no public key")]
    NoPublicKey,
}

/// What finishing a registration needs; opaque, stored with the challenge.
#[derive(Debug, Serialize, Deserialize)]
#[serde(transparent)]
pub struct PendingRegistration(RegistrationState);

/// What finishing an assertion needs; opaque, stored with the challenge.
#[derive(Debug, Serialize, Deserialize)]
#[serde(transparent)]
pub struct PendingAssertion(AuthenticationState);

/// This server as authenticators know it.
pub struct RelyingParty {
    core: WebauthnCore,
    id: String,
    name: String,
    timeout: u64,
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
        }
    }

    /// Begins to make a key for a user who has those in `existing` already.
    pub fn begin_registration(
        &self,
        user: UserId,
        name: &str,
        existing: Vec<String>,
    ) -> Result<(Challenge, CreationOptions, PendingRegistration), CeremonyError> {
        // The crate wants a name; browsers take an empty one.
        let named = if name.is_empty() { "-" } else { name };
        let builder = self
            .core
            .new_challenge_register_builder(user.0.as_bytes(), named, named)?
            .credential_algorithms(ALGORITHMS.to_vec())
            .user_verification_policy(UserVerificationPolicy::Preferred);
        let (made, state) = self.core.generate_challenge_register(builder)?;
        let challenge = challenge_of(&made.public_key.challenge)?;
        let options = CreationOptions {
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
                user_verification: "preferred",
            },
            attestation: "indirect",
        };
        Ok((challenge, options, PendingRegistration(state)))
    }

    /// Checks a new key (flows.md 6.3).
    pub fn finish_registration(
        &self,
        response: &RegisterPublicKeyCredential,
        transports: Vec<String>,
        pending: &PendingRegistration,
    ) -> Result<NewSecurityKey, CeremonyError> {
        let credential = self.core.register_credential(response, &pending.0, None)?;
        let public_key = cose::bytes_in_attestation(&response.response.attestation_object)
            .ok_or(CeremonyError::NoPublicKey)?;
        Ok(NewSecurityKey {
            credential_id: URL_SAFE_NO_PAD.encode(&credential.cred_id),
            public_key,
            sign_count: credential.counter,
            transports,
            backup_eligible: credential.backup_eligible,
            backed_up: credential.backup_state,
        })
    }

    /// Asks for a proof by one of these keys; by any that can be found where there are none.
    pub fn begin_assertion(
        &self,
        credential_ids: Vec<String>,
    ) -> Result<(Challenge, RequestOptions, PendingAssertion), CeremonyError> {
        let builder = self
            .core
            .new_challenge_authenticate_builder(
                Vec::new(),
                Some(UserVerificationPolicy::Preferred),
            )?
            .allow_backup_eligible_upgrade(true);
        let (made, state) = self.core.generate_challenge_authenticate(builder)?;
        let challenge = challenge_of(&made.public_key.challenge)?;
        let options = RequestOptions::new(challenge, self.timeout, self.id.clone(), credential_ids);
        Ok((challenge, options, PendingAssertion(state)))
    }

    /// Checks a proof by the key with these COSE bytes (flows.md 6.4); the counter is the caller's to
    /// compare, with the stored one.
    pub fn finish_assertion(
        &self,
        response: &PublicKeyCredential,
        public_key: &[u8],
        pending: &PendingAssertion,
    ) -> Result<KeyUse, CeremonyError> {
        let flags = response.response.authenticator_data.get(FLAGS_AT).copied().unwrap_or_default();
        let credential = Credential {
            cred_id: response.raw_id.clone(),
            cred: cose::parse(public_key).ok_or(CeremonyError::StoredKey)?,
            counter: 0,
            transports: None,
            // Neither verification nor eligibility is known of keys of the reference, so a change of
            // them is no ground for refusal (flows.md 6.5).
            user_verified: false,
            backup_eligible: flags & BACKUP_ELIGIBLE != 0,
            backup_state: false,
            registration_policy: UserVerificationPolicy::Preferred,
            extensions: RegisteredExtensions::none(),
            attestation: ParsedAttestation::default(),
            attestation_format: AttestationFormat::None,
        };
        let result = self.core.authenticate_single_credential(response, &pending.0, &credential)?;
        Ok(KeyUse {
            sign_count: result.counter(),
            backup_eligible: result.backup_eligible(),
            backed_up: result.backup_state(),
        })
    }
}

fn challenge_of(bytes: &[u8]) -> Result<Challenge, CeremonyError> {
    let bytes = bytes.try_into().map_err(|_| WebauthnError::MismatchedChallenge)?;
    Ok(Challenge(bytes))
}
