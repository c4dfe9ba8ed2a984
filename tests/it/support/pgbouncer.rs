//! A `PgBouncer` with the settings that Debian ships: session mode, and no start-up parameter ignored.

use std::net::TcpListener;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::process::Stdio;

use tokio::net::TcpStream;
use tokio::process::{Child, Command};
use uuid::Uuid;

use super::link::Link;
use super::postgres::TestDatabase;
use super::smtp::eventually;

/// The password that clients of the pooler need; of characters that URLs escape.
const PASSWORD: &str = "p/w@1";

/// Running; ends when dropped.
pub(crate) struct PgBouncer {
    port: u16,
    database: String,
    _link: Link,
    _program: Child,
    folder: Folder,
}

struct Folder(PathBuf);

impl Drop for Folder {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(&self.0);
    }
}

impl PgBouncer {
    /// Before this database.
    pub(crate) async fn start(database: &TestDatabase) -> Self {
        Self::start_with(database, "").await
    }

    /// The same with more lines of settings.
    pub(crate) async fn start_with(database: &TestDatabase, more: &str) -> Self {
        // Its own user may not enter the folder of our Postgres' socket.
        let link = Link::to(&database.url()).await;
        let to: url::Url = link.url(database.name()).parse().unwrap();
        let folder = Folder(std::env::temp_dir().join(format!("kw-{}", Uuid::new_v4().simple())));
        std::fs::create_dir(&folder.0).unwrap();
        std::fs::set_permissions(&folder.0, std::fs::Permissions::from_mode(0o777)).unwrap();
        // Free at this moment.
        let port = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
        let users = folder.0.join("userlist.txt");
        std::fs::write(&users, format!("\"postgres\" \"{PASSWORD}\"\n")).unwrap();
        let settings = folder.0.join("pgbouncer.ini");
        let text = format!(
            "[databases]\n* = host=127.0.0.1 port={}\n[pgbouncer]\nlogfile = {}\n\
             listen_addr = 127.0.0.1\nlisten_port = {port}\nunix_socket_dir =\nauth_type = md5\n\
             auth_file = {}\n{more}\n",
            to.port().unwrap(),
            folder.0.join("log").display(),
            users.display(),
        );
        std::fs::write(&settings, text).unwrap();
        let program = Path::new(env!("CARGO_MANIFEST_DIR")).join("scripts/run-pgbouncer.sh");
        let program = Command::new(program)
            .arg("--quiet")
            .arg(&settings)
            .stdin(Stdio::null())
            .kill_on_drop(true)
            .spawn()
            .unwrap();
        eventually("the pooler", async || TcpStream::connect(("127.0.0.1", port)).await.is_ok())
            .await;
        let database = database.name().to_owned();
        Self { port, database, _link: link, _program: program, folder }
    }

    /// The database behind it, with more parameters.
    pub(crate) fn database(&self, parameters: &str) -> TestDatabase {
        let (port, name) = (self.port, &self.database);
        let url = format!("postgres://postgres:p%2Fw%401@127.0.0.1:{port}/{name}?{parameters}");
        TestDatabase::at(url, name)
    }

    /// What it has to say.
    pub(crate) fn log(&self) -> String {
        std::fs::read_to_string(self.folder.0.join("log")).unwrap_or_default()
    }
}
