//! Puts a new configuration in force while the server runs.

use std::sync::Arc;

use crate::actors::courier::CourierMsg;
use crate::actors::key_rotator::KeyRotatorMsg;
use crate::app::App;
use crate::config::{Config, MailTransport};
use crate::domain::error::AuthError;
use crate::notify::sender::{MailSender, MailSetupError};
use crate::persistence::{migrate, user_providers};
use crate::tokens::keys::{KeyError, KeySet};

/// Why the old configuration stays in force.
#[derive(Debug, thiserror::Error)]
pub enum ReloadError {
    #[error("HASURA_GRAPHQL_JWT_SECRET cannot be used")]
    Keys(#[from] KeyError),
    #[error("the mail settings cannot be used")]
    Mail(#[from] MailSetupError),
    #[error("new roles or providers not inserted")]
    Rows(#[from] sqlx::Error),
    #[error("keys not published")]
    Publish(#[source] AuthError),
}

/// Checks everything first, then swaps.
pub async fn apply(app: &App, mut config: Config) -> Result<(), ReloadError> {
    let old = app.config.load_full();
    if let MailTransport::Capture { .. } = old.mail.transport {
        // The development server captures mail whatever the file says.
        config.mail = old.mail.clone();
    }
    KeySet::from_secret(&config.tokens.jwt_secret)?;
    let mail = MailSender::from_config(&config.mail, config.accounts.locales.default_locale())?;
    let mut roles = config.accounts.roles.allowed().to_vec();
    roles.push(config.accounts.roles.default_role().to_owned());
    migrate::seed_roles(&app.pool, &roles).await?;
    user_providers::seed(&app.pool, &config.providers.custom_ids()).await?;

    app.config.store(Arc::new(config));
    let mail = Arc::new(mail);
    app.mail.store(Arc::clone(&mail));
    app.courier.cast(CourierMsg::UseSender(mail));
    app.key_rotator
        .call(KeyRotatorMsg::Reload)
        .await
        .map_err(ReloadError::Publish)?
        .map_err(|error| ReloadError::Publish(AuthError::internal("keys not loaded", error)))
}
