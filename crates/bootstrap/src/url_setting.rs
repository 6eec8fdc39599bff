//! URLs of settings. An error never repeats the value, since a URL can contain a password.

use std::{ffi::OsStr, fmt, net::SocketAddr, str::FromStr};

use clap::{
    Arg, Command,
    builder::{TypedValueParser, ValueParserFactory},
    error::ErrorKind,
};
use http::{
    Uri,
    uri::{PathAndQuery, Scheme},
};

/// The URL of a server that this process calls: `http://host:port` or `https://host:port`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ServerUrl(Uri);

impl ServerUrl {
    /// The URL of the server at `address`.
    #[must_use]
    pub fn of(address: SocketAddr, is_https: bool) -> Self {
        let scheme = if is_https { Scheme::HTTPS } else { Scheme::HTTP };
        let built = Uri::builder().scheme(scheme).authority(address.to_string()).path_and_query("/").build();
        // An address is a valid authority.
        Self(built.unwrap_or_default())
    }

    /// Returns `true` if its connections have TLS.
    #[must_use]
    pub fn is_https(&self) -> bool {
        self.0.scheme() == Some(&Scheme::HTTPS)
    }

    /// The host, without its port.
    #[must_use]
    pub fn host(&self) -> &str {
        self.0.host().unwrap_or_default()
    }

    /// The URL as a URI.
    #[must_use]
    pub fn to_uri(&self) -> Uri {
        self.0.clone()
    }

    /// The URI of `path` on the server.
    #[must_use]
    pub fn at(&self, path: &'static str) -> Uri {
        let mut parts = self.0.clone().into_parts();
        parts.path_and_query = Some(PathAndQuery::from_static(path));
        // A URL of a server has a scheme and an authority, so each path fits.
        Uri::from_parts(parts).unwrap_or_else(|_| self.0.clone())
    }
}

impl fmt::Display for ServerUrl {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(formatter)
    }
}

impl FromStr for ServerUrl {
    type Err = String;

    fn from_str(url: &str) -> Result<Self, String> {
        let form = || "must be of the form http://host:port or https://host:port".to_owned();
        let uri: Uri = url.parse().map_err(|_| form())?;
        let authority = uri.authority().ok_or_else(form)?;
        if authority.as_str().contains('@') {
            return Err("must have no user and no password".to_owned());
        }
        let is_known = [Some(&Scheme::HTTP), Some(&Scheme::HTTPS)].contains(&uri.scheme());
        // The parser accepts any text as a port.
        let has_host = !authority.host().is_empty();
        let has_port = authority.port_u16().is_some() || authority.as_str() == authority.host();
        let has_path = uri.path_and_query().is_some_and(|path| path.as_str() != "/");
        if is_known && has_host && has_port && !has_path { Ok(Self(uri)) } else { Err(form()) }
    }
}

impl ValueParserFactory for ServerUrl {
    type Parser = UrlParser<Self>;

    fn value_parser() -> UrlParser<Self> {
        UrlParser::new(str::parse)
    }
}

/// Parses the URL of a setting. The error names the setting, and does not repeat its value.
#[derive(Clone, Copy)]
pub struct UrlParser<T>(fn(&str) -> Result<T, String>);

impl<T> UrlParser<T> {
    /// A parser whose errors are sentences without a subject, such as "must begin with https://".
    #[must_use]
    pub fn new(parse: fn(&str) -> Result<T, String>) -> Self {
        Self(parse)
    }
}

impl<T: Clone + Send + Sync + 'static> TypedValueParser for UrlParser<T> {
    type Value = T;

    fn parse_ref(&self, command: &Command, argument: Option<&Arg>, value: &OsStr) -> Result<T, clap::Error> {
        let parsed = value.to_str().ok_or_else(|| "must be UTF-8".to_owned()).and_then(self.0);
        parsed.map_err(|reason| {
            let setting = argument.map(ToString::to_string).unwrap_or_default();
            let message = format!("invalid value for '{setting}': {reason}\n");
            clap::Error::raw(ErrorKind::ValueValidation, message).with_cmd(command)
        })
    }
}

#[cfg(test)]
mod tests {
    use clap::Parser as _;

    use super::*;

    #[derive(Debug, clap::Parser)]
    struct Cli {
        #[arg(long, env = "MAYFLY_TEST_STORE_URL", value_name = "URL")]
        store_url: Option<ServerUrl>,
        #[arg(long, value_parser = UrlParser::new(|_| Err::<String, _>("must be another one".to_owned())))]
        other_url: Option<String>,
    }

    #[test]
    fn the_url_of_a_server_is_a_scheme_a_host_and_a_port() {
        for (url, is_https, host) in [
            ("http://127.0.0.1:4317", false, "127.0.0.1"),
            ("https://otel.internal:4317/", true, "otel.internal"),
            ("http://[::1]:4317", false, "[::1]"),
            ("https://mayfly.example.org", true, "mayfly.example.org"),
        ] {
            let parsed: ServerUrl = url.parse().unwrap();
            assert_eq!((parsed.is_https(), parsed.host()), (is_https, host));
            assert_eq!(parsed.to_string().trim_end_matches('/'), url.trim_end_matches('/'));
        }
        for url in [
            "127.0.0.1:4317",
            "nonsense",
            "grpc://h:4317",
            "http://:4317",
            "http://h:port",
            "http://h:70000",
            "http://h:4318/v1/traces",
            "http://h?x",
            "http://user:password@h:4317",
            "not a url",
            "",
        ] {
            assert!(url.parse::<ServerUrl>().is_err(), "{url}");
        }
    }

    #[test]
    fn an_error_names_the_setting_and_does_not_repeat_the_value() {
        for url in ["http://user:canary@h:1", "http://user:canary@h:1/path", "canary", "ftp://canary", "ht tp://canary"]
        {
            for flag in ["--store-url", "--other-url"] {
                let error = Cli::try_parse_from(["mayfly", flag, url]).unwrap_err();
                let text = error.to_string();
                assert!(text.contains(flag) && text.contains("must be") || text.contains("must have"), "{text}");
                assert!(!text.contains("canary") && !format!("{error:?}").contains("canary"), "{text} {error:?}");
                assert_eq!(error.exit_code(), 2);
            }
        }
    }
}
