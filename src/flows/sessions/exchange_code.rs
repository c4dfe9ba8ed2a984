//! Codes that stand for a session until they are exchanged, so that no refresh token travels in a URL
//! (RFC 7636).

use std::time::Duration;

use secrecy::{ExposeSecret as _, SecretString};

use super::session::{IssuedSession, sign_in};
use crate::app::App;
use crate::domain::challenge::{Challenge, Purpose};
use crate::domain::code_challenge::CodeChallenge;
use crate::domain::error::{AuthError, ErrorCode};
use crate::domain::ids::UserId;
use crate::domain::random_secret::{hash_of, random_secret};
use crate::domain::session_basis::SessionBasis;
use crate::flows::guards::bearer;
use crate::persistence::challenges::NewChallenge;

/// The application has it at once; this is for slow networks.
const LIFETIME: Duration = Duration::from_mins(5);

/// A code that only who knows the verifier of the challenge can exchange.
///
/// It is stored under the hash of both, so a wrong verifier finds nothing and uses nothing up.
pub async fn issue(
    app: &App,
    user_id: UserId,
    challenge: &CodeChallenge,
) -> Result<SecretString, AuthError> {
    let code = random_secret();
    let created_at = app.clock.now();
    let new = NewChallenge {
        challenge: key(code.expose_secret(), challenge),
        purpose: Purpose::CodeExchange,
        user_id: Some(user_id),
        network: None,
        data: String::new(),
        created_at,
        expires_at: created_at + LIFETIME,
    };
    app.actors.challenges.put(new).await?;
    Ok(code)
}

/// `POST /token/exchange`: a session for a code; each is good for one.
pub async fn exchange_code(
    app: &App,
    code: &str,
    verifier: &str,
) -> Result<IssuedSession, AuthError> {
    let refused = AuthError::Refused(ErrorCode::InvalidRequest);
    let challenge = CodeChallenge::of_verifier(verifier).ok_or_else(|| {
        let reason =
            "/codeVerifier: not 43 to 128 letters, digits, hyphens, dots, underscores, tildes";
        AuthError::InvalidRequest(reason.to_owned())
    })?;
    let taken =
        app.actors.challenges.take(key(code, &challenge), Purpose::CodeExchange, None).await?;
    let user_id = taken.and_then(|taken| taken.user_id).ok_or(refused)?;
    bearer::registered(app, user_id).await?;
    sign_in(app, user_id, &SessionBasis::ExchangeCode).await
}

fn key(code: &str, challenge: &CodeChallenge) -> Challenge {
    Challenge(hash_of(&["code", code, challenge.as_str()]))
}
