//! Serves many chats at once, and within one chat one message after the other.
//!
//! All bookkeeping is owned by the polling loop; the tasks know nothing of each other.

use std::{
    collections::{HashMap, VecDeque},
    panic::AssertUnwindSafe,
    sync::Arc,
};

use futures_util::FutureExt as _;
use teloxide::types::ChatId;
use tokio::{task::JoinSet, time::Instant};

use crate::{
    delivery,
    handlers::{self, Stopping, Tools},
    incoming::Incoming,
    status::StatusBoard,
    telegram::Telegram,
};

/// So many chats are served at the same time; the others wait their turn.
const CHATS_AT_ONCE: usize = 32;

/// The chats with something to do.
pub(crate) struct Chats {
    desk: Arc<Desk>,
    /// What waits in each chat. A chat that is served or waits its turn has an entry, possibly empty.
    waiting: HashMap<ChatId, VecDeque<Incoming>>,
    /// Chats that wait their turn.
    ready: VecDeque<ChatId>,
    running: JoinSet<Served>,
}

/// What serving a message needs. Shared by all tasks.
pub(crate) struct Desk {
    pub tools: Tools,
    pub telegram: Telegram,
    pub board: StatusBoard,
}

struct Served {
    chat: ChatId,
    update_id: u32,
    is_handled: bool,
}

impl Chats {
    pub(crate) fn new(desk: Desk) -> Self {
        Self { desk: Arc::new(desk), waiting: HashMap::new(), ready: VecDeque::new(), running: JoinSet::new() }
    }

    /// Whether everything was served.
    pub(crate) fn is_idle(&self) -> bool {
        self.running.is_empty() && self.ready.is_empty()
    }

    /// Takes a message, to be served when its chat's turn comes.
    pub(crate) fn accept(&mut self, incoming: Incoming) {
        let chat = incoming.chat;
        let queue = self.waiting.entry(chat).or_insert_with(|| {
            self.ready.push_back(chat);
            VecDeque::new()
        });
        queue.push_back(incoming);
        self.start_ready();
    }

    /// Waits for the next update to come to its end, and answers its id, or `None` when it was left for later. Never ends
    /// while nothing is running. Safe to drop and call again.
    pub(crate) async fn next_served(&mut self) -> Option<u32> {
        match self.running.join_next().await {
            None => std::future::pending().await,
            Some(Ok(Served { chat, update_id, is_handled })) => {
                self.give_turn(chat, is_handled);
                is_handled.then_some(update_id)
            }
            // `serve` catches panics, and nobody else ends its task.
            Some(Err(_)) => {
                tracing::error!("a chat's task died");
                None
            }
        }
    }

    /// After one message the chat queues up again behind the others.
    fn give_turn(&mut self, chat: ChatId, is_handled: bool) {
        let has_more = self.waiting.get(&chat).is_some_and(|queue| !queue.is_empty());
        if has_more && is_handled {
            self.ready.push_back(chat);
        } else {
            // What follows an unhandled message stays unhandled too, so that the order is kept when both come again.
            self.waiting.remove(&chat);
        }
        self.start_ready();
    }

    fn start_ready(&mut self) {
        while self.running.len() < CHATS_AT_ONCE {
            let Some(chat) = self.ready.pop_front() else { return };
            if let Some(incoming) = self.waiting.get_mut(&chat).and_then(VecDeque::pop_front) {
                self.running.spawn(serve(Arc::clone(&self.desk), incoming));
            }
        }
    }
}

/// Handles one message and logs how it went, in one line that says nothing about who wrote what.
async fn serve(desk: Arc<Desk>, incoming: Incoming) -> Served {
    let started = Instant::now();
    let intent = handlers::intent_name(&incoming.content);
    let Incoming { update_id, chat, .. } = incoming;
    // The state behind the handlers is the store's and Telegram's; a handler leaves nothing half-done in this process.
    let (outcome, is_handled) = match AssertUnwindSafe(answer(&desk, &incoming)).catch_unwind().await {
        Ok(Ok(outcome)) => (outcome, true),
        Ok(Err(Stopping)) => ("left for later", false),
        Err(_) => {
            desk.board.update_failed("a handler panicked");
            let told = delivery::apologize(&desk, &incoming).await;
            (if told.is_ok() { "panicked" } else { "panicked, not told" }, true)
        }
    };
    tracing::info!(intent, outcome, duration_ms = started.elapsed().as_millis(), "served an update");
    Served { chat, update_id, is_handled }
}

async fn answer(desk: &Desk, incoming: &Incoming) -> Result<&'static str, Stopping> {
    let answer = handlers::handle(&desk.tools, incoming).await?;
    Ok(delivery::deliver(desk, incoming, answer).await)
}
