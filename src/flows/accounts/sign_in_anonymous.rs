//! `POST /signin/anonymous`: a user without credentials.

use crate::app::App;
use crate::domain::error::{AuthError, ErrorCode};
use crate::domain::ids::UserId;
use crate::domain::metadata::Metadata;
use crate::flows::sessions::session::{IssuedSession, NewToken};
use crate::persistence::new_anonymous_users::NewAnonymousUser;

/// Their name unless they give one.
const DISPLAY_NAME: &str = "Anonymous User";

/// What an anonymous user may choose.
#[derive(Debug, Default)]
pub struct AnonymousOptions {
    pub display_name: Option<String>,
    pub locale: Option<String>,
    pub metadata: Option<Metadata>,
}

/// Creates an anonymous user with a session.
pub async fn sign_in_anonymous(
    app: &App,
    options: AnonymousOptions,
) -> Result<IssuedSession, AuthError> {
    let config = app.config.load_full();
    if config.accounts.disable_signup {
        return Err(ErrorCode::SignupDisabled.into());
    }
    if !config.accounts.anonymous_enabled {
        return Err(ErrorCode::DisabledEndpoint.into());
    }
    let id = UserId::random();
    let token = NewToken::generate(app, Some(id));
    let user = NewAnonymousUser {
        id,
        created_at: app.clock.now(),
        display_name: options.display_name.unwrap_or_else(|| DISPLAY_NAME.to_owned()),
        locale: config.accounts.locales.resolve(options.locale.as_deref()).to_owned(),
        metadata: options.metadata,
        session: token.first_session(app),
    };
    let written = app.actors.sessions.sign_up(user).await?;
    // A trigger of an application may disable new users.
    let started = token.started(written).ok_or(ErrorCode::DisabledUser)?;
    started.issue(app).await
}
