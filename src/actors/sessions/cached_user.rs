//! A user as the hot path needs it: the row, and what every refresh sends of it, prepared once.

use std::sync::OnceLock;

use bytes::Bytes;
use serde::Serialize;
use serde_json::value::RawValue;
use time::OffsetDateTime;

use crate::domain::json;
use crate::domain::user::User;
use crate::tokens::access_token::{TokenSubject, UserClaims};

/// A user read from Postgres with its prepared texts.
pub struct CachedUser {
    pub user: User,
    session_json: OnceLock<Box<RawValue>>,
    profile: OnceLock<Bytes>,
    claims: OnceLock<UserClaims>,
}

impl CachedUser {
    /// Wraps what was read.
    pub fn new(user: User) -> Self {
        let (session_json, profile) = (OnceLock::new(), OnceLock::new());
        Self { user, session_json, profile, claims: OnceLock::new() }
    }

    /// The `user` member of a session payload, spelled as bodies are (`domain::json`).
    pub fn session_json(&self) -> &RawValue {
        self.session_json.get_or_init(|| {
            let roles = self.user.token_roles();
            to_raw(&UserJson::new(&self.user, &roles, self.user.metadata.as_deref()))
        })
    }

    /// The body of `GET /user`: roles as stored, and `{}` where no metadata was ever written.
    pub fn profile(&self) -> Bytes {
        let profile = self.profile.get_or_init(|| {
            let roles: Vec<&str> = self.user.roles.iter().map(String::as_str).collect();
            let empty = to_raw(&serde_json::Map::new());
            let metadata = match self.user.metadata.as_deref() {
                Some(json) if json.get().starts_with('{') || json.get() == "null" => json,
                _ => &empty,
            };
            json::body(&UserJson::new(&self.user, &roles, Some(metadata))).expect(SERIALISES)
        });
        profile.clone()
    }

    /// The user's part of an access token.
    pub fn claims(&self) -> &UserClaims {
        self.claims.get_or_init(|| self.claims_with(&[], false))
    }

    /// The same with custom claims, for a user who has just shown a second factor or has not.
    pub fn claims_with(&self, custom: &[(String, String)], is_elevated: bool) -> UserClaims {
        UserClaims::new(&TokenSubject {
            user_id: self.user.id,
            roles: &self.user.roles,
            default_role: &self.user.default_role,
            is_anonymous: self.user.is_anonymous,
            is_elevated,
            custom,
        })
    }

    /// Estimate of the memory that this value keeps in the cache, with its prepared texts, in bytes.
    ///
    /// Of a million users with an address and two roles a node took 1,520 bytes each, and with the
    /// body of `GET /user` 500 more (docs/speed.md tells how it was measured).
    pub fn memory_bytes(&self) -> usize {
        // Two of the prepared texts repeat the row. The rest is names of members, the claims, and
        // what the cache has of its own.
        3 * self.user.memory_bytes() + 850
    }
}

const SERIALISES: &str = "strings, numbers and raw JSON always serialise";

fn to_raw(value: &impl Serialize) -> Box<RawValue> {
    json::raw(value).expect(SERIALISES)
}

/// `User` of the contract.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct UserJson<'a> {
    active_mfa_type: Option<&'a str>,
    avatar_url: &'a str,
    #[serde(with = "time::serde::rfc3339")]
    created_at: OffsetDateTime,
    default_role: &'a str,
    display_name: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    email: Option<&'a str>,
    email_verified: bool,
    id: crate::domain::ids::UserId,
    is_anonymous: bool,
    locale: &'a str,
    metadata: Option<&'a RawValue>,
    #[serde(skip_serializing_if = "Option::is_none")]
    phone_number: Option<&'a str>,
    phone_number_verified: bool,
    roles: &'a [&'a str],
}

impl<'a> UserJson<'a> {
    fn new(user: &'a User, roles: &'a [&'a str], metadata: Option<&'a RawValue>) -> Self {
        Self {
            active_mfa_type: user.active_mfa_type.as_deref(),
            avatar_url: &user.avatar_url,
            created_at: user.created_at,
            default_role: &user.default_role,
            display_name: &user.display_name,
            email: user.email.as_deref(),
            email_verified: user.email_verified,
            id: user.id,
            is_anonymous: user.is_anonymous,
            locale: &user.locale,
            metadata,
            phone_number: user.phone_number.as_deref(),
            phone_number_verified: user.phone_number_verified,
            roles,
        }
    }
}
