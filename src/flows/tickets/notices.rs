//! Security notices: mails that tell users what has happened to their accounts
//! (docs/security.md#notices).
//!
//! A notice is promised in the transaction of the write that it tells of, so that it is neither lost
//! nor sent for nothing. The courier's sweep finds it; nobody waits for it.
//!
//! None is sent where no mail can be sent, and none to an address with which the account cannot be
//! used until it is verified: its owner has not agreed to anything yet. Where accounts are used
//! without verification, an address that is not verified is told, since it is all that there is.

use std::time::Duration;

use secrecy::SecretString;
use sqlx::PgConnection;
use time::OffsetDateTime;

use super::ticket_mail::pretend_to_promise;
use crate::app::App;
use crate::domain::error::AuthError;
use crate::domain::ids::{MessageId, UserId};
use crate::domain::mail::{MailVariables, NewMessage};
use crate::domain::notice::{Notice, NoticeKinds};
use crate::domain::user::User;
use crate::flows::guards::recipients::{may_notify, may_tell_locked};
use crate::notify::message::{in_words, without_slash};
use crate::persistence::settings::Origin;
use crate::persistence::{outbox, users};

/// How long a notice that cannot be delivered is tried.
const LIFETIME: Duration = Duration::from_hours(24);

/// Promises a notice to the user's address, if it is wanted and there is one; the caller owns the
/// transaction.
pub async fn promise(
    app: &App,
    db: &mut PgConnection,
    user_id: UserId,
    notice: Notice<'_>,
) -> Result<(), AuthError> {
    if !is_wanted(app, notice) {
        return Ok(());
    }
    let Some(user) = Box::pin(users::find_by_ids(&mut *db, &[user_id])).await?.pop() else {
        return Ok(());
    };
    // In boxes here and below, or these large futures would be part of many others.
    Box::pin(promise_to(app, db, &user, notice)).await
}

/// [`promise`] to the address that the user has, or had, in this copy.
pub async fn promise_to(
    app: &App,
    db: &mut PgConnection,
    user: &User,
    notice: Notice<'_>,
) -> Result<(), AuthError> {
    let Some(address) = address(app, user, notice) else { return Ok(()) };
    if Box::pin(may_notify(app, &mut *db, address, notice.template())).await? {
        Box::pin(enqueue(app, db, user, address, notice, None)).await?;
    }
    Ok(())
}

/// A link in a notice.
pub struct NoticeLink {
    pub link: String,
    pub ticket: SecretString,
    pub expires_at: OffsetDateTime,
}

/// [`promise_to`] with a link, to a verified address. It is not counted: each comes from a change that
/// the owner of another address has confirmed, and whoever gets no link loses the account.
pub async fn promise_with_link(
    app: &App,
    db: &mut PgConnection,
    user: &User,
    notice: Notice<'_>,
    link: NoticeLink,
) -> Result<(), AuthError> {
    let Some(address) = address(app, user, notice) else { return Ok(()) };
    Box::pin(enqueue(app, db, user, address, notice, Some(link))).await
}

/// Whether such notices are switched on and can be sent at all.
pub fn is_wanted(app: &App, notice: Notice<'_>) -> bool {
    let by_origin = match app.origin() {
        Origin::Created => NoticeKinds::ALL,
        Origin::Adopted => NoticeKinds::ADOPTED,
    };
    let kinds = app.config().recipients.notices.unwrap_or(by_origin);
    kinds.has(notice.kind()) && app.mail.load().can_send()
}

/// Tells the owner of an account that it takes no attempts for a while, if there is one; an account
/// that does not exist costs as much.
///
/// The attempt was refused already, so a failure is for the log.
pub async fn tell_locked(app: &App, user: Option<&User>) {
    if !is_wanted(app, Notice::SignInLocked) {
        return;
    }
    if let Err(error) = Box::pin(try_tell_locked(app, user)).await {
        tracing::warn!(
            error = &error as &dyn std::error::Error,
            "a locked sign-in was not told to its owner"
        );
    }
}

/// [`tell_locked`] for a user whose id alone is known.
pub async fn tell_locked_by_id(app: &App, user_id: UserId) {
    if let Ok(Some(user)) = app.actors.sessions.user(user_id).await {
        tell_locked(app, Some(&user.user)).await;
    }
}

async fn try_tell_locked(app: &App, user: Option<&User>) -> Result<(), AuthError> {
    let notice = Notice::SignInLocked;
    let to = user.and_then(|user| Some((user, address(app, user, notice)?)));
    let Some((user, address)) = to else { return pretend_to_promise(app).await };
    let mut transaction = app.pool.begin_for(user.id).await?;
    if may_tell_locked(app, &mut *transaction, address).await? {
        Box::pin(enqueue(app, &mut transaction, user, address, notice, None)).await?;
    }
    transaction.commit().await?;
    Ok(())
}

/// Where the notice goes, if anywhere.
fn address<'a>(app: &App, user: &'a User, notice: Notice<'_>) -> Option<&'a str> {
    if !is_wanted(app, notice) {
        return None;
    }
    let is_pending = !user.email_verified && app.config().accounts.email_verification_required;
    user.email.as_deref().filter(|_| !is_pending)
}

async fn enqueue(
    app: &App,
    db: &mut PgConnection,
    user: &User,
    address: &str,
    notice: Notice<'_>,
    link: Option<NoticeLink>,
) -> Result<(), AuthError> {
    let config = app.config.load_full();
    let now = app.clock.now();
    let expires_at = link.as_ref().map_or(now + LIFETIME, |link| link.expires_at);
    let (link, ticket) = link.map_or_else(Default::default, |with| (with.link, with.ticket));
    let message = NewMessage {
        id: MessageId::random(),
        user_id: Some(user.id),
        recipient: address.to_owned(),
        template: notice.template(),
        locale: user.locale.clone(),
        variables: MailVariables {
            link: link.into(),
            display_name: user.display_name.clone(),
            email: address.to_owned(),
            ticket,
            server_url: config.server.server_url.as_ref().map(without_slash).unwrap_or_default(),
            client_url: config.server.client_url.clone(),
            time: in_words(now),
            detail: notice.detail().to_owned(),
            ..MailVariables::default()
        },
        created_at: now,
        expires_at,
    };
    outbox::enqueue(db, message).await?;
    Ok(())
}
