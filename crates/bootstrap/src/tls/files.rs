//! Certificates and keys in PEM files, and configurations that follow the files.

use std::{
    path::PathBuf,
    sync::{Arc, Mutex, PoisonError},
    time::{Duration, SystemTime},
};

use tokio::sync::watch;
use tokio_rustls::rustls::{
    self, CertificateError, RootCertStore,
    client::verify_server_cert_signed_by_trust_anchor,
    pki_types::{CertificateDer, PrivateKeyDer, UnixTime, pem::PemObject as _},
    server::{ParsedCertificate, VerifierBuilderError},
    sign::CertifiedKey,
};

use super::provider;
use crate::{
    error_chain::ErrorChain,
    secret::Secret,
    secret_file::{self, SecretFileError},
};

/// A file that a setting names.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct NamedFile {
    pub(super) setting: &'static str,
    pub(super) path: PathBuf,
}

/// The files of one configuration.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct TlsFiles {
    /// The own certificate with its intermediates, and its private key.
    pub(super) identity: Option<(NamedFile, NamedFile)>,
    /// The certificates of the authorities that the peer's certificate must come from.
    pub(super) authorities: Option<NamedFile>,
}

/// The contents of the files.
#[derive(Clone, PartialEq, Eq)]
pub(super) struct Contents {
    pub(super) identity: Option<(Secret, Secret)>,
    pub(super) authorities: Option<Secret>,
}

/// A file of TLS cannot be used. The message names the setting and the file.
#[derive(Debug, thiserror::Error)]
pub enum TlsFileError {
    /// It cannot be read, or all users may read the private key.
    #[error("{setting} cannot be used")]
    File {
        /// The setting.
        setting: &'static str,
        /// Why.
        source: SecretFileError,
    },
    /// It contains no certificate.
    #[error("{setting}: {} contains no certificate in PEM format", path.display())]
    NoCertificate {
        /// The setting.
        setting: &'static str,
        /// The file.
        path: PathBuf,
    },
    /// It contains no private key.
    #[error("{setting}: {} contains no private key in PEM format without a passphrase", path.display())]
    NoKey {
        /// The setting.
        setting: &'static str,
        /// The file.
        path: PathBuf,
    },
    /// A certificate cannot be parsed.
    #[error("{setting}: {} contains an invalid certificate", path.display())]
    InvalidCertificate {
        /// The setting.
        setting: &'static str,
        /// The file.
        path: PathBuf,
        /// Why.
        source: rustls::Error,
    },
    /// The kind of the key is unknown.
    #[error("{setting}: the kind of private key in {} is not supported", path.display())]
    UnsupportedKey {
        /// The setting.
        setting: &'static str,
        /// The file.
        path: PathBuf,
        /// Why.
        source: rustls::Error,
    },
    /// The key belongs to another certificate.
    #[error(
        "{key_setting}: the private key in {} does not fit the certificate in {} ({certificate_setting})",
        key.display(),
        certificate.display()
    )]
    Mismatch {
        /// The setting of the key.
        key_setting: &'static str,
        /// The file with the key.
        key: PathBuf,
        /// The setting of the certificate.
        certificate_setting: &'static str,
        /// The file with the certificate.
        certificate: PathBuf,
    },
    /// The certificate is no longer valid.
    #[error("{setting}: the certificate in {} expired at {}", path.display(), utc(*since))]
    Expired {
        /// The setting.
        setting: &'static str,
        /// The file.
        path: PathBuf,
        /// Since when.
        since: UnixTime,
    },
    /// The certificate is not valid yet.
    #[error("{setting}: the certificate in {} is not valid before {}", path.display(), utc(*until))]
    NotYetValid {
        /// The setting.
        setting: &'static str,
        /// The file.
        path: PathBuf,
        /// From when on.
        until: UnixTime,
    },
    /// The authorities of the peers cannot be used.
    #[error("{setting}: the certificates in {} cannot be used", path.display())]
    Authorities {
        /// The setting.
        setting: &'static str,
        /// The file.
        path: PathBuf,
        /// Why.
        source: VerifierBuilderError,
    },
    /// The system has no list of authorities.
    #[error("this system has no certificates of authorities: name a file with --ca, or install ca-certificates")]
    NoSystemAuthorities,
    /// The configuration is invalid. Not a fault of the files.
    #[error("TLS cannot be configured")]
    Configuration(#[source] rustls::Error),
}

/// A time as RFC 3339.
pub(super) fn utc(time: UnixTime) -> humantime::Rfc3339Timestamp {
    humantime::format_rfc3339_seconds(SystemTime::UNIX_EPOCH + Duration::from_secs(time.as_secs()))
}

impl TlsFiles {
    /// Reads the files.
    pub(super) fn read(&self) -> Result<Contents, TlsFileError> {
        let failed = |file: &NamedFile, source| TlsFileError::File { setting: file.setting, source };
        let read = |file: &NamedFile| secret_file::read(&file.path).map_err(|source| failed(file, source));
        let identity = match &self.identity {
            Some((certificate, key)) => {
                let private = secret_file::read_private(&key.path).map_err(|source| failed(key, source))?;
                Some((read(certificate)?, private))
            }
            None => None,
        };
        Ok(Contents { identity, authorities: self.authorities.as_ref().map(read).transpose()? })
    }

    /// The own certificate with its key, which fits and is valid now.
    pub(super) fn identity(&self, contents: &Contents) -> Result<Option<Arc<CertifiedKey>>, TlsFileError> {
        let (Some((certificate, key)), Some((certificate_pem, key_pem))) = (&self.identity, &contents.identity) else {
            return Ok(None);
        };
        let chain = certificate.certificates(certificate_pem)?;
        let (key_setting, path) = (key.setting, key.path.clone());
        let private = PrivateKeyDer::from_pem_slice(key_pem.expose().as_bytes())
            .map_err(|_| TlsFileError::NoKey { setting: key_setting, path: path.clone() })?;
        let certified = CertifiedKey::from_der(chain, private, &provider()).map_err(|source| match source {
            rustls::Error::InconsistentKeys(_) => TlsFileError::Mismatch {
                key_setting,
                key: path,
                certificate_setting: certificate.setting,
                certificate: certificate.path.clone(),
            },
            rustls::Error::InvalidCertificate(_) => certificate.invalid(source),
            source => TlsFileError::UnsupportedKey { setting: key_setting, path, source },
        })?;
        certificate.check_validity(&certified)?;
        Ok(Some(Arc::new(certified)))
    }

    /// The authorities in the file, if there is one.
    pub(super) fn authorities(&self, contents: &Contents) -> Result<Option<RootCertStore>, TlsFileError> {
        let (Some(file), Some(pem)) = (&self.authorities, &contents.authorities) else { return Ok(None) };
        let mut roots = RootCertStore::empty();
        for certificate in file.certificates(pem)? {
            roots.add(certificate).map_err(|source| file.invalid(source))?;
        }
        Ok(Some(roots))
    }
}

impl NamedFile {
    pub(super) fn certificates(&self, pem: &Secret) -> Result<Vec<CertificateDer<'static>>, TlsFileError> {
        // The error may quote the file, which may contain a private key.
        let chain: Result<Vec<_>, _> = CertificateDer::pem_slice_iter(pem.expose().as_bytes()).collect();
        chain
            .ok()
            .filter(|chain| !chain.is_empty())
            .ok_or_else(|| TlsFileError::NoCertificate { setting: self.setting, path: self.path.clone() })
    }

    fn invalid(&self, source: rustls::Error) -> TlsFileError {
        TlsFileError::InvalidCertificate { setting: self.setting, path: self.path.clone(), source }
    }

    /// Checks that the certificate is valid now.
    ///
    /// The verification against no authorities at all fails, but it checks the time first.
    fn check_validity(&self, certified: &CertifiedKey) -> Result<(), TlsFileError> {
        let leaf = certified.end_entity_cert().map_err(|source| self.invalid(source))?;
        let parsed = ParsedCertificate::try_from(leaf).map_err(|source| self.invalid(source))?;
        let algorithms = provider().signature_verification_algorithms.all;
        let verified = verify_server_cert_signed_by_trust_anchor(
            &parsed,
            &RootCertStore::empty(),
            &[],
            UnixTime::now(),
            algorithms,
        );
        let (setting, path) = (self.setting, self.path.clone());
        match verified {
            Err(rustls::Error::InvalidCertificate(CertificateError::ExpiredContext { not_after, .. })) => {
                Err(TlsFileError::Expired { setting, path, since: not_after })
            }
            Err(rustls::Error::InvalidCertificate(CertificateError::NotValidYetContext { not_before, .. })) => {
                Err(TlsFileError::NotYetValid { setting, path, until: not_before })
            }
            _ => Ok(()),
        }
    }
}

/// A configuration that is built from files, and built again after they changed.
pub(super) struct Reloaded<C> {
    files: TlsFiles,
    build: fn(&TlsFiles, &Contents) -> Result<C, TlsFileError>,
    state: Mutex<State>,
    current: watch::Sender<Arc<C>>,
}

struct State {
    /// The contents of the current configuration.
    contents: Contents,
    /// The failure that was logged last, until the files can be used again.
    failure: Option<String>,
}

impl<C> Reloaded<C> {
    /// Reads the files and builds the configuration.
    pub(super) fn load(
        files: TlsFiles,
        build: fn(&TlsFiles, &Contents) -> Result<C, TlsFileError>,
    ) -> Result<Self, TlsFileError> {
        let contents = files.read()?;
        let current = watch::Sender::new(Arc::new(build(&files, &contents)?));
        Ok(Self { files, build, state: Mutex::new(State { contents, failure: None }), current })
    }

    /// The current configuration.
    pub(super) fn current(&self) -> Arc<C> {
        Arc::clone(&self.current.borrow())
    }

    /// The own certificate. `None` without one.
    pub(super) fn certificate(&self) -> Option<CertificateDer<'static>> {
        let (file, _) = self.files.identity.as_ref()?;
        let state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        let (pem, _) = state.contents.identity.as_ref()?;
        file.certificates(pem).ok()?.into_iter().next()
    }

    /// Follows the changes of the configuration.
    #[cfg(test)]
    pub(super) fn subscribe(&self) -> watch::Receiver<Arc<C>> {
        self.current.subscribe()
    }

    /// Builds the configuration again if the contents of the files changed. Keeps the current one if they cannot be
    /// used, and logs each failure once. Reads the files, so it blocks.
    pub(super) fn reload(&self) {
        let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        let loaded = self.files.read().and_then(|contents| {
            let config = (contents != state.contents).then(|| (self.build)(&self.files, &contents)).transpose()?;
            Ok(config.map(|config| (contents, config)))
        });
        match loaded {
            Ok(None) => state.failure = None,
            Ok(Some((contents, config))) => {
                *state = State { contents, failure: None };
                self.current.send_replace(Arc::new(config));
                tracing::info!("the certificates were reloaded");
            }
            Err(error) => {
                let failure = ErrorChain(&error).to_string();
                if state.failure.as_ref() != Some(&failure) {
                    tracing::warn!(error = failure, "changed TLS files cannot be used; the certificates before stay");
                    state.failure = Some(failure);
                }
            }
        }
    }
}

impl<C> std::fmt::Debug for Reloaded<C> {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter.debug_struct("Reloaded").field("files", &self.files).finish_non_exhaustive()
    }
}
