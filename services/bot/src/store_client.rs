//! The client of the store: retries while the store is unreachable, and stops retrying at shutdown.

use std::{
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use mayfly_contracts::{
    AUTHORIZATION_METADATA, ErrorInfo, MessageRef, StoreChannel,
    error::ErrorReason,
    message::{
        AcknowledgeViewRequest, BurnMessageRequest, BurnMessageResponse, CreateMessageRequest, CreateMessageResponse,
        LookupMessageRequest, LookupMessageResponse, ViewMessageRequest, message_service_client::MessageServiceClient,
    },
};
use tokio::{sync::Semaphore, time::Instant};
use tokio_util::sync::CancellationToken;
use tonic::{Request, Response, Status, metadata::AsciiMetadataValue};

use crate::timeouts::{Backoff, Timeouts};

/// The maximum number of concurrent calls. Calls between two retries do not count.
const MAX_CONCURRENT_CALLS: usize = 32;

/// The client of the store.
#[derive(Clone)]
pub(crate) struct StoreClient {
    client: MessageServiceClient<StoreChannel>,
    /// The bot's own credentials: a store may create messages only for known callers.
    authorization: AsciiMetadataValue,
    permits: Arc<Semaphore>,
    outage: StoreOutage,
    timeouts: Timeouts,
    stop: CancellationToken,
}

/// Since when the store has been unreachable. Clones share it.
///
/// Once the first calls have timed out, later calls fail without retries. Otherwise a thousand users would get their
/// replies in groups, each one a whole timeout later than the last.
#[derive(Clone, Default)]
pub(crate) struct StoreOutage(Arc<Mutex<Option<Instant>>>);

impl StoreOutage {
    /// Records that the store is unreachable, and returns since when.
    fn started(&self) -> Instant {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner).get_or_insert_with(Instant::now)
    }

    /// Records that the store is reachable.
    pub(crate) fn ended(&self) {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner) = None;
    }
}

/// Why a call failed.
pub(crate) enum StoreError {
    /// The store rejected the call, or did not answer in time.
    Rejected(ErrorInfo),
    /// The bot shuts down while the store is unreachable.
    ShuttingDown,
}

impl StoreError {
    /// Returns why the store rejected the call.
    pub(crate) fn into_rejection(self) -> Result<ErrorInfo, ShuttingDown> {
        match self {
            Self::Rejected(rejection) => Ok(rejection),
            Self::ShuttingDown => Err(ShuttingDown),
        }
    }
}

/// The bot shuts down before an update is handled. The update stays unconfirmed, so Telegram redelivers it.
#[derive(Debug)]
pub(crate) struct ShuttingDown;

impl StoreClient {
    pub(crate) fn new(
        channel: StoreChannel,
        authorization: AsciiMetadataValue,
        outage: StoreOutage,
        timeouts: Timeouts,
        stop: CancellationToken,
    ) -> Self {
        let permits = Arc::new(Semaphore::new(MAX_CONCURRENT_CALLS));
        Self { client: MessageServiceClient::new(channel), authorization, permits, outage, timeouts, stop }
    }

    /// Idempotent by its `request_id`.
    pub(crate) async fn create_message(
        &self,
        request: CreateMessageRequest,
    ) -> Result<CreateMessageResponse, StoreError> {
        self.with_retry((request, self.authorization.clone()), async |mut client, (message, authorization)| {
            let mut request = Request::new(message);
            request.metadata_mut().insert(AUTHORIZATION_METADATA, authorization);
            client.create_message(request).await
        })
        .await
    }

    /// Idempotent by its `view_id`. Rejects messages that are no texts.
    pub(crate) async fn view_message(&self, request: ViewMessageRequest) -> Result<String, StoreError> {
        self.with_retry(request, async |mut client, request| client.view_message(request).await)
            .await?
            .into_text()
            .map_err(|status| StoreError::Rejected(ErrorInfo::from_status(&status)))
    }

    /// Renews a view while `sending` its text runs, so that the store keeps the claim. If this process dies, the next
    /// one gets the text again.
    pub(crate) async fn keep_claim_during<T>(
        &self,
        view: &AcknowledgeViewRequest,
        sending: impl Future<Output = T>,
    ) -> T {
        let renewing = async {
            loop {
                tokio::time::sleep(self.timeouts.claim_renewal_interval).await;
                let AcknowledgeViewRequest { id, access_token, view_id } = view.clone();
                let request = ViewMessageRequest { id, access_token, view_id, ..ViewMessageRequest::default() };
                let _permit = self.permits.acquire().await;
                if let Err(status) = self.client.clone().view_message(request).await {
                    let reason = ErrorInfo::from_status(&status).reason.name();
                    tracing::debug!(reason, "a claim could not be kept");
                }
            }
        };
        tokio::select! {
            sent = sending => sent,
            never = renewing => never,
        }
    }

    /// Read only.
    pub(crate) async fn lookup_message(&self, message_ref: &MessageRef) -> Result<LookupMessageResponse, StoreError> {
        let MessageRef { id, access_token } = message_ref.clone();
        let request = LookupMessageRequest { id, access_token };
        self.with_retry(request, async |mut client, request| client.lookup_message(request).await).await
    }

    /// Idempotent: burning a burned message succeeds.
    pub(crate) async fn burn_message(&self, message_ref: &MessageRef) -> Result<BurnMessageResponse, StoreError> {
        let MessageRef { id, access_token } = message_ref.clone();
        let request = BurnMessageRequest { id, access_token };
        self.with_retry(request, async |mut client, request| client.burn_message(request).await).await
    }

    /// Returns `true` if the message was viewed under this `view_id`: only then does the store accept the
    /// acknowledgement.
    pub(crate) async fn was_viewed_under(&self, request: AcknowledgeViewRequest) -> Result<bool, StoreError> {
        let acknowledged = self.with_retry(request, async |mut client, request| client.acknowledge_view(request).await);
        match acknowledged.await {
            Ok(_) => Ok(true),
            Err(StoreError::Rejected(_)) => Ok(false),
            Err(StoreError::ShuttingDown) => Err(StoreError::ShuttingDown),
        }
    }

    /// Does not retry, because the store deletes the text after a while anyway.
    pub(crate) async fn acknowledge_view(&self, request: AcknowledgeViewRequest) {
        if let Err(status) = self.client.clone().acknowledge_view(request).await {
            let reason = ErrorInfo::from_status(&status).reason.name();
            tracing::info!(reason, "a view could not be acknowledged; the store forgets its text later");
        }
    }

    async fn with_retry<M: Clone, T>(
        &self,
        message: M,
        call: impl AsyncFn(MessageServiceClient<StoreChannel>, M) -> Result<Response<T>, Status>,
    ) -> Result<T, StoreError> {
        let mut since = Instant::now();
        let mut backoff = Backoff::new(self.timeouts.store_backoff);
        loop {
            let called = {
                let _permit = self.permits.acquire().await;
                call(self.client.clone(), message.clone()).await
            };
            let error_info = match called {
                Ok(response) => {
                    self.outage.ended();
                    return Ok(response.into_inner());
                }
                Err(status) => ErrorInfo::from_status(&status),
            };
            match error_info.reason {
                ErrorReason::StoreUnavailable => since = since.min(self.outage.started()),
                ErrorReason::Overloaded => self.outage.ended(),
                _ => {
                    self.outage.ended();
                    return Err(StoreError::Rejected(error_info));
                }
            }
            let pause = backoff.next().max(error_info.retry_after.unwrap_or(Duration::ZERO));
            if since.elapsed() + pause > self.timeouts.store_timeout {
                return Err(StoreError::Rejected(error_info));
            }
            if self.stop.run_until_cancelled(tokio::time::sleep(pause)).await.is_none() {
                return Err(StoreError::ShuttingDown);
            }
        }
    }
}
