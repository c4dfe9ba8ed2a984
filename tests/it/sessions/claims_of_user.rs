//! Claims that name nothing but what is read of every user need no query, and are the same.

use std::collections::BTreeMap;

use keywright::domain::claims_of_user::{COLUMNS, ClaimsOfUser};
use keywright::domain::custom_claims::{CustomClaims, Missing};
use keywright::domain::exact_json::ExactJson;
use keywright::domain::ids::UserId;
use keywright::persistence::claims::ClaimsQuery;
use keywright::persistence::users;
use serde_json::{Value, json};
use uuid::Uuid;

use crate::support::app::{PASSWORD, Session, TestApp};
use crate::support::jwt::payload;

/// Columns of `auth.users` for which a query is needed.
const NOT_OF_USER: [&str; 8] = [
    "created_at",
    "updated_at",
    "last_seen",
    "new_email",
    "otp_method_last_used",
    "otp_hash_expires_at",
    "ticket_expires_at",
    "webauthn_current_challenge",
];

/// How names of columns end that no claim may carry, so that there is nothing to compare.
const SECRET: [&str; 5] = ["_hash", "_secret", "ticket", "_challenge", "_token"];

fn claims_of<'a>(paths: impl IntoIterator<Item = &'a str>) -> CustomClaims {
    let paths: BTreeMap<_, _> =
        paths.into_iter().map(|path| (path.to_owned(), path.to_owned())).collect();
    CustomClaims::new(&paths, &BTreeMap::new(), Missing::Null).unwrap().unwrap()
}

fn camel_case(name: &str) -> String {
    let mut parts = name.split('_');
    let first = parts.next().unwrap().to_owned();
    parts.fold(first, |name, part| name + &part[..1].to_uppercase() + &part[1..])
}

/// Users with what is at the ends of what their columns can hold.
const USERS: [&str; 6] = [
    // Nothing that may be null is there.
    "insert into auth.users (id, locale) values ($1, 'en')",
    "insert into auth.users (id, locale, metadata) values ($1, 'de', 'null')",
    "insert into auth.users (id, locale, email, email_verified, display_name, avatar_url, \
                             phone_number, phone_number_verified, disabled, default_role, \
                             is_anonymous, active_mfa_type, metadata) \
     values ($1, 'cs', 'Rehor.O''Neil+X@Example.com', true, E'a\"b\\\\c\\n\\t\\u0001<&>\\u2028 🦊', \
             'https://example.com/?a=1&b=\"2\"', '+420 123', true, true, 'user', false, 'totp', \
             '{\"b\": 1, \"a\": {\"x\": [1, \"2\", null, true, {}]}, \"a\": {\"y\": 2}}')",
    "insert into auth.users (id, locale, metadata) values ($1, 'en', \
         '{\"big\": 9007199254740993, \"huge\": 123456789012345678901234567890.1200, \
           \"tiny\": 1e-30, \"exp\": 1E+25, \"minus\": -0.0, \"one\": 1.0, \"text\": \"\\u00e9\\n\\\\\"}')",
    "insert into auth.users (id, locale, metadata) values ($1, 'en', '[1.50, \"x\", [], \"\"]')",
    "insert into auth.users (id, locale, is_anonymous, display_name, metadata) \
     values ($1, 'en', true, '', '\"just a text\"')",
];

#[tokio::test]
async fn every_column_is_the_same_from_the_row_as_from_the_query() {
    let app = TestApp::start(&[]).await;
    let mut db = app.database.connection().await;
    let mut ids = Vec::new();
    for (n, insert) in USERS.into_iter().enumerate() {
        let id = Uuid::new_v4();
        sqlx::query(insert).bind(id).execute(&mut db).await.expect(insert);
        // Given in another order than they are stored in.
        let give = "insert into auth.user_roles (user_id, role, created_at) \
                    select $1, r.role, now() - r.n * interval '1 hour' \
                      from unnest(array['me', 'user', 'editor', 'anonymous']) with ordinality r (role, n) \
                     where r.n <= $2";
        let roles = i64::try_from(n).unwrap();
        sqlx::query(give).bind(id).bind(roles).execute(&mut db).await.expect(give);
        ids.push(UserId(id));
    }
    let names = COLUMNS.iter().flat_map(|(column, _)| [(*column).to_owned(), camel_case(column)]);
    let paths =
        names.chain(["roles[].role", "userRoles[*].role", "user_role[0].role"].map(Into::into));
    let paths: Vec<String> = paths.collect();
    let claims = claims_of(paths.iter().map(String::as_str));
    let pool = app.database.pool().await;
    let query = ClaimsQuery::prepare(&pool, claims.selection()).await.unwrap();
    let of_user = query.of_user().expect("a user has all of it");
    let by_query: BTreeMap<UserId, _> =
        query.read(&pool, &ids).await.unwrap().into_iter().collect();
    let users = users::find_by_ids(&pool, &ids).await.unwrap();
    assert_eq!((by_query.len(), users.len()), (USERS.len(), USERS.len()));
    for user in users {
        let queried: ExactJson = serde_json::from_str(&by_query[&user.id]).unwrap();
        let of_row = of_user.data(&user).unwrap();
        // Numbers to the last digit, which `==` does not ask for.
        assert_eq!(format!("{of_row:#?}"), format!("{queried:#?}"));
        assert_eq!(claims.values(&of_row), claims.values(&queried));
    }
}

#[tokio::test]
async fn whatever_else_is_named_needs_the_query() {
    let app = TestApp::start(&[]).await;
    app.database
        .execute(
            "create table public.profiles ( \
                 user_id uuid primary key references auth.users (id), city text)",
        )
        .await;
    let pool = app.database.pool().await;
    let of_user = async |paths: &[&str]| {
        let claims = claims_of(paths.iter().copied());
        ClaimsQuery::prepare(&pool, claims.selection()).await.unwrap().of_user().is_some()
    };
    for path in
        ["profile.city", "roles[].createdAt", "roles[].roleByRole.role", "defaultRoleByRole.role"]
    {
        let found = of_user(&["email", path]).await;
        assert!(!found || path.contains("ByRole"), "{path}");
    }
    assert!(of_user(&["email", "no.such.thing", "roles[].nothing", "passwordHash"]).await);
    // Each column of the table is known to be the same, or is not taken from the row.
    let mut db = app.database.connection().await;
    let columns: Vec<String> = sqlx::query_scalar(
        "select column_name::text from information_schema.columns \
          where table_schema = 'auth' and table_name = 'users'",
    )
    .fetch_all(&mut db)
    .await
    .unwrap();
    assert!(columns.len() > COLUMNS.len());
    for column in columns {
        let is_known = COLUMNS.iter().any(|(known, _)| *known == column);
        let is_secret = SECRET.iter().any(|end| column.ends_with(end));
        assert_ne!(is_known, is_secret || NOT_OF_USER.contains(&column.as_str()), "{column}");
        assert_eq!(of_user(&[&column]).await, is_known || is_secret, "{column}");
    }
}

#[tokio::test]
async fn a_table_with_the_name_of_roles_is_not_taken_for_them() {
    let app = TestApp::start(&[]).await;
    app.database
        .execute("create table public.roles (user_id uuid references auth.users (id), role text)")
        .await;
    let pool = app.database.pool().await;
    let claims = claims_of(["roles[].role"]);
    let query = ClaimsQuery::prepare(&pool, claims.selection()).await.unwrap();
    let id = UserId(app.anonymous().await.user_id());
    let queried = query.read(&pool, &[id]).await.unwrap();
    let user = users::find_by_ids(&pool, &[id]).await.unwrap().remove(0);
    // Two tables could be meant, so neither is.
    let of_row = query.of_user().map(|of_user: &ClaimsOfUser| of_user.data(&user).unwrap());
    assert_eq!(&*queried[0].1, "{}");
    assert_eq!(of_row, Some(json!({}).into()));
}

const OF_USER: (&str, &str) = (
    "AUTH_JWT_CUSTOM_CLAIMS",
    r#"{"plan":"metadata.plan","own-roles":"roles[].role","email":"email"}"#,
);

fn claim(session: &Session, name: &str) -> Value {
    let claims = &payload(session.access_token())["https://hasura.io/jwt/claims"];
    claims[format!("x-hasura-{name}")].clone()
}

fn statements(app: &TestApp) -> u64 {
    app.app().actors.claims_reader.stats().batcher("read").sizes().count()
}

async fn refresh(app: &TestApp, session: &Session) -> Session {
    app.refresh(session.refresh_token()).await.session()
}

async fn set_plan(app: &TestApp, session: &Session, plan: &str) {
    let id = session.user_id();
    let metadata = json!({"plan": plan});
    app.database
        .execute(&format!("update auth.users set metadata = '{metadata}' where id = '{id}'"))
        .await;
}

/// Refreshes until the token has this plan, which it must have before long.
async fn until_plan(app: &TestApp, mut session: Session, plan: &str) -> Session {
    for _ in 0..1_000 {
        session = refresh(app, &session).await;
        if claim(&session, "plan") == plan {
            return session;
        }
    }
    panic!("the change never counted");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_refresh_has_them_without_a_statement_and_sees_changes() {
    let app = TestApp::start(&[OF_USER, ("AUTH_JWT_CUSTOM_CLAIMS_MAX_AGE", "1h")]).await;
    let session = app.sign_up("ann@example.com").await.session();
    set_plan(&app, &session, "free").await;
    let mut session = until_plan(&app, session, "free").await;
    let before = statements(&app);
    for _ in 0..20 {
        session = refresh(&app, &session).await;
        assert_eq!(claim(&session, "plan"), "free");
        assert_eq!(claim(&session, "own-roles"), r#"{"me","user","editor"}"#);
        assert_eq!(claim(&session, "email"), "ann@example.com");
    }
    set_plan(&app, &session, "pro").await;
    let session = until_plan(&app, session, "pro").await;
    let id = session.user_id();
    let roles = format!("delete from auth.user_roles where user_id = '{id}' and role <> 'user'");
    app.database.execute(&roles).await;
    set_plan(&app, &session, "team").await;
    let session = until_plan(&app, session, "team").await;
    assert_eq!(claim(&session, "own-roles"), r#"{"user"}"#);
    // A row that changes while it is read is not kept, so that the next one may ask.
    let asked = statements(&app) - before;
    assert!(asked <= 5, "{asked} statements");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_sign_in_asks_and_sees_what_was_committed_before_it() {
    let app = TestApp::start(&[OF_USER]).await;
    let session = app.sign_up("ann@example.com").await.session();
    for plan in ["a", "b", "c", "d"] {
        set_plan(&app, &session, plan).await;
        let before = statements(&app);
        let signed_in = app.sign_in("ann@example.com", PASSWORD).await.session();
        assert_eq!(claim(&signed_in, "plan"), plan);
        assert_eq!(statements(&app), before + 1);
    }
}

/// Whoever allows claims no age at all wants to be asked about each.
#[tokio::test(flavor = "multi_thread")]
async fn without_a_cache_each_refresh_asks_and_sees_what_was_committed_before_it() {
    let app = TestApp::start(&[OF_USER, ("AUTH_JWT_CUSTOM_CLAIMS_MAX_AGE", "0s")]).await;
    let mut session = app.anonymous().await;
    for plan in ["a", "b", "c", "d"] {
        set_plan(&app, &session, plan).await;
        let before = statements(&app);
        session = refresh(&app, &session).await;
        assert_eq!(claim(&session, "plan"), plan);
        assert_eq!(statements(&app), before + 1);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn without_the_change_feed_a_refresh_asks() {
    let slow = ("AUTH_ACTOR_BACKOFF_MIN", "1h");
    let app = TestApp::start(&[OF_USER, slow, ("AUTH_ACTOR_BACKOFF_MAX", "1h")]).await;
    let mut session = app.anonymous().await;
    app.app().actors.change_feed.kill();
    let users = app.app().actors.sessions.users();
    crate::support::smtp::eventually("the lease to end", async || !users.is_served()).await;
    for plan in ["a", "b", "c"] {
        set_plan(&app, &session, plan).await;
        app.clock.advance(time::Duration::seconds(2));
        session = refresh(&app, &session).await;
        assert_eq!(claim(&session, "plan"), plan);
    }
}
