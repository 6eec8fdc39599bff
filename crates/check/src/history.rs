//! The history of a load: one JSON object per line, for each call, outcome and fault.

use std::{
    fs::{self, File},
    io::{self, BufRead as _, BufReader, Write as _},
    path::Path,
    sync::{
        Mutex, PoisonError,
        atomic::{AtomicU64, Ordering},
    },
    time::Instant,
};

use serde::{Deserialize, Serialize};

/// One line of a history.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Event {
    /// Microseconds since the history was created.
    pub at_us: u64,
    /// The number of the call. An invocation and its outcome share it.
    pub call_id: u64,
    /// What happened.
    #[serde(flatten)]
    pub kind: EventKind,
}

/// The kind of an event. An invocation without an outcome counts as [`Outcome::Unknown`].
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum EventKind {
    /// A client is about to send a call.
    Invoked {
        /// The number of the message in this load.
        message: u64,
        /// The call.
        call: Call,
    },
    /// A call has ended.
    Completed(Outcome),
    /// The test injects a fault.
    Fault(String),
    /// The system rejected this many calls with wrong tokens or unknown ids.
    RejectedGuesses(u64),
}

/// A call to the system.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Call {
    /// Stores the message, always with the same idempotency key.
    Create,
    /// Reads the message, with an idempotency key or without one.
    View {
        /// The number of the reader; `None` if it has no idempotency key.
        reader: Option<u64>,
    },
    /// Confirms that the reader has the text.
    Acknowledge {
        /// The number of the reader.
        reader: u64,
    },
    /// Erases the message unread.
    Burn,
    /// Asks for the state of the message.
    Lookup,
    /// Tries to read the message with a wrong token.
    Guess,
}

/// The outcome of a call.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Outcome {
    /// The store holds the message. The number is a hash of its id and token.
    Created(u64),
    /// The text of the message with this number; `None` if no message has this text.
    Text(Option<u64>),
    /// The message has no text any more.
    Gone,
    /// The call succeeded.
    Done,
    /// The state of the message.
    Found(State),
    /// The system rejected the call and changed nothing.
    Rejected,
    /// The client does not know what happened: no response, or one that asks for a retry.
    Unknown,
}

/// The state of a message.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum State {
    /// No reader has the text yet.
    Unread,
    /// A reader has the text.
    Viewed,
    /// The message was erased unread.
    Burned,
    /// The message expired unread.
    Expired,
}

/// A history in a file. Recording appends to it.
pub struct History {
    file: Mutex<File>,
    began: Instant,
    next_call: AtomicU64,
}

impl History {
    /// Creates the file `path`.
    ///
    /// # Errors
    ///
    /// Returns an error if the file exists or cannot be created.
    pub fn create(path: &Path) -> io::Result<Self> {
        let file = Mutex::new(File::create_new(path)?);
        Ok(Self { file, began: Instant::now(), next_call: AtomicU64::new(0) })
    }

    /// Records a call before the client sends it. Returns the number of the call.
    ///
    /// # Errors
    ///
    /// Returns an error if the file cannot be written. The client must not send the call then.
    pub fn record_invocation(&self, message: u64, call: Call) -> io::Result<u64> {
        let call_id = self.next_call.fetch_add(1, Ordering::Relaxed);
        self.write(call_id, EventKind::Invoked { message, call })?;
        Ok(call_id)
    }

    /// Records the outcome of a call.
    ///
    /// # Errors
    ///
    /// Returns an error if the file cannot be written.
    pub fn record_outcome(&self, call_id: u64, outcome: Outcome) -> io::Result<()> {
        self.write(call_id, EventKind::Completed(outcome))
    }

    /// Records a fault before the test injects it.
    ///
    /// # Errors
    ///
    /// Returns an error if the file cannot be written.
    pub fn record_fault(&self, fault: &str) -> io::Result<()> {
        self.write(self.next_call.fetch_add(1, Ordering::Relaxed), EventKind::Fault(fault.to_owned()))
    }

    /// Records that the system rejected this many guesses.
    ///
    /// # Errors
    ///
    /// Returns an error if the file cannot be written.
    pub fn record_rejected_guesses(&self, count: u64) -> io::Result<()> {
        self.write(self.next_call.fetch_add(1, Ordering::Relaxed), EventKind::RejectedGuesses(count))
    }

    fn write(&self, call_id: u64, kind: EventKind) -> io::Result<()> {
        let at_us = u64::try_from(self.began.elapsed().as_micros()).unwrap_or(u64::MAX);
        let mut line = serde_json::to_vec(&Event { at_us, call_id, kind })?;
        line.push(b'\n');
        // Without a buffer, so that a crash of this process loses no line. A crash of the machine is not tested.
        self.file.lock().unwrap_or_else(PoisonError::into_inner).write_all(&line)
    }

    /// Reads a history.
    ///
    /// # Errors
    ///
    /// Returns an error if the file cannot be read or contains anything else.
    pub fn read(path: &Path) -> io::Result<Vec<Event>> {
        let lines = BufReader::new(fs::File::open(path)?).lines();
        lines.map(|line| serde_json::from_str(&line?).map_err(io::Error::from)).collect()
    }
}
