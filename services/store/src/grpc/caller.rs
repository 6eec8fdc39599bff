//! Who calls, for limits that count by caller.

use mayfly_bootstrap::{CallerId, http};
use mayfly_contracts::CALLER_METADATA;
use tonic::Request;

/// A caller, as far as that is known.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Caller {
    /// `None` for another part of this process that calls on its own behalf.
    id: Option<CallerId>,
    is_service: bool,
}

impl Caller {
    /// The caller that the listener identified. A call that came over no listener is one of this process, which reports its
    /// own callers.
    pub(super) fn of<T>(request: &Request<T>) -> Self {
        if let Some(http::Caller { id, is_service }) = request.extensions().get() {
            return Self { id: Some(*id), is_service: *is_service };
        }
        let reported = request.metadata().get(CALLER_METADATA).and_then(|caller| caller.to_str().ok()?.parse().ok());
        Self { id: reported, is_service: reported.is_none() }
    }

    /// What it is counted by, whatever it is.
    pub(super) fn id(self) -> Option<CallerId> {
        self.id
    }

    /// What its rates are counted by. `None` for services, which act for many.
    pub(super) fn rate_key(self) -> Option<CallerId> {
        self.id.filter(|_| !self.is_service)
    }

    /// What its tries of passphrases are counted by.
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
    fn what_the_listener_says_counts_and_not_what_the_caller_says() {
        let mut request = Request::new(());
        request.metadata_mut().insert(CALLER_METADATA, "10.0.0.1".parse().unwrap());
        request.extensions_mut().insert(http::Caller { id: id("192.0.2.1"), is_service: false });
        assert_eq!(Caller::of(&request).rate_key(), Some(id("192.0.2.1")));
        request.extensions_mut().insert(http::Caller { id: id("192.0.2.1"), is_service: true });
        let caller = Caller::of(&request);
        assert_eq!((caller.rate_key(), caller.id()), (None, Some(id("192.0.2.1"))));
    }
}
