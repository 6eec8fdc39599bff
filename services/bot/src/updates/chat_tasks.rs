//! Handles the events of many chats concurrently, and the events of one chat in order: one task for each chat.
//!
//! The dispatcher limits the updates in flight, and `store_client.rs` limits the concurrent calls to the store, so a
//! chat that waits delays no other.

use std::{
    collections::{HashMap, VecDeque},
    panic::AssertUnwindSafe,
    sync::Arc,
    time::SystemTime,
};

use futures_util::FutureExt as _;
use mayfly_bootstrap::{
    RequestId,
    trace::{Span, SpanKind, within},
};
use teloxide::types::ChatId;
use tokio::{
    task::{self, JoinSet},
    time::{Duration, Instant},
};

use crate::{
    conversation::{self, context::Context, event::ChatEvent},
    store_client::ShuttingDown,
    telegram::delivery::Delivery,
};

/// What handling an event needs. All tasks share it.
pub(crate) struct Handlers {
    pub context: Context,
    pub delivery: Delivery,
}

/// What to do with an event.
pub(super) enum Job {
    Handle(ChatEvent),
    /// Reply that the flood limit is exceeded.
    SlowDown(ChatEvent),
}

impl Job {
    fn event(&self) -> &ChatEvent {
        match self {
            Self::Handle(event) | Self::SlowDown(event) => event,
        }
    }
}

/// What became of the events of a chat.
pub(super) enum Outcome {
    /// The event of this update is handled.
    Handled(u32),
    /// The events of these updates are not handled: one, and all that wait behind it in its chat, so that their order
    /// stays the same.
    Postponed(Vec<u32>),
}

/// The tasks of all chats.
pub(super) struct ChatTasks {
    pub handlers: Arc<Handlers>,
    /// The waiting events of each chat with a running task.
    queues: HashMap<ChatId, Queue>,
    /// Each task returns whether the event was handled.
    running: JoinSet<bool>,
    /// The event of each task.
    tasks: HashMap<task::Id, (ChatId, u32)>,
}

/// The waiting events of a chat with a running task.
struct Queue {
    /// When the running task started.
    started_at: Instant,
    jobs: VecDeque<Job>,
}

impl ChatTasks {
    pub(super) fn new(handlers: Handlers) -> Self {
        let handlers = Arc::new(handlers);
        Self { handlers, queues: HashMap::new(), running: JoinSet::new(), tasks: HashMap::new() }
    }

    /// Returns `true` if no task is running.
    pub(super) fn is_idle(&self) -> bool {
        self.running.is_empty()
    }

    /// Returns the number of events that wait in a chat whose current event takes longer than `limit`.
    pub(super) fn waiting_behind_stuck(&self, chat: ChatId, limit: Duration) -> usize {
        let queue = self.queues.get(&chat).filter(|queue| queue.started_at.elapsed() > limit);
        queue.map_or(0, |queue| queue.jobs.len())
    }

    /// Queues a job behind the other jobs of its chat.
    pub(super) fn push(&mut self, job: Job) {
        let chat = job.event().chat;
        match self.queues.get_mut(&chat) {
            Some(queue) => queue.jobs.push_back(job),
            None => {
                self.queues.insert(chat, Queue { started_at: Instant::now(), jobs: VecDeque::new() });
                self.start(job);
            }
        }
    }

    /// Returns the next outcome. Pends while no task is running. Cancel safe.
    pub(super) async fn next_outcome(&mut self) -> Outcome {
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

    fn end(&mut self, chat: ChatId, update_id: u32, is_handled: bool) -> Outcome {
        if !is_handled {
            let behind = self.queues.remove(&chat).map(|queue| queue.jobs).unwrap_or_default();
            let ids = std::iter::once(update_id).chain(behind.iter().map(|job| job.event().update_id));
            return Outcome::Postponed(ids.collect());
        }
        let next = self.queues.get_mut(&chat).and_then(|queue| {
            queue.started_at = Instant::now();
            queue.jobs.pop_front()
        });
        match next {
            Some(next) => self.start(next),
            None => drop(self.queues.remove(&chat)),
        }
        Outcome::Handled(update_id)
    }

    fn start(&mut self, job: Job) {
        let served = (job.event().chat, job.event().update_id);
        let serving = RequestId::generate().scope(serve(Arc::clone(&self.handlers), job));
        let task = self.running.spawn(serving);
        self.tasks.insert(task.id(), served);
    }
}

/// Handles one event and logs the outcome in one line, which holds nothing about its sender or its content.
async fn serve(handlers: Arc<Handlers>, job: Job) -> bool {
    let started = Instant::now();
    let event = job.event();
    // All state is in the store and at Telegram, so a panic leaves nothing inconsistent in this process.
    let attributes =
        [("messaging.system", "telegram"), ("messaging.operation.name", event.name()), ("mayfly.role", "bot")];
    let span = Span::root(SpanKind::Consumer, "handle update", &attributes);
    let handling = within(span.as_ref(), handle(&handlers, &job));
    let (outcome, is_handled) = match AssertUnwindSafe(handling).catch_unwind().await {
        Ok(Ok(outcome)) => (outcome, true),
        Ok(Err(ShuttingDown)) => ("postponed", false),
        Err(_) => {
            handlers.delivery.status.record_failed_update("a handler panicked");
            let reported = handlers.delivery.report_panic(event).await;
            (if reported.is_ok() { "panicked" } else { "panicked, not reported" }, true)
        }
    };
    if is_handled {
        handlers.delivery.status.metrics().record_handled(event.age(SystemTime::now()));
    }
    let duration_ms = started.elapsed().as_millis();
    let request_id = RequestId::current().map(tracing::field::display);
    tracing::info!(request = event.name(), outcome, duration_ms, request_id, "served an update");
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
        Job::SlowDown(event) => conversation::slow_down(event),
    };
    delivery.deliver(job.event(), reply).await
}
