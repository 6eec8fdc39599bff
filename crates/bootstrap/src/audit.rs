//! The audit log: who changed what an administrator manages, and which credentials were refused.
//!
//! Lines have the target `mayfly::audit`, and are logged at any log level. They contain ids that the program made and
//! names of API tokens, and never a secret or a text.

use std::{
    fmt::Display,
    sync::{Mutex, PoisonError},
    time::{Duration, Instant},
};

use crate::RequestId;

/// The target of the lines.
pub(crate) const TARGET: &str = "mayfly::audit";

/// The most refusals that are logged within [`REFUSAL_INTERVAL`]. Others are counted: callers cannot fill a log.
const MAX_REFUSALS: u32 = 60;
const REFUSAL_INTERVAL: Duration = Duration::from_secs(60);

/// The kind of an actor.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Actor {
    /// A caller with an admin token.
    Admin,
    /// A caller with the service token.
    Service,
    /// A caller with an API token.
    ApiToken,
    /// A user of this machine, by a command or by changing a file.
    Operator,
    /// A caller without accepted credentials.
    Unknown,
}

impl Actor {
    fn name(self) -> &'static str {
        match self {
            Self::Admin => "admin",
            Self::Service => "service",
            Self::ApiToken => "api_token",
            Self::Operator => "operator",
            Self::Unknown => "unknown",
        }
    }
}

/// An action that has begun. Logs its outcome when it ends; without an outcome, `unknown`: its caller disconnected, and
/// it may still be carried out.
#[must_use = "the outcome is logged when this is dropped"]
#[derive(Debug)]
pub struct Attempt {
    action: &'static str,
    actor: Actor,
    object: Option<String>,
    outcome: &'static str,
}

/// Begins an action, such as `app_config.delete`. End it with [`Attempt::end`].
pub fn attempt(action: &'static str, actor: Actor) -> Attempt {
    Attempt { action, actor, object: None, outcome: "unknown" }
}

impl Attempt {
    /// Names what the action changes, by an id that the program made, or by the name of an API token.
    pub fn on(mut self, object: impl Display) -> Self {
        self.object = Some(object.to_string());
        self
    }

    /// Logs the outcome, and returns the result.
    ///
    /// # Errors
    ///
    /// The error of the result.
    pub fn end<T, E>(self, result: Result<T, E>) -> Result<T, E> {
        self.finish(result.is_ok());
        result
    }

    /// As [`end`](Self::end), for an action that makes or finds the object that it changes.
    ///
    /// # Errors
    ///
    /// The error of the result.
    pub fn end_on<T, E, O: Display>(self, result: Result<T, E>, object: impl FnOnce(&T) -> O) -> Result<T, E> {
        match &result {
            Ok(value) => self.on(object(value)).finish(true),
            Err(_) => self.finish(false),
        }
        result
    }

    /// Logs the outcome.
    pub fn finish(mut self, is_success: bool) {
        self.outcome = if is_success { "success" } else { "failure" };
    }
}

impl Drop for Attempt {
    fn drop(&mut self) {
        tracing::info!(
            target: TARGET,
            action = self.action,
            actor = self.actor.name(),
            object = self.object.as_deref(),
            outcome = self.outcome,
            request_id = RequestId::current().map(tracing::field::display),
        );
    }
}

/// Logs that `action` was refused, for a `reason` such as `unknown token`. Logs a bounded number of refusals a minute.
pub fn refused(action: &'static str, actor: Actor, reason: &'static str) {
    static REFUSALS: Mutex<Refusals> = Mutex::new(Refusals { since: None, count: 0 });
    let logged = REFUSALS.lock().unwrap_or_else(PoisonError::into_inner).count(Instant::now());
    if let Some(suppressed) = logged {
        tracing::warn!(
            target: TARGET,
            action,
            actor = actor.name(),
            outcome = "refused",
            reason,
            suppressed = Some(suppressed).filter(|count| *count > 0),
            request_id = RequestId::current().map(tracing::field::display),
        );
    }
}

/// The refusals of the current interval.
struct Refusals {
    since: Option<Instant>,
    count: u32,
}

impl Refusals {
    /// Counts a refusal. If it is to be logged, returns how many of the interval before were not.
    fn count(&mut self, now: Instant) -> Option<u32> {
        let mut suppressed = 0;
        if self.since.is_none_or(|since| now.duration_since(since) >= REFUSAL_INTERVAL) {
            suppressed = self.count.saturating_sub(MAX_REFUSALS);
            *self = Self { since: Some(now), count: 0 };
        }
        self.count = self.count.saturating_add(1);
        (self.count <= MAX_REFUSALS).then_some(suppressed)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_flood_of_refusals_is_counted_and_logged_in_part() {
        let mut refusals = Refusals { since: None, count: 0 };
        let now = Instant::now();
        let logged = (0..1000).filter_map(|_| refusals.count(now)).collect::<Vec<_>>();
        assert_eq!(logged, [0; MAX_REFUSALS as usize]);
        assert_eq!(refusals.count(now + REFUSAL_INTERVAL), Some(1000 - MAX_REFUSALS));
        assert_eq!(refusals.count(now + REFUSAL_INTERVAL), Some(0));
    }
}
