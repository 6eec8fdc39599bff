//! Renders the page. It is complete without its script. The script keeps it up to date.

use super::report::{Report, ReportedError};

const PAGE: &str = include_str!("assets/page.html");
const ERROR: &str = include_str!("assets/error.html");
const SIMULATOR: &str = include_str!("assets/simulator.html");
const SIMULATOR_HEAD: &str = include_str!("assets/simulator_head.html");

/// The value of a placeholder.
enum Value {
    /// Text, which is escaped.
    Text(String),
    /// HTML, inserted unchanged.
    Html(String),
}

pub(super) fn page(report: &Report, with_simulator: bool) -> String {
    let simulator = |html: &str| Value::Html(if with_simulator { html.to_owned() } else { String::new() });
    let text = |text: &str| Value::Text(text.to_owned());
    let number = |number: u64| Value::Text(number.to_string());
    fill(PAGE, |name| {
        Some(match name {
            "health" => text(report.health),
            "state" => text(report.state),
            "bot" => {
                Value::Text(report.bot.as_ref().map_or_else(|| "Mayfly bot".to_owned(), |name| format!("@{name}")))
            }
            "mode" => text(report.mode),
            "app_config" => Value::Text(report.app_config_id.map_or_else(|| "none".to_owned(), |id| id.to_string())),
            "store" => text(if report.is_store_connected { "connected" } else { "cannot be reached" }),
            "last_update_time" => text(report.last_update_time.as_deref().unwrap_or_default()),
            "last_update" => Value::Text(report.last_update_time.as_deref().map_or("none yet".to_owned(), readable)),
            "queued_updates" => number(report.queued_updates as u64),
            "failed_updates" => number(report.failed_updates),
            "errors" => Value::Html(report.errors.iter().map(error).collect()),
            "version" => text(report.version),
            "simulator_head" => simulator(SIMULATOR_HEAD),
            "simulator" => simulator(SIMULATOR),
            _ => return None,
        })
    })
}

fn error(error: &ReportedError) -> String {
    fill(ERROR, |name| {
        Some(Value::Text(match name {
            "what" => error.what.to_owned(),
            "count" => error.count.to_string(),
            "time" => error.time.clone(),
            "when" => readable(&error.time),
            _ => return None,
        }))
    })
}

/// Formats RFC 3339 in UTC as `2026-11-22 08:02:44 UTC`.
fn readable(time: &str) -> String {
    time.replace('T', " ").replace('Z', " UTC")
}

/// Replaces each `{{name}}` in `template`. An unknown one stays, and fails a test. Values are not expanded again.
fn fill(template: &str, value: impl Fn(&str) -> Option<Value>) -> String {
    let mut parts = template.split("{{");
    let mut filled = parts.next().unwrap_or_default().to_owned();
    for part in parts {
        let (name, rest) = part.split_once("}}").unwrap_or((part, ""));
        match value(name) {
            Some(Value::Text(text)) => filled.push_str(&escaped(&text)),
            Some(Value::Html(html)) => filled.push_str(&html),
            None => filled.push_str(&format!("{{{{{name}}}}}")),
        }
        filled.push_str(rest);
    }
    filled
}

/// Escapes text for an element or a quoted attribute.
fn escaped(text: &str) -> String {
    let mut escaped = String::with_capacity(text.len());
    for character in text.chars() {
        match character {
            '&' => escaped.push_str("&amp;"),
            '<' => escaped.push_str("&lt;"),
            '>' => escaped.push_str("&gt;"),
            '"' => escaped.push_str("&quot;"),
            '\'' => escaped.push_str("&#39;"),
            other => escaped.push(other),
        }
    }
    escaped
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::status::tracker::StatusTracker;

    #[test]
    fn every_placeholder_is_filled() {
        let status = StatusTracker::default();
        status.record_error("something");
        let page = page(&Report::of(status.snapshot()), true);
        assert!(!page.contains("{{"), "{page}");
        assert!(page.contains("something"), "{page}");
    }

    #[test]
    fn values_are_escaped() {
        let status = StatusTracker::default();
        status.set_bot(Some(r#"<b title="'&">{{version}}"#.to_owned()));
        let page = page(&Report::of(status.snapshot()), true);
        assert!(page.contains("@&lt;b title=&quot;&#39;&amp;&quot;&gt;{{version}}"), "{page}");
        assert!(!page.contains("<b "), "{page}");
    }

    #[test]
    fn nothing_on_the_page_is_inline_or_from_elsewhere() {
        for forbidden in ["style=", "<style", " onclick", "://", "<script>"] {
            for html in [PAGE, ERROR, SIMULATOR, SIMULATOR_HEAD] {
                assert!(!html.contains(forbidden), "{forbidden}");
            }
        }
    }
}
