//! [`ConnectError`]: why a client and a server found no common ground, in words for an operator.

use std::{
    error::Error,
    io,
    sync::{Mutex, PoisonError},
};

use tokio_rustls::rustls::{self, AlertDescription, CertificateError};
use tower::BoxError;

use super::files::utc;

/// The response of a listener to HTTP/2 without TLS: SETTINGS, and GOAWAY with the error INADEQUATE_SECURITY (RFC 9113,
/// section 7).
#[rustfmt::skip]
pub(super) const PLAIN_HTTP2_RESPONSE: &[u8] = &[
    0, 0, 0, 4, 0, 0, 0, 0, 0,
    0, 0, 8, 7, 0, 0, 0, 0, 0, /* last stream */ 0, 0, 0, 0, /* error */ 0, 0, 0, 12,
];
/// The beginning of an alert of TLS.
const TLS_ALERT: [u8; 2] = [21, 3];

/// A connection failed because of TLS. The message says what to change.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ConnectError {
    /// The server speaks no TLS.
    #[error("the server does not speak TLS: use http://, or give the server --tls-cert and --tls-key")]
    NotTls,
    /// The server speaks TLS only.
    #[error("the server speaks TLS only: use https://")]
    TlsOnly,
    /// The certificate names other hosts.
    #[error("the certificate of the server is for {presented}, and not for {expected}")]
    OtherHost {
        /// The host of the URL.
        expected: String,
        /// The names in the certificate.
        presented: String,
    },
    /// No known authority issued the certificate.
    #[error("no known authority issued the certificate of the server: name the file of its authority with --ca")]
    UnknownIssuer,
    /// The certificate is no longer valid.
    #[error("the certificate of the server expired at {since}")]
    Expired {
        /// Since when, in RFC 3339.
        since: String,
    },
    /// The certificate is not valid yet.
    #[error("the certificate of the server is not valid before {until}: compare the clocks")]
    NotYetValid {
        /// From when on, in RFC 3339.
        until: String,
    },
    /// The server accepts only clients with a certificate.
    #[error("the server requires a certificate of its clients: name one with --client-cert and --client-key")]
    CertificateRequired,
    /// The server does not accept the certificate of this client.
    #[error("the server rejects the certificate of this client (--client-cert): {alert}")]
    CertificateRejected {
        /// Its reason.
        alert: String,
    },
    /// Another failure of TLS.
    #[error("TLS failed: {0}")]
    Other(String),
}

impl ConnectError {
    fn from_rustls(error: &rustls::Error) -> Self {
        match error {
            rustls::Error::InvalidMessage(_) => Self::NotTls,
            rustls::Error::InvalidCertificate(fault) => Self::from_certificate(fault),
            rustls::Error::AlertReceived(alert) => match alert {
                AlertDescription::CertificateRequired => Self::CertificateRequired,
                AlertDescription::BadCertificate
                | AlertDescription::UnsupportedCertificate
                | AlertDescription::CertificateRevoked
                | AlertDescription::CertificateExpired
                | AlertDescription::CertificateUnknown
                | AlertDescription::DecryptError
                | AlertDescription::UnknownCA
                | AlertDescription::AccessDenied => Self::CertificateRejected { alert: format!("{alert:?}") },
                alert => Self::Other(format!("the server reports {alert:?}")),
            },
            error => Self::Other(error.to_string()),
        }
    }

    fn from_certificate(fault: &CertificateError) -> Self {
        match fault {
            CertificateError::NotValidForNameContext { expected, presented } => {
                let names: Vec<_> = presented.iter().map(|name| plain_name(name)).collect();
                let presented = if names.is_empty() { "no host".to_owned() } else { names.join(", ") };
                Self::OtherHost { expected: expected.to_str().into_owned(), presented }
            }
            // Another authority with the same name has another key.
            CertificateError::UnknownIssuer | CertificateError::BadSignature => Self::UnknownIssuer,
            CertificateError::ExpiredContext { not_after, .. } => Self::Expired { since: utc(*not_after).to_string() },
            CertificateError::NotValidYetContext { not_before, .. } => {
                Self::NotYetValid { until: utc(*not_before).to_string() }
            }
            fault => Self::Other(format!("the certificate of the server is invalid: {fault}")),
        }
    }

    /// The failure in the chain of `error`, if TLS is its cause.
    fn find(error: &(dyn Error + 'static)) -> Option<Self> {
        let mut cause = Some(error);
        while let Some(error) = cause {
            if let Some(found) = error.downcast_ref::<Self>() {
                return Some(found.clone());
            }
            if let Some(found) = error.downcast_ref::<Explained>() {
                return Some(found.cause.clone());
            }
            if let Some(found) = error.downcast_ref::<rustls::Error>() {
                return Some(Self::from_rustls(found));
            }
            // The source of an I/O error is the source of its inner error, not the inner error itself.
            cause = match error.downcast_ref::<io::Error>().and_then(io::Error::get_ref) {
                Some(inner) => Some(inner),
                None => error.source(),
            };
        }
        None
    }
}

/// `DnsName("store")` and `IpAddress(127.0.0.1)` without their kinds.
pub(super) fn plain_name(name: &str) -> &str {
    let inner = name.split_once('(').and_then(|(_, inner)| inner.strip_suffix(')')).unwrap_or(name);
    inner.trim_matches('"')
}

/// The TLS failure that caused `error`, if one did.
#[must_use]
pub fn explain(error: &(dyn Error + 'static)) -> Option<ConnectError> {
    ConnectError::find(error)
}

/// Why a server did not accept the last connection of a client. Calls that wait for the connection then end as
/// cancelled, without a cause.
#[derive(Debug, Default)]
pub(super) struct LastFailure(Mutex<Option<ConnectError>>);

impl LastFailure {
    /// Records the failure of a connection, if TLS is its cause.
    pub(super) fn record(&self, error: &(dyn Error + 'static)) {
        if let Some(found) = ConnectError::find(error) {
            self.set(Some(found));
        }
    }

    /// Records what the first bytes of the server mean.
    pub(super) fn record_first_bytes(&self, bytes: &[u8], is_tls: bool) {
        let is_refusal = !is_tls && (bytes.starts_with(PLAIN_HTTP2_RESPONSE) || bytes.starts_with(&TLS_ALERT));
        self.set(is_refusal.then_some(ConnectError::TlsOnly));
    }

    fn set(&self, failure: Option<ConnectError>) {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner) = failure;
    }

    /// `error`, with the failure as its cause if there is one.
    pub(super) fn explain(&self, source: BoxError) -> BoxError {
        let failure = self.0.lock().unwrap_or_else(PoisonError::into_inner).clone();
        match failure {
            Some(cause) => Box::new(Explained { cause, source }),
            None => source,
        }
    }
}

/// The error of a call, and why its connection was not accepted.
#[derive(Debug, thiserror::Error)]
#[error("{cause}")]
struct Explained {
    cause: ConnectError,
    source: BoxError,
}
