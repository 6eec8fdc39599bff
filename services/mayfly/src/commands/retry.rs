//! Retries of idempotent calls.

use std::time::Duration;

use backon::{BackoffBuilder as _, ExponentialBuilder};
use mayfly_bootstrap::tls;
use mayfly_contracts::{
    ErrorInfo, StoreChannel, error::ErrorReason, message::message_service_client::MessageServiceClient,
};
use tokio::time::Instant;
use tonic::{Request, Response, Status};

use crate::error::CliError;

/// How long one attempt may take.
const CALL_TIMEOUT: Duration = Duration::from_secs(10);
/// The delays before retries, with jitter, so that concurrent commands do not retry at the same time.
const BACKOFF: ExponentialBuilder = ExponentialBuilder::new()
    .with_min_delay(Duration::from_millis(100))
    .with_max_delay(MAX_DELAY)
    .without_max_times()
    .with_jitter();
const MAX_DELAY: Duration = Duration::from_secs(2);

/// How long a call is retried.
#[derive(Clone, Copy, Debug, clap::Args)]
pub(super) struct RetrySettings {
    /// How long to retry while the store cannot be reached.
    #[arg(long, default_value = "5s", value_name = "DURATION", value_parser = humantime::parse_duration)]
    retry_for: Duration,
}

impl RetrySettings {
    /// Retries the call until it succeeds, fails permanently, or the time is over.
    pub(super) async fn call<M: Clone, T>(
        self,
        channel: StoreChannel,
        message: M,
        call: impl AsyncFn(MessageServiceClient<StoreChannel>, Request<M>) -> Result<Response<T>, Status>,
    ) -> Result<T, CliError> {
        let deadline = Instant::now() + self.retry_for;
        let mut delays = BACKOFF.build();
        loop {
            let mut request = Request::new(message.clone());
            request.set_timeout(CALL_TIMEOUT);
            let status = match call(MessageServiceClient::new(channel.clone()), request).await {
                Ok(response) => return Ok(response.into_inner()),
                Err(status) => status,
            };
            let error_info = ErrorInfo::from_status(&status);
            // Faults of TLS are faults of settings.
            let is_transient = tls::explain(&status).is_none()
                && matches!(
                    error_info.reason,
                    ErrorReason::StoreUnavailable | ErrorReason::Overloaded | ErrorReason::RateLimited
                );
            let delay = delays.next().unwrap_or(MAX_DELAY);
            if !is_transient || Instant::now() + delay > deadline {
                return Err(status.into());
            }
            tokio::time::sleep(delay.max(error_info.retry_after.unwrap_or_default()).min(MAX_DELAY)).await;
        }
    }
}

/// A new idempotency key.
#[expect(clippy::disallowed_methods, reason = "this is the caller that makes the id")]
pub(super) fn new_uuid() -> String {
    uuid::Uuid::new_v4().to_string()
}
