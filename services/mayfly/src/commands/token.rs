//! `mayfly token`.

use mayfly_store::{DataSettings, MissingToken, TokenSettings};
use serde_json::json;

use super::print::PrintSettings;
use crate::error::CliError;

/// Arguments of `mayfly token`.
#[derive(Debug, clap::Args)]
pub(crate) struct TokenCommandSettings {
    #[command(flatten)]
    data: DataSettings,
    #[command(flatten)]
    tokens: TokenSettings,
    #[command(flatten)]
    print: PrintSettings,
}

pub(crate) fn run(settings: &TokenCommandSettings) -> Result<(), CliError> {
    let token = settings.tokens.admin_token(&settings.data, MissingToken::Reject)?;
    settings.print.print(&json!({ "admin_token": token.expose() }), token.expose())
}
