//! Serves many chats at once, and within one chat one message after the other.
//!
//! All bookkeeping is owned by whoever brings the updates; the tasks know nothing of each other. How much is in hand is bounded
//! there, how much asks the store at the same time is bounded in `store.rs`: a chat that only waits keeps nobody from anything.

use std::{
    collections::{HashMap, HashSet, VecDeque},
    panic::AssertUnwindSafe,
    sync::Arc,
    time::SystemTime,
};

use futures_util::FutureExt as _;
use teloxide::types::ChatId;
use tokio::{
    task::{self, JoinSet},
    time::{Duration, Instant},
};

use crate::{
    conversation::handlers::{self, Stopping, Tools, Wanted},
    settings::ConversationSettings,
    status::board::StatusBoard,
    telegram::{client::Telegram, deletions::Deletions, delivery},
    updates::{
        event::Incoming,
        flood::{Flood, FloodControl, Verdict, When},
    },
};

/// So many updates may wait in a chat that is stuck. What comes beyond is ignored, as in a flood: one chat that Telegram
/// lets nobody write to must not use up what may be in hand of all chats.
const WAITING_IN_A_STUCK_CHAT: usize = 100;

/// The chats with something to do.
pub(crate) struct Chats {
    desk: Arc<Desk>,
    /// The chats that are being served.
    waiting: HashMap<ChatId, Queue>,
    /// A chat that is served for longer with one update is stuck.
    stuck_after: Duration,
    /// Each answers whether the update is handled.
    running: JoinSet<bool>,
    /// Which update each of these is about.
    in_service: HashMap<task::Id, (ChatId, u32)>,
    flood: FloodControl,
    /// What was left for later. It comes again, and is no part of a flood then.
    left: HashSet<u32>,
    groups: Groups,
}

/// What waits in a chat that is being served, possibly nothing.
struct Queue {
    /// When the update that is being served was begun.
    begun: Instant,
    works: VecDeque<Work>,
}

/// The groups of updates that were replied to last. Each picture of an album comes as a message of its own.
#[derive(Default)]
struct Groups(VecDeque<(ChatId, String)>);

impl Groups {
    /// So many groups that arrive at the same time are told apart.
    const KEPT: usize = 64;

    /// Returns `true` if another update of the same group came before. Records the group, if not.
    fn is_known(&mut self, incoming: &Incoming) -> bool {
        let Some(group) = incoming.group.clone() else { return false };
        let group = (incoming.chat, group);
        if self.0.contains(&group) {
            return true;
        }
        if self.0.len() == Self::KEPT {
            self.0.pop_front();
        }
        self.0.push_back(group);
        false
    }
}

/// What is to be done about something that came in.
enum Work {
    Answer(Incoming),
    /// Say that it is more than the bot can read.
    SlowDown(Incoming, Flood),
}

impl Work {
    fn incoming(&self) -> &Incoming {
        match self {
            Self::Answer(incoming) | Self::SlowDown(incoming, _) => incoming,
        }
    }
}

/// What serving a message needs. Shared by all tasks.
pub(crate) struct Desk {
    pub tools: Tools,
    pub telegram: Telegram,
    pub conversation: ConversationSettings,
    pub deletions: Deletions,
    pub board: StatusBoard,
}

/// What became of an update.
#[derive(Debug)]
pub(crate) enum Served {
    /// It is done with.
    Handled(u32),
    /// It is not, and neither are those that wait behind it in its chat, so that their order is kept when all come again.
    LeftForLater(Vec<u32>),
}

impl Chats {
    pub(crate) fn new(desk: Desk, flood: FloodControl, stuck_after: Duration) -> Self {
        Self {
            desk: Arc::new(desk),
            waiting: HashMap::new(),
            stuck_after,
            running: JoinSet::new(),
            in_service: HashMap::new(),
            flood,
            left: HashSet::new(),
            groups: Groups::default(),
        }
    }

    /// Whether everything was served.
    pub(crate) fn is_idle(&self) -> bool {
        self.running.is_empty()
    }

    /// Takes a message, to be served after those that came before it in its chat. Answers what became of it, if that is
    /// clear at once.
    pub(crate) fn accept(&mut self, incoming: Incoming) -> Option<Served> {
        if !handlers::is_for_us(&self.desk.tools, &incoming.content) {
            tracing::debug!("left a command for another bot alone");
            return Some(Served::Handled(incoming.update_id));
        }
        if self.left.remove(&incoming.update_id) {
            self.accept_again(incoming);
            return None;
        }
        if self.groups.is_known(&incoming) {
            return Some(Served::Handled(incoming.update_id));
        }
        if self.is_stuck_and_full(incoming.chat) {
            self.desk.board.note_error("a chat that cannot be written to has more updates waiting than it may");
            return Some(Served::Handled(incoming.update_id));
        }
        let came = Instant::now();
        let written = incoming.age(SystemTime::now()).and_then(|age| came.checked_sub(age));
        let work = match self.flood.judge(incoming.chat, When { written, came }) {
            Verdict::Serve => Work::Answer(incoming),
            Verdict::SlowDown(flood) => {
                self.desk.board.note_error(match flood {
                    Flood::OfOne => "a chat writes faster than it may",
                    Flood::OfAll => {
                        "all chats together write more than the bot may answer: each has one message a minute"
                    }
                });
                Work::SlowDown(incoming, flood)
            }
            Verdict::Ignore => return Some(Served::Handled(incoming.update_id)),
        };
        self.queue(work);
        None
    }

    fn is_stuck_and_full(&self, chat: ChatId) -> bool {
        self.waiting.get(&chat).is_some_and(|queue| {
            queue.works.len() >= WAITING_IN_A_STUCK_CHAT && queue.begun.elapsed() > self.stuck_after
        })
    }

    /// Takes a message that was accepted before: what was not too much then is not too much now, when all that waited comes at once.
    pub(crate) fn accept_again(&mut self, incoming: Incoming) {
        self.queue(Work::Answer(incoming));
    }

    fn queue(&mut self, work: Work) {
        let chat = work.incoming().chat;
        match self.waiting.get_mut(&chat) {
            Some(queue) => queue.works.push_back(work),
            None => {
                self.waiting.insert(chat, Queue { begun: Instant::now(), works: VecDeque::new() });
                self.begin(work);
            }
        }
    }

    /// Waits until something became of an update. Never ends while nothing is running. Safe to drop and call again.
    pub(crate) async fn next_served(&mut self) -> Served {
        loop {
            let (task, is_handled) = match self.running.join_next_with_id().await {
                None => std::future::pending().await,
                Some(Ok(ended)) => ended,
                // `serve` catches panics of handlers. Whatever else this is, it would be the same again.
                Some(Err(died)) => {
                    tracing::error!("a chat's task died");
                    (died.id(), true)
                }
            };
            if let Some((chat, update_id)) = self.in_service.remove(&task) {
                return self.end(chat, update_id, is_handled);
            }
        }
    }

    fn end(&mut self, chat: ChatId, update_id: u32, is_handled: bool) -> Served {
        if !is_handled {
            let behind = self.waiting.remove(&chat).map(|queue| queue.works).unwrap_or_default();
            let ids = std::iter::once(update_id).chain(behind.iter().map(|work| work.incoming().update_id));
            let ids: Vec<_> = ids.collect();
            self.left.extend(&ids);
            return Served::LeftForLater(ids);
        }
        let next = self.waiting.get_mut(&chat).and_then(|queue| {
            queue.begun = Instant::now();
            queue.works.pop_front()
        });
        match next {
            Some(next) => self.begin(next),
            None => drop(self.waiting.remove(&chat)),
        }
        Served::Handled(update_id)
    }

    fn begin(&mut self, work: Work) {
        let served = (work.incoming().chat, work.incoming().update_id);
        let task = self.running.spawn(serve(Arc::clone(&self.desk), work));
        self.in_service.insert(task.id(), served);
    }
}

/// Handles one message and logs how it went, in one line that says nothing about who wrote what.
async fn serve(desk: Arc<Desk>, work: Work) -> bool {
    let started = Instant::now();
    let incoming = work.incoming();
    let wanted = Wanted::of(&incoming.content);
    // The state behind the handlers is the store's and Telegram's; a handler leaves nothing half-done in this process.
    let (outcome, is_handled) = match AssertUnwindSafe(answer(&desk, &work, &wanted)).catch_unwind().await {
        Ok(Ok(outcome)) => (outcome, true),
        Ok(Err(Stopping)) => ("left for later", false),
        Err(_) => {
            desk.board.update_failed("a handler panicked");
            let told = delivery::apologize(&desk, incoming).await;
            (if told.is_ok() { "panicked" } else { "panicked, not told" }, true)
        }
    };
    tracing::info!(intent = wanted.name(), outcome, duration_ms = started.elapsed().as_millis(), "served an update");
    is_handled
}

async fn answer(desk: &Desk, work: &Work, wanted: &Wanted<'_>) -> Result<&'static str, Stopping> {
    let answer = match work {
        Work::Answer(incoming) => {
            // The answer goes to the topic or nowhere: it is checked first that the topic is there.
            let is_for_topic = incoming.thread.is_some() && wanted.concerns_message();
            if (wanted.reads_text() || is_for_topic)
                && let Err(outcome) = delivery::until_writable(desk, incoming, wanted).await
            {
                return Ok(outcome);
            }
            handlers::handle(&desk.tools, incoming, wanted).await?
        }
        Work::SlowDown(incoming, flood) => handlers::slow_down(incoming, *flood),
    };
    delivery::deliver(desk, work.incoming(), answer).await
}
