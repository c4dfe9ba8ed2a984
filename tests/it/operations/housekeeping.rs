//! What nobody can use any more goes, table by table.

use serde_json::json;
use sqlx::AssertSqlSafe;

use crate::support::admin::{Operator, with_admin};
use crate::support::app::TestApp;
use crate::support::house::{sweep, sweeps};
use crate::support::smtp::eventually;
use crate::support::two_nodes::TwoNodes;

/// Fills each table with `count` rows that expired long ago, and one that has not.
const FILL: [(&str, &str); 6] = [
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
    (
        "keywright_counters",
        "insert into auth.keywright_counters
                (key, node, span, slot, current, previous, counted_at, expires_at)
         select sha256(n::text::bytea), 0, 900000, 0, 1, 0, now(), t.at
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

/// Tables in which nothing is over by itself, and why.
const NOT_SWEPT: [(&str, &str); 18] = [
    ("keywright_credentials", "one row a user at the most"),
    ("keywright_migrations", "one row a migration"),
    ("keywright_nodes", "heartbeats remove what is an hour old"),
    ("keywright_provider_refresh_tokens", "ten rows an identity at the most"),
    ("keywright_security_keys", "one row a key"),
    ("keywright_settings", "a few names"),
    ("keywright_signing_keys", "one row a rotation"),
    ("keywright_totp_steps", "one row a user at the most"),
    ("keywright_unproven_links", "one row an identity at the most"),
    ("migrations", "one row a migration"),
    ("provider_requests", "nobody writes it"),
    ("providers", "one row a provider"),
    ("refresh_token_types", "two rows"),
    ("roles", "one row a role"),
    ("schema_migrations", "one row"),
    ("user_providers", "identities end with their user"),
    ("user_roles", "roles end with their user"),
    ("user_security_keys", "keys end with their user"),
];

#[tokio::test]
async fn every_table_is_swept_or_does_not_fill() {
    let app = TestApp::start(&[]).await;
    let tables: Vec<String> = sqlx::query_scalar(
        "select relname::text from pg_class
          where relnamespace = 'auth'::regnamespace and relkind in ('r', 'p') order by 1",
    )
    .fetch_all(&mut app.database.connection().await)
    .await
    .unwrap();
    let swept: Vec<_> =
        app.app().actors.housekeeping.metrics().tables().map(|table| table.name).collect();
    for table in &tables {
        let is_swept = swept.contains(&table.as_str());
        let is_left = NOT_SWEPT.iter().any(|(name, _)| name == table);
        assert!(
            is_swept != is_left,
            "{table} fills, and the housekeeping sweeps it; or it does not, and the test says why"
        );
    }
    for table in swept {
        assert!(tables.iter().any(|name| name == table), "{table}");
    }
}

/// Which of them keep house.
fn who_keeps_house(nodes: &[TestApp; 2]) -> [bool; 2] {
    nodes.each_ref().map(|node| node.app().actors.housekeeping.metrics().keeps_house())
}

#[tokio::test]
async fn one_node_keeps_house_for_all_until_it_is_silent() {
    let two = TwoNodes::start(&[]).await;
    let crash = || {
        for node in &two.nodes {
            node.app().actors.housekeeping.actor().crash();
        }
    };
    eventually("one that keeps house", async || {
        who_keeps_house(&two.nodes).iter().filter(|keeps| **keeps).count() == 1
    })
    .await;
    let [first, second] = if who_keeps_house(&two.nodes)[0] { [0, 1] } else { [1, 0] };
    sweep(&two.nodes[first], "refresh_tokens").await;
    assert_eq!(sweeps(&two.nodes[second], "refresh_tokens"), 0);

    // A third one does, which then is gone.
    let database = &two.nodes[0].database;
    let third = "update auth.keywright_settings set value = 'third', updated_at = now()
                  where name = 'housekeeper'";
    database.execute(third).await;
    crash();
    eventually("nobody here", async || who_keeps_house(&two.nodes) == [false; 2]).await;
    assert_eq!(sweeps(&two.nodes[second], "refresh_tokens"), 0);
    let silent = "update auth.keywright_settings set updated_at = now() - interval '31 seconds'
                   where name = 'housekeeper'";
    database.execute(silent).await;
    two.nodes[second].app().actors.housekeeping.actor().crash();
    eventually("the other one", async || sweeps(&two.nodes[second], "refresh_tokens") > 0).await;
    assert!(who_keeps_house(&two.nodes)[second]);
}
