//! A dump that was restored elsewhere: sessions, passwords and keys go on.

use std::sync::Arc;

use serde_json::json;
use tokio::process::Command;

use crate::support::app::{PASSWORD, TestApp, settings};
use crate::support::ceremonies::{ON, sign_in, sign_up};
use crate::support::postgres::TestDatabase;
use crate::support::security_key::SecurityKey;

/// Runs a program of Postgres; `None` if it is older than the server and refuses for that.
async fn run(program: &str, arguments: &[&str]) -> Option<()> {
    let output = Command::new(program).args(arguments).output().await;
    let output = output.unwrap_or_else(|error| panic!("{program}: {error}"));
    let said = String::from_utf8_lossy(&output.stderr);
    if program == "pg_dump" && said.contains("server version mismatch") {
        return None;
    }
    assert!(output.status.success(), "{program}: {said}");
    Some(())
}

/// Everything, in the format for archives, into a database without anything.
async fn archive(from: &TestDatabase, file: &str) -> Option<TestDatabase> {
    run("pg_dump", &["--format=custom", "--file", file, "--dbname", &from.url()]).await?;
    let to = TestDatabase::empty().await;
    run("pg_restore", &["--exit-on-error", "--dbname", &to.url(), file]).await?;
    Some(to)
}

/// Schema `auth` alone, as SQL, into a database that has the extensions.
async fn sql_of_the_schema(from: &TestDatabase, file: &str) -> Option<TestDatabase> {
    run("pg_dump", &["--schema=auth", "--no-owner", "--file", file, "--dbname", &from.url()])
        .await?;
    let to = TestDatabase::empty().await;
    to.execute("create extension citext; create extension pgcrypto").await;
    run("psql", &["--set=ON_ERROR_STOP=1", "--quiet", "--file", file, "--dbname", &to.url()])
        .await?;
    Some(to)
}

#[tokio::test]
async fn what_was_restored_from_a_dump_goes_on_where_it_was() {
    let app = TestApp::start(&[ON]).await;
    let ann = app.sign_up("ann@example.com").await.session();
    let mut key = SecurityKey::new();
    sign_up(&app, "key@example.com", &mut key).await;
    let pat = json!({"expiresAt": "2090-01-01T00:00:00Z", "metadata": {"n": 1}});
    let pat = app.post_as("/pat", ann.access_token(), pat).await.json();
    let id = uuid::Uuid::new_v4();
    let file = |end: &str| format!("{}/kw-dump-{id}.{end}", std::env::temp_dir().display());
    let (binary, text) = (file("dump"), file("sql"));
    let restored =
        [archive(&app.database, &binary).await, sql_of_the_schema(&app.database, &text).await];
    for file in [binary, text] {
        // None if pg_dump refused.
        let _ = std::fs::remove_file(file);
    }
    for database in restored {
        let Some(database) = database else {
            // Programs of PostgreSQL that are older than the server are no use to operators either.
            continue;
        };
        let copy = TestApp::start_on(Arc::new(database), &[ON]).await;
        let refreshed = copy.refresh(ann.refresh_token()).await.session();
        assert_eq!(refreshed.id(), ann.id());
        copy.sign_in("ann@example.com", PASSWORD).await.session();
        let pat = json!({"personalAccessToken": pat["personalAccessToken"]});
        copy.post("/signin/pat", pat).await.session();
        sign_in(&copy, Some("key@example.com"), &mut key).await.session();
        copy.sign_up("ANN@example.com").await.assert_refused(409, "email-already-in-use");
        copy.sign_up("bob@example.com").await.session();
        let doctor = Command::new(env!("CARGO_BIN_EXE_keywright"))
            .arg("doctor")
            .env_clear()
            .envs(settings(&copy.database.url(), &[ON]))
            .output()
            .await
            .unwrap();
        assert!(doctor.status.success(), "{}", String::from_utf8_lossy(&doctor.stdout));
    }
}
