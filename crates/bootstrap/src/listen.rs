//! Binding a listener, with an error that names the setting.

use std::{io, net::SocketAddr};

use tokio::net::TcpListener;

/// An address cannot be listened on.
#[derive(Debug, thiserror::Error)]
#[error("cannot listen on {address} ({setting})")]
pub struct BindError {
    address: SocketAddr,
    setting: &'static str,
    source: io::Error,
}

/// Binds `address`, which came from the setting named `setting` (`--store-listen`).
///
/// # Errors
///
/// [`BindError`] when the port is taken, is not ours to take, or the address is not this machine's.
pub async fn bind(setting: &'static str, address: SocketAddr) -> Result<TcpListener, BindError> {
    TcpListener::bind(address).await.map_err(|source| BindError { address, setting, source })
}
