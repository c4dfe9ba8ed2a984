//! How much one recipient is sent, whoever asks for it (`AUTH_RECIPIENT_LIMITS`).
//!
//! Counted in Postgres, for all nodes, by a keyed hash of the address or number, in the transaction
//! that promises the message. Past the limit nothing is sent and the response is the same: a refusal
//! would tell that there is an account, and anybody could bring it about.
//!
//! What came before is not lost: the last tickets of a kind stay valid (`persistence::tickets`), so
//! who is not sent another one holds some. The last place of an hour is for resets of a password. So
//! by asking for other mails nobody keeps an owner from a reset: either there is a place, or one was
//! sent within the hour that it is valid.
//!
//! Security notices have counts of their own, one for each template, which take nothing from mails
//! that somebody waits for.

use sqlx::{PgConnection, PgExecutor};
use time::OffsetDateTime;

use crate::actors::limits::counters::Guard;
use crate::app::App;
use crate::domain::error::AuthError;
use crate::domain::mail::MailTemplate;
use crate::domain::random_secret::random_secret;
use crate::domain::rate_limit::Policy;
use crate::persistence::recipients::{self, Allowance};
use crate::tokens::ticket::TicketKind;

/// Notices of locked sign-ins that somebody is sent in a day, however often strangers lock it.
const LOCKS_A_DAY: Policy = Policy { limit: 3, window: std::time::Duration::from_hours(24) };

/// Counts a mail with such a ticket and tells whether it may be sent; the caller owns the transaction.
pub async fn may_mail(
    app: &App,
    db: impl PgExecutor<'_>,
    address: &str,
    kind: TicketKind,
) -> Result<bool, AuthError> {
    let Some(policy) = app.config().recipients.limits.mail else { return Ok(true) };
    let limit = match kind {
        TicketKind::PasswordReset => policy.limit,
        _ => (policy.limit - 1).max(1),
    };
    let now = app.clock.now();
    let allowance = allowance(Policy { limit, ..policy }, now);
    let taken = recipients::take(db, &key(app, "mail", address), now, allowance).await?;
    Ok(noted(app, taken))
}

/// Does as much as [`may_mail`], for nobody, and leaves nothing.
pub async fn pretend(app: &App, db: &mut PgConnection) -> Result<(), AuthError> {
    let Some(policy) = app.config().recipients.limits.mail else { return Ok(()) };
    let (key, now) = (key(app, "nobody", &random_name()), app.clock.now());
    recipients::take(&mut *db, &key, now, allowance(policy, now)).await?;
    recipients::forget(&mut *db, &key).await?;
    Ok(())
}

/// Counts a notice and tells whether it may be sent; the caller owns the transaction.
pub async fn may_notify(
    app: &App,
    db: impl PgExecutor<'_>,
    address: &str,
    template: MailTemplate,
) -> Result<bool, AuthError> {
    let Some(policy) = app.config().recipients.limits.notice else { return Ok(true) };
    let now = app.clock.now();
    let key = key(app, template.name(), address);
    Ok(recipients::take(db, &key, now, allowance(policy, now)).await?)
}

/// The same for a sign-in that is locked: one in the time for which attempts are counted, whatever
/// nodes and clients see it locked, and a few a day.
pub async fn may_tell_locked(
    app: &App,
    db: impl PgExecutor<'_>,
    address: &str,
) -> Result<bool, AuthError> {
    let Some(attempts) = app.config().protection.account_attempts else { return Ok(false) };
    let now = app.clock.now();
    let key = key(app, MailTemplate::NoticeSignInLocked.name(), address);
    let allowance =
        Allowance { once_since: Some(now - attempts.window), ..allowance(LOCKS_A_DAY, now) };
    Ok(recipients::take(db, &key, now, allowance).await?)
}

/// An SMS that is counted.
pub struct CountedSms {
    key: [u8; 32],
    at: OffsetDateTime,
}

/// Counts an SMS; `None` if it may not be sent. It is sent within the request, so this comes before.
pub async fn may_text(app: &App, phone: &str) -> Result<Option<CountedSms>, AuthError> {
    let (key, at) = (key(app, "sms", phone), app.clock.now());
    let policy = app.config().recipients.limits.sms;
    if let Some(policy) = policy {
        let taken = recipients::take(&app.pool, &key, at, allowance(policy, at)).await?;
        if !noted(app, taken) {
            return Ok(None);
        }
    }
    Ok(Some(CountedSms { key, at }))
}

impl CountedSms {
    /// The provider did not take it.
    pub async fn give_back(self, app: &App) -> Result<(), AuthError> {
        if app.config().recipients.limits.sms.is_some() {
            recipients::give_back(&app.pool, &self.key, self.at).await?;
        }
        Ok(())
    }
}

fn noted(app: &App, taken: bool) -> bool {
    if !taken {
        app.counters.note_refusal(Guard::Recipient);
    }
    taken
}

fn allowance(policy: Policy, now: OffsetDateTime) -> Allowance {
    Allowance {
        limit: i64::from(policy.limit),
        since: now - policy.window,
        once_since: None,
        expires_at: now + policy.window,
    }
}

/// Neither addresses nor numbers are in the table; letters of either case are the same mailbox.
fn key(app: &App, what: &str, name: &str) -> [u8; 32] {
    let context = format!("recipient:{what}:");
    app.secrets.sealer.hash_code(context.as_bytes(), &name.to_lowercase())
}

fn random_name() -> String {
    use secrecy::ExposeSecret as _;
    random_secret().expose_secret().to_owned()
}
