//! [`Report`]: all findings as text or as JSON.

use std::fmt::Write as _;

use serde_json::{Value, json};

use super::finding::{Finding, Severity};

/// The findings about a role.
pub(super) struct Report {
    role: &'static str,
    findings: Vec<Finding>,
}

impl Report {
    pub(super) fn new(role: &'static str, findings: Vec<Finding>) -> Self {
        Self { role, findings }
    }

    /// The worst severity.
    pub(super) fn worst(&self) -> Severity {
        self.findings.iter().map(|finding| finding.severity).max().unwrap_or(Severity::Ok)
    }

    fn count(&self, severity: Severity) -> usize {
        self.findings.iter().filter(|finding| finding.severity == severity).count()
    }

    /// The numbers of findings, in words.
    pub(super) fn summary(&self) -> String {
        let counted = |severity, name: &str| match self.count(severity) {
            0 => None,
            1 => Some(format!("1 {name}")),
            count => Some(format!("{count} {name}s")),
        };
        let counts = [(Severity::Failure, "failure"), (Severity::Warning, "warning"), (Severity::Note, "note")];
        let counts: Vec<_> = counts.into_iter().filter_map(|(severity, name)| counted(severity, name)).collect();
        if counts.is_empty() { "all is well".to_owned() } else { counts.join(", ") }
    }

    /// One finding a line, below its area, with what to do.
    pub(super) fn to_text(&self) -> String {
        let mut text = format!("Mayfly {}: checked `mayfly {}`\n", env!("CARGO_PKG_VERSION"), self.role);
        let mut area = "";
        for finding in &self.findings {
            if finding.area != area {
                area = finding.area;
                // Writing to a string does not fail.
                let _ = writeln!(text, "\n{area}");
            }
            let _ = writeln!(text, "  {:8} {}", finding.severity.name(), finding.message);
            if let Some(advice) = &finding.advice {
                let _ = writeln!(text, "           {advice}");
            }
        }
        let _ = writeln!(text, "\n{}", self.summary());
        text
    }

    /// A stable form for programs: fields may be added, but none changes or goes away.
    pub(super) fn to_json(&self) -> Value {
        let finding = |finding: &Finding| {
            json!({
                "area": finding.area,
                "id": format!("{}.{}", finding.area, finding.id),
                "severity": finding.severity.name(),
                "message": finding.message,
                "advice": finding.advice,
            })
        };
        json!({
            "version": env!("CARGO_PKG_VERSION"),
            "role": self.role,
            "result": self.worst().name(),
            "findings": self.findings.iter().map(finding).collect::<Vec<_>>(),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_report_has_all_findings_and_the_worst_result() {
        let findings = vec![
            Finding::ok("files", "mode", "fine"),
            Finding::note("files", "new", "there is no database yet", "The first start creates it."),
            Finding::warning("space", "full", "almost full", "Make room."),
            Finding::note("space", "inodes", "not limited", "Nothing to do."),
        ];
        let report = Report::new("up", findings);
        assert_eq!(report.worst(), Severity::Warning);
        assert_eq!(report.summary(), "1 warning, 2 notes");
        assert_eq!(
            report.to_text().split_once('\n').unwrap().1,
            "\nfiles\n  ok       fine\n  note     there is no database yet\n           The first start creates it.\n\
             \nspace\n  warning  almost full\n           Make room.\n  note     not limited\n           \
             Nothing to do.\n\n1 warning, 2 notes\n"
        );
        let json = report.to_json();
        assert_eq!((&json["role"], &json["result"]), (&json!("up"), &json!("warning")));
        assert_eq!(
            json["findings"][2],
            json!({
                "area": "space", "id": "space.full", "severity": "warning", "message": "almost full",
                "advice": "Make room."
            })
        );
        assert_eq!(json["findings"][0]["advice"], Value::Null);
    }

    #[test]
    fn a_report_without_findings_is_well() {
        let report = Report::new("bot", Vec::new());
        assert_eq!((report.worst(), report.summary().as_str()), (Severity::Ok, "all is well"));
    }
}
