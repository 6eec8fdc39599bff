//! What every Mayfly process does before and after its own work: read settings and secrets, set up logs, bind
//! listeners, serve HTTP, and come to an orderly end.
//!
//! Knows nothing of messages, configs or the services.

mod error_chain;
mod folder;
pub mod http;
mod lifecycle;
mod listen;
mod secret;
mod secret_file;
mod shares;
pub mod telemetry;

pub use error_chain::ErrorChain;
pub use folder::{make_private_folder, sync_folder};
pub use lifecycle::{DRAIN_LIMIT, Ended, Lifecycle, TaskError};
pub use listen::{BindError, bind};
pub use secret::Secret;
pub use secret_file::{SecretFileError, create_or_read, put, read, replace};
pub use shares::{Share, Shares};
