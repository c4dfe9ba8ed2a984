//! Sessions as clients receive them.

use std::sync::Arc;
use std::time::Duration;

use arc_swap::Guard;
use serde::Serialize;
use serde_json::value::RawValue;
use sqlx::{PgConnection, PgExecutor};
use uuid::Uuid;

use super::custom_claims;
use super::custom_claims::Freshness;
use crate::actors::sessions::cached_user::CachedUser;
use crate::actors::sessions::claims_cache::CachedClaims;
use crate::actors::sessions::feed_lease::Seen;
use crate::app::App;
use crate::domain::error::{AuthError, ErrorCode};
use crate::domain::ids::{SessionId, UserId};
use crate::domain::session_basis::SessionBasis;
use crate::persistence::new_users::FirstSession;
use crate::persistence::sign_ins::{self, NewSession, PresentedTicket};
use crate::persistence::written_user::WrittenUser;
use crate::tokens::access_token::UserClaims;
use crate::tokens::refresh_token::RefreshToken;
use crate::tokens::rotation::SessionRef;

/// `Session` of the contract, ready to be sent.
pub struct IssuedSession {
    access_token: String,
    access_token_expires_in: u64,
    refresh_token: RefreshToken,
    session_id: SessionId,
    user: Arc<CachedUser>,
}

impl IssuedSession {
    /// The refresh token, for redirects that carry it.
    pub fn refresh_token(&self) -> &RefreshToken {
        &self.refresh_token
    }

    /// The payload as a body of its own (`domain::json`).
    ///
    /// Every refresh needs it, and nothing in it needs escaping any more, so it is put together
    /// rather than serialised.
    pub fn body(&self) -> Vec<u8> {
        let user = self.user.session_json().get();
        let mut id = Uuid::encode_buffer();
        let mut body = Vec::with_capacity(self.access_token.len() + user.len() + 256);
        body.extend_from_slice(b"{\"accessToken\":\"");
        body.extend_from_slice(self.access_token.as_bytes());
        body.extend_from_slice(b"\",\"accessTokenExpiresIn\":");
        let expires_in = self.access_token_expires_in;
        body.extend_from_slice(itoa::Buffer::new().format(expires_in).as_bytes());
        body.extend_from_slice(b",\"refreshToken\":\"");
        body.extend_from_slice(self.refresh_token.expose().as_bytes());
        body.extend_from_slice(b"\",\"refreshTokenId\":\"");
        body.extend_from_slice(self.session_id.0.hyphenated().encode_lower(&mut id).as_bytes());
        body.extend_from_slice(b"\",\"user\":");
        body.extend_from_slice(user.as_bytes());
        body.extend_from_slice(b"}\n");
        body
    }
}

impl Serialize for IssuedSession {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        #[derive(Serialize)]
        #[serde(rename_all = "camelCase")]
        struct Session<'a> {
            access_token: &'a str,
            access_token_expires_in: u64,
            refresh_token: &'a str,
            refresh_token_id: SessionId,
            user: &'a RawValue,
        }
        Session {
            access_token: &self.access_token,
            access_token_expires_in: self.access_token_expires_in,
            refresh_token: self.refresh_token.expose(),
            refresh_token_id: self.session_id,
            user: self.user.session_json(),
        }
        .serialize(serializer)
    }
}

/// Why an access token is issued, which decides what is in it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Occasion {
    SignIn,
    /// Custom claims may be as old as the settings say; nothing else differs.
    Refresh,
    /// A second factor was shown just now.
    Elevation,
}

/// Signs an access token for a session whose refresh token is stored already.
pub async fn issue(
    app: &App,
    user: Arc<CachedUser>,
    refresh_token: RefreshToken,
    session_id: SessionId,
    occasion: Occasion,
) -> Result<IssuedSession, AuthError> {
    let config = app.config();
    let lifetime = config.tokens.access_token_lifetime;
    let is_elevated = occasion == Occasion::Elevation;
    let custom = config.claims.custom.clone();
    drop(config);
    let claims = match custom {
        None if !is_elevated => Claims::OfUser(Arc::clone(&user)),
        None => Claims::Own(user.claims_with(&[], true)),
        Some(custom) => {
            let freshness = match occasion {
                Occasion::Refresh => Freshness::Recent,
                Occasion::SignIn | Occasion::Elevation => Freshness::Now,
            };
            // In a box, for it is large and the usual way has no need of it.
            let found = Box::pin(custom_claims::find(app, &user, &custom, freshness)).await;
            found.others(&user, is_elevated).map_or(Claims::Custom(found), Claims::Own)
        }
    };
    let access_token = sign(app, claims, session_id, lifetime).await?;
    Ok(IssuedSession {
        access_token,
        access_token_expires_in: lifetime.as_secs(),
        refresh_token,
        session_id,
        user,
    })
}

/// What an access token says.
enum Claims {
    OfUser(Arc<CachedUser>),
    Custom(Arc<CachedClaims>),
    Own(UserClaims),
}

impl Claims {
    fn get(&self) -> &UserClaims {
        match self {
            Self::OfUser(user) => user.claims(),
            Self::Custom(claims) => claims.prepared(),
            Self::Own(claims) => claims,
        }
    }
}

/// Signs on this thread, or where that takes long on one that nobody else waits for.
async fn sign(
    app: &App,
    claims: Claims,
    session_id: SessionId,
    lifetime: Duration,
) -> Result<String, AuthError> {
    let now = app.clock.now();
    let failed = |error| AuthError::internal("access token not signed", error);
    let keys = app.keys.load();
    if !keys.is_slow() {
        return keys.sign(claims.get(), session_id, now, lifetime).map_err(failed);
    }
    let keys = Guard::into_inner(keys);
    let signing = app.signers.call(move || keys.sign(claims.get(), session_id, now, lifetime));
    let signed = Box::pin(signing).await;
    signed.ok_or_else(|| AuthError::internal("access token not signed", "a panic"))?.map_err(failed)
}

/// A session whose row is written but perhaps not committed yet.
pub struct StartedSession {
    refresh_token: RefreshToken,
    session: SessionRef,
    written: WrittenUser,
    seen: Seen,
}

/// A token for a session that is about to start, and what had been seen of its user before.
pub struct NewToken {
    refresh_token: RefreshToken,
    lifetime: Duration,
    seen: Seen,
}

impl NewToken {
    /// For this user, or for whomever the statement finds.
    pub fn generate(app: &App, user_id: Option<UserId>) -> Self {
        let seen = app.actors.sessions.seen(user_id);
        let lifetime = app.config().tokens.refresh_token_lifetime;
        Self { refresh_token: RefreshToken::generate(), lifetime, seen }
    }

    /// What is written for a user who exists.
    pub fn session(&self, app: &App) -> NewSession {
        let (now, advanced) = (app.clock.now(), app.clock.advanced());
        NewSession { hash: self.refresh_token.hash(), lifetime: self.lifetime, now, advanced }
    }

    /// What is written with a new user.
    pub fn first_session(&self, app: &App) -> FirstSession {
        let (hash, advanced) = (self.refresh_token.hash(), app.clock.advanced());
        FirstSession { hash, lifetime: self.lifetime, advanced }
    }

    /// With what the statement wrote; `None` if it began no session.
    pub fn started(self, written: WrittenUser) -> Option<StartedSession> {
        let session = SessionRef { session_id: written.session_id?, user_id: written.user.id };
        let Self { refresh_token, seen, .. } = self;
        Some(StartedSession { refresh_token, session, written, seen })
    }
}

/// Writes the row of a new session, if what it rests on still holds; the caller owns the transaction.
///
/// Refused as the proof itself would be now.
pub async fn start(
    app: &App,
    db: &mut PgConnection,
    user_id: UserId,
    basis: &SessionBasis,
) -> Result<StartedSession, AuthError> {
    start_on(app, db, user_id, basis).await
}

async fn start_on(
    app: &App,
    db: impl PgExecutor<'_>,
    user_id: UserId,
    basis: &SessionBasis,
) -> Result<StartedSession, AuthError> {
    let token = NewToken::generate(app, Some(user_id));
    let written = sign_ins::begin(db, user_id, token.session(app), basis).await?;
    let started = written.and_then(|written| token.started(written));
    Ok(started.ok_or_else(|| refusal(basis))?)
}

/// What the client is told whose proof has ended meanwhile.
const fn refusal(basis: &SessionBasis) -> ErrorCode {
    match basis {
        SessionBasis::Password(_) | SessionBasis::Identity { .. } => {
            ErrorCode::InvalidEmailPassword
        }
        SessionBasis::UsedUp(_) | SessionBasis::Ticket => ErrorCode::InvalidTicket,
        SessionBasis::PersonalAccessToken(_) => ErrorCode::InvalidPat,
        SessionBasis::SecurityKey(_) | SessionBasis::Phone(_) | SessionBasis::ExchangeCode => {
            ErrorCode::InvalidRequest
        }
    }
}

impl StartedSession {
    /// The session for the client, once its row is committed.
    pub async fn issue(self, app: &App) -> Result<IssuedSession, AuthError> {
        self.issue_for(app, Occasion::SignIn).await
    }

    /// The same for a user who has just shown a second factor, which the access token says.
    pub async fn issue_elevated(self, app: &App) -> Result<IssuedSession, AuthError> {
        self.issue_for(app, Occasion::Elevation).await
    }

    /// What was just written is cached, so that the next refresh has nothing to read.
    async fn issue_for(self, app: &App, occasion: Occasion) -> Result<IssuedSession, AuthError> {
        let Self { refresh_token, session, written, seen } = self;
        let sessions = &app.actors.sessions;
        if written.is_changed {
            // The change feed will say so too, but this client's next request may come before it.
            sessions.users().forget(session.user_id);
        }
        let user = if written.is_final {
            sessions.written(written.user, seen)
        } else {
            // Triggers of an application may have changed the user.
            let user = Box::pin(sessions.user(session.user_id)).await?.ok_or_else(|| {
                AuthError::internal("the user of a new session is gone", "no row")
            })?;
            if user.user.disabled {
                return Err(ErrorCode::DisabledUser.into());
            }
            user
        };
        sessions.started(refresh_token.hash(), session);
        issue(app, user, refresh_token, session.session_id, occasion).await
    }
}

/// Starts a session, in one statement.
pub async fn sign_in(
    app: &App,
    user_id: UserId,
    basis: &SessionBasis,
) -> Result<IssuedSession, AuthError> {
    let turn = app.pool.turn_of(user_id).await?;
    let started = start_on(app, &app.pool, user_id, basis).await?;
    drop(turn);
    started.issue(app).await
}

/// Starts a session for a ticket that it uses up, in one statement; `None` if there is more to do, or
/// the ticket is no good: then nothing was done.
pub async fn sign_in_with_ticket(
    app: &App,
    user_id: UserId,
    ticket: PresentedTicket<'_>,
) -> Result<Option<IssuedSession>, AuthError> {
    let turn = app.pool.turn_of(user_id).await?;
    let token = NewToken::generate(app, Some(user_id));
    let session = token.session(app);
    let written = sign_ins::begin_with_ticket(&app.pool, user_id, session, ticket).await?;
    drop(turn);
    match written.and_then(|written| token.started(written)) {
        Some(started) => started.issue(app).await.map(Some),
        None => Ok(None),
    }
}
