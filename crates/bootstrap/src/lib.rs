//! What every Mayfly process does before and after its own work: read settings and secrets, set up logs, bind
//! listeners, serve HTTP, and come to an orderly end.
//!
//! Knows nothing of messages, configs or the services.

mod caller_id;
mod error_chain;
mod folder;
pub mod http;
mod keyed_limit;
mod lifecycle;
mod listen;
mod open_files;
mod secret;
mod secret_file;
pub mod telemetry;

pub use caller_id::CallerId;
pub use error_chain::ErrorChain;
pub use folder::{make_private_folder, sync_folder};
pub use keyed_limit::{KeyedLimit, LimitExceeded, Permit};
pub use lifecycle::{DRAIN_LIMIT, Ended, Lifecycle, TaskError};
pub use listen::{BindError, bind};
pub use secret::Secret;
pub use secret_file::{SecretAccess, SecretFileError, create_or_read, put, read, replace};
