//! Databases as the reference leaves them, and their structure as text.

use keywright::persistence::reference::{ExtensionSchemas, LEVELS};
use sqlx::{AssertSqlSafe, PgConnection};

/// `$2a$10$` of the password `password`, as the reference stores it.
pub(crate) const BCRYPT: &str = "$2a$10$N9qo8uLOickgx2ZMRZoMyeIjZAgcfl7p92ldGxad68LJZdL17lhWy";
/// The text of a refresh token that exists since before level 15.
pub(crate) const OLD_TOKEN: &str = "6b7b5a7e-3f43-4a0c-9c5e-0e8f5f0f5a01";
/// Its stored hash.
pub(crate) const OLD_TOKEN_USER: &str = "2f6a3e56-0f6e-4f0b-8e4d-6f2f5d1f1a02";

/// Runs statements.
pub(crate) async fn run(conn: &mut PgConnection, sql: &str) {
    sqlx::raw_sql(AssertSqlSafe(sql.to_owned())).execute(conn).await.expect(sql);
}

/// Makes the schema up to a level, without bookkeeping of ours.
pub(crate) async fn make_levels(conn: &mut PgConnection, upto: i64) {
    make_levels_in(conn, upto, "public").await;
}

/// The same with the extensions in another schema, which is on the role's search path meanwhile.
pub(crate) async fn make_levels_in(conn: &mut PgConnection, upto: i64, extensions: &str) {
    run(
        conn,
        "create schema auth;
         create table auth.schema_migrations (version bigint not null primary key,
                                              dirty boolean not null);",
    )
    .await;
    let schemas =
        ExtensionSchemas { citext: extensions.to_owned(), pgcrypto: extensions.to_owned() };
    for level in LEVELS.iter().filter(|level| level.number <= upto) {
        run(conn, &level.sql(&schemas)).await;
    }
}

/// Bookkeeping as the reference writes it.
pub(crate) async fn say_level(conn: &mut PgConnection, level: i64, dirty: bool) {
    run(
        conn,
        &format!(
            "truncate auth.schema_migrations;
             insert into auth.schema_migrations values ({level}, {dirty})"
        ),
    )
    .await;
}

/// Bookkeeping as the Node.js era wrote it, instead of the reference's.
pub(crate) async fn say_node_level(conn: &mut PgConnection, level: i64) {
    run(
        conn,
        &format!(
            "drop table auth.schema_migrations;
             create table auth.migrations (
                 id integer constraint migrations_pkey primary key,
                 name varchar(100) not null constraint migrations_name_key unique,
                 hash varchar(40) not null,
                 executed_at timestamp default current_timestamp);
             insert into auth.migrations (id, name, hash)
             select i, 'step-' || i, repeat('a', 40) from generate_series(0, {level}) as i"
        ),
    )
    .await;
}

/// A user with a role and, where the token is still a column, a session.
pub(crate) async fn add_old_rows(conn: &mut PgConnection, level: i64) {
    let token = if level < 15 {
        format!(
            "insert into auth.refresh_tokens (refresh_token, expires_at, user_id)
             values ('{OLD_TOKEN}', now() + interval '30 days', '{OLD_TOKEN_USER}');"
        )
    } else {
        format!(
            "insert into auth.refresh_tokens (refresh_token_hash, expires_at, user_id)
             values ('\\x' || encode(sha256('{OLD_TOKEN}'::bytea), 'hex'),
                     now() + interval '30 days', '{OLD_TOKEN_USER}');"
        )
    };
    run(
        conn,
        &format!(
            "insert into auth.users (id, locale, email, password_hash, display_name)
             values ('{OLD_TOKEN_USER}', 'en', 'Old@Example.com', '{BCRYPT}', 'Old');
             insert into auth.user_roles (user_id, role) values ('{OLD_TOKEN_USER}', 'user');
             {token}"
        ),
    )
    .await;
}

/// Everything about schema `auth` that other software can see, one fact a line.
pub(crate) async fn structure(conn: &mut PgConnection) -> Vec<String> {
    sqlx::query_scalar(
        "with tables as (
             select oid, relname from pg_class
             where relnamespace = 'auth'::regnamespace and relkind = 'r'
               and relname <> 'migrations' and relname <> 'keywright_migrations'
         )
         select format('column %s.%s %s notnull=%s %s gen=%s', t.relname, a.attname,
                       format_type(a.atttypid, a.atttypmod), a.attnotnull,
                       pg_get_expr(d.adbin, d.adrelid), a.attgenerated)
         from tables as t inner join pg_attribute as a on a.attrelid = t.oid and a.attnum > 0
         left join pg_attrdef as d on d.adrelid = t.oid and d.adnum = a.attnum
         where not a.attisdropped
         union all
         select format('order %s %s', t.relname,
                       string_agg(case when a.attisdropped then '-' else a.attname::text end, ','
                                  order by a.attnum))
         from tables as t inner join pg_attribute as a on a.attrelid = t.oid and a.attnum > 0
         group by t.relname
         union all
         select format('constraint %s %s %s', t.relname, k.conname, pg_get_constraintdef(k.oid))
         from tables as t inner join pg_constraint as k on k.conrelid = t.oid
         union all
         select format('index %s', pg_get_indexdef(i.indexrelid))
         from tables as t inner join pg_index as i on i.indrelid = t.oid
         union all
         select format('trigger %s', pg_get_triggerdef(g.oid))
         from tables as t inner join pg_trigger as g on g.tgrelid = t.oid
         where not g.tgisinternal
         union all
         select format('function %s', pg_get_functiondef(p.oid)) from pg_proc as p
         where p.pronamespace = 'auth'::regnamespace
         union all
         select format('type %s %s %s', y.typname, y.typtype, pg_get_constraintdef(k.oid))
         from pg_type as y left join pg_constraint as k on k.contypid = y.oid
         where y.typnamespace = 'auth'::regnamespace and y.typtype in ('d', 'e')
         union all
         select format('comment %s %s', t.relname, c.description)
         from tables as t inner join pg_description as c
         on c.objoid = t.oid and c.classoid = 'pg_class'::regclass
         where t.relname <> 'schema_migrations'
         union all select 'role ' || role from auth.roles
         union all select 'provider ' || id from auth.providers
         union all select 'token type ' || value || comment from auth.refresh_token_types
         union all select format('level %s %s', version, dirty) from auth.schema_migrations
         order by 1",
    )
    .fetch_all(conn)
    .await
    .unwrap()
}
