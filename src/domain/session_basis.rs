//! What a new session rests on.

use secrecy::SecretString;
use uuid::Uuid;

use super::ids::{SecurityKeyId, SessionId};

/// The proof behind a new session.
///
/// Between a proof and the session that it leads to, the proof may end: a reset replaces the
/// password, an owner removes a key. So the statement that writes the session checks the proof
/// again (`persistence::sign_ins`). A new way of signing in does not compile until it
/// is said what it rests on, and how that is checked.
#[derive(Clone, Debug)]
pub enum SessionBasis {
    /// The stored hash that the password matched.
    Password(SecretString),
    /// A proof that the reference issued and that was used up in an earlier transaction: the
    /// password hash of that moment. Whatever replaces the password voids such proofs.
    UsedUp(Option<SecretString>),
    /// A personal access token.
    PersonalAccessToken(SessionId),
    SecurityKey(SecurityKeyId),
    /// The row of an identity at a provider, with which its sealed tokens are kept.
    Identity {
        link: Uuid,
        tokens: Option<SecretString>,
    },
    /// A code by SMS that the provider checked; it proves this number.
    Phone(String),
    /// A ticket or code that the transaction of the session uses up itself.
    Ticket,
    /// A code for an exchange, which stands for a sign-in that was complete.
    ExchangeCode,
}
