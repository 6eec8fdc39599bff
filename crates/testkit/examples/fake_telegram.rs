//! The fake Bot API as a process, for tests in other languages.
//!
//! The argument is the token of a bot. The process prints the URL of the Bot API. For each input line like `{"chat_id":
//! 7, "text": "new:hello"}` a user sends the text, and the process prints the reply as `{"chat_id": 7, "text":
//! "1:2a…"}`. It ends at the end of its input.

use anyhow::Context as _;
use mayfly_testkit::FakeTelegram;
use serde_json::{Value, json};
use tokio::io::{AsyncBufReadExt as _, AsyncWriteExt as _, BufReader, Lines, Stdin};

#[tokio::main]
async fn main() -> anyhow::Result<()> {
    let token = std::env::args().nth(1).context("the argument must be the token of a bot")?;
    let telegram = FakeTelegram::start(&token).await?;
    write_line(telegram.url()).await?;
    let mut lines: Lines<BufReader<Stdin>> = BufReader::new(tokio::io::stdin()).lines();
    while let Some(line) = lines.next_line().await? {
        let message: Value = serde_json::from_str(&line)?;
        let chat_id = message.get("chat_id").and_then(Value::as_i64).context("a chat_id is missing")?;
        let text = message.get("text").and_then(Value::as_str).context("a text is missing")?;
        telegram.user_says(chat_id, text);
        let reply = telegram.next_reply(chat_id).await?;
        write_line(&json!({"chat_id": reply.chat_id, "text": reply.text}).to_string()).await?;
    }
    Ok(())
}

async fn write_line(line: &str) -> std::io::Result<()> {
    let mut output = tokio::io::stdout();
    output.write_all(line.as_bytes()).await?;
    output.write_all(b"\n").await?;
    output.flush().await
}
