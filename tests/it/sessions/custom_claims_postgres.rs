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

/// A mail that waits holds its link, and who reads a token must not find it there
/// (docs/reference-behaviour.md#claims-are-no-secrets).
#[tokio::test]
async fn neither_our_tables_nor_secrets_become_claims() {
    let secrets = [
        ("keywrightOutbox[].variables.ticket", "s3cret-ticket"),
        ("keywright_outbox[].variables.link", "s3cret-ticket"),
        ("keywrightTickets[].purpose", "s3cret-purpose"),
        ("refreshTokens[].refreshTokenHash", "\\x"),
        ("totpSecret", "s3cret-totp"),
        ("webauthnCurrentChallenge", "s3cret-challenge"),
        ("ticket", "s3cret-old-ticket"),
    ];
    for (path, secret) in secrets {
        let app = start(&json!({"city": path}).to_string()).await;
        let session = app.sign_up("ann@example.com").await.session();
        let id = session.user_id();
        app.database
            .execute(&format!(
                "insert into auth.keywright_outbox \
                        (id, user_id, recipient, template, locale, variables, created_at, expires_at, \
                         next_attempt_at) \
                 values (gen_random_uuid(), '{id}', 'ann@example.com', 'email-verify', 'en', \
                         '{{\"ticket\": \"s3cret-ticket\", \"link\": \"http://x/s3cret-ticket\"}}', \
                         now(), now() + interval '1 hour', now() + interval '1 hour'); \
                 insert into auth.keywright_tickets \
                        (ticket_hash, user_id, purpose, created_at, expires_at) \
                 values ('\\x00', '{id}', 's3cret-purpose', now(), now() + interval '1 hour'); \
                 update auth.users set totp_secret = 's3cret-totp', ticket = 's3cret-old-ticket', \
                        webauthn_current_challenge = 's3cret-challenge'"
            ))
            .await;
        let told = claims(&app.refresh(session.refresh_token()).await.session());
        assert!(!told.to_string().contains(secret), "{path}: {told}");
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

#[tokio::test]
async fn numbers_of_every_type_keep_their_digits() {
    let app = TestApp::start(&[
        (
            "AUTH_JWT_CUSTOM_CLAIMS",
            r#"{"big":"ledger.big","sums":"ledger.sum","json":"ledger.data.n","real":"ledger.real",
                "missing":"ledger.data.no","nowhere":"no.where"}"#,
        ),
        ("AUTH_JWT_CUSTOM_CLAIMS_MISSING", "omit"),
    ])
    .await;
    app.database
        .execute(
            "create table public.ledgers ( \
                 user_id uuid primary key references auth.users (id) on delete cascade, \
                 big bigint, sum numeric(40, 4), data jsonb, \"real\" double precision)",
        )
        .await;
    let session = app.sign_up("ann@example.com").await.session();
    app.database
        .execute(&format!(
            "insert into public.ledgers values ('{}', 9007199254740993, \
                 123456789012345678901234567890.1234, '{{\"n\": 9007199254740993.5}}', 0.1)",
            session.user_id()
        ))
        .await;
    let claims = claims(&app.sign_in("ann@example.com", PASSWORD).await.session());
    for (name, value) in [
        ("big", "9007199254740993"),
        ("sums", "123456789012345678901234567890.1234"),
        ("json", "9007199254740993.5"),
        ("real", "0.1"),
    ] {
        assert_eq!(claims[format!("x-hasura-{name}")], value, "{name} in {claims}");
    }
    for name in ["missing", "nowhere"] {
        assert!(claims.get(format!("x-hasura-{name}")).is_none(), "{claims}");
    }
}
