//! `POST /signin/webauthn` and `POST /signin/webauthn/verify`.

use serde::de::IgnoredAny;

use super::ceremonies;
use super::ceremonies::{Assertion, Taken};
use crate::app::App;
use crate::domain::challenge::Purpose;
use crate::domain::email::EmailAddress;
use crate::domain::error::{AuthError, ErrorCode};
use crate::domain::session_basis::SessionBasis;
use crate::flows::sessions::session::{IssuedSession, sign_in};
use crate::passkeys::options::RequestOptions;
use crate::persistence::users;

/// Asks for a key of the user with this address, or for any passkey that the authenticator finds.
pub async fn begin(app: &App, email: Option<&EmailAddress>) -> Result<RequestOptions, AuthError> {
    let party = ceremonies::relying_party(app)?;
    let Some(email) = email else {
        let (challenge, options) = party.begin_assertion(Vec::new());
        ceremonies::remember(app, challenge, Purpose::SignIn, None, &()).await?;
        return Ok(options);
    };
    let found =
        users::find_by_email(&app.pool, email).await?.ok_or(ErrorCode::InvalidEmailPassword)?;
    found.user.check_registered(&app.config().user_rules())?;
    ceremonies::ask_for_key(app, &party, Purpose::SignIn, found.user.id).await
}

/// Signs in whoever owns the key.
pub async fn finish(app: &App, assertion: &Assertion) -> Result<IssuedSession, AuthError> {
    let party = ceremonies::relying_party(app)?;
    let ceremony: Taken<IgnoredAny> =
        ceremonies::take(app, assertion.challenge, Purpose::SignIn, None).await?;
    let key =
        ceremonies::check_assertion(app, &party, assertion, ceremony.challenge, ceremony.user_id)
            .await?;
    let owner = users::find_by_ids(&app.pool, &[key.user_id]).await?.pop();
    owner.ok_or(ErrorCode::InvalidEmailPassword)?.check_registered(&app.config().user_rules())?;
    sign_in(app, key.user_id, &SessionBasis::SecurityKey(key.id)).await
}
