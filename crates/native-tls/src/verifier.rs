//! Whether a server's certificate is good.

use std::sync::{Arc, LazyLock};

use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::client::{WebPkiServerVerifier, verify_server_name};
use rustls::crypto::{
    CryptoProvider, aws_lc_rs, verify_tls12_signature, verify_tls13_signature,
    verify_tls13_signature_with_raw_key,
};
use rustls::pki_types::{CertificateDer, ServerName, UnixTime};
use rustls::server::ParsedCertificate;
use rustls::{CertificateError, ClientConfig, DigitallySignedStruct, Error, SignatureScheme};

use crate::trust::Trust;

static PROVIDER: LazyLock<Arc<CryptoProvider>> =
    LazyLock::new(|| Arc::new(aws_lc_rs::default_provider()));

/// What is asked of a server's certificate.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Checks {
    /// Nothing; it is not even looked at.
    Nothing,
    /// That somebody trusted has signed it.
    Chain,
    /// That, and that it is for this host.
    ChainAndName,
}

/// Verifies by a [`Trust`].
#[derive(Debug)]
pub struct Verifier {
    checks: Checks,
    trust: Trust,
    /// `None` where nothing is trusted or nothing is asked.
    chains: Option<Arc<WebPkiServerVerifier>>,
}

impl Verifier {
    /// For one store and one set of checks.
    pub fn new(trust: Trust, checks: Checks) -> Self {
        let chains = (checks != Checks::Nothing)
            .then(|| {
                let roots = Arc::clone(&trust.roots);
                WebPkiServerVerifier::builder_with_provider(roots, Arc::clone(&PROVIDER))
                    .build()
                    .ok()
            })
            .flatten();
        Self { checks, trust, chains }
    }

    /// Verifies the chain of a connection that is there already, the server's certificate first.
    pub fn check(&self, chain: &[Vec<u8>], host: &str) -> Result<(), Error> {
        let name = ServerName::try_from(host.to_owned())
            .map_err(|_invalid| Error::from(CertificateError::NotValidForName))?;
        let chain: Vec<CertificateDer<'_>> =
            chain.iter().map(|der| CertificateDer::from(der.as_slice())).collect();
        let (server, others) = chain.split_first().ok_or(Error::NoCertificatesPresented)?;
        self.verify_server_cert(server, others, &name, &[], UnixTime::now()).map(drop)
    }

    fn check_name(
        &self,
        certificate: &CertificateDer<'_>,
        name: &ServerName<'_>,
    ) -> Result<ServerCertVerified, Error> {
        if self.checks == Checks::ChainAndName {
            verify_server_name(&ParsedCertificate::try_from(certificate)?, name)?;
        }
        Ok(ServerCertVerified::assertion())
    }
}

impl ServerCertVerifier for Verifier {
    fn verify_server_cert(
        &self,
        end_entity: &CertificateDer<'_>,
        intermediates: &[CertificateDer<'_>],
        server_name: &ServerName<'_>,
        ocsp_response: &[u8],
        now: UnixTime,
    ) -> Result<ServerCertVerified, Error> {
        if self.checks == Checks::Nothing {
            return Ok(ServerCertVerified::assertion());
        }
        let chains =
            self.chains.as_ref().ok_or_else(|| Error::from(CertificateError::UnknownIssuer))?;
        let result =
            chains.verify_server_cert(end_entity, intermediates, server_name, ocsp_response, now);
        match result {
            // The name is what is verified last.
            Err(Error::InvalidCertificate(
                CertificateError::NotValidForName | CertificateError::NotValidForNameContext { .. },
            )) if self.checks == Checks::Chain => Ok(ServerCertVerified::assertion()),
            // webpki wants a leaf that is no authority; most self-signed certificates say that they
            // are one. Its dates are verified before that.
            Err(error) if !is_about_name_or_time(&error) => match self.trust.key_of(end_entity) {
                Some(_trusted) => self.check_name(end_entity, server_name),
                None => Err(error),
            },
            other => other,
        }
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        dss: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        // A key that nobody vouches for proves nothing, and to read it a certificate must be parsed.
        if self.checks == Checks::Nothing {
            return Ok(HandshakeSignatureValid::assertion());
        }
        verify_tls12_signature(message, cert, dss, &PROVIDER.signature_verification_algorithms)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        dss: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        if self.checks == Checks::Nothing {
            return Ok(HandshakeSignatureValid::assertion());
        }
        let algorithms = &PROVIDER.signature_verification_algorithms;
        // The key of a trusted certificate is known, also where the certificate is X.509 v1.
        match self.trust.key_of(cert) {
            Some(key) => verify_tls13_signature_with_raw_key(message, key, dss, algorithms),
            None => verify_tls13_signature(message, cert, dss, algorithms),
        }
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        PROVIDER.signature_verification_algorithms.supported_schemes()
    }
}

/// What being trusted does not make good.
fn is_about_name_or_time(error: &Error) -> bool {
    matches!(
        error,
        Error::InvalidCertificate(
            CertificateError::NotValidForName
                | CertificateError::NotValidForNameContext { .. }
                | CertificateError::Expired
                | CertificateError::ExpiredContext { .. }
                | CertificateError::NotValidYet
                | CertificateError::NotValidYetContext { .. }
        )
    )
}

/// A configuration that verifies so and shows no certificate of its own.
pub fn client_config(verifier: Verifier) -> ClientConfig {
    builder(verifier).with_no_client_auth()
}

pub(crate) fn builder(
    verifier: Verifier,
) -> rustls::ConfigBuilder<ClientConfig, rustls::client::WantsClientCert> {
    ClientConfig::builder_with_provider(Arc::clone(&PROVIDER))
        .with_safe_default_protocol_versions()
        .expect("aws-lc-rs has cipher suites for TLS 1.2 and 1.3")
        .dangerous()
        .with_custom_certificate_verifier(Arc::new(verifier))
}
