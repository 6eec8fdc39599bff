//! What front ends need to know of the calls that they pass on: which go on for long, and how large they are.

/// JSON writes a byte as six characters at worst (`\u001f`), a form as three (`%1f`), gRPC-Web as text 4 for 3.
const WORST_ENCODING: usize = 6;
/// Room for field names, ids, tokens and the borders of multipart forms.
const SLACK: usize = 16 * 1024;
/// The methods whose responses go on until the caller or the service ends them.
pub const SERVER_STREAMS: &[&str] = &[
    "/mayfly.message.v1.MessageService/WatchMessage",
    "/mayfly.config.v1.ConfigService/WatchLastActiveAppConfig",
    "/mayfly.bot.v1.BotService/WatchBotStatus",
    "/grpc.health.v1.Health/Watch",
];
/// The methods whose requests go on too.
pub const BIDIRECTIONAL_STREAMS: &[&str] = &[
    "/grpc.reflection.v1.ServerReflection/ServerReflectionInfo",
    "/grpc.reflection.v1alpha.ServerReflection/ServerReflectionInfo",
];

/// Whether the call with this path (`/package.Service/Method`) is one of those.
#[must_use]
pub fn is_stream(path: &str) -> bool {
    SERVER_STREAMS.contains(&path) || BIDIRECTIONAL_STREAMS.contains(&path)
}

/// The largest request, in any encoding, that can hold a text of `max_text_bytes`.
#[must_use]
pub fn max_request_bytes(max_text_bytes: usize) -> usize {
    max_text_bytes.saturating_mul(WORST_ENCODING).saturating_add(SLACK)
}

#[cfg(test)]
mod tests {
    use prost::Message as _;
    use prost_types::FileDescriptorSet;

    use super::*;

    #[test]
    fn the_streams_are_those_of_the_contracts() {
        let files = FileDescriptorSet::decode(crate::FILE_DESCRIPTOR_SET).unwrap();
        let mut count = 0;
        for file in &files.file {
            for service in &file.service {
                for method in &service.method {
                    let path = format!("/{}.{}/{}", file.package(), service.name(), method.name());
                    let (client, server) = (method.client_streaming(), method.server_streaming());
                    assert_eq!(SERVER_STREAMS.contains(&path.as_str()), server && !client, "{path}");
                    assert_eq!(BIDIRECTIONAL_STREAMS.contains(&path.as_str()), client, "{path}");
                    count += 1;
                }
            }
        }
        assert!(count > 10, "{count}");
    }
}
