//! `mayfly burn`.

use mayfly_contracts::message::{BurnMessageRequest, message_service_client::MessageServiceClient};
use serde_json::json;

use super::{message_settings::MessageSettings, print};
use crate::error::CliError;

pub(crate) async fn run(settings: MessageSettings) -> Result<(), CliError> {
    let (id, access_token) = settings.message_ref()?;
    let request = BurnMessageRequest { id, access_token };
    let call = async |mut client: MessageServiceClient<_>, request| client.burn_message(request).await;
    let burned = settings.retry.call(settings.channel()?, request, call).await?;
    let json = json!({ "burn_time": print::time(burned.burn_time.as_ref()) });
    settings.print.print(&json, &format!("burned at {}", print::time_or_never(burned.burn_time.as_ref())))
}
