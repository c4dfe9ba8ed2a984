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
//! A flow calls [`begin`] before it looks at a credential, and tells the [`Attempt`] the outcome. Of
//! attempts at once, on all nodes together, only so many are looked at as the account has left; the
//! others wait for the outcome of these, and are refused alike. One that could not be judged does not
//! count. It costs one statement, which is the same for every account, and does not depend on whether
//! there is one. No transaction may be open meanwhile: many that wait for that statement would hold
//! the connections that it needs.
//! Personal access tokens name no account until they are right, and cannot be guessed: nothing to
//! count.

use std::net::IpAddr;

use aws_lc_rs::digest::{SHA256, digest};

use crate::actors::limits::counter_store::Subject;
use crate::actors::limits::counters::Guard;
use crate::actors::limits::pending_attempts::PendingAttempt;
use crate::app::App;
use crate::domain::client_network::ClientNetwork;
use crate::domain::email::EmailAddress;
use crate::domain::error::AuthError;
use crate::domain::ids::UserId;

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
        // Hashed for its size; neither addresses nor numbers stay in memory. Postgres gets a keyed hash.
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

/// Takes one of the attempts that the account has left.
pub async fn begin<'a>(app: &'a App, account: &Account) -> Result<Attempt<'a>, AuthError> {
    let from_here = account.from_here;
    let policy = app.config().protection.account_attempts;
    let Some(policy) = policy else { return Ok(Attempt { app, pending: None, from_here }) };
    let limiter = &app.actors.rate_limiter;
    match app.counters.pending_attempts.begin(limiter, policy, || account.subject(app)).await {
        Ok(pending) => Ok(Attempt { app, pending: Some(pending), from_here }),
        Err(verdict) => {
            app.counters.note_refusal(Guard::Attempts);
            Err(AuthError::TooManyAttempts { retry_after: verdict.reset })
        }
    }
}

/// An attempt under way; without an outcome (an error, a client that is gone) it does not count.
#[must_use = "an attempt counts only if its outcome is told"]
pub struct Attempt<'a> {
    app: &'a App,
    /// `None` without a limit.
    pending: Option<PendingAttempt<'a>>,
    from_here: Subject,
}

impl Attempt<'_> {
    /// The proof was wrong; tells whether the account takes no more attempts for that
    /// (`notices::tell_locked`).
    #[must_use]
    pub fn failed(self) -> bool {
        self.pending.is_some_and(PendingAttempt::failed)
    }

    /// The proof was right: the account's count starts from zero, and the client is familiar.
    pub fn succeeded(self) {
        if let Some(pending) = self.pending {
            // Those that wait find it familiar.
            self.app.counters.remember(self.from_here);
            pending.succeeded();
        }
    }
}
