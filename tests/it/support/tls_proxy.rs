//! TLS before a server that speaks plain HTTP, as a proxy in front of it would.

use std::sync::Arc;

use rcgen::generate_simple_self_signed;
use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinHandle;
use tokio_rustls::TlsAcceptor;
use tokio_rustls::rustls::ServerConfig;
use tokio_rustls::rustls::crypto::aws_lc_rs;
use tokio_rustls::rustls::pki_types::PrivateKeyDer;

/// A listening proxy; ends when dropped.
pub(crate) struct TlsProxy {
    pub(crate) port: u16,
    /// Its certificate, which signs itself, as PEM.
    pub(crate) certificate: String,
    task: JoinHandle<()>,
}

impl TlsProxy {
    /// For this host, to the server at `127.0.0.1:port` of this URL.
    #[expect(clippy::disallowed_methods, reason = "a server of a test")]
    pub(crate) async fn start(host: &str, server: &str) -> Self {
        let certified = generate_simple_self_signed([host.to_owned()]).unwrap();
        let certificate = certified.cert.pem();
        let key = PrivateKeyDer::try_from(certified.signing_key.serialize_der()).unwrap();
        let config = ServerConfig::builder_with_provider(Arc::new(aws_lc_rs::default_provider()))
            .with_safe_default_protocol_versions()
            .unwrap()
            .with_no_client_auth()
            .with_single_cert(vec![certified.cert.der().clone()], key)
            .unwrap();
        let acceptor = TlsAcceptor::from(Arc::new(config));
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let port = listener.local_addr().unwrap().port();
        let server = server.trim_start_matches("http://").to_owned();
        let task = tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                let (acceptor, server) = (acceptor.clone(), server.clone());
                tokio::spawn(async move {
                    let Ok(mut client) = acceptor.accept(stream).await else { return };
                    let Ok(mut server) = TcpStream::connect(&server).await else { return };
                    let _ = tokio::io::copy_bidirectional(&mut client, &mut server).await;
                });
            }
        });
        Self { port, certificate, task }
    }
}

impl Drop for TlsProxy {
    fn drop(&mut self) {
        self.task.abort();
    }
}
