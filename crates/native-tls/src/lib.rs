//! TLS of everything that Keywright connects to, on rustls, with one store of trusted certificates.
//!
//! sqlx builds its own TLS and lets nobody bring a verifier; of `native-tls` it uses a dozen
//! functions. This crate has that name and those functions, and a `[patch]` in `Cargo.toml` puts it
//! in the place of the other, which would bring OpenSSL. So Postgres has the rules of libpq:
//! without verification no certificate is parsed, and one that is trusted itself is good.

mod connector;
mod stream;
#[cfg(test)]
mod tests;
mod trust;
mod verifier;

pub use rustls::Error as TlsError;

pub use connector::{
    Certificate, Error, HandshakeError, Identity, MidHandshakeTlsStream, TlsConnector,
    TlsConnectorBuilder,
};
pub use stream::TlsStream;
pub use trust::{NoCertificate, Trust};
pub use verifier::{Checks, Verifier, client_config};
