//! Security keys: one just made, one just used, and one as its owner sees it.

use time::OffsetDateTime;

use super::ids::SecurityKeyId;

/// A key that an authenticator has just made.
#[derive(Debug)]
pub struct NewSecurityKey {
    /// Base64url without padding.
    pub credential_id: String,
    /// Raw COSE key, as in the authenticator data.
    pub public_key: Vec<u8>,
    pub sign_count: u32,
    pub transports: Vec<String>,
    pub backup_eligible: bool,
    pub backed_up: bool,
    pub user_verified: bool,
}

/// What an authenticator said of itself when it signed.
#[derive(Clone, Copy, Debug)]
pub struct KeyUse {
    pub sign_count: u32,
    pub backup_eligible: bool,
    pub backed_up: bool,
    /// By PIN or biometrics, not only by touch.
    pub user_verified: bool,
}

/// A key as its owner sees it.
#[derive(Debug)]
pub struct ListedKey {
    pub id: SecurityKeyId,
    pub credential_id: String,
    pub nickname: Option<String>,
    pub transports: Vec<String>,
    pub backed_up: Option<bool>,
    pub created_at: Option<OffsetDateTime>,
    pub last_used_at: Option<OffsetDateTime>,
}
