//! The gRPC services that the gateway serves.

/// The store's services for all callers.
pub(crate) const PUBLIC_SERVICES: [&str; 2] = ["mayfly.message.v1.MessageService", "grpc.health.v1.Health"];
/// The store's services for callers with a token. The store verifies the token.
pub(crate) const AUTHENTICATED_SERVICES: [&str; 2] =
    ["mayfly.config.v1.ConfigService", "mayfly.auth.v1.ApiTokenService"];
/// The bot's services, for callers with a token. The bot lets the store verify the token.
pub(crate) const BOT_SERVICES: [&str; 1] = ["mayfly.bot.v1.BotService"];
/// The gateway's own services: they list the services of the store and the bot.
pub(crate) const REFLECTION_SERVICES: [&str; 2] =
    ["grpc.reflection.v1.ServerReflection", "grpc.reflection.v1alpha.ServerReflection"];

/// All services.
pub(crate) fn all() -> Vec<&'static str> {
    [PUBLIC_SERVICES.as_slice(), &AUTHENTICATED_SERVICES, &BOT_SERVICES, &REFLECTION_SERVICES].concat()
}
