//! `POST /user/mfa`.

use std::net::IpAddr;

use super::totp::{Proof, authenticate_change, begin_attempt, prove, refuse_wrong_code};
use crate::app::App;
use crate::domain::error::{AuthError, ErrorCode};
use crate::domain::notice::Notice;
use crate::flows::guards::bearer::registered;
use crate::flows::guards::live_session::Sensitive;
use crate::flows::tickets::notices;
use crate::persistence::totp as stored;

/// What is to become of the second factor.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum MfaChange {
    Activate,
    Deactivate,
}

/// Switches the second factor on or off, either with a code. Sessions live on.
pub async fn change_mfa(
    app: &App,
    bearer: Option<&str>,
    change: MfaChange,
    code: &str,
    client: IpAddr,
) -> Result<(), AuthError> {
    let operation = match change {
        MfaChange::Activate => Sensitive::AddsFactor,
        MfaChange::Deactivate => Sensitive::Ordinary,
    };
    let caller = authenticate_change(app, bearer, operation).await?;
    if !app.config().methods.mfa {
        return Err(ErrorCode::DisabledEndpoint.into());
    }
    registered(app, caller.id()).await?;

    let attempt = begin_attempt(app, caller.id(), client).await?;
    let mut transaction = app.pool.begin_for(caller.id()).await?;
    let id = caller.lock(app, &mut transaction).await?.id();
    let row = stored::lock(&mut *transaction, id).await?.ok_or(ErrorCode::InvalidEmailPassword)?;
    match change {
        MfaChange::Activate if row.is_active => return Err(ErrorCode::TotpAlreadyActive.into()),
        MfaChange::Deactivate if !row.is_active => return Err(ErrorCode::DisabledMfaTotp.into()),
        MfaChange::Activate | MfaChange::Deactivate => {}
    }
    match prove(app, &mut transaction, id, &row, code, attempt).await? {
        Proof::Right => {}
        Proof::Wrong { locks } => return Err(refuse_wrong_code(app, transaction, id, locks).await),
    }
    stored::set_active(&mut *transaction, id, change == MfaChange::Activate).await?;
    let notice = match change {
        MfaChange::Activate => Notice::TotpOn,
        MfaChange::Deactivate => Notice::TotpOff,
    };
    Box::pin(notices::promise(app, &mut transaction, id, notice)).await?;
    transaction.commit().await?;
    // The change feed will say so too, but this client's next request may come before it.
    app.actors.sessions.users().forget(id);
    Ok(())
}
