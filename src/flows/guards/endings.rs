//! What ends what: the one place that decides which doors into an account close, and when.
//!
//! A flow that changes a credential calls [`end`] in the transaction of its write and lists nothing
//! itself. The matches have no wildcard, so that a new kind of ticket or pending flow does not
//! compile until somebody decides about it. The table for readers is in docs/security.md.

use sqlx::PgConnection;

use crate::app::App;
use crate::config::ChangeEnds;
use crate::domain::challenge::Purpose;
use crate::domain::error::AuthError;
use crate::domain::ids::{SessionId, UserId};
use crate::persistence::{
    challenges, credentials, reference_sms_codes, refresh_tokens, tickets, users,
};
use crate::tokens::ticket::TicketKind;

/// Why something ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Because {
    /// The user has signed out of all sessions.
    SignedOutEverywhere,
    /// A session has set a new password; it goes on, if it is known.
    PasswordChanged { by: Option<SessionId> },
    /// The holder of a reset ticket has set a new password.
    PasswordReset,
    /// The owner of a new address has confirmed it.
    AddressChanged,
    /// A guest has become a registered user; this session goes on.
    Registered { kept: Option<SessionId> },
}

/// Which sessions end.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Sessions {
    None,
    AllBut { kept: Option<SessionId>, and_pats: bool },
}

/// Ends what has to end, in the caller's transaction.
///
/// Statements take the user's row first and then what hangs on it, as
/// [`Caller::lock`](super::live_session::Caller::lock) does.
pub async fn end(
    app: &App,
    db: &mut PgConnection,
    user_id: UserId,
    because: Because,
) -> Result<(), AuthError> {
    let setting = app.config().passwords.change_ends;
    if matches!(because, Because::PasswordChanged { .. }) && setting == ChangeEnds::Nothing {
        return Ok(());
    }
    users::lock(&mut *db, user_id).await?;
    let now = app.clock.now();
    let kinds: Vec<&str> = TicketKind::ALL
        .into_iter()
        .filter(|kind| ends_ticket(*kind, because))
        .map(TicketKind::name)
        .collect();
    tickets::void(&mut *db, user_id, &kinds, now).await?;
    if ends_ticket(TicketKind::SmsOtp, because) {
        reference_sms_codes::void_pending(&mut *db, user_id, now).await?;
    }
    if ends_ticket(TicketKind::EmailConfirmChange, because) {
        users::forget_new_email(&mut *db, user_id).await?;
    }
    let purposes: Vec<Purpose> =
        Purpose::ALL.into_iter().filter(|purpose| ends_flow(*purpose, because)).collect();
    challenges::delete_of_user(&mut *db, user_id, &purposes).await?;
    if let Sessions::AllBut { kept, and_pats } = sessions(because, setting) {
        refresh_tokens::delete_others(&mut *db, user_id, kept, and_pats).await?;
        // Also for flows that another node is about to store: they are looked at when they end.
        credentials::set_changed(&mut *db, user_id, app.clock.advanced()).await?;
    }
    Ok(())
}

const fn ends_ticket(kind: TicketKind, because: Because) -> bool {
    match kind {
        // These went to the address, or may have gone to the one before.
        TicketKind::VerifyEmail
        | TicketKind::PasswordlessEmail
        | TicketKind::PasswordReset
        | TicketKind::EmailOtp => true,
        // These are proven by something else than the address.
        TicketKind::EmailConfirmChange | TicketKind::MfaTotp | TicketKind::SmsOtp => {
            !matches!(because, Because::AddressChanged)
        }
    }
}

const fn ends_flow(purpose: Purpose, because: Because) -> bool {
    match purpose {
        // There is no user yet.
        Purpose::SignUp => false,
        Purpose::SignIn
        | Purpose::Elevate
        | Purpose::AddSecurityKey
        | Purpose::ProviderSignIn
        | Purpose::CodeExchange => !matches!(because, Because::AddressChanged),
    }
}

const fn sessions(because: Because, setting: ChangeEnds) -> Sessions {
    let by_setting = match setting {
        ChangeEnds::Nothing | ChangeEnds::Sessions => false,
        ChangeEnds::SessionsAndTokens => true,
    };
    match because {
        Because::SignedOutEverywhere => Sessions::AllBut { kept: None, and_pats: true },
        Because::PasswordChanged { by } => Sessions::AllBut { kept: by, and_pats: by_setting },
        Because::PasswordReset => Sessions::AllBut { kept: None, and_pats: by_setting },
        Because::AddressChanged => Sessions::None,
        Because::Registered { kept } => Sessions::AllBut { kept, and_pats: true },
    }
}
