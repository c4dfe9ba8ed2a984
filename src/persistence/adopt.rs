//! Looks at schema `auth` as it is found and decides what has to be done, or why nothing may be.

use std::collections::HashSet;
use std::fmt;

use sqlx::PgConnection;

use crate::persistence::reference::REFERENCE_LEVEL;

/// The last level of the reference's Node.js era.
const LAST_NODE_LEVEL: i64 = 17;

/// What the database said about itself.
#[derive(Clone, Debug, Default)]
pub struct Found {
    /// Schema `auth` exists.
    pub schema: bool,
    /// Rows of `auth.schema_migrations` (version, dirty); `None` without the table.
    pub bookkeeping: Option<Vec<(i64, bool)>>,
    /// `max(id)` of `auth.migrations`, 0 when empty; `None` without the table.
    pub node_level: Option<i64>,
    /// Tables, `table.column`, and `table:constraint` of schema `auth`.
    pub structure: HashSet<String>,
}

/// What kind of database this was before we touched it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Situation {
    /// Nothing there; `schema` tells whether schema `auth` existed.
    Empty { schema: bool },
    /// Left by the reference at this level, below the last one.
    Older { level: i64 },
    /// Left by the Node.js era at this level; no newer bookkeeping.
    NodeEra { level: i64 },
    /// Left by the reference in the middle of this step, which turned out complete or repeatable.
    Interrupted { level: i64 },
    /// At the reference's last level (also every start of ours after the first).
    Current,
    /// Migrated further by Nhost Auth.
    NhostAuth { level: i64 },
}

impl fmt::Display for Situation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Empty { schema: false } => f.write_str("empty database"),
            Self::Empty { schema: true } => f.write_str("empty schema auth"),
            Self::Older { level } => write!(f, "reference schema at level {level}"),
            Self::NodeEra { level } => write!(f, "Node.js-era schema at level {level}"),
            Self::Interrupted { level } => write!(f, "interrupted migration to level {level}"),
            Self::Current => write!(f, "reference schema at level {REFERENCE_LEVEL}"),
            Self::NhostAuth { level } => write!(f, "Nhost Auth schema at level {level}"),
        }
    }
}

/// What to do: run the steps after `applied`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Plan {
    pub situation: Situation,
    /// Steps up to this one are in place; 18 or more means that none is missing.
    pub applied: i64,
}

/// Why this database must not be touched, and what the operator can do about it.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Refusal {
    #[error(
        "schema auth has tables but no migration bookkeeping ({}): restore the whole schema \
         including auth.schema_migrations{}",
        seen(*level),
        level.map(|level| format!(
            ", or, if that is right, create it with one row ({level}, false)"
        )).unwrap_or_default()
    )]
    PartialRestore { level: Option<i64> },
    #[error(
        "auth.schema_migrations says level {level}, but the structure is not complete \
         (missing: {missing}): restore the whole schema auth"
    )]
    Incomplete { level: i64, missing: &'static str },
    #[error(
        "auth.schema_migrations is dirty at level {level}, and the step was not applied \
         (missing: {missing}): check the schema, then set the row to ({}, false)",
        level - 1
    )]
    Dirty { level: i64, missing: &'static str },
    #[error(
        "auth.schema_migrations is dirty at level {level}, which belongs to Nhost Auth: \
         let Nhost Auth repair it, or set dirty to false if the step is complete"
    )]
    DirtyNhostAuth { level: i64 },
    #[error("auth.schema_migrations has {rows} rows instead of one")]
    SeveralLevels { rows: usize },
    #[error("auth.migrations says level {level}; the Node.js era ended at {LAST_NODE_LEVEL}")]
    UnknownNodeLevel { level: i64 },
}

fn seen(level: Option<i64>) -> String {
    level.map_or_else(
        || "the structure is of no known level".to_owned(),
        |level| format!("the structure looks like level {level}"),
    )
}

/// Reads what `decide` needs; changes nothing.
///
/// Unchecked statements where the table need not exist when the macros are compiled.
pub async fn inspect(conn: &mut PgConnection) -> sqlx::Result<Found> {
    let there = sqlx::query!(
        r#"
        select to_regnamespace('auth') is not null as "schema!",
               to_regclass('auth.schema_migrations') is not null as "bookkeeping!",
               to_regclass('auth.migrations') is not null as "node_era!"
        "#
    )
    .fetch_one(&mut *conn)
    .await?;
    let mut found = Found { schema: there.schema, ..Found::default() };
    if there.bookkeeping {
        let rows = sqlx::query!("select version, dirty from auth.schema_migrations")
            .fetch_all(&mut *conn)
            .await?;
        found.bookkeeping = Some(rows.iter().map(|row| (row.version, row.dirty)).collect());
    }
    if there.node_era {
        let level = sqlx::query_scalar("select coalesce(max(id), 0)::bigint from auth.migrations")
            .fetch_one(&mut *conn)
            .await?;
        found.node_level = Some(level);
    }
    let names = sqlx::query_scalar!(
        r#"
        select c.relname::text as "name!"
        from pg_class as c
        where c.relnamespace = to_regnamespace('auth') and c.relkind in ('r', 'p')
        union all
        select c.relname || '.' || a.attname
        from pg_class as c inner join pg_attribute as a on a.attrelid = c.oid
        where c.relnamespace = to_regnamespace('auth') and c.relkind in ('r', 'p')
          and a.attnum > 0 and not a.attisdropped
        union all
        select c.relname || ':' || k.conname
        from pg_class as c inner join pg_constraint as k on k.conrelid = c.oid
        where c.relnamespace = to_regnamespace('auth')
        "#
    )
    .fetch_all(&mut *conn)
    .await?;
    found.structure = names.into_iter().collect();
    Ok(found)
}

/// Applies the table of situations.
pub fn decide(found: &Found) -> Result<Plan, Refusal> {
    let rows = found.bookkeeping.as_deref().unwrap_or_default();
    if rows.len() > 1 {
        return Err(Refusal::SeveralLevels { rows: rows.len() });
    }
    match (rows.first().copied().filter(|row| row.0 > 0), found.node_level) {
        (Some((level, true)), _) => decide_dirty(found, level),
        (Some((level, false)), _) if level > REFERENCE_LEVEL => {
            complete(found, REFERENCE_LEVEL, level)?;
            Ok(Plan { situation: Situation::NhostAuth { level }, applied: level })
        }
        (Some((level, false)), _) => {
            complete(found, level, level)?;
            let situation = if level == REFERENCE_LEVEL {
                Situation::Current
            } else {
                Situation::Older { level }
            };
            Ok(Plan { situation, applied: level })
        }
        (None, Some(level)) if level > LAST_NODE_LEVEL => Err(Refusal::UnknownNodeLevel { level }),
        (None, Some(level)) if level > 0 => {
            complete(found, level, level)?;
            Ok(Plan { situation: Situation::NodeEra { level }, applied: level })
        }
        (None, _) => {
            if FIRST_TABLES.iter().any(|table| found.structure.contains(*table)) {
                let level = (1..=REFERENCE_LEVEL)
                    .take_while(|level| missing_of(found, *level).is_none())
                    .last();
                return Err(Refusal::PartialRestore { level });
            }
            Ok(Plan { situation: Situation::Empty { schema: found.schema }, applied: 0 })
        }
    }
}

fn decide_dirty(found: &Found, level: i64) -> Result<Plan, Refusal> {
    if level > REFERENCE_LEVEL {
        return Err(Refusal::DirtyNhostAuth { level });
    }
    complete(found, level - 1, level)?;
    if let Some(missing) = missing_of(found, level) {
        return Err(Refusal::Dirty { level, missing });
    }
    // Steps without a mark of their own can all be repeated, so repeating is as good as knowing.
    let applied = if mark_of(level).is_some() { level } else { level - 1 };
    Ok(Plan { situation: Situation::Interrupted { level }, applied })
}

/// Checks that all steps up to `upto` have left their mark.
fn complete(found: &Found, upto: i64, said: i64) -> Result<(), Refusal> {
    match (1..=upto).find_map(|level| missing_of(found, level)) {
        Some(missing) => Err(Refusal::Incomplete { level: said, missing }),
        None => Ok(()),
    }
}

const FIRST_TABLES: [&str; 7] = [
    "users",
    "roles",
    "user_roles",
    "refresh_tokens",
    "providers",
    "user_providers",
    "provider_requests",
];

/// Something that a step leaves in the structure for ever after, under one of these names;
/// `None` for steps that leave none and may be repeated.
fn mark_of(level: i64) -> Option<&'static [&'static str]> {
    Some(match level {
        1 => &["provider_requests.id"],
        2 => &["users.metadata"],
        4 => &["provider_requests.options"],
        6 => &["user_authenticators.credential_id", "user_security_keys.credential_id"],
        7 => &["user_authenticators.nickname", "user_security_keys.nickname"],
        9 => &["user_security_keys:user_security_key_credential_id_key"],
        11 => &["refresh_tokens.refresh_token_hash"],
        12 => &["refresh_tokens.metadata"],
        13 => &["refresh_tokens.type"],
        14 => &["refresh_tokens:refresh_tokens_types_fkey"],
        15 => &["refresh_tokens.id"],
        _ => return None,
    })
}

fn missing_of(found: &Found, level: i64) -> Option<&'static str> {
    if level == 1
        && let Some(table) = FIRST_TABLES.iter().find(|t| !found.structure.contains(**t))
    {
        return Some(table);
    }
    let names = mark_of(level)?;
    let there = names.iter().any(|name| found.structure.contains(*name));
    if there { None } else { names.last().copied() }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn found_at(level: i64) -> Found {
        let mut structure: HashSet<String> =
            FIRST_TABLES.iter().map(|table| (*table).to_owned()).collect();
        for mark in (1..=level).filter_map(mark_of) {
            structure.insert((*mark.last().unwrap()).to_owned());
        }
        Found { schema: true, structure, ..Found::default() }
    }

    #[test]
    fn every_clean_level_is_taken_at_its_word() {
        for level in 1..=30 {
            let found =
                Found { bookkeeping: Some(vec![(level, false)]), ..found_at(level.min(18)) };
            let plan = decide(&found).unwrap();
            assert_eq!(plan.applied, level);
        }
    }

    #[test]
    fn new_bookkeeping_wins_over_the_node_era_unless_it_is_empty() {
        let both =
            Found { bookkeeping: Some(vec![(18, false)]), node_level: Some(17), ..found_at(18) };
        assert_eq!(decide(&both).unwrap().situation, Situation::Current);
        let half = Found { bookkeeping: Some(vec![]), node_level: Some(9), ..found_at(9) };
        assert_eq!(decide(&half).unwrap().situation, Situation::NodeEra { level: 9 });
    }

    #[test]
    fn an_interrupted_step_is_accepted_only_when_complete_or_repeatable() {
        let complete = Found { bookkeeping: Some(vec![(12, true)]), ..found_at(12) };
        assert_eq!(decide(&complete).unwrap().applied, 12);
        let repeatable = Found { bookkeeping: Some(vec![(16, true)]), ..found_at(15) };
        assert_eq!(decide(&repeatable).unwrap().applied, 15);
        let undone = Found { bookkeeping: Some(vec![(12, true)]), ..found_at(11) };
        let refusal = decide(&undone).unwrap_err();
        assert_eq!(refusal, Refusal::Dirty { level: 12, missing: "refresh_tokens.metadata" });
        assert!(refusal.to_string().contains("set the row to (11, false)"));
        let nhost_auth = Found { bookkeeping: Some(vec![(21, true)]), ..found_at(18) };
        assert_eq!(decide(&nhost_auth).unwrap_err(), Refusal::DirtyNhostAuth { level: 21 });
    }

    #[test]
    fn a_partial_restore_is_refused_with_the_level_it_looks_like() {
        let refusal = decide(&found_at(18)).unwrap_err();
        assert_eq!(refusal, Refusal::PartialRestore { level: Some(18) });
        assert!(refusal.to_string().contains("one row (18, false)"));
        let mut half = found_at(18);
        half.structure.remove("users");
        assert_eq!(decide(&half).unwrap_err(), Refusal::PartialRestore { level: None });
        half.bookkeeping = Some(vec![(18, false)]);
        assert_eq!(decide(&half).unwrap_err(), Refusal::Incomplete { level: 18, missing: "users" });
    }

    #[test]
    fn nothing_at_all_is_a_new_database() {
        let empty = decide(&Found::default()).unwrap();
        assert_eq!(empty, Plan { situation: Situation::Empty { schema: false }, applied: 0 });
        let node = Found { schema: true, node_level: Some(0), ..Found::default() };
        assert_eq!(decide(&node).unwrap().applied, 0);
    }
}
