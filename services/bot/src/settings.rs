//! What the bot is started with.

use std::{net::SocketAddr, time::Duration};

use url::Url;

/// The bot's settings. Its token is not among them: that comes from the last active app config.
#[derive(Clone, Debug, clap::Args)]
pub struct BotSettings {
    /// Where the bot serves its status page.
    #[arg(long, env = "MAYFLY_BOT_LISTEN", default_value = "127.0.0.1:5555", value_name = "ADDRESS")]
    pub bot_listen: SocketAddr,
    /// Where the Bot API is: Telegram's own, or a local Bot API server.
    #[arg(
        long,
        env = "MAYFLY_TELEGRAM_API_URL",
        default_value = "https://api.telegram.org",
        value_name = "URL",
        value_parser = parse_api_url
    )]
    pub telegram_api_url: Url,
    /// How long an update waits for a store that is away before its sender is told that nothing was stored or read.
    #[arg(long, env = "MAYFLY_RETRY_FOR", default_value = "10m", value_name = "DURATION", value_parser = humantime::parse_duration)]
    pub retry_for: Duration,
    /// How many messages the bot sends in a second, to all chats together. Telegram allows 30.
    #[arg(long, env = "MAYFLY_MESSAGES_PER_SECOND", default_value = "30", value_name = "NUMBER", value_parser = clap::value_parser!(u32).range(1..))]
    pub messages_per_second: u32,
    /// Adds a chat with the bot to its page, for people on this machine, without Telegram.
    #[arg(long, env = "MAYFLY_SIMULATOR")]
    pub simulator: bool,
}

fn parse_api_url(url: &str) -> Result<Url, String> {
    // A slash at the end would become an empty path segment in front of the token.
    let url = Url::parse(url.trim_end_matches('/')).map_err(|error| error.to_string())?;
    if !matches!(url.scheme(), "http" | "https") {
        return Err("must begin with http:// or https://".to_owned());
    }
    Ok(url)
}

#[cfg(test)]
mod tests {
    use clap::Parser as _;

    use super::*;

    #[derive(clap::Parser)]
    struct Cli {
        #[command(flatten)]
        bot: BotSettings,
    }

    #[test]
    fn the_defaults_are_the_documented_ones() {
        let BotSettings { bot_listen, telegram_api_url, retry_for, messages_per_second, simulator } =
            Cli::parse_from(["bot"]).bot;
        assert_eq!(bot_listen, "127.0.0.1:5555".parse().unwrap());
        assert_eq!(telegram_api_url.as_str(), "https://api.telegram.org/");
        assert_eq!((retry_for, messages_per_second), (Duration::from_secs(600), 30));
        assert!(!simulator);
    }

    #[test]
    fn only_addresses_of_web_servers_are_accepted() {
        assert!(parse_api_url("https://api.telegram.org").is_ok());
        assert_eq!(parse_api_url("http://127.0.0.1:8081/prefix/").unwrap().path(), "/prefix");
        assert!(parse_api_url("mailto:someone@example.org").is_err());
        assert!(parse_api_url("api.telegram.org").is_err());
    }
}
