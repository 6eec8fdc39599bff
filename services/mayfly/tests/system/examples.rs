//! The clients in `examples/`, one for each language.

use std::{path::PathBuf, time::Duration};

use mayfly_testkit::TestDatabase;
use tokio::process::Command;

use crate::harness::{Layout, Options, System};

const TEXT: &str = "pass \"word\" % ü 😀";

/// Runs a program of the repository with the URL of a gateway and a text. It must print the text.
async fn assert_prints_text(program: &str, arguments: &[&str]) {
    let system = System::start(Layout::One, &TestDatabase::sqlite().unwrap(), Options::default()).await;
    let repository = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../..");
    let program = if program.contains('/') { repository.join(program) } else { program.into() };
    let mut command = Command::new(&program);
    command.current_dir(repository.join("examples")).args(arguments).args([&system.gateway_url, TEXT]);
    let output = tokio::time::timeout(Duration::from_secs(120), command.kill_on_drop(true).output()).await.unwrap();
    let output = output.unwrap_or_else(|error| panic!("{} is not installed: {error}", program.display()));
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    assert_eq!(String::from_utf8_lossy(&output.stdout).trim_end(), TEXT);
}

#[tokio::test]
async fn the_example_creates_and_reads_with_python() {
    assert_prints_text("python3", &["client.py"]).await;
}

#[tokio::test]
async fn the_example_creates_and_reads_with_node() {
    assert_prints_text("web/node_modules/.bin/tsx", &["client.mts"]).await;
}

#[tokio::test]
async fn the_example_creates_and_reads_with_go() {
    assert_prints_text("go", &["run", "client.go"]).await;
}

#[tokio::test]
async fn the_example_creates_and_reads_with_curl() {
    assert_prints_text("sh", &["client.sh"]).await;
}
