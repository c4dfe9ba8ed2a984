//! What follows when somebody proves that the address of an account is theirs.

use aws_lc_rs::constant_time::verify_slices_are_equal;
use secrecy::{ExposeSecret as _, SecretString};
use sqlx::PgConnection;

use crate::app::App;
use crate::config::ProofClears;
use crate::domain::error::AuthError;
use crate::domain::ids::UserId;
use crate::domain::notice::Notice;
use crate::domain::random_secret::hash_of;
use crate::flows::guards::endings::{Because, Takes, end};
use crate::flows::tickets::notices;
use crate::persistence::account_handover::WaysIn;
use crate::persistence::users::LockedUser;
use crate::persistence::{account_handover, pending_identity_links, user_providers, users};

/// The cookie of a browser in which somebody signed up with an identity whose address was not
/// verified.
pub const BROWSER_COOKIE: &str = "keywright-link";

/// What is stored of the cookie.
pub fn browser_hash(secret: &SecretString) -> [u8; 32] {
    hash_of(&["unproven link", secret.expose_secret()])
}

/// How somebody proved that the address of an account is theirs.
#[derive(Clone, Copy, Debug)]
pub enum Proof<'a> {
    /// The mail of the sign-up itself, first or repeated: what it stands for was set up by then.
    SignUpMail { browser: Option<&'a SecretString> },
    /// Any other mail of ours.
    OtherMail { browser: Option<&'a SecretString> },
    /// A reset, which replaces the password in the same transaction.
    PasswordReset,
    /// A provider that has verified the address, and what it calls its user.
    Provider { name: Option<&'a str> },
}

/// What the first proof of an address takes from the account.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Clears {
    Nothing,
    /// Sessions, personal access tokens, and what is under way.
    Sessions,
    /// Whatever lets somebody in.
    Credentials,
    /// What somebody wrote about the user, too.
    CredentialsAndProfile,
}

impl Clears {
    const fn takes(self) -> Option<Takes> {
        match self {
            Self::Nothing => None,
            Self::Sessions => Some(Takes::Sessions),
            Self::Credentials | Self::CredentialsAndProfile => Some(Takes::Credentials),
        }
    }
}

/// Marks the address of a locked user as verified; the caller owns the transaction.
///
/// The first proof changes the owner, unless the mail of the sign-up itself brought it: whoever set
/// the account up with the address of somebody else must not keep a door into it
/// (docs/reference-behaviour.md#first-proof-is-a-new-owner). Identities that wait for the proof stay
/// only if they came from the same browser (docs/reference-behaviour.md#unverified-identities-wait).
pub async fn prove_address(
    app: &App,
    db: &mut PgConnection,
    user_id: UserId,
    before: &LockedUser,
    proof: Proof<'_>,
) -> Result<(), AuthError> {
    let (browser, name) = match proof {
        Proof::SignUpMail { browser } | Proof::OtherMail { browser } => (browser, None),
        Proof::PasswordReset => (None, None),
        Proof::Provider { name } => (None, name),
    };
    if !before.email_verified {
        users::set_email_verified(&mut *db, user_id).await?;
        let clears = clears(app, *before, proof);
        if let Some(takes) = clears.takes() {
            end(app, &mut *db, user_id, Because::OwnerProved { takes }).await?;
        }
        if clears == Clears::CredentialsAndProfile {
            account_handover::clear_profile(&mut *db, user_id, name).await?;
        }
        if clears == Clears::Sessions {
            let ways = account_handover::ways_in(&mut *db, user_id).await?;
            let is_reset = matches!(proof, Proof::PasswordReset);
            let ways = ways.map(|ways| WaysIn { password: ways.password && !is_reset, ..ways });
            let ways = ways.map(WaysIn::names).unwrap_or_default();
            if !ways.is_empty() {
                notices::promise(app, &mut *db, user_id, Notice::AddressProved { ways: &ways })
                    .await?;
            }
        }
        if clears != Clears::Nothing {
            tracing::info!(
                user.id = %user_id,
                cleared = ?clears,
                "an address was proved for the first time, not by the mail of the sign-up"
            );
        }
    }
    settle_links(app, db, user_id, browser).await
}

/// Whether a provider's word for the address makes its owner the owner of this account.
///
/// One that somebody has used stays theirs until the address is proved by mail, or else a password
/// that a stranger set would open what the provider's user puts there.
pub fn provider_may_prove(app: &App, user: &LockedUser) -> bool {
    match app.config().accounts.proof_clears {
        ProofClears::Never => false,
        ProofClears::Pending => user.is_unused,
        ProofClears::Always => true,
    }
}

fn clears(app: &App, before: LockedUser, proof: Proof<'_>) -> Clears {
    let config = app.config();
    let accounts = &config.accounts;
    match (accounts.proof_clears, proof) {
        (ProofClears::Never, _) | (_, Proof::SignUpMail { .. }) => Clears::Nothing,
        (ProofClears::Always, _) => Clears::CredentialsAndProfile,
        (ProofClears::Pending, _) if before.is_unused && accounts.email_verification_required => {
            Clears::CredentialsAndProfile
        }
        // Accounts that nobody has used where everybody may were made by an operator, who has
        // written the profile.
        (ProofClears::Pending, Proof::Provider { .. }) if before.is_unused => Clears::Credentials,
        (ProofClears::Pending, _) => Clears::Sessions,
    }
}

/// Identities that wait for the address: those of this browser become the user's, others go.
async fn settle_links(
    app: &App,
    db: &mut PgConnection,
    user_id: UserId,
    browser: Option<&SecretString>,
) -> Result<(), AuthError> {
    let browser = browser.map(browser_hash);
    for link in pending_identity_links::take(&mut *db, user_id).await? {
        let is_same = browser
            .zip(link.browser_hash)
            .is_some_and(|(browser, stored)| verify_slices_are_equal(&browser, &stored).is_ok());
        let (provider, subject) = (&link.provider_id, &link.provider_user_id);
        if is_same {
            let now = app.clock.now();
            user_providers::insert(&mut *db, user_id, provider, subject, now).await?;
        } else {
            user_providers::delete(&mut *db, user_id, provider, subject).await?;
            Box::pin(notices::promise(app, db, user_id, Notice::IdentityRemoved { provider }))
                .await?;
            tracing::info!(
                user.id = %user_id,
                provider,
                "an address was verified in another browser than the identity came from, which is not linked"
            );
        }
    }
    Ok(())
}
