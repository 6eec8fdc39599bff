//! Printing answers, as text or as JSON.

use std::io::{self, IsTerminal as _, Write as _};

use prost_types::Timestamp;
use serde_json::Value;

use crate::exit::Failure;

/// How an answer is printed.
#[derive(Clone, Copy, Debug, clap::Args)]
pub(super) struct PrintSettings {
    /// Print the answer as JSON.
    #[arg(long)]
    json: bool,
}

impl PrintSettings {
    /// Prints `json` or the line `text`.
    pub(super) fn print(self, json: &Value, text: &str) -> Result<(), Failure> {
        let line = if self.json { json.to_string() } else { text.to_owned() };
        write_out(format!("{line}\n").as_bytes())
    }

    /// Prints `json`, or `text` as it is: a line break is added only for a person at a terminal.
    pub(super) fn print_exactly(self, json: &Value, text: &str) -> Result<(), Failure> {
        if self.json {
            return self.print(json, text);
        }
        write_out(text.as_bytes())?;
        if io::stdout().is_terminal() && !text.ends_with('\n') { write_out(b"\n") } else { Ok(()) }
    }
}

/// Writes to standard output, which may be closed.
pub(crate) fn write_out(bytes: &[u8]) -> Result<(), Failure> {
    let mut out = io::stdout().lock();
    out.write_all(bytes).and_then(|()| out.flush()).map_err(Failure::failed)
}

/// RFC 3339, or null.
pub(super) fn time(time: Option<&Timestamp>) -> Value {
    time.map(ToString::to_string).into()
}

/// RFC 3339, or `never`.
pub(super) fn time_or_never(time: Option<&Timestamp>) -> String {
    time.map_or_else(|| "never".to_owned(), ToString::to_string)
}
