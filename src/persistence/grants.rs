//! Gives our tables to the roles that already use those of the reference.

use sqlx::{AssertSqlSafe, PgConnection};

/// Copies the table privileges on `auth.users` to our own tables and lets the run-time role in;
/// returns the grantees.
///
/// Only roles that may change users get anything: our tables hold a key, tickets and mail, which
/// are not for those who may merely read. PUBLIC gets nothing for the same reason.
pub async fn share_own_tables(
    conn: &mut PgConnection,
    run_time_role: &str,
) -> sqlx::Result<Vec<String>> {
    let mut grantees = Vec::new();
    for grant in missing_grants(conn).await? {
        conn_execute(conn, grant.statement).await?;
        if !grantees.contains(&grant.role) {
            grantees.push(grant.role);
        }
    }
    for statement in run_time_grants(conn, run_time_role).await? {
        conn_execute(conn, statement).await?;
        if !grantees.iter().any(|role| role == run_time_role) {
            grantees.push(run_time_role.to_owned());
        }
    }
    Ok(grantees)
}

struct Grant {
    role: String,
    statement: String,
}

/// What those who may update `auth.users` hold there but not on a table of ours.
async fn missing_grants(conn: &mut PgConnection) -> sqlx::Result<Vec<Grant>> {
    sqlx::query_as!(
        Grant,
        r#"
        with held as (
            select a.grantee, a.privilege_type
            from pg_class as c
            cross join aclexplode(coalesce(c.relacl, acldefault('r', c.relowner))) as a
            where c.oid = to_regclass('auth.users') and a.grantee <> 0
              and a.privilege_type in ('SELECT', 'INSERT', 'UPDATE', 'DELETE', 'TRUNCATE')
        )
        select r.rolname::text as "role!",
               format('grant %s on %s to %I',
                      string_agg(distinct held.privilege_type, ', '),
                      own.oid::regclass, r.rolname) as "statement!"
        from held
        inner join pg_roles as r on r.oid = held.grantee
        cross join pg_class as own
        where own.relnamespace = to_regnamespace('auth') and own.relkind = 'r'
          and starts_with(own.relname, 'keywright_')
          and exists (
              select from held as writer
              where writer.grantee = held.grantee and writer.privilege_type = 'UPDATE'
          )
          and not has_table_privilege(r.oid, own.oid, held.privilege_type)
        group by r.rolname, own.oid
        order by r.rolname, own.oid
        "#
    )
    .fetch_all(conn)
    .await
}

/// What the role of `POSTGRES_CONNECTION` still lacks in schema `auth`, as far as we may give it.
async fn run_time_grants(conn: &mut PgConnection, role: &str) -> sqlx::Result<Vec<String>> {
    sqlx::query_scalar!(
        r#"
        select format('grant usage on schema auth to %I', r.rolname) as "statement!"
        from pg_roles as r
        inner join pg_namespace as n on n.nspname = 'auth'
        where r.rolname = $1 and not has_schema_privilege(r.oid, n.oid, 'USAGE')
          and pg_has_role(n.nspowner, 'USAGE')
        union all
        select format('grant select, insert, update, delete on %s to %I', c.oid::regclass, r.rolname)
        from pg_roles as r
        cross join pg_class as c
        where r.rolname = $1 and c.relnamespace = to_regnamespace('auth') and c.relkind = 'r'
          and c.relname not in ('schema_migrations', 'migrations', 'keywright_migrations')
          and pg_has_role(c.relowner, 'USAGE')
          and not (has_table_privilege(r.oid, c.oid, 'SELECT')
                   and has_table_privilege(r.oid, c.oid, 'INSERT')
                   and has_table_privilege(r.oid, c.oid, 'UPDATE')
                   and has_table_privilege(r.oid, c.oid, 'DELETE'))
        "#,
        role
    )
    .fetch_all(conn)
    .await
}

/// The statements come from `format` with `%I` and `regclass`, which quote.
async fn conn_execute(conn: &mut PgConnection, statement: String) -> sqlx::Result<()> {
    sqlx::query(AssertSqlSafe(statement)).execute(conn).await?;
    Ok(())
}
