//! `ConfigService`.

use std::{pin::Pin, time::Duration};

use mayfly_bootstrap::audit::{self, Actor};
use mayfly_contracts::config::{
    self as wire_config, CreateAppConfigRequest, CreateAppConfigResponse, DeleteAppConfigRequest,
    DeleteAppConfigResponse, GetAppConfigRequest, GetAppConfigResponse, GetLastActiveAppConfigRequest,
    GetLastActiveAppConfigResponse, ListAppConfigsRequest, ListAppConfigsResponse, RevealAppConfigRequest,
    RevealAppConfigResponse, UpdateAppConfigRequest, UpdateAppConfigResponse, WatchLastActiveAppConfigRequest,
    WatchLastActiveAppConfigResponse, config_service_server::ConfigService,
};
use tokio::{sync::mpsc, time::MissedTickBehavior};
use tokio_stream::{Stream, wrappers::ReceiverStream};
use tokio_util::sync::CancellationToken;
use tonic::{Request, Response, Status};

use super::{
    credentials::{Authenticator, Permission},
    wire,
};
use crate::{
    domain::{
        ApiHash, ApiId, AppConfig, AppConfigChange, AppConfigId, BotToken, InvalidInput, NewAppConfig, SessionName,
    },
    error::StoreError,
    storage::AppConfigs,
};

/// How often a watch checks for changes by other stores.
const WATCH_INTERVAL: Duration = Duration::from_secs(2);

/// The implementation of `ConfigService`.
pub(super) struct ConfigServiceImpl {
    pub(super) configs: AppConfigs,
    pub(super) authenticator: Authenticator,
    pub(super) stop: CancellationToken,
}

/// How much of the secrets a response shows.
#[derive(Clone, Copy, PartialEq, Eq)]
enum SecretVisibility {
    /// Everything.
    Plain,
    /// The beginning and the end, by which an admin recognises them.
    PartiallyMasked,
    /// The beginning.
    Masked,
}

#[tonic::async_trait]
impl ConfigService for ConfigServiceImpl {
    async fn create_app_config(
        &self,
        request: Request<CreateAppConfigRequest>,
    ) -> Result<Response<CreateAppConfigResponse>, Status> {
        self.authenticator.require(Permission::ADMIN, &request).await?;
        let new = new_app_config(required(request.into_inner().app_config)?)?;
        let attempt = audit::attempt("app_config.create", Actor::Admin);
        let config = attempt.end_on(self.configs.insert(new).await, |config| config.id.get())?;
        Ok(Response::new(CreateAppConfigResponse {
            app_config: Some(to_wire(config, SecretVisibility::PartiallyMasked)),
        }))
    }

    async fn get_app_config(
        &self,
        request: Request<GetAppConfigRequest>,
    ) -> Result<Response<GetAppConfigResponse>, Status> {
        self.authenticator.require(Permission::ADMIN, &request).await?;
        let id = AppConfigId::parse("id", request.into_inner().id)?;
        let config = self.configs.find(id).await?;
        Ok(Response::new(GetAppConfigResponse { app_config: Some(to_wire(config, SecretVisibility::PartiallyMasked)) }))
    }

    async fn list_app_configs(
        &self,
        request: Request<ListAppConfigsRequest>,
    ) -> Result<Response<ListAppConfigsResponse>, Status> {
        self.authenticator.require(Permission::ADMIN, &request).await?;
        let ListAppConfigsRequest { page_size, page_token } = request.into_inner();
        let (page_size, after) = (wire::page_size(page_size)?, wire::page_token(&page_token)?);
        let after = after.map(|id| AppConfigId::parse("page_token", id)).transpose()?;
        // One more than requested shows whether there is another page.
        let mut configs = self.configs.list(after, page_size + 1).await?;
        let has_more = configs.len() as u64 > page_size;
        configs.truncate(usize::try_from(page_size).unwrap_or(usize::MAX));
        let last = configs.last().filter(|_| has_more).map(|config| config.id.get().to_string());
        Ok(Response::new(ListAppConfigsResponse {
            app_configs: configs.into_iter().map(|config| to_wire(config, SecretVisibility::PartiallyMasked)).collect(),
            next_page_token: last.unwrap_or_default(),
        }))
    }

    async fn update_app_config(
        &self,
        request: Request<UpdateAppConfigRequest>,
    ) -> Result<Response<UpdateAppConfigResponse>, Status> {
        self.authenticator.require(Permission::ADMIN, &request).await?;
        let UpdateAppConfigRequest { app_config, update_mask } = request.into_inner();
        let app_config = required(app_config)?;
        let id = AppConfigId::parse("app_config.id", app_config.id)?;
        let change = change(app_config, update_mask)?;
        let attempt = audit::attempt("app_config.update", Actor::Admin).on(id.get());
        let config = attempt.end(self.configs.update(id, change).await)?;
        Ok(Response::new(UpdateAppConfigResponse {
            app_config: Some(to_wire(config, SecretVisibility::PartiallyMasked)),
        }))
    }

    async fn delete_app_config(
        &self,
        request: Request<DeleteAppConfigRequest>,
    ) -> Result<Response<DeleteAppConfigResponse>, Status> {
        self.authenticator.require(Permission::ADMIN, &request).await?;
        let id = AppConfigId::parse("id", request.into_inner().id)?;
        let attempt = audit::attempt("app_config.delete", Actor::Admin).on(id.get());
        attempt.end(self.configs.delete(id).await)?;
        Ok(Response::new(DeleteAppConfigResponse {}))
    }

    async fn get_last_active_app_config(
        &self,
        request: Request<GetLastActiveAppConfigRequest>,
    ) -> Result<Response<GetLastActiveAppConfigResponse>, Status> {
        let may_read = self.authenticator.identify(&request).await?.may(Permission::ReadLastActive);
        let visibility = if may_read { SecretVisibility::Plain } else { SecretVisibility::Masked };
        let config = self.configs.last_active().await?.ok_or(StoreError::AppConfigNotFound)?;
        Ok(Response::new(GetLastActiveAppConfigResponse { app_config: Some(to_wire(config, visibility)) }))
    }

    type WatchLastActiveAppConfigStream =
        Pin<Box<dyn Stream<Item = Result<WatchLastActiveAppConfigResponse, Status>> + Send>>;

    async fn watch_last_active_app_config(
        &self,
        request: Request<WatchLastActiveAppConfigRequest>,
    ) -> Result<Response<Self::WatchLastActiveAppConfigStream>, Status> {
        self.authenticator.require(Permission::ReadLastActive, &request).await?;
        let (responses, stream) = mpsc::channel(1);
        let watching = watch(self.configs.clone(), responses);
        tokio::spawn(self.stop.clone().run_until_cancelled_owned(watching));
        Ok(Response::new(Box::pin(ReceiverStream::new(stream))))
    }

    async fn reveal_app_config(
        &self,
        request: Request<RevealAppConfigRequest>,
    ) -> Result<Response<RevealAppConfigResponse>, Status> {
        self.authenticator.require(Permission::Reveal, &request).await?;
        let id = AppConfigId::parse("id", request.into_inner().id)?;
        let attempt = audit::attempt("app_config.reveal", Actor::Service).on(id.get());
        let config = attempt.end(self.configs.find(id).await)?;
        Ok(Response::new(RevealAppConfigResponse { app_config: Some(to_wire(config, SecretVisibility::Plain)) }))
    }
}

/// Sends the last active app config now and after every change, until the client disconnects or the database fails.
async fn watch(configs: AppConfigs, responses: mpsc::Sender<Result<WatchLastActiveAppConfigResponse, Status>>) {
    let mut changes = configs.changes();
    let mut ticks = tokio::time::interval(WATCH_INTERVAL);
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    let mut last_sent = None;
    loop {
        let current = match configs.last_active().await {
            Ok(current) => current,
            Err(error) => {
                // The client connects again. It may also have disconnected already.
                drop(responses.send(Err(error.into())).await);
                return;
            }
        };
        if last_sent.as_ref() != Some(&current) {
            let app_config = current.clone().map(|config| to_wire(config, SecretVisibility::Plain));
            if responses.send(Ok(WatchLastActiveAppConfigResponse { app_config })).await.is_err() {
                return;
            }
            last_sent = Some(current);
        }
        tokio::select! {
            _ = ticks.tick() => {}
            Ok(()) = changes.changed() => {}
            () = responses.closed() => return,
        }
    }
}

fn required(app_config: Option<wire_config::AppConfig>) -> Result<wire_config::AppConfig, InvalidInput> {
    app_config.ok_or_else(|| InvalidInput::field("app_config", "must be set"))
}

fn new_app_config(wire: wire_config::AppConfig) -> Result<NewAppConfig, InvalidInput> {
    let wire_config::AppConfig { id: _, session_name, api_id, api_hash, is_active, is_bot, bot_token, update_time: _ } =
        wire;
    Ok(NewAppConfig {
        session_name: SessionName::parse(session_name)?,
        api_id: ApiId::parse(api_id)?,
        api_hash: ApiHash::parse(api_hash)?,
        is_active: is_active.unwrap_or(true),
        is_bot: is_bot.unwrap_or(true),
        bot_token: BotToken::parse(bot_token)?,
    })
}

fn change(wire: wire_config::AppConfig, mask: Option<prost_types::FieldMask>) -> Result<AppConfigChange, InvalidInput> {
    const FIELD: &str = "update_mask";
    let wire_config::AppConfig { id: _, session_name, api_id, api_hash, is_active, is_bot, bot_token, update_time: _ } =
        wire;
    let paths = mask.map(|mask| mask.paths).unwrap_or_default();
    if paths.is_empty() {
        return Err(InvalidInput::field(FIELD, "must name at least one field"));
    }
    let mut change = AppConfigChange::default();
    for path in paths {
        match path.as_str() {
            "session_name" => change.session_name = Some(SessionName::parse(session_name.clone())?),
            "api_id" => change.api_id = Some(ApiId::parse(api_id)?),
            "api_hash" => change.api_hash = Some(ApiHash::parse(api_hash.clone())?),
            "is_active" => change.is_active = Some(is_active.unwrap_or(false)),
            "is_bot" => change.is_bot = Some(is_bot.unwrap_or(false)),
            "bot_token" => change.bot_token = Some(BotToken::parse(bot_token.clone())?),
            _ => {
                let requirement = "must name only session_name, api_id, api_hash, is_active, is_bot and bot_token";
                return Err(InvalidInput::field(FIELD, requirement));
            }
        }
    }
    Ok(change)
}

fn to_wire(config: AppConfig, visibility: SecretVisibility) -> wire_config::AppConfig {
    let AppConfig { id, settings, update_time } = config;
    let NewAppConfig { session_name, api_id, api_hash, is_active, is_bot, bot_token } = settings;
    let (api_hash, bot_token) = match visibility {
        SecretVisibility::Plain => (api_hash.expose().to_owned(), bot_token.expose().to_owned()),
        SecretVisibility::PartiallyMasked => (api_hash.partially_masked(), bot_token.partially_masked()),
        SecretVisibility::Masked => (api_hash.masked(), bot_token.masked()),
    };
    wire_config::AppConfig {
        id: id.get(),
        session_name: session_name.as_str().to_owned(),
        api_id: api_id.get(),
        api_hash,
        is_active: Some(is_active),
        is_bot: Some(is_bot),
        bot_token,
        update_time: Some(wire::timestamp(update_time)),
    }
}
