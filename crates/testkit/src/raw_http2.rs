//! A low-level HTTP/2 client for hostile clients: they do not read, do not finish, and open many streams.

use std::net::{IpAddr, SocketAddr};

use bytes::{BufMut as _, Bytes, BytesMut};
use h2::{
    SendStream,
    client::{Builder, ResponseFuture, SendRequest},
};
use tokio::net::TcpSocket;

/// One connection. Closed when it and its streams are dropped.
#[derive(Clone)]
pub struct RawHttp2 {
    sender: SendRequest<Bytes>,
    authority: SocketAddr,
}

/// A stream whose request has begun.
pub struct RawStream {
    /// The future response.
    pub response: ResponseFuture,
    /// The rest of the request body.
    pub request: SendStream<Bytes>,
}

impl RawHttp2 {
    /// Connects to `url` (`http://127.0.0.1:8001`) from the local address `from`, with a receive window of `window`
    /// bytes per stream. With a window of 0 the server can send only the headers of a response.
    ///
    /// # Errors
    ///
    /// Returns an error if the connection fails.
    pub async fn connect(url: &str, from: IpAddr, window: u32) -> anyhow::Result<Self> {
        let authority: SocketAddr = url.trim_start_matches("http://").parse()?;
        let socket = TcpSocket::new_v4()?;
        socket.bind(SocketAddr::new(from, 0))?;
        let stream = socket.connect(authority).await?;
        let handshake = Builder::new().initial_window_size(window).handshake(stream);
        let (sender, connection) = handshake.await?;
        tokio::spawn(async move { drop(connection.await) });
        Ok(Self { sender, authority })
    }

    /// Begins a gRPC call with `body`. The request stays open unless `is_whole`.
    ///
    /// # Errors
    ///
    /// Returns an error if the connection has ended.
    pub async fn call(&self, path: &str, body: Bytes, is_whole: bool) -> anyhow::Result<RawStream> {
        let request = http::Request::post(format!("http://{}{path}", self.authority))
            .header(http::header::CONTENT_TYPE, "application/grpc")
            .header(http::header::TE, "trailers")
            .body(())?;
        let (response, mut request) = self.sender.clone().ready().await?.send_request(request, false)?;
        // A server that rejects the call may have ended the stream already. The response shows that.
        let _refused_early = request.send_data(body, is_whole).is_err();
        Ok(RawStream { response, request })
    }
}

/// The gRPC frame of a message.
pub fn grpc_frame(message: &impl prost::Message) -> Bytes {
    let bytes = message.encode_to_vec();
    let mut frame = grpc_frame_header(bytes.len());
    frame.extend_from_slice(&bytes);
    frame.freeze()
}

/// The gRPC frame header of a message with `length` bytes.
pub fn grpc_frame_header(length: usize) -> BytesMut {
    let mut frame = BytesMut::with_capacity(5);
    frame.put_u8(0);
    frame.put_u32(u32::try_from(length).unwrap_or(u32::MAX));
    frame
}
