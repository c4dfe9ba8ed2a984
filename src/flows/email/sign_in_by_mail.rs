//! `POST /signin/passwordless/email` and `POST /signin/otp/email`: a link or a code by mail.

use sqlx::PgConnection;

use super::register;
use crate::app::App;
use crate::config::Config;
use crate::domain::asked_by::AskedBy;
use crate::domain::email::EmailAddress;
use crate::domain::error::{AuthError, ErrorCode};
use crate::domain::ids::UserId;
use crate::domain::sign_up_options::{ResolvedOptions, SignUpOptions};
use crate::domain::user::User;
use crate::flows::tickets::ticket_mail::{
    PromisedMail, Recipient, pretend_to_promise, promise_ticket, require_transport, send_ticket,
};
use crate::persistence::account_handover::Replace;
use crate::persistence::new_users::{self, NewUser};
use crate::persistence::{constraints, users};
use crate::tokens::ticket::TicketKind;

/// What the mail brings.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum MailedCredential {
    Link,
    Code,
}

impl MailedCredential {
    const fn ticket(self) -> TicketKind {
        match self {
            Self::Link => TicketKind::PasswordlessEmail,
            Self::Code => TicketKind::EmailOtp,
        }
    }

    const fn is_enabled(self, config: &Config) -> bool {
        match self {
            Self::Link => config.methods.email_passwordless,
            Self::Code => config.methods.otp_email,
        }
    }
}

/// Mails a link or a code to the owner of the address, who becomes a user if they are not one yet.
///
/// The options are checked for known users too, for whom only the target counts. With
/// `AUTH_CONCEAL_ERRORS` the response says nothing about the address.
pub async fn sign_in_by_mail(
    app: &App,
    credential: MailedCredential,
    email: &EmailAddress,
    options: SignUpOptions,
) -> Result<(), AuthError> {
    let config = app.config.load_full();
    if !credential.is_enabled(&config) {
        return Err(ErrorCode::DisabledEndpoint.into());
    }
    let accounts = &config.accounts;
    let sent = if accounts.email_access.allows(email.as_str()) {
        let options = options.resolve(
            &accounts.redirects,
            &accounts.roles,
            &accounts.locales,
            email.as_str(),
        )?;
        // Before the address is looked up, so that it tells nothing.
        if credential.ticket().is_link() && options.return_target.leads_nowhere() {
            return Err(ErrorCode::RedirectToNotAllowed.into());
        }
        require_transport(app)?;
        send(app, credential, email, &options).await
    } else {
        Err(ErrorCode::InvalidEmailPassword.into())
    };
    match sent {
        Err(AuthError::Refused(code)) if config.server.conceal_errors && code.row().sensitive => {
            pretend_to_promise(app).await
        }
        result => result,
    }
}

async fn send(
    app: &App,
    credential: MailedCredential,
    email: &EmailAddress,
    options: &ResolvedOptions,
) -> Result<(), AuthError> {
    if let Some(found) = users::find_by_email(&app.pool, email).await? {
        let is_bare = !found.user.email_verified && found.password_hash.is_none();
        if is_bare && send_to_replaced_user(app, credential, email, options).await? {
            return Ok(());
        }
        return send_to_user(app, credential, &found.user, options).await;
    }
    match send_to_new_user(app, credential, email, options).await {
        // Somebody was faster, so now there is a user.
        Err(AuthError::Refused(ErrorCode::EmailAlreadyInUse)) => {
            let found = users::find_by_email(&app.pool, email).await?;
            let user = found.ok_or(ErrorCode::EmailAlreadyInUse)?.user;
            send_to_user(app, credential, &user, options).await
        }
        result => result,
    }
}

async fn send_to_user(
    app: &App,
    credential: MailedCredential,
    user: &User,
    options: &ResolvedOptions,
) -> Result<(), AuthError> {
    match user.check_registered(&app.config().user_rules()) {
        Ok(()) | Err(ErrorCode::UnverifiedUser) => {}
        Err(refusal) => return Err(refusal.into()),
    }
    let kind = credential.ticket();
    send_ticket(app, kind, &Recipient::from(user), &options.return_target).await
}

async fn send_to_new_user(
    app: &App,
    credential: MailedCredential,
    email: &EmailAddress,
    options: &ResolvedOptions,
) -> Result<(), AuthError> {
    let config = app.config.load_full();
    let accounts = &config.accounts;
    if accounts.disable_signup {
        return Err(ErrorCode::SignupDisabled.into());
    }
    if config.methods.disable_auto_signup {
        return Err(ErrorCode::InvalidEmailPassword.into());
    }
    let avatar_url = accounts.gravatar.url_for(email);
    let user = NewUser {
        email: Some(email.as_str()),
        disabled: accounts.disable_new_users,
        avatar_url: &avatar_url,
        ..NewUser::with_options(UserId::random(), app.clock.now(), options)
    };
    let mut transaction = app.pool.begin().await?;
    new_users::insert(&mut *transaction, &user, None).await.map_err(constraints::refusal)?;
    if accounts.disable_new_users {
        // The row stays, for an administrator to enable.
        transaction.commit().await?;
        return Err(ErrorCode::DisabledUser.into());
    }
    let mail = welcome(app, &mut transaction, credential, &user, options).await?;
    transaction.commit().await?;
    mail.send(app).await;
    Ok(())
}

/// To somebody who asked before and has nothing but mail to sign in with: what is asked for now
/// counts. Tells whether it is such a user.
async fn send_to_replaced_user(
    app: &App,
    credential: MailedCredential,
    email: &EmailAddress,
    options: &ResolvedOptions,
) -> Result<bool, AuthError> {
    let avatar_url = app.config().accounts.gravatar.url_for(email);
    let mut user = NewUser {
        email: Some(email.as_str()),
        avatar_url: &avatar_url,
        ..NewUser::with_options(UserId::random(), app.clock.now(), options)
    };
    let mut transaction = app.pool.begin().await?;
    let replaced =
        register::replace_pending(app, &mut transaction, &user, Replace::OnlyBare).await?;
    let Some(id) = replaced else { return Ok(false) };
    user.id = id;
    let mail = welcome(app, &mut transaction, credential, &user, options).await?;
    if mail.is_withheld() {
        // What was asked for before counts, for which there is a mail.
        transaction.rollback().await?;
        return Ok(true);
    }
    transaction.commit().await?;
    mail.send(app).await;
    app.actors.sessions.users().forget(id);
    Ok(true)
}

/// The mail that makes a new user of somebody.
async fn welcome(
    app: &App,
    db: &mut PgConnection,
    credential: MailedCredential,
    user: &NewUser<'_>,
    options: &ResolvedOptions,
) -> Result<PromisedMail, AuthError> {
    let recipient = Recipient {
        user_id: user.id,
        email: user.email.unwrap_or_default(),
        new_email: None,
        display_name: &options.display_name,
        locale: &options.locale,
    };
    let kind = credential.ticket();
    let (return_target, asked_by) = (&options.return_target, &AskedBy::Registration);
    promise_ticket(app, db, kind, &recipient, return_target, asked_by).await
}
