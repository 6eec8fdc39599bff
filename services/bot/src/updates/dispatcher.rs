//! Handles the events of many chats concurrently, and the events of one chat in order.
//!
//! The caller owns the dispatcher, and the tasks share no state. The caller limits the updates in flight, and
//! `store_client.rs` limits the concurrent calls to the store, so a chat that waits delays no other.

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

/// How many events may wait in a stuck chat. More are ignored, as in a flood, so that one unwritable chat cannot use
/// all places for updates in flight.
const MAX_QUEUED_IN_STUCK_CHAT: usize = 100;

/// Dispatches events to one task per chat.
pub(crate) struct Dispatcher {
    handlers: Arc<Handlers>,
    /// The waiting events of each chat with a running task.
    queues: HashMap<ChatId, Queue>,
    /// A chat whose event runs longer is stuck.
    stuck_after: Duration,
    /// Each task returns whether the event was handled.
    running: JoinSet<bool>,
    /// The event of each task.
    tasks: HashMap<task::Id, (ChatId, u32)>,
    flood: FloodLimiter,
    /// The updates that were postponed. They arrive again, and do not count as a flood then.
    postponed: HashSet<u32>,
    groups: Groups,
}

/// The waiting events of a chat with a running task.
struct Queue {
    /// When the running task started.
    started_at: Instant,
    jobs: VecDeque<Job>,
}

/// The groups that got a reply last. Telegram sends each picture of an album as a message of its own.
#[derive(Default)]
struct Groups(VecDeque<(ChatId, String)>);

impl Groups {
    /// How many groups are remembered.
    const KEPT: usize = 64;

    /// Returns `true` if an event of the same group arrived before. Otherwise, records the group.
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

/// What to do with an event.
enum Job {
    Handle(ChatEvent),
    /// Reply that the flood limit is exceeded.
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

/// The result for an update.
#[derive(Debug)]
pub(crate) enum Completion {
    /// The update is handled.
    Handled(u32),
    /// These updates are not handled: one, and all that wait behind it in its chat, so that their order stays the same.
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

    /// Returns `true` if no task is running.
    pub(crate) fn is_idle(&self) -> bool {
        self.running.is_empty()
    }

    /// Queues an event behind the other events of its chat. Returns the result if it is known at once.
    pub(crate) fn accept(&mut self, event: ChatEvent) -> Option<Completion> {
        if !event.is_for(self.handlers.context.bot_name.as_deref()) {
            tracing::debug!("ignored a command for another bot");
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
                .status
                .record_error("a chat that cannot be written to has more updates waiting than it may");
            return Some(Completion::Handled(event.update_id));
        }
        let received_at = Instant::now();
        let sent_at = event.age(SystemTime::now()).and_then(|age| received_at.checked_sub(age));
        let job = match self.flood.check(event.chat, Timestamps { sent_at, received_at }) {
            Verdict::Serve => Job::Handle(event),
            Verdict::SlowDown(flood) => {
                self.handlers.delivery.status.record_error(match flood {
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

    /// Queues an event that was accepted before. It is exempt from the flood limits, because all postponed events
    /// arrive at once.
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

    /// Returns the next result. Pends while no task is running. Cancel safe.
    pub(crate) async fn next_completion(&mut self) -> Completion {
        loop {
            let (task, is_handled) = match self.running.join_next_with_id().await {
                None => std::future::pending().await,
                Some(Ok(ended)) => ended,
                // `serve` catches the panics of handlers. Any other panic would repeat.
                Some(Err(died)) => {
                    tracing::error!("the task of a chat panicked");
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
            handlers.delivery.status.record_failed_update("a handler panicked");
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
