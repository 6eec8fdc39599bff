//! Signals before tasks run. A signal reaches the whole process, so this test has its own.

#![cfg(test)]

use mayfly_bootstrap::Lifecycle;
use rustix::process::{Signal, getpid, kill_process};

#[tokio::test]
async fn a_signal_aborts_the_preparation_of_a_process() {
    let mut lifecycle = Lifecycle::new().unwrap();
    assert_eq!(lifecycle.run_until_signalled(async { "done" }).await, Some("done"));
    kill_process(getpid(), Signal::TERM).unwrap();
    assert_eq!(lifecycle.run_until_signalled(std::future::pending::<()>()).await, None);
}
