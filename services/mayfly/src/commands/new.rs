//! `mayfly new`.

use std::{
    io::{self, IsTerminal as _, Read as _},
    path::PathBuf,
    time::Duration,
};

use mayfly_bootstrap::{Secret, secret_file};
use mayfly_contracts::message::{CreateMessageRequest, message_service_client::MessageServiceClient};
use serde_json::json;
use tonic::Request;

use super::{
    bearer::Bearer,
    passphrase::PassphraseSettings,
    print::{self, PrintSettings},
    retry::{RetrySettings, new_uuid},
};
use crate::{endpoints::StoreUrl, error::CliError};

/// More than any store accepts, since a gRPC message has at most 4 MiB. Bounds the memory for standard input.
const MAX_BYTES: usize = (4 << 20) - 4096;

/// Arguments of `mayfly new`.
#[derive(Debug, clap::Args)]
pub(crate) struct NewSettings {
    /// The text. Read from standard input, byte for byte, if not given, which keeps it out of the shell's history.
    text: Option<Secret>,
    /// How long the message can be read, such as 1h or 7d. [default: that of the store]
    #[arg(long, value_name = "DURATION", value_parser = humantime::parse_duration)]
    ttl: Option<Duration>,
    #[command(flatten)]
    passphrase: PassphraseSettings,
    /// An API token with the scope `create`, for a store with --create-access token.
    #[arg(long, env = "MAYFLY_TOKEN", hide_env_values = true, value_name = "TOKEN")]
    token: Option<Secret>,
    /// A file with the API token, which keeps it out of the shell's history.
    #[arg(long, env = "MAYFLY_TOKEN_FILE", value_name = "FILE", conflicts_with = "token")]
    token_file: Option<PathBuf>,
    #[command(flatten)]
    retry: RetrySettings,
    #[command(flatten)]
    print: PrintSettings,
    #[command(flatten)]
    store: StoreUrl,
}

pub(crate) async fn run(settings: NewSettings) -> Result<(), CliError> {
    let text = match &settings.text {
        Some(text) => text.expose().to_owned(),
        None => read_standard_input()?,
    };
    if text.len() > MAX_BYTES {
        return Err(too_long());
    }
    let ttl = settings.ttl.map(prost_types::Duration::try_from).transpose();
    let ttl = ttl.map_err(|error| CliError::invalid_setting("--ttl", error))?;
    let request = CreateMessageRequest {
        ttl,
        request_id: new_uuid(),
        passphrase: settings.passphrase.read()?,
        ..CreateMessageRequest::from_text(text)
    };
    let bearer = settings.bearer()?;
    let call = async |mut client: MessageServiceClient<_>, mut request: Request<_>| {
        if let Some(bearer) = &bearer {
            bearer.add_to(&mut request);
        }
        client.create_message(request).await
    };
    let created = settings.retry.call(settings.store.channel()?, request, call).await?;
    let message_ref = format!("{}:{}", created.id, created.access_token);
    let json = json!({
        "id": created.id,
        "access_token": created.access_token,
        "create_time": print::time(created.create_time.as_ref()),
        "expire_time": print::time(created.expire_time.as_ref()),
    });
    settings.print.print(&json, &message_ref)
}

impl NewSettings {
    /// The token to send, if one is given.
    fn bearer(&self) -> Result<Option<Bearer>, CliError> {
        let token = secret_file::given_once(&self.token, &self.token_file);
        let token = token.map_err(|error| CliError::invalid_setting("--token-file", error))?;
        token.map(|token| Bearer::new("--token", &token)).transpose()
    }
}

fn too_long() -> CliError {
    CliError::rejected_because(format!("text is longer than any store accepts, which is at most {MAX_BYTES} bytes"))
}

fn read_standard_input() -> Result<String, CliError> {
    let at_terminal = io::stdin().is_terminal();
    if at_terminal {
        eprintln!("Type the text, then press Ctrl-D on a line of its own.");
    }
    let mut bytes = Vec::new();
    // One byte more than the limit, to distinguish a text that is too long from one that is not UTF-8.
    io::stdin().lock().take(MAX_BYTES as u64 + 1).read_to_end(&mut bytes).map_err(CliError::failed)?;
    if bytes.len() > MAX_BYTES {
        return Err(too_long());
    }
    let mut text = String::from_utf8(bytes).map_err(|_| CliError::usage("the text on standard input must be UTF-8"))?;
    // The line break before Ctrl-D is not part of the text.
    if at_terminal && text.ends_with('\n') {
        text.pop();
    }
    Ok(text)
}
