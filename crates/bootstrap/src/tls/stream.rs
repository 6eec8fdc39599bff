//! [`Stream`]: a TCP connection with or without TLS.

use std::{
    io,
    pin::Pin,
    sync::Arc,
    task::{Context, Poll},
};

use hyper_util::client::legacy::connect::{Connected, Connection};
use tokio::{
    io::{AsyncRead, AsyncWrite, ReadBuf},
    net::TcpStream,
};
use tokio_rustls::TlsStream;

use super::connect_error::LastFailure;

/// A connection of a listener or a client.
#[derive(Debug)]
pub struct Stream {
    inner: Inner,
    /// Learns from the first bytes of the server whether it accepts this client.
    failure: Option<Arc<LastFailure>>,
}

#[derive(Debug)]
enum Inner {
    Plain(TcpStream),
    /// After the handshake.
    Tls(Box<TlsStream<TcpStream>>),
}

impl Stream {
    pub(crate) fn plain(stream: TcpStream) -> Self {
        Self { inner: Inner::Plain(stream), failure: None }
    }

    pub(super) fn tls(stream: impl Into<TlsStream<TcpStream>>) -> Self {
        Self { inner: Inner::Tls(Box::new(stream.into())), failure: None }
    }

    /// The connection of a client, whose failure to be accepted is recorded.
    pub(super) fn recording(self, failure: Arc<LastFailure>) -> Self {
        Self { failure: Some(failure), ..self }
    }
}

impl AsyncRead for Stream {
    fn poll_read(self: Pin<&mut Self>, context: &mut Context<'_>, buffer: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        let this = self.get_mut();
        let before = buffer.filled().len();
        let (polled, is_tls) = match &mut this.inner {
            Inner::Plain(stream) => (Pin::new(stream).poll_read(context, buffer), false),
            Inner::Tls(stream) => (Pin::new(stream).poll_read(context, buffer), true),
        };
        let read = buffer.filled().get(before..).unwrap_or_default();
        match (&polled, &this.failure) {
            (Poll::Ready(Err(error)), Some(failure)) => failure.record(error),
            (Poll::Ready(Ok(())), Some(failure)) if !read.is_empty() => {
                failure.record_first_bytes(read, is_tls);
                this.failure = None;
            }
            _ => {}
        }
        polled
    }
}

impl AsyncWrite for Stream {
    fn poll_write(self: Pin<&mut Self>, context: &mut Context<'_>, buffer: &[u8]) -> Poll<io::Result<usize>> {
        match &mut self.get_mut().inner {
            Inner::Plain(stream) => Pin::new(stream).poll_write(context, buffer),
            Inner::Tls(stream) => Pin::new(stream).poll_write(context, buffer),
        }
    }

    fn poll_write_vectored(
        self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffers: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        match &mut self.get_mut().inner {
            Inner::Plain(stream) => Pin::new(stream).poll_write_vectored(context, buffers),
            Inner::Tls(stream) => Pin::new(stream).poll_write_vectored(context, buffers),
        }
    }

    fn is_write_vectored(&self) -> bool {
        match &self.inner {
            Inner::Plain(stream) => stream.is_write_vectored(),
            Inner::Tls(stream) => stream.is_write_vectored(),
        }
    }

    fn poll_flush(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        match &mut self.get_mut().inner {
            Inner::Plain(stream) => Pin::new(stream).poll_flush(context),
            Inner::Tls(stream) => Pin::new(stream).poll_flush(context),
        }
    }

    fn poll_shutdown(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        match &mut self.get_mut().inner {
            Inner::Plain(stream) => Pin::new(stream).poll_shutdown(context),
            Inner::Tls(stream) => Pin::new(stream).poll_shutdown(context),
        }
    }
}

/// For clients of HTTP. They speak HTTP/1.1 or know that the service speaks HTTP/2.
impl Connection for Stream {
    fn connected(&self) -> Connected {
        Connected::new()
    }
}
