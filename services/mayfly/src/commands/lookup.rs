//! `mayfly lookup`.

use mayfly_contracts::message::{
    LookupMessageRequest, LookupMessageResponse, MessageState, message_service_client::MessageServiceClient,
};
use serde_json::json;

use super::{message_settings::MessageSettings, print};
use crate::error::CliError;

pub(crate) async fn run(settings: MessageSettings) -> Result<(), CliError> {
    let (id, access_token) = settings.message_ref()?;
    let request = LookupMessageRequest { id, access_token };
    let call = async |mut client: MessageServiceClient<_>, request| client.lookup_message(request).await;
    let found = settings.retry.call(settings.channel()?, request, call).await?;
    let since = print::time_or_never(found.state_time.as_ref());
    let (state, text) = match found.state() {
        MessageState::Unread => {
            let expiry = print::time_or_never(found.expire_time.as_ref());
            let needs = needs(&found);
            ("unread", format!("unread since {since}, expires {expiry}{needs}"))
        }
        MessageState::Viewed => ("viewed", format!("viewed at {since}")),
        MessageState::Burned => ("burned", format!("burned at {since}")),
        MessageState::Expired => ("expired", format!("expired at {since}")),
        MessageState::Unspecified => ("unknown", "in a state that this version does not know".to_owned()),
    };
    let json = json!({
        "state": state,
        "state_time": print::time(found.state_time.as_ref()),
        "expire_time": print::time(found.expire_time.as_ref()),
        "needs_passphrase": found.needs_passphrase,
        "is_sealed": found.is_sealed,
    });
    settings.print.print(&json, &text)
}

/// What a reader needs beside the access token.
fn needs(found: &LookupMessageResponse) -> &'static str {
    match (found.is_sealed, found.needs_passphrase) {
        (false, false) => "",
        (false, true) => ", needs a passphrase",
        (true, false) => ", opens in a browser, by its link",
        (true, true) => ", opens in a browser, by its link, and needs a passphrase",
    }
}
