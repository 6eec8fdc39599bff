//! [`CertificateInfo`]: what an operator wants to know of the certificates in files.

use std::{
    path::{Path, PathBuf},
    time::{Duration, SystemTime},
};

use tokio_rustls::rustls::{
    self, CertificateError, RootCertStore,
    client::{verify_server_cert_signed_by_trust_anchor, verify_server_name},
    pki_types::{CertificateDer, ServerName, UnixTime},
    server::ParsedCertificate,
};

use super::{
    client::{ClientTlsSettings, system_authorities},
    connect_error::plain_name,
    files::{NamedFile, TlsFileError, TlsFiles},
    provider,
    server::ServerTlsSettings,
};
use crate::secret_file;

/// A name that no certificate has, so that the error lists the names that it has.
const NO_HOST: &str = "no-host.invalid";
/// The last second of the year 9999, the latest end of a certificate.
const LAST_SECOND: u64 = 253_402_300_799;

/// The certificates of a file that a setting names.
#[derive(Clone, Debug)]
pub struct CertificateInfo {
    /// The setting.
    pub setting: &'static str,
    /// The file.
    pub path: PathBuf,
    /// When the first certificate begins to be valid.
    pub not_before: SystemTime,
    /// When the first of the certificates ends to be valid.
    pub not_after: SystemTime,
    /// The host names and addresses of the first certificate.
    pub names: Vec<String>,
    chain: Vec<CertificateDer<'static>>,
}

impl ServerTlsSettings {
    /// The certificates in the files, none without TLS. The files were checked as at the start of a listener.
    ///
    /// # Errors
    ///
    /// [`TlsFileError`] when a file cannot be used.
    pub fn inspect(&self) -> Result<Vec<CertificateInfo>, TlsFileError> {
        // Checks that the authorities can verify clients, which the certificates alone do not show.
        self.load()?;
        self.files().map_or(Ok(Vec::new()), |files| certificates(&files))
    }
}

impl ClientTlsSettings {
    /// The certificates in the files. The files were checked as at the start of a client.
    ///
    /// # Errors
    ///
    /// [`TlsFileError`] when a file cannot be used.
    pub fn inspect(&self) -> Result<Vec<CertificateInfo>, TlsFileError> {
        if self.ca.is_some() {
            self.load()?;
        }
        certificates(&self.files())
    }
}

fn certificates(files: &TlsFiles) -> Result<Vec<CertificateInfo>, TlsFileError> {
    let contents = files.read()?;
    files.identity(&contents)?;
    files.authorities(&contents)?;
    let identity = files.identity.as_ref().map(|(certificate, _)| certificate);
    let identity = identity.zip(contents.identity.as_ref().map(|(certificate, _)| certificate));
    let authorities = files.authorities.as_ref().zip(contents.authorities.as_ref());
    let inspect = |(file, pem): (&NamedFile, _)| {
        let chain = file.certificates(pem)?;
        let valid: Vec<_> = chain.iter().map(validity).collect();
        Ok(CertificateInfo {
            setting: file.setting,
            path: file.path.clone(),
            not_before: valid.first().map_or(SystemTime::UNIX_EPOCH, |(not_before, _)| *not_before),
            not_after: valid.iter().map(|(_, not_after)| *not_after).min().unwrap_or(SystemTime::UNIX_EPOCH),
            names: chain.first().map(names).unwrap_or_default(),
            chain,
        })
    };
    identity.into_iter().chain(authorities).map(inspect).collect()
}

impl CertificateInfo {
    /// Returns `true` if the certificate is for `host`, a name or an address.
    #[must_use]
    pub fn is_for(&self, host: &str) -> bool {
        let name = ServerName::try_from(host.trim_matches(['[', ']']).to_owned());
        let parsed = self.chain.first().map(ParsedCertificate::try_from);
        match (name, parsed) {
            (Ok(name), Some(Ok(parsed))) => verify_server_name(&parsed, &name).is_ok(),
            _ => false,
        }
    }

    /// Returns `true` if an authority in the PEM file at `authorities` issued the certificate, directly or by the other
    /// certificates of its file.
    #[must_use]
    pub fn is_issued_by(&self, authorities: &Path) -> bool {
        let file = NamedFile { setting: "--ca", path: authorities.to_owned() };
        let known = secret_file::read(authorities).ok().and_then(|pem| file.certificates(&pem).ok());
        let mut roots = RootCertStore::empty();
        roots.add_parsable_certificates(known.unwrap_or_default());
        let chain = self.chain.split_first();
        chain.is_some_and(|(leaf, intermediates)| verify(leaf, &roots, intermediates, UnixTime::now()).is_ok())
    }

    /// Returns `true` if an authority of this system issued the certificate, directly or by the other certificates of
    /// the file. `None`: this system has no list of authorities.
    #[must_use]
    pub fn is_public(&self) -> Option<bool> {
        let roots = system_authorities().ok()?;
        let (leaf, intermediates) = self.chain.split_first()?;
        Some(verify(leaf, &roots, intermediates, UnixTime::now()).is_ok())
    }
}

fn verify(
    certificate: &CertificateDer<'_>,
    roots: &RootCertStore,
    intermediates: &[CertificateDer<'_>],
    now: UnixTime,
) -> Result<(), rustls::Error> {
    let parsed = ParsedCertificate::try_from(certificate)?;
    let algorithms = provider().signature_verification_algorithms.all;
    verify_server_cert_signed_by_trust_anchor(&parsed, roots, intermediates, now, algorithms)
}

/// From when and until when a certificate is valid. A verification at the wrong time says so before all else.
pub(super) fn validity(certificate: &CertificateDer<'_>) -> (SystemTime, SystemTime) {
    let verify_at = |seconds| {
        let time = UnixTime::since_unix_epoch(Duration::from_secs(seconds));
        verify(certificate, &RootCertStore::empty(), &[], time)
    };
    let to_time = |time: UnixTime| SystemTime::UNIX_EPOCH + Duration::from_secs(time.as_secs());
    let not_before = match verify_at(0) {
        Err(rustls::Error::InvalidCertificate(CertificateError::NotValidYetContext { not_before, .. })) => {
            to_time(not_before)
        }
        _ => SystemTime::UNIX_EPOCH,
    };
    let not_after = match verify_at(LAST_SECOND) {
        Err(rustls::Error::InvalidCertificate(CertificateError::ExpiredContext { not_after, .. })) => {
            to_time(not_after)
        }
        _ => SystemTime::UNIX_EPOCH + Duration::from_secs(LAST_SECOND),
    };
    (not_before, not_after)
}

fn names(certificate: &CertificateDer<'static>) -> Vec<String> {
    let (Ok(parsed), Ok(no_host)) = (ParsedCertificate::try_from(certificate), ServerName::try_from(NO_HOST)) else {
        return Vec::new();
    };
    match verify_server_name(&parsed, &no_host) {
        Err(rustls::Error::InvalidCertificate(CertificateError::NotValidForNameContext { presented, .. })) => {
            presented.iter().map(|name| plain_name(name).to_owned()).collect()
        }
        _ => Vec::new(),
    }
}

#[cfg(test)]
mod tests {
    use rcgen::date_time_ymd;

    use super::super::tests::Authority;

    #[test]
    fn names_and_validity_are_those_of_the_certificate() {
        let authority = Authority::new();
        authority.issue("server", "mayfly.example.org", |params| {
            params.not_before = date_time_ymd(2020, 1, 1);
            params.not_after = date_time_ymd(2090, 1, 2);
        });
        let mut settings = authority.server("server");
        settings.tls_client_ca = Some(authority.path("ca.pem"));
        let [server, client_ca] = &settings.inspect().unwrap()[..] else { panic!("two files") };
        assert_eq!((server.setting, client_ca.setting), ("--tls-cert", "--tls-client-ca"));
        assert_eq!(server.names, ["mayfly.example.org"]);
        let day = |time| humantime::format_rfc3339_seconds(time).to_string();
        assert_eq!(day(server.not_before), "2020-01-01T00:00:00Z");
        assert_eq!(day(server.not_after), "2090-01-02T00:00:00Z");
        assert!(server.is_for("mayfly.example.org") && !server.is_for("example.org") && !server.is_for("not a host"));
        assert_ne!(server.is_public(), Some(true));
        assert!(client_ca.not_after > server.not_before);
    }

    #[test]
    fn the_validity_of_a_chain_ends_with_its_first_certificate_that_expires() {
        let authority = Authority::new();
        authority.issue("server", "a.example", |params| params.not_after = date_time_ymd(2090, 1, 2));
        authority.issue("intermediate", "b.example", |params| params.not_after = date_time_ymd(2080, 1, 2));
        let read = |name: &str| std::fs::read_to_string(authority.path(name)).unwrap();
        std::fs::write(authority.path("server.pem"), read("server.pem") + &read("intermediate.pem")).unwrap();
        let server = &authority.server("server").inspect().unwrap()[0];
        let end = humantime::format_rfc3339_seconds(server.not_after).to_string();
        assert_eq!(end, "2080-01-02T00:00:00Z");
        assert_eq!(server.names, ["a.example"]);
    }
}
