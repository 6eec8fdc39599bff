//! [`ListenerInfo`]: the names of a listener and of its requests in logs and traces.

use axum::http::HeaderMap;

/// How a listener names itself and its requests, and what its protocol adds to errors.
#[derive(Clone, Copy, Debug)]
pub struct ListenerInfo {
    /// Its name in logs.
    pub name: &'static str,
    /// The name of all its requests, if their paths are settings. `None`: each route has its own.
    pub route: Option<&'static str>,
    /// Returns the name of the RPC with this path (`package.Service/Method`), if it is a known one.
    pub rpc_name: fn(&str) -> Option<&'static str>,
    /// Adds the id of the request to a response that is an error of gRPC.
    pub add_request_id: fn(&mut HeaderMap, &str),
}

impl ListenerInfo {
    /// A listener without gRPC.
    #[must_use]
    pub const fn http(name: &'static str) -> Self {
        Self { name, route: None, rpc_name: |_| None, add_request_id: |_, _| () }
    }
}
