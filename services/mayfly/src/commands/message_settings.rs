//! The arguments of `mayfly view`, `lookup` and `burn`: `id:token`, from the command line or from standard input.

use std::io::{self, Read as _};

use mayfly_bootstrap::Secret;
use mayfly_contracts::{MessageRef, StoreChannel};

use super::{print::PrintSettings, retry::RetrySettings};
use crate::{endpoints::StoreUrl, error::CliError};

/// More than the length of any `id:token`.
const MAX_BYTES: u64 = 1024;

/// A message, its store, and the output format.
#[derive(Debug, clap::Args)]
pub(crate) struct MessageSettings {
    /// The id:token that `mayfly new` printed. Read from standard input if not given, which keeps it out of the shell's
    /// history.
    #[arg(value_name = "ID:TOKEN")]
    message_ref: Option<Secret>,
    #[command(flatten)]
    pub(super) retry: RetrySettings,
    #[command(flatten)]
    pub(super) print: PrintSettings,
    #[command(flatten)]
    store: StoreUrl,
}

impl MessageSettings {
    /// A channel to the store.
    pub(super) fn channel(&self) -> Result<StoreChannel, CliError> {
        self.store.channel()
    }

    /// The `id:token` of the command line, where it is visible to others anyway.
    pub(super) fn message_ref_argument(&self) -> Option<&str> {
        self.message_ref.as_ref().map(|message_ref| message_ref.expose().trim())
    }

    /// The id and the access token.
    pub(super) fn message_ref(&self) -> Result<(i64, String), CliError> {
        let message_ref = match &self.message_ref {
            Some(message_ref) => message_ref.clone(),
            None => read_standard_input()?,
        };
        let message_ref = MessageRef::parse(message_ref.expose());
        let MessageRef { id, access_token } =
            message_ref.ok_or_else(|| CliError::usage("give the message as id:token, such as 1:2ax…"))?;
        Ok((id, access_token))
    }
}

fn read_standard_input() -> Result<Secret, CliError> {
    let mut bytes = Vec::new();
    io::stdin().lock().take(MAX_BYTES).read_to_end(&mut bytes).map_err(CliError::failed)?;
    // Other text is no message reference either.
    Ok(Secret::new(String::from_utf8(bytes).unwrap_or_default()))
}
