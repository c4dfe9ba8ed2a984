//! Databases that must not be touched, and how the operator is told.

use keywright::persistence::migrate::migrate;
use keywright::persistence::pool;

use super::fixtures::*;
use crate::support::postgres::{TestDatabase, config};

async fn refusal(made: i64, said: Option<(i64, bool)>, extra: &str) -> String {
    let db = TestDatabase::empty().await;
    let mut conn = db.connection().await;
    make_levels(&mut conn, made).await;
    match said {
        Some((level, dirty)) => say_level(&mut conn, level, dirty).await,
        None => run(&mut conn, "drop table auth.schema_migrations").await,
    }
    run(&mut conn, extra).await;
    let before = if said.is_some() { structure_if_complete(&mut conn, made).await } else { None };
    let message = migrate(&db.config()).await.unwrap_err().to_string();
    let after = if said.is_some() { structure_if_complete(&mut conn, made).await } else { None };
    assert_eq!(before, after, "nothing was changed");
    assert!(message.starts_with("POSTGRES_CONNECTION: "), "{message}");
    message
}

async fn structure_if_complete(conn: &mut sqlx::PgConnection, made: i64) -> Option<Vec<String>> {
    if made == 18 { Some(structure(conn).await) } else { None }
}

#[tokio::test]
async fn a_step_that_was_interrupted_and_undone_is_refused() {
    let message = refusal(11, Some((12, true)), "select 1").await;
    assert!(message.contains("dirty at level 12"), "{message}");
    assert!(message.contains("(11, false)"), "{message}");
    let message = refusal(18, Some((20, true)), "select 1").await;
    assert!(message.contains("Nhost Auth"), "{message}");
}

#[tokio::test]
async fn a_partial_restore_is_refused() {
    let message = refusal(18, None, "select 1").await;
    assert!(message.contains("looks like level 18"), "{message}");
    let message = refusal(9, None, "drop table auth.provider_requests").await;
    assert!(message.contains("no known level"), "{message}");
    let message = refusal(18, Some((18, false)), "drop table auth.user_roles").await;
    assert!(message.contains("missing: user_roles"), "{message}");
}

#[tokio::test]
async fn an_unreachable_server_names_the_setting() {
    let mut config = config("postgres://nobody@127.0.0.1:9/none");
    let message = migrate(&config).await.unwrap_err().to_string();
    assert!(message.starts_with("POSTGRES_CONNECTION: cannot connect"), "{message}");
    config.migrations_url = Some("postgres:///x?host=/nowhere".into());
    let message = migrate(&config).await.unwrap_err().to_string();
    assert!(message.starts_with("POSTGRES_MIGRATIONS_CONNECTION: cannot connect"), "{message}");
    config.url = "host=a sslmode=x".into();
    let message = migrate(&config).await.unwrap_err().to_string();
    assert!(message.starts_with("POSTGRES_CONNECTION cannot be used"), "{message}");
    assert!(pool::connect(&config).await.is_err());
}
