//! `POST /pat`.

use time::OffsetDateTime;

use crate::app::App;
use crate::domain::error::AuthError;
use crate::domain::ids::SessionId;
use crate::domain::metadata::Metadata;
use crate::domain::notice::Notice;
use crate::flows::guards::bearer::{authenticate_elevated, registered};
use crate::flows::guards::live_session::Sensitive;
use crate::flows::tickets::notices;
use crate::persistence::personal_access_tokens;
use crate::tokens::refresh_token::RefreshToken;

/// A personal access token, shown once.
pub struct NewToken {
    pub id: SessionId,
    pub token: RefreshToken,
}

/// Makes a personal access token that is valid until the given time, which may have passed.
pub async fn create_pat(
    app: &App,
    bearer: Option<&str>,
    expires_at: OffsetDateTime,
    metadata: Option<&Metadata>,
) -> Result<NewToken, AuthError> {
    let caller = authenticate_elevated(app, bearer, Sensitive::Ordinary).await?;
    registered(app, caller.id()).await?;
    let token = RefreshToken::generate();
    let now = app.clock.now();
    let mut transaction = app.pool.begin_for(caller.id()).await?;
    let caller = caller.lock(app, &mut transaction).await?;
    let id = personal_access_tokens::insert(
        &mut *transaction,
        caller.id(),
        token.hash(),
        metadata.map(Metadata::raw),
        now,
        expires_at,
    )
    .await?;
    Box::pin(notices::promise(app, &mut transaction, caller.id(), Notice::PatMade)).await?;
    transaction.commit().await?;
    Ok(NewToken { id, token })
}
