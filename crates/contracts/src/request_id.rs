//! Adds the id of a request to its error: `google.rpc.RequestInfo`.

use http::{HeaderMap, HeaderName, HeaderValue};
use tonic::Status;
use tonic_types::StatusExt as _;

const GRPC_STATUS: HeaderName = HeaderName::from_static("grpc-status");
const OK: HeaderValue = HeaderValue::from_static("0");

/// Adds the id to the details of the error in the `headers` of a response. Other responses stay as they are.
///
/// The services return errors as headers alone. An error that ends a stream has no id; the headers of the stream have.
pub fn add_request_id(headers: &mut HeaderMap, request_id: &str) {
    if headers.get(GRPC_STATUS).is_none_or(|status| status == OK) {
        return;
    }
    let Some(status) = Status::from_header_map(headers) else { return };
    let mut details = status.get_error_details();
    details.set_request_info(request_id, "");
    let status = Status::with_error_details(status.code(), status.message(), details);
    if status.add_header(headers).is_err() {
        tracing::debug!("a request id was not added to an error");
    }
}

#[cfg(test)]
mod tests {
    use tonic::Code;

    use super::*;
    use crate::{ErrorInfo, error::ErrorReason};

    #[test]
    fn an_error_gets_the_id_and_keeps_the_rest() {
        let info = ErrorInfo { request_id: None, ..ErrorInfo::new(ErrorReason::Overloaded) };
        let mut headers = HeaderMap::new();
        info.clone().into_status(Code::ResourceExhausted, "50 % are waiting").add_header(&mut headers).unwrap();
        add_request_id(&mut headers, "0123456789abcdef");
        let status = Status::from_header_map(&headers).unwrap();
        assert_eq!((status.code(), status.message()), (Code::ResourceExhausted, "50 % are waiting"));
        let expected = ErrorInfo { request_id: Some("0123456789abcdef".to_owned()), ..info };
        assert_eq!(ErrorInfo::from_status(&status), expected);
        assert_eq!(headers.len(), 3, "{headers:?}");
    }

    #[test]
    fn a_success_and_a_response_that_is_not_grpc_stay_as_they_are() {
        for before in [HeaderMap::new(), HeaderMap::from_iter([(GRPC_STATUS, OK)])] {
            let mut headers = before.clone();
            add_request_id(&mut headers, "0123456789abcdef");
            assert_eq!(headers, before);
        }
    }
}
