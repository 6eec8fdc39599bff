//! An HTTP/1.1 connection that costs little: prepared requests, and only what the load needs of a response.

use std::{
    io::{self, Write as _},
    net::{Ipv4Addr, SocketAddr},
    ops::Range,
};

use serde::Deserialize;
use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::{TcpSocket, TcpStream},
};

/// Stores a text of 40 bytes.
pub(super) const CREATE: &[u8] = b"POST /api/v1/create_message HTTP/1.1\r\nHost: 127.0.0.1\r\n\
    Content-Type: application/json\r\nContent-Length: 51\r\n\r\n\
    {\"text\":\"a password of ordinary length, 40 bytes.\"}";
/// Asks whether the server is ready.
const READY: &[u8] = b"GET /readyz HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n";

/// Has a response from every server, whatever its status.
const HEALTH: &[u8] = b"GET /healthz HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n";

/// The largest response.
const MAX_RESPONSE: usize = 16 << 10;
/// The most headers of a response.
const MAX_HEADERS: usize = 32;
/// How many connections come from one address. A server may limit those of a caller.
const CONNECTIONS_PER_ADDRESS: usize = 128;

/// An open connection.
pub(super) struct Connection {
    stream: TcpStream,
    buffer: Vec<u8>,
}

/// The response to a request.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Response<'a> {
    pub(super) status: u16,
    pub(super) body: &'a [u8],
    /// Whether the server closes the connection after this response.
    pub(super) closes: bool,
}

/// Where the parts of a response are.
#[derive(Debug, PartialEq, Eq)]
struct Parsed {
    status: u16,
    body: Range<usize>,
    closes: bool,
}

impl Connection {
    /// Opens connection number `number` to a server on a loopback address, and waits until the server has accepted it.
    /// Servers may close connections that have been open for long without a request.
    pub(super) async fn open(server: SocketAddr, number: usize) -> io::Result<Self> {
        let mut connection = Self::connect(server, number).await?;
        connection.call(HEALTH).await?;
        Ok(connection)
    }

    async fn connect(server: SocketAddr, number: usize) -> io::Result<Self> {
        let socket = TcpSocket::new_v4()?;
        let host = u8::try_from(number / CONNECTIONS_PER_ADDRESS + 1).map_err(io::Error::other)?;
        socket.bind((Ipv4Addr::new(127, 0, 0, host), 0).into())?;
        let stream = socket.connect(server).await?;
        stream.set_nodelay(true)?;
        Ok(Self { stream, buffer: vec![0; MAX_RESPONSE] })
    }

    /// Sends a request, and waits for its response.
    pub(super) async fn call(&mut self, request: &[u8]) -> io::Result<Response<'_>> {
        self.stream.write_all(request).await?;
        let mut filled = 0;
        let parsed = loop {
            let free = self.buffer.get_mut(filled..).filter(|free| !free.is_empty());
            let free = free.ok_or_else(|| io::Error::other("the response is too large"))?;
            match self.stream.read(free).await? {
                0 => return Err(io::ErrorKind::UnexpectedEof.into()),
                length => filled += length,
            }
            if let Some(parsed) = parse(self.buffer.get(..filled).unwrap_or_default())? {
                break parsed;
            }
        };
        let body = self.buffer.get(parsed.body).unwrap_or_default();
        Ok(Response { status: parsed.status, body, closes: parsed.closes })
    }
}

/// Returns `true` if the server answers that it is ready.
pub(super) async fn is_ready(server: SocketAddr) -> bool {
    let asked = async { Ok::<_, io::Error>(Connection::connect(server, 0).await?.call(READY).await?.status) };
    matches!(asked.await, Ok(200))
}

/// Writes the request that views the message which `created`, the body of a response, names. Returns `false` if it
/// names none.
pub(super) fn write_view(created: &[u8], request: &mut Vec<u8>) -> bool {
    #[derive(Deserialize)]
    struct Created<'a> {
        id: i64,
        access_token: &'a str,
    }
    let Ok(Created { id, access_token }) = serde_json::from_slice(created) else { return false };
    request.clear();
    write!(request, "GET /api/v1/get_message/{id}/{access_token} HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n").is_ok()
}

/// The parts of a response; `None` if it is incomplete.
fn parse(bytes: &[u8]) -> io::Result<Option<Parsed>> {
    let mut headers = [httparse::EMPTY_HEADER; MAX_HEADERS];
    let mut response = httparse::Response::new(&mut headers);
    let httparse::Status::Complete(head) = response.parse(bytes).map_err(io::Error::other)? else { return Ok(None) };
    let status = response.code.unwrap_or_default();
    let header = |name: &str| {
        let header = response.headers.iter().find(|header| header.name.eq_ignore_ascii_case(name))?;
        std::str::from_utf8(header.value).ok()
    };
    let length = match header("content-length").map(str::parse::<usize>) {
        Some(Ok(length)) => length,
        None if status == 204 => 0,
        _ => return Err(io::Error::other("a response without its length")),
    };
    let closes = header("connection").is_some_and(|value| value.eq_ignore_ascii_case("close"));
    Ok((bytes.len() >= head + length).then_some(Parsed { status, body: head..head + length, closes }))
}

#[cfg(test)]
mod tests {
    use super::*;

    const RESPONSE: &[u8] = b"HTTP/1.1 201 Created\r\nContent-Length: 4\r\nconnection: Close\r\n\r\nbody";

    #[test]
    fn a_response_is_complete_with_the_last_byte_of_its_body() {
        for length in 0..RESPONSE.len() {
            assert_eq!(parse(&RESPONSE[..length]).unwrap(), None, "{length} bytes");
        }
        let parsed = parse(RESPONSE).unwrap().unwrap();
        assert_eq!((parsed.status, &RESPONSE[parsed.body], parsed.closes), (201, &b"body"[..], true));
    }

    #[test]
    fn a_response_needs_a_length_unless_it_is_empty() {
        assert!(parse(b"HTTP/1.1 200 OK\r\n\r\n").is_err());
        assert!(parse(b"HTTP/1.1 200 OK\r\ncontent-length: x\r\n\r\n").is_err());
        assert!(parse(b"SSH-2.0-x\r\n\r\n").is_err());
        let empty = Parsed { status: 204, body: 27..27, closes: false };
        assert_eq!(parse(b"HTTP/1.1 204 No Content\r\n\r\n").unwrap(), Some(empty));
    }

    #[test]
    fn a_view_names_the_created_message() {
        let mut request = b"left over".to_vec();
        assert!(write_view(br#"{"id": 12, "text": "t", "access_token": "ab"}"#, &mut request));
        assert!(request.starts_with(b"GET /api/v1/get_message/12/ab HTTP/1.1\r\n"));
        assert!(!write_view(br#"{"id": "12"}"#, &mut request));
    }

    #[test]
    fn the_length_of_the_prepared_request_is_that_of_its_body() {
        let mut headers = [httparse::EMPTY_HEADER; MAX_HEADERS];
        let mut request = httparse::Request::new(&mut headers);
        let head = request.parse(CREATE).unwrap().unwrap();
        let length = request.headers.iter().find(|header| header.name == "Content-Length").unwrap();
        assert_eq!(length.value, (CREATE.len() - head).to_string().as_bytes());
    }
}
