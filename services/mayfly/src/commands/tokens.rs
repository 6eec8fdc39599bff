//! `mayfly tokens`: manage API tokens.

use std::time::Duration;

use mayfly_contracts::auth::{
    ApiToken, ApiTokenScope, CreateApiTokenRequest, ListApiTokensRequest, RevokeApiTokenRequest,
};
use serde_json::{Value, json};

use super::{caller::CallerSettings, print};
use crate::error::CliError;

/// Arguments of `mayfly tokens`.
#[derive(Debug, clap::Args)]
pub(crate) struct TokensSettings {
    #[command(subcommand)]
    action: Action,
}

#[derive(Debug, clap::Subcommand)]
enum Action {
    /// Make an API token. Prints its secret, which is never shown again.
    Add(AddSettings),
    /// List the API tokens that are not revoked, without their secrets.
    List(CallerSettings),
    /// Revoke an API token. All stores of the database reject it at once.
    Revoke(RevokeSettings),
}

#[derive(Debug, clap::Args)]
struct AddSettings {
    /// A name for the token, which no other token that is not revoked has.
    name: String,
    /// What the token allows; may be given several times, or separated by commas.
    #[arg(long, required = true, value_delimiter = ',', value_name = "SCOPE")]
    scope: Vec<Scope>,
    /// How long the token is valid, such as 90d. [default: until it is revoked]
    #[arg(long, value_name = "DURATION", value_parser = humantime::parse_duration)]
    expires_in: Option<Duration>,
    #[command(flatten)]
    caller: CallerSettings,
}

#[derive(Debug, clap::Args)]
struct RevokeSettings {
    /// The name of the token.
    name: String,
    #[command(flatten)]
    caller: CallerSettings,
}

/// What a token allows.
#[derive(Clone, Copy, Debug, clap::ValueEnum)]
enum Scope {
    /// Create messages, where --create-access is `token`.
    Create,
    /// Everything that the admin token allows.
    Admin,
    /// Read metrics.
    Metrics,
}

pub(crate) async fn run(settings: TokensSettings) -> Result<(), CliError> {
    match settings.action {
        Action::Add(settings) => add(settings).await,
        Action::List(caller) => list(caller).await,
        Action::Revoke(settings) => revoke(settings).await,
    }
}

async fn add(settings: AddSettings) -> Result<(), CliError> {
    let AddSettings { name, scope, expires_in, caller } = settings;
    let ttl = expires_in.map(prost_types::Duration::try_from).transpose();
    let ttl = ttl.map_err(|error| CliError::invalid_setting("--expires-in", error))?;
    let scopes = scope.into_iter().map(|scope| i32::from(to_wire(scope))).collect();
    let request = CreateApiTokenRequest { name, scopes, ttl };
    let created = caller.api_tokens()?.create_api_token(request).await?.into_inner();
    let mut json = to_json(&created.api_token.unwrap_or_default());
    if let Value::Object(fields) = &mut json {
        fields.insert("secret".to_owned(), created.secret.clone().into());
    }
    caller.print.print(&json, &created.secret)
}

async fn list(caller: CallerSettings) -> Result<(), CliError> {
    let mut client = caller.api_tokens()?;
    let mut tokens = Vec::new();
    let mut page_token = String::new();
    loop {
        let request = ListApiTokensRequest { page_size: 0, page_token };
        let page = client.list_api_tokens(request).await?.into_inner();
        tokens.extend(page.api_tokens);
        page_token = page.next_page_token;
        if page_token.is_empty() {
            break;
        }
    }
    let text = match tokens.as_slice() {
        [] => "there is no API token: mayfly tokens add makes one".to_owned(),
        tokens => tokens.iter().map(to_text).collect::<Vec<_>>().join("\n"),
    };
    caller.print.print(&tokens.iter().map(to_json).collect(), &text)
}

async fn revoke(settings: RevokeSettings) -> Result<(), CliError> {
    let RevokeSettings { name, caller } = settings;
    caller.api_tokens()?.revoke_api_token(RevokeApiTokenRequest { name: name.clone() }).await?;
    caller.print.print(&json!({ "name": name }), &format!("the API token {name} is revoked"))
}

fn to_wire(scope: Scope) -> ApiTokenScope {
    match scope {
        Scope::Create => ApiTokenScope::Create,
        Scope::Admin => ApiTokenScope::Admin,
        Scope::Metrics => ApiTokenScope::Metrics,
    }
}

/// The names of the scopes. A scope of a newer store has no name here.
fn scope_names(token: &ApiToken) -> Vec<&'static str> {
    let name = |scope| match scope {
        ApiTokenScope::Create => "create",
        ApiTokenScope::Admin => "admin",
        ApiTokenScope::Metrics => "metrics",
        ApiTokenScope::Unspecified => "unknown",
    };
    token.scopes().map(name).collect()
}

fn to_json(token: &ApiToken) -> Value {
    json!({
        "name": token.name,
        "scopes": scope_names(token),
        "create_time": print::time(token.create_time.as_ref()),
        "expire_time": print::time(token.expire_time.as_ref()),
        "last_use_time": print::time(token.last_use_time.as_ref()),
    })
}

fn to_text(token: &ApiToken) -> String {
    format!(
        "{}  {}  created {}  expires {}  last used {}",
        token.name,
        scope_names(token).join(","),
        print::time_or_never(token.create_time.as_ref()),
        print::time_or_never(token.expire_time.as_ref()),
        // The store keeps the day alone.
        token
            .last_use_time
            .as_ref()
            .map_or_else(|| "never".to_owned(), |day| day.to_string().chars().take(10).collect()),
    )
}
