//! Signals before tasks run. A signal reaches the whole process, so this test has its own.

#![cfg(test)]

use std::process::Command;

use mayfly_bootstrap::Lifecycle;

#[tokio::test]
async fn a_signal_aborts_the_preparation_of_a_process() {
    let mut lifecycle = Lifecycle::new().unwrap();
    assert_eq!(lifecycle.run_until_signalled(async { "done" }).await, Some("done"));
    let sent = Command::new("kill").args(["-TERM", &std::process::id().to_string()]).status().unwrap();
    assert!(sent.success());
    assert_eq!(lifecycle.run_until_signalled(std::future::pending::<()>()).await, None);
}
