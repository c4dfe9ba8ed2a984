//! Through a pooler, and where roles and databases have settings of their own.

use keywright::persistence::connection_string::ConnectionString;
use keywright::persistence::{migrate, pool};
use reqwest::StatusCode;
use rustix::process::Signal;
use serde_json::json;
use sqlx::AssertSqlSafe;

use crate::support::app::{Client, PASSWORD};
use crate::support::pgbouncer::PgBouncer;
use crate::support::postgres::{TestDatabase, config};
use crate::support::process::ServerProcess;

/// Advisory locks of this database; other tests have theirs.
const OUR_LOCKS: &str = "pg_locks as l inner join pg_database as d on d.oid = l.database
    where l.locktype = 'advisory' and d.datname = current_database()";

/// Signs up, signs in, refreshes, reads the user; the refresh token that is held then.
async fn round(client: &Client, email: &str) -> String {
    client.sign_up(email).await.session();
    let session = client.sign_in(email, PASSWORD).await.session();
    let refreshed = client.refresh(session.refresh_token()).await.session();
    let user = client.get_as("/user", refreshed.access_token()).await;
    assert_eq!(user.json()["email"], email, "{user:?}");
    assert!(user.json()["createdAt"].as_str().unwrap().starts_with("20"), "{user:?}");
    refreshed.refresh_token().to_owned()
}

#[tokio::test]
async fn a_server_works_through_pgbouncer_as_it_is_shipped() {
    let direct = TestDatabase::empty().await;
    let pooler = PgBouncer::start(&direct).await;
    let database = pooler
        .database("sslmode=disable&search_path=public&options=-c%20geqo%3Doff&pool_max_conns=6");
    let mut server = ServerProcess::start(&database, &[]).await;
    let held = round(server.client(), "ann@example.com").await;

    // A server that is killed leaves its connections to the pooler; the next start must not wait for
    // anything that they hold.
    server.kill().await;
    let locks = direct.count(&format!("select count(*) from {OUR_LOCKS}")).await;
    assert_eq!(locks, 0, "{}", pooler.log());
    let mut server = ServerProcess::start(&database, &[]).await;
    server.client().refresh(&held).await.session();
    round(server.client(), "bob@example.com").await;
    server.signal(Signal::TERM);
    assert_eq!(server.wait().await, Some(0));
}

/// A pooler gives a connection to the next client together with what it does not reset.
#[tokio::test]
async fn a_migration_leaves_nothing_behind_in_its_session() {
    let direct = TestDatabase::empty().await;
    // One connection for all, of which no more is reset than must be.
    let settings = "server_reset_query = deallocate all\ndefault_pool_size = 1";
    let pooler = PgBouncer::start_with(&direct, settings).await;
    let database = pooler.database("sslmode=disable");
    migrate::migrate(&database.config()).await.unwrap();
    migrate::migrate(&database.config()).await.unwrap();

    let string = ConnectionString::parse(&database.url().into()).unwrap();
    let mut next = string.connect().await.unwrap();
    let question = format!(
        "select (select count(*) from {OUR_LOCKS}), current_setting('lock_timeout'),
                current_setting('statement_timeout')"
    );
    let (locks, lock_timeout, statement_timeout): (i64, String, String) =
        sqlx::query_as(AssertSqlSafe(question)).fetch_one(&mut next).await.unwrap();
    assert_eq!((locks, lock_timeout.as_str(), statement_timeout.as_str()), (0, "0", "0"));
}

/// Whatever changes how values are written.
const STRANGE: [(&str, &str); 8] = [
    ("DateStyle", "SQL, DMY"),
    ("TimeZone", "Asia/Kathmandu"),
    ("IntervalStyle", "sql_standard"),
    ("bytea_output", "escape"),
    ("extra_float_digits", "-15"),
    ("xmloption", "document"),
    ("default_transaction_isolation", "repeatable read"),
    ("client_encoding", "LATIN1"),
];

#[tokio::test]
async fn settings_of_the_database_do_not_change_what_is_read() {
    let database = TestDatabase::empty().await;
    for (name, value) in STRANGE {
        let sql = format!("alter database {} set {name} to '{value}'", database.name());
        database.execute(&sql).await;
    }
    let server = ServerProcess::start(&database, &[]).await;
    round(server.client(), "zoe@example.com").await;
    let metadata = json!({"ratio": 0.1, "name": "हिन्दी"});
    let body = json!({"email": "c@example.com", "password": PASSWORD,
        "options": {"metadata": metadata, "displayName": "Zoë"}});
    let signed_up = server.client().post("/signup/email-password", body).await;
    assert_eq!(signed_up.status, StatusCode::OK, "{signed_up:?}");
    let user = server.client().get_as("/user", signed_up.session().access_token()).await;
    assert_eq!(user.json()["metadata"], metadata);
    assert_eq!(user.json()["displayName"], "Zoë");
}

/// sqlx cannot do without: where it has no cache it leaves every statement behind.
#[tokio::test]
async fn one_statement_at_most_stays_in_a_session_without_a_statement_cache() {
    let database = TestDatabase::new().await;
    for (parameters, is_cached) in [
        ("", true),
        ("default_query_exec_mode=cache_statement", true),
        ("statement_cache_capacity=0", false),
        ("statement_cache_mode=describe", false),
        ("default_query_exec_mode=exec", false),
        ("default_query_exec_mode=describe_exec", false),
    ] {
        let url = format!("{}&{parameters}", database.url());
        let pool = pool::connect(&config(&url)).await.unwrap();
        let mut connection = pool.acquire().await.unwrap();
        let count: i64 = sqlx::query_scalar("select count(*) from pg_prepared_statements")
            .persistent(false)
            .fetch_one(&mut *connection)
            .await
            .unwrap();
        assert_eq!(count > 1, is_cached, "{parameters}: {count}");
    }
}

#[tokio::test]
async fn a_session_setting_that_postgres_refuses_is_named() {
    let database = TestDatabase::new().await;
    for (parameters, name) in [("serach_path=auth", "serach_path"), ("geqo=HUNTER2", "geqo")] {
        let url = format!("{}&{parameters}", database.url());
        let error = migrate::migrate(&config(&url)).await.unwrap_err().to_string();
        assert!(error.contains(name) && !error.contains("HUNTER2"), "{error}");
    }
}
