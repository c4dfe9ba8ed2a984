//! What follows when somebody proves that the address of an account is theirs.

use aws_lc_rs::constant_time::verify_slices_are_equal;
use secrecy::{ExposeSecret as _, SecretString};
use sqlx::PgConnection;

use crate::app::App;
use crate::domain::error::AuthError;
use crate::domain::ids::UserId;
use crate::domain::random_secret::hash_of;
use crate::persistence::{pending_identity_links, user_providers, users};

/// The cookie of a browser in which somebody signed up with an identity whose address was not
/// verified.
pub const BROWSER_COOKIE: &str = "keywright-link";

/// What is stored of the cookie.
pub fn browser_hash(secret: &SecretString) -> [u8; 32] {
    hash_of(&["unproven link", secret.expose_secret()])
}

/// Marks the address as verified; the caller owns the transaction.
///
/// Identities that came with the account before that stay only if they came from the same browser.
/// Otherwise whoever registers with the address of somebody else keeps a door to their account
/// (docs/reference-behaviour.md#unverified-identities-wait).
pub async fn prove_address(
    app: &App,
    db: &mut PgConnection,
    user_id: UserId,
    browser: Option<&SecretString>,
) -> Result<(), AuthError> {
    users::set_email_verified(&mut *db, user_id).await?;
    settle_links(app, db, user_id, browser).await
}

/// What [`prove_address`] does with identities, for sign-ins that leave the address as it is.
pub async fn settle_links(
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
            tracing::info!(
                user.id = %user_id,
                provider,
                "an address was verified in another browser than the identity came from, which is not linked"
            );
        }
    }
    Ok(())
}
