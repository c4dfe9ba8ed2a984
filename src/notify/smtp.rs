//! Delivery by SMTP: one connection a message, over lettre's connection.

use std::net::{IpAddr, Ipv4Addr};
use std::path::PathBuf;
use std::time::Duration;

use keywright_tls::{Checks, Trust, Verifier};
use lettre::transport::smtp::client::{AsyncSmtpConnection, TlsParameters};
use lettre::transport::smtp::commands::Data;
use lettre::transport::smtp::extension::{ClientId, Extension};
use tokio::time::timeout;

use secrecy::ExposeSecret;

use crate::config::{SmtpConfig, SmtpTls};
use crate::domain::schema_origin::Origin;
use crate::notify::smtp_auth::{Line, SmtpAuth, is_local};
use crate::notify::smtp_error::{SEND_TIMEOUT, SmtpError};

/// Longest wait for the TCP connection, per address of the host.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(10);
/// The mail is accepted by then; the farewell is a courtesy.
const QUIT_TIMEOUT: Duration = Duration::from_secs(2);

/// Why `AUTH_SMTP_*` cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum SmtpSetupError {
    #[error("cannot read AUTH_SMTP_CA_FILE {}", path.display())]
    CaFile {
        path: PathBuf,
        #[source]
        source: std::io::Error,
    },
    #[error("AUTH_SMTP_CA_FILE {} holds no certificate", path.display())]
    NoCertificate { path: PathBuf },
    #[error("cannot set up TLS for AUTH_SMTP_HOST")]
    Tls(#[source] lettre::transport::smtp::Error),
}

/// A server that takes mail.
#[derive(Debug)]
pub struct SmtpTransport {
    host: String,
    port: u16,
    implicit_tls: bool,
    starttls: SmtpTls,
    tls: TlsParametersBox,
    verifier: Verifier,
    auth: Option<SmtpAuth>,
    /// `None` for the address of this machine.
    hello: Option<ClientId>,
    send_timeout: Duration,
}

/// `TlsParameters` has no `Debug`.
struct TlsParametersBox(TlsParameters);

impl std::fmt::Debug for TlsParametersBox {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("TlsParameters")
    }
}

impl SmtpTransport {
    /// Reads the trusted certificates; connects to nothing. Who made the database decides whether mail
    /// may go in the clear, where the settings do not.
    pub fn new(config: &SmtpConfig, origin: Origin) -> Result<Self, SmtpSetupError> {
        // Brackets belong to URLs; the resolver and the certificate want the bare address.
        let host = config
            .host
            .strip_prefix('[')
            .and_then(|host| host.strip_suffix(']'))
            .unwrap_or(&config.host)
            .to_owned();
        let trust = if let Some(path) = &config.ca_file {
            let pem = std::fs::read(path)
                .map_err(|source| SmtpSetupError::CaFile { path: path.clone(), source })?;
            Trust::system_and(&pem)
                .map_err(|_none| SmtpSetupError::NoCertificate { path: path.clone() })?
        } else {
            Trust::system()
        };
        // lettre would refuse a certificate that is trusted itself, if it calls itself an authority.
        // So it verifies nothing, and the certificate is verified before anything of worth is said.
        let tls = TlsParameters::builder(host.clone()).dangerous_accept_invalid_certs(true);
        let has_credentials =
            !config.user.is_empty() || !config.password.expose_secret().is_empty();
        let starttls = config.tls.unwrap_or_else(|| default_tls(&host, origin));
        Ok(Self {
            host,
            port: config.port,
            implicit_tls: config.implicit_tls,
            starttls,
            tls: TlsParametersBox(tls.build().map_err(SmtpSetupError::Tls)?),
            verifier: Verifier::new(trust, Checks::ChainAndName),
            auth: has_credentials.then(|| SmtpAuth {
                method: config.auth_method,
                user: config.user.clone(),
                password: config.password.clone(),
            }),
            hello: hello(&config.helo),
            send_timeout: SEND_TIMEOUT,
        })
    }

    /// With another limit than [`SEND_TIMEOUT`], for tests.
    #[must_use]
    pub fn with_send_timeout(mut self, limit: Duration) -> Self {
        self.send_timeout = limit;
        self
    }

    /// Hands the message over; `Ok` once the server has accepted it.
    pub async fn deliver(&self, from: &str, to: &str, message: &[u8]) -> Result<(), SmtpError> {
        let from = checked(from)?;
        let to = checked(to)?;
        let mut connection = timeout(self.send_timeout, self.transmit(from, to, message))
            .await
            .map_err(|_elapsed| SmtpError::Timeout)??;
        // A mail that was accepted is sent, whatever happens to the connection now.
        let _ = timeout(QUIT_TIMEOUT, connection.quit()).await;
        Ok(())
    }

    /// Connects and signs in, and sends nothing.
    pub async fn check(&self) -> Result<(), SmtpError> {
        timeout(self.send_timeout, async {
            let mut connection = self.connect().await?;
            if let Some(auth) = &self.auth {
                auth.sign_in(&mut connection, &self.host).await?;
            }
            // The server has shown all that it was asked for.
            let _ = timeout(QUIT_TIMEOUT, connection.quit()).await;
            Ok(())
        })
        .await
        .map_err(|_elapsed| SmtpError::Timeout)?
    }

    async fn transmit(
        &self,
        from: &str,
        to: &str,
        message: &[u8],
    ) -> Result<AsyncSmtpConnection, SmtpError> {
        let mut connection = self.connect().await?;
        if let Some(auth) = &self.auth {
            auth.sign_in(&mut connection, &self.host).await?;
        }
        let server = connection.server_info();
        let mut options = String::new();
        if server.supports_feature(Extension::EightBitMime) && !message.is_ascii() {
            options.push_str(" BODY=8BITMIME");
        }
        if !from.is_ascii() || !to.is_ascii() {
            if !server.supports_feature(Extension::SmtpUtfEight) {
                return Err(SmtpError::NoSmtpUtf8);
            }
            options.push_str(" SMTPUTF8");
        }
        connection
            .command(Line(format!("MAIL FROM:<{from}>{options}")))
            .await
            .map_err(SmtpError::at("MAIL FROM"))?;
        connection
            .command(Line(format!("RCPT TO:<{to}>")))
            .await
            .map_err(SmtpError::at("RCPT TO"))?;
        connection.command(Data).await.map_err(SmtpError::at("DATA"))?;
        connection.message(message).await.map_err(SmtpError::at("DATA"))?;
        Ok(connection)
    }

    async fn connect(&self) -> Result<AsyncSmtpConnection, SmtpError> {
        let tls = &self.tls.0;
        let hello = match &self.hello {
            Some(hello) => hello.clone(),
            None => own_address(&self.host, self.port).await,
        };
        let mut connection = AsyncSmtpConnection::connect_tokio1(
            (self.host.as_str(), self.port),
            Some(CONNECT_TIMEOUT),
            &hello,
            self.implicit_tls.then(|| tls.clone()),
            None,
        )
        .await
        .map_err(SmtpError::at("connection"))?;
        // A server that offers TLS gets it; a bad certificate ends the delivery.
        if self.starttls != SmtpTls::None && connection.can_starttls() {
            connection.starttls(tls.clone(), &hello).await.map_err(SmtpError::at("STARTTLS"))?;
        }
        if connection.is_encrypted() {
            let chain = connection.certificate_chain().map_err(SmtpError::at("TLS"))?;
            self.verifier.check(&chain, &self.host).map_err(SmtpError::Certificate)?;
        }
        // Somebody on the way may have kept the offer back.
        if self.starttls == SmtpTls::Required && !connection.is_encrypted() {
            return Err(SmtpError::NoTls);
        }
        Ok(connection)
    }
}

/// A name that servers take: as configured, or the host's if it is a whole one (RFC 5321 section
/// 4.1.4). Many refuse a name without a dot, which is what containers have.
fn hello(configured: &str) -> Option<ClientId> {
    match configured {
        "" => match ClientId::default() {
            ClientId::Domain(name) if name.contains('.') => Some(ClientId::Domain(name)),
            _ => None,
        },
        // As it is, an address in its brackets too.
        name => Some(ClientId::Domain(name.to_owned())),
    }
}

/// The address by which this machine reaches the server, without sending anything.
async fn own_address(host: &str, port: u16) -> ClientId {
    let address = async {
        let remote = tokio::net::lookup_host((host, port)).await?.next();
        let remote = remote.ok_or(std::io::ErrorKind::NotFound)?;
        let any = if remote.is_ipv4() { "0.0.0.0:0" } else { "[::]:0" };
        let socket = tokio::net::UdpSocket::bind(any).await?;
        socket.connect(remote).await?;
        socket.local_addr()
    };
    match address.await.map(|address| address.ip().to_canonical()) {
        Ok(IpAddr::V4(address)) => ClientId::Ipv4(address),
        Ok(IpAddr::V6(address)) => ClientId::Ipv6(address),
        // The server cannot be reached either, which will be told.
        Err(_) => ClientId::Ipv4(Ipv4Addr::LOCALHOST),
    }
}

/// Nobody is on the way to this machine, and an adopted deployment has sent in the clear before.
fn default_tls(host: &str, origin: Origin) -> SmtpTls {
    if is_local(host) || origin == Origin::Adopted {
        SmtpTls::Opportunistic
    } else {
        SmtpTls::Required
    }
}

/// Refuses what would end the path or the command early, before anything is dialled.
fn checked(address: &str) -> Result<&str, SmtpError> {
    let bad = |c: char| c.is_control() || c.is_whitespace() || matches!(c, '<' | '>');
    if address.is_empty() || address.contains(bad) { Err(SmtpError::Address) } else { Ok(address) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tls_is_required_of_hosts_elsewhere_unless_the_database_was_adopted() {
        for (host, origin, expected) in [
            ("smtp.example.com", Origin::Created, SmtpTls::Required),
            ("10.0.0.7", Origin::Created, SmtpTls::Required),
            ("smtp.example.com", Origin::Adopted, SmtpTls::Opportunistic),
            ("localhost", Origin::Created, SmtpTls::Opportunistic),
            ("::1", Origin::Created, SmtpTls::Opportunistic),
        ] {
            assert_eq!(default_tls(host, origin), expected, "{host} {origin:?}");
        }
    }

    #[test]
    fn addresses_cannot_carry_commands() {
        assert!(checked("a..b@localhost").is_ok());
        for bad in ["", "a@b\r\nRCPT TO:<c@d>", "a@b> SIZE=1", "a@b, c@d", "a\u{85}@b", "<a@b"] {
            assert!(checked(bad).is_err(), "{bad:?}");
        }
    }
}
