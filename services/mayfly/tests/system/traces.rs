//! Traces: what a collector receives from all roles, and what happens without it.

use std::time::{Duration, Instant};

use mayfly_bootstrap::tls::ServerTlsSettings;
use mayfly_contracts::message::CreateMessageRequest;
use mayfly_testkit::{FakeTelegram, OtlpReceiver, ReceivedSpan, TestDatabase};

use crate::harness::{Layout, Options, System, free_port, run, run_in, wait_until};

const BOT_TOKEN: &str = "1000000000:AAHtraces-traces-traces-traces-00000";
const ANN: i64 = 7;
const CREATE: &str = "mayfly.message.v1.MessageService/CreateMessage";
const VIEW: &str = "mayfly.message.v1.MessageService/ViewMessage";
const CALLER_TRACE: &str = "0123456789abcdef0123456789abcdef";
const CALLER_SPAN: &str = "0123456789abcdef";

/// Waits until a span has the name and the condition, and returns it.
async fn span_with(receiver: &OtlpReceiver, name: &str, is_so: impl Fn(&ReceivedSpan) -> bool) -> ReceivedSpan {
    let find = || receiver.spans().into_iter().find(|span| span.name == name && is_so(span));
    wait_until(&format!("{name} is exported"), async || find().is_some()).await;
    find().unwrap()
}

async fn start_with_bot(layout: Layout, telegram: &FakeTelegram, receiver: &OtlpReceiver) -> System {
    let extra_arguments = ["--otlp-endpoint", receiver.url()];
    let options = Options { telegram: Some(telegram.url()), extra_arguments: &extra_arguments, ..Options::default() };
    let system = System::start(layout, &TestDatabase::sqlite().unwrap(), options).await;
    let fields =
        ["add", "--session-name", "s", "--api-id", "1", "--api-hash", "0123456789abcdef", "--bot-token", BOT_TOKEN];
    assert_eq!(system.config(&fields).await.code, 0);
    system
}

#[tokio::test(flavor = "multi_thread")]
async fn a_chat_message_is_one_trace_from_the_update_to_the_statement() {
    let receiver = OtlpReceiver::start().await.unwrap();
    let telegram = FakeTelegram::start(BOT_TOKEN).await.unwrap();
    let mut system = start_with_bot(Layout::Three, &telegram, &receiver).await;
    telegram.user_says(ANN, "new:a text");
    let key = telegram.next_reply(ANN).await.unwrap().text;
    telegram.user_says(ANN, &key);
    telegram.next_reply(ANN).await.unwrap();
    for (operation, rpc, statement) in
        [("create_message", CREATE, "INSERT messages"), ("view_message", VIEW, "DELETE messages")]
    {
        let update =
            span_with(&receiver, "handle update", |span| span.attribute("messaging.operation.name") == operation);
        let update = update.await;
        let in_trace = |span: &ReceivedSpan| span.trace_id == update.trace_id;
        let done = span_with(&receiver, statement, in_trace).await;
        span_with(&receiver, "COMMIT", in_trace).await;
        span_with(&receiver, "SendMessage", in_trace).await;
        let server = |span: &ReceivedSpan| in_trace(span) && span.service == "mayfly-store";
        span_with(&receiver, rpc, server).await;
        let tree = receiver.tree(&update.trace_id);
        println!("{tree}");
        // The bot's call, and the store's handling of it.
        assert_eq!(receiver.path_to(&done), ["handle update", rpc, rpc, "write batch", statement], "{tree}");
        assert_eq!((done.service.as_str(), done.attribute("db.system.name")), ("mayfly-store", "sqlite"));
    }
    system.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_call_of_a_browser_is_one_trace_through_the_gateway_and_no_trace_of_its_caller() {
    let receiver = OtlpReceiver::start().await.unwrap();
    for (layout, trusted_proxies) in [(Layout::Three, "0"), (Layout::Three, "1"), (Layout::One, "0")] {
        let extra_arguments = ["--otlp-endpoint", receiver.url()];
        let proxies = [("MAYFLY_TRUSTED_PROXIES", trusted_proxies)];
        let options = Options {
            extra_arguments: &extra_arguments,
            gateway_environment: &proxies,
            store_environment: if matches!(layout, Layout::One) { &proxies } else { &[] },
            ..Options::default()
        };
        let mut system = System::start(layout, &TestDatabase::sqlite().unwrap(), options).await;
        let call = reqwest::Client::new().post(format!("{}/api/v1/create_message", system.gateway_url));
        let traceparent = format!("00-{CALLER_TRACE}-{CALLER_SPAN}-01");
        let call = call.header("traceparent", traceparent).header("tracestate", "a=b").form(&[("text", "hello")]);
        assert_eq!(call.send().await.unwrap().status(), 201);
        let name = "POST /api/v1/create_message";
        let seen: Vec<_> = receiver.spans().into_iter().map(|span| span.span_id).collect();
        let request = span_with(&receiver, name, |span| !seen.contains(&span.span_id)).await;
        let inserted = span_with(&receiver, "INSERT messages", |span| span.trace_id == request.trace_id).await;
        let calls = if matches!(layout, Layout::Three) { vec![CREATE, CREATE] } else { vec![CREATE] };
        let expected = [vec![name], calls, vec!["write batch", "INSERT messages"]].concat();
        span_with(&receiver, "write batch", |span| span.trace_id == request.trace_id).await;
        span_with(&receiver, CREATE, |span| span.parent_id == request.span_id).await;
        wait_until("the trace is whole", async || receiver.path_to(&inserted).len() == expected.len()).await;
        assert_eq!(receiver.path_to(&inserted), expected, "{}", receiver.tree(&request.trace_id));
        assert_eq!(request.attribute("http.route"), "/api/v1/create_message");
        let of_caller = (CALLER_TRACE.to_owned(), CALLER_SPAN.to_owned());
        if trusted_proxies == "1" {
            assert_eq!((request.trace_id, request.parent_id, request.links), (of_caller.0, of_caller.1, vec![]));
        } else {
            assert_ne!(request.trace_id, CALLER_TRACE);
            assert_eq!((request.parent_id.as_str(), request.links), ("", vec![of_caller]));
        }
        system.stop().await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_batch_is_one_span_with_links_to_its_requests_and_from_them() {
    let receiver = OtlpReceiver::start().await.unwrap();
    let extra_arguments = ["--otlp-endpoint", receiver.url()];
    let options = Options { extra_arguments: &extra_arguments, ..Options::default() };
    let mut system = System::start(Layout::One, &TestDatabase::sqlite().unwrap(), options).await;
    let mut client = system.messages();
    client.create_message(CreateMessageRequest::from_text("connects")).await.unwrap();
    let creations = (0..32).map(|_| {
        let mut client = client.clone();
        async move { client.create_message(CreateMessageRequest::from_text("hello")).await.unwrap() }
    });
    futures_util::future::join_all(creations).await;
    let batch = span_with(&receiver, "write batch", |span| span.links.len() > 1).await;
    assert_eq!(batch.attribute("mayfly.batch.size"), batch.links.len().to_string());
    let mut others = 0;
    for (trace, span) in &batch.links {
        let request = span_with(&receiver, CREATE, |request| request.span_id == *span).await;
        assert_eq!(request.trace_id, *trace);
        if *trace != batch.trace_id {
            assert_eq!(request.links, [(batch.trace_id.clone(), batch.span_id.clone())]);
            others += 1;
        }
    }
    assert_eq!(others, batch.links.len() - 1);
    system.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_collector_that_is_away_slows_nothing_down_and_is_reported_once() {
    const AWAY: &str = "traces cannot be exported";
    let address = format!("127.0.0.1:{}", free_port());
    let endpoint = format!("http://{address}");
    let extra_arguments = ["--otlp-endpoint", endpoint.as_str()];
    let options = Options { extra_arguments: &extra_arguments, ..Options::default() };
    let mut system = System::start(Layout::One, &TestDatabase::sqlite().unwrap(), options).await;
    let count = |system: &System, what: &str| String::from_utf8_lossy(&system.output()).matches(what).count();
    let mut client = system.messages();
    let began = Instant::now();
    // Several exports fail, and more spans are made than may wait.
    while began.elapsed() < Duration::from_secs(7) {
        for _ in 0..100 {
            client.create_message(CreateMessageRequest::from_text("hello")).await.unwrap();
        }
    }
    assert_eq!(count(&system, AWAY), 1);
    let log = String::from_utf8(system.output()).unwrap();
    let line = log.lines().find(|line| line.contains(AWAY)).unwrap();
    assert!(line.contains("the collector cannot be reached: Connection refused"), "{line}");
    assert!(!line.contains("Tonic") && !line.contains("gRPC") && !line.contains("transport"), "{line}");
    let receiver = OtlpReceiver::start_at(&address, None).await.unwrap();
    client.create_message(CreateMessageRequest::from_text("hello")).await.unwrap();
    wait_until("traces are exported again", async || count(&system, "traces are exported again") == 1).await;
    span_with(&receiver, "INSERT messages", |_| true).await;
    drop(receiver);
    client.create_message(CreateMessageRequest::from_text("hello")).await.unwrap();
    let began = Instant::now();
    system.stop().await;
    assert!(began.elapsed() < Duration::from_secs(10), "{:?}", began.elapsed());
}

#[tokio::test(flavor = "multi_thread")]
async fn traces_are_sent_over_tls_to_a_collector_of_a_trusted_authority() {
    let folder = tempfile::tempdir().unwrap();
    let file = |name: &str| folder.path().join(name).display().to_string();
    for name in ["ours", "others"] {
        assert_eq!(run(&["certs", "--dir", &file(name)]).await.code, 0);
    }
    let tls = ServerTlsSettings {
        tls_cert: Some(file("ours/store/cert.pem").into()),
        tls_key: Some(file("ours/store/key.pem").into()),
        tls_client_ca: Some(file("ours/store/ca.pem").into()),
    };
    let receiver = OtlpReceiver::start_at("127.0.0.1:0", tls.load().unwrap()).await.unwrap();
    let endpoint = receiver.url().replace("http://127.0.0.1", "https://localhost");
    for authority in ["others", "ours"] {
        let (ca, cert, key) =
            (file(&format!("{authority}/client/ca.pem")), file("ours/client/cert.pem"), file("ours/client/key.pem"));
        let client = ["--ca", &ca, "--client-cert", &cert, "--client-key", &key];
        let extra_arguments = [&["--otlp-endpoint", endpoint.as_str()], &client[..]].concat();
        let options = Options { extra_arguments: &extra_arguments, ..Options::default() };
        let mut system = System::start(Layout::One, &TestDatabase::sqlite().unwrap(), options).await;
        let mut client = system.messages();
        client.create_message(CreateMessageRequest::from_text("hello")).await.unwrap();
        if authority == "ours" {
            span_with(&receiver, "INSERT messages", |_| true).await;
        } else {
            let is_reported = async || system.processes[0].has_printed("traces cannot be exported");
            wait_until("the certificate is refused", is_reported).await;
            let output = String::from_utf8_lossy(&system.output()).into_owned();
            assert!(
                output.contains("no known authority issued the certificate") && receiver.spans().is_empty(),
                "{output}"
            );
        }
        system.stop().await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn an_endpoint_that_cannot_be_used_is_named() {
    for (endpoint, ratio) in [("http://user:password@h:4317", "1"), ("h:4317", "1"), ("http://127.0.0.1:9", "2")] {
        let started = run(&["up", "--otlp-endpoint", endpoint, "--otlp-sample-ratio", ratio]).await;
        assert!(started.code == 2 && started.err.contains("--otlp-"), "{}", started.err);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn headers_for_the_collector_that_cannot_be_sent_are_rejected_and_not_shown() {
    let folder = tempfile::tempdir().unwrap();
    let data = folder.path().join("data").display().to_string();
    for variable in ["OTEL_EXPORTER_OTLP_HEADERS", "OTEL_EXPORTER_OTLP_TRACES_HEADERS"] {
        for role in ["up", "store", "gateway", "bot"] {
            let arguments = [role, "--otlp-endpoint", "http://127.0.0.1:9"];
            let variables = [(variable, "authorization: canary"), ("MAYFLY_DATA_DIR", &data)];
            let output = run_in(&variables, &arguments).await;
            assert!(output.code == 2 && output.err.contains(variable), "{role}: {}", output.err);
            assert!(!output.err.contains("canary"), "{}", output.err);
        }
        let doctor = ["doctor", "gateway", "--otlp-endpoint", "http://127.0.0.1:9"];
        let output = run_in(&[(variable, "canary")], &doctor).await;
        assert!(output.code == 1 && output.out.contains(variable) && !output.out.contains("canary"), "{}", output.out);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn spans_are_recorded_by_the_sample_ratio_and_the_last_ones_are_sent_at_shutdown() {
    let receiver = OtlpReceiver::start().await.unwrap();
    for (ratio, is_recorded) in [("0", false), ("1", true)] {
        let extra_arguments = ["--otlp-endpoint", receiver.url(), "--otlp-sample-ratio", ratio];
        let options = Options { extra_arguments: &extra_arguments, ..Options::default() };
        let mut system = System::start(Layout::Three, &TestDatabase::sqlite().unwrap(), options).await;
        let call = reqwest::Client::new().post(format!("{}/api/v1/create_message", system.gateway_url));
        assert_eq!(call.form(&[("text", "hello")]).send().await.unwrap().status(), 201);
        system.stop().await;
        let has = |name: &str| receiver.spans().iter().any(|span| span.name == name);
        for name in ["POST /api/v1/create_message", CREATE, "INSERT messages"] {
            assert_eq!(has(name), is_recorded, "{ratio} {name}");
        }
    }
}
