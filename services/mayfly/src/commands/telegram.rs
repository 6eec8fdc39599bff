//! `mayfly telegram`: prepares a self-hosted Bot API server with the last active app config.

use std::path::PathBuf;

use mayfly_bootstrap::{Secret, UrlParser, secret_file};
use mayfly_contracts::config::{AppConfig, GetLastActiveAppConfigRequest};
use serde_json::json;
use tonic::Status;
use url::Url;

use super::caller::CallerSettings;
use crate::error::CliError;

/// Arguments of `mayfly telegram`.
#[derive(Debug, clap::Args)]
pub(crate) struct TelegramSettings {
    #[command(subcommand)]
    action: Action,
}

#[derive(Debug, clap::Subcommand)]
enum Action {
    /// Write the files api_id and api_hash for a Bot API server.
    Credentials(CredentialsSettings),
    /// Log the bot out of a Bot API server, before another one takes over.
    LogOut(LogOutSettings),
}

#[derive(Debug, clap::Args)]
struct CredentialsSettings {
    /// The folder for the files, which get mode 0600.
    #[arg(long, value_name = "FOLDER")]
    to: PathBuf,
    #[command(flatten)]
    caller: CallerSettings,
}

#[derive(Debug, clap::Args)]
struct LogOutSettings {
    /// The Bot API server to log out of. Telegram's own server then rejects the bot for ten minutes.
    // This flag has no environment variable, since MAYFLY_TELEGRAM_API_URL is the new server of the bot.
    #[arg(
        long,
        default_value = "https://api.telegram.org",
        value_name = "URL",
        value_parser = UrlParser::new(mayfly_bot::parse_web_url)
    )]
    from: Url,
    #[command(flatten)]
    caller: CallerSettings,
}

pub(crate) async fn run(settings: TelegramSettings) -> Result<(), CliError> {
    match settings.action {
        Action::Credentials(settings) => write_credentials(settings).await,
        Action::LogOut(settings) => log_out(settings).await,
    }
}

async fn write_credentials(CredentialsSettings { to, caller }: CredentialsSettings) -> Result<(), CliError> {
    let AppConfig { id, api_id, api_hash, .. } = last_active(&caller).await?;
    for (name, value) in [("api_id", api_id.to_string()), ("api_hash", api_hash)] {
        secret_file::write(&to.join(name), &Secret::new(value)).map_err(CliError::failed)?;
    }
    let text = format!("api_id and api_hash of app config {id} are in {}", to.display());
    caller.print.print(&json!({ "id": id }), &text)
}

async fn log_out(LogOutSettings { from, caller }: LogOutSettings) -> Result<(), CliError> {
    let AppConfig { id, bot_token, .. } = last_active(&caller).await?;
    mayfly_bot::log_out(&from, &Secret::new(bot_token)).await.map_err(CliError::failed)?;
    let text = format!("the bot of app config {id} is logged out of {from}");
    caller.print.print(&json!({ "id": id }), &text)
}

/// The last active app config, with its secrets unmasked.
async fn last_active(caller: &CallerSettings) -> Result<AppConfig, CliError> {
    let request = GetLastActiveAppConfigRequest {};
    let response = caller.service_client()?.get_last_active_app_config(request).await?.into_inner();
    response.app_config.ok_or_else(|| Status::internal("the response has no app config").into())
}
