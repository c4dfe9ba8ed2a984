//! Keeps refreshes of a session under way: its statement goes slowly until the test lets it go on.
//!
//! A held row does not do: nobody waits for one.

use sqlx::{Connection as _, PgConnection};
use uuid::Uuid;

use super::app::Session;
use super::postgres::TestDatabase;
use super::smtp::eventually;

/// On one session of a database.
pub(crate) struct Brake {
    connection: PgConnection,
    session: Uuid,
}

impl Brake {
    /// From now on.
    pub(crate) async fn on(database: &TestDatabase, session: &Session) -> Self {
        let mut connection = database.connection().await;
        sqlx::raw_sql(
            "create table if not exists public.brakes (session uuid primary key);
             create or replace function public.brake() returns trigger language plpgsql as $$
             begin
                 while exists (select from public.brakes where session = old.id) loop
                     perform pg_sleep(0.01);
                 end loop;
                 return new;
             end $$;
             create or replace trigger brake before update on auth.refresh_tokens
                 for each row execute function public.brake()",
        )
        .execute(&mut connection)
        .await
        .unwrap();
        let session = session.id().parse().unwrap();
        sqlx::query("insert into public.brakes (session) values ($1)")
            .bind(session)
            .execute(&mut connection)
            .await
            .unwrap();
        Self { connection, session }
    }

    /// Waits until that many statements are kept.
    pub(crate) async fn keeps(&mut self, count: i64) {
        let connection = &mut self.connection;
        eventually("statements that are kept", async || {
            let kept: i64 = sqlx::query_scalar(
                "select count(*) from pg_stat_activity
                  where datname = current_database() and wait_event = 'PgSleep'",
            )
            .fetch_one(&mut *connection)
            .await
            .unwrap();
            kept == count
        })
        .await;
    }

    /// They go on.
    pub(crate) async fn release(mut self) {
        sqlx::query("delete from public.brakes where session = $1")
            .bind(self.session)
            .execute(&mut self.connection)
            .await
            .unwrap();
        self.connection.close().await.unwrap();
    }
}
