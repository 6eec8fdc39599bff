//! Calls that are tried again by themselves, because they change nothing, or have an id or an outcome that makes that harmless.

use std::time::Duration;

use mayfly_contracts::{
    ErrorInfo, StoreChannel, error::ErrorReason, message::message_service_client::MessageServiceClient,
};
use tokio::time::Instant;
use tonic::{Request, Response, Status};

use crate::exit::Failure;

/// How long one try may take.
const TRY_LIMIT: Duration = Duration::from_secs(10);
/// The pause before the second try; each later one is twice as long, up to [`LONGEST_PAUSE`].
const FIRST_PAUSE: Duration = Duration::from_millis(100);
const LONGEST_PAUSE: Duration = Duration::from_secs(2);

/// For how long a call is tried.
#[derive(Clone, Copy, Debug, clap::Args)]
pub(super) struct RetrySettings {
    /// How long to keep trying while the store cannot be reached.
    #[arg(long, env = "MAYFLY_RETRY_FOR", default_value = "5s", value_name = "DURATION", value_parser = humantime::parse_duration)]
    retry_for: Duration,
}

impl RetrySettings {
    /// Calls until there is an answer that is not "try later", or the time is over.
    pub(super) async fn call<M: Clone, T>(
        self,
        channel: StoreChannel,
        message: M,
        call: impl AsyncFn(MessageServiceClient<StoreChannel>, Request<M>) -> Result<Response<T>, Status>,
    ) -> Result<T, Failure> {
        let end = Instant::now() + self.retry_for;
        let mut pause = FIRST_PAUSE;
        loop {
            let mut request = Request::new(message.clone());
            request.set_timeout(TRY_LIMIT);
            let status = match call(MessageServiceClient::new(channel.clone()), request).await {
                Ok(response) => return Ok(response.into_inner()),
                Err(status) => status,
            };
            let situation = ErrorInfo::from_status(&status);
            let is_passing = matches!(
                situation.reason,
                ErrorReason::StoreUnavailable | ErrorReason::Overloaded | ErrorReason::RateLimited
            );
            if !is_passing || Instant::now() + pause > end {
                return Err(status.into());
            }
            tokio::time::sleep(pause.max(situation.retry_after.unwrap_or_default()).min(LONGEST_PAUSE)).await;
            pause = (pause * 2).min(LONGEST_PAUSE);
        }
    }
}

/// A new id for a call, which may then be repeated.
#[expect(clippy::disallowed_methods, reason = "this is the caller that makes the id")]
pub(super) fn new_id() -> String {
    uuid::Uuid::new_v4().to_string()
}
