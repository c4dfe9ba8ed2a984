//! Others write into the tables that we read: values at the ends of their types, or that make no
//! sense. They cost at most the request of the row's owner, and never a panic.

use futures_util::future::join_all;
use reqwest::StatusCode;
use sqlx::AssertSqlSafe;

use crate::support::app::{PASSWORD, TestApp};

/// A column that is read, and the extremes of its type as literals.
struct Column {
    table: String,
    name: String,
    extremes: &'static [&'static str],
}

/// By the type's name in `pg_type`. A type that is not here is a new one, and the test says so.
const EXTREMES: [(&str, &[&str]); 13] = [
    (
        "timestamptz",
        &[
            "'infinity'",
            "'-infinity'",
            "'4713-01-01 00:00+00 BC'",
            "'294276-12-31 23:59:59.999999+00'",
            "'10000-01-01 00:00+00'",
            "'0001-01-01 00:00+00 BC'",
        ],
    ),
    ("int8", &["9223372036854775807", "-9223372036854775808"]),
    ("int4", &["2147483647", "-2147483648"]),
    ("int2", &["32767", "-32768"]),
    ("bool", &["true", "false"]),
    ("uuid", &["'00000000-0000-0000-0000-000000000000'", "'ffffffff-ffff-ffff-ffff-ffffffffffff'"]),
    ("text", &["''", "repeat('\u{10ffff}', 100000)", "E'\\x01\\n\\t\"\\\\'"]),
    ("varchar", &["''", "'zz'"]),
    ("citext", &["''", "E'\\x01'"]),
    ("bytea", &["'\\x'", "decode(repeat('ff', 100000), 'hex')"]),
    (
        "jsonb",
        &[
            "'null'",
            "'[]'",
            "'{}'",
            "'1e1000'",
            "'\"\\\\ud83d\\\\ude00\"'",
            "(repeat('[', 5000) || repeat(']', 5000))::jsonb",
        ],
    ),
    ("_text", &["'{}'", "'{NULL}'"]),
    ("_timestamptz", &["'{}'", "'{NULL}'", "'{infinity,-infinity}'"]),
];

/// Tables whose rows somebody else than us may write, by all that Keywright reads of them. Bookkeeping
/// of migrations and settings is the operator's own affair.
const LEFT_OUT: [&str; 4] =
    ["schema_migrations", "migrations", "keywright_migrations", "keywright_settings"];

async fn columns(app: &TestApp) -> Vec<Column> {
    let found: Vec<(String, String, String)> = sqlx::query_as(
        "select c.relname::text, a.attname::text,
                case t.typtype when 'd' then b.typname::text else t.typname::text end
           from pg_attribute a
           join pg_class c on c.oid = a.attrelid and c.relkind in ('r', 'p')
           join pg_namespace n on n.oid = c.relnamespace and n.nspname = 'auth'
           join pg_type t on t.oid = a.atttypid
           left join pg_type b on b.oid = t.typbasetype
          where a.attnum > 0 and not a.attisdropped and a.attgenerated = ''
          order by 1, a.attnum",
    )
    .fetch_all(&mut app.database.connection().await)
    .await
    .unwrap();
    let found = found.into_iter().filter(|(table, ..)| !LEFT_OUT.contains(&table.as_str()));
    found
        .map(|(table, name, of_type)| {
            let extremes = EXTREMES.iter().find(|(name, _)| *name == of_type);
            let (_, extremes) =
                extremes.unwrap_or_else(|| panic!("{table}.{name}: extremes of {of_type}"));
            Column { table, name, extremes }
        })
        .collect()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_extremes_of_every_column_cost_nobody_else_anything() {
    let app = TestApp::start(&[("AUTH_USER_CACHE_MIB", "1")]).await;
    let bad_one = app.sign_up("bad@example.com").await.session();
    let good_one = app.sign_up("good@example.com").await.session();
    let fill = format!(
        "insert into auth.keywright_credentials (user_id, changed_at)
              values ('{id}', now() - interval '1 day')
         on conflict do nothing;
         insert into auth.keywright_outbox
                (id, user_id, recipient, template, locale, variables, created_at, expires_at,
                 next_attempt_at)
              values (gen_random_uuid(), '{id}', 'bad@example.com', 'email-verify', 'en', '{{}}',
                      now(), now() + interval '1 hour', now() + interval '1 hour')",
        id = bad_one.user_id()
    );
    app.database.execute(&fill).await;
    let mut db = app.database.connection().await;
    let (mut tried, mut refused) = (0, 0);
    for column in columns(&app).await {
        // Fresh ones, since tokens of some minutes ago are good no more.
        let bad = app.sign_in("bad@example.com", PASSWORD).await.session();
        let good = app.anonymous().await;
        for extreme in column.extremes {
            // Undone at the end of the turn, so that each has a table that is right otherwise.
            let keep = format!(
                "drop table if exists kept; create temporary table kept as select * from auth.{}",
                column.table
            );
            sqlx::raw_sql(AssertSqlSafe(keep)).execute(&mut db).await.unwrap();
            let whose = match column.table.as_str() {
                "users" => format!("where id = '{}'", bad.user_id()),
                "refresh_tokens" | "user_roles" | "keywright_credentials" => {
                    format!("where user_id = '{}'", bad.user_id())
                }
                _ => String::new(),
            };
            let Column { table, name, .. } = &column;
            let update = format!("update auth.{table} set {name} = {extreme} {whose}");
            if sqlx::raw_sql(AssertSqlSafe(update)).execute(&mut db).await.is_err() {
                // A rule of the schema keeps it out.
                refused += 1;
                continue;
            }
            tried += 1;
            let what = format!("{table}.{name} = {extreme}");
            let (of_bad, of_good) = tokio::join!(
                join_all([app.refresh(bad.refresh_token()), app.refresh(bad.refresh_token()),]),
                join_all([app.refresh(good.refresh_token()), app.refresh(good.refresh_token()),]),
            );
            for response in of_good {
                assert_eq!(response.status, StatusCode::OK, "{what}: {response:?}");
            }
            let signed_in = app.sign_in("bad@example.com", PASSWORD).await;
            let shown = app.get_as("/user", bad.access_token()).await;
            let keys = app.get_as("/user/webauthn/keys", bad.access_token()).await;
            for response in of_bad.iter().chain([&signed_in, &shown, &keys]) {
                assert_ne!(
                    response.status,
                    StatusCode::INTERNAL_SERVER_ERROR,
                    "{what}: {response:?}"
                );
                assert_ne!(
                    response.status,
                    StatusCode::SERVICE_UNAVAILABLE,
                    "{what}: {response:?}"
                );
            }
            assert_eq!(app.get_as("/user", good_one.access_token()).await.status, StatusCode::OK);
            restore(&app, &mut db, table).await;
        }
    }
    assert!(tried > 100, "{tried} tried, {refused} refused by the schema");
}

/// Puts the rows back as they were.
async fn restore(app: &TestApp, db: &mut sqlx::PgConnection, table: &str) {
    let columns: Vec<String> = sqlx::query_scalar(
        "select quote_ident(attname) from pg_attribute
          where attrelid = ('auth.' || $1)::regclass and attnum > 0 and not attisdropped
            and attgenerated = ''",
    )
    .bind(table)
    .fetch_all(&mut *db)
    .await
    .unwrap();
    let columns = columns.join(", ");
    let sql = format!(
        "begin; set local session_replication_role = replica; delete from auth.{table};
         insert into auth.{table} ({columns}) select {columns} from kept; commit;
         select pg_notify('keywright_changes', 'all')"
    );
    sqlx::raw_sql(AssertSqlSafe(sql)).execute(db).await.unwrap();
    // Nothing of the bad row stays in a cache.
    app.app().actors.sessions.users().forget_all();
}
