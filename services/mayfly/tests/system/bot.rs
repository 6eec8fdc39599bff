//! The bot's status through the gateway, and its simulator.

use std::fs;

use mayfly_contracts::{
    StoreChannel,
    bot::{BotState, GetBotStatusRequest, TestAppConfigRequest, TestOutcome, WatchBotStatusRequest},
    message::{CreateMessageRequest, message_service_client::MessageServiceClient},
};
use mayfly_testkit::{FakeTelegram, TestDatabase, bearer};
use serde_json::{Value, json};

use crate::{
    chat::{BOT_TOKEN, add_config},
    harness::{Layout, Options, System},
};

async fn bot_status_is_served(layout: Layout) {
    let telegram = FakeTelegram::start(BOT_TOKEN).await.unwrap();
    let options = Options { telegram: Some(telegram.url()), ..Options::default() };
    let mut system = System::start(layout, &TestDatabase::sqlite().unwrap(), options).await;
    let admin = fs::read_to_string(system.data.join("admin.token")).unwrap();
    let admin = admin.trim();
    let mut bot = system.bot();

    let watching = bot.watch_bot_status(bearer(admin, WatchBotStatusRequest {})).await.unwrap();
    let mut statuses = watching.into_inner();
    add_config(&system, "first", BOT_TOKEN).await;
    let status = loop {
        let status = statuses.message().await.unwrap().unwrap().status.unwrap();
        if status.state() == BotState::Serving {
            break status;
        }
    };
    assert_eq!((status.user_name.as_str(), status.app_config_id), ("fake_1000000000_bot", 1));

    let tested = bot.test_app_config(bearer(admin, TestAppConfigRequest { id: 1 })).await.unwrap().into_inner();
    assert_eq!((tested.outcome(), tested.user_name.as_str()), (TestOutcome::Ok, "fake_1000000000_bot"));
    let service = fs::read_to_string(system.data.join("service.token")).unwrap();
    assert!(bot.get_bot_status(bearer(service.trim(), GetBotStatusRequest {})).await.is_err());
    drop(statuses);
    system.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_gateway_serves_the_status_of_the_bot_in_one_process() {
    bot_status_is_served(Layout::One).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_gateway_serves_the_status_of_a_bot_in_its_own_process() {
    bot_status_is_served(Layout::Three).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_bot_works_in_the_simulator_and_the_banner_has_its_url() {
    let simulated = [("MAYFLY_SIMULATOR", "true")];
    let options = Options { store_environment: &simulated, ..Options::default() };
    let mut system = System::start(Layout::One, &TestDatabase::sqlite().unwrap(), options).await;
    let address = format!("write new:hello at\n  {}/#{}\n", system.bot_url, simulator_token(&system));
    assert!(system.processes[0].has_printed(&address));
    let ask = async |text: &str| {
        let sent = simulate(&system, message(text)).await;
        sent[0]["text"].as_str().unwrap().to_owned()
    };
    let message_ref = ask("new:hello").await;
    assert_eq!(
        system.client(&["view", &message_ref]).await.out.trim_end(),
        "hello",
        "the simulator stores real messages"
    );
    let message_ref = ask("new:again").await;
    assert_eq!(ask(&message_ref).await, "again");
    assert!(ask(&message_ref).await.contains("was read on"));
    system.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_buttons_of_the_bot_work_in_the_simulator() {
    let options = Options { store_environment: &[("MAYFLY_SIMULATOR", "true")], ..Options::default() };
    let mut system = System::start(Layout::One, &TestDatabase::sqlite().unwrap(), options).await;
    let state = async |message_ref: &Value| system.client(&["lookup", message_ref.as_str().unwrap()]).await.out;

    let created = simulate(&system, message("new:to burn")).await.remove(0);
    let looked_up = press(&system, &created, "Read yet?").await;
    assert_eq!(looked_up[0]["_"], "BotCallbackAnswer");
    assert!(looked_up[0]["message"].as_str().unwrap().starts_with("Not read yet"), "{}", looked_up[0]);
    let confirmation = press(&system, &created, "Burn").await.pop().unwrap();
    assert!(state(&created["text"]).await.starts_with("unread"), "burning needs a confirmation");
    press(&system, &confirmation, "Yes, burn it unread").await;
    assert!(state(&created["text"]).await.starts_with("burned"));

    let created = simulate(&system, message("new:to share")).await.remove(0);
    let share = button(&created, "Share")["url"].as_str().unwrap().to_owned();
    let (_, link) = share.split_once("?start=").unwrap();
    let opened = simulate(&system, message(&format!("/start {link}"))).await.remove(0);
    assert!(state(&created["text"]).await.starts_with("unread"), "the message is read only when revealed: {opened}");
    let shown = press(&system, &opened, "Reveal").await;
    assert!(shown.iter().any(|sent| sent["text"] == "to share"), "{shown:?}");
    assert!(state(&created["text"]).await.starts_with("viewed"));
    system.stop().await;
}

fn simulator_token(system: &System) -> String {
    fs::read_to_string(system.data.join("simulator.token")).unwrap().trim().to_owned()
}

fn message(text: &str) -> Value {
    json!({
        "_": "Message", "message_id": 6, "date": "2021-08-01 08:23:28", "text": text,
        "from_user": { "_": "User", "id": 7, "is_bot": false }, "chat": { "_": "Chat", "id": 7, "type": "private" },
    })
}

async fn press(system: &System, under: &Value, label: &str) -> Vec<Value> {
    let data = &button(under, label)["callback_data"];
    let user = json!({ "_": "User", "id": 7, "is_bot": false });
    let query = json!({ "_": "CallbackQuery", "id": "1", "from_user": user, "message": under, "data": data });
    simulate(system, query).await
}

fn button(under: &Value, label: &str) -> Value {
    let rows = under["reply_markup"]["inline_keyboard"].as_array().unwrap_or_else(|| panic!("no buttons: {under}"));
    let mut buttons = rows.iter().flat_map(|row| row.as_array().unwrap());
    buttons.find(|button| button["text"] == label).unwrap_or_else(|| panic!("no button {label}: {under}")).clone()
}

/// Posts an object to the simulator. Returns what the bot sends.
async fn simulate(system: &System, object: Value) -> Vec<Value> {
    let request = reqwest::Client::new().post(format!("{}/simulator", system.bot_url));
    let response = request.bearer_auth(simulator_token(system)).json(&object).send().await.unwrap();
    response.json().await.unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_lifetime_beyond_the_limit_is_rejected_in_days_by_all_protocols() {
    let database = TestDatabase::sqlite().unwrap();
    let mut system = System::start(Layout::One, &database, Options::default()).await;
    let ttl = Some(prost_types::Duration { seconds: 8_640_000, nanos: 0 });
    for (extra_arguments, words) in
        [(&[][..], "must be at most 90 days"), (&["--max-ttl", "36h30m"], "must be at most 1 day 12h 30m")]
    {
        system.stop().await;
        let extra_arguments = [&["--simulator", "--default-ttl", "1h"], extra_arguments].concat();
        system.start_processes(Layout::One, Options { extra_arguments: &extra_arguments, ..Options::default() }).await;
        let mut output = Vec::new();
        for url in [&system.store_url, &system.gateway_url] {
            let request = CreateMessageRequest { ttl, ..CreateMessageRequest::from_text("hello") };
            let mut client = MessageServiceClient::new(StoreChannel::remote(url).unwrap());
            output.push(client.create_message(request).await.unwrap_err().message().to_owned());
        }
        let http = reqwest::Client::new();
        let create = || http.post(format!("{}/api/v1/create_message", system.gateway_url));
        let form = create().form(&[("text", "hello"), ("ttl", "8640000")]);
        let json = create().json(&json!({ "text": "hello", "ttl": 8_640_000 }));
        for request in [form, json] {
            output.push(request.send().await.unwrap().text().await.unwrap());
        }
        output.push(system.client(&["new", "hello", "--ttl", "100d"]).await.err);
        output.push(Value::from(simulate(&system, message("new 100d:hello")).await).to_string());
        for output in output {
            assert!(output.contains(words), "{output}");
        }
    }
    system.stop().await;
}
