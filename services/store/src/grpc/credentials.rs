//! Who calls: `authorization: Bearer <token>` metadata, compared in constant time.

use mayfly_bootstrap::Secret;
use sha2::{Digest as _, Sha256};
use subtle::{Choice, ConstantTimeEq as _};
use tonic::metadata::MetadataMap;

use crate::StoreError;

/// The tokens that are known, as digests: equally long, so that comparing tells nothing of their length either.
#[derive(Clone)]
pub(crate) struct Credentials {
    admin: [u8; 32],
    service: [u8; 32],
}

/// Whoever calls, as far as their token says.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Caller {
    Anonymous,
    Service,
    Admin,
}

impl Credentials {
    pub(crate) fn new(admin: &Secret, service: &Secret) -> Self {
        Self { admin: digest(admin.expose()), service: digest(service.expose()) }
    }

    /// Who calls.
    ///
    /// # Errors
    ///
    /// [`StoreError::CredentialsInvalid`] when a token is given and not known.
    pub(super) fn caller(&self, metadata: &MetadataMap) -> Result<Caller, StoreError> {
        let Some(authorization) = metadata.get("authorization") else { return Ok(Caller::Anonymous) };
        let authorization = authorization.to_str().unwrap_or_default();
        let (scheme, token) = authorization.split_once(' ').unwrap_or_default();
        if !scheme.eq_ignore_ascii_case("bearer") {
            return Err(StoreError::CredentialsInvalid);
        }
        let token = digest(token.trim());
        let (is_admin, is_service): (Choice, Choice) = (token.ct_eq(&self.admin), token.ct_eq(&self.service));
        if is_admin.into() {
            Ok(Caller::Admin)
        } else if is_service.into() {
            Ok(Caller::Service)
        } else {
            Err(StoreError::CredentialsInvalid)
        }
    }

    /// Refuses callers below `needed`.
    ///
    /// # Errors
    ///
    /// [`StoreError::CredentialsInvalid`] without a known token, [`StoreError::PermissionDenied`] with one that is not enough.
    pub(super) fn require(&self, needed: Caller, metadata: &MetadataMap) -> Result<(), StoreError> {
        match self.caller(metadata)? {
            caller if caller >= needed => Ok(()),
            Caller::Anonymous => Err(StoreError::CredentialsInvalid),
            Caller::Service | Caller::Admin => Err(StoreError::PermissionDenied),
        }
    }

    /// Refuses all callers but other services of ours, the admin too.
    ///
    /// # Errors
    ///
    /// As [`require`](Self::require).
    pub(super) fn require_service(&self, metadata: &MetadataMap) -> Result<(), StoreError> {
        match self.caller(metadata)? {
            Caller::Service => Ok(()),
            Caller::Anonymous => Err(StoreError::CredentialsInvalid),
            Caller::Admin => Err(StoreError::PermissionDenied),
        }
    }
}

fn digest(token: &str) -> [u8; 32] {
    Sha256::digest(token.as_bytes()).into()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn credentials() -> Credentials {
        Credentials::new(&Secret::new("admin".into()), &Secret::new("service".into()))
    }

    fn with(authorization: &str) -> MetadataMap {
        let mut metadata = MetadataMap::new();
        metadata.insert("authorization", authorization.parse().unwrap());
        metadata
    }

    #[test]
    fn callers_are_known_by_their_token() {
        assert_eq!(credentials().caller(&MetadataMap::new()), Ok(Caller::Anonymous));
        assert_eq!(credentials().caller(&with("Bearer admin")), Ok(Caller::Admin));
        assert_eq!(credentials().caller(&with("bearer service ")), Ok(Caller::Service));
        for unknown in ["Bearer other", "Basic admin", "admin", "Bearer", ""] {
            assert_eq!(credentials().caller(&with(unknown)), Err(StoreError::CredentialsInvalid), "{unknown}");
        }
    }

    #[test]
    fn the_service_token_is_no_admin_token() {
        let refused = credentials().require(Caller::Admin, &with("Bearer service"));
        assert_eq!(refused, Err(StoreError::PermissionDenied));
        let refused = credentials().require(Caller::Service, &MetadataMap::new());
        assert_eq!(refused, Err(StoreError::CredentialsInvalid));
        assert_eq!(credentials().require(Caller::Service, &with("Bearer admin")), Ok(()));
    }

    #[test]
    fn the_admin_token_is_no_service_token() {
        assert_eq!(credentials().require_service(&with("Bearer service")), Ok(()));
        assert_eq!(credentials().require_service(&with("Bearer admin")), Err(StoreError::PermissionDenied));
        assert_eq!(credentials().require_service(&MetadataMap::new()), Err(StoreError::CredentialsInvalid));
    }
}
