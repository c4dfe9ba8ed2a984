//! Access tokens: claims as Hasura expects them, laid out once and then only filled in.
//!
//! What never changes is text already: the header and the frame of the payload belong to the key
//! set, the Hasura claims to the cached user. Issuing a token is copying, one base64 pass, one signature.

use std::collections::BTreeMap;
use std::fmt::Write as _;

use uuid::Uuid;

use super::refresh_token::TOKEN_LEN;
use crate::domain::custom_claims::{claim_name, is_reserved};
use crate::domain::ids::{SessionId, UserId};

pub(super) const ALLOWED_ROLES: &str = "x-hasura-allowed-roles";
pub(super) const DEFAULT_ROLE: &str = "x-hasura-default-role";
pub(super) const USER_ID: &str = "x-hasura-user-id";
pub(super) const IS_ANONYMOUS: &str = "x-hasura-user-is-anonymous";
pub(super) const ELEVATED: &str = "x-hasura-auth-elevated";

/// Whom a token speaks for.
#[derive(Clone, Debug)]
pub struct TokenSubject<'a> {
    /// `sub` and `x-hasura-user-id`.
    pub user_id: UserId,
    /// In the order of the response; the default role is appended if it is missing.
    pub roles: &'a [String],
    /// `x-hasura-default-role`.
    pub default_role: &'a str,
    /// `x-hasura-user-is-anonymous`.
    pub is_anonymous: bool,
    /// Whether a second factor was shown just now; such claims must not be cached.
    pub is_elevated: bool,
    /// Custom claims by name, with or without the prefix; they cannot replace those above.
    pub custom: &'a [(String, String)],
}

/// The part of the claims that depends on the user only, as JSON text; made to be cached.
#[derive(Clone, Debug)]
pub struct UserClaims {
    pub(super) subject: [u8; TOKEN_LEN],
    pub(super) hasura: Box<str>,
}

impl UserClaims {
    /// Writes the claims of this user, sorted by name.
    pub fn new(identity: &TokenSubject<'_>) -> Self {
        let mut subject = [0; TOKEN_LEN];
        let id: &str = identity.user_id.0.hyphenated().encode_lower(&mut subject);
        let mut roles: Vec<&str> = identity.roles.iter().map(String::as_str).collect();
        if !roles.contains(&identity.default_role) {
            roles.push(identity.default_role);
        }
        let mut claims = BTreeMap::new();
        for (name, value) in identity.custom {
            let name = claim_name(name);
            // Only a second factor elevates, and nobody but Hasura chooses the role.
            if !is_reserved(&name) {
                claims.insert(name, json(value));
            }
        }
        let roles: Vec<String> = roles.into_iter().map(json).collect();
        claims.insert(ALLOWED_ROLES.to_owned(), format!("[{}]", roles.join(",")));
        claims.insert(DEFAULT_ROLE.to_owned(), json(identity.default_role));
        claims.insert(USER_ID.to_owned(), json(id));
        claims.insert(IS_ANONYMOUS.to_owned(), json(&identity.is_anonymous.to_string()));
        if identity.is_elevated {
            claims.insert(ELEVATED.to_owned(), json(id));
        }
        let mut hasura = String::new();
        for (name, value) in &claims {
            hasura.push(if hasura.is_empty() { '{' } else { ',' });
            write!(hasura, "{}:{value}", json(name)).expect("a String can always be written to");
        }
        hasura.push('}');
        Self { subject, hasura: hasura.into() }
    }

    /// Bytes in memory, for the cache's weigher.
    pub fn weight(&self) -> usize {
        size_of::<Self>() + self.hasura.len()
    }

    /// The user that the claims are about.
    pub fn user_id(&self) -> UserId {
        let id = Uuid::try_parse_ascii(&self.subject).expect("written from a UUID");
        UserId(id)
    }
}

/// The payload with its gaps, for one issuer and namespace; keys are sorted.
#[derive(Clone, Debug)]
pub(super) struct Frame {
    pieces: Vec<(Box<str>, Gap)>,
}

#[derive(Clone, Copy, Debug)]
enum Gap {
    Expiry,
    Hasura,
    IssuedAt,
    Nothing,
    Session,
    Subject,
}

impl Frame {
    pub(super) fn new(issuer: &str, namespace: &str) -> Self {
        let mut members = [
            ("exp", Gap::Expiry),
            ("iat", Gap::IssuedAt),
            ("iss", Gap::Nothing),
            ("sid", Gap::Session),
            ("sub", Gap::Subject),
            (namespace, Gap::Hasura),
        ];
        members.sort_by_key(|(name, _)| *name);
        let mut pieces: Vec<(Box<str>, Gap)> = Vec::with_capacity(members.len() + 1);
        let mut text = String::from("{");
        for (at, (name, gap)) in members.into_iter().enumerate() {
            if at > 0 {
                text.push(',');
            }
            text.push_str(&json(name));
            text.push(':');
            match gap {
                Gap::Nothing => text.push_str(&json(issuer)),
                Gap::Session | Gap::Subject => {
                    text.push('"');
                    pieces.push((std::mem::take(&mut text).into(), gap));
                    text.push('"');
                }
                _ => pieces.push((std::mem::take(&mut text).into(), gap)),
            }
        }
        text.push('}');
        pieces.push((text.into(), Gap::Nothing));
        Self { pieces }
    }

    /// Writes the payload; times are Unix seconds.
    pub(super) fn fill(
        &self,
        claims: &UserClaims,
        session: SessionId,
        issued_at: i64,
        expires_at: i64,
    ) -> String {
        let mut sid = [0; TOKEN_LEN];
        let sid: &str = session.0.hyphenated().encode_lower(&mut sid);
        let fixed: usize = self.pieces.iter().map(|(text, _)| text.len()).sum();
        // Two times of at most 20 digits.
        let capacity = fixed + claims.hasura.len() + 2 * TOKEN_LEN + 40;
        let mut payload = String::with_capacity(capacity);
        for (text, gap) in &self.pieces {
            payload.push_str(text);
            match gap {
                Gap::Expiry => push_number(&mut payload, expires_at),
                Gap::IssuedAt => push_number(&mut payload, issued_at),
                Gap::Hasura => payload.push_str(&claims.hasura),
                Gap::Session => payload.push_str(sid),
                Gap::Subject => payload
                    .push_str(str::from_utf8(&claims.subject).expect("a UUID's text is ASCII")),
                Gap::Nothing => {}
            }
        }
        payload
    }
}

fn push_number(text: &mut String, number: i64) {
    text.push_str(itoa::Buffer::new().format(number));
}

/// Text as a JSON string.
fn json(text: &str) -> String {
    serde_json::to_string(text).expect("text can always be written as JSON")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn identity<'a>(roles: &'a [String], custom: &'a [(String, String)]) -> TokenSubject<'a> {
        TokenSubject {
            user_id: UserId(Uuid::from_u128(0xb00f_4b2d)),
            roles,
            default_role: "user",
            is_anonymous: false,
            is_elevated: false,
            custom,
        }
    }

    fn pair(name: &str, value: &str) -> (String, String) {
        (name.to_owned(), value.to_owned())
    }

    #[test]
    fn the_payload_is_the_contracts_text() {
        let roles = ["me".to_owned(), "user".to_owned(), "edi\"tor".to_owned()];
        let claims = UserClaims::new(&identity(&roles, &[]));
        let frame = Frame::new("hasura-auth", "https://hasura.io/jwt/claims");
        assert_eq!(
            frame.fill(&claims, SessionId(Uuid::from_u128(7)), 1_795_463_263, 1_795_464_163),
            concat!(
                r#"{"exp":1795464163,"https://hasura.io/jwt/claims":{"#,
                r#""x-hasura-allowed-roles":["me","user","edi\"tor"],"#,
                r#""x-hasura-default-role":"user","#,
                r#""x-hasura-user-id":"00000000-0000-0000-0000-0000b00f4b2d","#,
                r#""x-hasura-user-is-anonymous":"false"},"#,
                r#""iat":1795463263,"iss":"hasura-auth","#,
                r#""sid":"00000000-0000-0000-0000-000000000007","#,
                r#""sub":"00000000-0000-0000-0000-0000b00f4b2d"}"#
            )
        );
    }

    #[test]
    fn the_default_role_is_appended_if_it_is_missing() {
        let claims = UserClaims::new(&identity(&["me".to_owned()], &[]));
        assert!(claims.hasura.contains(r#"["me","user"]"#), "{}", claims.hasura);
    }

    #[test]
    fn custom_claims_cannot_replace_ours_in_any_case() {
        let custom = [
            pair("X-Hasura-User-Id", "other"),
            pair("default-role", "admin"),
            pair("auth-elevated", "me"),
            pair("X-HASURA-Auth-Elevated", "me"),
            pair("Org", "{\"a\"}"),
        ];
        let claims = UserClaims::new(&identity(&[], &custom));
        let parsed: BTreeMap<String, serde_json::Value> =
            serde_json::from_str(&claims.hasura).unwrap();
        assert_eq!(parsed.len(), 5, "{parsed:?}");
        assert_eq!(parsed["x-hasura-org"], "{\"a\"}");
        assert_eq!(parsed[DEFAULT_ROLE], "user");
        assert_eq!(parsed[USER_ID], claims.user_id().to_string());
    }

    #[test]
    fn elevation_names_the_user() {
        let elevated = TokenSubject { is_elevated: true, ..identity(&[], &[]) };
        let claims = UserClaims::new(&elevated);
        let parsed: BTreeMap<String, serde_json::Value> =
            serde_json::from_str(&claims.hasura).unwrap();
        assert_eq!(parsed[ELEVATED], parsed[USER_ID]);
    }
}
