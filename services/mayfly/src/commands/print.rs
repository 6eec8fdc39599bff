//! Output as text or as JSON.

use std::io::{self, IsTerminal as _, Write as _};

use prost_types::Timestamp;
use serde_json::Value;

use crate::error::CliError;

/// The output format.
#[derive(Clone, Copy, Debug, clap::Args)]
pub(super) struct PrintSettings {
    /// Print JSON.
    #[arg(long)]
    json: bool,
}

impl PrintSettings {
    /// Prints `json` or the line `text`.
    pub(super) fn print(self, json: &Value, text: &str) -> Result<(), CliError> {
        let line = if self.json { json.to_string() } else { text.to_owned() };
        write_stdout(format!("{line}\n").as_bytes())
    }

    /// `json` in one line, or `text`.
    pub(super) fn choose(self, json: &Value, text: String) -> String {
        if self.json { format!("{json}\n") } else { text }
    }

    /// Prints `json`, or `text` without changes. On a terminal a missing line break is added.
    pub(super) fn print_verbatim(self, json: &Value, text: &str) -> Result<(), CliError> {
        if self.json {
            return self.print(json, text);
        }
        write_stdout(text.as_bytes())?;
        if io::stdout().is_terminal() && !text.ends_with('\n') { write_stdout(b"\n") } else { Ok(()) }
    }
}

/// Writes to standard output. Returns an error if it is closed.
pub(crate) fn write_stdout(bytes: &[u8]) -> Result<(), CliError> {
    let mut out = io::stdout().lock();
    out.write_all(bytes).and_then(|()| out.flush()).map_err(CliError::failed)
}

/// The time in RFC 3339, or null.
pub(super) fn time(time: Option<&Timestamp>) -> Value {
    time.map(ToString::to_string).into()
}

/// The time in RFC 3339, or `never`.
pub(super) fn time_or_never(time: Option<&Timestamp>) -> String {
    time.map_or_else(|| "never".to_owned(), ToString::to_string)
}
