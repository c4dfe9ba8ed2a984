//! Failed authentication attempts (passwords, codes, TOTP), counted per account.
//!
//! An account here is what a stranger can name: an address, a number, a user id. It need not exist,
//! and unknown ones are counted alike, so that nothing tells them apart. Past
//! `AUTH_ACCOUNT_ATTEMPTS` failures within `AUTH_ACCOUNT_ATTEMPTS_INTERVAL` further attempts are
//! refused with 429, also those with the right credential. They do not count, so the account opens
//! again by itself.
//!
//! Nobody can lock an owner out for ever: clients (addresses) that have proved themselves in the
//! last 30 days are counted apart, and neither open sessions nor links in mails are touched. That
//! memory is this node's and ends with it.
//!
//! A flow calls [`check`] before it looks at a credential, then [`failed`] or [`succeeded`].
//! Personal access tokens name no account until they are right, and cannot be guessed: nothing to
//! count.

use std::net::IpAddr;

use aws_lc_rs::digest::{SHA256, digest};

use crate::actors::limits::counter_store::{ClientNetwork, Subject};
use crate::actors::limits::counters::Guard;
use crate::app::App;
use crate::domain::email::EmailAddress;
use crate::domain::error::AuthError;
use crate::domain::ids::UserId;
use crate::domain::rate_limit::Verdict;

const SCOPE: &str = "attempts";

/// The factor of an attempt; each kind has counts of its own, so that one who has the password
/// cannot clear those of the second factor.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Factor {
    Password,
    /// A one-time code by mail or SMS.
    Code,
    Totp,
}

/// One client's attempts at one account.
#[derive(Clone, Copy, Debug)]
pub struct Account {
    anywhere: Subject,
    from_here: Subject,
}

impl Account {
    /// Named by its mail address.
    pub fn by_email(factor: Factor, email: &EmailAddress, client: IpAddr) -> Self {
        Self::new(factor, &email.to_lower_case(), client)
    }

    /// Named by its phone number, in the form in which it is looked up.
    pub fn by_phone(factor: Factor, phone: &str, client: IpAddr) -> Self {
        Self::new(factor, phone, client)
    }

    /// A user who is known already, as after the first factor.
    pub fn by_user(factor: Factor, user: UserId, client: IpAddr) -> Self {
        Self::new(factor, &user.to_string(), client)
    }

    fn new(factor: Factor, name: &str, client: IpAddr) -> Self {
        // Hashed for its size; neither addresses nor numbers stay in memory.
        let hash = digest(&SHA256, format!("{factor:?}:{name}").as_bytes());
        let hash = hash.as_ref().try_into().expect("SHA-256 has 32 bytes");
        Self {
            anywhere: Subject::Account(hash),
            from_here: Subject::AccountFrom(hash, ClientNetwork::from(client)),
        }
    }

    fn subject(&self, app: &App) -> Subject {
        if app.counters.is_familiar(self.from_here) { self.from_here } else { self.anywhere }
    }
}

/// Whether the account takes another attempt.
pub fn check(app: &App, account: &Account) -> Result<(), AuthError> {
    let Some(policy) = app.config().protection.account_attempts else { return Ok(()) };
    let subject = account.subject(app);
    admit(app, app.counters.attempts.peek(SCOPE, subject, policy))
}

/// The attempt failed.
pub fn failed(app: &App, account: &Account) {
    let Some(policy) = app.config().protection.account_attempts else { return };
    let subject = account.subject(app);
    app.counters.attempts.hit(SCOPE, subject, policy);
}

/// The attempt succeeded; refused even so if too many others failed meanwhile. Of attempts that run
/// in parallel, no more than the limit can thus find out anything.
pub fn succeeded(app: &App, account: &Account) -> Result<(), AuthError> {
    let Some(policy) = app.config().protection.account_attempts else { return Ok(()) };
    let subject = account.subject(app);
    admit(app, app.counters.attempts.peek(SCOPE, subject, policy))?;
    app.counters.attempts.forget(SCOPE, subject, policy);
    app.counters.remember(account.from_here);
    Ok(())
}

fn admit(app: &App, verdict: Verdict) -> Result<(), AuthError> {
    if verdict.allowed {
        return Ok(());
    }
    app.counters.note_refusal(Guard::Attempts);
    Err(AuthError::TooManyAttempts { retry_after: verdict.reset })
}
