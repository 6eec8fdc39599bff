//! What `mayfly view`, `lookup` and `burn` are called with: `id:token`, from the command line or from standard input.

use std::io::{self, Read as _};

use mayfly_bootstrap::Secret;
use mayfly_contracts::StoreChannel;

use super::{print::PrintSettings, retry::RetrySettings};
use crate::{cli::StoreUrl, error::CliError};

/// Longer than any `id:token`.
const MAX_BYTES: u64 = 1024;

/// One message of one store, and how the answer is printed.
#[derive(Debug, clap::Args)]
pub(crate) struct MessageSettings {
    /// The id:token that `mayfly new` printed. Read from standard input when it is not given, which keeps it out of the
    /// shell's history.
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
    /// The way to the store.
    pub(super) fn channel(&self) -> Result<StoreChannel, CliError> {
        self.store.channel()
    }

    /// `id:token`, if it came from the command line, where everybody has seen it.
    pub(super) fn message_ref_argument(&self) -> Option<&str> {
        self.message_ref.as_ref().map(|message_ref| message_ref.expose().trim())
    }

    /// The id and the token.
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
    let (id, token) = text.trim().split_once(':')?;
    Some((id.trim().parse().ok()?, token.trim().to_owned()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_opener_is_an_id_and_a_token() {
        assert_eq!(parse(" 12:ab \n"), Some((12, "ab".to_owned())));
        for wrong in ["", "12", "x:ab", ":ab", "99999999999999999999:ab"] {
            assert_eq!(parse(wrong), None, "{wrong}");
        }
    }
}
