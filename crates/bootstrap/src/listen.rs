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

/// Binds `address`, the value of `setting` (`--store-listen`). Replaces port 0 in `address` by the port that the system
/// chose.
///
/// # Errors
///
/// [`BindError`] when the port is in use or not permitted, or the address is not one of this machine.
pub async fn bind(setting: &'static str, address: &mut SocketAddr) -> Result<TcpListener, BindError> {
    let bound = TcpListener::bind(*address).await.and_then(|listener| Ok((listener.local_addr()?, listener)));
    let (local, listener) = bound.map_err(|source| BindError { address: *address, setting, source })?;
    *address = local;
    Ok(listener)
}
