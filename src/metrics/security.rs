//! What an operator should know about attacks, by kind.

use super::Counter;

/// Something that should not happen to honest users; logged as `security_event` and counted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SecurityEvent {
    /// A used refresh token was presented after its grace window.
    RefreshTokenReuse,
    /// A refresh was repeated inside the grace window from another client network, or very often.
    RefreshTokenFollowed,
    /// A one-time code of an authenticator came again.
    TotpReuse,
    /// The signature counter of a security key went backwards.
    SecurityKeyCounterRegress,
    /// A request to the admin listener had no token, or a wrong one.
    AdminUnauthorized,
}

impl SecurityEvent {
    /// Every kind.
    pub const ALL: [Self; 5] = [
        Self::RefreshTokenReuse,
        Self::RefreshTokenFollowed,
        Self::TotpReuse,
        Self::SecurityKeyCounterRegress,
        Self::AdminUnauthorized,
    ];

    /// As it is logged, and as a label.
    pub const fn name(self) -> &'static str {
        match self {
            Self::RefreshTokenReuse => "refresh-token-reuse",
            Self::RefreshTokenFollowed => "refresh-token-followed",
            Self::TotpReuse => "totp-reuse",
            Self::SecurityKeyCounterRegress => "security-key-counter-regress",
            Self::AdminUnauthorized => "admin-unauthorized",
        }
    }
}

/// How often each kind has happened on this node.
#[derive(Debug, Default)]
pub struct SecurityEvents([Counter; SecurityEvent::ALL.len()]);

impl SecurityEvents {
    /// Counts one; its name is for the log.
    pub fn note(&self, event: SecurityEvent) -> &'static str {
        self.0[event as usize].increment();
        event.name()
    }

    /// How many so far.
    pub fn count(&self, event: SecurityEvent) -> u64 {
        self.0[event as usize].get()
    }
}
