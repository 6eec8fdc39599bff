//! `mayfly new`.

use std::{
    io::{self, IsTerminal as _, Read as _},
    time::Duration,
};

use mayfly_bootstrap::Secret;
use mayfly_contracts::message::{CreateMessageRequest, message_service_client::MessageServiceClient};
use serde_json::json;

use super::{
    passphrase::PassphraseSettings,
    print::{self, PrintSettings},
    retry::{RetrySettings, new_id},
};
use crate::{cli::StoreUrl, exit::Failure};

/// More than any store takes; keeps an endless input from filling the memory.
const MAX_BYTES: u64 = 4 << 20;

/// What `mayfly new` is called with.
#[derive(Debug, clap::Args)]
pub(crate) struct NewSettings {
    /// The text. Read from standard input, byte for byte, when it is not given; that keeps it out of the shell's history.
    text: Option<Secret>,
    /// How long the message may wait for its reader, such as 1h or 7d. [default: the store's]
    #[arg(long, value_name = "DURATION", value_parser = humantime::parse_duration)]
    ttl: Option<Duration>,
    #[command(flatten)]
    passphrase: PassphraseSettings,
    #[command(flatten)]
    retry: RetrySettings,
    #[command(flatten)]
    print: PrintSettings,
    #[command(flatten)]
    store: StoreUrl,
}

pub(crate) async fn run(settings: NewSettings) -> Result<(), Failure> {
    let text = match &settings.text {
        Some(text) => text.expose().to_owned(),
        None => read_standard_input()?,
    };
    let ttl = settings.ttl.map(prost_types::Duration::try_from).transpose();
    let ttl = ttl.map_err(|error| Failure::setting("--ttl", error))?;
    let request = CreateMessageRequest {
        ttl,
        request_id: new_id(),
        passphrase: settings.passphrase.read()?,
        ..CreateMessageRequest::of_text(text)
    };
    let call = async |mut client: MessageServiceClient<_>, request| client.create_message(request).await;
    let created = settings.retry.call(settings.store.channel()?, request, call).await?;
    let opener = format!("{}:{}", created.id, created.access_token);
    let answer = json!({
        "id": created.id,
        "access_token": created.access_token,
        "create_time": print::time(created.create_time.as_ref()),
        "expire_time": print::time(created.expire_time.as_ref()),
    });
    settings.print.print(&answer, &opener)
}

fn read_standard_input() -> Result<String, Failure> {
    let at_terminal = io::stdin().is_terminal();
    if at_terminal {
        eprintln!("Type the text, then press Ctrl-D on a line of its own.");
    }
    let mut bytes = Vec::new();
    io::stdin().lock().take(MAX_BYTES).read_to_end(&mut bytes).map_err(Failure::failed)?;
    let mut text = String::from_utf8(bytes).map_err(|_| Failure::usage("the text on standard input must be UTF-8"))?;
    // The line break before Ctrl-D ends the typing, not the text.
    if at_terminal && text.ends_with('\n') {
        text.pop();
    }
    Ok(text)
}
