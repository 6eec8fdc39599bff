//! Who calls, for limits that count by caller.

use mayfly_contracts::CALLER_METADATA;
use tonic::Request;

/// More than any address takes.
const MAX_LENGTH: usize = 64;

/// What the front end says about its own caller, or else the address that the call came from. Never a proof of anything: it
/// only keeps honest callers from using up each other's tries.
pub(super) fn caller<T>(request: &Request<T>) -> String {
    let named = request.metadata().get(CALLER_METADATA).and_then(|caller| caller.to_str().ok());
    match named.filter(|caller| (1..=MAX_LENGTH).contains(&caller.len())) {
        Some(caller) => caller.to_owned(),
        None => request.remote_addr().map(|address| address.ip().to_string()).unwrap_or_default(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_front_end_names_its_caller() {
        let mut request = Request::new(());
        assert_eq!(caller(&request), "");
        request.metadata_mut().insert(CALLER_METADATA, "10.0.0.1".parse().unwrap());
        assert_eq!(caller(&request), "10.0.0.1");
        request.metadata_mut().insert(CALLER_METADATA, "x".repeat(65).parse().unwrap());
        assert_eq!(caller(&request), "");
    }
}
