//! Retries calls to the Bot API.

use std::{
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use backon::ExponentialBuilder;
use tokio::time::{Instant, sleep};

use crate::{
    telegram::errors::TelegramError,
    timeouts::{Backoff, Timeouts},
};

/// When to retry, and when to give up. Clones share the time of the last success.
#[derive(Clone)]
pub(super) struct Retry {
    backoff: ExponentialBuilder,
    flood_timeout: Duration,
    send_timeout: Duration,
    pub last_success: LastSuccess,
}

/// When a call to the Bot API last succeeded. Clones share it.
#[derive(Clone, Default)]
pub(super) struct LastSuccess(Arc<Mutex<Option<Instant>>>);

impl LastSuccess {
    pub(super) fn record(&self) {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner) = Some(Instant::now());
    }

    pub(super) fn is_after(&self, moment: Instant) -> bool {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner) > Some(moment)
    }
}

impl Retry {
    pub(super) fn new(timeouts: &Timeouts) -> Self {
        Self {
            backoff: timeouts.telegram_backoff,
            flood_timeout: timeouts.flood_timeout,
            send_timeout: timeouts.send_timeout,
            last_success: LastSuccess::default(),
        }
    }

    /// Waits for flood control, and retries after server errors and broken connections. Retries without limit while
    /// every call fails, and within a limit while only this call fails.
    pub(super) async fn with_retry<T, Call>(&self, call: impl Fn() -> Call) -> Result<T, TelegramError>
    where
        Call: Future<Output = Result<T, TelegramError>>,
    {
        self.with_retry_within(self.flood_timeout, call).await
    }

    /// The same, with another limit for flood control.
    pub(super) async fn with_retry_within<T, Call>(
        &self,
        mut flood_timeout: Duration,
        call: impl Fn() -> Call,
    ) -> Result<T, TelegramError>
    where
        Call: Future<Output = Result<T, TelegramError>>,
    {
        let mut backoff = Backoff::new(self.backoff);
        let (mut last_failure, mut alone_since) = (None, None);
        loop {
            let pause = match call().await {
                Err(TelegramError::Flood(pause)) if pause <= flood_timeout => {
                    flood_timeout -= pause;
                    pause
                }
                Err(TelegramError::Unreachable) => {
                    let now = Instant::now();
                    let is_alone = last_failure.replace(now).is_some_and(|last| self.last_success.is_after(last));
                    alone_since = alone_since.or(Some(now)).filter(|_| is_alone);
                    if alone_since.is_some_and(|since| now - since > self.send_timeout) {
                        return Err(TelegramError::Unreachable);
                    }
                    backoff.next()
                }
                done => {
                    if done.is_ok() {
                        self.last_success.record();
                    }
                    return done;
                }
            };
            sleep(pause).await;
        }
    }
}
