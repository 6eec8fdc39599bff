//! gRPC server reflection: tells callers, without files, which services there are and how to read what they return.

use tonic::service::Routes;

use crate::FILE_DESCRIPTOR_SET;

/// The largest request: a question names one file, type or extension.
const MAX_REQUEST_BYTES: usize = 16 << 10;

/// Adds server reflection for `services` to `routes`, in the current form and in the older one that many clients still
/// use.
///
/// The descriptors include `google.rpc`, so that clients can read the details of errors.
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
            // The build made all sets, and a test asks for them.
            tracing::error!("the descriptor sets are damaged: there is no reflection");
            routes
        }
    }
}
