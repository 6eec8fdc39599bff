//! The arguments of `mayfly view`, `lookup` and `burn`: `id:token`, from the command line or from standard input.

use std::io::{self, Read as _};

use mayfly_bootstrap::Secret;
use mayfly_contracts::StoreChannel;

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
        parse(message_ref.expose()).ok_or_else(|| CliError::usage("give the message as id:token, such as 1:2ax…"))
    }
}

fn read_standard_input() -> Result<Secret, CliError> {
    let mut text = String::new();
    io::stdin().lock().take(MAX_BYTES).read_to_string(&mut text).map_err(CliError::failed)?;
    Ok(Secret::new(text))
}

fn parse(text: &str) -> Option<(i64, String)> {
    // Chinese and Japanese keyboards have a fullwidth colon.
    let (id, token) = text.trim().split_once([':', '\u{ff1a}'])?;
    Some((id.trim().parse().ok()?, token.trim().to_owned()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_message_reference_has_an_id_and_a_token() {
        for text in [" 12:ab \n", "12：ab"] {
            assert_eq!(parse(text), Some((12, "ab".to_owned())), "{text}");
        }
        for wrong in ["", "12", "x:ab", ":ab", "99999999999999999999:ab"] {
            assert_eq!(parse(wrong), None, "{wrong}");
        }
    }
}
