//! Tickets: what a mailed link or a second factor presents once.

use std::fmt;
use std::time::Duration;

use aws_lc_rs::digest::{SHA256, digest};
use aws_lc_rs::rand::SystemRandom;
use secrecy::{ExposeSecret as _, SecretString};
use uuid::Uuid;

use crate::domain::mail::MailTemplate;

const HOUR: Duration = Duration::from_hours(1);
/// Codes of one-time passwords run below this number.
const OTP_RANGE: u32 = 1_000_000;
/// Longest ticket that is looked at: the longest prefix and a UUID are 55 bytes.
const MAX_BYTES: usize = 64;

/// What a ticket is good for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum TicketKind {
    /// Proves that the address belongs to the user.
    VerifyEmail,
    /// Signs in by a mailed link.
    PasswordlessEmail,
    /// Allows to set a new password.
    PasswordReset,
    /// Proves that the new address belongs to the user.
    EmailConfirmChange,
    /// Gives the user back the address from before a change.
    EmailChangeUndo,
    /// Remembers that the password was right until the second factor comes.
    MfaTotp,
    /// Six digits sent by mail; meaningless without the address.
    EmailOtp,
    /// Six digits sent by SMS; meaningless without the number.
    SmsOtp,
}

impl TicketKind {
    /// Every kind.
    pub const ALL: [Self; 8] = [
        Self::VerifyEmail,
        Self::PasswordlessEmail,
        Self::PasswordReset,
        Self::EmailConfirmChange,
        Self::EmailChangeUndo,
        Self::MfaTotp,
        Self::EmailOtp,
        Self::SmsOtp,
    ];

    /// The part before the colon, also `type` in the redirect after a link was followed; also the
    /// purpose in `auth.keywright_tickets`. Codes have it only there.
    pub const fn name(self) -> &'static str {
        match self {
            Self::VerifyEmail => "verifyEmail",
            Self::PasswordlessEmail => "passwordlessEmail",
            Self::PasswordReset => "passwordReset",
            Self::EmailConfirmChange => "emailConfirmChange",
            Self::EmailChangeUndo => "emailChangeUndo",
            Self::MfaTotp => "mfaTotp",
            Self::EmailOtp => "emailOtp",
            Self::SmsOtp => "smsOtp",
        }
    }

    /// `type` in the mailed link; `None` for kinds that are not links.
    pub const fn link_type(self) -> Option<&'static str> {
        match self {
            Self::VerifyEmail => Some("emailVerify"),
            Self::PasswordlessEmail => Some("signinPasswordless"),
            Self::PasswordReset => Some("passwordReset"),
            Self::EmailConfirmChange => Some("emailConfirmChange"),
            Self::EmailChangeUndo => Some("emailChangeUndo"),
            Self::MfaTotp | Self::EmailOtp | Self::SmsOtp => None,
        }
    }

    /// The mail that brings it.
    pub const fn template(self) -> Option<MailTemplate> {
        match self {
            Self::VerifyEmail => Some(MailTemplate::EmailVerify),
            Self::PasswordlessEmail => Some(MailTemplate::SigninPasswordless),
            Self::PasswordReset => Some(MailTemplate::PasswordReset),
            Self::EmailConfirmChange => Some(MailTemplate::EmailConfirmChange),
            Self::EmailOtp => Some(MailTemplate::SigninOtp),
            Self::EmailChangeUndo => Some(MailTemplate::NoticeEmailChanged),
            Self::MfaTotp | Self::SmsOtp => None,
        }
    }

    /// How long such a ticket can be used.
    pub const fn lifetime(self) -> Duration {
        match self {
            Self::VerifyEmail => Duration::from_hours(30 * 24),
            Self::EmailChangeUndo => Duration::from_hours(7 * 24),
            Self::PasswordlessEmail
            | Self::PasswordReset
            | Self::EmailConfirmChange
            | Self::EmailOtp => HOUR,
            Self::MfaTotp | Self::SmsOtp => Duration::from_mins(5),
        }
    }

    /// Whether it is six digits.
    pub const fn is_code(self) -> bool {
        matches!(self, Self::EmailOtp | Self::SmsOtp)
    }

    /// Whether the link endpoint takes it.
    pub const fn is_link(self) -> bool {
        self.link_type().is_some()
    }
}

/// A ticket with its secret text.
#[derive(Clone)]
pub struct Ticket {
    kind: TicketKind,
    text: SecretString,
}

/// The text has none of the known shapes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("not a ticket")]
pub struct InvalidTicket;

impl Ticket {
    /// A fresh ticket from the operating system's random source.
    pub fn generate(kind: TicketKind) -> Self {
        let text = match kind {
            TicketKind::EmailOtp | TicketKind::SmsOtp => generate_code(),
            _ => format!("{}:{}", kind.name(), Uuid::new_v4()),
        };
        Self { kind, text: text.into() }
    }

    /// Recognises the kind by the prefix; what follows is only bounded, since the hash decides.
    ///
    /// Whether the place where it was presented takes this kind is for the caller to check.
    pub fn parse(text: &str) -> Result<Self, InvalidTicket> {
        if text.len() > MAX_BYTES {
            return Err(InvalidTicket);
        }
        let (prefix, _) = text.split_once(':').ok_or(InvalidTicket)?;
        let kind = TicketKind::ALL
            .into_iter()
            .find(|kind| !kind.is_code() && kind.name() == prefix)
            .ok_or(InvalidTicket)?;
        Ok(Self { kind, text: text.into() })
    }

    /// A code of six digits, which does not say itself what it is for.
    pub fn parse_code(kind: TicketKind, text: &str) -> Result<Self, InvalidTicket> {
        if kind.is_code() && text.len() == 6 && text.bytes().all(|byte| byte.is_ascii_digit()) {
            Ok(Self { kind, text: text.into() })
        } else {
            Err(InvalidTicket)
        }
    }

    /// What it is good for.
    pub const fn kind(&self) -> TicketKind {
        self.kind
    }

    /// SHA-256 of the text: what is stored. A code needs its user beside it to be found.
    pub fn hash(&self) -> [u8; 32] {
        let hash = digest(&SHA256, self.text.expose_secret().as_bytes());
        hash.as_ref().try_into().expect("SHA-256 has 32 bytes")
    }

    /// The secret text, for the mail to its owner, and for tickets of the reference's rows.
    pub fn expose(&self) -> &str {
        self.text.expose_secret()
    }
}

impl fmt::Debug for Ticket {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Ticket({}:***)", self.kind.name())
    }
}

/// Six digits, each code equally likely.
fn generate_code() -> String {
    // The largest multiple of the range that fits: values above it would favour small codes.
    const LIMIT: u32 = u32::MAX - u32::MAX % OTP_RANGE;
    loop {
        let mut bytes = [0; 4];
        aws_lc_rs::rand::SecureRandom::fill(&SystemRandom::new(), &mut bytes)
            .expect("the operating system has randomness");
        let number = u32::from_ne_bytes(bytes);
        if number < LIMIT {
            return format!("{:06}", number % OTP_RANGE);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_fresh_ticket_is_recognised_again() {
        for kind in TicketKind::ALL {
            let ticket = Ticket::generate(kind);
            let parsed = if kind.is_code() {
                Ticket::parse_code(kind, ticket.expose()).unwrap()
            } else {
                Ticket::parse(ticket.expose()).unwrap()
            };
            assert_eq!(parsed.kind(), kind);
            assert_eq!(parsed.hash(), ticket.hash());
        }
    }

    #[test]
    fn links_carry_their_kind_as_a_prefix() {
        let ticket = Ticket::generate(TicketKind::VerifyEmail);
        let (prefix, uuid) = ticket.expose().split_once(':').unwrap();
        assert_eq!(prefix, "verifyEmail");
        assert_eq!(Uuid::parse_str(uuid).unwrap().get_version_num(), 4);
    }

    #[test]
    fn a_code_is_six_digits() {
        for _ in 0..50 {
            let code = Ticket::generate(TicketKind::EmailOtp);
            assert_eq!(code.expose().len(), 6);
            assert!(code.expose().parse::<u32>().unwrap() < OTP_RANGE);
        }
    }

    #[test]
    fn a_code_is_a_code_only_where_one_is_expected() {
        assert!(Ticket::parse("123456").is_err());
        assert!(Ticket::parse_code(TicketKind::VerifyEmail, "123456").is_err());
        for bad in ["", "12345", "1234567", "12345a", "１２３"] {
            assert!(Ticket::parse_code(TicketKind::SmsOtp, bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn unknown_shapes_are_no_tickets() {
        let long = format!("verifyEmail:{}", "a".repeat(64));
        for text in
            ["", "12345", "1234567", "12345a", "otp:x", "emailOtp:123456", "Verifyemail:x", &long]
        {
            assert!(Ticket::parse(text).is_err(), "{text:?}");
        }
    }

    #[test]
    fn only_mailed_links_have_a_link_type() {
        for kind in TicketKind::ALL {
            let expected = kind != TicketKind::MfaTotp && !kind.is_code();
            assert_eq!(kind.is_link(), expected);
        }
    }

    #[test]
    fn debug_output_hides_the_ticket() {
        let shown = format!("{:?}", Ticket::generate(TicketKind::PasswordReset));
        assert_eq!(shown, "Ticket(passwordReset:***)");
    }
}
