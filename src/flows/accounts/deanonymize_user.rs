//! `POST /user/deanonymize`.

use secrecy::SecretString;

use crate::app::App;
use crate::domain::asked_by::AskedBy;
use crate::domain::email::EmailAddress;
use crate::domain::error::{AuthError, ErrorCode};
use crate::domain::mail::MailTemplate;
use crate::domain::sign_up_options::SignUpOptions;
use crate::flows::guards::bearer::authenticate;
use crate::flows::guards::endings::{Because, end};
use crate::flows::passwords::rules;
use crate::flows::tickets::ticket_mail::{Recipient, promise_ticket, require_transport};
use crate::persistence::users::{self, Registration};
use crate::tokens::ticket::TicketKind;

/// How the user will sign in from now on.
pub enum SignInMethod {
    EmailPassword(SecretString),
    /// By a mailed link.
    Passwordless,
}

/// Turns an anonymous user into a registered one, who keeps id and metadata.
///
/// The row decides whether the user is anonymous, not the token, which may be older
/// (docs/reference-behaviour.md#the-row-says-who-is-anonymous). The anonymous sessions end, and
/// where the address has to be proved first, the bearer's own too.
pub async fn deanonymize_user(
    app: &App,
    bearer: Option<&str>,
    method: SignInMethod,
    email: &EmailAddress,
    options: SignUpOptions,
) -> Result<(), AuthError> {
    let caller = authenticate(app, bearer)?;
    let user =
        app.actors.sessions.user(caller.id()).await?.ok_or(ErrorCode::InvalidEmailPassword)?;
    if user.user.disabled {
        return Err(ErrorCode::DisabledUser.into());
    }
    if !user.user.is_anonymous {
        return Err(ErrorCode::UserNotAnonymous.into());
    }
    if let SignInMethod::EmailPassword(password) = &method {
        rules::check_new(app, password).await?;
    }
    let config = app.config.load_full();
    let accounts = &config.accounts;
    let options =
        options.resolve(&accounts.redirects, &accounts.roles, &accounts.locales, email.as_str())?;
    if !accounts.email_access.allows(email.as_str()) {
        return Err(ErrorCode::InvalidEmailPassword.into());
    }
    if users::find_by_email(&app.pool, email).await?.is_some() {
        return Err(ErrorCode::EmailAlreadyInUse.into());
    }
    let mailed = match method {
        SignInMethod::Passwordless => {
            Some((TicketKind::PasswordlessEmail, MailTemplate::SigninPasswordless))
        }
        SignInMethod::EmailPassword(_) if accounts.email_verification_required => {
            Some((TicketKind::VerifyEmail, MailTemplate::EmailVerify))
        }
        SignInMethod::EmailPassword(_) => None,
    };
    if mailed.is_some() {
        require_transport(app)?;
    }
    let password_hash = match &method {
        SignInMethod::EmailPassword(password) => Some(rules::hash(app, password).await?),
        SignInMethod::Passwordless => None,
    };

    let registration = Registration {
        email: email.as_str(),
        display_name: &options.display_name,
        locale: &options.locale,
        default_role: &options.default_role,
        password_hash: password_hash.as_deref(),
        metadata: options.metadata.as_deref(),
        roles: &options.allowed_roles,
        is_pending: mailed.is_some() && accounts.email_verification_required,
        now: app.clock.now(),
    };
    let mut transaction = app.pool.begin().await?;
    let caller = caller.lock(app, &mut transaction).await?;
    let id = caller.id();
    let registered = users::register_anonymous(&mut transaction, id, &registration).await;
    if !registered.map_err(users::refusal)? {
        return Err(ErrorCode::UserNotAnonymous.into());
    }
    // Before there is a new ticket.
    let kept = if mailed.is_none() { caller.session_id() } else { None };
    end(app, &mut transaction, id, Because::Registered { kept }).await?;
    let mail = match mailed {
        None => None,
        Some((kind, template)) => {
            let recipient = Recipient {
                user_id: id,
                email: email.as_str(),
                new_email: None,
                display_name: &options.display_name,
                locale: &options.locale,
            };
            let (target, asked_by) = (&options.return_target, &AskedBy::Registration);
            let promised =
                promise_ticket(app, &mut transaction, kind, template, &recipient, target, asked_by);
            Some(promised.await?)
        }
    };
    transaction.commit().await?;
    // The change feed will say so too, but this client's next request may come before it.
    app.actors.sessions.users().forget(id);
    if let Some(mail) = mail {
        mail.send(app);
    }
    Ok(())
}
