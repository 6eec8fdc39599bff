//! `BotService`, over the bot's listener.

use mayfly_contracts::{
    ErrorInfo,
    bot::{
        BotMode, BotState, BotStatus, GetBotStatusRequest, TestAppConfigRequest, TestOutcome, WatchBotStatusRequest,
        bot_service_client::BotServiceClient,
    },
    config::AppConfig,
    error::ErrorReason,
};
use mayfly_testkit::{bearer, telegram::Fault};
use tonic::{Code, Status, Streaming};
use tonic_health::pb::{HealthCheckRequest, health_check_response::ServingStatus, health_client::HealthClient};

use super::harness::{
    ADMIN_TOKEN, ANN, BOT_TOKEN, Fixture, OTHER_BOT_TOKEN, RunningBot, SERVICE_TOKEN, TIMEOUT, fakes, fixture, start,
};

fn client(bot: &RunningBot) -> BotServiceClient<mayfly_contracts::BotChannel> {
    BotServiceClient::new(bot.channel())
}

async fn status(bot: &RunningBot) -> BotStatus {
    let response = client(bot).get_bot_status(bearer(ADMIN_TOKEN, GetBotStatusRequest {})).await.unwrap();
    response.into_inner().status.unwrap()
}

async fn try_config(fixture: &Fixture, id: i64) -> Result<(TestOutcome, String, String), Status> {
    let asked = client(&fixture.bot).test_app_config(bearer(ADMIN_TOKEN, TestAppConfigRequest { id })).await?;
    let response = asked.into_inner();
    Ok((response.outcome(), response.user_name, response.display_name))
}

fn add_config(fixture: &Fixture, id: i64, bot_token: &str) {
    fixture.store.add_config(AppConfig { id, bot_token: bot_token.to_owned(), ..AppConfig::default() });
}

#[tokio::test]
async fn an_admin_gets_the_status_of_the_bot() {
    let fixture = fixture().await;
    fixture.ask(ANN, "hello").await;
    fixture.bot.shows_that(|page| page["state"] == "serving" && page["queued_updates"] == 0).await;
    let status = status(&fixture.bot).await;
    assert_eq!((status.state(), status.mode()), (BotState::Serving, BotMode::Polling));
    assert_eq!((status.user_name.as_str(), status.app_config_id), ("fake_1000000000_bot", 1));
    assert_eq!((status.queued_updates, status.failed_updates), (0, 0));
    assert!(status.last_update_time.is_some());
    assert_eq!(status.version, env!("CARGO_PKG_VERSION"));
}

#[tokio::test]
async fn only_admins_may_call_the_service() {
    let fixture = fixture().await;
    let other = fixture.telegram.add_token(OTHER_BOT_TOKEN);
    add_config(&fixture, 7, OTHER_BOT_TOKEN);
    let mut client = client(&fixture.bot);
    let refusals = [
        (None, ErrorReason::CredentialsInvalid),
        (Some("unknown"), ErrorReason::CredentialsInvalid),
        (Some(SERVICE_TOKEN), ErrorReason::PermissionDenied),
    ];
    for (token, reason) in refusals {
        let request = || match token {
            Some(token) => bearer(token, ()),
            None => tonic::Request::new(()),
        };
        let got = client.get_bot_status(request().map(|()| GetBotStatusRequest {})).await.unwrap_err();
        let watched = client.watch_bot_status(request().map(|()| WatchBotStatusRequest {})).await.unwrap_err();
        let tried = client.test_app_config(request().map(|()| TestAppConfigRequest { id: 7 })).await.unwrap_err();
        for refused in [got, watched, tried] {
            assert_eq!(ErrorInfo::from_status(&refused).reason, reason, "{token:?}");
        }
    }
    assert!(other.calls("getMe").is_empty(), "nothing was tried at Telegram");
}

async fn until(statuses: &mut Streaming<mayfly_contracts::bot::WatchBotStatusResponse>, state: BotState) -> BotStatus {
    let coming = async {
        loop {
            let status = statuses.message().await.unwrap().expect("the stream ended").status.unwrap();
            if status.state() == state {
                return status;
            }
        }
    };
    tokio::time::timeout(TIMEOUT, coming).await.expect("the state never came")
}

#[tokio::test]
async fn watchers_receive_changes_until_the_bot_stops() {
    let (telegram, store) = fakes().await;
    let bot = start(&telegram, &store).await;
    let watching = client(&bot).watch_bot_status(bearer(ADMIN_TOKEN, WatchBotStatusRequest {})).await.unwrap();
    let mut statuses = watching.into_inner();
    until(&mut statuses, BotState::WaitingForConfig).await;
    store.set_bot(BOT_TOKEN);
    let serving = until(&mut statuses, BotState::Serving).await;
    assert_eq!(serving.user_name, "fake_1000000000_bot");
    store.deactivate();
    let waiting = until(&mut statuses, BotState::WaitingForConfig).await;
    assert_eq!(waiting.app_config_id, 0);
    bot.stop().await;
    assert!(matches!(statuses.message().await, Ok(None) | Err(_)));
}

#[tokio::test]
async fn an_app_config_that_is_not_active_can_be_tried() {
    let fixture = fixture().await;
    let _other = fixture.telegram.add_token(OTHER_BOT_TOKEN);
    add_config(&fixture, 7, OTHER_BOT_TOKEN);
    let (outcome, user_name, display_name) = try_config(&fixture, 7).await.unwrap();
    assert_eq!((outcome, user_name.as_str()), (TestOutcome::Ok, "fake_2000000000_bot"));
    assert!(!display_name.is_empty());
    fixture.bot.shows_that(|page| page["bot"] == "fake_1000000000_bot").await;
}

#[tokio::test]
async fn a_rejection_by_telegram_is_an_outcome_of_the_test() {
    let fixture = fixture().await;
    let other = fixture.telegram.add_token(OTHER_BOT_TOKEN);
    add_config(&fixture, 7, OTHER_BOT_TOKEN);
    other.fail_next("getMe", 1, Fault::DisconnectBefore);
    assert_eq!(try_config(&fixture, 7).await.unwrap().0, TestOutcome::TelegramUnreachable);
    other.revoke_token();
    assert_eq!(try_config(&fixture, 7).await.unwrap(), (TestOutcome::TokenRefused, String::new(), String::new()));
}

#[tokio::test]
async fn an_app_config_that_is_not_there_cannot_be_tried() {
    let fixture = fixture().await;
    let refused = try_config(&fixture, 7).await.unwrap_err();
    assert_eq!(
        (refused.code(), ErrorInfo::from_status(&refused).reason),
        (Code::NotFound, ErrorReason::AppConfigNotFound)
    );
}

#[tokio::test]
async fn an_unreachable_store_authenticates_no_admin() {
    let fixture = fixture().await;
    fixture.store.set_away(true);
    let refused = client(&fixture.bot).get_bot_status(bearer(ADMIN_TOKEN, GetBotStatusRequest {})).await.unwrap_err();
    assert_eq!(
        (refused.code(), ErrorInfo::from_status(&refused).reason),
        (Code::Unavailable, ErrorReason::StoreUnavailable)
    );
}

#[tokio::test]
async fn health_follows_readiness() {
    let (telegram, store) = fakes().await;
    store.set_away(true);
    let bot = start(&telegram, &store).await;
    let healthy = async |service: &str| {
        let request = HealthCheckRequest { service: service.to_owned() };
        HealthClient::new(bot.channel()).check(request).await.unwrap().into_inner().status()
    };
    store.until(|data| data.watch_calls >= 1).await;
    assert_eq!(healthy("mayfly.bot.v1.BotService").await, ServingStatus::NotServing);
    store.set_away(false);
    let serving = async {
        while healthy("").await != ServingStatus::Serving {
            tokio::task::yield_now().await;
        }
    };
    tokio::time::timeout(TIMEOUT, serving).await.expect("never healthy");
    assert!(bot.is_ready().await);
}

#[tokio::test]
async fn the_services_describe_themselves() {
    use tonic_reflection::pb::v1::{
        ServerReflectionRequest, server_reflection_client::ServerReflectionClient,
        server_reflection_request::MessageRequest, server_reflection_response::MessageResponse,
    };
    let fixture = fixture().await;
    let request = ServerReflectionRequest {
        message_request: Some(MessageRequest::ListServices(String::new())),
        ..ServerReflectionRequest::default()
    };
    let mut client = ServerReflectionClient::new(fixture.bot.channel());
    let asked = client.server_reflection_info(tokio_stream::once(request)).await.unwrap();
    let response = asked.into_inner().message().await.unwrap().unwrap();
    let Some(MessageResponse::ListServicesResponse(services)) = response.message_response else { panic!("no list") };
    let names: Vec<_> = services.service.into_iter().map(|service| service.name).collect();
    assert!(names.iter().any(|name| name == "mayfly.bot.v1.BotService"), "{names:?}");
    assert!(!names.iter().any(|name| name.starts_with("mayfly.message")), "only what is served here: {names:?}");
}

#[tokio::test]
async fn unknown_paths_are_not_found() {
    let fixture = fixture().await;
    assert_eq!(fixture.bot.page("/nothing").await.0, 404);
    assert_eq!(fixture.bot.page("/mayfly.message.v1.MessageService/ViewMessage").await.0, 404);
}
