//! Who writes a credential, or anything else that lets somebody in, needs a session that lives.
//!
//! An access token is good for minutes after its session has ended. That is fine for reading; with a
//! write, whoever was signed out could let themselves in again
//! (docs/reference-behaviour.md#writes-need-a-live-session).

use serde::{Deserialize, Serialize};
use sqlx::PgConnection;

use crate::app::App;
use crate::config::Elevation;
use crate::domain::error::{AuthError, ErrorCode};
use crate::domain::ids::{SessionId, UserId};
use crate::persistence::{credentials, refresh_tokens, security_keys, users};
use crate::tokens::verify::VerifiedToken;

/// Whom an access token speaks for, as far as the token itself tells.
///
/// It is kept with a flow of several requests, so that the end asks for the session of the beginning.
#[derive(Clone, Copy, Debug, Serialize, Deserialize)]
pub struct Caller {
    id: UserId,
    /// The session that the token belongs to; unknown for tokens that the reference issued.
    session_id: Option<SessionId>,
    /// Unix time.
    issued_at: Option<i64>,
    is_anonymous: bool,
    is_elevated: bool,
    /// What the operation asks for besides.
    demands: Option<Sensitive>,
}

/// How far elevation goes for an operation that asks for it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Sensitive {
    /// Always, where it is required.
    Ordinary,
    /// Not for the first security key: without one nobody could ever become elevated.
    AddsSecurityKey,
    /// Not for those without a security key, who must be able to begin with another factor.
    AddsFactor,
}

/// What a session came from, as far as that matters to what it may write: a personal access token
/// makes no other, and no other way in (docs/reference-behaviour.md#pat-sessions-write-nothing).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Origin {
    SignIn,
    PersonalAccessToken,
}

/// A caller whose session lives until the transaction ends that locked it.
///
/// What is written is written for the user that this names.
#[derive(Debug)]
pub struct LiveCaller {
    id: UserId,
    session_id: Option<SessionId>,
}

impl LiveCaller {
    /// The user.
    pub const fn id(&self) -> UserId {
        self.id
    }

    /// The session; unknown for tokens that the reference issued.
    pub const fn session_id(&self) -> Option<SessionId> {
        self.session_id
    }
}

impl Caller {
    /// Of a verified token.
    pub(super) const fn new(id: UserId, token: &VerifiedToken) -> Self {
        Self {
            id,
            session_id: token.session_id,
            issued_at: token.issued_at,
            is_anonymous: token.is_anonymous,
            is_elevated: token.is_elevated,
            demands: None,
        }
    }

    /// For an operation that `AUTH_REQUIRE_ELEVATED_CLAIM` protects.
    pub(super) async fn elevated_for(
        mut self,
        app: &App,
        operation: Sensitive,
    ) -> Result<Self, AuthError> {
        self.demands = Some(operation);
        if self.needs_key_count(app)? && security_keys::count(&app.pool, self.id).await? > 0 {
            return Err(ErrorCode::ElevatedClaimRequired.into());
        }
        Ok(self)
    }

    /// For a user whom somebody else's beginning named, from a version that kept nothing else.
    pub const fn unknown(id: UserId) -> Self {
        Self {
            id,
            session_id: None,
            issued_at: None,
            is_anonymous: false,
            is_elevated: true,
            demands: None,
        }
    }

    /// The user, for reading and for checks that come before the write.
    pub const fn id(&self) -> UserId {
        self.id
    }

    /// The session; unknown for tokens that the reference issued.
    pub const fn session_id(&self) -> Option<SessionId> {
        self.session_id
    }

    /// Keeps user and session from ending until the transaction does, if they have not ended yet.
    ///
    /// The user's row is locked first, here as by every ending, so that neither waits for the other
    /// in a circle. With it the number of keys stands still, and elevation is decided again.
    pub async fn lock(&self, app: &App, db: &mut PgConnection) -> Result<LiveCaller, AuthError> {
        self.lock_session(app, db, &[Origin::SignIn]).await
    }

    /// The same for what only ends things, which sessions of personal access tokens may do too.
    pub async fn lock_to_end(
        &self,
        app: &App,
        db: &mut PgConnection,
    ) -> Result<LiveCaller, AuthError> {
        self.lock_session(app, db, &[Origin::SignIn, Origin::PersonalAccessToken]).await
    }

    async fn lock_session(
        &self,
        app: &App,
        db: &mut PgConnection,
        allowed: &[Origin],
    ) -> Result<LiveCaller, AuthError> {
        let user = users::lock(&mut *db, self.id).await?.ok_or_else(not_valid)?;
        if user.disabled {
            return Err(ErrorCode::DisabledUser.into());
        }
        let origin = match self.session_id {
            Some(session_id) => {
                let advanced = app.clock.advanced();
                let session =
                    refresh_tokens::lock_live(&mut *db, session_id, self.id, advanced).await?;
                session.map(|session| {
                    if session.is_from_pat { Origin::PersonalAccessToken } else { Origin::SignIn }
                })
            }
            None => (!credentials::is_changed_since(&mut *db, self.id, self.issued_at).await?)
                .then_some(Origin::SignIn),
        };
        let is_allowed = origin.is_some_and(|origin| allowed.contains(&origin));
        // The token of a guest does not outlive the registration, even where the session does.
        if !is_allowed || (self.is_anonymous && !user.is_anonymous) {
            tracing::debug!(
                user.id = %self.id,
                session.origin = ?origin,
                "bearer token refused: its session has ended, or may not write this"
            );
            return Err(not_valid());
        }
        if self.needs_key_count(app)? && security_keys::count(&mut *db, self.id).await? > 0 {
            return Err(ErrorCode::ElevatedClaimRequired.into());
        }
        Ok(LiveCaller { id: self.id, session_id: self.session_id })
    }

    /// Whether the session lives now: for steps that write nothing yet.
    pub async fn check(&self, app: &App) -> Result<(), AuthError> {
        let mut transaction = app.pool.begin_for(self.id).await?;
        self.lock(app, &mut transaction).await?;
        transaction.rollback().await?;
        Ok(())
    }

    /// Whether it depends on the keys of the user; refused if not even they help.
    fn needs_key_count(&self, app: &App) -> Result<bool, AuthError> {
        let Some(operation) = self.demands else { return Ok(false) };
        match app.config().methods.elevation {
            _ if self.is_elevated => Ok(false),
            Elevation::Disabled => Ok(false),
            Elevation::Required if operation == Sensitive::Ordinary => {
                Err(ErrorCode::ElevatedClaimRequired.into())
            }
            Elevation::Required | Elevation::Recommended => Ok(true),
        }
    }
}

/// What every bearer gets that is not good, whatever is wrong with it.
pub(super) fn not_valid() -> AuthError {
    AuthError::InvalidRequest("Authorization: the bearer token is not valid".to_owned())
}
