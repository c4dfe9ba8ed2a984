//! `POST /signin/email-password`.

use std::net::IpAddr;

use futures_util::future::join;
use secrecy::{ExposeSecret as _, SecretString};

use super::rules;
use crate::app::App;
use crate::domain::email::EmailAddress;
use crate::domain::error::{AuthError, ErrorCode};
use crate::domain::session_basis::SessionBasis;
use crate::domain::user::User;
use crate::flows::guards::attempts;
use crate::flows::guards::attempts::{Account, Factor};
use crate::flows::sessions::session::{IssuedSession, sign_in};
use crate::flows::tickets::notices;
use crate::persistence::users::UserWithPassword;
use crate::persistence::{tickets, users};
use crate::tokens::ticket::{Ticket, TicketKind};

/// How often a password is compared whose stored hash changes between look and session.
const TRIES: usize = 3;

/// What a right password leads to.
pub enum SignedIn {
    Session(IssuedSession),
    /// The user has a second factor, which this ticket asks for.
    MfaRequired(Ticket),
}

/// Signs in by password.
///
/// The password comes first and costs the same whether or not the address is known, so that
/// neither response nor time tells; only its owner learns the state of an account
/// (docs/reference-behaviour.md#state-is-for-the-owner).
pub async fn sign_in_email_password(
    app: &App,
    email: &EmailAddress,
    password: &SecretString,
    client: IpAddr,
) -> Result<SignedIn, AuthError> {
    let account = Account::by_email(Factor::Password, email, client);
    // Both are looked up whatever the other one says, at the same time.
    let found = users::find_by_email(&app.pool, email);
    let (attempt, found) = join(attempts::begin(app, &account), found).await;
    let (attempt, found) = (attempt?, found?);
    let refused = AuthError::Refused(ErrorCode::InvalidEmailPassword);
    let Some(mut proved) = prove(app, found, password, client).await? else {
        if attempt.failed() {
            let found = users::find_by_email(&app.pool, email).await?;
            Box::pin(notices::tell_locked(app, found.map(|found| found.user).as_ref())).await;
        }
        return Err(refused);
    };
    attempt.succeeded();
    for _ in 0..TRIES {
        proved.user.check_registered(&app.config().user_rules())?;
        if let Some(signed_in) = proved.sign_in(app).await? {
            return Ok(signed_in);
        }
        // The hash is another one, perhaps of the same password.
        let found = users::find_by_email(&app.pool, email).await?;
        match prove(app, found, password, client).await? {
            Some(again) => proved = again,
            None => break,
        }
    }
    Err(refused)
}

/// A user whose password was right when it was looked at.
struct Proved {
    user: User,
    hash: SecretString,
}

/// Compares the password with that of the user who was found; brings the stored form up to date on the
/// way.
async fn prove(
    app: &App,
    found: Option<UserWithPassword>,
    password: &SecretString,
    client: IpAddr,
) -> Result<Option<Proved>, AuthError> {
    let stored = found.as_ref().and_then(|found| found.password_hash.as_ref());
    let outcome = rules::verify(app, password, stored, client).await?;
    let (Some(UserWithPassword { user, password_hash: Some(hash) }), true) =
        (found, outcome.matches)
    else {
        return Ok(None);
    };
    let Some(new) = outcome.upgraded else { return Ok(Some(Proved { user, hash })) };
    // One who is not let in changes nothing.
    if user.check_registered(&app.config().user_rules()).is_err() {
        return Ok(Some(Proved { user, hash }));
    }
    let old = hash.expose_secret();
    match users::upgrade_password_hash(&app.pool, user.id, old, &new).await {
        Ok(true) => Ok(Some(Proved { user, hash: new.into() })),
        // Somebody else changed it; the sign-in will find out.
        Ok(false) => Ok(Some(Proved { user, hash })),
        // Only the stored form changes, so a failure must not keep the user out.
        Err(error) => {
            tracing::warn!(
                error = &error as &dyn std::error::Error,
                user.id = %user.id,
                "password hash not upgraded"
            );
            Ok(Some(Proved { user, hash }))
        }
    }
}

impl Proved {
    /// A session or the way to one; `None` if the password is no longer this one, or the user was
    /// disabled.
    async fn sign_in(&self, app: &App) -> Result<Option<SignedIn>, AuthError> {
        let id = self.user.id;
        if self.user.active_mfa_type.as_deref() == Some("totp") {
            let ticket = Ticket::generate(TicketKind::MfaTotp);
            let now = app.clock.now();
            let (purpose, expires_at) = (ticket.kind().name(), now + ticket.kind().lifetime());
            let (hash, password) = (ticket.hash(), self.hash.expose_secret());
            let is_stored =
                tickets::put_for_password(&app.pool, id, password, purpose, &hash, now, expires_at)
                    .await?;
            return Ok(is_stored.then_some(SignedIn::MfaRequired(ticket)));
        }
        match sign_in(app, id, &SessionBasis::Password(self.hash.clone())).await {
            Ok(session) => Ok(Some(SignedIn::Session(session))),
            Err(AuthError::Refused(ErrorCode::InvalidEmailPassword)) => Ok(None),
            Err(error) => Err(error),
        }
    }
}
