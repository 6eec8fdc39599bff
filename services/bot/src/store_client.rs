//! The store as the bot calls it: with patience while it is away, and without waiting for it when the bot stops.

use std::{
    future::Future,
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use mayfly_contracts::{
    ErrorInfo, StoreChannel,
    error::ErrorReason,
    message::{
        AcknowledgeViewRequest, BurnMessageRequest, BurnMessageResponse, CreateMessageRequest, CreateMessageResponse,
        LookupMessageRequest, LookupMessageResponse, ViewMessageRequest, message_service_client::MessageServiceClient,
    },
};
use tokio::{sync::Semaphore, time::Instant};
use tokio_util::sync::CancellationToken;
use tonic::{Response, Status};

use crate::timeouts::Timeouts;

/// So many calls are on their way at the same time; the others wait their turn. Chats that wait for the store to come back
/// are not on their way.
const MAX_CONCURRENT_CALLS: usize = 32;

/// The store.
#[derive(Clone)]
pub(crate) struct StoreClient {
    client: MessageServiceClient<StoreChannel>,
    permits: Arc<Semaphore>,
    outage: StoreOutage,
    timeouts: Timeouts,
    stop: CancellationToken,
}

/// Since when the store has been away. Clones share it.
///
/// When it has been away for long enough that the first senders were told, those who write now are told at once. Without that,
/// a thousand people would be told hundred by hundred, each hundred after the whole time.
#[derive(Clone, Default)]
pub(crate) struct StoreOutage(Arc<Mutex<Option<Instant>>>);

impl StoreOutage {
    /// Notes that the store is away, and answers since when.
    fn started(&self) -> Instant {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner).get_or_insert_with(Instant::now)
    }

    /// Notes that the store is there.
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
    pub(crate) fn new(channel: StoreChannel, outage: StoreOutage, timeouts: Timeouts, stop: CancellationToken) -> Self {
        let permits = Arc::new(Semaphore::new(MAX_CONCURRENT_CALLS));
        Self { client: MessageServiceClient::new(channel), permits, outage, timeouts, stop }
    }

    /// Safe to repeat, because the request carries a `request_id`.
    pub(crate) async fn create_message(
        &self,
        request: CreateMessageRequest,
    ) -> Result<CreateMessageResponse, StoreError> {
        self.with_retry(|mut client| {
            let request = request.clone();
            async move { client.create_message(request).await }
        })
        .await
    }

    /// Safe to repeat, because the request carries a `view_id`. A chat shows texts alone.
    pub(crate) async fn view_message(&self, request: ViewMessageRequest) -> Result<String, StoreError> {
        self.with_retry(|mut client| {
            let request = request.clone();
            async move { client.view_message(request).await }
        })
        .await?
        .into_text()
        .map_err(|status| StoreError::Rejected(ErrorInfo::from_status(&status)))
    }

    /// Repeats a view for as long as `sending` its text takes, so that the store keeps the claim: if this process ends
    /// meanwhile, the next one gets the text again.
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

    /// Changes nothing.
    pub(crate) async fn lookup_message(
        &self,
        request: LookupMessageRequest,
    ) -> Result<LookupMessageResponse, StoreError> {
        self.with_retry(|mut client| {
            let request = request.clone();
            async move { client.lookup_message(request).await }
        })
        .await
    }

    /// Safe to repeat: burning what is burned is a success.
    pub(crate) async fn burn_message(&self, request: BurnMessageRequest) -> Result<BurnMessageResponse, StoreError> {
        self.with_retry(|mut client| {
            let request = request.clone();
            async move { client.burn_message(request).await }
        })
        .await
    }

    /// Whether a message that was viewed was viewed under this `view_id`: only then does the store take the acknowledgement.
    pub(crate) async fn was_viewed_under(&self, request: AcknowledgeViewRequest) -> Result<bool, StoreError> {
        let acknowledged = self.with_retry(|mut client| {
            let request = request.clone();
            async move { client.acknowledge_view(request).await }
        });
        match acknowledged.await {
            Ok(_) => Ok(true),
            Err(StoreError::Rejected(_)) => Ok(false),
            Err(StoreError::ShuttingDown) => Err(StoreError::ShuttingDown),
        }
    }

    /// Told once, and not waited for: the store erases the text by itself after a while.
    pub(crate) async fn acknowledge_view(&self, request: AcknowledgeViewRequest) {
        if let Err(status) = self.client.clone().acknowledge_view(request).await {
            let reason = ErrorInfo::from_status(&status).reason.name();
            tracing::info!(reason, "a view could not be acknowledged; the store forgets its text later");
        }
    }

    async fn with_retry<T, Call>(
        &self,
        call: impl Fn(MessageServiceClient<StoreChannel>) -> Call,
    ) -> Result<T, StoreError>
    where
        Call: Future<Output = Result<Response<T>, Status>>,
    {
        let mut since = Instant::now();
        let mut backoff = self.timeouts.store_backoff.start();
        loop {
            let called = {
                let _permit = self.permits.acquire().await;
                call(self.client.clone()).await
            };
            let situation = match called {
                Ok(response) => {
                    self.outage.ended();
                    return Ok(response.into_inner());
                }
                Err(status) => ErrorInfo::from_status(&status),
            };
            match situation.reason {
                ErrorReason::StoreUnavailable => since = since.min(self.outage.started()),
                ErrorReason::Overloaded => self.outage.ended(),
                _ => {
                    self.outage.ended();
                    return Err(StoreError::Rejected(situation));
                }
            }
            let pause = backoff.next().max(situation.retry_after.unwrap_or(Duration::ZERO));
            if since.elapsed() + pause > self.timeouts.store_timeout {
                return Err(StoreError::Rejected(situation));
            }
            if self.stop.run_until_cancelled(tokio::time::sleep(pause)).await.is_none() {
                return Err(StoreError::ShuttingDown);
            }
        }
    }
}
