//! [`Caller`]: the caller of an RPC, for limits per caller.

use mayfly_bootstrap::{CallerId, http};
use mayfly_contracts::CALLER_METADATA;
use tonic::Request;

/// The caller of an RPC.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Caller {
    /// `None` for a call of this process on its own behalf.
    id: Option<CallerId>,
    is_service: bool,
}

impl Caller {
    /// The caller that the listener identified. A call without a listener comes from this process, which reports its
    /// callers.
    pub(super) fn of<T>(request: &Request<T>) -> Self {
        if let Some(http::Caller { id, is_service }) = request.extensions().get() {
            return Self { id: Some(*id), is_service: *is_service };
        }
        let reported = request.metadata().get(CALLER_METADATA).and_then(|caller| caller.to_str().ok()?.parse().ok());
        Self { id: reported, is_service: reported.is_none() }
    }

    /// The key of limits for all callers.
    pub(super) fn id(self) -> Option<CallerId> {
        self.id
    }

    /// The key of its rates. `None` for services, which act for many users.
    pub(super) fn rate_key(self) -> Option<CallerId> {
        self.id.filter(|_| !self.is_service)
    }

    /// The key of its tries of passphrases.
    pub(super) fn to_text(self) -> String {
        self.id.map(|id| id.to_string()).unwrap_or_default()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn id(text: &str) -> CallerId {
        text.parse().unwrap()
    }

    #[test]
    fn a_call_of_this_process_reports_its_caller() {
        let mut request = Request::new(());
        assert_eq!((Caller::of(&request).rate_key(), Caller::of(&request).to_text().as_str()), (None, ""));
        request.metadata_mut().insert(CALLER_METADATA, "10.0.0.1".parse().unwrap());
        assert_eq!(Caller::of(&request).rate_key(), Some(id("10.0.0.1")));
    }

    #[test]
    fn the_listener_identifies_the_caller_and_metadata_of_the_caller_is_ignored() {
        let mut request = Request::new(());
        request.metadata_mut().insert(CALLER_METADATA, "10.0.0.1".parse().unwrap());
        request.extensions_mut().insert(http::Caller { id: id("192.0.2.1"), is_service: false });
        assert_eq!(Caller::of(&request).rate_key(), Some(id("192.0.2.1")));
        request.extensions_mut().insert(http::Caller { id: id("192.0.2.1"), is_service: true });
        let caller = Caller::of(&request);
        assert_eq!((caller.rate_key(), caller.id()), (None, Some(id("192.0.2.1"))));
    }
}
