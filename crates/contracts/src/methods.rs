//! Properties of methods that front ends need to forward calls: which ones are streams, and the largest request.

use std::{collections::HashSet, sync::LazyLock};

use prost::Message as _;
use prost_types::FileDescriptorSet;

/// The largest expansion of a byte: six characters in JSON (`\u001f`). A form needs three (`%1f`), base64 4 for 3
/// bytes.
const MAX_EXPANSION: usize = 6;
/// The size of everything but the text: field names, ids, tokens and the boundaries of multipart forms.
const OVERHEAD: usize = 16 * 1024;
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

/// The methods of services that are not in our contracts.
const FOREIGN_METHODS: [&str; 4] = [
    "grpc.health.v1.Health/Check",
    "grpc.health.v1.Health/Watch",
    "grpc.reflection.v1.ServerReflection/ServerReflectionInfo",
    "grpc.reflection.v1alpha.ServerReflection/ServerReflectionInfo",
];

/// Returns the name of a known method (`package.Service/Method`) for its path. A path of the caller's making has none.
#[must_use]
pub fn rpc_name(path: &str) -> Option<&'static str> {
    static NAMES: LazyLock<HashSet<String>> = LazyLock::new(|| {
        let files = FileDescriptorSet::decode(crate::FILE_DESCRIPTOR_SET).unwrap_or_default();
        let services = files.file.iter().flat_map(|file| file.service.iter().map(move |service| (file, service)));
        let own = services.flat_map(|(file, service)| {
            let name = move |method: &str| format!("{}.{}/{method}", file.package(), service.name());
            service.method.iter().map(move |method| name(method.name()))
        });
        own.chain(FOREIGN_METHODS.map(str::to_owned)).collect()
    });
    NAMES.get(path.strip_prefix('/')?).map(String::as_str)
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
                    count += 1;
                }
            }
        }
        assert!(count > 10, "{count}");
    }
}
