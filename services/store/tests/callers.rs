//! How the store identifies its callers.

#![cfg(test)]

use std::sync::Arc;

use mayfly_bootstrap::http::ServerLimits;
use mayfly_contracts::{
    CALLER_METADATA, ErrorInfo, StoreChannel,
    error::ErrorReason,
    message::{CreateMessageRequest, message_service_client::MessageServiceClient},
};
use mayfly_testkit::{TestClock, TestDatabase, TestStore};
use tokio::net::TcpListener;
use tonic::{Request, Status};

/// A client over a socket, which reports a caller with each call.
struct ReportingClient {
    client: MessageServiceClient<StoreChannel>,
    _store: TestStore,
}

impl ReportingClient {
    async fn start(arguments: &[&str]) -> Self {
        let database = TestDatabase::sqlite().unwrap();
        let store = TestStore::open_with(database, TestClock::default(), arguments).await.unwrap();
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}", listener.local_addr().unwrap());
        let serving = Arc::clone(&store.store);
        tokio::spawn(async move { serving.serve(listener, ServerLimits::new(1 << 20)).await });
        Self { client: MessageServiceClient::new(StoreChannel::remote(&url).unwrap()), _store: store }
    }

    async fn create(&mut self, caller: Option<&str>) -> Result<(), Status> {
        let mut request = Request::new(CreateMessageRequest::from_text("hello"));
        if let Some(caller) = caller {
            request.metadata_mut().insert(CALLER_METADATA, caller.parse().unwrap());
        }
        self.client.create_message(request).await.map(drop)
    }
}

#[tokio::test]
async fn a_trusted_gateway_reports_its_callers_and_has_no_rate_itself() {
    let mut gateway = ReportingClient::start(&["--creations-per-minute", "1"]).await;
    gateway.create(Some("192.0.2.1")).await.unwrap();
    let rejected = gateway.create(Some("192.0.2.1")).await.unwrap_err();
    let error_info = ErrorInfo::from_status(&rejected);
    assert_eq!(error_info.reason, ErrorReason::RateLimited);
    assert!(error_info.retry_after.is_some_and(|wait| !wait.is_zero()));
    gateway.create(Some("192.0.2.2")).await.unwrap();
    for _ in 0..3 {
        gateway.create(None).await.unwrap();
    }
}

#[tokio::test]
async fn an_untrusted_peer_cannot_report_callers() {
    let arguments = ["--creations-per-minute", "1", "--trusted-gateways", "10.1.0.0/16,10.2.0.1"];
    let mut untrusted = ReportingClient::start(&arguments).await;
    untrusted.create(Some("192.0.2.1")).await.unwrap();
    let rejected = untrusted.create(Some("192.0.2.2")).await.unwrap_err();
    assert_eq!(ErrorInfo::from_status(&rejected).reason, ErrorReason::RateLimited);
}

#[tokio::test]
async fn all_callers_together_have_a_rate() {
    let mut gateway = ReportingClient::start(&["--total-creations-per-minute", "2"]).await;
    gateway.create(Some("192.0.2.1")).await.unwrap();
    gateway.create(Some("192.0.2.2")).await.unwrap();
    assert!(gateway.create(Some("192.0.2.3")).await.is_err());
    assert!(gateway.create(None).await.is_err());
}
