//! Receives updates from the webhook endpoint for one bot.

use std::collections::{HashMap, hash_map::Entry};

use mayfly_bootstrap::Secret;
use tokio::{
    sync::{mpsc, oneshot},
    time::Instant,
};
use tokio_util::sync::CancellationToken;

use super::{
    deduplication::RecentUpdates,
    endpoint::{Delivery, WebhookEndpoint},
    registration::Registration,
    secret,
    spooled::SpooledUpdates,
};
use crate::{
    conversation::event::ChatEvent,
    settings::Webhook,
    status::tracker::{Mode, StatusTracker},
    telegram::client::Telegram,
    timeouts::Timeouts,
    updates::{
        dispatcher::{Completion, Dispatcher},
        spool::Spool,
    },
};

/// The maximum number of updates in flight. More than the connections, because requests are held only for a while.
const MAX_IN_FLIGHT: usize = 1_000;
/// The capacity of the queue between the endpoint and the receiver.
const DELIVERY_QUEUE_LEN: usize = 100;

/// Receives for one bot.
pub(crate) struct UpdateReceiver {
    dispatcher: Dispatcher,
    timeouts: Timeouts,
    status: StatusTracker,
    in_flight: HashMap<u32, InFlight>,
    recent: RecentUpdates,
    spooled: SpooledUpdates,
}

/// An update in flight.
struct InFlight {
    since: Instant,
    /// The requests that delivered the update and wait for its result.
    waiting: Vec<oneshot::Sender<()>>,
}

impl UpdateReceiver {
    pub(crate) fn new(dispatcher: Dispatcher, spool: Spool, timeouts: Timeouts, status: StatusTracker) -> Self {
        status.set_mode(Mode::Webhook);
        let spooled = SpooledUpdates::new(spool, timeouts.rejected_retry_interval, status.clone());
        Self { dispatcher, timeouts, status, in_flight: HashMap::new(), recent: RecentUpdates::default(), spooled }
    }

    /// Receives until `session_stop` is cancelled, then drains. If `stop` is cancelled too, the process shuts down and
    /// draining has less time. The webhook stays set.
    pub(crate) async fn run(
        mut self,
        telegram: Telegram,
        bot_token: &Secret,
        webhook: &Webhook,
        endpoint: &WebhookEndpoint,
        session_stop: &CancellationToken,
        stop: &CancellationToken,
    ) {
        let secret = secret::derive(bot_token);
        let (deliveries, mut delivered) = mpsc::channel(DELIVERY_QUEUE_LEN);
        // These updates are older than all that arrive now.
        self.resume_spooled().await;
        // Telegram delivers as soon as the webhook is set.
        endpoint.open(secret.clone(), deliveries);
        let registration = Registration::new(telegram, webhook, secret, self.timeouts.clone(), self.status.clone());
        tokio::select! {
            () = session_stop.cancelled() => {}
            () = registration.run() => {}
            () = self.receive(endpoint, &mut delivered) => {}
        }
        endpoint.close();
        drop(delivered);
        self.drain(stop).await;
        endpoint.set_in_flight(0);
    }

    async fn receive(&mut self, endpoint: &WebhookEndpoint, delivered: &mut mpsc::Receiver<Delivery>) {
        loop {
            endpoint.set_in_flight(self.received_count());
            tokio::select! {
                completion = self.dispatcher.next_completion() => self.finish(completion),
                () = self.spooled.due() => self.resume_spooled().await,
                delivery = delivered.recv() => match delivery {
                    Some(delivery) => self.take(delivery),
                    // No other receiver opens the endpoint meanwhile.
                    None => return,
                }
            }
        }
    }

    /// Returns the number of updates in flight that Telegram delivered. The spooled ones block no request.
    fn received_count(&self) -> usize {
        self.in_flight.len().saturating_sub(self.spooled.in_flight())
    }

    async fn resume_spooled(&mut self) {
        for update in self.spooled.resume().await {
            let id = update.id;
            if self.recent.contains(id) {
                self.spooled.finish(id);
                continue;
            }
            // A process may have died after it spooled the update and before it confirmed it. Then Telegram delivers it
            // too.
            let Entry::Vacant(new) = self.in_flight.entry(id) else { continue };
            new.insert(InFlight { since: Instant::now(), waiting: Vec::new() });
            match ChatEvent::parse(update) {
                Some(event) => self.dispatcher.accept_again(event),
                None => self.finish(Completion::Handled(id)),
            }
        }
        self.status.set_queued_updates(self.in_flight.len());
    }

    fn take(&mut self, Delivery { update, handled }: Delivery) {
        let id = update.id;
        self.status.record_update();
        if self.recent.contains(id) {
            confirm(handled);
            return;
        }
        let is_full = self.received_count() >= MAX_IN_FLIGHT;
        match self.in_flight.entry(id) {
            // Requests were held for it long enough. Another one would block others.
            Entry::Occupied(known) if known.get().since.elapsed() > self.timeouts.webhook_hold_timeout => {}
            Entry::Occupied(mut known) => {
                let waiting = &mut known.get_mut().waiting;
                waiting.retain(|waiting| !waiting.is_closed());
                waiting.push(handled);
            }
            // Rejected, so that Telegram retries.
            Entry::Vacant(_) if is_full => {}
            Entry::Vacant(new) => {
                new.insert(InFlight { since: Instant::now(), waiting: vec![handled] });
                match ChatEvent::parse(update) {
                    Some(event) => {
                        self.dispatcher.accept(event).into_iter().for_each(|completion| self.finish(completion))
                    }
                    None => {
                        tracing::debug!("ignored an update");
                        self.finish(Completion::Handled(id));
                    }
                }
                self.status.set_queued_updates(self.in_flight.len());
            }
        }
    }

    fn finish(&mut self, completion: Completion) {
        match completion {
            Completion::Handled(id) => {
                self.recent.add(id);
                self.spooled.finish(id);
                self.in_flight.remove(&id).into_iter().flat_map(|known| known.waiting).for_each(confirm);
            }
            // Dropping the senders makes the waiting requests respond with a retry.
            Completion::Postponed(ids) => {
                for id in ids {
                    self.in_flight.remove(&id);
                    self.spooled.postpone(id);
                }
            }
        }
        self.status.set_queued_updates(self.in_flight.len());
    }

    async fn drain(mut self, stop: &CancellationToken) {
        let limit = self.timeouts.drain_timeout(stop);
        tokio::pin!(limit);
        while !self.dispatcher.is_idle() {
            tokio::select! {
                completion = self.dispatcher.next_completion() => self.finish(completion),
                () = &mut limit => {
                    tracing::warn!("draining timed out; Telegram will redeliver the unfinished updates");
                    return;
                }
            }
        }
    }
}

/// The request may have been cancelled.
fn confirm(handled: oneshot::Sender<()>) {
    let _ = handled.send(());
}
