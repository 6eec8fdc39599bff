//! The methods of all services, and the properties that front ends need to forward calls: which ones are streams, and the
//! largest request.

/// The largest expansion of a byte: six characters in JSON (`\u001f`). A form needs three (`%1f`), base64 4 for 3
/// bytes.
const MAX_EXPANSION: usize = 6;
/// The size of everything but the text: field names, ids, tokens and the boundaries of multipart forms.
const OVERHEAD: usize = 16 * 1024;
/// All methods, also those of the health and reflection services.
const METHODS: &[&str] = &[
    "/mayfly.message.v1.MessageService/CreateMessage",
    "/mayfly.message.v1.MessageService/ViewMessage",
    "/mayfly.message.v1.MessageService/AcknowledgeView",
    "/mayfly.message.v1.MessageService/LookupMessage",
    "/mayfly.message.v1.MessageService/BurnMessage",
    "/mayfly.message.v1.MessageService/WatchMessage",
    "/mayfly.message.v1.MessageService/GetLimits",
    "/mayfly.config.v1.ConfigService/CreateAppConfig",
    "/mayfly.config.v1.ConfigService/GetAppConfig",
    "/mayfly.config.v1.ConfigService/ListAppConfigs",
    "/mayfly.config.v1.ConfigService/UpdateAppConfig",
    "/mayfly.config.v1.ConfigService/DeleteAppConfig",
    "/mayfly.config.v1.ConfigService/GetLastActiveAppConfig",
    "/mayfly.config.v1.ConfigService/WatchLastActiveAppConfig",
    "/mayfly.config.v1.ConfigService/RevealAppConfig",
    "/mayfly.auth.v1.ApiTokenService/CreateApiToken",
    "/mayfly.auth.v1.ApiTokenService/ListApiTokens",
    "/mayfly.auth.v1.ApiTokenService/RevokeApiToken",
    "/mayfly.auth.v1.ApiTokenService/CheckScope",
    "/mayfly.bot.v1.BotService/GetBotStatus",
    "/mayfly.bot.v1.BotService/WatchBotStatus",
    "/mayfly.bot.v1.BotService/TestAppConfig",
    "/grpc.health.v1.Health/Check",
    "/grpc.health.v1.Health/List",
    "/grpc.health.v1.Health/Watch",
    "/grpc.reflection.v1.ServerReflection/ServerReflectionInfo",
    "/grpc.reflection.v1alpha.ServerReflection/ServerReflectionInfo",
];
/// The server streaming methods.
pub const SERVER_STREAMING_METHODS: &[&str] = &[
    "/mayfly.message.v1.MessageService/WatchMessage",
    "/mayfly.config.v1.ConfigService/WatchLastActiveAppConfig",
    "/mayfly.bot.v1.BotService/WatchBotStatus",
    "/grpc.health.v1.Health/Watch",
];
/// The bidirectional streaming methods.
pub const BIDI_STREAMING_METHODS: &[&str] = &[
    "/grpc.reflection.v1.ServerReflection/ServerReflectionInfo",
    "/grpc.reflection.v1alpha.ServerReflection/ServerReflectionInfo",
];

/// The paths (`/package.Service/Method`) of all methods of these services.
pub fn methods_of(services: &[&str]) -> impl Iterator<Item = &'static str> {
    let service = |path: &str| path.strip_prefix('/').and_then(|path| path.split('/').next()).map(str::to_owned);
    METHODS
        .iter()
        .copied()
        .filter(move |path| service(path).is_some_and(|service| services.contains(&service.as_str())))
}

/// Returns the name of a known method (`package.Service/Method`) for its path. A path of the caller's making has none.
#[must_use]
pub fn rpc_name(path: &str) -> Option<&'static str> {
    METHODS.iter().find(|known| **known == path).and_then(|known| known.strip_prefix('/'))
}

/// Returns `true` if the method with this path (`/package.Service/Method`) is a streaming method.
#[must_use]
pub fn is_streaming(path: &str) -> bool {
    SERVER_STREAMING_METHODS.contains(&path) || BIDI_STREAMING_METHODS.contains(&path)
}

/// The largest request in any encoding with a text of `max_text_bytes`.
#[must_use]
pub fn max_request_bytes(max_text_bytes: usize) -> usize {
    max_text_bytes.saturating_mul(MAX_EXPANSION).saturating_add(OVERHEAD)
}

#[cfg(test)]
mod tests {
    use prost::Message as _;
    use prost_types::FileDescriptorSet;

    use super::*;

    #[test]
    fn only_known_methods_have_names() {
        for path in SERVER_STREAMING_METHODS.iter().chain(BIDI_STREAMING_METHODS) {
            assert_eq!(rpc_name(path), path.strip_prefix('/'), "{path}");
        }
        let name = "mayfly.message.v1.MessageService/CreateMessage";
        assert_eq!(rpc_name(&format!("/{name}")), Some(name));
        for other in [name, "/mayfly.message.v1.MessageService/0b5e", "/", "", "/api/v1/create_message"] {
            assert_eq!(rpc_name(other), None, "{other}");
        }
    }

    #[test]
    fn the_lists_contain_all_streaming_methods_of_the_contracts() {
        let files = FileDescriptorSet::decode(crate::FILE_DESCRIPTOR_SET).unwrap();
        let mut count = 0;
        for file in &files.file {
            for service in &file.service {
                for method in &service.method {
                    let path = format!("/{}.{}/{}", file.package(), service.name(), method.name());
                    let (client, server) = (method.client_streaming(), method.server_streaming());
                    assert_eq!(SERVER_STREAMING_METHODS.contains(&path.as_str()), server && !client, "{path}");
                    assert_eq!(BIDI_STREAMING_METHODS.contains(&path.as_str()), client, "{path}");
                    assert!(METHODS.contains(&path.as_str()), "{path}");
                    count += 1;
                }
            }
        }
        assert!(count > 10, "{count}");
    }
}
