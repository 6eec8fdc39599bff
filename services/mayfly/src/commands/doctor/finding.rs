//! [`Finding`]: what a check found.

/// How bad a finding is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Severity {
    /// As it should be.
    Ok,
    /// Worth knowing.
    Note,
    /// Works, but is not safe or will stop working.
    Warning,
    /// The role cannot start or work so.
    Failure,
}

impl Severity {
    /// Its name in reports.
    pub(super) fn name(self) -> &'static str {
        match self {
            Self::Ok => "ok",
            Self::Note => "note",
            Self::Warning => "warning",
            Self::Failure => "failure",
        }
    }
}

/// What a check found. Contains no secrets.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Finding {
    /// What was checked: settings, files, …
    pub(super) area: &'static str,
    /// A name of the finding in its area, which does not change between versions.
    pub(super) id: &'static str,
    pub(super) severity: Severity,
    /// What is so.
    pub(super) message: String,
    /// What to do about it.
    pub(super) advice: Option<String>,
}

impl Finding {
    /// All is well.
    pub(super) fn ok(area: &'static str, id: &'static str, message: impl Into<String>) -> Self {
        Self { area, id, severity: Severity::Ok, message: message.into(), advice: None }
    }

    /// Worth knowing.
    pub(super) fn note(
        area: &'static str,
        id: &'static str,
        message: impl Into<String>,
        advice: impl Into<String>,
    ) -> Self {
        Self { severity: Severity::Note, advice: Some(advice.into()), ..Self::ok(area, id, message) }
    }

    /// A risk.
    pub(super) fn warning(
        area: &'static str,
        id: &'static str,
        message: impl Into<String>,
        advice: impl Into<String>,
    ) -> Self {
        Self { severity: Severity::Warning, ..Self::note(area, id, message, advice) }
    }

    /// A fault.
    pub(super) fn failure(
        area: &'static str,
        id: &'static str,
        message: impl Into<String>,
        advice: impl Into<String>,
    ) -> Self {
        Self { severity: Severity::Failure, ..Self::note(area, id, message, advice) }
    }
}
