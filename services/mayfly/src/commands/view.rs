//! `mayfly view`.

use mayfly_contracts::message::{ViewMessageRequest, message_service_client::MessageServiceClient};
use serde_json::json;

use super::{
    opener::OpenerSettings,
    print::{self, PrintSettings},
};
use crate::{cli::StoreUrl, exit::Failure};

/// What `mayfly view` is called with.
#[derive(Debug, clap::Args)]
pub(crate) struct ViewSettings {
    #[command(flatten)]
    opener: OpenerSettings,
    #[command(flatten)]
    print: PrintSettings,
    #[command(flatten)]
    store: StoreUrl,
}

pub(crate) async fn run(settings: ViewSettings) -> Result<(), Failure> {
    let (id, access_token) = settings.opener.read()?;
    let request = ViewMessageRequest { id, access_token };
    let viewed = MessageServiceClient::new(settings.store.channel()?).view_message(request).await?.into_inner();
    let answer = json!({ "text": viewed.text, "create_time": print::time(viewed.create_time.as_ref()) });
    settings.print.print_exactly(&answer, &viewed.text)
}
