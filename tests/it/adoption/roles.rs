//! Roles without all rights, and extensions outside `public`.

use keywright::persistence::migrate::migrate;
use keywright::persistence::pool;
use keywright::persistence::settings;

use super::fixtures::*;
use crate::support::postgres::{TestDatabase, config, unique};

#[tokio::test]
async fn extensions_in_another_schema_are_used_where_they_are() {
    for level in [0, 5, 18] {
        let db = TestDatabase::empty().await;
        let mut conn = db.connection().await;
        run(
            &mut conn,
            "create schema \"Ext ensions\";
             create extension citext with schema \"Ext ensions\";
             create extension pgcrypto with schema \"Ext ensions\";",
        )
        .await;
        if level > 0 {
            run(&mut conn, "set search_path = public, \"Ext ensions\"").await;
            make_levels_in(&mut conn, level, "\"Ext ensions\"").await;
            say_level(&mut conn, level, false).await;
        }
        migrate(&db.config()).await.unwrap();
        let pool = db.pool().await;
        sqlx::query("insert into auth.users (locale, email) values ('en', 'A@b.example')")
            .execute(&pool)
            .await
            .unwrap();
        let found: Option<String> =
            sqlx::query_scalar("select email::text from auth.users where email = $1::text::citext")
                .bind("a@B.example")
                .fetch_optional(&pool)
                .await
                .unwrap();
        assert_eq!(found.as_deref(), Some("A@b.example"));
    }
}

#[tokio::test]
async fn a_separate_run_time_role_and_hasuras_role_get_what_they_need() {
    let db = TestDatabase::empty().await;
    let mut conn = db.connection().await;
    let (app, hasura, reader) = (unique("app"), unique("hasura"), unique("reader"));
    make_levels(&mut conn, 18).await;
    say_level(&mut conn, 18, false).await;
    run(
        &mut conn,
        &format!(
            "create role {app} login; create role {hasura}; create role {reader};
             grant usage on schema auth to {app}, {hasura}, {reader};
             grant select, insert, update, delete on all tables in schema auth to {app};
             grant all on all tables in schema auth to {hasura};
             grant select on all tables in schema auth to {reader};"
        ),
    )
    .await;
    let mut separate = config(&db.url_as(&app));
    separate.migrations_url = Some(db.url().into());
    let report = migrate(&separate).await.unwrap();
    assert_eq!(report.granted_to, [app.clone(), hasura.clone()]);
    assert!(migrate(&separate).await.unwrap().granted_to.is_empty());

    let pool = pool::connect(&separate).await.unwrap();
    settings::get_or_create_key(&pool, settings::StoredKey::Rotation, [7; 32]).await.unwrap();
    sqlx::query("insert into auth.users (locale) values ('en')").execute(&pool).await.unwrap();
    sqlx::query("update auth.users set disabled = true").execute(&pool).await.unwrap();
    sqlx::query("delete from auth.keywright_outbox").execute(&pool).await.unwrap();
    let (hasura_may, reader_may): (bool, bool) = sqlx::query_as(
        "select has_table_privilege($1, 'auth.keywright_tickets', 'delete'),
                has_table_privilege($2, 'auth.keywright_settings', 'select')",
    )
    .bind(&hasura)
    .bind(&reader)
    .fetch_one(&mut conn)
    .await
    .unwrap();
    assert!(hasura_may, "whoever changes users may do so with our triggers and tables");
    assert!(!reader_may, "the rotation key is not for those who merely read");
}

#[tokio::test]
async fn a_run_time_role_works_on_a_new_database_without_further_grants() {
    let db = TestDatabase::empty().await;
    let app = unique("app");
    run(&mut db.connection().await, &format!("create role {app} login")).await;
    let mut separate = config(&db.url_as(&app));
    separate.migrations_url = Some(db.url().into());
    migrate(&separate).await.unwrap();
    let pool = pool::connect(&separate).await.unwrap();
    sqlx::query("insert into auth.users (locale, email) values ('en', 'a@b.example')")
        .execute(&pool)
        .await
        .unwrap();
    settings::get_or_create_key(&pool, settings::StoredKey::Rotation, [7; 32]).await.unwrap();
}

#[tokio::test]
async fn a_role_without_rights_is_told_which_setting_to_change() {
    let db = TestDatabase::empty().await;
    let app = unique("app");
    run(&mut db.connection().await, &format!("create role {app} login")).await;
    let message = migrate(&config(&db.url_as(&app))).await.unwrap_err().to_string();
    assert!(
        message.starts_with(&format!("POSTGRES_CONNECTION: role `{app}` may not")),
        "{message}"
    );
    assert!(message.contains("set POSTGRES_MIGRATIONS_CONNECTION"), "{message}");
    assert!(!db.name().is_empty());
}

#[tokio::test]
async fn the_pool_limits_statements_in_time() {
    let db = TestDatabase::new().await;
    let pool = db.pool().await;
    let (timeout, name): (String, String) = sqlx::query_as(
        "select current_setting('statement_timeout'), current_setting('application_name')",
    )
    .fetch_one(&pool)
    .await
    .unwrap();
    assert_eq!((timeout.as_str(), name.as_str()), ("10s", "keywright"));
}
