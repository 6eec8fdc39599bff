//! What opens a message: `id:token`, from the command line or from standard input.

use std::{
    fmt,
    io::{self, Read as _},
};

use mayfly_bootstrap::Secret;

use crate::exit::Failure;

/// Longer than any `id:token`.
const MAX_BYTES: u64 = 1024;

/// Which message is meant.
#[derive(Clone, clap::Args)]
pub(super) struct OpenerSettings {
    /// The id:token that `mayfly new` printed. Read from standard input when it is not given, which keeps it out of the
    /// shell's history.
    #[arg(value_name = "ID:TOKEN")]
    opener: Option<Secret>,
}

impl OpenerSettings {
    /// The id and the token.
    pub(super) fn read(&self) -> Result<(i64, String), Failure> {
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
    let (id, token) = text.trim().split_once(':')?;
    Some((id.trim().parse().ok()?, token.trim().to_owned()))
}

impl fmt::Debug for OpenerSettings {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("OpenerSettings")
    }
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
