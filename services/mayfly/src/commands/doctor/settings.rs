//! Settings that are mistyped, without effect, contradictory or unsafe.

use std::{
    collections::BTreeSet,
    net::{IpAddr, SocketAddr},
};

use mayfly_bootstrap::{ErrorChain, Secret, ServerUrl, trace};
use mayfly_bot::BotSettings;
use mayfly_gateway_rest::GatewaySettings;
use mayfly_store::{CreateAccess, OpenSettings};

use super::finding::Finding;
use crate::{
    endpoints::{BotUrl, StoreUrl},
    roles::RoleParts,
};

const AREA: &str = "settings";
const PREFIX: &str = "MAYFLY_";
const ROLES: [&str; 4] = ["up", "store", "gateway", "bot"];
/// Variables that meant something else once, with what replaced them.
const REPLACED: [(&str, &str, &str); 1] = [("MAYFLY_RETRY_FOR", "bot", "MAYFLY_STORE_OUTAGE_TIMEOUT")];
/// Flags whose values other users of the machine see in the list of processes.
const SECRET_FLAGS: [&str; 4] = ["--admin-token", "--service-token", "--gateway-token", "--database-url"];
/// The ports to which Telegram sends updates.
const WEBHOOK_PORTS: [u16; 4] = [443, 80, 88, 8443];
/// A typing error changes at most so many letters.
const MAX_TYPING_ERRORS: usize = 2;

/// What was given to this process, and what it could be given.
pub(super) struct Given {
    /// The names of the variables that are not empty.
    variables: BTreeSet<String>,
    arguments: Vec<String>,
    /// All variables that some command takes.
    known: BTreeSet<String>,
    /// The variables that the role takes.
    of_role: BTreeSet<String>,
    /// The variables that some role takes.
    of_roles: BTreeSet<String>,
}

impl Given {
    /// The variables and arguments of this process.
    pub(super) fn now(cli: &clap::Command, role: &str) -> Self {
        let set = std::env::vars_os().filter(|(_, value)| !value.is_empty());
        let of = |name: &str| cli.find_subcommand(name).map(variables_of).unwrap_or_default();
        let global = variables_of_arguments(cli);
        Self {
            variables: set.filter_map(|(name, _)| name.into_string().ok()).collect(),
            arguments: std::env::args().collect(),
            known: variables_of(cli),
            of_role: of(role).union(&global).cloned().collect(),
            of_roles: ROLES.into_iter().flat_map(of).collect(),
        }
    }
}

fn variables_of_arguments(command: &clap::Command) -> BTreeSet<String> {
    command.get_arguments().filter_map(|argument| Some(argument.get_env()?.to_str()?.to_owned())).collect()
}

fn variables_of(command: &clap::Command) -> BTreeSet<String> {
    let below = command.get_subcommands().flat_map(variables_of);
    variables_of_arguments(command).into_iter().chain(below).collect()
}

/// Checks the settings of a role.
pub(super) fn check(role: RoleParts<'_>, given: &Given) -> Vec<Finding> {
    let mut findings = check_variables(role.name, given);
    findings.extend(check_arguments(&given.arguments));
    if let Some(store) = role.store {
        findings.extend(check_store(store, role.tls.tls_cert.is_some(), role.gateway.is_some()));
    }
    if let Some(gateway) = role.gateway {
        findings.extend(check_gateway(role, gateway));
        let is_public = role.public_url.is_some() || gateway.gateway_listen.iter().any(|address| is_open(*address));
        if is_public && role.store.is_some_and(|store| store.store.create_access == CreateAccess::Open) {
            findings.push(Finding::note(
                AREA,
                "create-access",
                "--create-access is open: anybody who reaches the page may create messages",
                "Set it to token, and give tokens to those who may, unless that is intended.",
            ));
        }
    }
    if let Some(bot) = role.bot {
        findings.extend(check_bot(role, bot));
    }
    findings.extend(check_clear_urls(role));
    if role.otlp.otlp_endpoint.is_some()
        && let Err(error) = trace::check_headers()
    {
        let advice = "Correct the variable; the role does not start so.";
        findings.push(Finding::failure(AREA, "otlp-headers", error.to_string(), advice));
    }
    if findings.is_empty() {
        findings.push(Finding::ok(AREA, "usable", format!("the settings of `mayfly {}` can be used", role.name)));
    }
    findings
}

fn check_variables(role: &str, given: &Given) -> Vec<Finding> {
    let mut findings = Vec::new();
    let unknown = given.variables.iter().filter(|name| !given.known.contains(*name));
    for name in unknown {
        let meant = given.known.iter().find(|known| distance(name, known) <= MAX_TYPING_ERRORS);
        match meant {
            Some(meant) => findings.push(Finding::warning(
                AREA,
                "mistyped-variable",
                format!("the variable {name} is not a setting, and has no effect"),
                format!("If it should be {meant}, correct its name."),
            )),
            None if name.starts_with(PREFIX) => findings.push(Finding::note(
                AREA,
                "unknown-variable",
                format!("the variable {name} is not a setting, and has no effect"),
                "Remove it, or look its name up in docs/configuration.md.",
            )),
            None => {}
        }
    }
    for (name, of_role, replacement) in REPLACED {
        let concerns_role = role == of_role || role == "up";
        if concerns_role && given.variables.contains(name) {
            findings.push(Finding::warning(
                AREA,
                "replaced-variable",
                format!("the variable {name} no longer concerns the {of_role}"),
                format!("Set {replacement} instead."),
            ));
        }
    }
    let useless = given.of_roles.difference(&given.of_role).filter(|name| given.variables.contains(*name));
    let useless: Vec<_> = useless.map(String::as_str).collect();
    if !useless.is_empty() {
        let names = useless.join(", ");
        findings.push(Finding::note(
            AREA,
            "ineffective-variable",
            format!("`mayfly {role}` does not take these variables of other roles: {names}"),
            "That is right if the roles share an environment file.",
        ));
    }
    findings
}

/// The number of letters to insert, delete, replace or swap with their neighbour (Damerau and Levenshtein).
fn distance(left: &str, right: &str) -> usize {
    let (left, right): (Vec<_>, Vec<_>) = (left.chars().collect(), right.chars().collect());
    let mut before_last = Vec::new();
    let mut last: Vec<usize> = (0..=right.len()).collect();
    for (row, &of_left) in left.iter().enumerate() {
        let mut current = vec![row + 1];
        for (column, &of_right) in right.iter().enumerate() {
            let at = |line: &[usize], column: usize| line.get(column).copied().unwrap_or(usize::MAX - 1);
            let mut cost = at(&last, column) + usize::from(of_left != of_right);
            cost = cost.min(at(&last, column + 1) + 1).min(at(&current, column) + 1);
            let is_swap = row > 0
                && column > 0
                && left.get(row - 1) == Some(&of_right)
                && right.get(column - 1) == Some(&of_left);
            if is_swap {
                cost = cost.min(at(&before_last, column - 1) + 1);
            }
            current.push(cost);
        }
        before_last = std::mem::replace(&mut last, current);
    }
    last.last().copied().unwrap_or_default()
}

fn check_arguments(arguments: &[String]) -> Vec<Finding> {
    let flags = SECRET_FLAGS.into_iter().filter(|flag| {
        arguments.iter().enumerate().any(|(index, argument)| {
            let value = match argument.strip_prefix(flag) {
                Some("") => arguments.get(index + 1).map(String::as_str),
                Some(rest) => rest.strip_prefix('='),
                None => None,
            };
            // A URL without a password is no secret.
            value.is_some_and(|value| *flag != "--database-url" || value.contains('@'))
        })
    });
    let finding = |flag| {
        Finding::warning(
            AREA,
            "secret-on-command-line",
            format!("all users of this machine see the value of {flag} in the list of processes"),
            format!("Use {flag}-file, or the variable in an environment file."),
        )
    };
    flags.map(finding).collect()
}

fn check_store(store: &OpenSettings, has_tls: bool, has_gateway: bool) -> Vec<Finding> {
    let mut findings = Vec::new();
    if let Err(error) = store.check() {
        let advice = "Change one of the settings; the store does not start so.";
        findings.push(Finding::failure(AREA, "contradiction", ErrorChain(&error).to_string(), advice));
    }
    if let Err(error) = store.database.database(&store.data) {
        let advice = "Correct the setting; the store does not start so.";
        findings.push(Finding::failure(AREA, "database", ErrorChain(&error).to_string(), advice));
    }
    let settings = &store.store;
    let is_open = is_open(settings.store_listen);
    if is_open && !has_tls {
        findings.push(clear_listener("--store-listen", settings.store_listen));
    }
    for network in &settings.trusted_gateways {
        if is_wide(network.addr(), network.prefix_len()) {
            findings.push(Finding::warning(
                AREA,
                "trusted-gateways",
                format!("--trusted-gateways {network} trusts addresses of strangers, who can pretend to be any caller"),
                "Name only the addresses of the gateways.",
            ));
        }
    }
    let only_local = settings.trusted_gateways.iter().all(|network| network.addr().is_loopback());
    if is_open && only_local && !has_gateway {
        findings.push(Finding::note(
            AREA,
            "trusted-gateways",
            "--trusted-gateways names only this machine: callers behind a gateway elsewhere share the limits of one",
            "Name the addresses of the gateways, unless they run on this machine.",
        ));
    }
    let rates = settings.rates;
    if rates.creations_per_minute == 0 || rates.failed_reads_per_minute == 0 {
        findings.push(Finding::note(
            AREA,
            "no-rate-limit",
            "--creations-per-minute or --failed-reads-per-minute is 0: a caller is not limited",
            "Set a limit if strangers can reach this store.",
        ));
    }
    findings
}

/// Networks that are so large that they contain machines of strangers, unless they are reserved for private use.
fn is_wide(address: IpAddr, prefix: u8) -> bool {
    match address {
        IpAddr::V4(address) => prefix < 8 || (prefix < 16 && !address.is_private() && !address.is_loopback()),
        IpAddr::V6(address) => prefix < 32 && !address.is_loopback() && address.segments()[0] & 0xfe00 != 0xfc00,
    }
}

fn is_open(address: SocketAddr) -> bool {
    !address.ip().is_loopback()
}

fn clear_listener(setting: &str, address: SocketAddr) -> Finding {
    Finding::warning(
        AREA,
        "no-tls",
        format!("{setting} {address} is open to the network, and texts and tokens cross it in clear"),
        "Give it --tls-cert and --tls-key, or listen on 127.0.0.1. A private network of containers needs neither.",
    )
}

fn check_gateway(role: RoleParts<'_>, gateway: &GatewaySettings) -> Vec<Finding> {
    let mut findings = Vec::new();
    let has_tls = role.tls.tls_cert.is_some();
    // In the process of the store, the gateway has the service token.
    let default_token = role.store.map(|_| Secret::new("the service token".to_owned()));
    if let Err(error) = gateway.proxies(default_token.as_ref()) {
        findings.push(Finding::failure(
            AREA,
            "user-header",
            ErrorChain(&error).to_string(),
            "Correct this, or remove --trusted-user-header: then callers need API tokens.",
        ));
    }
    let open = gateway.gateway_listen.iter().copied().filter(|address| is_open(*address));
    for address in open.clone().filter(|_| !has_tls) {
        findings.push(match gateway.trusted_proxies {
            0 => clear_listener("--gateway-listen", address),
            _ => Finding::note(
                AREA,
                "no-tls",
                format!(
                    "--gateway-listen {address} is open to the network without TLS, for the proxies in front of it"
                ),
                "Let only the proxies reach it: other callers can pretend to be anybody.",
            ),
        });
    }
    match role.public_url.map(|url| (url, url.to_url())) {
        Some((public, url)) => {
            if public.https_port().is_none() && !is_local_name(public.host()) {
                findings.push(Finding::warning(
                    AREA,
                    "public-url",
                    format!("--public-url {url} is not https: browsers cannot encrypt there, and links cross in clear"),
                    "Serve the page over TLS, by a proxy or with --tls-cert.",
                ));
            }
            if public.https_port().is_some() && !has_tls && gateway.trusted_proxies == 0 {
                findings.push(Finding::warning(
                    AREA,
                    "trusted-proxies",
                    "--public-url is https, but there is neither --tls-cert nor --trusted-proxies: all callers behind \
                     the proxy share the limits of one",
                    "Set --trusted-proxies to the number of proxies in front of the gateway.",
                ));
            }
        }
        None if open.count() > 0 || gateway.trusted_proxies > 0 => findings.push(Finding::note(
            AREA,
            "public-url",
            "--public-url is not set: the page refuses names that are not local, and the bot offers no links",
            "Set it to the address that browsers use.",
        )),
        None => {}
    }
    findings
}

fn is_local_name(host: &str) -> bool {
    let address = host.trim_matches(['[', ']']).parse::<IpAddr>();
    host == "localhost" || address.is_ok_and(|address| address.is_loopback())
}

fn check_bot(role: RoleParts<'_>, bot: &BotSettings) -> Vec<Finding> {
    let mut findings = Vec::new();
    if is_open(bot.bot_listen) && role.tls.tls_cert.is_none() {
        findings.push(clear_listener("--bot-listen", bot.bot_listen));
    }
    if bot.simulator && is_open(bot.bot_listen) {
        findings.push(Finding::warning(
            AREA,
            "simulator",
            "--simulator is meant to try the bot, and its page is open to the network",
            "Switch it off, or listen on 127.0.0.1.",
        ));
    }
    let Some(url) = &bot.webhook_url else { return findings };
    let is_telegram = bot.telegram_api_url.host_str() == Some("api.telegram.org");
    if is_telegram && url.scheme() != "https" {
        findings.push(Finding::failure(
            AREA,
            "webhook-url",
            "--webhook-url does not begin with https, and Telegram refuses it",
            "Use an https address, or leave it out to poll.",
        ));
    }
    if is_telegram && url.port_or_known_default().is_none_or(|port| !WEBHOOK_PORTS.contains(&port)) {
        findings.push(Finding::failure(
            AREA,
            "webhook-port",
            "--webhook-url has a port to which Telegram sends nothing",
            "Use one of the ports 443, 80, 88 and 8443.",
        ));
    }
    if role.tls.tls_client_ca.is_some() {
        findings.push(Finding::note(
            AREA,
            "webhook-client-ca",
            "with --tls-client-ca the bot refuses Telegram, which has no certificate",
            "Put a proxy with a certificate in front of the webhook, or leave --tls-client-ca out.",
        ));
    }
    findings
}

/// URLs of other machines that are called in clear.
fn check_clear_urls(role: RoleParts<'_>) -> Vec<Finding> {
    let urls = [("--store-url", role.store_url.map(StoreUrl::url)), ("--bot-url", role.bot_url.map(BotUrl::url))];
    let is_clear = |url: &ServerUrl| !url.is_https() && !is_local_name(url.host());
    let clear = urls.into_iter().filter(|(_, url)| url.is_some_and(is_clear));
    let finding = |(setting, _)| {
        Finding::warning(
            AREA,
            "clear-url",
            format!(
                "{setting} is an address of another machine without TLS: texts and tokens cross the network in clear"
            ),
            "Use https://, with certificates of `mayfly certs`. Only a private network of containers is an exception.",
        )
    };
    clear.map(finding).collect()
}
