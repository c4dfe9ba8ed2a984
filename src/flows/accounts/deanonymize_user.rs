//! `POST /user/deanonymize`.

use std::net::IpAddr;

use secrecy::SecretString;

use crate::app::App;
use crate::domain::asked_by::AskedBy;
use crate::domain::email::EmailAddress;
use crate::domain::error::{AuthError, ErrorCode};
use crate::domain::metadata::Metadata;
use crate::domain::sign_up_options::SignUpOptions;
use crate::flows::guards::bearer::authenticate;
use crate::flows::guards::endings::{Because, end};
use crate::flows::passwords::rules;
use crate::flows::tickets::ticket_mail::{
    Recipient, pretend_to_promise, promise_ticket, require_transport,
};
use crate::persistence::constraints;
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
///
/// With `AUTH_CONCEAL_ERRORS`, and where a mail is to be sent, the response is the same if somebody
/// has the address already. The guest stays one then.
pub async fn deanonymize_user(
    app: &App,
    bearer: Option<&str>,
    method: SignInMethod,
    email: &EmailAddress,
    options: SignUpOptions,
    client: IpAddr,
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
    let is_taken = users::find_by_email(&app.pool, email).await?.is_some();
    let mailed = match method {
        SignInMethod::Passwordless => Some(TicketKind::PasswordlessEmail),
        SignInMethod::EmailPassword(_) if accounts.email_verification_required => {
            Some(TicketKind::VerifyEmail)
        }
        SignInMethod::EmailPassword(_) => None,
    };
    // Without a mail the new account itself would tell, as at a sign-up.
    let conceals = config.server.conceal_errors && mailed.is_some();
    if is_taken && !conceals {
        return Err(ErrorCode::EmailAlreadyInUse.into());
    }
    if mailed.is_some() {
        require_transport(app)?;
    }
    let password_hash = match &method {
        SignInMethod::EmailPassword(password) => Some(rules::hash(app, password, client).await?),
        SignInMethod::Passwordless => None,
    };

    if is_taken {
        return pretend_to_promise(app).await;
    }
    let registration = Registration {
        email: email.as_str(),
        display_name: &options.display_name,
        locale: &options.locale,
        default_role: &options.default_role,
        password_hash: password_hash.as_deref(),
        metadata: options.metadata.as_ref().map(Metadata::raw),
        roles: &options.allowed_roles,
        is_pending: mailed.is_some() && accounts.email_verification_required,
        now: app.clock.now(),
    };
    let mut transaction = app.pool.begin().await?;
    let caller = caller.lock(app, &mut transaction).await?;
    let id = caller.id();
    let registered = users::register_anonymous(&mut transaction, id, &registration).await;
    match registered.map_err(constraints::refusal) {
        Ok(true) => {}
        Ok(false) => return Err(ErrorCode::UserNotAnonymous.into()),
        // Somebody was faster.
        Err(AuthError::Refused(ErrorCode::EmailAlreadyInUse)) if conceals => {
            drop(transaction);
            return pretend_to_promise(app).await;
        }
        Err(refusal) => return Err(refusal),
    }
    // Before there is a new ticket.
    let kept = if mailed.is_none() { caller.session_id() } else { None };
    end(app, &mut transaction, id, Because::Registered { kept }).await?;
    let mail = match mailed {
        None => None,
        Some(kind) => {
            let recipient = Recipient {
                user_id: id,
                email: email.as_str(),
                new_email: None,
                display_name: &options.display_name,
                locale: &options.locale,
            };
            let (target, asked_by) = (&options.return_target, &AskedBy::Registration);
            let promised =
                promise_ticket(app, &mut transaction, kind, &recipient, target, asked_by);
            Some(promised.await?)
        }
    };
    transaction.commit().await?;
    // The change feed will say so too, but this client's next request may come before it.
    app.actors.sessions.users().forget(id);
    if let Some(mail) = mail {
        mail.send(app).await;
    }
    Ok(())
}
