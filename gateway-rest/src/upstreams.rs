//! The services behind the gateway.

use mayfly_contracts::{BotChannel, StoreChannel};

use crate::metrics::GatewayMetrics;

/// The services behind the gateway.
#[derive(Clone, Debug)]
pub struct Upstreams {
    /// The store.
    pub store: StoreChannel,
    /// The bot. Only `BotService` needs it.
    pub bot: BotChannel,
    /// Whether callers can list the services by reflection. The gateway serves reflection itself, since it knows both
    /// upstreams.
    pub has_reflection: bool,
    /// Counts the requests to them.
    pub metrics: GatewayMetrics,
}
