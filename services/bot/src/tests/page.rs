//! The page on the bot's port.

use mayfly_testkit::telegram::Fault;
use serde_json::json;

use super::{
    fake_store::PANIC,
    harness::{ANN, BOT_TOKEN, fakes, fixture, start},
};

#[tokio::test]
async fn the_page_begins_with_the_status_and_shows_the_bot() {
    let (telegram, store) = fakes().await;
    store.set_bot(BOT_TOKEN);
    let bot = start(&telegram, &store).await;
    bot.shows("serving").await;
    let (code, body) = bot.page("/").await;
    assert_eq!(code, 200);
    assert!(body.starts_with(r#"{"status":200,"#), "{body}");
    let expected = json!({
        "status": 200, "bot": "fake_1000000000_bot", "state": "serving", "health": "good", "mode": "polling",
        "app_config_id": 1,
        "is_store_connected": true, "last_update_time": null, "queued_updates": 0, "failed_updates": 0, "errors": [],
        "version": env!("CARGO_PKG_VERSION"),
    });
    assert_eq!(bot.status().await, expected);
}

#[tokio::test]
async fn updates_in_flight_and_the_time_of_the_last_one_are_shown() {
    let fixture = fixture().await;
    fixture.store.hold("slow");
    fixture.telegram.user_says(ANN, "new:slow");
    fixture.store.until(|data| data.create_calls == ["slow"]).await;
    let status = fixture.bot.status().await;
    assert_eq!(status["queued_updates"], 1);
    assert!(status["last_update_time"].as_str().is_some_and(|time| time.ends_with('Z')), "{status}");
    fixture.store.release("slow");
    fixture.reply(ANN).await;
    fixture.bot.shows_that(|status| status["queued_updates"] == 0).await;
}

#[tokio::test]
async fn updates_that_failed_are_counted_with_their_reason() {
    let fixture = fixture().await;
    fixture.ask(ANN, &format!("new:{PANIC}")).await;
    let status = fixture.bot.status().await;
    assert_eq!(status["failed_updates"], 1);
    assert_eq!(status["errors"][0]["what"], "a handler panicked");
}

#[tokio::test]
async fn errors_stay_on_the_page_after_they_are_over() {
    let fixture = fixture().await;
    fixture.telegram.fail_next("getUpdates", 2, Fault::DisconnectBefore);
    fixture.ask(ANN, "hello").await;
    fixture.bot.shows("serving").await;
    fixture.bot.shows_that(|status| status["errors"][0]["count"] == 2).await;
}

#[tokio::test]
async fn a_browser_gets_html_and_everybody_else_json() {
    let fixture = fixture().await;
    fixture.bot.shows("serving").await;
    let browser = fixture.bot.get("/", &[("accept", "text/html,application/xhtml+xml,*/*;q=0.8")]).await;
    assert_eq!(browser.header("content-type"), "text/html; charset=utf-8");
    assert!(browser.body.contains("@fake_1000000000_bot"), "{}", browser.body);
    for accept in ["*/*", "application/json"] {
        let program = fixture.bot.get("/", &[("accept", accept)]).await;
        assert_eq!((program.status, program.header("content-type")), (200, "application/json"));
        assert_eq!(program.header("vary"), "Accept");
        assert!(program.body.starts_with(r#"{"status":200,"#), "{}", program.body);
    }
}

#[tokio::test]
async fn everything_on_the_page_is_there_and_nothing_of_it_is_kept_or_inline() {
    let fixture = fixture().await;
    let html = fixture.bot.get("/", &[("accept", "text/html")]).await.body;
    let own: Vec<_> = html.split('"').filter(|part| part.starts_with("/page/")).collect();
    assert!(own.len() >= 3, "{html}");
    for path in own.into_iter().chain(["/", "/healthz"]) {
        let response = fixture.bot.get(path, &[]).await;
        assert_eq!(response.status, 200, "{path}");
        assert_eq!(response.header("cache-control"), "no-store", "{path}");
        assert_eq!(response.header("x-content-type-options"), "nosniff", "{path}");
        let policy = response.header("content-security-policy");
        assert!(policy.starts_with("default-src 'none';") && !policy.contains("unsafe"), "{path}: {policy}");
    }
}
