//! What names a flow of several requests that is under way: a passkey ceremony, a sign-in with a
//! provider, a code that waits for its exchange.

use std::fmt;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;

/// The random bytes that an authenticator signs, or the hash of a secret that a browser brings back;
/// they name the flow.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Challenge(pub [u8; 32]);

impl Challenge {
    /// One that nobody can foresee.
    pub fn random() -> Self {
        let mut bytes = [0; 32];
        aws_lc_rs::rand::fill(&mut bytes).expect("the operating system has randomness");
        Self(bytes)
    }

    /// Reads base64url, whatever its padding; `None` for anything that no server here has made.
    pub fn parse(text: &str) -> Option<Self> {
        let bytes = URL_SAFE_NO_PAD.decode(text.trim_end_matches('=')).ok()?;
        bytes.try_into().ok().map(Self)
    }
}

impl fmt::Display for Challenge {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&URL_SAFE_NO_PAD.encode(self.0))
    }
}

/// Not the value: whoever reads it in a log could finish the ceremony.
impl fmt::Debug for Challenge {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Challenge(..)")
    }
}

/// What a challenge may be used for, and for nothing else
/// (docs/reference-behaviour.md#elevation-is-for-the-bearer).
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Purpose {
    SignUp,
    SignIn,
    Elevate,
    AddSecurityKey,
    /// Somebody is at a provider.
    ProviderSignIn,
    /// A code waits for its exchange.
    CodeExchange,
}

/// Purposes that share a bound on how many flows may be under way.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Family {
    Passkeys,
    Providers,
}

impl Family {
    /// Every family.
    pub const ALL: [Self; 2] = [Self::Passkeys, Self::Providers];

    /// Its purposes, as stored.
    pub fn purpose_names(self) -> Vec<String> {
        Purpose::ALL
            .into_iter()
            .filter(|purpose| purpose.family() == self)
            .map(|purpose| purpose.name().to_owned())
            .collect()
    }
}

impl Purpose {
    /// Every purpose.
    pub const ALL: [Self; 6] = [
        Self::SignUp,
        Self::SignIn,
        Self::Elevate,
        Self::AddSecurityKey,
        Self::ProviderSignIn,
        Self::CodeExchange,
    ];

    /// What it shares its bound with.
    pub const fn family(self) -> Family {
        match self {
            Self::SignUp | Self::SignIn | Self::Elevate | Self::AddSecurityKey => Family::Passkeys,
            Self::ProviderSignIn | Self::CodeExchange => Family::Providers,
        }
    }

    /// As stored.
    pub const fn name(self) -> &'static str {
        match self {
            Self::SignUp => "webauthn-sign-up",
            Self::SignIn => "webauthn-sign-in",
            Self::Elevate => "webauthn-elevate",
            Self::AddSecurityKey => "webauthn-add-security-key",
            Self::ProviderSignIn => "provider-sign-in",
            Self::CodeExchange => "code-exchange",
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn challenges_are_read_with_and_without_padding_and_only_at_their_length() {
        let challenge = Challenge([7; 32]);
        let text = challenge.to_string();
        assert_eq!(text.len(), 43);
        assert_eq!(Challenge::parse(&text), Some(challenge));
        assert_eq!(Challenge::parse(&format!("{text}=")), Some(challenge));
        assert_eq!(Challenge::parse(&text[..42]), None);
        assert_eq!(Challenge::parse("%"), None);
    }

    #[test]
    fn a_challenge_is_not_shown_in_logs() {
        assert!(!format!("{:?}", Challenge([7; 32])).contains('7'));
    }
}
