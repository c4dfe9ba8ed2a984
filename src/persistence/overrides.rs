//! `auth.keywright_settings`, the rows of settings that hold for all nodes.

use std::collections::BTreeMap;

use sqlx::PgExecutor;

/// Values by variable.
pub type Overrides = BTreeMap<String, String>;

/// Begins the names of these rows.
pub const PREFIX: &str = "override.";

/// Tells the change feeds of all nodes that an override has changed. Nodes that do not know the word
/// empty their caches, which does no harm.
pub const CHANGED: &str = "settings";

/// What holds for all nodes.
pub async fn read(db: impl PgExecutor<'_>) -> sqlx::Result<Overrides> {
    let rows = sqlx::query!(
        r#"
        select substr(name, length($1) + 1) as "name!", value
          from auth.keywright_settings where starts_with(name, $1)
        "#,
        PREFIX,
    )
    .fetch_all(db)
    .await?;
    Ok(rows.into_iter().map(|row| (row.name, row.value)).collect())
}

/// Sets these and takes those without a value back, all or nothing, and tells every node.
pub async fn change(
    db: impl PgExecutor<'_>,
    changes: &[(String, Option<String>)],
) -> sqlx::Result<()> {
    let row_of = |name: &str| format!("{PREFIX}{name}");
    let (mut names, mut values, mut back) = (Vec::new(), Vec::new(), Vec::new());
    for (name, value) in changes {
        match value {
            Some(value) => {
                names.push(row_of(name));
                values.push(value.clone());
            }
            None => back.push(row_of(name)),
        }
    }
    sqlx::query!(
        r#"
        with gone as (
            delete from auth.keywright_settings where name = any($1)
        ), put as (
            insert into auth.keywright_settings as s (name, value)
            select * from unnest($2::text[], $3::text[])
            on conflict (name) do update set value = excluded.value, updated_at = now()
        )
        select pg_notify('keywright_changes', $4)
        "#,
        &back,
        &names,
        &values,
        CHANGED,
    )
    .execute(db)
    .await?;
    Ok(())
}
