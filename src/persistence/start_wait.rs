//! Waits for a Postgres that is still starting, as it does beside us after a power cut.

use std::io;
use std::time::Duration;

use sqlx::PgConnection;
use tokio::time::{Instant, timeout};

use super::connection_string::ConnectionString;

/// The longest attempt: on a network that swallows packets it would take minutes.
const ATTEMPT: Duration = Duration::from_secs(10);
/// The first pause; it doubles up to [`LONGEST_PAUSE`].
const FIRST_PAUSE: Duration = Duration::from_millis(100);
const LONGEST_PAUSE: Duration = Duration::from_secs(2);

/// A connection, as soon as there is one; `setting` names where the string came from.
///
/// What waiting cannot mend, such as a wrong password, is returned at once.
pub async fn connect(
    setting: &'static str,
    string: &ConnectionString,
    limit: Duration,
) -> sqlx::Result<PgConnection> {
    let end = Instant::now() + limit;
    let mut pause = FIRST_PAUSE;
    let mut is_said = false;
    loop {
        let attempt = timeout(ATTEMPT, string.connect()).await;
        let error = match attempt {
            Ok(Ok(connection)) => return Ok(connection),
            Ok(Err(error)) => error,
            Err(_elapsed) => sqlx::Error::Io(io::ErrorKind::TimedOut.into()),
        };
        if !is_not_up_yet(&error) || Instant::now() + pause > end {
            return Err(error);
        }
        if !std::mem::replace(&mut is_said, true) {
            let (cause, limit_s) = (error.to_string(), limit.as_secs());
            tracing::warn!(setting, cause, limit_s, "Postgres is not up yet, waiting for it");
        }
        wait(pause).await;
        pause = (pause * 2).min(LONGEST_PAUSE);
    }
}

/// Whether another attempt may go better, with nothing changed but time.
pub fn is_not_up_yet(error: &sqlx::Error) -> bool {
    match error {
        // Refused, reset, no such socket, no route, no address for the name yet.
        sqlx::Error::Io(error) => !matches!(
            error.kind(),
            io::ErrorKind::PermissionDenied
                | io::ErrorKind::InvalidInput
                | io::ErrorKind::InvalidData
        ),
        sqlx::Error::Database(error) => match error.code().as_deref() {
            // Starting, stopping, crashed; too many connections, as while nodes are replaced.
            Some("57P01" | "57P02" | "57P03" | "53300") => true,
            Some(code) if code.starts_with("08") && code != "08P01" => true,
            // PgBouncer has one code for everything that it says itself.
            Some("08P01") => ["server_login_retry", "server down", "connect to server", "shut"]
                .iter()
                .any(|part| error.message().contains(part)),
            _ => false,
        },
        _ => false,
    }
}

#[expect(clippy::disallowed_methods, reason = "nothing tells when a server comes up")]
async fn wait(pause: Duration) {
    tokio::time::sleep(pause).await;
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_time_may_mend_is_waited_for() {
        for kind in [
            io::ErrorKind::ConnectionRefused,
            io::ErrorKind::ConnectionReset,
            io::ErrorKind::NotFound,
            io::ErrorKind::TimedOut,
            io::ErrorKind::UnexpectedEof,
            // As names that are not known yet are reported.
            io::ErrorKind::Other,
        ] {
            assert!(is_not_up_yet(&sqlx::Error::Io(kind.into())), "{kind}");
        }
        assert!(!is_not_up_yet(&sqlx::Error::Io(io::ErrorKind::PermissionDenied.into())));
        assert!(!is_not_up_yet(&sqlx::Error::Tls("no certificate".into())));
        assert!(!is_not_up_yet(&sqlx::Error::Configuration("no such file".into())));
    }
}
