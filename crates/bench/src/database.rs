//! The database that `--database-url` names, and whether it may be used.

use anyhow::{Context as _, ensure};
use secrecy::{ExposeSecret as _, SecretString};
use sqlx::postgres::PgConnectOptions;
use tokio::net::lookup_host;

/// Options of a database on this machine, or of any with `allow_remote`.
pub async fn database(url: &SecretString, allow_remote: bool) -> anyhow::Result<PgConnectOptions> {
    let options: PgConnectOptions =
        url.expose_secret().parse().ok().context("--database-url is not an address of Postgres")?;
    let host = options.get_host();
    let socket = options.get_socket().is_some() || host.starts_with('/');
    if !allow_remote && !socket {
        let addresses = lookup_host((host, options.get_port())).await;
        let local = addresses
            .with_context(|| format!("cannot resolve {host}"))?
            .all(|address| address.ip().is_loopback());
        ensure!(local, "--database-url is not on this machine; if it is yours, say --allow-remote");
    }
    Ok(options)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_database_elsewhere_is_refused_unless_allowed() {
        let url = SecretString::from("postgres://u:secret@192.0.2.1/db");
        let error = database(&url, false).await.unwrap_err().to_string();
        assert!(error.contains("--allow-remote") && !error.contains("secret"), "{error}");
        assert!(database(&url, true).await.is_ok());
        let socket = SecretString::from("postgres://u@localhost/db?host=/tmp");
        assert!(database(&socket, false).await.is_ok());
    }
}
