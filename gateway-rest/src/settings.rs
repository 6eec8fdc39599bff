//! What a gateway is started with.

use std::net::SocketAddr;

/// What a gateway is started with.
#[derive(Clone, Debug, clap::Args)]
pub struct GatewaySettings {
    /// Where the gateway listens; may be given several times, or separated by commas.
    #[arg(
        long,
        env = "MAYFLY_GATEWAY_LISTEN",
        default_values = ["127.0.0.1:8001", "127.0.0.1:8000"],
        value_delimiter = ',',
        value_name = "ADDRESS"
    )]
    pub gateway_listen: Vec<SocketAddr>,
    /// How many reverse proxies stand in front of the gateway, each of which adds to X-Forwarded-For. Callers are told
    /// apart by the address that the first of them saw. Without any, all callers behind a proxy have the limits of one.
    /// When the proxies say in X-Forwarded-Proto that the caller spoke TLS, browsers are told to use nothing else for a
    /// year.
    #[arg(long, env = "MAYFLY_TRUSTED_PROXIES", default_value_t = 0, value_name = "N")]
    pub trusted_proxies: usize,
}
