//! `POST /signup/email-password`.

use secrecy::SecretString;

use super::mail::{Recipient, promise_ticket, require_transport};
use super::passwords;
use super::session::{IssuedSession, start};
use crate::app::App;
use crate::domain::email::EmailAddress;
use crate::domain::error::{AuthError, ErrorCode};
use crate::domain::ids::UserId;
use crate::domain::mail::MailTemplate;
use crate::domain::sign_up_options::SignUpOptions;
use crate::persistence::users::{self, NewUser};
use crate::tokens::ticket::TicketKind;

/// Registers a user; a session comes at once only where the address need not be verified first.
pub async fn sign_up_email_password(
    app: &App,
    email: &EmailAddress,
    password: &SecretString,
    options: SignUpOptions,
) -> Result<Option<IssuedSession>, AuthError> {
    let config = app.config.load_full();
    let accounts = &config.accounts;
    if accounts.disable_signup {
        return Err(ErrorCode::SignupDisabled.into());
    }
    if !accounts.email_access.allows(email.as_str()) {
        return Err(ErrorCode::InvalidEmailPassword.into());
    }
    passwords::check_new(app, password).await?;
    let options =
        options.resolve(&accounts.redirects, &accounts.roles, &accounts.locales, email.as_str())?;
    let needs_mail = accounts.email_verification_required && !accounts.disable_new_users;
    if needs_mail {
        require_transport(app)?;
    }
    let password_hash = passwords::hash(app, password).await?;

    let with_session = !accounts.email_verification_required && !accounts.disable_new_users;
    let now = app.clock.now();
    let avatar_url = accounts.gravatar.url_for(email);
    let user = NewUser {
        email: Some(email.as_str()),
        password_hash: Some(&password_hash),
        disabled: accounts.disable_new_users,
        avatar_url: &avatar_url,
        last_seen: with_session.then_some(now),
        ..NewUser::with_options(UserId::random(), now, &options)
    };
    let mut transaction = app.pool.begin().await?;
    users::insert(&mut transaction, &user).await.map_err(users::refusal)?;
    if accounts.disable_new_users {
        // The row stays, for an administrator to enable.
        transaction.commit().await?;
        return Err(ErrorCode::DisabledUser.into());
    }
    if with_session {
        let started = start(app, &mut transaction, user.id).await?;
        transaction.commit().await?;
        return started.issue(app).await.map(Some);
    }
    let recipient = Recipient {
        user_id: user.id,
        email: email.as_str(),
        new_email: None,
        display_name: &options.display_name,
        locale: &options.locale,
    };
    let mail = promise_ticket(
        app,
        &mut transaction,
        TicketKind::VerifyEmail,
        MailTemplate::EmailVerify,
        &recipient,
        &options.redirect_to,
    )
    .await?;
    transaction.commit().await?;
    mail.send(app);
    Ok(None)
}
