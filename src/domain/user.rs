//! A user with roles, as stored.

use serde_json::value::RawValue;
use time::OffsetDateTime;

use super::error::ErrorCode;
use super::ids::UserId;

/// One row of `auth.users` with its roles, without anything secret.
#[derive(Clone, Debug)]
#[expect(clippy::struct_excessive_bools, reason = "the columns of the table")]
pub struct User {
    pub id: UserId,
    pub created_at: OffsetDateTime,
    pub disabled: bool,
    pub display_name: String,
    pub avatar_url: String,
    pub locale: String,
    pub email: Option<String>,
    pub email_verified: bool,
    pub phone_number: Option<String>,
    pub phone_number_verified: bool,
    pub default_role: String,
    pub is_anonymous: bool,
    pub active_mfa_type: Option<String>,
    /// JSON text; `None` is SQL NULL, which is not the same as JSON `null`.
    pub metadata: Option<Box<RawValue>>,
    /// Rows of `auth.user_roles`, in the order they were given.
    pub roles: Vec<String>,
}

impl User {
    /// The roles of a token: those of the rows, and the default role if it is not among them.
    pub fn token_roles(&self) -> Vec<&str> {
        let mut roles: Vec<&str> = self.roles.iter().map(String::as_str).collect();
        if !roles.contains(&self.default_role.as_str()) {
            roles.push(&self.default_role);
        }
        roles
    }

    /// Whether this user may go on with an operation that is open to registered users only.
    ///
    /// The order decides what a client sees first: disabled, anonymous, address not allowed, not
    /// verified (docs/reference-behaviour.md#anonymous-before-unverified).
    pub fn check_registered(&self, rules: &UserRules<'_>) -> Result<(), ErrorCode> {
        if self.disabled {
            return Err(ErrorCode::DisabledUser);
        }
        if self.is_anonymous {
            return Err(ErrorCode::ForbiddenAnonymous);
        }
        if let Some(email) = &self.email
            && !rules.email_access.allows(email)
        {
            return Err(ErrorCode::InvalidEmailPassword);
        }
        self.check_verified(rules.verification_required)
    }

    /// Whether this user's session may be refreshed
    /// (docs/reference-behaviour.md#disabled-users-do-not-refresh).
    ///
    /// [`rotate_and_read`] says the same in SQL.
    ///
    /// [`rotate_and_read`]: crate::persistence::unknown_sessions::rotate_and_read
    pub fn check_refresh(&self, verification_required: bool) -> Result<(), ErrorCode> {
        if self.disabled {
            return Err(ErrorCode::DisabledUser);
        }
        self.check_verified(verification_required)
    }

    fn check_verified(&self, verification_required: bool) -> Result<(), ErrorCode> {
        let unverified = self.email.is_some() && !self.email_verified;
        if verification_required && unverified && !self.is_anonymous {
            return Err(ErrorCode::UnverifiedUser);
        }
        Ok(())
    }

    /// Estimate of the memory that this value keeps, in bytes.
    pub fn memory_bytes(&self) -> usize {
        let texts = [&self.display_name, &self.avatar_url, &self.locale, &self.default_role];
        let optional = [&self.email, &self.phone_number, &self.active_mfa_type];
        size_of::<Self>()
            + texts.iter().map(|text| text.len()).sum::<usize>()
            + optional.iter().filter_map(|text| text.as_ref()).map(String::len).sum::<usize>()
            + self.metadata.as_ref().map_or(0, |json| json.get().len())
            + self.roles.iter().map(|role| role.len() + size_of::<String>()).sum::<usize>()
    }
}

/// The settings that decide whether a user is welcome.
#[derive(Clone, Copy, Debug)]
pub struct UserRules<'a> {
    pub email_access: &'a super::email_access::EmailAccess,
    pub verification_required: bool,
}
