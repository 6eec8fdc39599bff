//! The certificates of the listeners and of the clients.

use std::time::{Duration, SystemTime};

use mayfly_bootstrap::{
    ErrorChain, ServerUrl,
    tls::{CertificateInfo, TlsFileError},
};

use super::finding::Finding;
use crate::roles::RoleParts;

const AREA: &str = "tls";
/// A certificate must be renewed when less than this is left, or than a quarter of its validity.
const RENEWAL: Duration = Duration::from_hours(21 * 24);
const DAY: Duration = Duration::from_hours(24);

/// Checks the files of TLS that a role names.
pub(super) fn check(role: RoleParts<'_>) -> Vec<Finding> {
    let mut findings = Vec::new();
    match role.tls.inspect() {
        Ok(certificates) => {
            for certificate in &certificates {
                findings.push(check_validity(certificate, SystemTime::now()));
                if certificate.setting == "--tls-cert" {
                    findings.extend(check_names(role, certificate));
                }
            }
        }
        Err(error) => findings.push(unusable(&error)),
    }
    let is_collector_https = role.otlp.otlp_endpoint.as_ref().is_some_and(ServerUrl::is_https);
    if role.store_url.is_some() || is_collector_https {
        match role.client_tls.inspect() {
            Ok(certificates) => {
                findings.extend(certificates.iter().map(|certificate| check_validity(certificate, SystemTime::now())));
            }
            Err(error) => findings.push(unusable(&error)),
        }
    }
    findings
}

fn unusable(error: &TlsFileError) -> Finding {
    let advice = match error {
        TlsFileError::Expired { .. } => "Renew the certificate. A running role goes on with the one before.",
        TlsFileError::NotYetValid { .. } => "Check the clock of this machine.",
        TlsFileError::Mismatch { .. } => "Name the certificate and the key that were issued together.",
        _ => "Correct the file or its path; the role does not start so.",
    };
    Finding::failure(AREA, "file", ErrorChain(error).to_string(), advice)
}

fn check_validity(certificate: &CertificateInfo, now: SystemTime) -> Finding {
    let CertificateInfo { setting, path, not_before, not_after, .. } = certificate;
    let path = path.display();
    let Ok(left) = not_after.duration_since(now) else {
        let message = format!("{setting}: a certificate in {path} has expired");
        return Finding::failure(AREA, "expired", message, "Renew it.");
    };
    let days = left.as_secs() / DAY.as_secs();
    let validity = not_after.duration_since(*not_before).unwrap_or_default();
    if left < RENEWAL.min(validity / 4) {
        let message = format!("{setting}: a certificate in {path} expires in {days} days");
        let advice = "Renew it now, and check why that did not happen by itself.";
        return Finding::warning(AREA, "expires", message, advice);
    }
    Finding::ok(AREA, "valid", format!("{setting}: the certificates in {path} are valid for {days} more days"))
}

/// Checks that the certificate of the listeners is for the public name, and issued by an authority that browsers know.
fn check_names(role: RoleParts<'_>, certificate: &CertificateInfo) -> Vec<Finding> {
    let names = certificate.names.join(", ");
    let mut findings = Vec::new();
    // A gateway behind proxies has another name for them.
    let public = role.public_url.filter(|_| role.gateway.is_some_and(|gateway| gateway.trusted_proxies == 0));
    match public {
        Some(public) if !certificate.is_for(public.host()) => findings.push(Finding::failure(
            AREA,
            "name",
            format!("--tls-cert is for {names}, and not for {}, the host of --public-url", public.host()),
            "Get a certificate for that name, or correct --public-url.",
        )),
        _ => findings.push(Finding::ok(AREA, "name", format!("--tls-cert is for {names}"))),
    }
    if certificate.is_public() == Some(false) {
        let message = "no authority that this system knows issued the certificate of --tls-cert";
        findings.push(match public {
            Some(_) => Finding::warning(
                AREA,
                "authority",
                message,
                "Browsers will refuse it. Use a public authority, and put its intermediate certificates into the file.",
            ),
            None => Finding::note(AREA, "authority", message, "Callers need the authority's certificate in --ca."),
        });
    }
    findings
}
