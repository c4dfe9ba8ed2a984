//! Values of custom claims, straight from the tables around `auth.users`.
//!
//! Paths name columns, and tables that foreign keys lead to: from the key's column without its `_id`
//! or by the name of the table, in snake or camel case. What a table that refers to us holds is an
//! array. Names come from the catalogue and are quoted; the only parameter are the users.

mod catalogue;

use std::fmt::Write as _;
use std::sync::Arc;

use sqlx::{AssertSqlSafe, PgExecutor};
use uuid::Uuid;

use self::catalogue::{Catalogue, Place, Table};
use crate::domain::claim_path::Selection;
use crate::domain::claims_of_user::ClaimsOfUser;
use crate::domain::ids::UserId;
use crate::persistence::measured_pool::MeasuredPool;

/// Most rows of one relationship that become part of a token.
const MAX_ROWS: usize = ClaimsOfUser::MAX_ROLES;
/// Most members of one call of `jsonb_build_object`, which takes 100 arguments.
const MAX_MEMBERS: usize = 50;
/// The schema of users and of everything by which they sign in.
const AUTH: &str = "auth";
/// The tables there that users are read from, also without claims.
const USERS: &str = "users";
const ROLES: &str = "user_roles";
/// How names of columns of that schema end that no token may carry, whatever the settings say.
const SECRET_ENDINGS: [&str; 8] =
    ["password", "hash", "secret", "ticket", "token", "challenge", "public_key", "verifier"];

/// Why paths cannot be followed, or were not.
#[derive(Debug, thiserror::Error)]
pub enum ClaimsQueryError {
    #[error("{table} has neither a column nor a foreign key for {name:?}")]
    Unknown { table: String, name: String },
    #[error("several foreign keys of {table} could be meant by {name:?}")]
    Ambiguous { table: String, name: String },
    #[error("column {name} of {table} is secret")]
    Secret { table: String, name: String },
    #[error("the user is gone")]
    NoUser,
    #[error("Postgres does not respond")]
    Storage(#[source] Arc<sqlx::Error>),
}

impl From<sqlx::Error> for ClaimsQueryError {
    fn from(error: sqlx::Error) -> Self {
        Self::Storage(Arc::new(error))
    }
}

/// One statement that reads what a selection names, for many users at once.
#[derive(Debug)]
pub struct ClaimsQuery {
    sql: Arc<str>,
    of_user: Option<ClaimsOfUser>,
}

/// What was found wrong with names; they are left out, so that their claims have their defaults.
type Problems = Vec<ClaimsQueryError>;

impl ClaimsQuery {
    /// Looks the names up in the catalogue.
    pub async fn prepare(
        pool: &MeasuredPool,
        selection: &Selection,
    ) -> Result<Self, ClaimsQueryError> {
        let catalogue = Catalogue::read(pool).await?;
        let users = catalogue.find(AUTH, USERS).ok_or_else(|| ClaimsQueryError::Unknown {
            table: AUTH.to_owned(),
            name: USERS.to_owned(),
        })?;
        let (mut aliases, mut problems) = (0, Problems::new());
        let object = catalogue.object(users, selection, "t0", &mut aliases, &mut problems);
        for problem in problems {
            tracing::error!(
                error = &problem as &dyn std::error::Error,
                "a custom claim leads nowhere, it has its default"
            );
        }
        // A user is found between itself and itself, as in `refresh_tokens::find_live`, and the result
        // is one row, as of `refresh_tokens::rotate`.
        let sql = format!(
            "select coalesce(array_agg(b.n), '{{}}'), coalesce(array_agg({object}::text), '{{}}') \
               from unnest($1::uuid[]) with ordinality as b (id, n) \
               join auth.users t0 on t0.id >= b.id and t0.id <= b.id"
        );
        Ok(Self { sql: sql.into(), of_user: catalogue.of_user(users, selection) })
    }

    /// How to have the same from a user who was read already, if users have all of it.
    pub fn of_user(&self) -> Option<&ClaimsOfUser> {
        self.of_user.as_ref()
    }

    /// What the rows of these users say, as JSON that is shaped as the selection is; without users that
    /// are gone.
    pub async fn read(
        &self,
        db: impl PgExecutor<'_>,
        users: &[UserId],
    ) -> sqlx::Result<Vec<(UserId, Arc<str>)>> {
        let ids: Vec<Uuid> = users.iter().map(|user| user.0).collect();
        let (places, objects): (Vec<i64>, Vec<String>) =
            sqlx::query_as(AssertSqlSafe(Arc::clone(&self.sql))).bind(ids).fetch_one(db).await?;
        let user =
            |place: i64| users[usize::try_from(place - 1).expect("Postgres numbers rows from one")];
        Ok(places.into_iter().map(user).zip(objects.into_iter().map(Arc::from)).collect())
    }
}

impl Catalogue {
    /// The selection as users have it; `None` if it names more. What leads nowhere is left out.
    fn of_user(&self, users: i64, selection: &Selection) -> Option<ClaimsOfUser> {
        let mut of_user = ClaimsOfUser::default();
        for (name, below) in &selection.fields {
            match self.resolve(users, name, below.fields.is_empty()) {
                Err(_) => {}
                Ok(Place::Column(column)) => {
                    if !of_user.add_column(name, column) {
                        return None;
                    }
                }
                Ok(Place::Relation(relation)) => {
                    let is_of_user = relation.column == "user_id" && relation.own_column == "id";
                    if !(is_roles(self.table(relation.table)) && is_of_user && relation.has_many) {
                        return None;
                    }
                    let mut names = Vec::new();
                    for (name, below) in &below.fields {
                        match self.resolve(relation.table, name, below.fields.is_empty()) {
                            Err(_) => {}
                            Ok(Place::Column("role")) => names.push(name.clone()),
                            Ok(_) => return None,
                        }
                    }
                    of_user.add_roles(name, names);
                }
            }
        }
        Some(of_user)
    }

    /// An expression for the fields of one row.
    fn object(
        &self,
        id: i64,
        selection: &Selection,
        alias: &str,
        aliases: &mut u32,
        problems: &mut Problems,
    ) -> String {
        let mut members = Vec::with_capacity(selection.fields.len());
        for (name, below) in &selection.fields {
            match self.value(id, name, below, alias, aliases, problems) {
                Ok(value) => members.push(format!("{}, {value}", literal(name))),
                Err(problem) => problems.push(problem),
            }
        }
        let calls: Vec<String> = members
            .chunks(MAX_MEMBERS)
            .map(|members| format!("jsonb_build_object({})", members.join(", ")))
            .collect();
        if calls.is_empty() {
            "'{}'::jsonb".to_owned()
        } else {
            format!("({})", calls.join(" || "))
        }
    }

    fn value(
        &self,
        id: i64,
        name: &str,
        below: &Selection,
        alias: &str,
        aliases: &mut u32,
        problems: &mut Problems,
    ) -> Result<String, ClaimsQueryError> {
        let relation = match self.resolve(id, name, below.fields.is_empty())? {
            Place::Column(column) => {
                return Ok(format!("to_jsonb({alias}.{})", identifier(column)));
            }
            Place::Relation(relation) => relation,
        };
        *aliases += 1;
        let inner = format!("t{aliases}");
        let target = self.table(relation.table);
        let order = order(target);
        let object = self.object(relation.table, below, &inner, aliases, problems);
        let mut sql = String::new();
        let (schema, target) = (identifier(&target.schema), identifier(&target.name));
        let (column, own) = (identifier(relation.column), identifier(relation.own_column));
        let rows = format!(
            "(select * from {schema}.{target} x where x.{column} = {alias}.{own} \
             order by {order} limit {MAX_ROWS}) {inner}"
        );
        if relation.has_many {
            write!(sql, "(select coalesce(jsonb_agg({object}), '[]') from {rows})")
        } else {
            write!(sql, "(select {object} from {rows} limit 1)")
        }
        .expect("a String can always be written to");
        Ok(sql)
    }
}

fn is_roles(table: &Table) -> bool {
    table.schema == AUTH && table.name == ROLES
}

/// Roles come in the order that they were given in, as everywhere else.
fn order(table: &Table) -> &'static str {
    if is_roles(table) { "x.created_at, x.role" } else { "x.ctid" }
}

fn is_secret(column: &str) -> bool {
    SECRET_ENDINGS.iter().any(|ending| column.ends_with(ending))
}

fn identifier(name: &str) -> String {
    format!("\"{}\"", name.replace('"', "\"\""))
}

fn literal(text: &str) -> String {
    format!("'{}'", text.replace('\'', "''"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn secrets_are_known_by_their_names_and_times_and_states_are_none() {
        for secret in ["password_hash", "totp_secret", "refresh_token", "client_secret_hash"] {
            assert!(is_secret(secret), "{secret}");
        }
        for plain in ["otp_hash_expires_at", "ticket_expires_at", "active_mfa_type", "metadata"] {
            assert!(!is_secret(plain), "{plain}");
        }
    }

    #[test]
    fn names_are_quoted() {
        assert_eq!(identifier("a\"b"), "\"a\"\"b\"");
        assert_eq!(literal("a'b"), "'a''b'");
    }
}
