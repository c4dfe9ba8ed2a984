//! Values of custom claims, straight from the tables around `auth.users`.
//!
//! Paths name columns, and tables that foreign keys lead to: from the key's column without its `_id`
//! or by the name of the table, in snake or camel case. What a table that refers to us holds is an
//! array. Names come from the catalogue and are quoted; the only parameter is the user.

use std::collections::BTreeMap;
use std::fmt::Write as _;

use sqlx::AssertSqlSafe;
use sqlx::types::Json;

use crate::domain::claim_path::Selection;
use crate::domain::exact_json::ExactJson;
use crate::domain::ids::UserId;
use crate::persistence::measured_pool::MeasuredPool;

/// Most rows of one relationship that become part of a token.
const MAX_ROWS: u32 = 1_000;
/// Most members of one call of `jsonb_build_object`, which takes 100 arguments.
const MAX_MEMBERS: usize = 50;
/// The schema of users and of everything by which they sign in.
const AUTH: &str = "auth";
/// Tables and columns of ours in that schema: keys, tickets, mail, and what is pending.
const OURS: &str = "keywright_";
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
    Storage(#[from] sqlx::Error),
}

/// One statement that reads what a selection names.
#[derive(Debug)]
pub struct ClaimsQuery {
    sql: String,
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
        let users = catalogue.find(AUTH, "users").ok_or_else(|| ClaimsQueryError::Unknown {
            table: AUTH.to_owned(),
            name: "users".to_owned(),
        })?;
        let (mut aliases, mut problems) = (0, Problems::new());
        let object = catalogue.object(users, selection, "t0", &mut aliases, &mut problems);
        for problem in problems {
            tracing::error!(
                error = &problem as &dyn std::error::Error,
                "a custom claim leads nowhere, it has its default"
            );
        }
        Ok(Self { sql: format!("select {object} from auth.users t0 where t0.id = $1") })
    }

    /// What the user's rows say, shaped as the selection is.
    pub async fn read(
        &self,
        pool: &MeasuredPool,
        user: UserId,
    ) -> Result<ExactJson, ClaimsQueryError> {
        let found = sqlx::query_scalar::<_, Json<ExactJson>>(AssertSqlSafe(self.sql.as_str()))
            .bind(user.0)
            .fetch_optional(pool)
            .await?;
        found.map(|Json(user)| user).ok_or(ClaimsQueryError::NoUser)
    }
}

struct Table {
    schema: String,
    name: String,
    /// With whether they hold JSON.
    columns: BTreeMap<String, bool>,
}

struct ForeignKey {
    from: i64,
    from_column: String,
    to: i64,
    to_column: String,
    /// At most one row refers to each.
    is_unique: bool,
}

struct Catalogue {
    tables: BTreeMap<i64, Table>,
    keys: Vec<ForeignKey>,
}

/// A table that a name leads to.
struct Relation<'a> {
    table: i64,
    column: &'a str,
    /// Of the table where the name stands.
    own_column: &'a str,
    has_many: bool,
}

impl Catalogue {
    async fn read(pool: &MeasuredPool) -> sqlx::Result<Self> {
        let columns = sqlx::query!(
            r#"
            select c.oid::bigint as "table!", n.nspname::text as "schema!", c.relname::text as "name!",
                   a.attname::text as "column!",
                   a.atttypid in ('json'::regtype, 'jsonb'::regtype) as "is_json!"
              from pg_attribute a
              join pg_class c on c.oid = a.attrelid
              join pg_namespace n on n.oid = c.relnamespace
             where c.relkind in ('r', 'p') and a.attnum > 0 and not a.attisdropped
               and n.nspname not in ('pg_catalog', 'information_schema')
            "#,
        )
        .fetch_all(pool)
        .await?;
        let mut tables = BTreeMap::new();
        for row in columns {
            if row.schema == AUTH && (row.name.starts_with(OURS) || row.column.starts_with(OURS)) {
                continue;
            }
            let table = tables.entry(row.table).or_insert_with(|| Table {
                schema: row.schema,
                name: row.name,
                columns: BTreeMap::new(),
            });
            table.columns.insert(row.column, row.is_json);
        }
        let keys = sqlx::query_as!(
            ForeignKey,
            r#"
            select k.conrelid::bigint as "from!", f.attname::text as "from_column!",
                   k.confrelid::bigint as "to!", t.attname::text as "to_column!",
                   exists (
                       select from pg_index i
                        where i.indrelid = k.conrelid and i.indisunique and i.indnkeyatts = 1
                          and i.indkey[0] = k.conkey[1] and i.indpred is null
                   ) as "is_unique!"
              from pg_constraint k
              join pg_attribute f on f.attrelid = k.conrelid and f.attnum = k.conkey[1]
              join pg_attribute t on t.attrelid = k.confrelid and t.attnum = k.confkey[1]
             where k.contype = 'f' and cardinality(k.conkey) = 1
            "#,
        )
        .fetch_all(pool)
        .await?;
        Ok(Self { tables, keys })
    }

    fn find(&self, schema: &str, name: &str) -> Option<i64> {
        self.tables
            .iter()
            .find(|(_, table)| table.schema == schema && table.name == name)
            .map(|(id, _)| *id)
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
        let table = &self.tables[&id];
        let column = [name.to_owned(), snake_case(name)]
            .into_iter()
            .find_map(|name| table.columns.get_key_value(&name));
        if let Some((column, is_json)) = column
            && (below.fields.is_empty() || *is_json)
        {
            if table.schema == AUTH && is_secret(column) {
                return Err(ClaimsQueryError::Secret {
                    table: table.name.clone(),
                    name: column.clone(),
                });
            }
            return Ok(format!("to_jsonb({alias}.{})", identifier(column)));
        }
        if below.fields.is_empty() {
            return Err(ClaimsQueryError::Unknown {
                table: table.name.clone(),
                name: name.to_owned(),
            });
        }
        let relation = self.relation(id, name)?;
        *aliases += 1;
        let inner = format!("t{aliases}");
        let target = &self.tables[&relation.table];
        let object = self.object(relation.table, below, &inner, aliases, problems);
        let mut sql = String::new();
        let (schema, target) = (identifier(&target.schema), identifier(&target.name));
        let (column, own) = (identifier(relation.column), identifier(relation.own_column));
        let rows = format!(
            "(select * from {schema}.{target} x where x.{column} = {alias}.{own} \
             order by x.ctid limit {MAX_ROWS}) {inner}"
        );
        if relation.has_many {
            write!(sql, "(select coalesce(jsonb_agg({object}), '[]') from {rows})")
        } else {
            write!(sql, "(select {object} from {rows} limit 1)")
        }
        .expect("a String can always be written to");
        Ok(sql)
    }

    /// The one foreign key that the name can mean: one of our columns, else of another table's, else
    /// by the name of the table that ours leads to.
    fn relation(&self, id: i64, name: &str) -> Result<Relation<'_>, ClaimsQueryError> {
        let snake = snake_case(name);
        let is_called = |candidate: &str| candidate == name || candidate == snake;
        let own = &self.tables[&id];
        let (mut by_column, mut by_source, mut by_target) = (Vec::new(), Vec::new(), Vec::new());
        for key in &self.keys {
            let (Some(source), Some(target)) =
                (self.tables.get(&key.from), self.tables.get(&key.to))
            else {
                continue;
            };
            let to_one = Relation {
                table: key.to,
                column: &key.to_column,
                own_column: &key.from_column,
                has_many: false,
            };
            let to_many = Relation {
                table: key.from,
                column: &key.from_column,
                own_column: &key.to_column,
                has_many: !key.is_unique,
            };
            let column = key.from_column.strip_suffix("_id").unwrap_or(&key.from_column);
            if key.from == id && is_called(column) {
                by_column.push(to_one);
            } else if key.from == id && is_called(&target.name) {
                by_target.push(to_one);
            }
            if key.to == id && source.is_called_by(own, is_called) {
                by_source.push(to_many);
            }
        }
        let (table, name) = (own.name.clone(), name.to_owned());
        let found = [by_column, by_source, by_target].into_iter().find(|found| !found.is_empty());
        match found {
            None => Err(ClaimsQueryError::Unknown { table, name }),
            Some(mut one) if one.len() == 1 => Ok(one.remove(0)),
            Some(_) => Err(ClaimsQueryError::Ambiguous { table, name }),
        }
    }
}

impl Table {
    /// Whether a name means this table where it refers to `other`: in singular or plural, and
    /// `auth.user_roles` are the `roles` of users.
    fn is_called_by(&self, other: &Self, is_called: impl Fn(&str) -> bool) -> bool {
        let singular = other.name.strip_suffix('s').unwrap_or(&other.name);
        let bare = self.name.strip_prefix(singular).and_then(|rest| rest.strip_prefix('_'));
        [Some(self.name.as_str()), bare].into_iter().flatten().any(|known| {
            let one = known.strip_suffix('s').unwrap_or(known);
            is_called(known) || is_called(one) || is_called(&format!("{known}s"))
        })
    }
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

fn snake_case(name: &str) -> String {
    let mut snake = String::with_capacity(name.len() + 4);
    for c in name.chars() {
        if c.is_ascii_uppercase() {
            snake.push('_');
        }
        snake.push(c.to_ascii_lowercase());
    }
    snake
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
    fn names_are_quoted_and_translated() {
        assert_eq!(identifier("a\"b"), "\"a\"\"b\"");
        assert_eq!(literal("a'b"), "'a''b'");
        assert_eq!(snake_case("displayName"), "display_name");
    }
}
