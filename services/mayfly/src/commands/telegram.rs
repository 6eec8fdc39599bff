//! `mayfly telegram`: what a Bot API server of one's own needs, from the last active app config.

use std::path::PathBuf;

use mayfly_bootstrap::{Secret, secret_file};
use mayfly_contracts::{
    ErrorInfo,
    config::{AppConfig, GetLastActiveAppConfigRequest, config_service_client::ConfigServiceClient},
    error::ErrorReason,
};
use mayfly_store::{DataSettings, MissingToken, TokenSettings};
use serde_json::json;
use url::Url;

use super::{bearer::Bearer, print::PrintSettings};
use crate::{cli::StoreUrl, exit::Failure};

/// What `mayfly telegram` is called with.
#[derive(Debug, clap::Args)]
pub(crate) struct TelegramSettings {
    #[command(subcommand)]
    action: Action,
}

#[derive(Debug, clap::Subcommand)]
enum Action {
    /// Write api_id and api_hash to files of these names, for a Bot API server to read.
    Credentials(CredentialsSettings),
    /// Log the bot out of a Bot API server, before another one takes over.
    LogOut(LogOutSettings),
}

#[derive(Debug, clap::Args)]
struct CredentialsSettings {
    /// The folder for the files. They have mode 0600.
    #[arg(long, value_name = "FOLDER")]
    to: PathBuf,
    #[command(flatten)]
    caller: Caller,
}

#[derive(Debug, clap::Args)]
struct LogOutSettings {
    /// The Bot API server to leave. Telegram's own does not take the bot back for ten minutes.
    // No environment variable: MAYFLY_TELEGRAM_API_URL is the server that the bot goes to.
    #[arg(long, default_value = "https://api.telegram.org", value_name = "URL")]
    from: Url,
    #[command(flatten)]
    caller: Caller,
}

/// Who calls which store, and how the answer is printed.
#[derive(Debug, clap::Args)]
struct Caller {
    #[command(flatten)]
    print: PrintSettings,
    #[command(flatten)]
    store: StoreUrl,
    #[command(flatten)]
    data: DataSettings,
    #[command(flatten)]
    tokens: TokenSettings,
}

/// There is nothing to work with.
#[derive(Debug, thiserror::Error)]
#[error("no app config is active: add one with mayfly config add, then try again")]
struct NoneActive;

pub(crate) async fn run(settings: TelegramSettings) -> Result<(), Failure> {
    match settings.action {
        Action::Credentials(settings) => write_credentials(settings).await,
        Action::LogOut(settings) => log_out(settings).await,
    }
}

async fn write_credentials(CredentialsSettings { to, caller }: CredentialsSettings) -> Result<(), Failure> {
    let AppConfig { id, api_id, api_hash, .. } = caller.last_active().await?;
    for (name, value) in [("api_id", api_id.to_string()), ("api_hash", api_hash)] {
        secret_file::write(&to.join(name), &Secret::new(value)).map_err(Failure::failed)?;
    }
    let sentence = format!("api_id and api_hash of app config {id} are in {}", to.display());
    caller.print.print(&json!({ "id": id }), &sentence)
}

async fn log_out(LogOutSettings { from, caller }: LogOutSettings) -> Result<(), Failure> {
    let AppConfig { id, bot_token, .. } = caller.last_active().await?;
    mayfly_bot::log_out(&from, &Secret::new(bot_token)).await.map_err(Failure::failed)?;
    let sentence = format!("the bot of app config {id} is logged out of {from}");
    caller.print.print(&json!({ "id": id }), &sentence)
}

impl Caller {
    /// The last active app config, secrets in clear.
    async fn last_active(&self) -> Result<AppConfig, Failure> {
        let token = self.tokens.service_token(&self.data, MissingToken::Reject).map_err(Failure::failed)?;
        let bearer = Bearer::new("--service-token", &token)?;
        let mut client = ConfigServiceClient::with_interceptor(self.store.channel()?, bearer);
        let answer = match client.get_last_active_app_config(GetLastActiveAppConfigRequest {}).await {
            Ok(answer) => answer.into_inner(),
            Err(status) if ErrorInfo::from_status(&status).reason == ErrorReason::AppConfigNotFound => {
                return Err(Failure::gone(NoneActive));
            }
            Err(status) => return Err(status.into()),
        };
        answer.app_config.ok_or_else(|| Failure::gone(NoneActive))
    }
}
