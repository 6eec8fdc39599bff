//! The metrics of TLS.

use std::time::SystemTime;

use super::{inspection::validity, server::ServerTls};
use crate::metrics::Metrics;

impl ServerTls {
    /// Registers when the certificate of the listeners expires.
    pub fn register(&self, metrics: &mut Metrics) {
        let tls = self.clone();
        let help = "When the certificate of the listeners expires, in seconds since 1970";
        metrics.optional_gauge("mayfly_tls_certificate_expiry_timestamp_seconds", help, move || {
            tls.expiry().and_then(|time| Some(time.duration_since(SystemTime::UNIX_EPOCH).ok()?.as_secs_f64()))
        });
    }

    /// When the certificate expires.
    pub(super) fn expiry(&self) -> Option<SystemTime> {
        self.0.certificate().map(|certificate| validity(&certificate).1)
    }
}
