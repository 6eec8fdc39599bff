//! How often callers may create messages, and fail to name one.

use std::{
    num::NonZeroU32,
    sync::atomic::{AtomicU32, Ordering},
    time::Duration,
};

use governor::{
    DefaultDirectRateLimiter, DefaultKeyedRateLimiter, NotUntil, Quota, RateLimiter,
    clock::{Clock as _, DefaultClock},
};
use mayfly_bootstrap::CallerId;

use crate::{StoreError, settings::RateSettings};

/// After so many checks, callers that are within their rate again are forgotten.
const CHECKS_BETWEEN_CLEANUPS: u32 = 4096;
/// More callers are not told apart within a minute; the rate over all still holds.
const MAX_CALLERS: usize = 100_000;

/// The rates of one store.
pub(super) struct RateLimits {
    creations: RateLimit,
    failed_reads: RateLimit,
}

impl RateLimits {
    pub(super) fn new(settings: RateSettings) -> Self {
        Self {
            creations: RateLimit::new(settings.creations_per_minute, settings.total_creations_per_minute),
            failed_reads: RateLimit::new(settings.failed_reads_per_minute, settings.total_failed_reads_per_minute),
        }
    }

    /// Counts a creation.
    ///
    /// # Errors
    ///
    /// [`StoreError::RateLimited`].
    pub(super) fn creation(&self, caller: Option<CallerId>) -> Result<(), StoreError> {
        self.creations.check(caller)
    }

    /// What a call comes to that names a message by an id, an access token and perhaps a passphrase. A failure to name
    /// one counts, and is replaced by [`StoreError::RateLimited`] when there were too many. Whatever comes of a right
    /// name passes.
    pub(super) fn named<T>(&self, caller: Option<CallerId>, outcome: Result<T, StoreError>) -> Result<T, StoreError> {
        if let Err(StoreError::MessageNotFound | StoreError::AccessTokenInvalid | StoreError::PassphraseWrong) = outcome
        {
            self.failed_reads.check(caller)?;
        }
        outcome
    }
}

/// A rate for each caller and one over all.
struct RateLimit {
    per_caller: Option<DefaultKeyedRateLimiter<CallerId>>,
    total: Option<DefaultDirectRateLimiter>,
    checks: AtomicU32,
}

impl RateLimit {
    /// So many in a minute, or any number when it is 0.
    fn new(per_caller: u32, total: u32) -> Self {
        let quota = |count| NonZeroU32::new(count).map(Quota::per_minute);
        Self {
            per_caller: quota(per_caller).map(RateLimiter::dashmap),
            total: quota(total).map(RateLimiter::direct),
            checks: AtomicU32::new(0),
        }
    }

    /// The caller's own rate comes first, so that one beyond it takes nothing from the others.
    fn check(&self, caller: Option<CallerId>) -> Result<(), StoreError> {
        if let (Some(limiter), Some(caller)) = (&self.per_caller, caller) {
            self.clean_up(limiter);
            if limiter.len() < MAX_CALLERS {
                limiter.check_key(&caller).map_err(|not_until| limited(&not_until))?;
            }
        }
        self.total.as_ref().map_or(Ok(()), |limiter| limiter.check().map_err(|not_until| limited(&not_until)))
    }

    fn clean_up(&self, limiter: &DefaultKeyedRateLimiter<CallerId>) {
        if self.checks.fetch_add(1, Ordering::Relaxed) % CHECKS_BETWEEN_CLEANUPS == CHECKS_BETWEEN_CLEANUPS - 1 {
            limiter.retain_recent();
            limiter.shrink_to_fit();
        }
    }
}

fn limited(not_until: &NotUntil<<DefaultClock as governor::clock::Clock>::Instant>) -> StoreError {
    // Whole seconds, since that is what HTTP tells.
    let wait = not_until.wait_time_from(DefaultClock::default().now());
    StoreError::RateLimited { retry_after: Duration::from_secs(wait.as_secs() + 1) }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn caller(number: u32) -> Option<CallerId> {
        Some(std::net::IpAddr::from(std::net::Ipv4Addr::from_bits(number)).into())
    }

    #[test]
    fn a_caller_has_its_rate_and_all_together_have_theirs() {
        let limits = RateLimits::new(RateSettings {
            creations_per_minute: 2,
            total_creations_per_minute: 4,
            ..RateSettings::default()
        });
        assert!(limits.creation(caller(1)).is_ok() && limits.creation(caller(1)).is_ok());
        let refused = limits.creation(caller(1)).unwrap_err();
        let StoreError::RateLimited { retry_after } = refused else { panic!("{refused}") };
        assert!((1..=31).contains(&retry_after.as_secs()), "{retry_after:?}");
        assert!(limits.creation(caller(2)).is_ok(), "another caller has its own");
        assert!(limits.creation(None).is_ok(), "a service has none");
        assert!(limits.creation(None).is_err(), "but there is one over all");
    }

    #[test]
    fn only_what_fails_to_name_a_message_is_replaced_by_the_refusal() {
        let limits = RateLimits::new(RateSettings { failed_reads_per_minute: 1, ..RateSettings::default() });
        let failures = [StoreError::MessageNotFound, StoreError::AccessTokenInvalid, StoreError::PassphraseWrong];
        let first: Result<(), _> = limits.named(caller(1), Err(StoreError::MessageNotFound));
        assert_eq!(first, Err(StoreError::MessageNotFound));
        for failure in failures {
            let refused: Result<(), _> = limits.named(caller(1), Err(failure));
            assert!(matches!(refused, Err(StoreError::RateLimited { .. })), "{refused:?}");
        }
        assert_eq!(limits.named(caller(1), Ok("text")), Ok("text"));
        let other: Result<(), _> = limits.named(caller(1), Err(StoreError::PassphraseRequired));
        assert_eq!(other, Err(StoreError::PassphraseRequired));
    }

    #[test]
    fn without_a_rate_everything_goes() {
        let limits = RateLimits::new(RateSettings::default());
        assert!((0..10_000).all(|_| limits.creation(caller(1)).is_ok()));
    }

    #[test]
    fn callers_within_their_rate_are_forgotten() {
        let limit = RateLimit::new(60_000, 0);
        for number in 0..CHECKS_BETWEEN_CLEANUPS * 4 {
            limit.check(caller(number)).unwrap();
        }
        // Each is within its rate again after a millisecond.
        let began = std::time::Instant::now();
        while limit.per_caller.as_ref().unwrap().len() > 2 {
            limit.check(caller(0)).unwrap_or_default();
            assert!(began.elapsed().as_secs() < 10, "they are kept");
        }
    }
}
