//! [`RateLimits`]: how often callers may create messages, and fail to identify one.

use std::{
    num::NonZeroU32,
    sync::atomic::{AtomicU32, Ordering},
    time::Duration,
};

use governor::{
    DefaultDirectRateLimiter, DefaultKeyedRateLimiter, NotUntil, Quota, RateLimiter,
    clock::{Clock as _, DefaultClock},
};
use mayfly_bootstrap::{
    CallerId,
    audit::{self, Actor},
};

use crate::{
    domain::InvalidInput,
    error::StoreError,
    metrics::{Limit, StoreMetrics},
    settings::RateSettings,
};

/// After how many checks callers within their rate are removed.
const CHECKS_BETWEEN_CLEANUPS: u32 = 4096;
/// The most callers with a rate of their own. Beyond that only the total rate applies.
const MAX_CALLERS: usize = 100_000;

/// The rates of one store.
pub(super) struct RateLimits {
    creations: RateLimit,
    failed_reads: RateLimit,
}

impl RateLimits {
    pub(super) fn new(settings: RateSettings, metrics: &StoreMetrics) -> Self {
        Self {
            creations: RateLimit::new(
                (settings.creations_per_minute, Limit::CallerCreationRate),
                (settings.total_creations_per_minute, Limit::CreationRate),
                metrics.clone(),
            ),
            failed_reads: RateLimit::new(
                (settings.failed_reads_per_minute, Limit::CallerFailedReadRate),
                (settings.total_failed_reads_per_minute, Limit::FailedReadRate),
                metrics.clone(),
            ),
        }
    }

    /// Counts a creation, or rejects it.
    ///
    /// # Errors
    ///
    /// [`StoreError::RateLimited`].
    pub(super) fn check_creation(&self, caller: Option<CallerId>) -> Result<(), StoreError> {
        self.creations.check(caller)
    }

    fn count_failure(&self, caller: Option<CallerId>, action: &'static str) -> Result<(), StoreError> {
        let counted = self.failed_reads.check(caller);
        counted.inspect_err(|_| audit::refused(action, Actor::Unknown, "too many failures"))
    }

    /// Counts a failed read: a call whose id, access token, passphrase or bearer token is wrong. Returns
    /// [`StoreError::RateLimited`] instead of its error when there were too many. Other results are returned unchanged.
    pub(super) fn limit_failed_reads<T>(
        &self,
        caller: Option<CallerId>,
        outcome: Result<T, StoreError>,
    ) -> Result<T, StoreError> {
        match outcome {
            Err(
                StoreError::MessageNotFound
                | StoreError::InvalidInput(InvalidInput::AccessToken)
                | StoreError::PassphraseWrong,
            ) => self.count_failure(caller, "message.read")?,
            Err(StoreError::CredentialsInvalid | StoreError::ApiTokenRevoked | StoreError::ApiTokenExpired) => {
                self.count_failure(caller, "authenticate")?;
            }
            Err(StoreError::PassphraseLocked { .. }) => {
                audit::refused("message.read", Actor::Unknown, "too many passphrases");
            }
            _ => {}
        }
        outcome
    }
}

/// A rate per caller and a total rate.
struct RateLimit {
    per_caller: Option<DefaultKeyedRateLimiter<CallerId>>,
    caller_limit: Limit,
    total: Option<DefaultDirectRateLimiter>,
    total_limit: Limit,
    checks: AtomicU32,
    metrics: StoreMetrics,
}

impl RateLimit {
    /// Calls per minute, where 0 means unlimited, and the limits as which refusals are counted.
    fn new(
        (per_caller, caller_limit): (u32, Limit),
        (total, total_limit): (u32, Limit),
        metrics: StoreMetrics,
    ) -> Self {
        let quota = |count| NonZeroU32::new(count).map(Quota::per_minute);
        Self {
            per_caller: quota(per_caller).map(RateLimiter::dashmap),
            caller_limit,
            total: quota(total).map(RateLimiter::direct),
            total_limit,
            checks: AtomicU32::new(0),
            metrics,
        }
    }

    /// Checks the caller's own rate first, so that a caller beyond it does not use up the total rate.
    fn check(&self, caller: Option<CallerId>) -> Result<(), StoreError> {
        if let (Some(limiter), Some(caller)) = (&self.per_caller, caller) {
            self.clean_up(limiter);
            if limiter.len() < MAX_CALLERS {
                limiter.check_key(&caller).map_err(|not_until| self.refuse(self.caller_limit, &not_until))?;
            }
        }
        self.total
            .as_ref()
            .map_or(Ok(()), |limiter| limiter.check().map_err(|not_until| self.refuse(self.total_limit, &not_until)))
    }

    fn refuse(
        &self,
        limit: Limit,
        not_until: &NotUntil<<DefaultClock as governor::clock::Clock>::Instant>,
    ) -> StoreError {
        self.metrics.refusals.inc(limit);
        limited(not_until)
    }

    fn clean_up(&self, limiter: &DefaultKeyedRateLimiter<CallerId>) {
        if self.checks.fetch_add(1, Ordering::Relaxed) % CHECKS_BETWEEN_CLEANUPS == CHECKS_BETWEEN_CLEANUPS - 1 {
            limiter.retain_recent();
            limiter.shrink_to_fit();
        }
    }
}

fn limited(not_until: &NotUntil<<DefaultClock as governor::clock::Clock>::Instant>) -> StoreError {
    // Whole seconds, because `Retry-After` has no fractions.
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
    fn there_is_a_rate_per_caller_and_a_total_rate() {
        let settings =
            RateSettings { creations_per_minute: 2, total_creations_per_minute: 4, ..RateSettings::default() };
        let limits = RateLimits::new(settings, &StoreMetrics::default());
        assert!(limits.check_creation(caller(1)).is_ok() && limits.check_creation(caller(1)).is_ok());
        let rejected = limits.check_creation(caller(1)).unwrap_err();
        let StoreError::RateLimited { retry_after } = rejected else { panic!("{rejected}") };
        assert!((1..=31).contains(&retry_after.as_secs()), "{retry_after:?}");
        assert!(limits.check_creation(caller(2)).is_ok(), "another caller");
        assert!(limits.check_creation(None).is_ok(), "a service");
        assert!(limits.check_creation(None).is_err(), "the total rate");
    }

    #[test]
    fn only_failed_reads_are_counted_and_limited() {
        let limits = RateLimits::new(
            RateSettings { failed_reads_per_minute: 1, ..RateSettings::default() },
            &StoreMetrics::default(),
        );
        let failures = [
            StoreError::MessageNotFound,
            StoreError::InvalidInput(InvalidInput::AccessToken),
            StoreError::PassphraseWrong,
            StoreError::CredentialsInvalid,
            StoreError::ApiTokenRevoked,
            StoreError::ApiTokenExpired,
        ];
        let first: Result<(), _> = limits.limit_failed_reads(caller(1), Err(StoreError::MessageNotFound));
        assert_eq!(first, Err(StoreError::MessageNotFound));
        for failure in failures {
            let rejected: Result<(), _> = limits.limit_failed_reads(caller(1), Err(failure));
            assert!(matches!(rejected, Err(StoreError::RateLimited { .. })), "{rejected:?}");
        }
        assert_eq!(limits.limit_failed_reads(caller(1), Ok("text")), Ok("text"));
        let other: Result<(), _> = limits.limit_failed_reads(caller(1), Err(StoreError::PassphraseRequired));
        assert_eq!(other, Err(StoreError::PassphraseRequired));
    }

    #[test]
    fn without_a_rate_every_creation_is_accepted() {
        let limits = RateLimits::new(RateSettings::default(), &StoreMetrics::default());
        assert!((0..10_000).all(|_| limits.check_creation(caller(1)).is_ok()));
    }

    #[test]
    fn callers_within_their_rate_are_removed() {
        let limit =
            RateLimit::new((60_000, Limit::CallerCreationRate), (0, Limit::CreationRate), StoreMetrics::default());
        for number in 0..CHECKS_BETWEEN_CLEANUPS * 4 {
            limit.check(caller(number)).unwrap();
        }
        // Each is within its rate again after a millisecond.
        let began = std::time::Instant::now();
        while limit.per_caller.as_ref().unwrap().len() > 2 {
            limit.check(caller(0)).unwrap_or_default();
            assert!(began.elapsed().as_secs() < 10, "callers are kept");
        }
    }
}
