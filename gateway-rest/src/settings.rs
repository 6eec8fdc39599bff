//! The settings of the gateway.

use std::net::SocketAddr;

/// The settings of the gateway.
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
    /// Where the gateway listens for plain HTTP too, such as 0.0.0.0:80, and redirects browsers to HTTPS.
    #[arg(long, env = "MAYFLY_REDIRECT_HTTP", value_name = "ADDRESS", requires = "tls_cert")]
    pub redirect_http: Option<SocketAddr>,
    /// The number of reverse proxies in front of the gateway, each of which appends to X-Forwarded-For. The gateway
    /// identifies callers by the address that the first of them reports. With 0, all callers behind a proxy share the
    /// limits of one caller. If the proxies report HTTPS in X-Forwarded-Proto, or the gateway has --tls-cert, browsers
    /// are told to use HTTPS only, for a year.
    #[arg(long, env = "MAYFLY_TRUSTED_PROXIES", default_value_t = 0, value_name = "N")]
    pub trusted_proxies: usize,
}
