//! Listeners: bound, with or without TLS, and with an error that names the setting.

use std::{io, net::SocketAddr};

use tokio::net::TcpListener;

use crate::tls::ServerTls;

/// A bound listener.
#[derive(Debug)]
pub struct Listener {
    pub(crate) tcp: TcpListener,
    /// `None` for plain HTTP.
    pub(crate) tls: Option<ServerTls>,
}

/// Without TLS.
impl From<TcpListener> for Listener {
    fn from(tcp: TcpListener) -> Self {
        Self { tcp, tls: None }
    }
}

impl Listener {
    /// A listener with TLS, unless `tls` is `None`.
    #[must_use]
    pub fn with_tls(tcp: TcpListener, tls: Option<ServerTls>) -> Self {
        Self { tcp, tls }
    }
}

/// An address cannot be listened on.
#[derive(Debug, thiserror::Error)]
#[error("cannot listen on {address} ({setting})")]
pub struct BindError {
    address: SocketAddr,
    setting: &'static str,
    source: io::Error,
}

/// Binds `address`, the value of `setting` (`--store-listen`). Replaces port 0 in `address` by the port that the system
/// chose. The connections have TLS, unless `tls` is `None`.
///
/// # Errors
///
/// [`BindError`] when the port is in use or not permitted, or the address is not one of this machine.
pub async fn bind(
    setting: &'static str,
    address: &mut SocketAddr,
    tls: Option<&ServerTls>,
) -> Result<Listener, BindError> {
    let bound = TcpListener::bind(*address).await.and_then(|tcp| Ok((tcp.local_addr()?, tcp)));
    let (local, tcp) = bound.map_err(|source| BindError { address: *address, setting, source })?;
    *address = local;
    Ok(Listener::with_tls(tcp, tls.cloned()))
}
