//! The own listeners of a role, whether it runs or not, and the roles that it calls.

use std::{
    net::{SocketAddr, TcpListener},
    time::Duration,
};

use mayfly_bootstrap::{
    Secret, ServerUrl,
    tls::{ClientTlsSettings, ConnectError},
};
use mayfly_contracts::{
    BotChannel, ErrorInfo, StoreChannel,
    auth::{ApiTokenScope, CheckScopeRequest, api_token_service_client::ApiTokenServiceClient},
    bot::{BotState, BotStatus, GetBotStatusRequest, bot_service_client::BotServiceClient},
    config::{GetLastActiveAppConfigRequest, config_service_client::ConfigServiceClient},
    error::ErrorReason,
};
use mayfly_gateway_rest::GatewaySettings;
use mayfly_store::MissingToken;
use tokio::net::TcpStream;

use super::finding::Finding;
use crate::{
    commands::{
        bearer::Bearer,
        healthcheck::{NotReady, check_http, check_store},
    },
    endpoints::{self, on_this_machine},
    error::CliError,
    roles::RoleParts,
};

const AREA: &str = "reachability";
/// How long a connection or a call may take.
const TIMEOUT: Duration = Duration::from_secs(5);
/// The first port that every user may listen on, unless the system says otherwise.
const FIRST_FREE_PORT: u16 = 1024;

/// The bot's token as a store returns it, or why it is not known. `Ok(None)`: no app config is active.
type BotToken = Option<Result<Option<Secret>, String>>;

#[derive(Clone, Copy, PartialEq, Eq)]
enum Service {
    Store,
    Gateway,
    Bot,
}

impl Service {
    fn name(self) -> &'static str {
        match self {
            Self::Store => "the store",
            Self::Gateway => "the gateway",
            Self::Bot => "the bot",
        }
    }
}

/// Checks the listeners of a role and the roles that it calls. Returns the token of the bot, if a store knows it.
pub(super) async fn check(role: RoleParts<'_>) -> (Vec<Finding>, BotToken) {
    let mut findings = Vec::new();
    let mut token = None;
    let store = role.store.map(|open| (Service::Store, "--store-listen", open.store.store_listen));
    let gateways = role.gateway.map(|gateway| gateway.gateway_listen.as_slice()).unwrap_or_default();
    let gateways = gateways.iter().map(|address| (Service::Gateway, "--gateway-listen", *address));
    let bot = role.bot.map(|bot| (Service::Bot, "--bot-listen", bot.bot_listen));
    let mut is_running = false;
    for (service, setting, address) in store.into_iter().chain(gateways).chain(bot) {
        let (found, is_ready) = check_listener(role, service, setting, address).await;
        findings.push(found);
        is_running |= is_ready;
        if is_ready && service == Service::Store {
            let (found, active) = check_service_token(role, own_channel(role, setting, address)).await;
            findings.push(found);
            token = active;
        }
        if is_ready && service == Service::Bot {
            findings.extend(check_bot_state(role, own_channel(role, setting, address)).await);
        }
    }
    let metrics = role.metrics.metrics_listen.map(|address| ("--metrics-listen", address));
    let redirect = role.gateway.and_then(|gateway| gateway.redirect_http).map(|address| ("--redirect-http", address));
    for (setting, address) in metrics.into_iter().chain(redirect) {
        findings.push(check_other_listener(setting, address, is_running).await);
    }
    if let Some(store) = role.store_url {
        let checked = in_time(async { check_store(store.channel().map_err(NotReady::Setting)?).await }).await;
        let is_ready = checked.is_ok();
        findings.push(called(Service::Store, "--store-url", checked));
        if is_ready && role.bot.is_some() {
            let (found, active) = check_service_token(role, store.channel()).await;
            findings.push(found);
            token = active;
        }
        if is_ready && let Some(gateway) = role.gateway {
            findings.extend(check_gateway_token(gateway, store.channel()).await);
        }
    }
    if let (Some(bot), Some(store)) = (role.bot_url, role.store_url) {
        let checked = in_time(check_http(bot.url(), &store.tls)).await;
        findings.push(called(Service::Bot, "--bot-url", checked));
    }
    (findings, token)
}

async fn in_time(check: impl Future<Output = Result<(), NotReady>>) -> Result<(), NotReady> {
    tokio::time::timeout(TIMEOUT, check).await.unwrap_or(Err(NotReady::NoResponse(None)))
}

/// The result of a call to another role.
fn called(service: Service, setting: &str, checked: Result<(), NotReady>) -> Finding {
    match checked {
        Ok(()) => Finding::ok(AREA, "called-role", format!("{} is ready ({setting})", service.name())),
        Err(not_ready) => {
            let advice = match (&not_ready, service) {
                (NotReady::NotServing, _) => "See its log.",
                (_, Service::Bot) => {
                    "Start it, or correct the address. Without it, only /admin shows no state of the bot."
                }
                _ => "Start it, or correct the address, the certificates and the firewall between them.",
            };
            let message = not_ready.into_error(service.name(), setting).message().to_owned();
            match service {
                // The gateway serves all else without the bot.
                Service::Bot => Finding::warning(AREA, "called-role", message, advice),
                _ => Finding::failure(AREA, "called-role", message, advice),
            }
        }
    }
}

fn client_tls(role: RoleParts<'_>) -> ClientTlsSettings {
    role.store_url.map(|store| store.tls.clone()).unwrap_or_default()
}

/// The URL of an own listener, on this machine.
fn own_url(role: RoleParts<'_>, address: SocketAddr) -> ServerUrl {
    ServerUrl::of(on_this_machine(address), role.tls.tls_cert.is_some())
}

fn own_channel(role: RoleParts<'_>, setting: &str, address: SocketAddr) -> Result<StoreChannel, CliError> {
    endpoints::channel(setting, &own_url(role, address), &client_tls(role))
}

/// Checks a listener of a role that `is_running`, or not, and that tells nothing about itself.
async fn check_other_listener(setting: &str, address: SocketAddr, is_running: bool) -> Finding {
    let connected = tokio::time::timeout(TIMEOUT, TcpStream::connect(on_this_machine(address))).await;
    match (matches!(connected, Ok(Ok(_))), is_running) {
        (true, true) => Finding::ok(AREA, "listener", format!("{setting} {address} accepts connections")),
        (true, false) => Finding::failure(
            AREA,
            "listener",
            format!("another program listens at {address} ({setting})"),
            format!("Stop the other program, or choose another {setting}."),
        ),
        (false, true) => Finding::warning(
            AREA,
            "listener",
            format!("the role runs, and nothing listens at {address} ({setting})"),
            "Restart the role with these settings.",
        ),
        (false, false) => not_own_address(setting, address)
            .unwrap_or_else(|| Finding::ok(AREA, "listener", format!("{setting} {address} is free"))),
    }
}

/// Checks what listens at an own address. Returns `true` if it is this role, and can be called.
async fn check_listener(role: RoleParts<'_>, service: Service, setting: &str, address: SocketAddr) -> (Finding, bool) {
    let connected = tokio::time::timeout(TIMEOUT, TcpStream::connect(on_this_machine(address))).await;
    if !matches!(connected, Ok(Ok(_))) {
        return (not_running(service, setting, address), false);
    }
    let checked = match service {
        Service::Store => {
            let channel = own_channel(role, setting, address).map_err(NotReady::Setting);
            in_time(async { check_store(channel?).await }).await
        }
        Service::Gateway | Service::Bot => in_time(check_http(&own_url(role, address), &client_tls(role))).await,
    };
    let name = service.name();
    let Err(not_ready) = checked else {
        return (Finding::ok(AREA, "listener", format!("{name} runs and is ready at {address}")), true);
    };
    let finding = match (not_ready.tls_failure(), &not_ready) {
        (Some(ConnectError::NotTls), _) => Finding::failure(
            AREA,
            "listener",
            format!("what listens at {address} ({setting}) does not speak TLS"),
            "Restart the role with these settings, or stop the other program.",
        ),
        (Some(ConnectError::TlsOnly), _) => Finding::failure(
            AREA,
            "listener",
            format!("what listens at {address} ({setting}) speaks TLS only"),
            "Check the role with the settings that it runs with: --tls-cert and --tls-key.",
        ),
        (Some(error @ ConnectError::Expired { .. }), _) => {
            Finding::failure(AREA, "listener", format!("{name} at {address}: {error}"), "Renew the certificate.")
        }
        // The certificate is for the public name, and not for this address.
        (Some(_), _) => Finding::ok(AREA, "listener", format!("a server with TLS runs at {address} ({setting})")),
        (None, NotReady::NotServing) => {
            let message = format!("{name} runs at {address}, and is not ready");
            Finding::failure(AREA, "listener", message, "See its log, and the other findings.")
        }
        (None, NotReady::Setting(error)) => {
            let advice = "Name an authority with --ca, or install ca-certificates.";
            Finding::note(AREA, "listener", format!("{name} was not checked: {}", error.message()), advice)
        }
        (None, _) => Finding::failure(
            AREA,
            "listener",
            format!("another program listens at {address}, or {name} does not respond"),
            format!("Stop the other program, or choose another {setting}."),
        ),
    };
    (finding, false)
}

/// The finding for an address of another machine.
fn not_own_address(setting: &str, address: SocketAddr) -> Option<Finding> {
    // Port 0 takes no port from anybody.
    let bound = TcpListener::bind((address.ip(), 0));
    bound.is_err().then(|| {
        Finding::failure(
            AREA,
            "listener",
            format!("{setting} {address} is not an address of this machine"),
            "Use one of this machine, 0.0.0.0 or [::] for all of them, or 127.0.0.1 for this machine alone.",
        )
    })
}

fn not_running(service: Service, setting: &str, address: SocketAddr) -> Finding {
    let name = service.name();
    if let Some(finding) = not_own_address(setting, address) {
        return finding;
    }
    if is_privileged(address.port()) {
        return Finding::note(
            AREA,
            "privileged-port",
            format!("{name} does not run yet, and {setting} {address} needs a right that this process does not have"),
            "Give the service CAP_NET_BIND_SERVICE (AmbientCapabilities= in systemd), or use a port from 1024 on.",
        );
    }
    let advice = "That is right before the first start. If it should run, see its log.";
    Finding::note(
        AREA,
        "listener",
        format!("{name} does not run yet: nothing listens at {address} ({setting})"),
        advice,
    )
}

/// Returns `true` if this process may not listen on `port`.
fn is_privileged(port: u16) -> bool {
    /// The bit of `CAP_NET_BIND_SERVICE`.
    const BIND_SERVICE: u32 = 10;
    let read = |path: &str| std::fs::read_to_string(path).ok();
    let first_free = read("/proc/sys/net/ipv4/ip_unprivileged_port_start").and_then(|text| text.trim().parse().ok());
    let status = read("/proc/self/status").unwrap_or_default();
    let capabilities = status.lines().find_map(|line| line.strip_prefix("CapEff:"));
    let capabilities = capabilities.and_then(|hex| u64::from_str_radix(hex.trim(), 16).ok()).unwrap_or_default();
    port != 0 && port < first_free.unwrap_or(FIRST_FREE_PORT) && capabilities & (1 << BIND_SERVICE) == 0
}

/// Checks that the store accepts the service token. Returns the token of the bot.
async fn check_service_token(role: RoleParts<'_>, store: Result<StoreChannel, CliError>) -> (Finding, BotToken) {
    let asked = tokio::time::timeout(TIMEOUT, ask_for_bot_token(role, store)).await;
    let asked = asked.unwrap_or_else(|_| Err(CliError::unavailable("the store did not respond in time")));
    match asked {
        Ok(token) => (Finding::ok(AREA, "service-token", "the store accepts the service token"), Some(Ok(token))),
        Err(error) => {
            let message = format!("the store does not accept the service token (--service-token): {}", error.message());
            let advice =
                "Give both the same token: that of DATA_DIR/service.token of the store, by --service-token-file.";
            let why = "the store does not return the app config".to_owned();
            (Finding::failure(AREA, "service-token", message, advice), Some(Err(why)))
        }
    }
}

async fn ask_for_bot_token(
    role: RoleParts<'_>,
    store: Result<StoreChannel, CliError>,
) -> Result<Option<Secret>, CliError> {
    let (Some(tokens), Some(data)) = (role.tokens, role.data) else { return Ok(None) };
    let token = tokens.service_token(data, MissingToken::Reject)?;
    let bearer = Bearer::new("--service-token", &token)?;
    let mut client = ConfigServiceClient::with_interceptor(store?, bearer);
    match client.get_last_active_app_config(GetLastActiveAppConfigRequest {}).await {
        Ok(response) => {
            let config = response.into_inner().app_config.filter(|config| config.is_bot.unwrap_or(true));
            Ok(config.map(|config| Secret::new(config.bot_token)))
        }
        Err(status) if ErrorInfo::from_status(&status).reason == ErrorReason::AppConfigNotFound => Ok(None),
        Err(status) if ErrorInfo::from_status(&status).reason == ErrorReason::CredentialsInvalid => {
            Err(CliError::rejected_because("it is not the token of this store"))
        }
        Err(status) => Err(status.into()),
    }
}

/// Checks that the store lets the gateway create messages for users that a proxy has signed in.
async fn check_gateway_token(gateway: &GatewaySettings, store: Result<StoreChannel, CliError>) -> Option<Finding> {
    // The check of the settings reports a file that cannot be read.
    let token = gateway.own_token().ok()??;
    let asking = async {
        let bearer = Bearer::new("--gateway-token", &token)?;
        let mut client = ApiTokenServiceClient::with_interceptor(store?, bearer);
        client.check_scope(CheckScopeRequest { scope: ApiTokenScope::Create.into() }).await?;
        Ok::<_, CliError>(())
    };
    let asked = tokio::time::timeout(TIMEOUT, asking).await;
    let asked = asked.unwrap_or_else(|_| Err(CliError::unavailable("the store did not respond in time")));
    Some(match asked {
        Ok(()) => Finding::ok(AREA, "gateway-token", "the store accepts the gateway's token"),
        Err(error) => Finding::failure(
            AREA,
            "gateway-token",
            format!("the gateway cannot create messages with its token (--gateway-token): {}", error.message()),
            "Make a token by `mayfly tokens add gateway --scope create`, and name its file by --gateway-token-file.",
        ),
    })
}

/// Asks a running bot for its state, if the admin token is known here.
async fn check_bot_state(role: RoleParts<'_>, bot: Result<BotChannel, CliError>) -> Vec<Finding> {
    let (Some(tokens), Some(data)) = (role.tokens, role.data) else { return Vec::new() };
    let token = tokens.admin_token(data, MissingToken::Reject).ok();
    let Some(bearer) = token.and_then(|token| Bearer::new("--admin-token", &token).ok()) else { return Vec::new() };
    let Ok(bot) = bot else { return Vec::new() };
    let mut client = BotServiceClient::with_interceptor(bot, bearer);
    let asked = tokio::time::timeout(TIMEOUT, client.get_bot_status(GetBotStatusRequest {})).await;
    match asked {
        Ok(Ok(response)) => response.into_inner().status.map(|status| bot_state(&status)).unwrap_or_default(),
        _ => {
            let message = "the bot does not tell its state: the admin token is not that of its store, or it is busy";
            vec![Finding::note(AREA, "bot-state", message, "See its status page, or its log.")]
        }
    }
}

fn bot_state(status: &BotStatus) -> Vec<Finding> {
    let failure = |message: &str, advice: &str| Finding::failure(AREA, "bot-state", message, advice);
    let note = |message: &str, advice: &str| Finding::note(AREA, "bot-state", message, advice);
    let mut findings = vec![match status.state() {
        BotState::Serving => Finding::ok(AREA, "bot-state", format!("the bot @{} is connected", status.user_name)),
        BotState::WaitingForConfig => {
            note("the bot waits for an app config", "Add one with mayfly config add, or at /admin.")
        }
        BotState::SigningIn | BotState::Unspecified => note("the bot is connecting", "Run this again."),
        BotState::WaitingForStore => failure("the bot cannot reach its store", "Check --store-url of the bot."),
        BotState::TokenRefused => {
            failure("Telegram rejects the bot token", "Put the current token of @BotFather into the app config.")
        }
        BotState::TelegramUnreachable => failure("the bot cannot reach Telegram", "Check its network and DNS."),
        BotState::Conflict => failure(
            "another program polls Telegram with the same bot token",
            "Stop the other program, or revoke the token at @BotFather.",
        ),
        BotState::WebhookRefused => failure(
            "Telegram refuses the webhook",
            "Check --webhook-url: https, a public name, and a valid certificate.",
        ),
    }];
    let own = env!("CARGO_PKG_VERSION");
    if status.version != own {
        findings.push(Finding::warning(
            AREA,
            "version",
            format!("the running bot is Mayfly {}, and this is {own}", status.version),
            "Restart the roles after an upgrade.",
        ));
    }
    findings
}

#[cfg(test)]
mod tests {
    use super::{super::finding::Severity, *};

    #[test]
    fn each_state_of_a_running_bot_has_a_finding() {
        let severity = |state: BotState| {
            let version = env!("CARGO_PKG_VERSION").to_owned();
            let found = bot_state(&BotStatus { state: state.into(), version, ..BotStatus::default() });
            assert_eq!(found.len(), 1);
            found[0].severity
        };
        let cases = [
            (BotState::Unspecified, Severity::Note),
            (BotState::WaitingForStore, Severity::Failure),
            (BotState::WaitingForConfig, Severity::Note),
            (BotState::SigningIn, Severity::Note),
            (BotState::TokenRefused, Severity::Failure),
            (BotState::TelegramUnreachable, Severity::Failure),
            (BotState::Conflict, Severity::Failure),
            (BotState::Serving, Severity::Ok),
            (BotState::WebhookRefused, Severity::Failure),
        ];
        for (state, expected) in cases {
            assert_eq!(severity(state), expected, "{state:?}");
        }
        let older = BotStatus { state: BotState::Serving.into(), version: "0.0.1".to_owned(), ..BotStatus::default() };
        assert_eq!(bot_state(&older).last().map(|finding| finding.id), Some("version"));
    }

    #[test]
    fn an_address_of_another_machine_is_told() {
        let elsewhere = not_running(Service::Store, "--store-listen", "192.0.2.1:50051".parse().unwrap());
        assert_eq!(elsewhere.severity, Severity::Failure);
        assert!(!is_privileged(8001) && !is_privileged(0));
    }
}
