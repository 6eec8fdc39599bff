//! The bot at Telegram: its token and its webhook. Updates are not polled, since that would stop a running bot.

use std::time::{Duration, SystemTime};

use mayfly_bootstrap::{ErrorChain, Secret};
use mayfly_bot::{ProbeError, TelegramProbe, WebhookState, probe};

use super::finding::Finding;
use crate::roles::RoleParts;

const AREA: &str = "telegram";
/// So many waiting updates show that the bot does not keep up, or does not run.
const MANY_UPDATES: u64 = 100;
/// For how long a failed delivery matters.
const RECENT: Duration = Duration::from_hours(1);

/// Checks the bot with `token`: that of the last active app config, or why it is not known. `Ok(None)`: there is none.
pub(super) async fn check(role: RoleParts<'_>, token: Option<Result<Option<Secret>, String>>) -> Vec<Finding> {
    let Some(bot) = role.bot else { return Vec::new() };
    let token = match token {
        // The store cannot be reached, which is a finding of its own.
        None => return vec![not_checked("the app config of the bot is not known")],
        Some(Err(error)) => return vec![not_checked(&error)],
        Some(Ok(None)) => {
            let advice = "Add one with mayfly config add, or at /admin. Without a bot there is nothing to do.";
            return vec![Finding::note(AREA, "no-config", "no app config for a bot is active", advice)];
        }
        Some(Ok(Some(token))) => token,
    };
    match probe(bot, &token).await {
        Ok(probed) => check_probe(&probed, bot.webhook_url.is_some(), SystemTime::now()),
        Err(error) => {
            let advice = match error {
                ProbeError::TokenRefused => "Get the current token from @BotFather, and put it into the app config.",
                _ => "Check the network, DNS and --telegram-api-url.",
            };
            vec![Finding::failure(AREA, "token", ErrorChain(&error).to_string(), advice)]
        }
    }
}

fn not_checked(why: &str) -> Finding {
    Finding::note(
        AREA,
        "not-checked",
        format!("the bot was not checked: {why}"),
        "See the findings above. Before the first start there is no bot.",
    )
}

fn check_probe(probed: &TelegramProbe, has_webhook: bool, now: SystemTime) -> Vec<Finding> {
    let mut findings = vec![Finding::ok(AREA, "token", format!("the bot is @{}", probed.user_name))];
    findings.push(match (&probed.webhook, has_webhook) {
        (WebhookState::NotSet, false) => Finding::ok(AREA, "webhook", "no webhook is set, and the bot polls"),
        (WebhookState::AsConfigured, _) => Finding::ok(AREA, "webhook", "the webhook is set as in --webhook-url"),
        (WebhookState::NotSet, true) => Finding::note(
            AREA,
            "webhook",
            "the webhook of --webhook-url is not set",
            "The bot sets it when it starts. If it runs, see its log.",
        ),
        (WebhookState::Other { host }, false) => Finding::warning(
            AREA,
            "webhook",
            format!("a webhook to {host} is set, and the bot should poll"),
            "The bot removes it when it starts. Stop the other program with this token, if there is one.",
        ),
        (WebhookState::Other { host }, true) => Finding::warning(
            AREA,
            "webhook",
            format!("a webhook to {host} is set, and not exactly the one of --webhook-url"),
            "The bot replaces it when it starts. Stop the other program with this token, if there is one.",
        ),
    });
    if probed.pending_updates >= MANY_UPDATES {
        findings.push(Finding::warning(
            AREA,
            "pending-updates",
            format!("{} updates wait for the bot", probed.pending_updates),
            "Check that the bot runs, and that Telegram reaches its webhook.",
        ));
    }
    if let Some((time, reason)) = &probed.last_error {
        let age = now.duration_since(*time).unwrap_or_default();
        let seconds = Duration::from_secs(age.as_secs());
        let message =
            format!("Telegram could not deliver an update {} ago: {reason}", humantime::format_duration(seconds));
        let advice =
            "Check that the address of --webhook-url leads to the bot, with a certificate that Telegram accepts.";
        findings.push(match age < RECENT {
            true => Finding::warning(AREA, "last-error", message, advice),
            false => Finding::note(AREA, "last-error", message, advice),
        });
    }
    findings
}

#[cfg(test)]
mod tests {
    use super::{super::finding::Severity, *};

    fn good() -> TelegramProbe {
        TelegramProbe {
            user_name: "mayfly_bot".to_owned(),
            webhook: WebhookState::NotSet,
            pending_updates: 0,
            last_error: None,
        }
    }

    #[test]
    fn each_state_of_a_bot_has_a_finding() {
        let now = SystemTime::UNIX_EPOCH + Duration::from_hours(1000);
        let worst = |probed: &TelegramProbe, has_webhook| {
            let found = check_probe(probed, has_webhook, now);
            let worst = found.into_iter().max_by_key(|finding| finding.severity).unwrap();
            (worst.id, worst.severity)
        };
        let other = || WebhookState::Other { host: "other.example".to_owned() };
        let error = |hours| Some((now - Duration::from_hours(hours), "503".to_owned()));
        let cases = [
            (good(), false, Severity::Ok, None),
            (good(), true, Severity::Note, Some("webhook")),
            (TelegramProbe { webhook: WebhookState::AsConfigured, ..good() }, true, Severity::Ok, None),
            (TelegramProbe { webhook: other(), ..good() }, false, Severity::Warning, Some("webhook")),
            (TelegramProbe { webhook: other(), ..good() }, true, Severity::Warning, Some("webhook")),
            (TelegramProbe { pending_updates: 100, ..good() }, false, Severity::Warning, Some("pending-updates")),
            (TelegramProbe { last_error: error(0), ..good() }, false, Severity::Warning, Some("last-error")),
            (TelegramProbe { last_error: error(30), ..good() }, false, Severity::Note, Some("last-error")),
        ];
        for (probed, has_webhook, severity, id) in cases {
            let (worst_id, worst_severity) = worst(&probed, has_webhook);
            assert_eq!(worst_severity, severity, "{probed:?}");
            assert!(id.is_none_or(|id| id == worst_id), "{probed:?}");
        }
    }
}
