//! The webhook: Telegram brings updates to us, instead of being asked for them.
//!
//! An update is answered with 200 only when it was handled. Any other answer, or none, makes Telegram bring it again, for 24
//! hours; so nothing is lost that is in hand when the process dies, and whatever cannot be handled now is answered with 503.
//! `door` is the route in front, the same for as long as the process lives; `reception` serves what comes through it, for as
//! long as one app config is in use; `registration` sees to it that Telegram knows the way. `leftovers` are what a poller set aside
//! before the bot was given a webhook.
//!
//! Several replicas may share one webhook, since they derive the same secret from the bot token, and what an update causes
//! is the same wherever and however often it is handled, as long as they share a service token. None deletes the webhook when it
//! stops: it belongs to the others, or to its successor. Telegram brings the updates of a chat one after the other, the next when the
//! last was answered with 200, and a replica keeps them in the order in which they came; so the order within a chat holds as long as
//! Telegram does that.

mod deduplication;
mod endpoint;
mod receiver;
mod registration;
mod secret;
mod spooled;

pub(crate) use self::{endpoint::WebhookEndpoint, receiver::UpdateReceiver};
