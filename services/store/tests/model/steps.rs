//! The steps of a case.

use std::time::Duration;

/// A step.
#[derive(Clone, Debug)]
pub(crate) enum Step {
    Create(Creation),
    Call(Call),
    /// The clock advances.
    Wait(Duration),
    Sweep,
    /// The store ends, and another one is opened on its database.
    Restart,
}

/// A message to store.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Creation {
    pub(crate) text: String,
    /// `true` if its creator encrypted it. The model uses the same bytes.
    pub(crate) is_sealed: bool,
    pub(crate) request: Option<Request>,
    pub(crate) passphrase: Option<Passphrase>,
    /// `None`: the default.
    pub(crate) ttl: Option<Duration>,
}

/// A request id, by which a creation can be repeated.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Request {
    One,
    Two,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Passphrase {
    One,
    Two,
}

/// A call for a message.
#[derive(Clone, Debug)]
pub(crate) struct Call {
    /// Counted from the newest message, so that a case can be shortened from its beginning.
    pub(crate) message: usize,
    pub(crate) ref_kind: RefKind,
    pub(crate) method: Method,
}

/// Which id and access token a call has.
#[derive(Clone, Copy, Debug)]
pub(crate) enum RefKind {
    Right,
    MistypedToken,
    OtherToken,
    OtherId,
}

#[derive(Clone, Copy, Debug)]
pub(crate) enum Method {
    Lookup,
    View { reader: Option<Reader>, passphrase: Option<Passphrase>, caller: Caller, accepts_sealed: bool },
    Acknowledge(Reader),
    Burn,
}

/// A reader with a view id.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Reader {
    A,
    B,
}

/// A caller whose tries of passphrases are counted.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Caller {
    A,
    B,
}
