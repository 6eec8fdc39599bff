//! `mayfly config`: manage the bot's app configs.

use std::path::PathBuf;

use mayfly_bootstrap::{Secret, secret_file};
use mayfly_contracts::config::{
    AppConfig, CreateAppConfigRequest, DeleteAppConfigRequest, GetAppConfigRequest, GetLastActiveAppConfigRequest,
    ListAppConfigsRequest, UpdateAppConfigRequest,
};
use prost_types::FieldMask;
use serde_json::{Value, json};

use super::{caller::CallerSettings, print};
use crate::error::CliError;

/// Arguments of `mayfly config`.
#[derive(Debug, clap::Args)]
pub(crate) struct ConfigSettings {
    #[command(subcommand)]
    action: Action,
}

#[derive(Debug, clap::Subcommand)]
enum Action {
    /// Add an app config. Prints its id.
    Add(AddSettings),
    /// List all app configs, with masked secrets.
    List(CallerSettings),
    /// Show one app config, or the last active one, with masked secrets.
    Show(ShowSettings),
    /// Change the given fields of an app config.
    Update(UpdateSettings),
    /// Activate an app config, so that the bot may use it.
    Activate(OneSettings),
    /// Deactivate an app config, so that the bot does not use it.
    Deactivate(OneSettings),
    /// Delete an app config.
    Delete(OneSettings),
}

#[derive(Debug, clap::Args)]
struct AddSettings {
    /// A name for the app config.
    #[arg(long, value_name = "NAME")]
    session_name: String,
    /// api_id from my.telegram.org/apps.
    #[arg(long, value_name = "N")]
    api_id: i64,
    #[command(flatten)]
    api_hash: ApiHash,
    #[command(flatten)]
    bot_token: BotToken,
    /// Leave the app config inactive.
    #[arg(long)]
    inactive: bool,
    /// The app config is for a user account, which the bot does not use.
    #[arg(long)]
    not_a_bot: bool,
    #[command(flatten)]
    caller: CallerSettings,
}

#[derive(Debug, clap::Args)]
struct UpdateSettings {
    /// The id of the app config.
    id: i64,
    /// A name for the app config.
    #[arg(long, value_name = "NAME")]
    session_name: Option<String>,
    /// api_id from my.telegram.org/apps.
    #[arg(long, value_name = "N")]
    api_id: Option<i64>,
    #[command(flatten)]
    api_hash: ApiHash,
    #[command(flatten)]
    bot_token: BotToken,
    #[command(flatten)]
    caller: CallerSettings,
}

#[derive(Debug, clap::Args)]
struct ShowSettings {
    /// The id of the app config. [default: the last active one]
    id: Option<i64>,
    #[command(flatten)]
    caller: CallerSettings,
}

#[derive(Debug, clap::Args)]
struct OneSettings {
    /// The id of the app config.
    id: i64,
    #[command(flatten)]
    caller: CallerSettings,
}

#[derive(Debug, clap::Args)]
struct ApiHash {
    /// api_hash from my.telegram.org/apps.
    #[arg(long, env = "MAYFLY_API_HASH", hide_env_values = true, value_name = "HASH")]
    api_hash: Option<Secret>,
    /// A file with the api_hash.
    #[arg(long, env = "MAYFLY_API_HASH_FILE", value_name = "FILE", conflicts_with = "api_hash")]
    api_hash_file: Option<PathBuf>,
}

#[derive(Debug, clap::Args)]
struct BotToken {
    /// The bot's token from @BotFather.
    #[arg(long, env = "MAYFLY_BOT_TOKEN", hide_env_values = true, value_name = "TOKEN")]
    bot_token: Option<Secret>,
    /// A file with the bot's token.
    #[arg(long, env = "MAYFLY_BOT_TOKEN_FILE", value_name = "FILE", conflicts_with = "bot_token")]
    bot_token_file: Option<PathBuf>,
}

pub(crate) async fn run(settings: ConfigSettings) -> Result<(), CliError> {
    match settings.action {
        Action::Add(settings) => add(settings).await,
        Action::List(caller) => list(caller).await,
        Action::Show(settings) => show(settings).await,
        Action::Update(settings) => update(settings).await,
        Action::Activate(settings) => set_active(settings, true).await,
        Action::Deactivate(settings) => set_active(settings, false).await,
        Action::Delete(settings) => delete(settings).await,
    }
}

async fn add(settings: AddSettings) -> Result<(), CliError> {
    let missing = |setting| CliError::usage(format!("{setting} or {setting}-file must be given"));
    let app_config = AppConfig {
        session_name: settings.session_name,
        api_id: settings.api_id,
        api_hash: settings.api_hash.read()?.ok_or_else(|| missing("--api-hash"))?,
        is_active: Some(!settings.inactive),
        is_bot: Some(!settings.not_a_bot),
        bot_token: settings.bot_token.read()?.ok_or_else(|| missing("--bot-token"))?,
        ..AppConfig::default()
    };
    let request = CreateAppConfigRequest { app_config: Some(app_config) };
    let response = settings.caller.admin_client()?.create_app_config(request).await?.into_inner();
    let stored = response.app_config.unwrap_or_default();
    settings.caller.print.print(&to_json(&stored), &stored.id.to_string())
}

async fn list(caller: CallerSettings) -> Result<(), CliError> {
    let mut client = caller.admin_client()?;
    let mut configs = Vec::new();
    let mut page_token = String::new();
    loop {
        let request = ListAppConfigsRequest { page_size: 0, page_token };
        let page = client.list_app_configs(request).await?.into_inner();
        configs.extend(page.app_configs);
        page_token = page.next_page_token;
        if page_token.is_empty() {
            break;
        }
    }
    let text = match configs.as_slice() {
        [] => "there is no app config yet: add one with mayfly config add".to_owned(),
        configs => configs.iter().map(to_text).collect::<Vec<_>>().join("\n"),
    };
    caller.print.print(&configs.iter().map(to_json).collect(), &text)
}

async fn show(settings: ShowSettings) -> Result<(), CliError> {
    let config = match settings.id {
        Some(id) => {
            settings.caller.admin_client()?.get_app_config(GetAppConfigRequest { id }).await?.into_inner().app_config
        }
        None => {
            // Without a token this call masks the secrets.
            let mut client = settings.caller.client()?;
            client.get_last_active_app_config(GetLastActiveAppConfigRequest {}).await?.into_inner().app_config
        }
    };
    let config = config.unwrap_or_default();
    settings.caller.print.print(&to_json(&config), &to_text(&config))
}

async fn update(settings: UpdateSettings) -> Result<(), CliError> {
    let (api_hash, bot_token) = (settings.api_hash.read()?, settings.bot_token.read()?);
    let given = [
        ("session_name", settings.session_name.is_some()),
        ("api_id", settings.api_id.is_some()),
        ("api_hash", api_hash.is_some()),
        ("bot_token", bot_token.is_some()),
    ];
    let paths: Vec<_> = given.into_iter().filter(|(_, given)| *given).map(|(path, _)| path.to_owned()).collect();
    if paths.is_empty() {
        return Err(CliError::usage("give at least one of --session-name, --api-id, --api-hash and --bot-token"));
    }
    let app_config = AppConfig {
        id: settings.id,
        session_name: settings.session_name.unwrap_or_default(),
        api_id: settings.api_id.unwrap_or_default(),
        api_hash: api_hash.unwrap_or_default(),
        bot_token: bot_token.unwrap_or_default(),
        ..AppConfig::default()
    };
    update_app_config(settings.caller, app_config, paths).await
}

async fn set_active(settings: OneSettings, is_active: bool) -> Result<(), CliError> {
    let app_config = AppConfig { id: settings.id, is_active: Some(is_active), ..AppConfig::default() };
    update_app_config(settings.caller, app_config, vec!["is_active".to_owned()]).await
}

async fn delete(settings: OneSettings) -> Result<(), CliError> {
    let id = settings.id;
    settings.caller.admin_client()?.delete_app_config(DeleteAppConfigRequest { id }).await?;
    settings.caller.print.print(&json!({ "id": id }), &format!("app config {id} is deleted"))
}

async fn update_app_config(caller: CallerSettings, app_config: AppConfig, paths: Vec<String>) -> Result<(), CliError> {
    let request = UpdateAppConfigRequest { app_config: Some(app_config), update_mask: Some(FieldMask { paths }) };
    let response = caller.admin_client()?.update_app_config(request).await?.into_inner();
    let stored = response.app_config.unwrap_or_default();
    caller.print.print(&to_json(&stored), &to_text(&stored))
}

impl ApiHash {
    fn read(&self) -> Result<Option<String>, CliError> {
        read_secret("--api-hash-file", &self.api_hash, &self.api_hash_file)
    }
}

impl BotToken {
    fn read(&self) -> Result<Option<String>, CliError> {
        read_secret("--bot-token-file", &self.bot_token, &self.bot_token_file)
    }
}

fn read_secret(file_setting: &str, given: &Option<Secret>, file: &Option<PathBuf>) -> Result<Option<String>, CliError> {
    let secret =
        secret_file::given_once(given, file).map_err(|error| CliError::invalid_setting(file_setting, error))?;
    Ok(secret.map(|secret| secret.expose().to_owned()))
}

fn to_json(config: &AppConfig) -> Value {
    json!({
        "id": config.id,
        "session_name": config.session_name,
        "api_id": config.api_id,
        "api_hash": config.api_hash,
        "is_active": config.is_active(),
        "is_bot": config.is_bot(),
        "bot_token": config.bot_token,
        "update_time": print::time(config.update_time.as_ref()),
    })
}

fn to_text(config: &AppConfig) -> String {
    format!(
        "{}  {}  {}  api_id {}  api_hash {}  bot_token {}  changed {}",
        config.id,
        if config.is_active() { "active" } else { "inactive" },
        config.session_name,
        config.api_id,
        config.api_hash,
        config.bot_token,
        print::time_or_never(config.update_time.as_ref()),
    )
}
