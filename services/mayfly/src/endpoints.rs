//! The URLs of the store and the bot, for commands and roles that call them.

use std::{
    iter::successors,
    net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr},
};

use clap::{ArgMatches, Args, parser::ValueSource};
use mayfly_bootstrap::{
    RequestId, ServerUrl,
    tls::{ClientTls, ClientTlsSettings, Connector},
    trace::{self, TracedCalls},
};
use mayfly_contracts::{BotChannel, ServiceChannel, StoreChannel, rpc_name};

use crate::error::CliError;

/// The store that a command calls.
#[derive(Clone, Debug, Args)]
pub(crate) struct StoreUrl {
    /// The URL of the store.
    #[arg(long, env = "MAYFLY_STORE_URL", default_value = "http://127.0.0.1:50051", value_name = "URL")]
    store_url: ServerUrl,
    /// TLS of this client, for all URLs of the command.
    #[command(flatten)]
    pub(crate) tls: ClientTlsSettings,
}

impl StoreUrl {
    /// The URL.
    pub(crate) fn url(&self) -> &ServerUrl {
        &self.store_url
    }

    /// A channel to the store.
    pub(crate) fn channel(&self) -> Result<StoreChannel, CliError> {
        channel("--store-url", &self.store_url, &self.tls)
    }
}

/// The bot that a command or role calls.
#[derive(Clone, Debug, Args)]
pub(crate) struct BotUrl {
    /// The URL of the bot.
    #[arg(long, env = "MAYFLY_BOT_URL", default_value = "http://127.0.0.1:5555", value_name = "URL")]
    bot_url: ServerUrl,
}

impl BotUrl {
    /// The URL.
    pub(crate) fn url(&self) -> &ServerUrl {
        &self.bot_url
    }

    /// A channel to the bot.
    pub(crate) fn channel(&self, tls: &ClientTlsSettings) -> Result<BotChannel, CliError> {
        channel("--bot-url", &self.bot_url, tls)
    }
}

/// The address under which this machine reaches an own listener.
pub(crate) fn on_this_machine(address: SocketAddr) -> SocketAddr {
    let ip = match address.ip() {
        IpAddr::V4(ip) if ip.is_unspecified() => Ipv4Addr::LOCALHOST.into(),
        IpAddr::V6(ip) if ip.is_unspecified() => Ipv6Addr::LOCALHOST.into(),
        ip => ip,
    };
    SocketAddr::new(ip, address.port())
}

/// A channel to the service at `url`, which `setting` names.
pub(crate) fn channel(setting: &str, url: &ServerUrl, tls: &ClientTlsSettings) -> Result<ServiceChannel, CliError> {
    let connector = Connector::http2(client_tls(url, tls)?);
    let explaining = connector.clone();
    let channel = ServiceChannel::remote_over(&url.to_string(), connector, move |error| explaining.explain(error));
    let channel = channel.map_err(|error| CliError::invalid_setting(setting, error))?;
    let channel = channel.with_headers(RequestId::set_current);
    Ok(if trace::is_enabled() {
        channel.wrapped(|transport| TracedCalls::remote(transport, rpc_name))
    } else {
        channel
    })
}

/// The TLS of a client for `url`. Plain URLs need no files.
pub(crate) fn client_tls(url: &ServerUrl, settings: &ClientTlsSettings) -> Result<Option<ClientTls>, CliError> {
    Ok(url.is_https().then(|| settings.load()).transpose()?)
}

/// Arguments with URLs that TLS of clients is for. The first ones are servers of Mayfly.
const MAYFLY_URLS: [(&str, &str); 3] =
    [("store_url", "--store-url"), ("bot_url", "--bot-url"), ("gateway_url", "--gateway-url")];
const COLLECTOR_URL: (&str, &str) = ("otlp_endpoint", "--otlp-endpoint");

/// Why TLS of clients has no effect, if it is given to a command whose URLs all are `http://`: its calls would cross
/// the network in clear. A variable may be for other commands in the same environment, so a command that calls no
/// server of Mayfly ignores it.
pub(crate) fn unused_client_tls(matches: &ArgMatches) -> Option<String> {
    let command = successors(Some(matches), |matches| matches.subcommand().map(|(_, below)| below)).last()?;
    let source = |id| command.try_contains_id(id).ok().and_then(|_| command.value_source(id));
    let given = [("ca", "--ca"), ("client_cert", "--client-cert")].into_iter();
    let (setting, source) = given.filter_map(|(id, setting)| Some((setting, source(id)?))).next()?;
    let takes = |(id, _): &(&str, _)| command.try_contains_id(id).is_ok();
    let mayfly: Vec<_> = MAYFLY_URLS.into_iter().filter(takes).collect();
    let urls: Vec<_> = mayfly.iter().copied().chain([COLLECTOR_URL].into_iter().filter(takes)).collect();
    let is_https = |(id, _): &(&str, _)| {
        command.try_get_one::<ServerUrl>(id).is_ok_and(|url| url.is_some_and(ServerUrl::is_https))
    };
    let is_for_other_commands = source == ValueSource::EnvVariable && mayfly.is_empty();
    if urls.iter().any(is_https) || is_for_other_commands {
        return None;
    }
    let names: Vec<_> = urls.into_iter().map(|(_, name)| name).collect();
    Some(format!(
        "{setting} is for https:// URLs, and there is none ({}): use one, or leave {setting} out",
        names.join(", ")
    ))
}

#[cfg(test)]
mod tests {
    use clap::CommandFactory as _;

    use super::*;
    use crate::cli::Cli;

    fn reason(command_line: &str) -> Option<String> {
        let matches = Cli::command().try_get_matches_from(["mayfly"].into_iter().chain(command_line.split(' ')));
        unused_client_tls(&matches.unwrap())
    }

    #[test]
    fn tls_of_clients_needs_an_https_url() {
        let http = "http://h:1";
        for command in
            ["new x", "tokens list", "config list", "healthcheck store", "telegram log-out", "gateway", "bot"]
        {
            for given in ["--ca f", "--client-cert f --client-key f"] {
                let setting = given.split(' ').next().unwrap();
                let refused = reason(&format!("{command} {given}")).unwrap();
                assert!(refused.contains(setting) && refused.contains("--store-url"), "{command}: {refused}");
                assert!(reason(&format!("{command} {given} --store-url {http}")).is_some(), "{command}");
                assert_eq!(reason(&format!("{command} {given} --store-url https://h:1")), None);
            }
            assert_eq!(reason(&format!("{command} --store-url {http}")), None);
        }
        for role in ["up", "store", "gateway", "bot", "doctor up", "doctor gateway"] {
            let refused = reason(&format!("{role} --ca f --otlp-endpoint {http}")).unwrap();
            assert!(refused.contains("--ca") && refused.contains("--otlp-endpoint"), "{role}: {refused}");
            assert_eq!(reason(&format!("{role} --ca f --otlp-endpoint https://h:1")), None, "{role}");
        }
        assert_eq!(reason(&format!("gateway --ca f --store-url {http} --bot-url https://h:1")), None);
        assert_eq!(reason("healthcheck gateway --ca f --gateway-url https://h:1"), None);
        assert_eq!(reason("keys list"), None, "it calls nothing");
    }
}
