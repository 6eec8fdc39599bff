//! `mayfly burn`.

use mayfly_contracts::message::{BurnMessageRequest, message_service_client::MessageServiceClient};
use serde_json::json;

use super::{
    opener::OpenerSettings,
    print::{self, PrintSettings},
};
use crate::{cli::StoreUrl, exit::Failure};

/// What `mayfly burn` is called with.
#[derive(Debug, clap::Args)]
pub(crate) struct BurnSettings {
    #[command(flatten)]
    opener: OpenerSettings,
    #[command(flatten)]
    print: PrintSettings,
    #[command(flatten)]
    store: StoreUrl,
}

pub(crate) async fn run(settings: BurnSettings) -> Result<(), Failure> {
    let (id, access_token) = settings.opener.read()?;
    let request = BurnMessageRequest { id, access_token };
    let burned = MessageServiceClient::new(settings.store.channel()?).burn_message(request).await?.into_inner();
    let answer = json!({ "burn_time": print::time(burned.burn_time.as_ref()) });
    settings.print.print(&answer, &format!("burned at {}", print::time_or_never(burned.burn_time.as_ref())))
}
