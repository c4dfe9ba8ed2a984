//! How much one recipient is sent, whoever asks for it (`AUTH_RECIPIENT_LIMITS`).
//!
//! Counted in Postgres, for all nodes, by its clock and a keyed hash of the address or number, in the
//! transaction that promises the message. Past the limit nothing is sent and the response is the same: a refusal
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
    let (advanced, allowance) = (app.clock.advanced(), allowance(Policy { limit, ..policy }));
    let taken = recipients::take(db, &key(app, "mail", address), advanced, allowance).await?;
    Ok(noted(app, taken.is_some()))
}

/// Does as much as [`may_mail`], for nobody, and leaves nothing.
pub async fn pretend(app: &App, db: &mut PgConnection) -> Result<(), AuthError> {
    let Some(policy) = app.config().recipients.limits.mail else { return Ok(()) };
    let (key, advanced) = (key(app, "nobody", &random_name()), app.clock.advanced());
    recipients::take(&mut *db, &key, advanced, allowance(policy)).await?;
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
    let key = key(app, template.name(), address);
    let taken = recipients::take(db, &key, app.clock.advanced(), allowance(policy)).await?;
    Ok(taken.is_some())
}

/// The same for a sign-in that is locked: one in the time for which attempts are counted, whatever
/// nodes and clients see it locked, and a few a day.
pub async fn may_tell_locked(
    app: &App,
    db: impl PgExecutor<'_>,
    address: &str,
) -> Result<bool, AuthError> {
    let Some(attempts) = app.config().protection.account_attempts else { return Ok(false) };
    let key = key(app, MailTemplate::NoticeSignInLocked.name(), address);
    let once_within = Some(length(attempts.window));
    let allowance = Allowance { once_within, ..allowance(LOCKS_A_DAY) };
    Ok(recipients::take(db, &key, app.clock.advanced(), allowance).await?.is_some())
}

/// An SMS that is counted.
pub struct CountedSms {
    key: [u8; 32],
    /// `None` where they are not limited.
    at: Option<OffsetDateTime>,
}

/// Counts an SMS; `None` if it may not be sent. It is sent within the request, so this comes before.
pub async fn may_text(app: &App, phone: &str) -> Result<Option<CountedSms>, AuthError> {
    let key = key(app, "sms", phone);
    let policy = app.config().recipients.limits.sms;
    let Some(policy) = policy else { return Ok(Some(CountedSms { key, at: None })) };
    let at = recipients::take(&app.pool, &key, app.clock.advanced(), allowance(policy)).await?;
    Ok(noted(app, at.is_some()).then_some(CountedSms { key, at }))
}

impl CountedSms {
    /// The provider did not take it.
    pub async fn give_back(self, app: &App) -> Result<(), AuthError> {
        if let Some(at) = self.at {
            recipients::give_back(&app.pool, &self.key, at).await?;
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

fn allowance(policy: Policy) -> Allowance {
    let (limit, window) = (i64::from(policy.limit), length(policy.window));
    Allowance { limit, window, once_within: None }
}

fn length(window: std::time::Duration) -> time::Duration {
    time::Duration::try_from(window).unwrap_or(time::Duration::MAX)
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
