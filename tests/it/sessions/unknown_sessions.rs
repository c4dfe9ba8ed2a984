//! Sessions that a node has not seen, or whose users may have changed: what they get is what a node
//! that knows them gives.

use std::sync::Arc;

use futures_util::future::join_all;
use sqlx::AssertSqlSafe;

use crate::support::app::{Session, TestApp};
use crate::support::postgres::TestDatabase;
use crate::support::statements::Statements;

/// What a user is, and the refusal where addresses must be verified, and where they need not be.
const USERS: [(&str, Option<&str>, Option<&str>); 6] = [
    ("disabled = true", Some("disabled-user"), Some("disabled-user")),
    ("disabled = false", Some("unverified-user"), None),
    ("email_verified = true", None, None),
    ("email = null", None, None),
    ("email = null, is_anonymous = true", None, None),
    ("disabled = true, email_verified = true", Some("disabled-user"), Some("disabled-user")),
];

#[tokio::test]
async fn a_user_who_may_not_refresh_is_refused_by_a_node_that_has_not_seen_them_and_keeps_the_token()
 {
    let open = TestApp::start(&[]).await;
    let required = [("AUTH_EMAIL_SIGNIN_EMAIL_VERIFIED_REQUIRED", "true")];
    let database = Arc::clone(&open.database);
    let pool = database.pool().await;
    // None of them sees a session before it is asked about it.
    let strict = TestApp::start_on(Arc::clone(&database), &required).await;
    let lenient = TestApp::start_on(Arc::clone(&database), &[]).await;
    let witness = TestApp::start_on(Arc::clone(&database), &required).await;
    for (what, strictly, openly) in USERS {
        for (stranger, refusal) in [(&strict, strictly), (&lenient, openly)] {
            let email = format!("ann-{}@example.com", uuid::Uuid::new_v4());
            let session = open.sign_up(&email).await.session();
            let sql = format!("update auth.users set {what} where id = '{}'", session.user_id());
            sqlx::raw_sql(AssertSqlSafe(sql)).execute(&pool).await.unwrap();
            let token = session.refresh_token();
            // Alone, and several at once.
            for count in [1, 3] {
                let all = join_all((0..count).map(|_| stranger.refresh(token))).await;
                for response in all {
                    match refusal {
                        Some(code) => response.assert_refused(401, code),
                        None => drop(response.session()),
                    }
                }
            }
            let cure = format!(
                "update auth.users set disabled = false, email_verified = true where id = '{}'",
                session.user_id()
            );
            sqlx::raw_sql(AssertSqlSafe(cure)).execute(&pool).await.unwrap();
            witness.refresh(token).await.session();
        }
    }
}

/// A node behind a way on which statements are noted.
async fn noted(database: &TestDatabase) -> (Statements, TestApp) {
    let statements = Statements::to(&database.url()).await;
    let behind = Arc::new(statements.way_to(database));
    let app = TestApp::start_on(behind, &[]).await;
    (statements, app)
}

async fn refreshed(app: &TestApp, session: &Session) -> Session {
    app.refresh(session.refresh_token()).await.session()
}

#[tokio::test]
async fn a_refresh_is_one_statement_whether_or_not_the_node_knows_the_session() {
    let home = TestApp::start(&[]).await;
    let (statements, stranger) = noted(&home.database).await;
    // Its connection opens with the first one.
    refreshed(&stranger, &home.anonymous().await).await;
    let session = home.sign_up("ann@example.com").await.session();
    statements.begin();
    let session = refreshed(&stranger, &session).await;
    assert_eq!(statements.noted().len(), 1, "unknown: {:#?}", statements.noted());
    statements.begin();
    let session = refreshed(&stranger, &session).await;
    assert_eq!(statements.noted().len(), 1, "known: {:#?}", statements.noted());
    // The other node knows the user, and not where the session has come to.
    let session = refreshed(&home, &session).await;
    statements.begin();
    refreshed(&stranger, &session).await;
    assert_eq!(statements.noted().len(), 1, "elsewhere meanwhile: {:#?}", statements.noted());
}

#[tokio::test]
async fn known_and_unknown_sessions_and_nonsense_at_once_each_get_their_own() {
    let home = TestApp::start(&[]).await;
    let stranger = TestApp::start_on(Arc::clone(&home.database), &[]).await;
    let mut tokens = Vec::new();
    for number in 0..12 {
        let session = home.anonymous().await;
        let session = if number % 2 == 0 { refreshed(&stranger, &session).await } else { session };
        tokens.push((session.id().to_owned(), session.refresh_token().to_owned()));
    }
    let nonsense = uuid::Uuid::new_v4().to_string();
    let good = tokens.iter().map(|(_, token)| stranger.refresh(token));
    let bad = (0..4).map(|_| stranger.refresh(&nonsense));
    let (good, bad) = tokio::join!(join_all(good), join_all(bad));
    for ((id, token), response) in tokens.iter().zip(good) {
        let session = response.session();
        assert_eq!(session.id(), id);
        assert_ne!(session.refresh_token(), token);
        home.refresh(session.refresh_token()).await.session();
    }
    for response in bad {
        response.assert_refused(401, "invalid-refresh-token");
    }
}

#[tokio::test]
async fn users_whom_the_node_knows_are_not_read_again_with_sessions_that_come_from_elsewhere() {
    let home = TestApp::start(&[]).await;
    let (statements, stranger) = noted(&home.database).await;
    let mut session = home.anonymous().await;
    // Until the node has seen often enough that it knows whose sessions come.
    for _ in 0..100 {
        session = refreshed(&stranger, &session).await;
        session = refreshed(&home, &session).await;
    }
    statements.begin();
    refreshed(&stranger, &session).await;
    assert_eq!(statements.noted().len(), 1, "at hand: {:#?}", statements.noted());

    // Who is not known after all is read by a statement of their own,
    let new = home.sign_up("ann@example.com").await.session();
    statements.begin();
    let new = refreshed(&stranger, &new).await;
    assert_eq!(statements.noted().len(), 2, "not at hand: {:#?}", statements.noted());
    assert_eq!(new.0["user"]["email"], "ann@example.com");
    // and who may not refresh is refused and keeps the token.
    let disable = format!("update auth.users set disabled = true where id = '{}'", new.user_id());
    let enable = disable.replace("= true", "= false");
    let new = refreshed(&home, &new).await;
    home.database.execute(&disable).await;
    stranger.refresh(new.refresh_token()).await.assert_refused(401, "disabled-user");
    home.database.execute(&enable).await;
    refreshed(&stranger, &new).await;
}
