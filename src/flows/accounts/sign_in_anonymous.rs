//! `POST /signin/anonymous`: a user without credentials.

use crate::app::App;
use crate::domain::error::{AuthError, ErrorCode};
use crate::domain::ids::UserId;
use crate::domain::metadata::Metadata;
use crate::flows::sessions::session::{IssuedSession, NewToken};
use crate::persistence::new_users::{self, NewUser};

/// The role of anonymous users, seeded by the first migration.
const ROLE: &str = "anonymous";
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
    let now = app.clock.now();
    let user = NewUser {
        id: UserId::random(),
        created_at: now,
        disabled: false,
        display_name: options.display_name.as_deref().unwrap_or(DISPLAY_NAME),
        avatar_url: "",
        locale: config.accounts.locales.resolve(options.locale.as_deref()),
        email: None,
        email_verified: false,
        phone_number: None,
        password_hash: None,
        default_role: ROLE,
        is_anonymous: true,
        metadata: options.metadata.as_ref().map(Metadata::raw),
        roles: &[ROLE.to_owned()],
        last_seen: Some(now),
    };
    let token = NewToken::generate(app, Some(user.id));
    let written = new_users::insert(&app.pool, &user, Some(token.first_session(app))).await?;
    // A trigger of an application may disable new users.
    let started = token.started(written).ok_or(ErrorCode::DisabledUser)?;
    started.issue(app).await
}
