//! The webhook: Telegram sends updates to the bot instead of being polled.
//!
//! The endpoint responds with 200 only after the update is handled. After any other response, or none, Telegram
//! redelivers the update for 24 hours. So a crash loses no update in flight, and an update that cannot be handled now
//! gets 503. `endpoint` is the HTTP route and lives as long as the process. `receiver` hands its updates to the
//! dispatcher of one session. `registration` keeps the webhook set at Telegram.
//!
//! Several replicas may share one webhook: they derive the same secret from the bot token, and with the same service
//! token the effects of an update are the same in each replica, and idempotent. No replica deletes the webhook when it
//! stops, because the others need it. Telegram delivers the updates of a chat one after the other, and a replica
//! handles them in the order of their arrival. So their order is kept as long as Telegram keeps it.

mod endpoint;
mod receiver;
mod registration;
mod secret;

pub(crate) use self::{endpoint::WebhookEndpoint, receiver::UpdateReceiver};
