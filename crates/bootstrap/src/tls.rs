//! TLS for all listeners and clients: certificates, keys and authorities from files, which are read again when they
//! change.
//!
//! The cryptography is ring's, named explicitly, so that no feature of another crate can change it.

mod client;
mod connect_error;
mod files;
mod inspection;
mod metrics;
mod server;
mod stream;
#[cfg(test)]
pub(crate) mod tests;

use std::sync::Arc;

use tokio_rustls::rustls::crypto::{CryptoProvider, ring};

pub use self::{
    client::{ClientTls, ClientTlsSettings, Connector},
    connect_error::{ConnectError, explain},
    files::TlsFileError,
    inspection::CertificateInfo,
    server::{ServerTls, ServerTlsSettings},
    stream::Stream,
};

fn provider() -> Arc<CryptoProvider> {
    Arc::new(ring::default_provider())
}
