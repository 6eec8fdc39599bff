//! What was asked of the system, and what it answered: one JSON object a line.

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

/// One line.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Event {
    /// Microseconds since the history began.
    pub at_us: u64,
    /// Which call; its intention and its answer have the same number.
    pub call_id: u64,
    /// What happened.
    #[serde(flatten)]
    pub kind: EventKind,
}

/// What happened. An intention without an answer counts as one that was answered with [`Outcome::Unknown`].
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum EventKind {
    /// A call is about to be sent.
    Invoked {
        /// The message that it is about, by the generator's own number.
        message: u64,
        /// What it asks.
        call: Call,
    },
    /// A call has ended.
    Completed(Outcome),
    /// Something was broken on purpose, in the words of whoever broke it.
    Fault(String),
    /// So many calls were made with something that opens no message, and each was refused.
    RejectedGuesses(u64),
}

/// What is asked.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Call {
    /// To store the message; always under the same key.
    Create,
    /// To read it, by a reader that may repeat the call, or by one that cannot.
    View {
        /// The reader's number.
        reader: Option<u64>,
    },
    /// To erase the text that the reader has.
    Acknowledge {
        /// The reader's number.
        reader: u64,
    },
    /// To erase it unread.
    Burn,
    /// To ask how it stands.
    Lookup,
    /// To read it with something that does not open it.
    Guess,
}

/// What was answered.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Outcome {
    /// The message is stored; the number stands for its id and token.
    Created(u64),
    /// The text of this message, by the generator's number; `None` when it is nobody's.
    Text(Option<u64>),
    /// There is no text any more.
    Gone,
    /// It is done.
    Done,
    /// This is how the message stands.
    Found(State),
    /// Refused for certain: nothing was changed.
    Rejected,
    /// Nobody knows: no answer, or one that says "try later".
    Unknown,
}

/// How a message stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum State {
    /// It waits for its reader.
    Unread,
    /// It was read.
    Viewed,
    /// It was erased unread.
    Burned,
    /// Its time was over before it was read.
    Expired,
}

/// A history that is being written.
pub struct History {
    file: Mutex<File>,
    began: Instant,
    next_call: AtomicU64,
}

impl History {
    /// Begins a history in a new file at `path`.
    ///
    /// # Errors
    ///
    /// When there is such a file, or it cannot be made.
    pub fn create(path: &Path) -> io::Result<Self> {
        let file = Mutex::new(File::create_new(path)?);
        Ok(Self { file, began: Instant::now(), next_call: AtomicU64::new(0) })
    }

    /// Writes an intention, before anything is sent. Answers the call's number.
    ///
    /// # Errors
    ///
    /// When it cannot be written; then nothing may be sent.
    pub fn record_invocation(&self, message: u64, call: Call) -> io::Result<u64> {
        let call_id = self.next_call.fetch_add(1, Ordering::Relaxed);
        self.write(call_id, EventKind::Invoked { message, call })?;
        Ok(call_id)
    }

    /// Writes an answer.
    ///
    /// # Errors
    ///
    /// When it cannot be written.
    pub fn record_outcome(&self, call_id: u64, outcome: Outcome) -> io::Result<()> {
        self.write(call_id, EventKind::Completed(outcome))
    }

    /// Writes that something is broken on purpose, before it is.
    ///
    /// # Errors
    ///
    /// When it cannot be written.
    pub fn record_fault(&self, fault: &str) -> io::Result<()> {
        self.write(self.next_call.fetch_add(1, Ordering::Relaxed), EventKind::Fault(fault.to_owned()))
    }

    /// Writes that so many calls with something that opens no message were refused.
    ///
    /// # Errors
    ///
    /// When it cannot be written.
    pub fn record_rejected_guesses(&self, count: u64) -> io::Result<()> {
        self.write(self.next_call.fetch_add(1, Ordering::Relaxed), EventKind::RejectedGuesses(count))
    }

    fn write(&self, call_id: u64, kind: EventKind) -> io::Result<()> {
        let at_us = u64::try_from(self.began.elapsed().as_micros()).unwrap_or(u64::MAX);
        let mut line = serde_json::to_vec(&Event { at_us, call_id, kind })?;
        line.push(b'\n');
        // Straight to the file: our own death loses no line, and the machine's is not what is tested.
        self.file.lock().unwrap_or_else(PoisonError::into_inner).write_all(&line)
    }

    /// Reads a history.
    ///
    /// # Errors
    ///
    /// When the file cannot be read, or holds something else.
    pub fn read(path: &Path) -> io::Result<Vec<Event>> {
        let lines = BufReader::new(fs::File::open(path)?).lines();
        lines.map(|line| serde_json::from_str(&line?).map_err(io::Error::from)).collect()
    }
}
