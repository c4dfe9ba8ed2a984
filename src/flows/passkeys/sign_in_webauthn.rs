//! `POST /signin/webauthn` and `POST /signin/webauthn/verify`.

use super::ceremonies::Assertion;
use super::{ceremonies, made_up};
use crate::app::App;
use crate::domain::challenge::Purpose;
use crate::domain::email::EmailAddress;
use crate::domain::error::{AuthError, ErrorCode};
use crate::domain::ids::UserId;
use crate::domain::session_basis::SessionBasis;
use crate::flows::guards::response_padding::pad_concealed;
use crate::flows::sessions::session::{IssuedSession, start};
use crate::passkeys::RelyingParty;
use crate::passkeys::options::RequestOptions;
use crate::persistence::{security_keys, users};

/// Asks for a key of the user with this address, or for any passkey that the authenticator finds.
pub async fn begin(app: &App, email: Option<&EmailAddress>) -> Result<RequestOptions, AuthError> {
    let party = ceremonies::relying_party(app)?;
    let Some(email) = email else {
        let challenge = ceremonies::challenge_for_anybody(app, Purpose::SignIn);
        return Ok(party.begin_assertion(challenge, Vec::new()));
    };
    if app.config().server.conceal_errors {
        return pad_concealed(app, Box::pin(begin_concealed(app, &party, email))).await;
    }
    let found =
        users::find_by_email(&app.pool, email).await?.ok_or(ErrorCode::InvalidEmailPassword)?;
    found.user.check_registered(&app.config().user_rules())?;
    ceremonies::ask_for_key(app, &party, Purpose::SignIn, found.user.id).await
}

/// Asks for the keys of the user with this address, or for keys that nobody has: a stranger cannot
/// tell one from the other (docs/reference-behaviour.md#state-is-for-the-owner). Whether the user may
/// sign in is looked at when the key is there.
async fn begin_concealed(
    app: &App,
    party: &RelyingParty,
    email: &EmailAddress,
) -> Result<RequestOptions, AuthError> {
    let made_up = made_up::credential_ids(app, email);
    let found = users::find_by_email(&app.pool, email).await?;
    // The same statements for everybody. Nobody's key belongs to a user who does not exist.
    let user_id = found.map_or_else(UserId::random, |found| found.user.id);
    let keys = ceremonies::usable(security_keys::credential_ids(&app.pool, user_id).await?);
    let challenge = ceremonies::challenge_for(app, Purpose::SignIn, user_id).await?;
    Ok(party.begin_assertion(challenge, if keys.is_empty() { made_up } else { keys }))
}

/// Signs in whoever owns the key.
pub async fn finish(app: &App, assertion: &Assertion) -> Result<IssuedSession, AuthError> {
    // Otherwise the time of a refusal would tell whether the key exists.
    pad_concealed(app, Box::pin(try_finish(app, assertion))).await
}

async fn try_finish(app: &App, assertion: &Assertion) -> Result<IssuedSession, AuthError> {
    let party = ceremonies::relying_party(app)?;
    let key = ceremonies::find_key(app, assertion).await?;
    let asked = ceremonies::use_up_sign_in(app, assertion.challenge, &key).await?;
    ceremonies::check_assertion(app, &party, assertion, &key, &asked).await?;
    let owner = users::find_by_ids(&app.pool, &[key.user_id]).await?.pop();
    owner.ok_or(ErrorCode::InvalidEmailPassword)?.check_registered(&app.config().user_rules())?;
    let mut transaction = app.pool.begin_for(key.user_id).await?;
    users::lock(&mut *transaction, key.user_id).await?;
    asked.check_unended(&mut *transaction, key.user_id).await?;
    let basis = SessionBasis::SecurityKey(key.id);
    let started = start(app, &mut transaction, key.user_id, &basis).await?;
    transaction.commit().await?;
    started.issue(app).await
}
