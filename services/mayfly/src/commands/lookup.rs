//! `mayfly lookup`.

use mayfly_contracts::message::{LookupMessageRequest, MessageState, message_service_client::MessageServiceClient};
use serde_json::json;

use super::{one_message::OneMessageSettings, print};
use crate::exit::Failure;

pub(crate) async fn run(settings: OneMessageSettings) -> Result<(), Failure> {
    let (id, access_token) = settings.opener()?;
    let request = LookupMessageRequest { id, access_token };
    let found = MessageServiceClient::new(settings.channel()?).lookup_message(request).await?.into_inner();
    let since = print::time_or_never(found.state_time.as_ref());
    let (state, text) = match found.state() {
        MessageState::Unread => {
            let expiry = print::time_or_never(found.expire_time.as_ref());
            ("unread", format!("unread since {since}, expires {expiry}"))
        }
        MessageState::Viewed => ("viewed", format!("viewed at {since}")),
        MessageState::Burned => ("burned", format!("burned at {since}")),
        MessageState::Expired => ("expired", format!("expired at {since}")),
        MessageState::Unspecified => ("unknown", "in a state that this version does not know".to_owned()),
    };
    let answer = json!({
        "state": state,
        "state_time": print::time(found.state_time.as_ref()),
        "expire_time": print::time(found.expire_time.as_ref()),
    });
    settings.print.print(&answer, &text)
}
