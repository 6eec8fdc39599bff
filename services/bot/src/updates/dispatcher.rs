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
    conversation::{
        self,
        context::Context,
        event::ChatEvent,
        flood_reply::{FloodScope, flood_reply},
    },
    store_client::ShuttingDown,
    telegram::delivery::Delivery,
    updates::flood::{FloodLimiter, Timestamps, Verdict},
};

/// So many updates may wait in a chat that is stuck. What comes beyond is ignored, as in a flood: one chat that Telegram
/// lets nobody write to must not use up what may be in hand of all chats.
const MAX_QUEUED_IN_STUCK_CHAT: usize = 100;

/// The chats with something to do.
pub(crate) struct Dispatcher {
    handlers: Arc<Handlers>,
    /// The chats that are being served.
    queues: HashMap<ChatId, Queue>,
    /// A chat that is served for longer with one update is stuck.
    stuck_after: Duration,
    /// Each answers whether the update is handled.
    running: JoinSet<bool>,
    /// Which update each of these is about.
    tasks: HashMap<task::Id, (ChatId, u32)>,
    flood: FloodLimiter,
    /// What was left for later. It comes again, and is no part of a flood then.
    postponed: HashSet<u32>,
    groups: Groups,
}

/// What waits in a chat that is being served, possibly nothing.
struct Queue {
    /// When the update that is being served was begun.
    started_at: Instant,
    jobs: VecDeque<Job>,
}

/// The groups of updates that were replied to last. Each picture of an album comes as a message of its own.
#[derive(Default)]
struct Groups(VecDeque<(ChatId, String)>);

impl Groups {
    /// So many groups that arrive at the same time are told apart.
    const KEPT: usize = 64;

    /// Returns `true` if another update of the same group came before. Records the group, if not.
    fn is_known(&mut self, event: &ChatEvent) -> bool {
        let Some(group) = event.group.clone() else { return false };
        let group = (event.chat, group);
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
enum Job {
    Handle(ChatEvent),
    /// Say that it is more than the bot can read.
    SlowDown(ChatEvent, FloodScope),
}

impl Job {
    fn event(&self) -> &ChatEvent {
        match self {
            Self::Handle(event) | Self::SlowDown(event, _) => event,
        }
    }
}

/// What handling an event needs. All tasks share it.
pub(crate) struct Handlers {
    pub context: Context,
    pub delivery: Delivery,
}

/// What became of an update.
#[derive(Debug)]
pub(crate) enum Completion {
    /// It is done with.
    Handled(u32),
    /// It is not, and neither are those that wait behind it in its chat, so that their order is kept when all come again.
    Postponed(Vec<u32>),
}

impl Dispatcher {
    pub(crate) fn new(handlers: Handlers, flood: FloodLimiter, stuck_after: Duration) -> Self {
        Self {
            handlers: Arc::new(handlers),
            queues: HashMap::new(),
            stuck_after,
            running: JoinSet::new(),
            tasks: HashMap::new(),
            flood,
            postponed: HashSet::new(),
            groups: Groups::default(),
        }
    }

    /// Whether everything was served.
    pub(crate) fn is_idle(&self) -> bool {
        self.running.is_empty()
    }

    /// Takes a message, to be served after those that came before it in its chat. Answers what became of it, if that is
    /// clear at once.
    pub(crate) fn accept(&mut self, event: ChatEvent) -> Option<Completion> {
        if !event.is_for(self.handlers.context.bot_name.as_deref()) {
            tracing::debug!("left a command for another bot alone");
            return Some(Completion::Handled(event.update_id));
        }
        if self.postponed.remove(&event.update_id) {
            self.accept_again(event);
            return None;
        }
        if self.groups.is_known(&event) {
            return Some(Completion::Handled(event.update_id));
        }
        if self.is_stuck_and_full(event.chat) {
            self.handlers
                .delivery
                .board
                .record_error("a chat that cannot be written to has more updates waiting than it may");
            return Some(Completion::Handled(event.update_id));
        }
        let received_at = Instant::now();
        let sent_at = event.age(SystemTime::now()).and_then(|age| received_at.checked_sub(age));
        let job = match self.flood.check(event.chat, Timestamps { sent_at, received_at }) {
            Verdict::Serve => Job::Handle(event),
            Verdict::SlowDown(flood) => {
                self.handlers.delivery.board.record_error(match flood {
                    FloodScope::PerChat => "a chat writes faster than it may",
                    FloodScope::Global => {
                        "all chats together write more than the bot may answer: each has one message a minute"
                    }
                });
                Job::SlowDown(event, flood)
            }
            Verdict::Ignore => return Some(Completion::Handled(event.update_id)),
        };
        self.queue(job);
        None
    }

    fn is_stuck_and_full(&self, chat: ChatId) -> bool {
        self.queues.get(&chat).is_some_and(|queue| {
            queue.jobs.len() >= MAX_QUEUED_IN_STUCK_CHAT && queue.started_at.elapsed() > self.stuck_after
        })
    }

    /// Takes a message that was accepted before: what was not too much then is not too much now, when all that waited comes at once.
    pub(crate) fn accept_again(&mut self, event: ChatEvent) {
        self.queue(Job::Handle(event));
    }

    fn queue(&mut self, job: Job) {
        let chat = job.event().chat;
        match self.queues.get_mut(&chat) {
            Some(queue) => queue.jobs.push_back(job),
            None => {
                self.queues.insert(chat, Queue { started_at: Instant::now(), jobs: VecDeque::new() });
                self.start(job);
            }
        }
    }

    /// Waits until something became of an update. Never ends while nothing is running. Safe to drop and call again.
    pub(crate) async fn next_completion(&mut self) -> Completion {
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
            if let Some((chat, update_id)) = self.tasks.remove(&task) {
                return self.end(chat, update_id, is_handled);
            }
        }
    }

    fn end(&mut self, chat: ChatId, update_id: u32, is_handled: bool) -> Completion {
        if !is_handled {
            let behind = self.queues.remove(&chat).map(|queue| queue.jobs).unwrap_or_default();
            let ids = std::iter::once(update_id).chain(behind.iter().map(|job| job.event().update_id));
            let ids: Vec<_> = ids.collect();
            self.postponed.extend(&ids);
            return Completion::Postponed(ids);
        }
        let next = self.queues.get_mut(&chat).and_then(|queue| {
            queue.started_at = Instant::now();
            queue.jobs.pop_front()
        });
        match next {
            Some(next) => self.start(next),
            None => drop(self.queues.remove(&chat)),
        }
        Completion::Handled(update_id)
    }

    fn start(&mut self, job: Job) {
        let served = (job.event().chat, job.event().update_id);
        let task = self.running.spawn(serve(Arc::clone(&self.handlers), job));
        self.tasks.insert(task.id(), served);
    }
}

/// Handles one event and logs the outcome in one line, which holds nothing about its sender or its content.
async fn serve(handlers: Arc<Handlers>, job: Job) -> bool {
    let started = Instant::now();
    let event = job.event();
    // All state is in the store and at Telegram, so a panic leaves nothing inconsistent in this process.
    let (outcome, is_handled) = match AssertUnwindSafe(handle(&handlers, &job)).catch_unwind().await {
        Ok(Ok(outcome)) => (outcome, true),
        Ok(Err(ShuttingDown)) => ("postponed", false),
        Err(_) => {
            handlers.delivery.board.record_failed_update("a handler panicked");
            let reported = handlers.delivery.report_panic(event).await;
            (if reported.is_ok() { "panicked" } else { "panicked, not reported" }, true)
        }
    };
    let duration_ms = started.elapsed().as_millis();
    tracing::info!(request = event.name(), outcome, duration_ms, "served an update");
    is_handled
}

async fn handle(handlers: &Handlers, job: &Job) -> Result<&'static str, ShuttingDown> {
    let Handlers { context, delivery } = handlers;
    let reply = match job {
        Job::Handle(event) => {
            // A reply to a topic must not go elsewhere, so check first that the topic exists.
            let is_for_topic = event.thread.is_some() && event.targets_message();
            if (event.views_text() || is_for_topic)
                && let Err(outcome) = delivery.wait_until_writable(event).await
            {
                return Ok(outcome);
            }
            conversation::handle(context, event).await?
        }
        Job::SlowDown(event, scope) => flood_reply(event, *scope),
    };
    delivery.deliver(job.event(), reply).await
}
