//! Which certificates are trusted.

use std::collections::HashMap;
use std::path::Path;
use std::sync::{Arc, LazyLock};

use rustls::RootCertStore;
use rustls::pki_types::pem::PemObject as _;
use rustls::pki_types::{CertificateDer, SubjectPublicKeyInfoDer};

/// There is no certificate in what should hold some, or none that can be read.
#[derive(Debug)]
pub struct NoCertificate;

impl std::fmt::Display for NoCertificate {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("there is no certificate in it (PEM is expected)")
    }
}

impl std::error::Error for NoCertificate {}

/// Certificates that are trusted, as roots of chains and as themselves.
#[derive(Clone, Debug)]
pub struct Trust {
    pub(crate) roots: Arc<RootCertStore>,
    /// Each whole certificate, and its public key.
    exact: Arc<HashMap<Vec<u8>, SubjectPublicKeyInfoDer<'static>>>,
}

/// Where systems keep all that they trust in one file; the first that exists counts.
const BUNDLES: [&str; 5] = [
    "/etc/ssl/certs/ca-certificates.crt",
    "/etc/pki/tls/certs/ca-bundle.crt",
    "/etc/ssl/ca-bundle.pem",
    "/etc/pki/ca-trust/extracted/pem/tls-ca-bundle.pem",
    "/etc/ssl/cert.pem",
];

/// Read once: the system has some hundred and fifty.
static SYSTEM: LazyLock<(Trust, Vec<CertificateDer<'static>>)> = LazyLock::new(|| {
    let mut found = rustls_native_certs::load_native_certs();
    // The variables replace the system's store there. Who names the authority of a database in them
    // still wants to send mail; for OpenSSL and Go the system's certificates go on counting, too.
    if ["SSL_CERT_FILE", "SSL_CERT_DIR"].iter().any(|name| std::env::var_os(name).is_some())
        && let Some(bundle) = BUNDLES.iter().map(Path::new).find(|path| path.is_file())
    {
        let more = rustls_native_certs::load_certs_from_paths(Some(bundle), None);
        found.certs.extend(more.certs);
        found.errors.extend(more.errors);
    }
    for error in &found.errors {
        tracing::warn!(
            error = error as &dyn std::error::Error,
            "some of the system's trusted certificates cannot be read"
        );
    }
    (Trust::of(found.certs.clone()), found.certs)
});

impl Trust {
    /// The system's certificates and those that `SSL_CERT_FILE` and `SSL_CERT_DIR` name, as they were
    /// when they were needed first.
    pub fn system() -> Self {
        SYSTEM.0.clone()
    }

    /// Those of a file, and no others.
    pub fn from_pem(pem: &[u8]) -> Result<Self, NoCertificate> {
        let trust = Self::of(certificates(pem)?);
        if trust.roots.is_empty() { Err(NoCertificate) } else { Ok(trust) }
    }

    /// The system's and those of a file.
    pub fn system_and(pem: &[u8]) -> Result<Self, NoCertificate> {
        let more = certificates(pem)?;
        if Self::of(more.clone()).roots.is_empty() {
            return Err(NoCertificate);
        }
        Ok(Self::of(SYSTEM.1.iter().cloned().chain(more).collect()))
    }

    /// Leaves out what cannot be a root; the system's stores have such.
    fn of(certificates: Vec<CertificateDer<'static>>) -> Self {
        let mut roots = RootCertStore::empty();
        let mut exact: HashMap<Vec<u8>, _> = HashMap::with_capacity(certificates.len());
        for certificate in certificates {
            if !exact.contains_key(certificate.as_ref())
                && roots.add(certificate.clone()).is_ok()
                && let Some(anchor) = roots.roots.last()
            {
                let key = with_sequence(&anchor.subject_public_key_info);
                exact.insert(certificate.to_vec(), SubjectPublicKeyInfoDer::from(key));
            }
        }
        Self { roots: Arc::new(roots), exact: Arc::new(exact) }
    }

    /// The key of this certificate, if the certificate itself is trusted.
    pub(crate) fn key_of(
        &self,
        certificate: &CertificateDer<'_>,
    ) -> Option<&SubjectPublicKeyInfoDer<'static>> {
        self.exact.get(certificate.as_ref())
    }
}

fn certificates(pem: &[u8]) -> Result<Vec<CertificateDer<'static>>, NoCertificate> {
    let all: Result<Vec<_>, _> = CertificateDer::pem_slice_iter(pem).collect();
    all.map_err(|_syntax| NoCertificate)
}

/// Trust anchors hold a key's content without the DER header of the sequence around it.
fn with_sequence(content: &[u8]) -> Vec<u8> {
    let length = content.len().to_be_bytes();
    let length = &length[length.iter().position(|byte| *byte != 0).unwrap_or(length.len() - 1)..];
    let mut der = vec![0x30];
    if let [short @ 0..0x80] = length {
        der.push(*short);
    } else {
        // At most eight, the bytes of a usize.
        der.push(0x80 | u8::try_from(length.len()).unwrap_or(8));
        der.extend_from_slice(length);
    }
    der.extend_from_slice(content);
    der
}
