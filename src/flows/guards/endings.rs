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
use crate::domain::mail::MailTemplate;
use crate::persistence::{
    account_handover, challenges, credentials, outbox, pending_identity_links, reference_sms_codes,
    refresh_tokens, security_keys, tickets, user_providers, users,
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
    /// The owner of the address from before a change has taken it back.
    AddressRestored,
    /// A guest has become a registered user; this session goes on.
    Registered { kept: Option<SessionId> },
    /// Somebody has proved for the first time that the address of the account is theirs, and did not
    /// necessarily set the account up.
    OwnerProved { takes: Takes },
    /// Somebody has registered with the address of an account that nobody could use yet.
    Replaced,
}

/// What a new owner takes from whoever had the account.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Takes {
    /// Sessions, personal access tokens, and what is under way.
    Sessions,
    /// Whatever lets somebody in.
    Credentials,
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
    let ended: Vec<TicketKind> =
        TicketKind::ALL.into_iter().filter(|kind| ends_ticket(*kind, because)).collect();
    let kinds: Vec<&str> = ended.iter().map(|kind| kind.name()).collect();
    tickets::void(&mut *db, user_id, &kinds, now).await?;
    // What was not sent yet would only bring a ticket that is void.
    let mails: Vec<MailTemplate> = ended.iter().filter_map(|kind| kind.template()).collect();
    outbox::withdraw_of_user(&mut *db, user_id, &mails).await?;
    if ended.contains(&TicketKind::SmsOtp) {
        reference_sms_codes::void_pending(&mut *db, user_id, now).await?;
    }
    if ended.contains(&TicketKind::EmailConfirmChange) {
        users::forget_new_email(&mut *db, user_id).await?;
    }
    let purposes: Vec<Purpose> =
        Purpose::ALL.into_iter().filter(|purpose| ends_flow(*purpose, because)).collect();
    challenges::delete_of_user(&mut *db, user_id, &purposes).await?;
    let kept = match sessions(because, setting) {
        Sessions::None => None,
        Sessions::AllBut { kept, and_pats } => {
            refresh_tokens::delete_others(&mut *db, user_id, kept, and_pats).await?;
            // Also for flows that another node is about to store: they are looked at when they end.
            credentials::set_changed(&mut *db, user_id, app.clock.advanced()).await?;
            kept
        }
    };
    if ends_keys_and_identities(because, setting) {
        let kept_key = match kept {
            Some(session) => refresh_tokens::security_key(&mut *db, session).await?,
            None => None,
        };
        security_keys::delete_all_but(&mut *db, user_id, kept_key).await?;
        user_providers::delete_all(&mut *db, user_id).await?;
    }
    if ends_password(because) {
        account_handover::clear_credentials(&mut *db, user_id).await?;
    }
    if ends_waiting_identities(because) {
        pending_identity_links::take(&mut *db, user_id).await?;
    }
    Ok(())
}

const fn ends_ticket(kind: TicketKind, because: Because) -> bool {
    match kind {
        // Whoever does all this may be a thief, and this is for those from whom the account was taken.
        TicketKind::EmailChangeUndo => false,
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
        ChangeEnds::SessionsAndTokens | ChangeEnds::Everything => true,
    };
    match because {
        Because::SignedOutEverywhere
        | Because::AddressRestored
        | Because::OwnerProved { .. }
        | Because::Replaced => Sessions::AllBut { kept: None, and_pats: true },
        Because::PasswordChanged { by } => Sessions::AllBut { kept: by, and_pats: by_setting },
        Because::PasswordReset => Sessions::AllBut { kept: None, and_pats: by_setting },
        Because::AddressChanged => Sessions::None,
        Because::Registered { kept } => Sessions::AllBut { kept, and_pats: true },
    }
}

const fn ends_keys_and_identities(because: Because, setting: ChangeEnds) -> bool {
    match because {
        Because::PasswordChanged { .. } | Because::PasswordReset => {
            matches!(setting, ChangeEnds::Everything)
        }
        Because::OwnerProved { takes } => matches!(takes, Takes::Credentials),
        Because::Replaced => true,
        Because::SignedOutEverywhere
        | Because::AddressChanged
        | Because::AddressRestored
        | Because::Registered { .. } => false,
    }
}

/// The password and the second factor. Whoever replaces a password has written the new one.
const fn ends_password(because: Because) -> bool {
    match because {
        Because::OwnerProved { takes } => matches!(takes, Takes::Credentials),
        Because::Replaced
        | Because::PasswordChanged { .. }
        | Because::PasswordReset
        | Because::SignedOutEverywhere
        | Because::AddressChanged
        | Because::AddressRestored
        | Because::Registered { .. } => false,
    }
}

/// Identities that wait for the address to be verified. A proof itself decides about them, by the
/// browser that they came from.
const fn ends_waiting_identities(because: Because) -> bool {
    match because {
        Because::Replaced => true,
        Because::OwnerProved { .. }
        | Because::SignedOutEverywhere
        | Because::PasswordChanged { .. }
        | Because::PasswordReset
        | Because::AddressChanged
        | Because::AddressRestored
        | Because::Registered { .. } => false,
    }
}
