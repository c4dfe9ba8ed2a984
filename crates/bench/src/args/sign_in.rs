//! Arguments of `keywright bench sign-up` and `keywright bench sign-in`.

use clap::{Args, ValueEnum};

use super::database::DatabaseArgs;
use super::load::LoadArgs;

/// How people sign up.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum SignUpKind {
    /// `POST /signin/anonymous`.
    Anonymous,
    /// `POST /signup/email-password` with made-up addresses; a hash each.
    Password,
}

/// How people sign in.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum SignInKind {
    /// `POST /signin/anonymous`, a new user each.
    Anonymous,
    /// `POST /signin/email-password`; a hash each.
    Password,
    /// `POST /signin/pat` with a personal access token.
    Pat,
    /// `POST /signin/passwordless/email`, the mail, and the link in it.
    Link,
}

impl SignUpKind {
    /// The name in reports.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Anonymous => "anonymous",
            Self::Password => "password",
        }
    }
}

impl SignInKind {
    /// The name in reports.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Anonymous => "anonymous",
            Self::Password => "password",
            Self::Pat => "pat",
            Self::Link => "link",
        }
    }
}

/// `keywright bench sign-up`.
#[derive(Clone, Debug, Args)]
pub struct SignUpArgs {
    #[command(flatten)]
    pub load: LoadArgs,
    /// How people sign up; they stay in the database.
    #[arg(long, value_enum, default_value = "anonymous")]
    pub kind: SignUpKind,
    #[command(flatten)]
    pub database: DatabaseArgs,
}

/// `keywright bench sign-in`.
#[derive(Clone, Debug, Args)]
pub struct SignInArgs {
    #[command(flatten)]
    pub load: LoadArgs,
    /// How people sign in.
    #[arg(long, value_enum, default_value = "password")]
    pub kind: SignInKind,
    #[command(flatten)]
    pub accounts: AccountArgs,
    #[command(flatten)]
    pub database: DatabaseArgs,
}

/// Who signs in.
#[derive(Clone, Debug, Args)]
pub struct AccountArgs {
    /// Accounts that sign in by turns; by default as many as connections, 256 at most. They are
    /// signed up first and stay.
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(1..=100_000))]
    pub accounts: Option<u32>,
    /// Port of this machine on which mail is taken for sign-ins by link: set `AUTH_SMTP_HOST` of the
    /// servers to 127.0.0.1, `AUTH_SMTP_PORT` to this, and `AUTH_RECIPIENT_LIMITS` to `off`; 0 takes a
    /// free one.
    #[arg(long, value_name = "PORT", default_value = "1025")]
    pub mail_port: u16,
}
