//! How every HTTP client of the server begins.

use keywright_tls::{Checks, Trust, Verifier, client_config};

/// A builder whose clients trust what everything else here trusts: the certificates of the system, and
/// those that `SSL_CERT_FILE` and `SSL_CERT_DIR` name.
pub fn builder() -> reqwest::ClientBuilder {
    let mut tls = client_config(Verifier::new(Trust::system(), Checks::ChainAndName));
    tls.alpn_protocols = vec![b"http/1.1".to_vec()];
    reqwest::Client::builder().tls_backend_preconfigured(tls)
}
