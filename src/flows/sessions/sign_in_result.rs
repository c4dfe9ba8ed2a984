//! Sign-ins that end with a redirect: their result is a session, or a code that stands for one.

use secrecy::{ExposeSecret as _, SecretString};

use super::exchange_code;
use super::session::{IssuedSession, start};
use crate::app::App;
use crate::domain::code_challenge::CodeChallenge;
use crate::domain::error::AuthError;
use crate::domain::ids::UserId;
use crate::domain::session_basis::SessionBasis;
use crate::persistence::pooled_connection::Transaction;

/// What the application gets.
pub enum SignInResult {
    Session(Box<IssuedSession>),
    /// To be exchanged for a session.
    Code(SecretString),
}

impl SignInResult {
    /// What the application finds in the query of its redirect.
    pub fn parameters(&self) -> Vec<(&'static str, &str)> {
        match self {
            Self::Session(session) => vec![("refreshToken", session.refresh_token().expose())],
            Self::Code(code) => vec![("code", code.expose_secret())],
        }
    }
}

/// Whom a transaction signs in.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SignedInUser {
    /// One whom nobody knew before.
    New(UserId),
    /// One whom it may have changed.
    Known(UserId),
}

/// Writes session or code, and commits all that was done for it before.
pub async fn finish_sign_in(
    app: &App,
    mut transaction: Transaction,
    user: SignedInUser,
    basis: &SessionBasis,
    code_challenge: Option<&CodeChallenge>,
) -> Result<SignInResult, AuthError> {
    let (SignedInUser::New(user_id) | SignedInUser::Known(user_id)) = user;
    let started = match code_challenge {
        None => Some(start(app, &mut transaction, user_id, basis).await?),
        Some(_) => None,
    };
    transaction.commit().await?;
    if user == SignedInUser::Known(user_id) {
        // The change feed will say so too, but this client's next request may come before it.
        app.actors.sessions.users().forget(user_id);
    }
    match (started, code_challenge) {
        (Some(started), _) => Ok(SignInResult::Session(Box::new(started.issue(app).await?))),
        (None, Some(challenge)) => {
            Ok(SignInResult::Code(exchange_code::issue(app, user_id, challenge).await?))
        }
        (None, None) => unreachable!("a session was started without a challenge"),
    }
}
