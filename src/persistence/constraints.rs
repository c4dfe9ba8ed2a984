//! The constraints of schema `auth`, and what clients are told when a request breaks one.
//!
//! They are known by table and name. An application's constraint of the same name, or one of its
//! triggers that fails with the same code, is none of these.

use sqlx::postgres::PgDatabaseError;

use self::Violation::{Nothing, Refused, Text};
use crate::domain::database_error::{is_from_function, postgres};
use crate::domain::error::{AuthError, ErrorCode};

/// A constraint or a unique index.
#[derive(Debug, PartialEq, Eq)]
pub struct Constraint {
    /// In schema `auth`; of a domain, its own name.
    pub relation: &'static str,
    pub name: &'static str,
    pub violation: Violation,
}

/// What it means that a request breaks a constraint.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Violation {
    /// This code.
    Refused(ErrorCode),
    /// `invalid-request` with this text.
    Text(&'static str),
    /// Nothing in general: who can break it looks for it.
    Nothing,
}

/// An address belongs to one user.
pub static USERS_EMAIL: Constraint =
    of("users", "users_email_key", Refused(ErrorCode::EmailAlreadyInUse));
/// A phone number belongs to one user.
pub static USERS_PHONE_NUMBER: Constraint = of("users", "users_phone_number_key", Nothing);
/// Roles are in `auth.roles`.
static USERS_DEFAULT_ROLE: Constraint =
    of("users", "fk_default_role", Refused(ErrorCode::RoleNotAllowed));
static USER_ROLES_ROLE: Constraint =
    of("user_roles", "fk_role", Refused(ErrorCode::RoleNotAllowed));
static CREDENTIAL_ID: Constraint = of(
    "user_security_keys",
    "user_security_key_credential_id_key",
    Text("this security key is registered already"),
);
/// What the reference takes for an address.
static EMAIL: Constraint = of("email", "email_check", Text("this address cannot be stored"));

/// Those that a request can break. No request breaks the others: our statements avoid it, or rows went
/// away in the same moment.
pub static BREAKABLE: [&Constraint; 6] = [
    &USERS_EMAIL,
    &USERS_PHONE_NUMBER,
    &USERS_DEFAULT_ROLE,
    &USER_ROLES_ROLE,
    &CREDENTIAL_ID,
    &EMAIL,
];

const fn of(relation: &'static str, name: &'static str, violation: Violation) -> Constraint {
    Constraint { relation, name, violation }
}

impl Constraint {
    /// Whether this is what failed.
    pub fn is_broken_by(&self, error: &sqlx::Error) -> bool {
        postgres(error).is_some_and(|error| self.is_named_by(error))
    }

    fn is_named_by(&self, error: &PgDatabaseError) -> bool {
        error.schema() == Some("auth")
            && [error.table(), error.data_type()].contains(&Some(self.relation))
            && error.constraint() == Some(self.name)
    }
}

/// What the client is told about a row that the database refused.
pub fn refusal(error: sqlx::Error) -> AuthError {
    let broken = BREAKABLE.iter().find(|constraint| constraint.is_broken_by(&error));
    match broken.map(|constraint| constraint.violation) {
        Some(Refused(code)) => code.into(),
        Some(Text(text)) => AuthError::InvalidRequest(text.to_owned()),
        Some(Nothing) | None => error.into(),
    }
}

/// Whether a row of an application's table refers to the one that was to change.
pub fn is_referred_to(error: &sqlx::Error) -> bool {
    postgres(error).is_some_and(|error| {
        let is_ours = BREAKABLE.iter().any(|constraint| constraint.is_named_by(error));
        error.code() == "23503" && !is_ours && !is_from_function(error)
    })
}
