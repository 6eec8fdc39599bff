//! `mayfly view`.

use mayfly_contracts::message::{AcknowledgeViewRequest, ViewMessageRequest};
use serde_json::json;

use super::{one_message::OneMessageSettings, passphrase::PassphraseSettings, print, retry::new_id};
use crate::exit::Failure;

/// What `mayfly view` is called with.
#[derive(Debug, clap::Args)]
pub(crate) struct ViewSettings {
    #[command(flatten)]
    message: OneMessageSettings,
    #[command(flatten)]
    passphrase: PassphraseSettings,
}

pub(crate) async fn run(settings: ViewSettings) -> Result<(), Failure> {
    let ViewSettings { message, passphrase } = settings;
    let (id, access_token) = message.opener()?;
    let (view_id, passphrase) = (new_id(), passphrase.read()?);
    let channel = message.channel()?;
    let view = ViewMessageRequest {
        id,
        access_token: access_token.clone(),
        view_id: view_id.clone(),
        passphrase,
        accepts_sealed: false,
    };
    let call = async |mut client: Client, view| client.view_message(view).await;
    let viewed = message.retry.call(channel.clone(), view, call).await?;

    let create_time = print::time(viewed.create_time.as_ref());
    let text = viewed.into_text()?;
    message.print.print_exactly(&json!({ "text": text, "create_time": create_time }), &text)?;

    // It is on the screen; all that is left is to have it erased at once rather than after the grace.
    let acknowledgement = AcknowledgeViewRequest { id, access_token, view_id };
    let call = async |mut client: Client, acknowledgement| client.acknowledge_view(acknowledgement).await;
    if message.retry.call(channel, acknowledgement, call).await.is_err() {
        eprintln!("mayfly: the store did not hear that the text has arrived; it erases it by itself in a while");
    }
    Ok(())
}

type Client = mayfly_contracts::message::message_service_client::MessageServiceClient<mayfly_contracts::StoreChannel>;
