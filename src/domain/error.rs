//! Everything that can go wrong for a client, as one enum and one table.

use std::fmt::Write as _;
use std::sync::Arc;
use std::time::Duration;

use super::database_error::Meaning;

/// The codes of the contract's `ErrorResponse` and the few that the transport adds.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum ErrorCode {
    CannotSendSms,
    DefaultRoleMustBeInAllowedRoles,
    DisabledEndpoint,
    DisabledMfaTotp,
    DisabledUser,
    ElevatedClaimRequired,
    EmailAlreadyInUse,
    EmailAlreadyVerified,
    ForbiddenAnonymous,
    InternalServerError,
    InvalidEmailPassword,
    InvalidOtp,
    InvalidPat,
    InvalidRefreshToken,
    InvalidRequest,
    InvalidState,
    InvalidTicket,
    InvalidTotp,
    NoTotpSecret,
    OauthProfileFetchFailed,
    OauthProviderError,
    OauthTokenEchangeFailed,
    PasswordInHibpDatabase,
    PasswordTooShort,
    ProviderAccountAlreadyLinked,
    RedirectToNotAllowed,
    RoleNotAllowed,
    SignupDisabled,
    TotpAlreadyActive,
    UnverifiedUser,
    UserAlreadyExists,
    UserNotAnonymous,
    // Of the transport, outside the contract's enum.
    MethodNotAllowed,
    MisdirectedRequest,
    NotFound,
    PayloadTooLarge,
    PrefetchRefused,
    RequestTimeout,
    ServiceUnavailable,
    TooManyRequests,
    UnsupportedContentEncoding,
}

/// One row of the error table.
#[derive(Clone, Copy, Debug)]
pub struct ErrorRow {
    /// `error` in the body.
    pub code: &'static str,
    /// HTTP status, also `status` in the body.
    pub status: u16,
    /// `message` in the body; the final stops are part of the contract.
    pub message: &'static str,
    /// Whether `AUTH_CONCEAL_ERRORS` replaces it by `invalid-request`.
    pub sensitive: bool,
}

impl ErrorCode {
    /// The row of the table for this code.
    #[expect(clippy::too_many_lines, reason = "a table, one row a code")]
    pub const fn row(self) -> ErrorRow {
        let (code, status, message, sensitive) = match self {
            Self::CannotSendSms => (
                "cannot-send-sms",
                400,
                "Cannot send SMS, check your phone number is correct",
                false,
            ),
            Self::DefaultRoleMustBeInAllowedRoles => (
                "default-role-must-be-in-allowed-roles",
                400,
                "Default role must be in allowed roles",
                false,
            ),
            Self::DisabledEndpoint => {
                ("disabled-endpoint", 409, "This endpoint is disabled", false)
            }
            Self::DisabledMfaTotp => {
                ("disabled-mfa-totp", 401, "User does not have TOTP MFA enabled", true)
            }
            Self::DisabledUser => ("disabled-user", 401, "User is disabled", true),
            Self::ElevatedClaimRequired => {
                ("elevated-claim-required", 400, "Elevated claim required", false)
            }
            Self::EmailAlreadyInUse => ("email-already-in-use", 409, "Email already in use", true),
            Self::EmailAlreadyVerified => {
                ("email-already-verified", 400, "User's email is already verified", true)
            }
            Self::ForbiddenAnonymous => {
                ("forbidden-anonymous", 403, "Forbidden, user is anonymous.", true)
            }
            Self::InternalServerError => {
                ("internal-server-error", 500, "Internal server error", false)
            }
            Self::InvalidEmailPassword => {
                ("invalid-email-password", 401, "Incorrect email or password", true)
            }
            Self::InvalidOtp => ("invalid-otp", 400, "Invalid or expired OTP", true),
            Self::InvalidPat => {
                ("invalid-pat", 401, "Invalid or expired personal access token", true)
            }
            Self::InvalidRefreshToken => {
                ("invalid-refresh-token", 401, "Invalid or expired refresh token", true)
            }
            Self::InvalidRequest => {
                ("invalid-request", 400, "The request payload is incorrect", false)
            }
            Self::InvalidState => ("invalid-state", 400, "Invalid state", false),
            Self::InvalidTicket => ("invalid-ticket", 401, "Invalid ticket", true),
            Self::InvalidTotp => ("invalid-totp", 401, "Invalid TOTP code", true),
            Self::NoTotpSecret => ("no-totp-secret", 400, "User does not have a TOTP secret", true),
            Self::OauthProfileFetchFailed => {
                ("oauth-profile-fetch-failed", 400, "Failed to get user profile", false)
            }
            Self::OauthProviderError => {
                ("oauth-provider-error", 400, "Provider returned an error", false)
            }
            // The spelling is the contract's.
            Self::OauthTokenEchangeFailed => {
                ("oauth-token-echange-failed", 400, "Failed to exchange token", false)
            }
            Self::PasswordInHibpDatabase => {
                ("password-in-hibp-database", 400, "Password is in HIBP database", false)
            }
            Self::PasswordTooShort => ("password-too-short", 400, "Password is too short", false),
            Self::ProviderAccountAlreadyLinked => (
                "provider-account-already-linked",
                400,
                "This provider account is already linked to a user",
                false,
            ),
            Self::RedirectToNotAllowed => (
                "redirectTo-not-allowed",
                400,
                "The value of \"options.redirectTo\" is not allowed.",
                false,
            ),
            Self::RoleNotAllowed => ("role-not-allowed", 400, "Role not allowed", true),
            Self::SignupDisabled => ("signup-disabled", 403, "Sign up is disabled.", true),
            Self::TotpAlreadyActive => {
                ("totp-already-active", 400, "TOTP MFA is already active", false)
            }
            Self::UnverifiedUser => ("unverified-user", 401, "User is not verified.", true),
            Self::UserAlreadyExists => ("user-already-exists", 409, "User already exists", true),
            Self::UserNotAnonymous => {
                ("user-not-anonymous", 400, "Logged in user is not anonymous", false)
            }
            Self::MethodNotAllowed => ("method-not-allowed", 405, "Method not allowed", false),
            Self::MisdirectedRequest => ("misdirected-request", 421, "Not for this host", false),
            Self::NotFound => ("not-found", 404, "Not found", false),
            Self::PayloadTooLarge => {
                ("payload-too-large", 413, "The request body is too large", false)
            }
            Self::PrefetchRefused => {
                ("prefetch-refused", 403, "This is only there for whoever follows the link", false)
            }
            Self::RequestTimeout => ("request-timeout", 408, "The request took too long", false),
            Self::ServiceUnavailable => {
                ("service-unavailable", 503, "Temporarily unavailable, try again", false)
            }
            Self::TooManyRequests => {
                ("too-many-requests", 429, "Too many attempts, try again later", false)
            }
            Self::UnsupportedContentEncoding => {
                ("unsupported-content-encoding", 415, "Send the body as it is", false)
            }
        };
        ErrorRow { code, status, message, sensitive }
    }

    /// What the client sees: with `conceal`, sensitive codes become `invalid-request` as a whole.
    #[must_use]
    pub const fn concealed(self, conceal: bool) -> Self {
        if conceal && self.row().sensitive { Self::InvalidRequest } else { self }
    }
}

/// Why a flow did not do what the client asked.
#[derive(Debug, thiserror::Error)]
pub enum AuthError {
    /// A rule of the contract refuses the request; nothing was changed.
    #[error("refused: {}", .0.row().code)]
    Refused(ErrorCode),
    /// The request breaks the schema; the text names the field and is shown to the client.
    #[error("invalid request: {0}")]
    InvalidRequest(String),
    /// A part of this node is overloaded, restarting or stopping; try again after the given time.
    #[error("{what} is unavailable")]
    Unavailable { what: &'static str, retry_after: Duration },
    /// Too many authentication attempts failed for this account; whether it exists does not matter.
    #[error("too many attempts")]
    TooManyAttempts { retry_after: Duration },
    /// A provider of identities did not do its part, which the client is told by this code; the
    /// cause is for the log.
    #[error("the provider {provider} failed")]
    Provider {
        code: ErrorCode,
        provider: String,
        #[source]
        source: Box<dyn std::error::Error + Send + Sync>,
    },
    /// Postgres did not respond as it should.
    #[error("storage failed")]
    Storage(#[source] Arc<sqlx::Error>),
    /// Anything else that is our fault or a dependency's.
    #[error("{context}")]
    Internal {
        context: &'static str,
        #[source]
        source: Option<Box<dyn std::error::Error + Send + Sync>>,
    },
}

impl AuthError {
    /// A part of this node cannot take the request now; clients may retry in a second.
    pub const fn unavailable(what: &'static str) -> Self {
        Self::Unavailable { what, retry_after: Duration::from_secs(1) }
    }

    /// Wraps a failure that has no code of its own.
    pub fn internal(
        context: &'static str,
        source: impl Into<Box<dyn std::error::Error + Send + Sync>>,
    ) -> Self {
        Self::Internal { context, source: Some(source.into()) }
    }

    /// The code that the client sees when errors are not concealed.
    pub fn code(&self) -> ErrorCode {
        match self {
            Self::Refused(code) | Self::Provider { code, .. } => *code,
            Self::InvalidRequest(_) => ErrorCode::InvalidRequest,
            Self::Unavailable { .. } => ErrorCode::ServiceUnavailable,
            Self::TooManyAttempts { .. } => ErrorCode::TooManyRequests,
            Self::Storage(error) => match Meaning::of(error) {
                Meaning::Outage => ErrorCode::ServiceUnavailable,
                Meaning::Value | Meaning::Raised(_) => ErrorCode::InvalidRequest,
                Meaning::Fault => ErrorCode::InternalServerError,
            },
            Self::Internal { .. } => ErrorCode::InternalServerError,
        }
    }
}

impl From<sqlx::Error> for AuthError {
    fn from(error: sqlx::Error) -> Self {
        Self::Storage(Arc::new(error))
    }
}

impl From<ErrorCode> for AuthError {
    fn from(code: ErrorCode) -> Self {
        Self::Refused(code)
    }
}

/// An error and all its causes on one line.
pub fn chain(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut cause = error.source();
    while let Some(error) = cause {
        let _ = write!(text, ": {error}");
        cause = error.source();
    }
    text
}
