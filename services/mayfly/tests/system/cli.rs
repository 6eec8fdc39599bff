//! The client commands, their output and their exit codes.

use mayfly_contracts::message::{CreateMessageRequest, CreateMessageResponse, ViewMessageRequest};
use mayfly_testkit::{NetworkFault, TcpProxy, TestDatabase};
use sea_orm::{ConnectionTrait as _, Statement};
use serde_json::Value;

use crate::harness::{Layout, Options, System, run, run_with_stdout, wait_until};

const GONE: i32 = 3;
const REFUSED: i32 = 4;
const UNREACHABLE: i32 = 5;
const BOT_TOKEN: &str = "1000000000:AAHcanary-canary-canary-canary-0000";

async fn system() -> System {
    System::start(Layout::One, &TestDatabase::sqlite().unwrap(), Options::default()).await
}

#[tokio::test(flavor = "multi_thread")]
async fn a_message_is_stored_looked_up_and_read_once() {
    let system = system().await;
    let new = system.client(&["new", "a:b *c*"]).await;
    let message_ref = new.out.trim();
    assert_eq!((new.code, new.out.lines().count()), (0, 1), "{}", new.err);
    let lookup = system.client(&["lookup", message_ref, "--json"]).await;
    assert_eq!(serde_json::from_str::<Value>(&lookup.out).unwrap()["state"], "unread");
    let view = system.client(&["view", message_ref]).await;
    assert_eq!((view.code, view.out.as_str(), view.err.as_str()), (0, "a:b *c*", ""));
    let again = system.client(&["view", message_ref]).await;
    assert_eq!((again.code, again.out.as_str()), (GONE, ""));
    assert!(again.err.contains("was read at "), "{}", again.err);
}

#[tokio::test(flavor = "multi_thread")]
async fn text_and_message_reference_come_from_standard_input_byte_for_byte() {
    let system = system().await;
    let new = system.client_with(&["new"], " two\nlines\n").await;
    assert_eq!(new.code, 0, "{}", new.err);
    let view = system.client_with(&["view"], &new.out).await;
    assert_eq!(view.out, " two\nlines\n");
}

#[tokio::test(flavor = "multi_thread")]
async fn equivalent_encodings_of_a_passphrase_match() {
    let system = system().await;
    let file = system.data.join("passphrase");
    std::fs::write(&file, "\u{feff}cafe\u{301}\r\n").unwrap();
    let (file, composed) = (["--passphrase-file", &file.display().to_string()], ["--passphrase", "caf\u{e9}"]);
    for (written, read) in [(file, composed), (composed, file)] {
        let message_ref = system.client(&[&["new", "hello"], &written[..]].concat()).await.out;
        let view = system.client(&[&["view", message_ref.trim()], &read[..]].concat()).await;
        assert_eq!((view.code, view.out.as_str()), (0, "hello"), "{}", view.err);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_message_is_burned_unread() {
    let system = system().await;
    let message_ref = system.client(&["new", "x", "--ttl", "1h"]).await.out;
    assert_eq!(system.client(&["burn", message_ref.trim()]).await.code, 0);
    assert_eq!(system.client(&["burn", message_ref.trim()]).await.code, 0, "burning is idempotent");
    let view = system.client(&["view", message_ref.trim()]).await;
    assert_eq!(view.code, GONE);
    assert!(view.err.contains("burned unread"), "{}", view.err);
}

#[tokio::test(flavor = "multi_thread")]
async fn invalid_arguments_are_named() {
    let system = system().await;
    let message_ref = system.client(&["new", "x"]).await.out;
    let last = if message_ref.trim().ends_with('0') { "1" } else { "0" };
    let mistyped = format!("{}{last}", &message_ref.trim()[..message_ref.trim().len() - 1]);
    for (arguments, code, word) in [
        (["view", &mistyped].as_slice(), REFUSED, "mistyped"),
        (&["view", "1"], 2, "id:token"),
        (&["view", "0:00"], 2, "id:token"),
        (&["new", "x", "--ttl", "0s"], REFUSED, "ttl"),
        (&["new", "x", "--ttl", "91d"], REFUSED, "ttl"),
        (&["new", "x", "--ttl", "soon"], 2, "--ttl"),
        (&["new", ""], REFUSED, "text"),
        (&["new", &"x".repeat(65_537)], REFUSED, "text"),
    ] {
        let output = system.client(arguments).await;
        assert_eq!((output.code, output.out.as_str()), (code, ""), "{}", output.err);
        assert!(output.err.contains(word), "{word}: {}", output.err);
    }
    assert_eq!(system.client(&["view", message_ref.trim()]).await.out, "x", "nothing was consumed");
    let unreachable = run(&["new", "x", "--store-url", "http://127.0.0.1:9"]).await;
    assert_eq!(unreachable.code, UNREACHABLE);
    assert!(unreachable.err.contains("--store-url"), "{}", unreachable.err);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_text_beyond_the_limit_of_all_stores_is_rejected() {
    let system = system().await;
    // The largest text that fits into a call, one that does not, and one that is cut inside a character.
    for (text, message) in [
        ("x".repeat((4 << 20) - 4096), "must be at most 65536 bytes"),
        ("x".repeat(4 << 20), "longer than any store accepts"),
        ("é".repeat(5 << 20), "longer than any store accepts"),
    ] {
        let output = system.client_with(&["new"], &text).await;
        assert_eq!((output.code, output.out.as_str()), (REFUSED, ""), "{}", output.err);
        assert!(output.err.contains(message), "{}", output.err);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn app_configs_are_managed() {
    let system = system().await;
    let fields = ["--session-name", "first", "--api-id", "1234", "--api-hash", "0123456789abcdef0123456789abcdef"];
    let add = system.config(&[&["add"], &fields[..], &["--bot-token", BOT_TOKEN, "--inactive"]].concat()).await;
    assert_eq!((add.code, add.out.as_str()), (0, "1\n"), "{}", add.err);
    assert_eq!(system.config(&["show"]).await.code, GONE, "none is active");
    assert_eq!(system.config(&["activate", "1"]).await.code, 0);
    let show = system.config(&["show", "--json"]).await;
    let shown: Value = serde_json::from_str(&show.out).unwrap();
    assert_eq!((&shown["session_name"], &shown["api_id"]), (&"first".into(), &1234.into()));
    assert!(!show.out.contains("canary"), "secrets are masked");
    assert_eq!(system.config(&["update", "1", "--session-name", "second"]).await.code, 0);
    let list = system.config(&["list"]).await;
    assert!(list.out.contains("second") && !list.out.contains("canary"), "{}", list.out);
    assert_eq!(system.config(&["deactivate", "1"]).await.code, 0);
    assert_eq!(system.config(&["show"]).await.code, GONE);
    assert_eq!(system.config(&["delete", "1"]).await.code, 0);
    assert_eq!(system.config(&["show", "1"]).await.code, GONE);

    for (field, value) in [("--api-id", "0"), ("--api-hash", ""), ("--bot-token", "nonsense"), ("--session-name", "")] {
        let mut arguments = [&["add"], &fields[..], &["--bot-token", BOT_TOKEN]].concat();
        let position = arguments.iter().position(|argument| *argument == field).unwrap();
        arguments[position + 1] = value;
        let refused = system.config(&arguments).await;
        assert_eq!(refused.code, REFUSED, "{field}: {}", refused.err);
        let name = field.trim_start_matches("--").replace('-', "_");
        assert!(refused.err.contains(&name), "{}", refused.err);
    }
    assert_eq!(system.config(&["list", "--json"]).await.out, "[]\n", "nothing was added");
}

#[tokio::test(flavor = "multi_thread")]
async fn the_admin_token_is_printed_and_required() {
    let system = system().await;
    let data = system.data.display().to_string();
    let token = run(&["token", "--data-dir", &data]).await;
    assert_eq!(token.out.trim(), std::fs::read_to_string(system.data.join("admin.token")).unwrap().trim());
    let refused = system.client(&["config", "list", "--admin-token", &"x".repeat(40)]).await;
    assert_eq!(refused.code, REFUSED);
    assert!(refused.err.contains("--admin-token"), "{}", refused.err);
}

#[tokio::test(flavor = "multi_thread")]
async fn keys_are_rotated_while_the_store_runs_and_retired() {
    let system = system().await;
    let data = system.data.display().to_string();
    let keys = async |arguments: &[&str]| run(&[&["keys"], arguments, &["--data-dir", &data]].concat()).await;
    let before = system.client(&["new", "before"]).await.out;
    let first = keys(&["list", "--json"]).await.out;
    let first = serde_json::from_str::<Value>(&first).unwrap()[0]["id"].as_str().unwrap().to_owned();
    let rotate = keys(&["rotate", "--activate-in", "0s"]).await;
    assert_eq!((rotate.code, rotate.out.trim().len()), (0, 16), "{}", rotate.err);
    wait_until("the store has the new key", async || system.processes[0].has_printed("the keyring was reloaded")).await;
    let list = keys(&["list"]).await.out;
    assert!(list.lines().last().unwrap().contains(rotate.out.trim()) && list.contains("seals and opens"), "{list}");
    let after = system.client(&["new", "after"]).await.out;
    for (message_ref, text) in [(before, "before"), (after, "after")] {
        assert_eq!(system.client(&["view", message_ref.trim()]).await.out, text);
    }
    let young = keys(&["retire", &first, "--database-url", system.database.url()]).await;
    assert_eq!(young.code, REFUSED);
    assert!(young.err.contains(&first) && young.err.contains("--force"), "{}", young.err);
    let none = keys(&["retire", "--database-url", system.database.url(), "--json"]).await;
    assert_eq!(none.out, "{\"retired\":[]}\n");
    let forced = keys(&["retire", &first, "--force", "--database-url", system.database.url()]).await;
    assert_eq!(forced.code, 0, "{}", forced.err);
    assert_eq!(keys(&["retire", &first, "--database-url", system.database.url()]).await.code, GONE);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_passphrase_is_required() {
    let system = system().await;
    let message_ref = system.client(&["new", "hello", "--passphrase", "right"]).await.out;
    let (missing, wrong) = (
        system.client(&["view", message_ref.trim()]).await,
        system.client(&["view", message_ref.trim(), "--passphrase", "wrong"]).await,
    );
    assert_eq!((missing.code, wrong.code), (REFUSED, REFUSED));
    assert!(missing.err.contains("--passphrase-file") && wrong.err.contains("nothing was consumed"));
    let file = system.data.join("passphrase");
    std::fs::write(&file, "right\n").unwrap();
    let view = system.client(&["view", message_ref.trim(), "--passphrase-file", &file.display().to_string()]).await;
    assert_eq!(view.out, "hello", "{}", view.err);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_browser_encrypted_message_is_rejected_and_stays_unread() {
    let system = system().await;
    let created =
        system.messages().create_message(CreateMessageRequest::from_sealed(*b"\xff")).await.unwrap().into_inner();
    let message_ref = format!("{}:{}", created.id, created.access_token);
    let lookup = system.client(&["lookup", &message_ref]).await.out;
    assert!(lookup.contains("opens in a browser"), "{lookup}");
    let lookup: Value = serde_json::from_str(&system.client(&["lookup", &message_ref, "--json"]).await.out).unwrap();
    assert_eq!((&lookup["is_sealed"], &lookup["needs_passphrase"]), (&true.into(), &false.into()));
    let view = system.client(&["view", &message_ref]).await;
    assert_eq!((view.code, view.out.as_str()), (REFUSED, ""));
    assert!(view.err.contains("open it in a browser"), "{}", view.err);

    let CreateMessageResponse { id, access_token, .. } = created;
    let request = ViewMessageRequest { id, access_token, accepts_sealed: true, ..ViewMessageRequest::default() };
    let viewed = system.messages().view_message(request).await.unwrap().into_inner();
    assert_eq!(viewed.sealed(), Some(&b"\xff"[..]), "and nothing was consumed");
}

/// The number of messages that the store has ever created, which clients cannot see.
async fn messages_ever(system: &System) -> i64 {
    let database = system.database.connect().await.unwrap();
    let count = "SELECT (SELECT COUNT(*) FROM messages) + (SELECT COUNT(*) FROM receipts)";
    let count = Statement::from_string(database.get_database_backend(), count);
    database.query_one_raw(count).await.unwrap().unwrap().try_get_by_index(0).unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_text_that_cannot_be_printed_is_not_lost() {
    let system = system().await;
    for is_given in [true, false] {
        let message_ref = system.client(&["new", "hello"]).await.out;
        let (arguments, input) =
            if is_given { (vec!["view", message_ref.trim()], "") } else { (vec!["view"], message_ref.as_str()) };
        let arguments = [&arguments[..], &["--store-url", &system.store_url]].concat();
        let full = std::fs::OpenOptions::new().write(true).open("/dev/full").unwrap();
        let failed = run_with_stdout(&arguments, input, full.into()).await;
        assert_eq!(failed.code, 1, "{}", failed.err);
        assert_eq!(failed.err.contains(message_ref.trim()), is_given, "{}", failed.err);
        assert_eq!(system.client(&["view", message_ref.trim()]).await.code, GONE, "no other reader gets it");
        // The hint contains a command that works.
        let (_, again) = failed.err.trim().split_once(": mayfly ").expect("the error contains a command");
        let again: Vec<_> = again.split(' ').collect();
        let again = || system.client_with(&again, input);
        assert_eq!(again().await.out, "hello");
        assert_eq!(again().await.code, GONE, "an acknowledged text is erased");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn commands_retry_until_the_store_is_back() {
    let mut system = System::start(Layout::Three, &TestDatabase::sqlite().unwrap(), Options::default()).await;
    let unread = system.client(&["new", "unread"]).await;
    let unwanted = system.client(&["new", "unwanted"]).await;
    system.processes[0].terminate();
    system.processes[0].wait().await;
    let retrying = [["new", "hello"], ["lookup", unread.out.trim()], ["burn", unwanted.out.trim()]].map(|command| {
        let arguments = [&command[..], &["--retry-for", "1m", "--store-url", &system.store_url]].concat();
        let arguments: Vec<_> = arguments.into_iter().map(str::to_owned).collect();
        tokio::spawn(async move { run(&arguments.iter().map(String::as_str).collect::<Vec<_>>()).await })
    });
    // A command without retries fails, so the others have failed at least once too.
    let without_retry = system.client(&["new", "hello", "--retry-for", "0s"]).await;
    assert_eq!(without_retry.code, UNREACHABLE, "{}", without_retry.err);
    system.processes[0].restart();
    let output = futures_util::future::join_all(retrying).await.into_iter().map(Result::unwrap);
    let [new, lookup, burn] = output.collect::<Vec<_>>().try_into().unwrap_or_else(|_| panic!("three commands"));
    for output in [&new, &lookup, &burn] {
        assert_eq!(output.code, 0, "{}", output.err);
    }
    assert_eq!(system.client(&["view", new.out.trim()]).await.out, "hello");
    assert!(lookup.out.starts_with("unread since "), "{}", lookup.out);
    assert_eq!(system.client(&["view", unwanted.out.trim()]).await.code, GONE);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_lost_response_is_retried_without_a_second_effect() {
    let system = system().await;
    let proxy = TcpProxy::start(system.store_url.trim_start_matches("http://")).await.unwrap();
    let url = format!("http://{}", proxy.address());
    // Runs a command whose first response is lost although the store has executed the call.
    let run_with_lost_response = async |arguments: &[&str], is_done: &dyn Fn(i64, &str) -> bool, message_ref: &str| {
        let resets = proxy.resets();
        proxy.set_fault(NetworkFault::StallReplies);
        let calling = run(arguments);
        let losing = async {
            wait_until("the store has executed the call", async || {
                let state = if message_ref.is_empty() {
                    String::new()
                } else {
                    system.client(&["lookup", message_ref]).await.out
                };
                is_done(messages_ever(&system).await, &state)
            })
            .await;
            proxy.set_fault(NetworkFault::ResetInReply(0));
            wait_until("the response is lost", async || proxy.resets() > resets && proxy.held() == 0).await;
            proxy.set_fault(NetworkFault::None);
        };
        tokio::join!(calling, losing).0
    };
    let new = ["new", "hello", "--retry-for", "1m", "--store-url", &url];
    let new = run_with_lost_response(&new, &|messages, _| messages == 1, "").await;
    assert_eq!(new.code, 0, "{}", new.err);
    assert_eq!(messages_ever(&system).await, 1);
    let view = ["view", new.out.trim(), "--retry-for", "1m", "--store-url", &url];
    let view = run_with_lost_response(&view, &|_, state| !state.starts_with("unread"), new.out.trim()).await;
    assert_eq!((view.code, view.out.as_str()), (0, "hello"), "{}", view.err);
}
