//! Accepts updates, however they arrive, and handles each one once: the events of many chats concurrently, and the
//! events of one chat in order (`chat_tasks.rs`).
//!
//! Polling and the webhook hand over updates, and confirm them to Telegram by what the dispatcher reports. Until then
//! Telegram keeps them, so a crash loses none. Telegram also holds updates back while too many are in flight: polling
//! returns no new ones, and the webhook responds with 503.
//!
//! The updates in the spool (`spool.rs`) are confirmed. The dispatcher resumes them before it accepts any other.

use std::{
    collections::{BTreeMap, HashSet, VecDeque, btree_map::Entry},
    time::SystemTime,
};

use teloxide::types::ChatId;
use tokio::{
    sync::oneshot,
    time::{Instant, sleep_until},
};
use tokio_util::sync::CancellationToken;

use crate::{
    conversation::event::ChatEvent,
    metrics::{Limit, UpdateResult},
    status::{error_log::ErrorLog, tracker::StatusTracker},
    telegram::update::Update,
    timeouts::Timeouts,
    updates::{
        chat_tasks::{ChatTasks, Handlers, Job, Outcome},
        flood::{FloodLimiter, Timestamps, Verdict},
        recent::Recent,
        spool::Spool,
    },
};

/// The maximum number of updates in flight: that many, and as many in the spool.
const MAX_IN_FLIGHT: usize = 1_000;
/// How many events may wait in a stuck chat. More are ignored, as in a flood. Otherwise one chat that cannot be written
/// to would use up all updates in flight.
const MAX_QUEUED_IN_STUCK_CHAT: usize = 100;
/// How many handled updates are remembered. Telegram redelivers an update within minutes if the response with status
/// 200 was lost. Best effort: other replicas, and this process after a restart, reply twice.
const HANDLED_KEPT: usize = 10_000;
/// How many groups of events are remembered. Telegram sends each picture of an album as a message of its own.
const GROUPS_KEPT: usize = 64;

/// Dispatches the updates of one bot.
pub(crate) struct Dispatcher {
    tasks: ChatTasks,
    in_flight: BTreeMap<u32, InFlight>,
    handled: Recent<u32>,
    /// The updates that were postponed or spooled. They are resumed, and do not count as a flood then.
    postponed: HashSet<u32>,
    groups: Recent<(ChatId, String)>,
    flood: FloodLimiter,
    spool: Spool,
    /// When to read the spool. `None`: all of it is in flight.
    resume_at: Option<Instant>,
    /// The results that `next_result` has not returned yet.
    results: VecDeque<DispatchResult>,
    timeouts: Timeouts,
    status: StatusTracker,
    error_log: ErrorLog,
}

/// An update in flight.
struct InFlight {
    since: Instant,
    /// `None`: it is in the spool.
    update: Option<Update>,
    /// The requests that delivered the update and wait until it is handled.
    waiting: Vec<oneshot::Sender<()>>,
}

/// What became of an update.
#[derive(Debug)]
pub(crate) enum DispatchResult {
    /// The update is handled, or in the spool.
    Confirmable(u32),
    /// These updates are not handled. Telegram must deliver them again.
    Postponed(Vec<u32>),
}

impl Dispatcher {
    pub(crate) fn new(handlers: Handlers, spool: Spool, timeouts: Timeouts, status: StatusTracker) -> Self {
        Self {
            tasks: ChatTasks::new(handlers),
            in_flight: BTreeMap::new(),
            handled: Recent::new(HANDLED_KEPT),
            postponed: HashSet::new(),
            groups: Recent::new(GROUPS_KEPT),
            flood: FloodLimiter::new(timeouts.inbound_chat_rate),
            spool,
            // A previous process may have left some.
            resume_at: Some(Instant::now()),
            results: VecDeque::new(),
            timeouts,
            error_log: ErrorLog::new(status.clone()),
            status,
        }
    }

    /// Returns the number of updates in flight that are not in the spool.
    pub(crate) fn in_flight(&self) -> usize {
        self.in_flight.values().filter(|known| known.update.is_some()).count()
    }

    /// Accepts an update. A known one is not handled again. `waiting` is notified when the update is handled, and
    /// dropped if Telegram must deliver it again.
    pub(crate) async fn accept(&mut self, update: Update, waiting: Option<oneshot::Sender<()>>) {
        self.status.record_update();
        if self.resume_at.is_some() {
            // These updates are older.
            self.resume_spooled().await;
        }
        let id = update.id;
        if self.handled.contains(&id) {
            waiting.into_iter().for_each(notify);
            self.results.push_back(DispatchResult::Confirmable(id));
            return;
        }
        let is_full = self.in_flight() >= MAX_IN_FLIGHT;
        match self.in_flight.entry(id) {
            Entry::Occupied(mut known) => {
                let known = known.get_mut();
                // After this time, another request would only occupy a connection.
                if known.since.elapsed() <= self.timeouts.webhook_hold_timeout {
                    known.waiting.retain(|waiting| !waiting.is_closed());
                    known.waiting.extend(waiting);
                }
                if known.update.is_none() {
                    self.results.push_back(DispatchResult::Confirmable(id));
                }
            }
            Entry::Vacant(_) if is_full => {
                self.status.metrics().refusals.inc(Limit::InFlight);
                self.results.push_back(DispatchResult::Postponed(vec![id]));
            }
            Entry::Vacant(new) => {
                let event = ChatEvent::parse(&update);
                let waiting = Vec::from_iter(waiting);
                new.insert(InFlight { since: Instant::now(), update: Some(update), waiting });
                self.begin(id, event);
            }
        }
    }

    /// Returns the next result, if there is one.
    pub(crate) fn ready_result(&mut self) -> Option<DispatchResult> {
        self.results.pop_front()
    }

    /// Returns the next result. Pends while there is none. Cancel safe.
    pub(crate) async fn next_result(&mut self) -> DispatchResult {
        loop {
            if let Some(result) = self.ready_result() {
                return result;
            }
            let resume_at = self.resume_at;
            let is_due = async {
                match resume_at {
                    Some(time) => sleep_until(time).await,
                    None => std::future::pending().await,
                }
            };
            tokio::select! {
                outcome = self.tasks.next_outcome() => self.finish(outcome),
                () = is_due => self.resume_spooled().await,
            }
        }
    }

    /// Writes the updates that are in flight for long to the spool, so that they can be confirmed.
    pub(crate) async fn spool_slow_updates(&mut self) {
        let capacity = MAX_IN_FLIGHT.saturating_sub(self.in_flight.len() - self.in_flight());
        let slow = self.in_flight.values().filter(|known| known.since.elapsed() > self.timeouts.spool_after);
        let slow: Vec<_> = slow.filter_map(|known| known.update.clone()).take(capacity).collect();
        let ids: Vec<_> = slow.iter().map(|update| update.id).collect();
        if ids.is_empty() {
            return;
        }
        if let Err(error) = self.spool.put(slow).await {
            tracing::debug!(%error, "cannot spool updates");
            self.error_log.record("cannot spool slow updates: the data directory is not writable");
            return;
        }
        tracing::info!(count = ids.len(), "spooled slow updates");
        for id in ids {
            if let Some(known) = self.in_flight.get_mut(&id) {
                known.update = None;
            }
            self.results.push_back(DispatchResult::Confirmable(id));
        }
        self.report_in_flight();
    }

    /// Finishes the updates in flight, as far as the time suffices. What is postponed meanwhile is left to the next
    /// session. Returns the results.
    pub(crate) async fn drain(&mut self, stop: &CancellationToken) -> Vec<DispatchResult> {
        let limit = self.timeouts.drain_timeout(stop);
        tokio::pin!(limit);
        while !self.tasks.is_idle() {
            tokio::select! {
                outcome = self.tasks.next_outcome() => self.finish(outcome),
                () = &mut limit => {
                    tracing::warn!("draining timed out; Telegram will redeliver the unfinished updates");
                    break;
                }
            }
        }
        self.results.drain(..).collect()
    }

    /// Resumes the updates in the spool that are not in flight.
    async fn resume_spooled(&mut self) {
        let updates = match self.spool.all().await {
            Ok(updates) => updates,
            Err(error) => {
                tracing::debug!(%error, "cannot read the spooled updates");
                self.error_log.record("cannot read the spooled updates: retrying");
                self.resume_at = Some(Instant::now() + self.timeouts.rejected_retry_interval);
                return;
            }
        };
        self.resume_at = None;
        for update in updates {
            let id = update.id;
            if self.handled.contains(&id) {
                self.spool.remove(id);
            } else if let Entry::Vacant(new) = self.in_flight.entry(id) {
                new.insert(InFlight { since: Instant::now(), update: None, waiting: Vec::new() });
                self.postponed.insert(id);
                self.begin(id, ChatEvent::parse(&update));
            }
        }
    }

    fn begin(&mut self, id: u32, event: Option<ChatEvent>) {
        match event.and_then(|event| self.job(event)) {
            Some(job) => self.tasks.push(job),
            None => self.finish(Outcome::Handled(id)),
        }
        self.report_in_flight();
    }

    fn report_in_flight(&self) {
        let (all, spooled) = (self.in_flight.len(), self.in_flight.len() - self.in_flight());
        self.status.set_queued_updates(all);
        self.status.metrics().set_updates(all, spooled);
    }

    /// Returns `None` for an event that gets no reply.
    fn job(&mut self, event: ChatEvent) -> Option<Job> {
        if self.postponed.remove(&event.update_id) {
            return Some(Job::Handle(event));
        }
        if !event.is_for(self.tasks.handlers.context.bot_name.as_deref()) {
            tracing::debug!("ignored a command for another bot");
            return None;
        }
        if event.group.clone().is_some_and(|group| !self.groups.add((event.chat, group))) {
            return None;
        }
        if self.tasks.waiting_behind_stuck(event.chat, self.timeouts.flood_timeout) >= MAX_QUEUED_IN_STUCK_CHAT {
            self.status.metrics().refusals.inc(Limit::StuckChat);
            self.status.record_error("a chat that cannot be written to has more updates waiting than it may");
            return None;
        }
        let received_at = Instant::now();
        let sent_at = event.age(SystemTime::now()).and_then(|age| received_at.checked_sub(age));
        match self.flood.check(event.chat, Timestamps { sent_at, received_at }) {
            Verdict::Serve => Some(Job::Handle(event)),
            Verdict::SlowDown => {
                self.status.metrics().refusals.inc(Limit::Flood);
                self.status.record_error("a chat writes faster than it may");
                Some(Job::SlowDown(event))
            }
            Verdict::Ignore => {
                self.status.metrics().refusals.inc(Limit::Flood);
                None
            }
        }
    }

    fn finish(&mut self, outcome: Outcome) {
        match outcome {
            Outcome::Handled(id) => {
                self.status.metrics().updates.inc(UpdateResult::Handled);
                self.handled.add(id);
                if let Some(known) = self.in_flight.remove(&id) {
                    if known.update.is_none() {
                        self.spool.remove(id);
                    }
                    known.waiting.into_iter().for_each(notify);
                }
                self.results.push_back(DispatchResult::Confirmable(id));
            }
            Outcome::Postponed(ids) => {
                for id in &ids {
                    self.postponed.insert(*id);
                    // Telegram does not redeliver what is in the spool.
                    if self.in_flight.remove(id).is_some_and(|known| known.update.is_none()) {
                        self.resume_at = Some(Instant::now() + self.timeouts.rejected_retry_interval);
                    }
                }
                self.status.metrics().updates.inc_by(UpdateResult::Postponed, ids.len() as u64);
                self.results.push_back(DispatchResult::Postponed(ids));
            }
        }
        self.report_in_flight();
    }
}

/// The request may have been cancelled.
fn notify(waiting: oneshot::Sender<()>) {
    let _ = waiting.send(());
}
