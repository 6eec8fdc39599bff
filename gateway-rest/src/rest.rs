//! The REST paths, one file each. Three of them are those of the system that Mayfly replaces. The others take the token
//! in the body.

mod acknowledge_view;
mod burn_message;
mod create_message;
mod get_last_active_app_config;
mod get_message;
mod idempotency_key;
mod lookup_message;
mod message_ref;
mod responses;
mod store_client;
mod time;
mod view_message;

use axum::{Router, routing::MethodRouter};
use mayfly_contracts::StoreChannel;
use utoipa::OpenApi;

use self::store_client::StoreClient;
use crate::allowed_method::{AllowedMethod, with_trailing_slash};

/// The documentation of the handlers, in the order of a message's life.
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
pub(crate) struct ApiDocument;

/// The paths below `/api/v1/`.
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
    let handlers: [MethodRouter<StoreClient>; PATHS.len()] = [
        AllowedMethod::Post.route(create_message::create_message),
        AllowedMethod::Get.route(get_message::get_message),
        AllowedMethod::Get.route(get_last_active_app_config::get_last_active_app_config),
        AllowedMethod::Post.route(view_message::view_message),
        AllowedMethod::Post.route(acknowledge_view::acknowledge_view),
        AllowedMethod::Post.route(lookup_message::lookup_message),
        AllowedMethod::Post.route(burn_message::burn_message),
    ];
    let router = PATHS
        .into_iter()
        .zip(handlers)
        .fold(Router::new(), |router, (path, route)| with_trailing_slash(router, &format!("/api/v1/{path}"), route));
    router.with_state(StoreClient(store))
}
