//! Serves the updates that come through the door, for one bot.

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
    status::board::{Mode, StatusTracker},
    telegram::client::Telegram,
    timeouts::Timeouts,
    updates::{
        dispatcher::{Completion, Dispatcher},
        spool::Spool,
    },
};

/// So many updates may be in hand. Requests are held for a while only, so these are more than there are connections.
const MAX_IN_FLIGHT: usize = 1_000;
/// So many may stand between the door and the desk.
const DELIVERY_QUEUE_LEN: usize = 100;

/// Receives for one bot.
pub(crate) struct UpdateReceiver {
    dispatcher: Dispatcher,
    timeouts: Timeouts,
    board: StatusTracker,
    in_flight: HashMap<u32, InFlight>,
    recent: RecentUpdates,
    spooled: SpooledUpdates,
}

/// An update in hand.
struct InFlight {
    since: Instant,
    /// Who waits for it: the request that brought it, and those that brought it again.
    waiting: Vec<oneshot::Sender<()>>,
}

impl UpdateReceiver {
    pub(crate) fn new(dispatcher: Dispatcher, spool: Spool, timeouts: Timeouts, board: StatusTracker) -> Self {
        board.set_mode(Mode::Webhook);
        let spooled = SpooledUpdates::new(spool, timeouts.rejected_retry_interval, board.clone());
        Self { dispatcher, timeouts, board, in_flight: HashMap::new(), recent: RecentUpdates::default(), spooled }
    }

    /// Receives until `session_stop` is cancelled, then finishes what is in hand. When `stop` is cancelled too the process is ending, and
    /// there is less time for that. The webhook stays set.
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
        // It was written before all that comes now.
        self.resume_spooled().await;
        // Opened first: as soon as Telegram knows the way, it comes.
        endpoint.open(secret.clone(), deliveries);
        let registration = Registration::new(telegram, webhook, secret, self.timeouts.clone(), self.board.clone());
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
                    // Nobody else opens the door meanwhile.
                    None => return,
                }
            }
        }
    }

    /// How many of the updates in hand Telegram brought: the others are in nobody's way.
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
            // Who set it aside may have died before it was confirmed, so that Telegram brings it too.
            let Entry::Vacant(new) = self.in_flight.entry(id) else { continue };
            new.insert(InFlight { since: Instant::now(), waiting: Vec::new() });
            match ChatEvent::parse(update) {
                Some(event) => self.dispatcher.accept_again(event),
                None => self.finish(Completion::Handled(id)),
            }
        }
        self.board.set_queued_updates(self.in_flight.len());
    }

    fn take(&mut self, Delivery { update, handled }: Delivery) {
        let id = update.id;
        self.board.record_update();
        if self.recent.contains(id) {
            confirm(handled);
            return;
        }
        let is_full = self.received_count() >= MAX_IN_FLIGHT;
        match self.in_flight.entry(id) {
            // Requests were held for it long enough: to be held once more would keep others out.
            Entry::Occupied(known) if known.get().since.elapsed() > self.timeouts.webhook_hold_timeout => {}
            Entry::Occupied(mut known) => {
                let waiting = &mut known.get_mut().waiting;
                waiting.retain(|waiting| !waiting.is_closed());
                waiting.push(handled);
            }
            // Not taken: the request is told to try again.
            Entry::Vacant(_) if is_full => {}
            Entry::Vacant(new) => {
                new.insert(InFlight { since: Instant::now(), waiting: vec![handled] });
                match ChatEvent::parse(update) {
                    Some(event) => {
                        self.dispatcher.accept(event).into_iter().for_each(|completion| self.finish(completion))
                    }
                    None => {
                        tracing::debug!("left an update alone");
                        self.finish(Completion::Handled(id));
                    }
                }
                self.board.set_queued_updates(self.in_flight.len());
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
            // Who waits for these is told to try again, by dropping what would have told them otherwise.
            Completion::Postponed(ids) => {
                for id in ids {
                    self.in_flight.remove(&id);
                    self.spooled.postpone(id);
                }
            }
        }
        self.board.set_queued_updates(self.in_flight.len());
    }

    async fn drain(mut self, stop: &CancellationToken) {
        let limit = self.timeouts.drain_timeout(stop);
        tokio::pin!(limit);
        while !self.dispatcher.is_idle() {
            tokio::select! {
                completion = self.dispatcher.next_completion() => self.finish(completion),
                () = &mut limit => {
                    tracing::warn!("updates are left unfinished; Telegram will bring them again");
                    return;
                }
            }
        }
    }
}

/// The request may have gone away, and with it who would hear.
fn confirm(handled: oneshot::Sender<()>) {
    let _ = handled.send(());
}
