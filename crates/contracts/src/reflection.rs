//! gRPC server reflection, by which clients discover services and their messages.

use tonic::service::Routes;

use crate::generated::FILE_DESCRIPTOR_SET;

/// The largest request, which names a file, a type or an extension.
const MAX_REQUEST_BYTES: usize = 16 << 10;

/// Adds server reflection for `services` to `routes`: v1, and v1alpha for older clients.
///
/// The descriptors include `google.rpc`, so that clients can decode error details.
#[must_use]
pub fn with_reflection(routes: Routes, services: &[&str]) -> Routes {
    let descriptors = || {
        let builder = tonic_reflection::server::Builder::configure()
            .register_encoded_file_descriptor_set(FILE_DESCRIPTOR_SET)
            .register_encoded_file_descriptor_set(tonic_types::pb::FILE_DESCRIPTOR_SET)
            .register_encoded_file_descriptor_set(tonic_health::pb::FILE_DESCRIPTOR_SET);
        services.iter().fold(builder, |builder, service| builder.with_service_name(*service))
    };
    match (descriptors().build_v1(), descriptors().build_v1alpha()) {
        (Ok(v1), Ok(v1alpha)) => routes
            .add_service(v1.max_decoding_message_size(MAX_REQUEST_BYTES))
            .add_service(v1alpha.max_decoding_message_size(MAX_REQUEST_BYTES)),
        _ => {
            // Cannot happen: the sets come from the build, and a test uses them.
            tracing::error!("the descriptor sets are invalid; server reflection is off");
            routes
        }
    }
}
