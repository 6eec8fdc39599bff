//! Printing answers, as text or as JSON.

use std::io::{self, IsTerminal as _, Write as _};

use prost_types::Timestamp;
use serde_json::Value;

use crate::error::CliError;

/// How an answer is printed.
#[derive(Clone, Copy, Debug, clap::Args)]
pub(super) struct PrintSettings {
    /// Print the answer as JSON.
    #[arg(long)]
    json: bool,
}

impl PrintSettings {
    /// Prints `json` or the line `text`.
    pub(super) fn print(self, json: &Value, text: &str) -> Result<(), CliError> {
        let line = if self.json { json.to_string() } else { text.to_owned() };
        write_stdout(format!("{line}\n").as_bytes())
    }

    /// Prints `json`, or `text` as it is: a line break is added only for a person at a terminal.
    pub(super) fn print_verbatim(self, json: &Value, text: &str) -> Result<(), CliError> {
        if self.json {
            return self.print(json, text);
        }
        write_stdout(text.as_bytes())?;
        if io::stdout().is_terminal() && !text.ends_with('\n') { write_stdout(b"\n") } else { Ok(()) }
    }
}

/// Writes to standard output, which may be closed.
pub(crate) fn write_stdout(bytes: &[u8]) -> Result<(), CliError> {
    let mut out = io::stdout().lock();
    out.write_all(bytes).and_then(|()| out.flush()).map_err(CliError::failed)
}

/// RFC 3339, or null.
pub(super) fn time(time: Option<&Timestamp>) -> Value {
    time.map(ToString::to_string).into()
}

/// RFC 3339, or `never`.
pub(super) fn time_or_never(time: Option<&Timestamp>) -> String {
    time.map_or_else(|| "never".to_owned(), ToString::to_string)
}
