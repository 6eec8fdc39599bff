//! An in-memory store with faults.

use std::{
    collections::{BTreeMap, HashMap, HashSet},
    path::PathBuf,
    sync::{Arc, Mutex, MutexGuard},
    time::{Duration, SystemTime},
};

use mayfly_contracts::{
    ErrorInfo, StoreChannel,
    auth::{
        self,
        api_token_service_server::{ApiTokenService, ApiTokenServiceServer},
    },
    config::{
        self, AppConfig, WatchLastActiveAppConfigRequest, WatchLastActiveAppConfigResponse,
        config_service_server::{ConfigService, ConfigServiceServer},
    },
    error::ErrorReason,
    message::{
        self, AcknowledgeViewRequest, AcknowledgeViewResponse, CreateMessageRequest, CreateMessageResponse,
        MessageState, ViewMessageRequest, ViewMessageResponse, create_message_request,
        message_service_server::{MessageService, MessageServiceServer},
    },
};
use mayfly_testkit::FakeTelegram;
use tempfile::TempDir;
use tokio::{
    sync::{mpsc, watch},
    time::Instant,
};
use tokio_stream::wrappers::ReceiverStream;
use tonic::{Code, Request, Response, Status, service::Routes};

use super::harness::{ADMIN_TOKEN, SERVICE_TOKEN, TIMEOUT};

/// A text that makes the store, and so the bot's handler around it, panic.
pub(super) const PANIC: &str = "panic";
/// The state time of every message: 2026-11-22 08:02:44 UTC. In seconds since 1970.
const STATE_TIME: u64 = 1_795_334_564;
/// When an unread message expires: 2026-12-22 08:02:44 UTC.
const EXPIRE_TIME: u64 = 1_797_926_564;
/// How long a text is kept for its reader after each view.
const GRACE: Duration = Duration::from_secs(600);
/// In seconds.
const LONGEST_LIFETIME: i64 = 90 * 24 * 60 * 60;

/// Clones are the same store.
#[derive(Clone)]
pub(super) struct FakeStore {
    data: Arc<Mutex<Data>>,
    bell: watch::Sender<()>,
    config: watch::Sender<Option<AppConfig>>,
    /// Counts how often the config streams were broken.
    breaks: watch::Sender<u32>,
    folder: Arc<TempDir>,
}

#[derive(Default)]
pub(super) struct Data {
    messages: BTreeMap<i64, Message>,
    app_configs: BTreeMap<i64, AppConfig>,
    by_request: HashMap<(String, String), i64>,
    /// The texts of all calls of CreateMessage, repeats included, in order.
    pub(super) create_calls: Vec<String>,
    pub(super) view_calls: usize,
    last_lifetime: Option<i64>,
    pub(super) watch_calls: usize,
    pub(super) is_away: bool,
    /// Creations of these texts take effect but are not answered.
    held: HashSet<String>,
    lose_next_view: bool,
    /// A chat that blocks the bot while it reads.
    blocks_on_view: Option<(FakeTelegram, i64)>,
}

struct Message {
    token: String,
    /// Gone when its reader acknowledged it.
    text: Option<String>,
    /// Whose it is.
    view_id: Option<String>,
    /// When its reader asked for it last.
    view_time: Option<Instant>,
    is_burned: bool,
    /// Why the bot may not view it, if so.
    refused: Option<ErrorReason>,
}

impl FakeStore {
    pub(super) fn new() -> Self {
        Self {
            data: Arc::default(),
            bell: watch::Sender::new(()),
            config: watch::Sender::new(None),
            breaks: watch::Sender::new(0),
            folder: Arc::new(tempfile::tempdir().unwrap()),
        }
    }

    /// The data directory of the machine that the bots of a test run on, one after the other.
    pub(super) fn folder(&self) -> PathBuf {
        self.folder.path().to_owned()
    }

    pub(super) fn channel(&self) -> StoreChannel {
        let routes = Routes::new(MessageServiceServer::new(self.clone()))
            .add_service(ConfigServiceServer::new(self.clone()))
            .add_service(ApiTokenServiceServer::new(self.clone()));
        StoreChannel::local(routes)
    }

    /// Makes a bot with this token the last active app config.
    pub(super) fn set_bot(&self, token: &str) {
        let config = AppConfig { id: 1, bot_token: token.to_owned(), is_bot: Some(true), ..AppConfig::default() };
        self.set_config(config);
    }

    pub(super) fn set_config(&self, config: AppConfig) {
        self.config.send_replace(Some(config));
    }

    pub(super) fn deactivate(&self) {
        self.config.send_replace(None);
    }

    /// Adds an app config that is not active.
    pub(super) fn add_config(&self, config: AppConfig) {
        self.change(|data| data.app_configs.insert(config.id, config));
    }

    fn app_config(&self, id: i64) -> Result<AppConfig, Status> {
        let not_found = || ErrorInfo::new(ErrorReason::AppConfigNotFound).into_status(Code::NotFound, "no such");
        self.data().app_configs.get(&id).cloned().ok_or_else(not_found)
    }

    /// Every call fails from now on, or none any more.
    pub(super) fn set_away(&self, is_away: bool) {
        self.change(|data| data.is_away = is_away);
    }

    pub(super) fn break_config_streams(&self) {
        self.breaks.send_modify(|count| *count += 1);
    }

    pub(super) fn hold(&self, text: &str) {
        self.change(|data| data.held.insert(text.to_owned()));
    }

    pub(super) fn release(&self, text: &str) {
        self.change(|data| data.held.remove(text));
    }

    /// The next view takes effect, but its response gets lost.
    pub(super) fn lose_next_view(&self) {
        self.change(|data| data.lose_next_view = true);
    }

    /// The chat blocks the bot while the next view takes effect.
    pub(super) fn block_on_next_view(&self, telegram: &FakeTelegram, chat: i64) {
        self.change(|data| data.blocks_on_view = Some((telegram.clone(), chat)));
    }

    /// The texts that readers have not acknowledged are erased.
    pub(super) fn end_grace(&self) {
        self.change(|data| {
            let claimed = data.messages.values_mut().filter(|message| message.view_id.is_some());
            claimed.for_each(|message| message.text = None);
        });
    }

    /// From now on nothing is known of any message there was.
    pub(super) fn purge(&self) {
        self.change(|data| data.messages.clear());
    }

    /// How many texts are still there.
    pub(super) fn texts(&self) -> usize {
        self.data().texts()
    }

    /// How often a text was asked for.
    pub(super) fn view_calls(&self) -> usize {
        self.data().view_calls
    }

    /// How many messages were ever stored.
    pub(super) fn messages(&self) -> usize {
        self.data().messages.len()
    }

    /// The text that was stored first under this id, if it is still there.
    pub(super) fn text(&self, id: i64) -> Option<String> {
        self.data().messages.get(&id)?.text.clone()
    }

    /// Stores a text directly, and returns `id:token`.
    pub(super) fn put(&self, text: &str) -> String {
        let (id, token) = self.change(|data| data.store(text));
        format!("{id}:{token}")
    }

    /// As [`put`](Self::put), of a message that is not shown in a chat for this reason.
    pub(super) fn put_refused(&self, text: &str, reason: ErrorReason) -> String {
        let (id, token) = self.change(|data| data.store(text));
        self.change(|data| data.messages.get_mut(&id).unwrap().refused = Some(reason));
        format!("{id}:{token}")
    }

    /// The lifetime, in seconds, that the last message was asked to have.
    pub(super) fn last_lifetime(&self) -> Option<i64> {
        self.data().last_lifetime
    }

    /// Waits until `is_so`, for a bounded time.
    pub(super) async fn until(&self, mut is_so: impl FnMut(&Data) -> bool) {
        let mut changes = self.bell.subscribe();
        let waiting = async {
            loop {
                changes.borrow_and_update();
                if is_so(&self.data()) {
                    return;
                }
                changes.changed().await.unwrap();
            }
        };
        tokio::time::timeout(TIMEOUT, waiting).await.expect("the store waited in vain");
    }

    fn change<T>(&self, change: impl FnOnce(&mut Data) -> T) -> T {
        let changed = change(&mut self.data());
        self.bell.send_replace(());
        changed
    }

    fn data(&self) -> MutexGuard<'_, Data> {
        self.data.lock().unwrap()
    }

    fn refuse_when_away(&self) -> Result<(), Status> {
        if self.data().is_away { Err(unavailable()) } else { Ok(()) }
    }
}

impl Data {
    /// How many texts are still there.
    pub(super) fn texts(&self) -> usize {
        self.messages.values().filter(|message| message.text.is_some()).count()
    }

    fn store(&mut self, text: &str) -> (i64, String) {
        let id = self.messages.len() as i64 + 1;
        let token = format!("{id:064x}");
        self.messages.insert(
            id,
            Message {
                token: token.clone(),
                text: Some(text.to_owned()),
                view_id: None,
                view_time: None,
                is_burned: false,
                refused: None,
            },
        );
        (id, token)
    }
}

/// Authenticates as the store does: unknown tokens are unauthenticated, other tokens lack permission.
fn require<T>(token: &str, request: &Request<T>) -> Result<(), Status> {
    let known = [ADMIN_TOKEN, SERVICE_TOKEN].map(|token| format!("Bearer {token}"));
    let shown = request.metadata().get("authorization").and_then(|value| value.to_str().ok()).unwrap_or_default();
    if !known.iter().any(|known| known == shown) {
        return Err(ErrorInfo::new(ErrorReason::CredentialsInvalid).into_status(Code::Unauthenticated, "who?"));
    }
    if shown != format!("Bearer {token}") {
        return Err(ErrorInfo::new(ErrorReason::PermissionDenied).into_status(Code::PermissionDenied, "no"));
    }
    Ok(())
}

fn since_1970(seconds: u64) -> SystemTime {
    SystemTime::UNIX_EPOCH + Duration::from_secs(seconds)
}

fn not_found() -> Status {
    ErrorInfo::new(ErrorReason::MessageNotFound).into_status(Code::NotFound, "unknown")
}

fn viewed() -> Status {
    let mut viewed = ErrorInfo::new(ErrorReason::MessageViewed);
    viewed.metadata.insert("time".into(), "2026-11-22T08:02:44.485522Z".into());
    viewed.into_status(Code::NotFound, "viewed")
}

fn unavailable() -> Status {
    ErrorInfo::new(ErrorReason::StoreUnavailable).into_status(Code::Unavailable, "away")
}

#[tonic::async_trait]
impl MessageService for FakeStore {
    async fn create_message(
        &self,
        request: Request<CreateMessageRequest>,
    ) -> Result<Response<CreateMessageResponse>, Status> {
        require(SERVICE_TOKEN, &request)?;
        let CreateMessageRequest { content, request_id, ttl, .. } = request.into_inner();
        let Some(create_message_request::Content::Text(text)) = content else { panic!("the bot stores texts alone") };
        self.change(|data| data.create_calls.push(text.clone()));
        self.refuse_when_away()?;
        assert_ne!(text, PANIC);
        if text.is_empty() {
            let fault =
                mayfly_contracts::FieldViolation { field: "text".into(), description: "must not be empty".into() };
            let error_info = ErrorInfo { fields: vec![fault], ..ErrorInfo::new(ErrorReason::FieldInvalid) };
            return Err(error_info.into_status(Code::InvalidArgument, "empty"));
        }
        assert!(!request_id.is_empty(), "the bot makes its creations repeatable");
        if ttl.is_some_and(|ttl| ttl.seconds > LONGEST_LIFETIME) {
            let fault =
                mayfly_contracts::FieldViolation { field: "ttl".into(), description: "must be at most 90days".into() };
            let error_info = ErrorInfo { fields: vec![fault], ..ErrorInfo::new(ErrorReason::FieldInvalid) };
            return Err(error_info.into_status(Code::InvalidArgument, "too long"));
        }
        self.change(|data| data.last_lifetime = ttl.map(|ttl| ttl.seconds));
        let id = self.change(|data| match data.by_request.get(&(request_id.clone(), text.clone())) {
            Some(id) => *id,
            None => {
                let (id, _) = data.store(&text);
                data.by_request.insert((request_id, text.clone()), id);
                id
            }
        });
        self.until(|data| !data.held.contains(&text)).await;
        let access_token = self.data().messages[&id].token.clone();
        Ok(Response::new(CreateMessageResponse { id, access_token, ..Default::default() }))
    }

    async fn view_message(
        &self,
        request: Request<ViewMessageRequest>,
    ) -> Result<Response<ViewMessageResponse>, Status> {
        let ViewMessageRequest { id, access_token, view_id, accepts_sealed, .. } = request.into_inner();
        assert!(!accepts_sealed, "a chat shows texts alone");
        assert!(!view_id.is_empty(), "the bot makes its views repeatable");
        self.change(|data| data.view_calls += 1);
        if let Some((telegram, chat)) = self.change(|data| data.blocks_on_view.take()) {
            telegram.user_blocks(chat);
        }
        self.refuse_when_away()?;
        if access_token.len() != 64 {
            return Err(ErrorInfo::new(ErrorReason::AccessTokenInvalid).into_status(Code::Unauthenticated, "mistyped"));
        }
        let text = self.change(|data| {
            let message = data.messages.get_mut(&id).filter(|message| message.token == access_token);
            let message = message.ok_or_else(not_found)?;
            if let Some(reason) = message.refused {
                return Err(ErrorInfo::new(reason).into_status(Code::FailedPrecondition, "not in a chat"));
            }
            if message.is_burned {
                return Err(ErrorInfo::new(ErrorReason::MessageBurned).into_status(Code::NotFound, "burned"));
            }
            let now = Instant::now();
            if message.view_time.is_some_and(|time| now - time >= GRACE) {
                message.text = None;
            }
            let is_mine = *message.view_id.get_or_insert_with(|| view_id.clone()) == view_id;
            if is_mine {
                message.view_time = Some(now);
            }
            message.text.clone().filter(|_| is_mine).ok_or_else(viewed)
        })?;
        if self.change(|data| std::mem::take(&mut data.lose_next_view)) {
            return Err(unavailable());
        }
        Ok(Response::new(ViewMessageResponse::from_text(text)))
    }

    async fn acknowledge_view(
        &self,
        request: Request<AcknowledgeViewRequest>,
    ) -> Result<Response<AcknowledgeViewResponse>, Status> {
        let AcknowledgeViewRequest { id, access_token, view_id } = request.into_inner();
        self.refuse_when_away()?;
        self.change(|data| {
            let message = data.messages.get_mut(&id).filter(|message| message.token == access_token);
            let message = message.filter(|message| message.view_id == Some(view_id));
            let message = message.ok_or_else(|| {
                ErrorInfo::new(ErrorReason::MessageViewed).into_status(Code::NotFound, "another reader's")
            })?;
            message.text = None;
            Ok(Response::new(AcknowledgeViewResponse { view_time: None }))
        })
    }

    async fn lookup_message(
        &self,
        request: Request<message::LookupMessageRequest>,
    ) -> Result<Response<message::LookupMessageResponse>, Status> {
        let message::LookupMessageRequest { id, access_token } = request.into_inner();
        self.refuse_when_away()?;
        let is_panic = self.text(id).as_deref() == Some(PANIC);
        assert!(!is_panic, "a panic was asked for");
        let data = self.data();
        let message = data.messages.get(&id).filter(|message| message.token == access_token).ok_or_else(not_found)?;
        let is_unread = message.view_id.is_none() && !message.is_burned;
        let state = match message {
            _ if is_unread => MessageState::Unread,
            Message { is_burned: true, .. } => MessageState::Burned,
            _ => MessageState::Viewed,
        };
        Ok(Response::new(message::LookupMessageResponse {
            state: state.into(),
            state_time: Some(since_1970(STATE_TIME).into()),
            expire_time: is_unread.then(|| since_1970(EXPIRE_TIME).into()),
            needs_passphrase: is_unread && message.refused == Some(ErrorReason::PassphraseRequired),
            is_sealed: is_unread && message.refused == Some(ErrorReason::MessageSealed),
        }))
    }

    async fn burn_message(
        &self,
        request: Request<message::BurnMessageRequest>,
    ) -> Result<Response<message::BurnMessageResponse>, Status> {
        let message::BurnMessageRequest { id, access_token } = request.into_inner();
        self.refuse_when_away()?;
        self.change(|data| {
            let message = data.messages.get_mut(&id).filter(|message| message.token == access_token);
            let message = message.ok_or_else(not_found)?;
            if message.view_id.is_some() {
                return Err(viewed());
            }
            (message.is_burned, message.text) = (true, None);
            Ok(Response::new(message::BurnMessageResponse { burn_time: Some(since_1970(STATE_TIME).into()) }))
        })
    }

    type WatchMessageStream = ReceiverStream<Result<message::WatchMessageResponse, Status>>;

    async fn watch_message(
        &self,
        _: Request<message::WatchMessageRequest>,
    ) -> Result<Response<Self::WatchMessageStream>, Status> {
        Err(Status::unimplemented("watch"))
    }

    async fn get_limits(
        &self,
        _: Request<message::GetLimitsRequest>,
    ) -> Result<Response<message::GetLimitsResponse>, Status> {
        Err(Status::unimplemented("get limits"))
    }
}

#[tonic::async_trait]
impl ApiTokenService for FakeStore {
    async fn create_api_token(
        &self,
        _: Request<auth::CreateApiTokenRequest>,
    ) -> Result<Response<auth::CreateApiTokenResponse>, Status> {
        Err(Status::unimplemented("create"))
    }

    async fn list_api_tokens(
        &self,
        _: Request<auth::ListApiTokensRequest>,
    ) -> Result<Response<auth::ListApiTokensResponse>, Status> {
        Err(Status::unimplemented("list"))
    }

    async fn revoke_api_token(
        &self,
        _: Request<auth::RevokeApiTokenRequest>,
    ) -> Result<Response<auth::RevokeApiTokenResponse>, Status> {
        Err(Status::unimplemented("revoke"))
    }

    async fn check_scope(
        &self,
        request: Request<auth::CheckScopeRequest>,
    ) -> Result<Response<auth::CheckScopeResponse>, Status> {
        self.refuse_when_away()?;
        require(ADMIN_TOKEN, &request)?;
        assert_eq!(request.get_ref().scope(), auth::ApiTokenScope::Admin);
        Ok(Response::new(auth::CheckScopeResponse {}))
    }
}

#[tonic::async_trait]
impl ConfigService for FakeStore {
    type WatchLastActiveAppConfigStream = ReceiverStream<Result<WatchLastActiveAppConfigResponse, Status>>;

    async fn watch_last_active_app_config(
        &self,
        request: Request<WatchLastActiveAppConfigRequest>,
    ) -> Result<Response<Self::WatchLastActiveAppConfigStream>, Status> {
        self.change(|data| data.watch_calls += 1);
        self.refuse_when_away()?;
        require(SERVICE_TOKEN, &request)?;
        let (responses, stream) = mpsc::channel(1);
        let (mut configs, mut breaks) = (self.config.subscribe(), self.breaks.subscribe());
        tokio::spawn(async move {
            loop {
                let app_config = configs.borrow_and_update().clone();
                if responses.send(Ok(WatchLastActiveAppConfigResponse { app_config })).await.is_err() {
                    return;
                }
                tokio::select! {
                    changed = configs.changed() => if changed.is_err() { return },
                    _ = breaks.changed() => {
                        let _ = responses.send(Err(unavailable())).await;
                        return;
                    }
                }
            }
        });
        Ok(Response::new(ReceiverStream::new(stream)))
    }

    async fn create_app_config(
        &self,
        _: Request<config::CreateAppConfigRequest>,
    ) -> Result<Response<config::CreateAppConfigResponse>, Status> {
        Err(Status::unimplemented("create"))
    }

    async fn get_app_config(
        &self,
        request: Request<config::GetAppConfigRequest>,
    ) -> Result<Response<config::GetAppConfigResponse>, Status> {
        self.refuse_when_away()?;
        require(ADMIN_TOKEN, &request)?;
        let app_config = self.app_config(request.into_inner().id)?;
        let masked = AppConfig { bot_token: "masked".to_owned(), ..app_config };
        Ok(Response::new(config::GetAppConfigResponse { app_config: Some(masked) }))
    }

    async fn list_app_configs(
        &self,
        request: Request<config::ListAppConfigsRequest>,
    ) -> Result<Response<config::ListAppConfigsResponse>, Status> {
        self.refuse_when_away()?;
        require(ADMIN_TOKEN, &request)?;
        Ok(Response::new(config::ListAppConfigsResponse::default()))
    }

    async fn update_app_config(
        &self,
        _: Request<config::UpdateAppConfigRequest>,
    ) -> Result<Response<config::UpdateAppConfigResponse>, Status> {
        Err(Status::unimplemented("update"))
    }

    async fn delete_app_config(
        &self,
        _: Request<config::DeleteAppConfigRequest>,
    ) -> Result<Response<config::DeleteAppConfigResponse>, Status> {
        Err(Status::unimplemented("delete"))
    }

    async fn reveal_app_config(
        &self,
        request: Request<config::RevealAppConfigRequest>,
    ) -> Result<Response<config::RevealAppConfigResponse>, Status> {
        require(SERVICE_TOKEN, &request)?;
        let app_config = self.app_config(request.into_inner().id)?;
        Ok(Response::new(config::RevealAppConfigResponse { app_config: Some(app_config) }))
    }

    async fn get_last_active_app_config(
        &self,
        _: Request<config::GetLastActiveAppConfigRequest>,
    ) -> Result<Response<config::GetLastActiveAppConfigResponse>, Status> {
        Err(Status::unimplemented("get last active"))
    }
}
