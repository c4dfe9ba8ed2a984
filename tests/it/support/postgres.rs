//! A database of its own for each test, on one throw-away server for each test process.
//!
//! Nothing stays behind: the throw-away server takes its databases with it, and on a server that the
//! environment names a second process drops them, together with the roles, when this one has ended.

use std::process::{Child, Command, Stdio};
use std::sync::OnceLock;
use std::time::Duration;

use keywright::config::DatabaseConfig;
use keywright::persistence::embedded::{EmbeddedOptions, EmbeddedPostgres};
use keywright::persistence::measured_pool::MeasuredPool;
use keywright::persistence::{migrate, pool};
use secrecy::SecretString;
use sqlx::{AssertSqlSafe, Connection, PgConnection};
use url::Url;
use uuid::Uuid;

use super::tool;

static SERVER: OnceLock<Server> = OnceLock::new();

/// The server for tests that the environment names.
const ELSEWHERE: &str = "KEYWRIGHT_TEST_POSTGRES";
/// Tells the process that drops databases which process made them.
const LEFT_BY: &str = "KEYWRIGHT_TEST_LEFT_BY";
/// The test that is that process.
const DROPPER: &str = "support::postgres::drop_what_the_tests_made";

/// Our own cluster, which ends with the process, or the one that the environment names.
enum Server {
    Embedded { cluster: EmbeddedPostgres, template: String },
    Elsewhere { url: Url, template: String, _dropper: Child },
}

/// An empty or migrated database that no other test sees.
pub(crate) struct TestDatabase {
    url: String,
    name: String,
}

impl TestDatabase {
    /// Migrated, as `keywright` leaves a new database.
    pub(crate) async fn new() -> Self {
        let template = server().template().to_owned();
        Self::create(&format!("template {template}")).await
    }

    /// The same, as if the reference had made it.
    pub(crate) async fn adopted() -> Self {
        let database = Self::new().await;
        database
            .execute("update auth.keywright_settings set value = 'adopted' where name = 'origin'")
            .await;
        database
    }

    /// Without schema `auth` and extensions.
    pub(crate) async fn empty() -> Self {
        Self::create("template template0").await
    }

    /// The same in an encoding that has few characters.
    pub(crate) async fn latin1() -> Self {
        Self::create("template template0 encoding 'LATIN1' lc_collate 'C' lc_ctype 'C'").await
    }

    /// One that exists elsewhere, or this one by another way.
    pub(crate) fn at(url: String, name: &str) -> Self {
        Self { url, name: name.to_owned() }
    }

    /// A connection URL with all rights.
    pub(crate) fn url(&self) -> String {
        self.url.clone()
    }

    /// The name of the database.
    pub(crate) fn name(&self) -> &str {
        &self.name
    }

    /// Settings that point here.
    pub(crate) fn config(&self) -> DatabaseConfig {
        config(&self.url)
    }

    /// A small pool, as the server would open it.
    pub(crate) async fn pool(&self) -> MeasuredPool {
        pool::connect(&self.config()).await.unwrap()
    }

    /// A single plain connection.
    pub(crate) async fn connection(&self) -> PgConnection {
        PgConnection::connect(&self.url).await.unwrap()
    }

    /// Runs statements with all rights, as an administrator would.
    pub(crate) async fn execute(&self, sql: &str) {
        let mut connection = self.connection().await;
        sqlx::raw_sql(AssertSqlSafe(sql.to_owned())).execute(&mut connection).await.expect(sql);
        connection.close().await.unwrap();
    }

    /// The one number that a query returns.
    pub(crate) async fn count(&self, sql: &str) -> i64 {
        let mut connection = self.connection().await;
        let query = sqlx::query_scalar(AssertSqlSafe(sql.to_owned()));
        let count = query.fetch_one(&mut connection).await.expect(sql);
        connection.close().await.unwrap();
        count
    }

    /// The one text that a query returns.
    pub(crate) async fn text(&self, sql: &str) -> Option<String> {
        let mut connection = self.connection().await;
        let query = sqlx::query_scalar(AssertSqlSafe(sql.to_owned()));
        let text = query.fetch_one(&mut connection).await.expect(sql);
        connection.close().await.unwrap();
        text
    }

    /// The URL of this database for another role.
    pub(crate) fn url_as(&self, role: &str) -> String {
        let mut url = Url::parse(&self.url).unwrap();
        if url.host_str().is_none_or(str::is_empty) {
            return self.url.replace("user=postgres", &format!("user={role}"));
        }
        url.set_username(role).unwrap();
        url.into()
    }

    async fn create(from: &str) -> Self {
        let name = unique("kw");
        let mut admin = server().administrator().await;
        let statement = AssertSqlSafe(format!("create database {name} {from}"));
        sqlx::query(statement).execute(&mut admin).await.unwrap();
        admin.close().await.unwrap();
        Self { url: server().url(&name), name }
    }
}

/// A name for a database or a role, which belong to the server and not to a database: no other test
/// has it, and what has it does not stay.
pub(crate) fn unique(prefix: &str) -> String {
    format!("{prefix}_{}_{}", process(), Uuid::new_v4().simple())
}

/// This process, in the names of what it makes.
fn process() -> &'static str {
    static PROCESS: OnceLock<String> = OnceLock::new();
    PROCESS.get_or_init(|| format!("{:08x}", Uuid::new_v4().as_fields().0))
}

/// Settings for a test database.
pub(crate) fn config(url: &str) -> DatabaseConfig {
    DatabaseConfig {
        url: SecretString::from(url),
        migrations_url: None,
        max_connections: 5,
        min_connections: 0,
        acquire_timeout: Duration::from_secs(10),
        start_timeout: Duration::ZERO,
        statement_timeout: Duration::from_secs(10),
        storage: None,
    }
}

/// Starts on a thread of its own, because tests run in many short-lived runtimes.
fn server() -> &'static Server {
    SERVER.get_or_init(|| {
        std::thread::spawn(|| {
            let runtime = tokio::runtime::Runtime::new().unwrap();
            runtime.block_on(Server::start())
        })
        .join()
        .unwrap()
    })
}

impl Server {
    async fn start() -> Self {
        let template = unique("kw_template");
        let server = if let Some(url) = std::env::var_os(ELSEWHERE) {
            let url = url.to_str().and_then(|url| url.parse().ok());
            let url = url.expect("KEYWRIGHT_TEST_POSTGRES is a URL");
            Self::Elsewhere { url, template, _dropper: start_dropper() }
        } else {
            let start = || EmbeddedPostgres::start(EmbeddedOptions::throw_away());
            Self::Embedded { cluster: tool::start("PostgreSQL", start).await, template }
        };
        let mut admin = server.administrator().await;
        let statement = format!("create database {} template template0", server.template());
        sqlx::query(AssertSqlSafe(statement)).execute(&mut admin).await.unwrap();
        admin.close().await.unwrap();
        migrate::migrate(&config(&server.url(server.template()))).await.unwrap();
        server
    }

    fn template(&self) -> &str {
        let (Self::Embedded { template, .. } | Self::Elsewhere { template, .. }) = self;
        template
    }

    /// Fails with the reason that Postgres wrote down, if it is gone: a full disk, most of the time.
    async fn administrator(&self) -> PgConnection {
        PgConnection::connect(&self.url("postgres")).await.unwrap_or_else(|error| {
            let log = match self {
                Self::Embedded { cluster, .. } => tool::signs_of_death(cluster.log_file()),
                Self::Elsewhere { .. } => String::new(),
            };
            panic!("PostgreSQL of the tests does not take connections: {error}\n{log}")
        })
    }

    fn url(&self, database: &str) -> String {
        match self {
            Self::Embedded { cluster, .. } => cluster.url(database),
            Self::Elsewhere { url, .. } => {
                let mut url = url.clone();
                url.set_path(database);
                url.into()
            }
        }
    }
}

/// Starts the process that waits for the end of this one, however it comes, and tidies up. It is the
/// test binary itself, since no other program is sure to be there; its standard input ends with us.
fn start_dropper() -> Child {
    use std::os::unix::process::CommandExt as _;
    Command::new(std::env::current_exe().unwrap())
        .args(["--exact", DROPPER, "--ignored"])
        .env(LEFT_BY, process())
        .stdin(Stdio::piped())
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        // Ctrl-C is for the tests; this then sees them end.
        .process_group(0)
        .spawn()
        .expect("this program starts once more")
}

/// Not a test by itself: what [`start_dropper`] starts.
#[tokio::test]
#[ignore = "another process of the tests starts it"]
async fn drop_what_the_tests_made() {
    let Some(process) = std::env::var_os(LEFT_BY) else { return };
    let process = process.into_string().unwrap();
    // Ends when the other process does.
    std::io::copy(&mut std::io::stdin(), &mut std::io::sink()).unwrap();
    let url = std::env::var_os(ELSEWHERE).unwrap().into_string().unwrap();
    let mut admin = PgConnection::connect(&url).await.unwrap();
    for (find, drop) in [
        (
            "select datname::text from pg_database where datname like $1",
            "drop database \"{}\" with (force)",
        ),
        ("select rolname::text from pg_roles where rolname like $1", "drop role \"{}\""),
    ] {
        let pattern = format!("%\\_{process}\\_%");
        let names: Vec<String> =
            sqlx::query_scalar(find).bind(pattern).fetch_all(&mut admin).await.unwrap();
        for name in names {
            let statement = AssertSqlSafe(drop.replace("{}", &name));
            let _ = sqlx::query(statement).execute(&mut admin).await;
        }
    }
}
