//! `AUTH_STORAGE_COMPATIBILITY`: in which form passwords are stored, and that every form is read.

use std::sync::Arc;

use crate::adoption::fixtures;
use crate::support::app::{PASSWORD, TestApp};
use crate::support::postgres::TestDatabase;

const KEYWRIGHT: (&str, &str) = ("AUTH_STORAGE_COMPATIBILITY", "keywright");
const REFERENCE: (&str, &str) = ("AUTH_STORAGE_COMPATIBILITY", "reference");

/// The only user's hash.
async fn stored(database: &TestDatabase) -> String {
    database.text("select password_hash from auth.users").await.expect("a user with a password")
}

#[tokio::test]
async fn a_database_of_our_own_gets_argon2id() {
    let app = TestApp::start(&[]).await;
    app.sign_up("ann@example.com").await.session();
    let hash = stored(&app.database).await;
    assert!(hash.starts_with("$argon2id$v=19$m=64,t=1,p=1$"), "{hash}");
    app.sign_in("ann@example.com", PASSWORD).await.session();
    assert_eq!(stored(&app.database).await, hash, "what is current is left alone");
}

#[tokio::test]
async fn an_adopted_database_gets_bcrypt_until_the_operator_switches() {
    let database = Arc::new(TestDatabase::empty().await);
    let mut connection = database.connection().await;
    fixtures::make_levels(&mut connection, 18).await;
    fixtures::say_level(&mut connection, 18, false).await;
    drop(connection);
    let app = TestApp::start_on(database.clone(), &[]).await;
    app.sign_up("ann@example.com").await.session();
    let old = stored(&database).await;
    assert!(old.starts_with("$2a$04$") && old.len() == 60, "{old}");
    app.sign_in("ann@example.com", PASSWORD).await.session();
    assert_eq!(stored(&database).await, old);
    app.stop().await;

    let switched = TestApp::start_on(database.clone(), &[KEYWRIGHT]).await;
    let wrong = switched.sign_in("ann@example.com", "wrong-Passw0rd").await;
    wrong.assert_refused(401, "invalid-email-password");
    assert_eq!(stored(&database).await, old, "only its owner upgrades a hash");
    switched.sign_in("ann@example.com", PASSWORD).await.session();
    assert!(stored(&database).await.starts_with("$argon2id$"));
    switched.sign_in("ann@example.com", PASSWORD).await.session();
}

#[tokio::test]
async fn going_back_to_the_reference_reads_argon2id_and_writes_bcrypt() {
    let app = TestApp::start(&[KEYWRIGHT]).await;
    app.sign_up("ann@example.com").await.session();
    let back = TestApp::start_on(app.database.clone(), &[REFERENCE]).await;
    back.sign_in("ann@example.com", PASSWORD).await.session();
    assert!(stored(&app.database).await.starts_with("$2a$04$"));
    back.sign_in("ann@example.com", PASSWORD).await.session();
}

#[tokio::test]
async fn hashes_of_other_costs_and_dialects_are_read_and_rewritten() {
    let app = TestApp::start(&[REFERENCE, ("AUTH_PASSWORD_BCRYPT_COST", "5")]).await;
    app.sign_up("ann@example.com").await.session();
    let app = TestApp::start_on(app.database.clone(), &[KEYWRIGHT]).await;
    app.database
        .execute("update auth.users set password_hash = replace(password_hash, '$2a$', '$2y$')")
        .await;
    app.sign_in("ann@example.com", PASSWORD).await.session();
    assert!(stored(&app.database).await.starts_with("$argon2id$"));
}
