//! `mayfly view`.

use mayfly_contracts::message::{AcknowledgeViewRequest, ViewMessageRequest};
use serde_json::json;

use uuid::Uuid;

use super::{message_settings::MessageSettings, passphrase::PassphraseSettings, print, retry::new_uuid};
use crate::error::CliError;

/// Arguments of `mayfly view`.
#[derive(Debug, clap::Args)]
pub(crate) struct ViewSettings {
    #[command(flatten)]
    message: MessageSettings,
    #[command(flatten)]
    passphrase: PassphraseSettings,
    /// The idempotency key of the view, which can be repeated with the same key until it is acknowledged. Use the key
    /// of a failed view, or a random one that only you know. [default: a new one]
    #[arg(long, value_name = "UUID")]
    view_id: Option<Uuid>,
}

pub(crate) async fn run(settings: ViewSettings) -> Result<(), CliError> {
    let ViewSettings { message, passphrase, view_id } = settings;
    let (id, access_token) = message.message_ref()?;
    let view_id = view_id.map_or_else(new_uuid, |view_id| view_id.to_string());
    let passphrase = passphrase.read()?;
    // A token from standard input is not printed.
    let message_ref = message.message_ref_argument().map(|message_ref| format!(" {message_ref}")).unwrap_or_default();
    let hint = format!(
        "To repeat this view with its other options until its grace period ends: \
         mayfly view{message_ref} --view-id {view_id}"
    );
    let channel = message.channel()?;
    let view = ViewMessageRequest {
        id,
        access_token: access_token.clone(),
        view_id: view_id.clone(),
        passphrase,
        accepts_sealed: false,
    };
    let call = async |mut client: Client, view| client.view_message(view).await;
    let viewed = message.retry.call(channel.clone(), view, call).await;
    let viewed = viewed.map_err(|error| if error.is_unavailable() { error.with_hint(&hint) } else { error })?;

    let create_time = print::time(viewed.create_time.as_ref());
    let text = viewed.into_text()?;
    let printed = message.print.print_verbatim(&json!({ "text": text, "create_time": create_time }), &text);
    printed.map_err(|error| error.with_hint(&hint))?;

    // Acknowledging erases the text now. Without it, the store erases the text after the grace period.
    let acknowledgement = AcknowledgeViewRequest { id, access_token, view_id };
    let call = async |mut client: Client, acknowledgement| client.acknowledge_view(acknowledgement).await;
    if message.retry.call(channel, acknowledgement, call).await.is_err() {
        eprintln!("mayfly: the view was not acknowledged; the store erases the text after the grace period");
    }
    Ok(())
}

type Client = mayfly_contracts::message::message_service_client::MessageServiceClient<mayfly_contracts::StoreChannel>;
