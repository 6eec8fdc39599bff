//! The context of a trace in the header `traceparent` (W3C Trace Context).
//!
//! `tracestate` and `baggage` are neither read nor passed on: callers can write any text into them.

use http::{HeaderMap, HeaderName, HeaderValue};
use opentelemetry::{
    Context,
    propagation::{Extractor, TextMapPropagator as _},
    trace::{SpanContext, TraceContextExt as _},
};
use opentelemetry_sdk::propagation::TraceContextPropagator;

const TRACEPARENT: &str = "traceparent";
const HEADERS: [HeaderName; 3] =
    [HeaderName::from_static(TRACEPARENT), HeaderName::from_static("tracestate"), HeaderName::from_static("baggage")];

/// Shows `traceparent` only.
struct TraceParent<'a>(&'a HeaderMap);

impl Extractor for TraceParent<'_> {
    fn get(&self, key: &str) -> Option<&str> {
        self.0.get(TRACEPARENT).filter(|_| key == TRACEPARENT)?.to_str().ok()
    }

    fn keys(&self) -> Vec<&str> {
        vec![TRACEPARENT]
    }
}

/// Removes the headers of a request that name its trace. Returns the span that its caller reports, if traces are on.
pub(crate) fn take_parent(headers: &mut HeaderMap) -> Option<SpanContext> {
    let parent = super::is_enabled().then(|| parse(headers)).flatten();
    for name in HEADERS {
        headers.remove(name);
    }
    parent
}

fn parse(headers: &HeaderMap) -> Option<SpanContext> {
    let context = TraceContextPropagator::new().extract_with_context(&Context::new(), &TraceParent(headers));
    let span = context.span();
    Some(span.span_context().clone()).filter(SpanContext::is_valid)
}

/// Sets the header for a request that belongs to `span`.
pub(super) fn set_parent(headers: &mut HeaderMap, span: &SpanContext) {
    if !span.is_valid() {
        return;
    }
    let value = format!("00-{}-{}-{:02x}", span.trace_id(), span.span_id(), span.trace_flags().to_u8() & 1);
    if let Ok(value) = HeaderValue::try_from(value) {
        headers.insert(TRACEPARENT, value);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const PARENT: &str = "00-0123456789abcdef0123456789abcdef-0123456789abcdef-01";

    fn headers(parent: &str) -> HeaderMap {
        let value = |text: &str| HeaderValue::from_str(text).unwrap();
        let [parent_name, state, baggage] = HEADERS;
        HeaderMap::from_iter([
            (parent_name, value(parent)),
            (state, value("mayfly=a-text-of-a-caller")),
            (baggage, value("text=a-text-of-a-caller")),
        ])
    }

    #[test]
    fn a_parent_is_passed_on_without_the_texts_beside_it() {
        let parent = parse(&headers(PARENT)).unwrap();
        assert_eq!(parent.trace_state().header(), "");
        let mut passed_on = HeaderMap::new();
        set_parent(&mut passed_on, &parent);
        assert_eq!((passed_on.len(), passed_on[TRACEPARENT].to_str().unwrap()), (1, PARENT));
    }

    #[test]
    fn what_is_no_parent_is_ignored() {
        let zero = "00-00000000000000000000000000000000-0123456789abcdef-01";
        for other in ["", "a text", zero, &PARENT[..50], &PARENT.to_uppercase(), &format!("{PARENT}-0b5e")] {
            assert!(parse(&headers(other)).is_none(), "{other}");
        }
    }

    #[test]
    fn a_request_loses_the_headers_of_its_caller() {
        let mut headers = headers(PARENT);
        assert!(take_parent(&mut headers).is_none(), "traces are off");
        assert!(headers.is_empty(), "{headers:?}");
    }
}
