//! A database of its own for a test, cloned from the migrated one that `DATABASE_URL` names.

use sqlx::{AssertSqlSafe, Connection, PgConnection, PgPool};
use url::Url;

/// The database; the cluster it lives in is thrown away as a whole.
pub(crate) struct TestDatabase {
    pool: PgPool,
}

impl TestDatabase {
    pub(crate) async fn new() -> Self {
        let template: Url = option_env!("DATABASE_URL")
            .unwrap_or("postgres://postgres@127.0.0.1:54329/keywright_dev")
            .parse()
            .expect("DATABASE_URL is a URL");
        let mut admin_url = template.clone();
        admin_url.set_path("/postgres");
        let mut admin =
            PgConnection::connect(admin_url.as_str()).await.expect("the cluster is running");
        let name = format!("keywright_test_{}", uuid::Uuid::new_v4().simple());
        let sql =
            format!("create database {name} template {}", template.path().trim_start_matches('/'));
        // Refused while anybody is connected to the template.
        let mut tries = 0;
        while let Err(error) = sqlx::query(AssertSqlSafe(sql.clone())).execute(&mut admin).await {
            tries += 1;
            assert!(tries < 2_000, "{error}");
        }
        let mut url = template;
        url.set_path(&name);
        Self { pool: PgPool::connect(url.as_str()).await.expect("it was made just now") }
    }

    pub(crate) fn pool(&self) -> PgPool {
        self.pool.clone()
    }
}
