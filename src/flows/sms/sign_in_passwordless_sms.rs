//! `POST /signin/passwordless/sms`.

use super::codes::{SentCode, require_provider, send_code};
use crate::app::App;
use crate::config::SmsProvider;
use crate::domain::asked_by::AskedBy;
use crate::domain::error::{AuthError, ErrorCode};
use crate::domain::ids::UserId;
use crate::domain::phone;
use crate::domain::sign_up_options::{ResolvedOptions, SignUpOptions};
use crate::domain::user::User;
use crate::persistence::new_users::{self, NewUser};
use crate::persistence::tickets::{self, NewTicket};
use crate::persistence::{constraints, users};
use crate::tokens::ticket::TicketKind;

/// Sends a code to the owner of the number, who becomes a user if they are not one yet.
///
/// Whether that is allowed is checked before anything is sent, and so is the number, since each
/// message costs (docs/reference-behaviour.md#sms-are-sent-last).
pub async fn sign_in_passwordless_sms(
    app: &App,
    phone: &str,
    options: SignUpOptions,
) -> Result<(), AuthError> {
    let config = app.config.load_full();
    if !config.methods.sms_passwordless {
        return Err(ErrorCode::DisabledEndpoint.into());
    }
    let accounts = &config.accounts;
    let options =
        options.resolve(&accounts.redirects, &accounts.roles, &accounts.locales, phone)?;
    let provider = require_provider(app)?;
    let sent = match users::find_by_phone(&app.pool, phone).await? {
        Some(user) => send_to_user(app, &provider, phone, &user).await,
        None => send_to_stranger(app, &provider, phone, &options).await,
    };
    match sent {
        Err(AuthError::Refused(code)) if config.server.conceal_errors && code.row().sensitive => {
            Ok(())
        }
        result => result,
    }
}

async fn send_to_user(
    app: &App,
    provider: &SmsProvider,
    phone: &str,
    user: &User,
) -> Result<(), AuthError> {
    if user.disabled {
        return Err(ErrorCode::DisabledUser.into());
    }
    if user.is_anonymous {
        return Err(ErrorCode::ForbiddenAnonymous.into());
    }
    let sent = Box::pin(send_code(app, provider, phone, &user.locale)).await?;
    let mut transaction = app.pool.begin_for(user.id).await?;
    Box::pin(remember(app, &mut transaction, user.id, &sent)).await?;
    transaction.commit().await?;
    Ok(())
}

async fn send_to_stranger(
    app: &App,
    provider: &SmsProvider,
    phone: &str,
    options: &ResolvedOptions,
) -> Result<(), AuthError> {
    let config = app.config.load_full();
    if !phone::is_international(phone) {
        return Err(AuthError::InvalidRequest(
            "phoneNumber: a number has the form +15550001111".to_owned(),
        ));
    }
    if config.accounts.disable_signup {
        return Err(ErrorCode::SignupDisabled.into());
    }
    if config.methods.disable_auto_signup {
        return Err(ErrorCode::InvalidEmailPassword.into());
    }
    let disabled = config.accounts.disable_new_users;
    let user = NewUser {
        phone_number: Some(phone),
        disabled,
        ..NewUser::with_options(UserId::random(), app.clock.now(), options)
    };
    if disabled {
        // The row stays, for an administrator to enable; no message for a user who may not sign in.
        let mut transaction = app.pool.begin().await?;
        new_users::insert(&mut *transaction, &user, None).await.map_err(constraints::refusal)?;
        transaction.commit().await?;
        return Err(ErrorCode::DisabledUser.into());
    }
    let sent = Box::pin(send_code(app, provider, phone, &options.locale)).await?;
    if let SentCode::None = sent {
        return Ok(());
    }
    let mut transaction = app.pool.begin().await?;
    match new_users::insert(&mut *transaction, &user, None).await {
        Ok(_) => {
            Box::pin(remember(app, &mut transaction, user.id, &sent)).await?;
            transaction.commit().await?;
            Ok(())
        }
        // Somebody was faster, so now there is a user; the code that was sent last is theirs.
        Err(error) if constraints::USERS_PHONE_NUMBER.is_broken_by(&error) => {
            drop(transaction);
            let found = users::find_by_phone(&app.pool, phone).await?;
            let id = found.ok_or(ErrorCode::CannotSendSms)?.id;
            let mut transaction = app.pool.begin_for(id).await?;
            Box::pin(remember(app, &mut transaction, id, &sent)).await?;
            transaction.commit().await?;
            Ok(())
        }
        Err(error) => Err(constraints::refusal(error)),
    }
}

async fn remember(
    app: &App,
    db: &mut sqlx::PgConnection,
    id: UserId,
    sent: &SentCode,
) -> Result<(), AuthError> {
    if let Some(hash) = sent.hash(app, id) {
        let (kind, now) = (TicketKind::SmsOtp, app.clock.now());
        users::lock(&mut *db, id).await?;
        let new = NewTicket {
            hash: &hash,
            user_id: id,
            purpose: kind.name(),
            created_at: now,
            expires_at: now + kind.lifetime(),
            code_challenge: None,
            email: None,
            asked_by: &AskedBy::Anybody,
        };
        tickets::put(&mut *db, &new).await?;
    }
    Ok(())
}
