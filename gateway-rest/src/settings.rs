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
}
