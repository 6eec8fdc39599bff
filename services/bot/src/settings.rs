//! The settings of the bot.

use std::{net::SocketAddr, path::PathBuf, str::FromStr, time::Duration};

use clap::builder::ValueParserFactory;
use mayfly_bootstrap::{Secret, UrlParser, http::origin::HostSettings};
use url::Url;

const SHORTEST_DELETION_DELAY: Duration = Duration::from_secs(1);
const LONGEST_DELETION_DELAY: Duration = Duration::from_secs(47 * 60 * 60);

/// The settings of the bot. Its token is not one of them: it comes from the last active app config.
#[derive(Clone, Debug, clap::Args)]
pub struct BotSettings {
    /// The address of the bot's listener, for its status page, `BotService` and the webhook.
    #[arg(long, env = "MAYFLY_BOT_LISTEN", default_value = "127.0.0.1:5555", value_name = "ADDRESS")]
    pub bot_listen: SocketAddr,
    /// The URL of the Bot API: Telegram's, or that of a local Bot API server.
    #[arg(
        long,
        env = "MAYFLY_TELEGRAM_API_URL",
        default_value = "https://api.telegram.org",
        value_name = "URL",
        value_parser = UrlParser::new(parse_web_url)
    )]
    pub telegram_api_url: Url,
    /// How long the bot retries an update while the store cannot be reached. Then it replies that it stored or read
    /// nothing.
    #[arg(
        long,
        env = "MAYFLY_STORE_OUTAGE_TIMEOUT",
        default_value = "10m",
        value_name = "DURATION",
        value_parser = humantime::parse_duration
    )]
    pub store_outage_timeout: Duration,
    /// How many messages the bot sends per second, to all chats together. Telegram's limit is 30.
    #[arg(
        long,
        env = "MAYFLY_MESSAGES_PER_SECOND",
        default_value = "30",
        value_name = "NUMBER",
        value_parser = clap::value_parser!(u32).range(1..)
    )]
    pub messages_per_second: u32,
    /// Serve a simulated chat on the status page, which works without Telegram. It requires the token in
    /// DATA_DIR/simulator.token, which the first start creates; `mayfly up` prints the URL with the token.
    #[arg(long, env = "MAYFLY_SIMULATOR")]
    pub simulator: bool,
    /// How many messages of a chat the bot handles per minute, at most 10 of them at once. It ignores the others, and
    /// says so once.
    #[arg(
        long,
        env = "MAYFLY_CHAT_MESSAGES_PER_MINUTE",
        default_value = "30",
        value_name = "NUMBER",
        value_parser = clap::value_parser!(u32).range(1..)
    )]
    pub chat_messages_per_minute: u32,
    /// The URL to which Telegram sends updates. It must begin with https and lead to the bot's listener, which has
    /// --tls-cert or is behind a proxy with TLS. Unset: the bot polls Telegram.
    #[arg(long, env = "MAYFLY_WEBHOOK_URL", value_name = "URL", value_parser = UrlParser::new(parse_webhook_url))]
    pub webhook_url: Option<Url>,
    /// The path of the webhook on the bot's listener, if the proxy changes it. Default: the path of --webhook-url.
    #[arg(
        long,
        env = "MAYFLY_WEBHOOK_PATH",
        value_name = "PATH",
        value_parser = parse_webhook_path,
        requires = "webhook_url"
    )]
    pub webhook_path: Option<String>,
    /// How many connections to the webhook Telegram may use at once, from 1 to 100.
    #[arg(
        long,
        env = "MAYFLY_WEBHOOK_CONNECTIONS",
        default_value = "40",
        value_name = "NUMBER",
        value_parser = clap::value_parser!(u8).range(1..=100)
    )]
    pub webhook_connections: u8,
    /// The settings of the conversation.
    #[command(flatten)]
    pub conversation: ConversationSettings,
    /// The directory of the spool, which holds encrypted updates. Not a command line option: the process sets it.
    #[arg(skip)]
    pub spool_folder: PathBuf,
    /// The token that the simulator requires. `None` disables the simulator. Not a command line option: the process
    /// reads it from its data directory.
    #[arg(skip)]
    pub simulator_token: Option<Secret>,
    /// Disables gRPC reflection. Not a command line option here: the process sets it.
    #[arg(skip)]
    pub no_reflection: bool,
    /// The host names of the status page. Not a command line option here: the process sets it.
    #[arg(skip)]
    pub hosts: HostSettings,
}

/// The settings of a webhook.
#[derive(Clone, Debug)]
pub(crate) struct Webhook {
    /// The URL for Telegram.
    pub url: Url,
    /// The path on the listener of the bot.
    pub path: String,
    pub connections: u8,
}

impl BotSettings {
    /// Returns the settings of the webhook, if it is enabled.
    pub(crate) fn webhook(&self) -> Option<Webhook> {
        let url = self.webhook_url.clone()?;
        let path = self.webhook_path.clone().unwrap_or_else(|| url.path().to_owned());
        Some(Webhook { url, path, connections: self.webhook_connections })
    }
}

/// The settings of the conversation.
#[derive(Clone, Debug, Default, clap::Args)]
pub struct ConversationSettings {
    /// The URL of the gateway for browsers, such as `https://mayfly.example.org`. Unset: the bot offers no links to the
    /// web page.
    #[arg(long, env = "MAYFLY_PUBLIC_URL", value_name = "URL")]
    pub public_url: Option<PublicUrl>,
    /// Delete a user's message from the chat after its text is stored.
    #[arg(long, env = "MAYFLY_DELETE_USER_MESSAGES")]
    pub delete_user_messages: bool,
    /// Delete a text from the chat this long after it was shown, such as 30s or 10m. At most 47h, since Telegram
    /// deletes no message after 48 hours. Unset: the text stays.
    #[arg(long, env = "MAYFLY_DELETE_REVEALED_AFTER", value_name = "DURATION", value_parser = parse_deletion_delay)]
    pub delete_revealed_after: Option<Duration>,
    /// Send texts so that readers cannot forward or save them. In most apps they cannot copy them either.
    #[arg(long, env = "MAYFLY_PROTECT_CONTENT")]
    pub protect_content: bool,
    /// The directory of the scheduled deletions. Not a command line option: the process sets it.
    #[arg(skip)]
    pub deletions_folder: PathBuf,
}

/// The URL of the gateway for browsers: `https://host` or `https://host:port`. The web page works only at the root of a
/// host.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PublicUrl(Url);

impl PublicUrl {
    /// The host, without its port.
    #[must_use]
    pub fn host(&self) -> &str {
        self.0.host_str().unwrap_or_default()
    }

    /// The port, if the URL is one of HTTPS.
    #[must_use]
    pub fn https_port(&self) -> Option<u16> {
        self.0.port_or_known_default().filter(|_| self.0.scheme() == "https")
    }

    /// The root URL of the gateway.
    #[must_use]
    pub fn to_url(&self) -> Url {
        self.0.clone()
    }
}

impl ValueParserFactory for PublicUrl {
    type Parser = UrlParser<Self>;

    fn value_parser() -> UrlParser<Self> {
        UrlParser::new(str::parse)
    }
}

impl FromStr for PublicUrl {
    type Err = String;

    fn from_str(url: &str) -> Result<Self, String> {
        let url = parse_web_url(url)?;
        if url.path() != "/" || url.query().is_some() || url.fragment().is_some() {
            return Err("must be a scheme and a host alone, as https://mayfly.example.org: the web page works at the \
                        root of a host only"
                .to_owned());
        }
        Ok(Self(url))
    }
}

fn parse_deletion_delay(delay: &str) -> Result<Duration, String> {
    let delay = humantime::parse_duration(delay).map_err(|error| error.to_string())?;
    if !(SHORTEST_DELETION_DELAY..=LONGEST_DELETION_DELAY).contains(&delay) {
        return Err("must be from 1s to 47h: Telegram deletes nothing after 48 hours".to_owned());
    }
    Ok(delay)
}

/// The URL of a web server. A trailing slash would add an empty path segment to a path that is appended.
///
/// # Errors
///
/// A sentence without its subject, and without the URL.
pub fn parse_web_url(url: &str) -> Result<Url, String> {
    parse_url(url.trim_end_matches('/'), "must begin with http:// or https://")
}

fn parse_url(url: &str, scheme: &str) -> Result<Url, String> {
    let parsed = Url::parse(url).ok().filter(|url| matches!(url.scheme(), "http" | "https") && url.has_host());
    let url = parsed.ok_or_else(|| format!("{scheme}, followed by a host"))?;
    if !url.username().is_empty() || url.password().is_some() {
        return Err("must have no user and no password".to_owned());
    }
    Ok(url)
}

fn parse_webhook_url(url: &str) -> Result<Url, String> {
    // A local Bot API server accepts http too.
    let url = parse_url(url, "must begin with https://")?;
    if url.query().is_some() || url.fragment().is_some() {
        return Err("must have no query and no fragment".to_owned());
    }
    parse_webhook_path(url.path())?;
    Ok(url)
}

/// Accepts paths without a meaning for the router that hide neither the status page nor the health checks.
fn parse_webhook_path(path: &str) -> Result<String, String> {
    let is_plain = |char: char| char.is_ascii_alphanumeric() || "/-._~".contains(char);
    if !path.starts_with('/') || !path.chars().all(is_plain) {
        return Err("the path must begin with / and consist of letters, digits and -._~ between its slashes".to_owned());
    }
    if matches!(path, "/" | "/healthz" | "/readyz") {
        return Err("the webhook needs a path of its own, /telegram for example".to_owned());
    }
    Ok(path.to_owned())
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
        let settings = Cli::parse_from(["bot"]).bot;
        assert!(settings.webhook().is_none());
        let BotSettings {
            bot_listen,
            telegram_api_url,
            store_outage_timeout,
            messages_per_second,
            chat_messages_per_minute,
            simulator,
            conversation,
            ..
        } = settings;
        assert_eq!(bot_listen, "127.0.0.1:5555".parse().unwrap());
        assert_eq!(telegram_api_url.as_str(), "https://api.telegram.org/");
        assert_eq!(
            (store_outage_timeout, messages_per_second, chat_messages_per_minute),
            (Duration::from_secs(600), 30, 30)
        );
        assert!(!simulator);
        let ConversationSettings {
            public_url,
            delete_user_messages,
            delete_revealed_after,
            protect_content,
            deletions_folder: _,
        } = conversation;
        assert_eq!((public_url, delete_revealed_after), (None, None));
        assert!(!delete_user_messages && !protect_content);
    }

    #[test]
    fn only_addresses_of_web_servers_are_accepted() {
        assert!(parse_web_url("https://api.telegram.org").is_ok());
        assert_eq!(parse_web_url("http://127.0.0.1:8081/prefix/").unwrap().path(), "/prefix");
        assert!(parse_web_url("mailto:someone@example.org").is_err());
        for refused in ["api.telegram.org", "https://", "https://user:password@h", "https://user@h"] {
            assert!(parse_web_url(refused).is_err(), "{refused}");
        }
    }

    #[test]
    fn a_public_url_has_no_path() {
        for (url, host) in [
            ("https://mayfly.example.org", "mayfly.example.org"),
            ("https://mayfly.example.org/", "mayfly.example.org"),
            ("http://nas:8001", "nas"),
            ("http://[::1]:8001", "[::1]"),
        ] {
            assert_eq!(url.parse::<PublicUrl>().as_ref().map(PublicUrl::host), Ok(host));
        }
        for refused in
            ["mayfly.example.org", "https://h/mayfly", "https://h/?a", "https://h/#a", "https://u:p@h", "ftp://h"]
        {
            assert!(refused.parse::<PublicUrl>().is_err(), "{refused}");
        }
    }

    #[test]
    fn nothing_is_deleted_later_than_telegram_can() {
        assert_eq!(parse_deletion_delay("10m"), Ok(Duration::from_secs(600)));
        assert_eq!(parse_deletion_delay("47h"), Ok(LONGEST_DELETION_DELAY));
        for delay in ["48h", "0s", "500ms", "soon", ""] {
            assert!(parse_deletion_delay(delay).is_err(), "{delay}");
        }
    }

    #[test]
    fn a_webhook_needs_an_address_that_the_route_can_have() {
        let webhook = |arguments: &[&str]| {
            let cli = Cli::try_parse_from([&["bot"], arguments].concat()).ok()?;
            cli.bot.webhook().map(|webhook| (webhook.url.to_string(), webhook.path, webhook.connections))
        };
        let url = "https://bot.example.org/telegram/hook";
        assert_eq!(webhook(&["--webhook-url", url]), Some((url.to_owned(), "/telegram/hook".to_owned(), 40)));
        let behind_a_proxy = ["--webhook-url", url, "--webhook-path", "/hook", "--webhook-connections", "100"];
        assert_eq!(webhook(&behind_a_proxy), Some((url.to_owned(), "/hook".to_owned(), 100)));
        for refused in [
            &["--webhook-url", "https://bot.example.org"][..],
            &["--webhook-url", "https://bot.example.org/healthz"],
            &["--webhook-url", "https://bot.example.org/{token}"],
            &["--webhook-url", "https://user:password@bot.example.org/telegram"],
            &["--webhook-url", "https://bot.example.org/telegram?secret"],
            &["--webhook-url", "bot.example.org/telegram"],
            &["--webhook-path", "/telegram"],
            &["--webhook-url", url, "--webhook-connections", "101"],
        ] {
            assert!(webhook(refused).is_none(), "{refused:?}");
        }
    }
}
