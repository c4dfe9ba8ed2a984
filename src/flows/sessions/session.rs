//! Sessions as clients receive them.

use std::sync::Arc;
use std::time::Duration;

use arc_swap::Guard;
use serde::Serialize;
use serde_json::value::RawValue;
use sqlx::PgConnection;
use uuid::Uuid;

use super::custom_claims;
use super::custom_claims::Freshness;
use crate::actors::sessions::cached_user::CachedUser;
use crate::actors::sessions::claims_cache::CachedClaims;
use crate::app::App;
use crate::domain::error::{AuthError, ErrorCode};
use crate::domain::ids::{SessionId, UserId};
use crate::domain::session_basis::SessionBasis;
use crate::persistence::refresh_tokens::NewSession;
use crate::persistence::{refresh_tokens, users};
use crate::tokens::access_token::UserClaims;
use crate::tokens::refresh_token::RefreshToken;

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
    user_id: UserId,
    refresh_token: RefreshToken,
    session_id: SessionId,
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
    let now = app.clock.now();
    let (advanced, lifetime) = (app.clock.advanced(), app.config().tokens.refresh_token_lifetime);
    let refresh_token = RefreshToken::generate();
    let hash = refresh_token.hash();
    let session = NewSession { user_id, hash, lifetime, basis };
    let session_id = refresh_tokens::insert(&mut *db, session, advanced).await?;
    let session_id = session_id.ok_or_else(|| refusal(basis))?;
    users::record_seen(&mut *db, user_id, now).await?;
    Ok(StartedSession { user_id, refresh_token, session_id })
}

/// What the client is told whose proof has ended meanwhile.
const fn refusal(basis: &SessionBasis) -> ErrorCode {
    match basis {
        SessionBasis::Password(_) | SessionBasis::Identity(_) | SessionBasis::NewUser => {
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

    async fn issue_for(self, app: &App, occasion: Occasion) -> Result<IssuedSession, AuthError> {
        let user =
            app.actors.sessions.user(self.user_id).await?.ok_or_else(|| {
                AuthError::internal("the user of a new session is gone", "no row")
            })?;
        issue(app, user, self.refresh_token, self.session_id, occasion).await
    }
}

/// Starts a session in a transaction of its own.
pub async fn sign_in(
    app: &App,
    user_id: UserId,
    basis: &SessionBasis,
) -> Result<IssuedSession, AuthError> {
    let mut transaction = app.pool.begin_for(user_id).await?;
    let started = start(app, &mut transaction, user_id, basis).await?;
    transaction.commit().await?;
    started.issue(app).await
}
