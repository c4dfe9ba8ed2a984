//! The data behind custom claims that name nothing but columns of the user and the roles: a user who
//! was read for the session has it all, and no query is needed.
//!
//! The values are those of `to_jsonb` to the last digit (`tests/it/sessions/claims_of_user.rs`). Times
//! are not among them: their text depends on the session of Postgres.

use std::collections::BTreeMap;

use super::exact_json::ExactJson;
use super::user::User;

/// Reads one column; fails for JSON that is nested too deep for claims.
type Column = fn(&User) -> serde_json::Result<ExactJson>;

/// The columns of `auth.users`, by name, that a [`User`] has.
pub const COLUMNS: [(&str, Column); 13] = [
    ("id", |user| Ok(text(&user.id.to_string()))),
    ("disabled", |user| Ok(ExactJson::Bool(user.disabled))),
    ("display_name", |user| Ok(text(&user.display_name))),
    ("avatar_url", |user| Ok(text(&user.avatar_url))),
    ("locale", |user| Ok(text(&user.locale))),
    ("email", |user| Ok(optional(user.email.as_deref()))),
    ("email_verified", |user| Ok(ExactJson::Bool(user.email_verified))),
    ("phone_number", |user| Ok(optional(user.phone_number.as_deref()))),
    ("phone_number_verified", |user| Ok(ExactJson::Bool(user.phone_number_verified))),
    ("default_role", |user| Ok(text(&user.default_role))),
    ("is_anonymous", |user| Ok(ExactJson::Bool(user.is_anonymous))),
    ("active_mfa_type", |user| Ok(optional(user.active_mfa_type.as_deref()))),
    ("metadata", |user| match &user.metadata {
        Some(json) => serde_json::from_str(json.get()),
        None => Ok(ExactJson::Null),
    }),
];

fn text(value: &str) -> ExactJson {
    ExactJson::String(value.to_owned())
}

fn optional(value: Option<&str>) -> ExactJson {
    value.map_or(ExactJson::Null, text)
}

/// What a selection names, if a [`User`] has all of it.
#[derive(Debug, Default)]
pub struct ClaimsOfUser {
    /// By the name that the selection gives them.
    columns: BTreeMap<String, Column>,
    /// The same for lists of roles, with the names of `auth.user_roles.role` in them.
    roles: BTreeMap<String, Vec<String>>,
}

impl ClaimsOfUser {
    /// Most roles in a claim.
    pub const MAX_ROLES: usize = 1_000;

    /// Adds a column of `auth.users`; tells whether users have it.
    #[must_use]
    pub fn add_column(&mut self, name: &str, column: &str) -> bool {
        let known = COLUMNS.iter().find(|(known, _)| *known == column);
        if let Some((_, read)) = known {
            self.columns.insert(name.to_owned(), *read);
        }
        known.is_some()
    }

    /// Adds a list of the rows of `auth.user_roles`, each of which has its role under these names.
    pub fn add_roles(&mut self, name: &str, names: Vec<String>) {
        self.roles.insert(name.to_owned(), names);
    }

    /// What the selection names of this user.
    pub fn data(&self, user: &User) -> serde_json::Result<ExactJson> {
        let columns = self.columns.iter().map(|(name, read)| Ok((name.clone(), read(user)?)));
        let mut data = columns.collect::<serde_json::Result<BTreeMap<_, _>>>()?;
        for (name, names) in &self.roles {
            let row = |role: &String| {
                ExactJson::Object(names.iter().map(|name| (name.clone(), text(role))).collect())
            };
            data.insert(name.clone(), user.roles.iter().take(Self::MAX_ROLES).map(row).collect());
        }
        Ok(ExactJson::Object(data))
    }
}
