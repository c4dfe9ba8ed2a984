//! Registers a user with an address, whatever its owner will sign in with.

use sqlx::PgConnection;

use crate::app::App;
use crate::config::ProofClears;
use crate::domain::asked_by::AskedBy;
use crate::domain::email::EmailAddress;
use crate::domain::error::{AuthError, ErrorCode};
use crate::domain::ids::UserId;
use crate::domain::security_key::NewSecurityKey;
use crate::domain::sign_up_options::ResolvedOptions;
use crate::flows::guards::endings::{Because, end};
use crate::flows::sessions::session::{IssuedSession, NewToken};
use crate::flows::tickets::ticket_mail::{Recipient, promise_ticket, require_transport};
use crate::persistence::account_handover::{self, Replace};
use crate::persistence::new_users::{self, NewUser};
use crate::persistence::{constraints, security_keys};
use crate::tokens::ticket::TicketKind;

/// A user to be, all checks passed.
pub struct NewAccount<'a> {
    pub id: UserId,
    pub email: &'a EmailAddress,
    pub options: &'a ResolvedOptions,
    pub credential: Credential<'a>,
}

/// The credential that the user will sign in with.
pub enum Credential<'a> {
    /// The hash of a password.
    Password(&'a str),
    /// A security key and the name that its owner gave it.
    SecurityKey(&'a NewSecurityKey, &'a str),
}

/// Refuses early where the address has to be verified and no mail can be sent.
pub fn require_mail(app: &App) -> Result<(), AuthError> {
    let config = app.config();
    let accounts = &config.accounts;
    if accounts.email_verification_required && !accounts.disable_new_users {
        drop(config);
        require_transport(app)?;
    }
    Ok(())
}

/// Writes the user; a session comes at once only where the address need not be verified first.
pub async fn register(
    app: &App,
    account: NewAccount<'_>,
) -> Result<Option<IssuedSession>, AuthError> {
    let config = app.config.load_full();
    let accounts = &config.accounts;
    let NewAccount { id, email, options, credential } = account;
    let with_session = !accounts.email_verification_required && !accounts.disable_new_users;
    let now = app.clock.now();
    let avatar_url = accounts.gravatar.url_for(email);
    let mut user = NewUser {
        email: Some(email.as_str()),
        disabled: accounts.disable_new_users,
        avatar_url: &avatar_url,
        last_seen: with_session.then_some(now),
        ..NewUser::with_options(id, now, options)
    };
    if let Credential::Password(hash) = credential {
        user.password_hash = Some(hash);
    }
    if with_session {
        return register_with_session(app, &user, credential).await.map(Some);
    }
    let mut transaction = app.pool.begin().await?;
    let is_key = matches!(credential, Credential::SecurityKey(..));
    let replace = if is_key { Replace::WithId } else { Replace::Keeping };
    let replaced = replace_pending(app, &mut transaction, &user, replace).await?;
    let id = replaced.unwrap_or(id);
    if replaced.is_none() {
        new_users::insert(&mut *transaction, &user, None).await.map_err(constraints::refusal)?;
    }
    if let Credential::SecurityKey(key, nickname) = credential {
        security_keys::insert(&mut transaction, id, key, Some(nickname), now)
            .await
            .map_err(constraints::refusal)?;
    }
    if accounts.disable_new_users {
        // The row stays, for an administrator to enable.
        transaction.commit().await?;
        return Err(ErrorCode::DisabledUser.into());
    }
    let recipient = Recipient {
        user_id: id,
        email: email.as_str(),
        new_email: None,
        display_name: &options.display_name,
        locale: &options.locale,
    };
    let mail = promise_ticket(
        app,
        &mut transaction,
        TicketKind::VerifyEmail,
        &recipient,
        &options.return_target,
        &AskedBy::Registration,
    )
    .await?;
    if replaced.is_some() && mail.is_withheld() {
        // Whoever registered before keeps the account, or else nobody would have a mail that is good
        // for it.
        transaction.rollback().await?;
        return Ok(None);
    }
    transaction.commit().await?;
    // The change feed will say so too, but this client's next request may come before it.
    app.actors.sessions.users().forget(id);
    mail.send(app).await;
    Ok(None)
}

/// The user and a session, at once. No account is pending where nobody has to verify an address.
async fn register_with_session(
    app: &App,
    user: &NewUser<'_>,
    credential: Credential<'_>,
) -> Result<IssuedSession, AuthError> {
    let token = NewToken::generate(app, Some(user.id));
    let session = Some(token.first_session(app));
    let written = match credential {
        Credential::Password(_) => {
            let written = new_users::insert(&app.pool, user, session).await;
            written.map_err(constraints::refusal)?
        }
        Credential::SecurityKey(key, nickname) => {
            let mut transaction = app.pool.begin().await?;
            let written = new_users::insert(&mut *transaction, user, session).await;
            let written = written.map_err(constraints::refusal)?;
            let (nickname, now) = (Some(nickname), user.created_at);
            security_keys::insert(&mut transaction, user.id, key, nickname, now)
                .await
                .map_err(constraints::refusal)?;
            transaction.commit().await?;
            written
        }
    };
    // A trigger of an application may disable new users.
    let started = token.started(written).ok_or(ErrorCode::DisabledUser)?;
    started.issue(app).await
}

/// Gives an account that nobody could use yet to whoever registers with its address now: it may be
/// a stranger's who does not own the address, or the owner's who has forgotten it. Tells who it is.
///
/// There are such accounts only where addresses have to be verified first
/// (docs/reference-behaviour.md#pending-accounts-are-replaced).
pub async fn replace_pending(
    app: &App,
    db: &mut PgConnection,
    user: &NewUser<'_>,
    replace: Replace,
) -> Result<Option<UserId>, AuthError> {
    let config = app.config.load_full();
    let accounts = &config.accounts;
    let is_kept = accounts.proof_clears == ProofClears::Never;
    if is_kept || !accounts.email_verification_required || accounts.disable_new_users {
        return Ok(None);
    }
    let replaced = account_handover::replace_pending(&mut *db, user, replace).await;
    let replaced = replaced.map_err(|error| {
        // An application's own table knows the account by its old id.
        let is_kept = constraints::is_referred_to(&error);
        if is_kept { ErrorCode::EmailAlreadyInUse.into() } else { constraints::refusal(error) }
    });
    let Some(id) = replaced? else { return Ok(None) };
    if replace != Replace::OnlyBare {
        end(app, &mut *db, id, Because::Replaced).await?;
    }
    tracing::info!(user.id = %id, "an account that nobody could use yet was registered anew");
    Ok(Some(id))
}
