//! Custom claims straight from Postgres, along foreign keys of `auth.users`.

use serde_json::{Value, json};

use crate::support::app::{PASSWORD, Session, TestApp};
use crate::support::jwt::payload;

fn claims(session: &Session) -> Value {
    payload(session.access_token())["https://hasura.io/jwt/claims"].clone()
}

async fn start(claims: &str) -> TestApp {
    let app = TestApp::start(&[
        ("AUTH_JWT_CUSTOM_CLAIMS", claims),
        ("AUTH_JWT_CUSTOM_CLAIMS_DEFAULTS", r#"{"city":"nowhere"}"#),
        ("AUTH_JWT_CUSTOM_CLAIMS_STALE", "1h"),
    ])
    .await;
    app.database
        .execute(
            "create table public.teams (id int primary key, \"na\"\"me\" text, label text); \
             create table public.members ( \
                 id int generated always as identity primary key, \
                 user_id uuid not null references auth.users (id) on delete cascade, \
                 team_id int not null references public.teams (id), role text); \
             create table public.profiles ( \
                 user_id uuid primary key references auth.users (id) on delete cascade, \
                 city text, details jsonb); \
             insert into public.teams values (1, 'x', 'red'), (2, 'y', 'blue')",
        )
        .await;
    app
}

async fn join_teams(app: &TestApp, session: &Session) {
    let id = session.user_id();
    app.database
        .execute(&format!(
            "insert into public.members (user_id, team_id, role) \
             values ('{id}', 1, 'admin'), ('{id}', 2, 'guest'); \
             insert into public.profiles values ('{id}', 'Brno', '{{\"a\": {{\"b\": 7}}}}')"
        ))
        .await;
}

#[tokio::test]
async fn columns_json_and_tables_around_the_user_become_claims() {
    let app = start(
        r#"{"name":"displayName","plan":"metadata.plan","city":"profile.city","deep":"profiles.details.a.b",
            "teams":"members[].team.id","labels":"members[*].teams.label",
            "admin-of":"members[?(@.role == 'admin')].team.label","own-roles":"roles[].role"}"#,
    )
    .await;
    let options = json!({"displayName": "Ann", "metadata": {"plan": "pro"}});
    let body = json!({"email": "ann@example.com", "password": PASSWORD, "options": options});
    let session = app.post("/signup/email-password", body).await.session();
    let first = claims(&session);
    assert_eq!(first["x-hasura-name"], "Ann");
    assert_eq!(first["x-hasura-city"], "nowhere", "a default, for there is no profile");
    assert_eq!(first["x-hasura-teams"], "{}");

    join_teams(&app, &session).await;
    let session = app.sign_in("ann@example.com", PASSWORD).await.session();
    let refreshed = app.refresh(session.refresh_token()).await.session();
    for session in [session, refreshed] {
        let claims = claims(&session);
        for (name, value) in [
            ("name", "Ann"),
            ("plan", "pro"),
            ("city", "Brno"),
            ("deep", "7"),
            ("teams", "{1,2}"),
            ("labels", r#"{"red","blue"}"#),
            ("admin-of", r#"{"red"}"#),
            ("own-roles", r#"{"me","user","editor"}"#),
        ] {
            assert_eq!(claims[format!("x-hasura-{name}")], value, "{name}: {claims}");
        }
    }
}

/// What cannot be found costs the token that claim, not the user the session.
#[tokio::test]
async fn names_that_lead_nowhere_and_secrets_have_their_defaults() {
    let paths = [
        "nothing",
        "members[].nothing",
        "members[]",
        "passwordHash",
        "userProviders[].accessToken",
    ];
    for path in paths {
        let app = start(&json!({"city": path, "name": "displayName"}).to_string()).await;
        let session = app.sign_up("ann@example.com").await.session();
        join_teams(&app, &session).await;
        let session = app.refresh(session.refresh_token()).await.session();
        let claims = claims(&session);
        assert!(
            ["nowhere", "{}"].iter().any(|default| claims["x-hasura-city"] == *default),
            "{path}: {claims}"
        );
        assert_eq!(claims["x-hasura-name"], "ann@example.com", "{path}: {claims}");
    }
}

#[tokio::test]
async fn a_table_that_changes_is_understood_at_the_next_token() {
    let app = start(r#"{"city":"profile.city"}"#).await;
    let session = app.sign_up("ann@example.com").await.session();
    join_teams(&app, &session).await;
    let now = async || {
        let session = app.sign_in("ann@example.com", PASSWORD).await.session();
        claims(&session)["x-hasura-city"].clone()
    };
    assert_eq!(now().await, "Brno");
    app.database.execute("alter table public.profiles rename column city to town").await;
    // The statement fails once, and the new one finds no such name.
    assert_eq!(now().await, "Brno", "the value that was found last stands in");
    app.database.execute("alter table public.profiles rename column town to city").await;
    app.database.execute("update public.profiles set city = 'Praha'").await;
    assert_eq!(now().await, "Praha");
}
