//! `POST /elevate/webauthn` and `POST /elevate/webauthn/verify`.

use super::ceremonies;
use super::ceremonies::Assertion;
use crate::app::App;
use crate::domain::challenge::Purpose;
use crate::domain::error::AuthError;
use crate::domain::session_basis::SessionBasis;
use crate::flows::guards::bearer::{authenticate, registered};
use crate::flows::sessions::session::{IssuedSession, start};
use crate::passkeys::options::RequestOptions;

/// Asks for one of the bearer's own keys.
pub async fn begin(app: &App, token: Option<&str>) -> Result<RequestOptions, AuthError> {
    let party = ceremonies::relying_party(app)?;
    let caller = authenticate(app, token)?;
    registered(app, caller.id()).await?;
    caller.check(app).await?;
    ceremonies::ask_for_key(app, &party, Purpose::Elevate, caller.id()).await
}

/// A session whose access token says that a key was shown just now; only for the bearer's own
/// ceremony and key (docs/reference-behaviour.md#elevation-is-for-the-bearer).
pub async fn finish(
    app: &App,
    token: Option<&str>,
    assertion: &Assertion,
) -> Result<IssuedSession, AuthError> {
    let party = ceremonies::relying_party(app)?;
    let caller = authenticate(app, token)?;
    let id = caller.id();
    registered(app, id).await?;
    // Before the ceremony is used up.
    caller.check(app).await?;
    let asked = ceremonies::use_up(app, assertion.challenge, Purpose::Elevate, id).await?;
    let key = ceremonies::find_key(app, assertion).await?;
    ceremonies::check_assertion(app, &party, assertion, &key, &asked).await?;
    let mut transaction = app.pool.begin_for(id).await?;
    let caller = caller.lock(app, &mut transaction).await?;
    asked.check_unended(&mut *transaction, caller.id()).await?;
    let basis = SessionBasis::SecurityKey(key.id);
    let started = start(app, &mut transaction, caller.id(), &basis).await?;
    transaction.commit().await?;
    started.issue_elevated(app).await
}
