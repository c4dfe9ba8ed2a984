//! What nobody can use any more goes, table by table.

use serde_json::json;
use sqlx::AssertSqlSafe;

use crate::support::admin::{Operator, with_admin};
use crate::support::app::TestApp;
use crate::support::smtp::eventually;

/// Fills each table with `count` rows that expired long ago, and one that has not.
const FILL: [(&str, &str); 5] = [
    (
        "keywright_tickets",
        "insert into auth.keywright_tickets (ticket_hash, user_id, purpose, created_at, expires_at)
         select sha256(n::text::bytea), u.id, 'purpose-' || n, now(), t.at
           from auth.users u, (
                select n, now() - interval '1 day' as at from generate_series(1, $1::int) n
                union all select 0, now() + interval '1 day') t (n, at)",
    ),
    (
        "keywright_challenges",
        "insert into auth.keywright_challenges (challenge, purpose, data, created_at, expires_at)
         select sha256(n::text::bytea), 'sign-in', '{}', now(), t.at
           from (select n, now() - interval '1 day' as at from generate_series(1, $1::int) n
                union all select 0, now() + interval '1 day') t (n, at)",
    ),
    (
        "keywright_used_challenges",
        "insert into auth.keywright_used_challenges (challenge, expires_at)
         select sha256(n::text::bytea), t.at
           from (select n, now() - interval '1 day' as at from generate_series(1, $1::int) n
                union all select 0, now() + interval '1 day') t (n, at)",
    ),
    (
        "keywright_outbox",
        "insert into auth.keywright_outbox
                (id, recipient, template, locale, variables, created_at, expires_at, next_attempt_at)
         select gen_random_uuid(), 'a@example.com', 'email-verify', 'en', '{}', now(), t.at,
                now() + interval '1 day'
           from (select n, now() - interval '1 day' as at from generate_series(1, $1::int) n
                union all select 0, now() + interval '1 day') t (n, at)",
    ),
    (
        "keywright_recipients",
        "insert into auth.keywright_recipients (recipient, sent_at, expires_at)
         select sha256(n::text::bytea), array[now()], t.at
           from (select n, now() - interval '1 day' as at from generate_series(1, $1::int) n
                union all select 0, now() + interval '1 day') t (n, at)",
    ),
];

#[tokio::test]
async fn expired_rows_of_every_table_are_removed_in_batches_and_counted() {
    let app = TestApp::start(&with_admin(&[])).await;
    app.anonymous().await;
    let mut db = app.database.connection().await;
    // More than two batches.
    let expired = 2_500_i64;
    for (table, fill) in FILL {
        let rows = i32::try_from(expired).unwrap();
        sqlx::query(fill)
            .bind(rows)
            .execute(&mut db)
            .await
            .unwrap_or_else(|e| panic!("{table}: {e}"));
    }
    // A new incarnation looks at every table at once.
    app.app().actors.housekeeping.actor().crash();
    let operator = Operator::of(&app);
    for (table, _) in FILL {
        eventually("only the row that is in time", async || {
            let count = format!("select count(*) from auth.{table}");
            let left: i64 = sqlx::query_scalar(AssertSqlSafe(count))
                .fetch_one(&mut app.database.connection().await)
                .await
                .unwrap();
            left == 1
        })
        .await;
        let name = format!("keywright_housekeeping_removed_rows_total{{table=\"{table}\"}}");
        eventually("a count", async || operator.metrics().await.count(&name) == expired).await;
    }
    assert_eq!(operator.get("/ops/actors").await.json()["degraded"], json!([]));
}

#[tokio::test]
async fn a_row_that_somebody_holds_does_not_keep_the_others() {
    let app = TestApp::start(&with_admin(&[])).await;
    let mut db = app.database.connection().await;
    let (_, fill) = FILL[1];
    // A sweep that happens to come in between leaves nothing to hold.
    loop {
        sqlx::raw_sql("delete from auth.keywright_challenges").execute(&mut db).await.unwrap();
        sqlx::query(fill).bind(10_i32).execute(&mut db).await.unwrap();
        sqlx::raw_sql("begin").execute(&mut db).await.unwrap();
        let held = sqlx::query(
            "select 1 from auth.keywright_challenges
              where expires_at < now() order by challenge limit 1 for update",
        );
        if held.fetch_optional(&mut db).await.unwrap().is_some() {
            break;
        }
        sqlx::raw_sql("rollback").execute(&mut db).await.unwrap();
    }
    app.app().actors.housekeeping.actor().crash();
    let mut other = app.database.connection().await;
    eventually("the held row, and the one that is in time", async || {
        let left: i64 = sqlx::query_scalar("select count(*) from auth.keywright_challenges")
            .fetch_one(&mut other)
            .await
            .unwrap();
        left == 2
    })
    .await;
}
