//! `POST /signin/email-password`.

use std::net::IpAddr;

use secrecy::{ExposeSecret as _, SecretString};

use super::rules;
use crate::app::App;
use crate::domain::email::EmailAddress;
use crate::domain::error::{AuthError, ErrorCode};
use crate::flows::guards::attempts;
use crate::flows::guards::attempts::{Account, Factor};
use crate::flows::sessions::session::{IssuedSession, sign_in};
use crate::persistence::{tickets, users};
use crate::tokens::ticket::{Ticket, TicketKind};

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
    attempts::check(app, &account)?;
    let found = users::find_by_email(&app.pool, email).await?;
    let stored = found.as_ref().and_then(|found| found.password_hash.as_ref());
    let outcome = rules::verify(app, password, stored).await?;
    let (Some(found), true) = (&found, outcome.matches) else {
        attempts::failed(app, &account);
        return Err(ErrorCode::InvalidEmailPassword.into());
    };
    attempts::succeeded(app, &account)?;
    let user = &found.user;
    user.check_registered(&app.config().user_rules())?;

    if let (Some(old), Some(new)) = (stored, &outcome.upgraded) {
        // Only the stored form changes, so a failure must not keep the user out.
        let old = old.expose_secret();
        if let Err(error) = users::upgrade_password_hash(&app.pool, user.id, old, new).await {
            tracing::warn!(
                error = &error as &dyn std::error::Error,
                user.id = %user.id,
                "password hash not upgraded"
            );
        }
    }
    if user.active_mfa_type.as_deref() == Some("totp") {
        let ticket = Ticket::generate(TicketKind::MfaTotp);
        let now = app.clock.now();
        let expires_at = now + ticket.kind().lifetime();
        let purpose = ticket.kind().name();
        tickets::put(&app.pool, user.id, purpose, &ticket.hash(), now, expires_at, None).await?;
        return Ok(SignedIn::MfaRequired(ticket));
    }
    sign_in(app, user.id).await.map(SignedIn::Session)
}
