//! The REST paths, one file each. The three documented ones stay as they were; their siblings carry the token in the body.

mod acknowledge_view;
mod answers;
mod burn_message;
mod create_message;
mod get_last_active_app_config;
mod get_message;
mod idempotency_key;
mod lookup_message;
mod opener;
mod time;
mod view_message;

use axum::{Router, http::HeaderMap, routing::MethodRouter};
use mayfly_contracts::{
    CALLER_METADATA, StoreChannel, config::config_service_client::ConfigServiceClient,
    message::message_service_client::MessageServiceClient,
};
use utoipa::OpenApi;

use crate::methods::{Only, both_forms};

/// What the handlers say of themselves, in the order in which they are met.
#[derive(OpenApi)]
#[openapi(paths(
    create_message::create_message,
    view_message::view_message,
    acknowledge_view::acknowledge_view,
    lookup_message::lookup_message,
    burn_message::burn_message,
    get_message::get_message,
    get_last_active_app_config::get_last_active_app_config,
))]
pub(crate) struct Documented;

/// What every handler has at hand.
#[derive(Clone)]
struct Gateway {
    store: StoreChannel,
}

impl Gateway {
    fn messages(&self) -> MessageServiceClient<StoreChannel> {
        MessageServiceClient::new(self.store.clone())
    }

    fn configs(&self) -> ConfigServiceClient<StoreChannel> {
        ConfigServiceClient::new(self.store.clone())
    }
}

/// Tells the store who calls, as the gateway wrote it into the headers.
fn with_caller<T>(headers: &HeaderMap, message: T) -> tonic::Request<T> {
    let mut request = tonic::Request::new(message);
    let caller = headers.get(CALLER_METADATA).and_then(|caller| caller.to_str().ok()?.parse().ok());
    if let Some(caller) = caller {
        request.metadata_mut().insert(CALLER_METADATA, caller);
    }
    request
}

/// Everything below `/api/v1/`.
pub(crate) const PATHS: [&str; 7] = [
    "create_message",
    "get_message/{id}/{token}",
    "get_last_active_app_config",
    "view_message",
    "acknowledge_view",
    "lookup_message",
    "burn_message",
];

pub(crate) fn routes(store: StoreChannel) -> Router {
    let handlers: [MethodRouter<Gateway>; PATHS.len()] = [
        Only::Post.route(create_message::create_message),
        Only::Get.route(get_message::get_message),
        Only::Get.route(get_last_active_app_config::get_last_active_app_config),
        Only::Post.route(view_message::view_message),
        Only::Post.route(acknowledge_view::acknowledge_view),
        Only::Post.route(lookup_message::lookup_message),
        Only::Post.route(burn_message::burn_message),
    ];
    let router = PATHS
        .into_iter()
        .zip(handlers)
        .fold(Router::new(), |router, (path, route)| both_forms(router, &format!("/api/v1/{path}"), route));
    router.with_state(Gateway { store })
}
