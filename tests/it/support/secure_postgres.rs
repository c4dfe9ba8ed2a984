//! A Postgres that speaks TLS, with the certificates that people make with `openssl`.

use std::path::PathBuf;
use std::process::Command;

use keywright::persistence::embedded::{EmbeddedOptions, EmbeddedPostgres};
use sqlx::{AssertSqlSafe, Connection as _, PgConnection};
use uuid::Uuid;

use super::tool;

/// What kind of certificate the server shows.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Shown {
    /// As `openssl req -x509` makes it: its own issuer, and an authority.
    SelfSigned,
    /// X.509 version 1, without any extension.
    VersionOne,
    /// Signed by the private authority.
    Leaf,
    /// The same, with a critical extension that nobody knows.
    Strange,
}

/// Certificates and keys in a folder, deleted at the end.
pub(crate) struct Certificates(PathBuf);

impl Drop for Certificates {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(&self.0);
    }
}

impl Certificates {
    /// `ca.pem` signs `leaf.pem` and `strange.pem`; `self.pem`, `v1.pem` and `other.pem` sign themselves.
    pub(crate) fn make() -> Self {
        let made = Self(std::env::temp_dir().join(format!("kw-{}", Uuid::new_v4().simple())));
        std::fs::create_dir(&made.0).unwrap();
        let names = "subjectAltName=DNS:localhost";
        for (name, more) in
            [("ca", "keyUsage=keyCertSign"), ("other", "keyUsage=keyCertSign"), ("self", names)]
        {
            let subject = format!("/CN=keywright {name}");
            made.openssl(
                "req -x509 -nodes -days 2 -newkey ec -pkeyopt ec_paramgen_curve:P-256",
                &["-subj", &subject, "-addext", more, "-keyout", &made.key(name)],
                name,
            );
        }
        for (name, extensions) in
            [("leaf", "subjectAltName=DNS:db.internal"), ("strange", "1.2.3.4=critical,DER:0500")]
        {
            let request = made.request(name);
            let file = made.path(&format!("{name}.ext"));
            std::fs::write(&file, format!("{extensions}\n")).unwrap();
            let (ca, key) = (made.file("ca"), made.key("ca"));
            let more = ["-in", &request, "-CA", &ca, "-CAkey", &key, "-extfile", &file];
            made.openssl("x509 -req -days 2 -CAcreateserial", &more, name);
        }
        let request = made.request("v1");
        let key = made.key("v1");
        made.openssl("x509 -req -days 2", &["-in", &request, "-signkey", &key], "v1");
        made
    }

    /// The certificate of this name.
    pub(crate) fn file(&self, name: &str) -> String {
        self.path(&format!("{name}.pem"))
    }

    fn key(&self, name: &str) -> String {
        self.path(&format!("{name}.key"))
    }

    fn path(&self, name: &str) -> String {
        self.0.join(name).display().to_string()
    }

    fn request(&self, name: &str) -> String {
        let request = format!("{name}.csr");
        let subject = format!("/CN={name}");
        self.openssl(
            "req -new -nodes -newkey ec -pkeyopt ec_paramgen_curve:P-256",
            &["-subj", &subject, "-keyout", &self.key(name), "-out", &self.path(&request)],
            "",
        );
        self.path(&request)
    }

    fn openssl(&self, words: &str, more: &[&str], out: &str) {
        let mut command = Command::new("openssl");
        command.args(words.split(' ')).args(more);
        if !out.is_empty() {
            command.args(["-out", &self.file(out)]);
        }
        let output = command.output().expect("openssl is installed");
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    }
}

/// Listens on 127.0.0.1 as well.
pub(crate) struct SecurePostgres {
    server: EmbeddedPostgres,
    pub(crate) certificates: Certificates,
    pub(crate) port: u16,
}

impl SecurePostgres {
    pub(crate) async fn start() -> Self {
        // Free at this moment.
        let free = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
        let port = free.local_addr().unwrap().port();
        drop(free);
        let settings = [("listen_addresses", "127.0.0.1".to_owned()), ("port", port.to_string())];
        let settings = settings.map(|(name, value)| (name.to_owned(), value)).into();
        let options = EmbeddedOptions { settings, ..EmbeddedOptions::throw_away() };
        let server = tool::start("PostgreSQL", || EmbeddedPostgres::start(options.clone())).await;
        Self { server, certificates: Certificates::make(), port }
    }

    /// New connections are shown this certificate; its file's name.
    pub(crate) async fn show(&self, shown: Shown) -> String {
        let name = match shown {
            Shown::SelfSigned => "self",
            Shown::VersionOne => "v1",
            Shown::Leaf => "leaf",
            Shown::Strange => "strange",
        };
        let url = format!("{}&port={}", self.server.url("postgres"), self.port);
        let mut admin = PgConnection::connect(&url).await.unwrap();
        let certificate = std::fs::read_to_string(self.certificates.file(name)).unwrap();
        let key = std::fs::read_to_string(self.certificates.key(name)).unwrap();
        // By the server itself, so that they are its own, and the key nobody else's.
        for (text, file) in [(certificate, "shown.pem"), (key, "shown.key")] {
            let copy = format!(
                "copy (select unnest(string_to_array($pem${}$pem$, E'\\n'))) \
                 to program 'umask 077; cat > {file}'",
                text.trim_end()
            );
            sqlx::raw_sql(AssertSqlSafe(copy)).execute(&mut admin).await.unwrap();
        }
        for statement in [
            "alter system set ssl_cert_file = 'shown.pem'",
            "alter system set ssl_key_file = 'shown.key'",
            "alter system set ssl = on",
            "select pg_reload_conf()",
        ] {
            sqlx::raw_sql(statement).execute(&mut admin).await.unwrap();
        }
        admin.close().await.unwrap();
        self.certificates.file(name)
    }
}
