//! What a signal ends. Signals meet the whole process, so this test has one to itself.

#![cfg(test)]

use std::process::Command;

use mayfly_bootstrap::Lifecycle;

#[tokio::test]
async fn a_signal_ends_what_has_not_begun_to_run_yet() {
    let mut lifecycle = Lifecycle::new().unwrap();
    assert_eq!(lifecycle.unless_signalled(async { "done" }).await, Some("done"));
    let sent = Command::new("kill").args(["-TERM", &std::process::id().to_string()]).status().unwrap();
    assert!(sent.success());
    assert_eq!(lifecycle.unless_signalled(std::future::pending::<()>()).await, None);
}
