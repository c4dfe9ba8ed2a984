//! `auth.keywright_nodes`: who is there. The time of a heartbeat is Postgres'.

use std::time::Duration;

use serde_json::Value;
use sqlx::PgExecutor;
use sqlx::types::Json;
use time::OffsetDateTime;
use uuid::Uuid;

use super::overrides::{Overrides, PREFIX};
use super::stored_time::StoredTime;

/// How long the row of a node is kept that is heard of no more.
const KEPT: Duration = Duration::from_hours(1);

/// The most rows that are looked at, those that were heard last: a node that cannot start leaves one
/// for each try.
const MOST: i64 = 200;

/// What a node says of itself.
#[derive(Clone, Debug)]
pub struct Heartbeat<'a> {
    /// Random for each start.
    pub id: Uuid,
    pub name: &'a str,
    pub version: &'a str,
    pub uptime: Duration,
    /// Without one, the address from which Postgres is reached.
    pub host: Option<String>,
    pub port: u16,
    /// Of the listener for operators; without one, as for `host`.
    pub admin_host: Option<String>,
    pub admin_port: Option<u16>,
    /// Its clock at this moment.
    pub now: OffsetDateTime,
    pub fingerprints: Value,
    pub knobs: &'a [String],
    pub digest: Value,
}

/// What Postgres knows of a node.
#[derive(Clone, Debug)]
pub struct NodeRow {
    pub id: Uuid,
    pub name: String,
    pub version: String,
    pub started_at: StoredTime,
    /// From the start to the last heartbeat, in seconds.
    pub uptime_s: f64,
    /// Since the last heartbeat, in seconds.
    pub silent_s: f64,
    pub is_stopped: bool,
    pub host: String,
    pub port: i32,
    pub admin_host: Option<String>,
    pub admin_port: Option<i32>,
    pub clock_ms: i64,
    /// Of another version perhaps, as are those that follow.
    pub fingerprints: Value,
    pub knobs: Vec<String>,
    pub digest: Value,
}

/// What a heartbeat brings back.
#[derive(Clone, Debug, Default)]
pub struct Heard {
    pub nodes: Vec<NodeRow>,
    /// Settings that hold for all nodes.
    pub overrides: Overrides,
}

/// Says that this node lives, and hears who else does and what holds for all; one statement.
pub async fn beat(db: impl PgExecutor<'_>, says: &Heartbeat<'_>) -> sqlx::Result<Heard> {
    let rows = sqlx::query!(
        r#"
        with own as (
            insert into auth.keywright_nodes as n (
                id, name, version, started_at, heartbeat_at, host, port, admin_host, admin_port,
                clock_ms, fingerprints, knobs, digest
            )
            values (
                $1, $2, $3, now() - make_interval(secs => $4), now(),
                coalesce($5, host(inet_client_addr()), '127.0.0.1'), $6,
                case when $8::integer is not null
                     then coalesce($7, host(inet_client_addr()), '127.0.0.1') end, $8,
                extract(epoch from $9::timestamptz - clock_timestamp()) * 1000, $10, $11, $12
            )
            on conflict (id) do update
               set heartbeat_at = excluded.heartbeat_at, clock_ms = excluded.clock_ms,
                   host = excluded.host, port = excluded.port, admin_host = excluded.admin_host,
                   admin_port = excluded.admin_port, fingerprints = excluded.fingerprints, digest = excluded.digest
            returning n.*
        ), others as (
            select * from auth.keywright_nodes
             where id <> $1 and isfinite(heartbeat_at) and isfinite(started_at)
             order by heartbeat_at desc
             limit $14
        ), seen as (
            select * from own union all select * from others
        )
        select id as "id!", name as "name!", version as "version!",
               started_at as "started_at!: StoredTime",
               extract(epoch from heartbeat_at - started_at)::float8 as "uptime_s!",
               extract(epoch from now() - heartbeat_at)::float8 as "silent_s!",
               stopped_at is not null as "is_stopped!",
               host as "host!", port as "port!", admin_host, admin_port, clock_ms as "clock_ms!",
               fingerprints as "fingerprints!", array_remove(knobs, null) as "knobs!",
               digest as "digest!",
               (select coalesce(jsonb_object_agg(substr(name, length($13) + 1), value), '{}')
                  from auth.keywright_settings where starts_with(name, $13))
                   as "overrides!: Json<Overrides>"
          from seen
         order by started_at, id
        "#,
        says.id,
        says.name,
        says.version,
        says.uptime.as_secs_f64(),
        says.host,
        i32::from(says.port),
        says.admin_host,
        says.admin_port.map(i32::from),
        says.now,
        says.fingerprints,
        says.knobs,
        says.digest,
        PREFIX,
        MOST,
    )
    .fetch_all(db)
    .await?;
    let mut heard = Heard::default();
    for row in rows {
        heard.overrides = row.overrides.0;
        heard.nodes.push(NodeRow {
            id: row.id,
            name: row.name,
            version: row.version,
            started_at: row.started_at,
            uptime_s: row.uptime_s,
            silent_s: row.silent_s,
            is_stopped: row.is_stopped,
            host: row.host,
            port: row.port,
            admin_host: row.admin_host,
            admin_port: row.admin_port,
            clock_ms: row.clock_ms,
            fingerprints: row.fingerprints,
            knobs: row.knobs,
            digest: row.digest,
        });
    }
    Ok(heard)
}

/// Everybody whose row is there, in the order of their starts.
pub async fn list(db: impl PgExecutor<'_>) -> sqlx::Result<Vec<NodeRow>> {
    sqlx::query_as!(
        NodeRow,
        r#"
        select id, name, version, started_at as "started_at: StoredTime",
               extract(epoch from heartbeat_at - started_at)::float8 as "uptime_s!",
               extract(epoch from now() - heartbeat_at)::float8 as "silent_s!",
               stopped_at is not null as "is_stopped!",
               host, port, admin_host, admin_port, clock_ms, fingerprints,
               array_remove(knobs, null) as "knobs!", digest
          from (
              select * from auth.keywright_nodes
               where isfinite(heartbeat_at) and isfinite(started_at)
               order by heartbeat_at desc
               limit $1
          ) seen
         order by started_at, id
        "#,
        MOST,
    )
    .fetch_all(db)
    .await
}

/// This node was told to stop; it may still finish what it has begun.
pub async fn stop(db: impl PgExecutor<'_>, id: Uuid) -> sqlx::Result<()> {
    sqlx::query!("update auth.keywright_nodes set stopped_at = now() where id = $1", id)
        .execute(db)
        .await?;
    Ok(())
}

/// Removes the rows of nodes that are gone for so long that nobody looks for them, and those whose time
/// cannot be.
pub async fn forget_gone(db: impl PgExecutor<'_>) -> sqlx::Result<()> {
    sqlx::query!(
        "delete from auth.keywright_nodes \
          where heartbeat_at < now() - make_interval(secs => $1) \
             or heartbeat_at > now() + interval '1 minute'",
        KEPT.as_secs_f64(),
    )
    .execute(db)
    .await?;
    Ok(())
}
