//! What every Mayfly process needs: settings, secrets, logs, metrics, listeners, TLS, an HTTP server with limits, and a clean
//! shutdown.
//!
//! Knows nothing of messages, app configs or the services.

pub mod audit;
mod caller_id;
mod error_chain;
mod grpc_code;
pub mod http;
mod keyed_limit;
mod lifecycle;
mod listen;
pub mod metrics;
pub mod metrics_listener;
mod open_files;
mod private_dir;
mod request_id;
mod secret;
pub mod secret_file;
pub mod telemetry;
pub mod tls;
pub mod trace;
mod url_setting;

pub use caller_id::CallerId;
pub use error_chain::ErrorChain;
pub use keyed_limit::{KeyedLimit, LimitExceeded, Permit};
pub use lifecycle::{DRAIN_TIMEOUT, Lifecycle, ShutdownOutcome, TaskError};
pub use listen::{BindError, Listener, bind};
pub use private_dir::{create_private_dir_all, parent_dir, sync_dir};
pub use request_id::{InvalidRequestId, REQUEST_ID, RequestId};
pub use secret::Secret;
pub use url_setting::{ServerUrl, UrlParser};
