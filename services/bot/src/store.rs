//! The store as the bot calls it: with patience while it is away, and without waiting for it when the bot stops.

use std::future::Future;

use mayfly_contracts::{
    Situation, StoreChannel,
    error::ErrorReason,
    message::{
        AcknowledgeViewRequest, CreateMessageRequest, CreateMessageResponse, ViewMessageRequest, ViewMessageResponse,
        message_service_client::MessageServiceClient,
    },
};
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;
use tonic::{Response, Status};

use crate::timing::Timing;

/// The store.
#[derive(Clone)]
pub(crate) struct Store {
    client: MessageServiceClient<StoreChannel>,
    timing: Timing,
    stop: CancellationToken,
}

/// Why a call did not succeed.
pub(crate) enum Failure {
    /// The store said no, or nothing for too long.
    Said(Situation),
    /// The bot stops while the store is away. The update stays unconfirmed and comes again.
    Stopping,
}

impl Store {
    pub(crate) fn new(channel: StoreChannel, timing: Timing, stop: CancellationToken) -> Self {
        Self { client: MessageServiceClient::new(channel), timing, stop }
    }

    /// Safe to repeat, because the request carries a `request_id`.
    pub(crate) async fn create_message(&self, request: CreateMessageRequest) -> Result<CreateMessageResponse, Failure> {
        self.patiently(|mut client| {
            let request = request.clone();
            async move { client.create_message(request).await }
        })
        .await
    }

    /// Safe to repeat, because the request carries a `view_id`.
    pub(crate) async fn view_message(&self, request: ViewMessageRequest) -> Result<ViewMessageResponse, Failure> {
        self.patiently(|mut client| {
            let request = request.clone();
            async move { client.view_message(request).await }
        })
        .await
    }

    /// Told once, and not waited for: the store erases the text by itself after a while.
    pub(crate) async fn acknowledge_view(&self, request: AcknowledgeViewRequest) {
        if let Err(status) = self.client.clone().acknowledge_view(request).await {
            let reason = Situation::of(&status).reason.name();
            tracing::info!(reason, "a view could not be acknowledged; the store forgets its text later");
        }
    }

    async fn patiently<T, Call>(&self, call: impl Fn(MessageServiceClient<StoreChannel>) -> Call) -> Result<T, Failure>
    where
        Call: Future<Output = Result<Response<T>, Status>>,
    {
        let give_up = Instant::now() + self.timing.store_patience;
        let mut pauses = self.timing.store_pauses.start();
        loop {
            let situation = match call(self.client.clone()).await {
                Ok(response) => return Ok(response.into_inner()),
                Err(status) => Situation::of(&status),
            };
            if !is_passing(situation.reason) {
                return Err(Failure::Said(situation));
            }
            let pause = pauses.next().max(situation.retry_after.unwrap_or_default());
            if Instant::now() + pause > give_up {
                return Err(Failure::Said(situation));
            }
            let slept = self.stop.run_until_cancelled(tokio::time::sleep(pause)).await;
            if slept.is_none() {
                return Err(Failure::Stopping);
            }
        }
    }
}

fn is_passing(reason: ErrorReason) -> bool {
    matches!(reason, ErrorReason::StoreUnavailable | ErrorReason::Overloaded)
}
