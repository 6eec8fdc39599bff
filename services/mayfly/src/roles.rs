//! The long-running roles. Each binds its listeners, starts its services, and runs until a signal arrives.

pub(crate) mod bot;
pub(crate) mod gateway;
pub(crate) mod store;
pub(crate) mod up;

use mayfly_bootstrap::http::ServerLimits;
use mayfly_bot::MAX_REQUEST_BYTES;
use mayfly_contracts::max_request_bytes;
use mayfly_store::LimitSettings;

/// The limits that all listeners of the process share.
fn process_limits(settings: &LimitSettings) -> ServerLimits {
    ServerLimits::new(max_request_bytes(settings.max_text_bytes).max(MAX_REQUEST_BYTES))
}
