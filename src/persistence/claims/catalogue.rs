//! What is in the database, as paths of claims see it.

use std::collections::BTreeMap;

use super::{AUTH, ClaimsQueryError, is_secret};
use crate::persistence::measured_pool::MeasuredPool;

/// Tables and columns of ours in the schema of users: keys, tickets, mail, and what is pending.
const OURS: &str = "keywright_";

pub(super) struct Table {
    pub(super) schema: String,
    pub(super) name: String,
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

pub(super) struct Catalogue {
    tables: BTreeMap<i64, Table>,
    keys: Vec<ForeignKey>,
}

/// A table that a name leads to.
pub(super) struct Relation<'a> {
    pub(super) table: i64,
    pub(super) column: &'a str,
    /// Of the table where the name stands.
    pub(super) own_column: &'a str,
    pub(super) has_many: bool,
}

/// What a name means where it stands.
pub(super) enum Place<'a> {
    Column(&'a str),
    Relation(Relation<'a>),
}

impl Catalogue {
    pub(super) async fn read(pool: &MeasuredPool) -> sqlx::Result<Self> {
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

    pub(super) fn find(&self, schema: &str, name: &str) -> Option<i64> {
        self.tables
            .iter()
            .find(|(_, table)| table.schema == schema && table.name == name)
            .map(|(id, _)| *id)
    }

    /// This table.
    pub(super) fn table(&self, id: i64) -> &Table {
        &self.tables[&id]
    }

    /// What `name` means in this table: a column, also one of JSON with something below it, or else what
    /// a foreign key leads to.
    pub(super) fn resolve(
        &self,
        id: i64,
        name: &str,
        is_leaf: bool,
    ) -> Result<Place<'_>, ClaimsQueryError> {
        let table = &self.tables[&id];
        let column = [name.to_owned(), snake_case(name)]
            .into_iter()
            .find_map(|name| table.columns.get_key_value(&name));
        if let Some((column, is_json)) = column
            && (is_leaf || *is_json)
        {
            if table.schema == AUTH && is_secret(column) {
                return Err(ClaimsQueryError::Secret {
                    table: table.name.clone(),
                    name: column.clone(),
                });
            }
            return Ok(Place::Column(column));
        }
        if is_leaf {
            return Err(ClaimsQueryError::Unknown {
                table: table.name.clone(),
                name: name.to_owned(),
            });
        }
        self.relation(id, name).map(Place::Relation)
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
    fn names_are_translated() {
        assert_eq!(snake_case("displayName"), "display_name");
    }
}
