//! The load generator: messages that live their whole life, from creation to the last reader who comes too late.

use std::{
    hash::{DefaultHasher, Hash as _, Hasher as _},
    io,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    time::Duration,
};

use futures_util::future::{try_join, try_join_all};
use tokio::{task::JoinSet, time::Instant};
use tokio_util::sync::CancellationToken;
use uuid::Uuid;

use crate::{
    history::{Answer, Call, History},
    target::{Opener, Question, Reply, Target},
};

/// How long one call is repeated before its message is left as it is: longer than any fault lasts.
const PATIENCE: Duration = Duration::from_secs(300);
/// Between two tries of one call.
const PAUSE: Duration = Duration::from_millis(5);
/// The reader that comes when all is over.
const LATE: u64 = 3;

/// What kind of users there are.
#[derive(Clone, Copy, Debug)]
pub struct Habits {
    /// Whether they make a key for each call that changes something, and repeat it until it is answered.
    pub have_keys: bool,
    /// How often they send a call at once, as an impatient finger or a network does.
    pub copies: u64,
    /// The length of a text, in bytes; at least its number is in it.
    pub text_bytes: usize,
    /// Whether they only create, read, guess and look up, as 4 to 4 to 1 to 1, with texts of 16 bytes to 64 KiB of all
    /// magnitudes alike: a load to measure with, rather than one to find faults with.
    pub is_mixed: bool,
}

impl Default for Habits {
    fn default() -> Self {
        Self { have_keys: true, copies: 1, text_bytes: 64, is_mixed: false }
    }
}

/// Users of a system, all of whom write down what they do.
pub struct Load<T> {
    targets: Vec<T>,
    history: History,
    habits: Habits,
    seed: u64,
    next_message: AtomicU64,
    next_target: AtomicU64,
    sent: AtomicU64,
    answered: AtomicU64,
    unanswered: AtomicU64,
}

impl<T: Target> Load<T> {
    /// Users who reach the system through all of `targets` in turn. The same seed makes the same texts and keys, so it must
    /// be another one for each run on the same system.
    pub fn new(targets: Vec<T>, history: History, habits: Habits, seed: u64) -> Arc<Self> {
        let (next_message, next_target, sent, answered, unanswered) = Default::default();
        Arc::new(Self { targets, history, habits, seed, next_message, next_target, sent, answered, unanswered })
    }

    /// Where it is written down.
    pub fn history(&self) -> &History {
        &self.history
    }

    /// How many calls had a certain answer so far.
    pub fn answered(&self) -> u64 {
        self.answered.load(Ordering::Relaxed)
    }

    /// How many tries had none so far.
    pub fn unanswered(&self) -> u64 {
        self.unanswered.load(Ordering::Relaxed)
    }

    /// How many calls are on their way now.
    pub fn on_their_way(&self) -> u64 {
        self.sent.load(Ordering::Relaxed).saturating_sub(self.answered() + self.unanswered())
    }

    /// Keeps so many messages going at a time until `stop`, then brings these to their end.
    ///
    /// # Errors
    ///
    /// When the history cannot be written.
    pub async fn run(self: Arc<Self>, workers: usize, stop: CancellationToken) -> io::Result<()> {
        let mut running = JoinSet::new();
        for _ in 0..workers {
            let (load, stop) = (Arc::clone(&self), stop.clone());
            running.spawn(async move {
                while !stop.is_cancelled() {
                    load.live().await?;
                }
                Ok(())
            });
        }
        all(running).await
    }

    /// Begins so many messages a second, however the system is doing, until `stop`; then brings them to their end.
    ///
    /// # Errors
    ///
    /// When the history cannot be written.
    pub async fn run_at(self: Arc<Self>, per_second: f64, stop: CancellationToken) -> io::Result<()> {
        let mut running = JoinSet::new();
        let mut beat = tokio::time::interval(Duration::from_secs_f64(1.0 / per_second));
        while stop.run_until_cancelled(beat.tick()).await.is_some() {
            let load = Arc::clone(&self);
            running.spawn(async move { load.live().await });
        }
        all(running).await
    }

    /// The life of one message.
    async fn live(&self) -> io::Result<()> {
        let message = self.next_message.fetch_add(1, Ordering::Relaxed);
        let Some(opener) = self.create(message).await? else { return Ok(()) };
        if self.habits.is_mixed {
            return self.live_mixed(message, &opener).await;
        }
        // Each message has two readers at once; every eighth somebody who guesses as well, every eighth somebody who looks it up, now and
        // when all is over, every eighth somebody who burns it.
        let others = async {
            match message % 8 {
                3 => self.guess(message, &opener).await,
                5 => self.look_up(message, &opener).await,
                7 => self.burn(message, &opener).await,
                _ => Ok(()),
            }
        };
        try_join(try_join(self.read(message, &opener, 1), self.read(message, &opener, 2)), others).await?;
        self.view(message, &opener, Some(LATE)).await?;
        if message % 8 >= 5 { self.look_up(message, &opener).await } else { Ok(()) }
    }

    /// A life of two calls, and of four for every fourth.
    async fn live_mixed(&self, message: u64, opener: &Opener) -> io::Result<()> {
        if message.is_multiple_of(4) {
            self.look_up(message, opener).await?;
            self.guess(message, opener).await?;
        }
        self.view(message, opener, Some(1)).await.map(drop)
    }

    async fn create(&self, message: u64) -> io::Result<Option<Opener>> {
        let request_id = self.habits.have_keys.then(|| self.key(message, 0));
        let question = Question::Create { text: self.text_of(message), request_id };
        let replies = self.insist(message, Call::Create, question, request_id.is_some()).await?;
        Ok(replies.into_iter().find_map(|reply| match reply {
            Reply::Created(opener) => Some(opener),
            _ => None,
        }))
    }

    /// Reads; once more, because nobody trusts a first time; then says that the text has arrived.
    async fn read(&self, message: u64, opener: &Opener, reader: u64) -> io::Result<()> {
        if !self.habits.have_keys {
            return self.view(message, opener, None).await.map(drop);
        }
        if self.view(message, opener, Some(reader)).await? {
            self.view(message, opener, Some(reader)).await?;
            let question = Question::Acknowledge { opener: opener.clone(), view_id: self.key(message, reader) };
            self.insist(message, Call::Acknowledge { reader }, question, true).await?;
            self.view(message, opener, Some(reader)).await?;
        }
        Ok(())
    }

    /// Whether there was a text.
    async fn view(&self, message: u64, opener: &Opener, reader: Option<u64>) -> io::Result<bool> {
        let view_id = reader.map(|reader| self.key(message, reader));
        let question = Question::View { opener: opener.clone(), view_id };
        let replies = self.insist(message, Call::View { reader }, question, reader.is_some()).await?;
        Ok(replies.iter().any(|reply| matches!(reply, Reply::Text(_))))
    }

    async fn guess(&self, message: u64, opener: &Opener) -> io::Result<()> {
        let question = Question::View { opener: opener.mistyped(), view_id: None };
        self.insist(message, Call::Guess, question, true).await.map(drop)
    }

    async fn look_up(&self, message: u64, opener: &Opener) -> io::Result<()> {
        self.insist(message, Call::Lookup, Question::Lookup { opener: opener.clone() }, true).await.map(drop)
    }

    async fn burn(&self, message: u64, opener: &Opener) -> io::Result<()> {
        self.insist(message, Call::Burn, Question::Burn { opener: opener.clone() }, true).await.map(drop)
    }

    /// Asks, in so many copies as is the users' habit, each again and again if that is allowed until its answer is certain.
    async fn insist(&self, message: u64, call: Call, question: Question, may_repeat: bool) -> io::Result<Vec<Reply>> {
        let copies = if may_repeat { 1 + message % self.habits.copies } else { 1 };
        let question = &question;
        try_join_all((0..copies).map(|_| async move {
            let end = Instant::now() + PATIENCE;
            loop {
                let reply = self.ask(message, call, question).await?;
                if reply != Reply::Unknown || !may_repeat || Instant::now() > end {
                    return Ok(reply);
                }
                tokio::time::sleep(PAUSE).await;
            }
        }))
        .await
    }

    async fn ask(&self, message: u64, call: Call, question: &Question) -> io::Result<Reply> {
        // Every try may take another way in.
        let turn = usize::try_from(self.next_target.fetch_add(1, Ordering::Relaxed)).unwrap_or_default();
        let target = turn.checked_rem(self.targets.len()).and_then(|turn| self.targets.get(turn));
        let target = target.ok_or_else(|| io::Error::other("a load needs a target"))?;
        let call_id = self.history.intend(message, call)?;
        self.sent.fetch_add(1, Ordering::Relaxed);
        let reply = target.ask(question).await;
        let answer = self.answer_of(&reply);
        self.history.answered(call_id, answer)?;
        let count = if answer == Answer::Unknown { &self.unanswered } else { &self.answered };
        count.fetch_add(1, Ordering::Relaxed);
        Ok(reply)
    }

    fn answer_of(&self, reply: &Reply) -> Answer {
        match reply {
            Reply::Created(opener) => {
                let mut hasher = DefaultHasher::new();
                opener.hash(&mut hasher);
                Answer::Created(hasher.finish())
            }
            Reply::Text(text) => {
                let number = text.split(' ').nth(1).and_then(|number| number.parse().ok());
                Answer::Text(number.filter(|number| self.text_of(*number) == *text))
            }
            Reply::Gone => Answer::Gone,
            Reply::Done => Answer::Done,
            Reply::Found(state) => Answer::Found(*state),
            Reply::Refused => Answer::Refused,
            Reply::Unknown => Answer::Unknown,
        }
    }

    /// Tells its number, and cannot be mistaken for another, whole or in part.
    fn text_of(&self, message: u64) -> String {
        let prefix = format!("{} {message} ", self.seed);
        let width = match self.habits.is_mixed {
            // From 16 bytes to 64 KiB, each twice as long as the last.
            true => (16_usize << (message % 13)).saturating_sub(prefix.len()),
            false => self.habits.text_bytes,
        };
        prefix + &".".repeat(width)
    }

    fn key(&self, message: u64, reader: u64) -> Uuid {
        Uuid::from_u64_pair(self.seed, (message << 2) | reader)
    }
}

async fn all(mut running: JoinSet<io::Result<()>>) -> io::Result<()> {
    while let Some(ended) = running.join_next().await {
        ended.map_err(io::Error::other)??;
    }
    Ok(())
}
