//! The functions of `native-tls` that sqlx calls.

use std::fmt;
use std::io::{self, Read, Write};
use std::sync::Arc;

use rustls::pki_types::pem::PemObject as _;
use rustls::pki_types::{CertificateDer, PrivateKeyDer, ServerName};
use rustls::{ClientConfig, ClientConnection};

use crate::stream::TlsStream;
use crate::trust::Trust;
use crate::verifier::{Checks, Verifier, builder};

/// Why TLS was not established.
#[derive(Debug)]
pub struct Error(Box<dyn std::error::Error + Send + Sync>);

impl Error {
    fn new(cause: impl Into<Box<dyn std::error::Error + Send + Sync>>) -> Self {
        Self(cause.into())
    }
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

impl std::error::Error for Error {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        self.0.source()
    }
}

/// The certificates of a PEM file.
#[derive(Clone, Debug)]
pub struct Certificate(Trust);

impl Certificate {
    /// All of them, not just the first.
    pub fn from_pem(pem: &[u8]) -> Result<Self, Error> {
        Trust::from_pem(pem).map(Self).map_err(Error::new)
    }
}

/// What this client shows of itself.
#[derive(Debug)]
pub struct Identity {
    chain: Vec<CertificateDer<'static>>,
    key: PrivateKeyDer<'static>,
}

impl Clone for Identity {
    fn clone(&self) -> Self {
        Self { chain: self.chain.clone(), key: self.key.clone_key() }
    }
}

impl Identity {
    /// A chain and a key, as PKCS #8 or in one of the older forms.
    pub fn from_pkcs8(pem: &[u8], key: &[u8]) -> Result<Self, Error> {
        let chain: Result<Vec<_>, _> = CertificateDer::pem_slice_iter(pem).collect();
        Ok(Self {
            chain: chain.map_err(Error::new)?,
            key: PrivateKeyDer::from_pem_slice(key).map_err(Error::new)?,
        })
    }
}

/// Collects what a connector does.
#[derive(Clone, Debug, Default)]
pub struct TlsConnectorBuilder {
    accepts_all: bool,
    ignores_names: bool,
    trust: Option<Trust>,
    identity: Option<Identity>,
}

impl TlsConnectorBuilder {
    /// No certificate is looked at.
    pub fn danger_accept_invalid_certs(&mut self, accept: bool) -> &mut Self {
        self.accepts_all = accept;
        self
    }

    /// The host's name does not matter.
    pub fn danger_accept_invalid_hostnames(&mut self, accept: bool) -> &mut Self {
        self.ignores_names = accept;
        self
    }

    /// From now on the system's certificates are not trusted, but these are.
    pub fn add_root_certificate(&mut self, certificate: Certificate) -> &mut Self {
        self.trust = Some(certificate.0);
        self
    }

    /// Shows this to servers that ask.
    pub fn identity(&mut self, identity: Identity) -> &mut Self {
        self.identity = Some(identity);
        self
    }

    /// The connector.
    pub fn build(&self) -> Result<TlsConnector, Error> {
        let checks = match (self.accepts_all, self.ignores_names) {
            (true, _) => Checks::Nothing,
            (false, true) => Checks::Chain,
            (false, false) => Checks::ChainAndName,
        };
        let trust = self.trust.clone().unwrap_or_else(Trust::system);
        let builder = builder(Verifier::new(trust, checks));
        let config = match self.identity.clone() {
            Some(Identity { chain, key }) => {
                builder.with_client_auth_cert(chain, key).map_err(Error::new)?
            }
            None => builder.with_no_client_auth(),
        };
        Ok(TlsConnector { config: Arc::new(config) })
    }
}

/// Begins TLS on streams.
#[derive(Clone, Debug)]
pub struct TlsConnector {
    config: Arc<ClientConfig>,
}

impl TlsConnector {
    /// Verifies everything by the system's certificates, unless told otherwise.
    pub fn builder() -> TlsConnectorBuilder {
        TlsConnectorBuilder::default()
    }

    /// Goes on with the handshake until it would block.
    pub fn connect<S: Read + Write>(
        &self,
        host: &str,
        stream: S,
    ) -> Result<TlsStream<S>, HandshakeError<S>> {
        let begin = || {
            let name = ServerName::try_from(host.to_owned()).map_err(Error::new)?;
            ClientConnection::new(Arc::clone(&self.config), name).map_err(Error::new)
        };
        let connection = begin().map_err(HandshakeError::Failure)?;
        MidHandshakeTlsStream(TlsStream::new(connection, stream)).handshake()
    }
}

/// Why there is no stream yet.
#[derive(Debug)]
pub enum HandshakeError<S> {
    Failure(Error),
    WouldBlock(MidHandshakeTlsStream<S>),
}

/// A handshake that waits for its socket.
#[derive(Debug)]
pub struct MidHandshakeTlsStream<S>(TlsStream<S>);

impl<S: Read + Write> MidHandshakeTlsStream<S> {
    /// The socket.
    pub fn get_mut(&mut self) -> &mut S {
        self.0.get_mut()
    }

    /// Goes on until it would block again.
    pub fn handshake(mut self) -> Result<TlsStream<S>, HandshakeError<S>> {
        match self.0.shake_hands() {
            Ok(()) => Ok(self.0),
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => {
                Err(HandshakeError::WouldBlock(self))
            }
            Err(error) => Err(HandshakeError::Failure(Error::new(error))),
        }
    }
}
