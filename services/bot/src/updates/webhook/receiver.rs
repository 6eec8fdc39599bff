//! Serves the updates that come through the door, for one bot.

use std::collections::{HashMap, hash_map::Entry};

use mayfly_bootstrap::Secret;
use tokio::{
    sync::{mpsc, oneshot},
    time::Instant,
};
use tokio_util::sync::CancellationToken;

use super::{
    deduplication::Recent,
    endpoint::{Delivery, Door},
    registration::Registration,
    secret,
    spooled::Leftovers,
};
use crate::{
    settings::Webhook,
    status::board::{Mode, StatusBoard},
    telegram::client::Telegram,
    timeouts::Timing,
    updates::{
        dispatcher::{Chats, Served},
        event::Incoming,
        spool::SetAside,
    },
};

/// So many updates may be in hand. Requests are held for a while only, so these are more than there are connections.
const IN_HAND: usize = 1_000;
/// So many may stand between the door and the desk.
const IN_THE_HALL: usize = 100;

/// Receives for one bot.
pub(crate) struct Reception {
    chats: Chats,
    timing: Timing,
    board: StatusBoard,
    in_hand: HashMap<u32, InHand>,
    recent: Recent,
    leftovers: Leftovers,
}

/// An update in hand.
struct InHand {
    since: Instant,
    /// Who waits for it: the request that brought it, and those that brought it again.
    waiting: Vec<oneshot::Sender<()>>,
}

impl Reception {
    pub(crate) fn new(chats: Chats, set_aside: SetAside, timing: Timing, board: StatusBoard) -> Self {
        board.set_mode(Mode::Webhook);
        let leftovers = Leftovers::new(set_aside, timing.refused_pause, board.clone());
        Self { chats, timing, board, in_hand: HashMap::new(), recent: Recent::default(), leftovers }
    }

    /// Receives until `leave` is cancelled, then finishes what is in hand. When `stop` is cancelled too the process is ending, and
    /// there is less time for that. The webhook stays set.
    pub(crate) async fn run(
        mut self,
        telegram: Telegram,
        bot_token: &Secret,
        webhook: &Webhook,
        door: &Door,
        leave: &CancellationToken,
        stop: &CancellationToken,
    ) {
        let secret = secret::derive(bot_token);
        let (deliveries, mut delivered) = mpsc::channel(IN_THE_HALL);
        // It was written before all that comes now.
        self.take_up_leftovers().await;
        // Opened first: as soon as Telegram knows the way, it comes.
        door.open(secret.clone(), deliveries);
        let registration = Registration::new(telegram, webhook, secret, self.timing.clone(), self.board.clone());
        tokio::select! {
            () = leave.cancelled() => {}
            () = registration.run() => {}
            () = self.receive(door, &mut delivered) => {}
        }
        door.close();
        drop(delivered);
        self.drain(stop).await;
        door.set_in_hand(0);
    }

    async fn receive(&mut self, door: &Door, delivered: &mut mpsc::Receiver<Delivery>) {
        loop {
            door.set_in_hand(self.brought());
            tokio::select! {
                served = self.chats.next_served() => self.finish(served),
                () = self.leftovers.are_due() => self.take_up_leftovers().await,
                delivery = delivered.recv() => match delivery {
                    Some(delivery) => self.take(delivery),
                    // Nobody else opens the door meanwhile.
                    None => return,
                }
            }
        }
    }

    /// How many of the updates in hand Telegram brought: the others are in nobody's way.
    fn brought(&self) -> usize {
        self.in_hand.len().saturating_sub(self.leftovers.in_hand())
    }

    async fn take_up_leftovers(&mut self) {
        for update in self.leftovers.take_up().await {
            let id = update.id;
            if self.recent.has(id) {
                self.leftovers.finish(id);
                continue;
            }
            // Who set it aside may have died before it was confirmed, so that Telegram brings it too.
            let Entry::Vacant(new) = self.in_hand.entry(id) else { continue };
            new.insert(InHand { since: Instant::now(), waiting: Vec::new() });
            match Incoming::of(update) {
                Some(incoming) => self.chats.accept_again(incoming),
                None => self.finish(Served::Handled(id)),
            }
        }
        self.board.set_queued_updates(self.in_hand.len());
    }

    fn take(&mut self, Delivery { update, handled }: Delivery) {
        let id = update.id;
        self.board.update_came();
        if self.recent.has(id) {
            tell(handled);
            return;
        }
        let is_full = self.brought() >= IN_HAND;
        match self.in_hand.entry(id) {
            // Requests were held for it long enough: to be held once more would keep others out.
            Entry::Occupied(known) if known.get().since.elapsed() > self.timing.webhook_hold => {}
            Entry::Occupied(mut known) => {
                let waiting = &mut known.get_mut().waiting;
                waiting.retain(|waiting| !waiting.is_closed());
                waiting.push(handled);
            }
            // Not taken: the request is told to try again.
            Entry::Vacant(_) if is_full => {}
            Entry::Vacant(new) => {
                new.insert(InHand { since: Instant::now(), waiting: vec![handled] });
                match Incoming::of(update) {
                    Some(incoming) => self.chats.accept(incoming).into_iter().for_each(|served| self.finish(served)),
                    None => {
                        tracing::debug!("left an update alone");
                        self.finish(Served::Handled(id));
                    }
                }
                self.board.set_queued_updates(self.in_hand.len());
            }
        }
    }

    fn finish(&mut self, served: Served) {
        match served {
            Served::Handled(id) => {
                self.recent.add(id);
                self.leftovers.finish(id);
                self.in_hand.remove(&id).into_iter().flat_map(|known| known.waiting).for_each(tell);
            }
            // Who waits for these is told to try again, by dropping what would have told them otherwise.
            Served::LeftForLater(ids) => {
                for id in ids {
                    self.in_hand.remove(&id);
                    self.leftovers.leave(id);
                }
            }
        }
        self.board.set_queued_updates(self.in_hand.len());
    }

    async fn drain(mut self, stop: &CancellationToken) {
        let limit = self.timing.drain_limit(stop);
        tokio::pin!(limit);
        while !self.chats.is_idle() {
            tokio::select! {
                served = self.chats.next_served() => self.finish(served),
                () = &mut limit => {
                    tracing::warn!("updates are left unfinished; Telegram will bring them again");
                    return;
                }
            }
        }
    }
}

/// The request may have gone away, and with it who would hear.
fn tell(handled: oneshot::Sender<()>) {
    let _ = handled.send(());
}
