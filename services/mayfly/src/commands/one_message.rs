//! What `mayfly view`, `lookup` and `burn` are called with: `id:token`, from the command line or from standard input.

use std::io::{self, Read as _};

use mayfly_bootstrap::Secret;
use mayfly_contracts::StoreChannel;

use super::{print::PrintSettings, retry::RetrySettings};
use crate::{cli::StoreUrl, exit::Failure};

/// Longer than any `id:token`.
const MAX_BYTES: u64 = 1024;

/// One message of one store, and how the answer is printed.
#[derive(Debug, clap::Args)]
pub(crate) struct OneMessageSettings {
    /// The id:token that `mayfly new` printed. Read from standard input when it is not given, which keeps it out of the
    /// shell's history.
    #[arg(value_name = "ID:TOKEN")]
    opener: Option<Secret>,
    #[command(flatten)]
    pub(super) retry: RetrySettings,
    #[command(flatten)]
    pub(super) print: PrintSettings,
    #[command(flatten)]
    store: StoreUrl,
}

impl OneMessageSettings {
    /// The way to the store.
    pub(super) fn channel(&self) -> Result<StoreChannel, Failure> {
        self.store.channel()
    }

    /// `id:token`, if it came from the command line, where everybody has seen it.
    pub(super) fn opener_as_given(&self) -> Option<&str> {
        self.opener.as_ref().map(|opener| opener.expose().trim())
    }

    /// The id and the token.
    pub(super) fn opener(&self) -> Result<(i64, String), Failure> {
        let opener = match &self.opener {
            Some(opener) => opener.clone(),
            None => read_standard_input()?,
        };
        parse(opener.expose()).ok_or_else(|| Failure::usage("give the message as id:token, such as 1:2ax…"))
    }
}

fn read_standard_input() -> Result<Secret, Failure> {
    let mut text = String::new();
    io::stdin().lock().take(MAX_BYTES).read_to_string(&mut text).map_err(Failure::failed)?;
    Ok(Secret::new(text))
}

fn parse(text: &str) -> Option<(i64, String)> {
    // The second is the colon of Chinese and Japanese keyboards.
    let (id, token) = text.trim().split_once([':', '\u{ff1a}'])?;
    Some((id.trim().parse().ok()?, token.trim().to_owned()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_opener_is_an_id_and_a_token() {
        for text in [" 12:ab \n", "12：ab"] {
            assert_eq!(parse(text), Some((12, "ab".to_owned())), "{text}");
        }
        for wrong in ["", "12", "x:ab", ":ab", "99999999999999999999:ab"] {
            assert_eq!(parse(wrong), None, "{wrong}");
        }
    }
}
