//! TLS to Postgres, with certificates as people make them.

use std::process::Stdio;
use std::time::Duration;

use crate::support::postgres::TestDatabase;
use crate::support::process::{ServerProcess, serve};
use crate::support::secure_postgres::{SecurePostgres, Shown};
use crate::support::smtp::eventually;

/// What becomes of a start.
#[derive(Clone, Copy, Debug)]
enum End {
    Serves,
    /// It ends, and says this.
    Refuses(&'static str),
}

use End::{Refuses, Serves};

struct Case {
    shown: Shown,
    /// Of the connection; `{self}` and its like stand for files.
    parameters: &'static str,
    /// The file of `SSL_CERT_FILE`.
    trusted: &'static str,
    end: End,
}

const fn case(shown: Shown, parameters: &'static str, trusted: &'static str, end: End) -> Case {
    Case { shown, parameters, trusted, end }
}

const CASES: &[Case] = &[
    // A certificate that signs itself, as most are that somebody made for a database.
    case(Shown::SelfSigned, "sslmode=require", "", Serves),
    case(Shown::SelfSigned, "sslmode=require&sslrootcert={self}", "", Serves),
    case(Shown::SelfSigned, "sslmode=verify-full&sslrootcert={self}", "", Serves),
    case(Shown::SelfSigned, "sslmode=verify-full", "self", Serves),
    case(Shown::SelfSigned, "sslmode=verify-full&sslrootcert=system", "self", Serves),
    case(Shown::SelfSigned, "sslmode=verify-full", "other", Refuses("invalid peer certificate")),
    case(Shown::SelfSigned, "sslmode=verify-ca", "", Refuses("invalid peer certificate")),
    case(
        Shown::SelfSigned,
        "sslmode=require&sslrootcert={other}",
        "self",
        Refuses("invalid peer certificate"),
    ),
    case(
        Shown::SelfSigned,
        "sslmode=require&sslrootcert=/does/not/exist.pem",
        "",
        Refuses("`sslrootcert`: /does/not/exist.pem: No such file"),
    ),
    // Without verification nothing of it is parsed.
    case(Shown::VersionOne, "sslmode=require", "", Serves),
    case(Shown::VersionOne, "", "", Serves),
    case(Shown::VersionOne, "sslmode=verify-ca&sslrootcert={v1}", "", Serves),
    case(
        Shown::VersionOne,
        "sslmode=verify-ca&sslrootcert={other}",
        "",
        Refuses("invalid peer certificate"),
    ),
    case(Shown::Strange, "sslmode=require", "", Serves),
    case(
        Shown::Strange,
        "sslmode=require&sslrootcert={ca}",
        "",
        Refuses("invalid peer certificate"),
    ),
    // An authority of one's own, and the name of another host.
    case(Shown::Leaf, "sslmode=verify-ca&sslrootcert={ca}", "", Serves),
    case(Shown::Leaf, "sslmode=verify-ca", "ca", Serves),
    case(
        Shown::Leaf,
        "sslmode=verify-full&sslrootcert={ca}",
        "",
        Refuses("invalid peer certificate"),
    ),
];

#[tokio::test]
async fn certificates_are_judged_as_libpq_judges_them() {
    let postgres = SecurePostgres::start().await;
    let mut now = None;
    for case in CASES {
        if now.replace(case.shown) != Some(case.shown) {
            shown_everywhere(&postgres, case.shown).await;
        }
        start(&postgres, case).await;
    }
}

/// Returns when new connections see the certificate.
async fn shown_everywhere(postgres: &SecurePostgres, shown: Shown) {
    let file = postgres.show(shown).await;
    let expected = std::fs::read_to_string(file).unwrap();
    eventually("the certificate", async || {
        let output = tokio::process::Command::new("openssl")
            .args(["s_client", "-starttls", "postgres", "-connect"])
            .arg(format!("127.0.0.1:{}", postgres.port))
            .stdin(Stdio::null())
            .output()
            .await
            .unwrap();
        String::from_utf8_lossy(&output.stdout).contains(expected.trim())
    })
    .await;
}

async fn start(postgres: &SecurePostgres, case: &Case) {
    let file = |name: &str| postgres.certificates.file(name);
    let mut parameters = case.parameters.to_owned();
    for name in ["self", "other", "v1", "ca"] {
        parameters = parameters.replace(&format!("{{{name}}}"), &file(name));
    }
    let port = postgres.port;
    let url = format!("postgres://postgres@localhost:{port}/postgres?{parameters}");
    let database = TestDatabase::at(url, "postgres");
    let trusted = if case.trusted.is_empty() { String::new() } else { file(case.trusted) };
    let mut command = serve(&database, &[]);
    if !trusted.is_empty() {
        command.env("SSL_CERT_FILE", &trusted);
    }
    match case.end {
        Serves => {
            let server = ServerProcess::spawn(command, |_| true).await;
            let health = server.client().get("/healthz").await;
            assert!(health.status.is_success(), "{} {:?}", case.parameters, case.shown);
        }
        Refuses(text) => {
            command.stdout(Stdio::null()).stderr(Stdio::piped()).kill_on_drop(true);
            let output = tokio::time::timeout(Duration::from_secs(30), command.output()).await;
            let output = output.expect("it ends").unwrap();
            let said = String::from_utf8_lossy(&output.stderr);
            assert!(!output.status.success(), "{} {:?}", case.parameters, case.shown);
            assert!(said.contains(text), "{} {:?}: {said}", case.parameters, case.shown);
            assert_eq!(said.matches(text).count(), 1, "said once: {said}");
        }
    }
}
