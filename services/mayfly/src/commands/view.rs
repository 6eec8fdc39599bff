//! `mayfly view`.

use mayfly_contracts::message::{ViewMessageRequest, message_service_client::MessageServiceClient};
use serde_json::json;

use super::{one_message::OneMessageSettings, print};
use crate::exit::Failure;

pub(crate) async fn run(settings: OneMessageSettings) -> Result<(), Failure> {
    let (id, access_token) = settings.opener()?;
    let request = ViewMessageRequest { id, access_token };
    let viewed = MessageServiceClient::new(settings.channel()?).view_message(request).await?.into_inner();
    let answer = json!({ "text": viewed.text, "create_time": print::time(viewed.create_time.as_ref()) });
    settings.print.print_exactly(&answer, &viewed.text)
}
