//! Generates random steps.

use std::time::Duration;

use proptest::{prelude::*, sample::select};
use proptest_state_machine::ReferenceStateMachine;

use crate::{
    reference::Reference,
    steps::{Call, Caller, Creation, Method, Passphrase, Reader, RefKind, Request, Step},
};

/// Generates steps that suit the state.
pub(crate) struct Machine;

impl ReferenceStateMachine for Machine {
    type State = Reference;
    type Transition = Step;

    fn init_state() -> BoxedStrategy<Reference> {
        Just(Reference::default()).boxed()
    }

    fn transitions(reference: &Reference) -> BoxedStrategy<Step> {
        let messages = reference.messages();
        let if_messages = |weight| if messages == 0 { 0 } else { weight };
        let protected = reference.protected();
        let guess_weight = if protected.is_some() { 12 } else { 0 };
        prop_oneof![
            6 => creation().prop_map(Step::Create),
            // Calls for old messages mostly fail.
            if_messages(24) => call(0..messages.clamp(1, 4)),
            if_messages(4) => call(0..messages.max(1)),
            guess_weight => guess(protected.unwrap_or((0, Passphrase::One))),
            6 => wait(reference.deadlines()).prop_map(Step::Wait),
            3 => Just(Step::Sweep),
            1 => Just(Step::Restart),
        ]
        .boxed()
    }

    fn apply(mut reference: Reference, step: &Step) -> Reference {
        reference.respond(step);
        reference
    }

    /// When shrinking removes a creation, the calls for its message are removed too.
    fn preconditions(reference: &Reference, step: &Step) -> bool {
        match step {
            Step::Call(call) => call.message < reference.messages(),
            _ => true,
        }
    }
}

fn creation() -> impl Strategy<Value = Creation> {
    // Few requests and few texts, so that many are equal.
    let repeatable = (select(vec!["one", "two"]), select(vec![Request::One, Request::Two]))
        .prop_map(|(text, request)| (text.to_owned(), Some(request)));
    let single = "\\PC{1,20}".prop_map(|text| (text, None));
    let ttl = prop_oneof![
        2 => Just(None),
        1 => select(vec![1, 60, 3_600]).prop_map(|seconds| Some(Duration::from_secs(seconds))),
    ];
    // Stretching takes tens of milliseconds.
    let passphrase = prop_oneof![12 => Just(None), 1 => passphrase().prop_map(Some)];
    let is_sealed = prop_oneof![3 => Just(false), 1 => Just(true)];
    (prop_oneof![repeatable, single], is_sealed, passphrase, ttl).prop_map(
        |((text, request), is_sealed, passphrase, ttl)| Creation { text, is_sealed, request, passphrase, ttl },
    )
}

fn passphrase() -> impl Strategy<Value = Passphrase> {
    select(vec![Passphrase::One, Passphrase::Two])
}

fn call(messages: std::ops::Range<usize>) -> impl Strategy<Value = Step> {
    let ref_kind = prop_oneof![
        20 => Just(RefKind::Right),
        1 => Just(RefKind::MistypedToken),
        1 => Just(RefKind::OtherToken),
        1 => Just(RefKind::OtherId),
    ];
    let method = prop_oneof![
        3 => Just(Method::Lookup),
        6 => view(prop_oneof![9 => Just(None), 1 => passphrase().prop_map(Some)]),
        3 => reader().prop_map(Method::Acknowledge),
        1 => Just(Method::Burn),
    ];
    (messages, ref_kind, method).prop_map(|(message, ref_kind, method)| Step::Call(Call { message, ref_kind, method }))
}

fn view(passphrase: impl Strategy<Value = Option<Passphrase>>) -> impl Strategy<Value = Method> {
    let reader = prop_oneof![1 => Just(None), 4 => reader().prop_map(Some)];
    let caller = prop_oneof![7 => Just(Caller::A), 1 => Just(Caller::B)];
    let accepts_sealed = prop_oneof![2 => Just(true), 1 => Just(false)];
    (reader, passphrase, caller, accepts_sealed).prop_map(|(reader, passphrase, caller, accepts_sealed)| Method::View {
        reader,
        passphrase,
        caller,
        accepts_sealed,
    })
}

fn reader() -> impl Strategy<Value = Reader> {
    prop_oneof![3 => Just(Reader::A), 1 => Just(Reader::B)]
}

/// Mostly wrong, because the right passphrase ends the guessing.
fn guess((message, right): (usize, Passphrase)) -> impl Strategy<Value = Step> {
    let wrong = if right == Passphrase::One { Passphrase::Two } else { Passphrase::One };
    let passphrase = prop_oneof![15 => Just(wrong), 1 => Just(right)].prop_map(Some);
    view(passphrase).prop_map(move |method| Step::Call(Call { message, ref_kind: RefKind::Right, method }))
}

/// Advances to a time at which something ends, to the last microsecond before it, or to any time.
fn wait(deadlines: Vec<Duration>) -> impl Strategy<Value = Duration> {
    let micro = Duration::from_micros(1);
    let somewhere = (1..600_000_000_u64).prop_map(Duration::from_micros);
    let nearest = deadlines.first().copied().unwrap_or(micro);
    let any = if deadlines.is_empty() { vec![micro] } else { deadlines };
    let deadline = prop_oneof![3 => Just(nearest), 1 => select(any)];
    let before_or_at = (deadline, select(vec![micro, Duration::ZERO]))
        .prop_map(move |(deadline, early)| deadline.saturating_sub(early).max(micro));
    prop_oneof![2 => somewhere, 3 => before_or_at]
}
