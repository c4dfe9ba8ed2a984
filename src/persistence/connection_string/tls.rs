//! libpq's rules about TLS, where sqlx has others.

use std::path::PathBuf;

use keywright_tls::Trust;
use sqlx::postgres::{PgConnectOptions, PgSslMode};

use super::ConnectionStringError;

/// What the string says.
#[derive(Default)]
pub(super) struct Given {
    pub(super) mode: Option<String>,
    pub(super) root: Option<String>,
    pub(super) certificate: Option<String>,
    pub(super) key: Option<String>,
}

/// The files that each connection will read.
#[derive(Clone, Debug, Default)]
pub(super) struct TlsFiles(Vec<(&'static str, PathBuf)>);

impl Given {
    pub(super) fn apply(
        self,
        mut options: PgConnectOptions,
    ) -> Result<(PgConnectOptions, TlsFiles), ConnectionStringError> {
        let given = self.mode.filter(|mode| !mode.is_empty());
        let mut mode = match &given {
            Some(mode) => mode.parse().map_err(|_unknown| ConnectionStringError::Parameter {
                name: "sslmode",
                expected: "one of disable, allow, prefer, require, verify-ca, verify-full",
            })?,
            None => options.get_ssl_mode(),
        };
        let is_socket = options.get_socket().is_some() || options.get_host().starts_with('/');
        if is_socket || matches!(mode, PgSslMode::Disable) {
            // Nobody is between the ends of a socket of this machine.
            return Ok((options.ssl_mode(PgSslMode::Disable), TlsFiles::default()));
        }
        let named = |value: Option<String>, variable| {
            value.or_else(|| from_environment(variable)).filter(|value| !value.is_empty())
        };
        let mut files = TlsFiles::default();
        match named(self.root, "PGSSLROOTCERT").as_deref() {
            None => {}
            Some("system") => {
                if given.is_some() && !matches!(mode, PgSslMode::VerifyFull) {
                    return Err(ConnectionStringError::Unsupported {
                        name: "sslmode",
                        reason: "sslrootcert=system goes with verify-full only",
                    });
                }
                // What is trusted where no file is named.
                mode = PgSslMode::VerifyFull;
            }
            Some(path) => {
                if matches!(mode, PgSslMode::Require) {
                    mode = PgSslMode::VerifyCa;
                }
                files.0.push(("sslrootcert", path.into()));
                options = options.ssl_root_cert(path);
            }
        }
        match (named(self.certificate, "PGSSLCERT"), named(self.key, "PGSSLKEY")) {
            (Some(certificate), Some(key)) => {
                options = options.ssl_client_cert(&certificate).ssl_client_key(&key);
                files.0.extend([("sslcert", certificate.into()), ("sslkey", key.into())]);
            }
            (None, None) => {}
            (Some(_), None) => {
                return Err(ConnectionStringError::Parameter {
                    name: "sslkey",
                    expected: "given where `sslcert` is",
                });
            }
            (None, Some(_)) => {
                return Err(ConnectionStringError::Parameter {
                    name: "sslcert",
                    expected: "given where `sslkey` is",
                });
            }
        }
        // sqlx would speak plainly and never ask for TLS; libpq asks for it in the end.
        if matches!(mode, PgSslMode::Allow) {
            mode = PgSslMode::Prefer;
        }
        Ok((options.ssl_mode(mode), files))
    }
}

#[expect(clippy::disallowed_methods, reason = "sqlx reads the other PG* variables itself")]
fn from_environment(variable: &str) -> Option<String> {
    std::env::var(variable).ok()
}

impl TlsFiles {
    pub(super) fn check(&self) -> Result<(), ConnectionStringError> {
        for (name, path) in &self.0 {
            let refuse = |cause: String| ConnectionStringError::File {
                name,
                path: path.display().to_string(),
                cause,
            };
            let pem = std::fs::read(path).map_err(|cause| refuse(cause.to_string()))?;
            if *name == "sslrootcert" {
                Trust::from_pem(&pem).map_err(|cause| refuse(cause.to_string()))?;
            }
        }
        Ok(())
    }
}
