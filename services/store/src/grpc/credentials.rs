//! [`Credentials`]: authenticates `authorization: Bearer <token>` metadata, in constant time.

use mayfly_bootstrap::Secret;
use mayfly_contracts::{AUTHORIZATION_METADATA, parse_bearer};
use sha2::{Digest as _, Sha256};
use subtle::{Choice, ConstantTimeEq as _};
use tonic::metadata::MetadataMap;

use crate::error::StoreError;

/// The digests of the known tokens. Digests have the same length, so a comparison does not reveal the length of a
/// token.
#[derive(Clone)]
pub(crate) struct Credentials {
    admin: [u8; 32],
    service: [u8; 32],
}

/// The role of a caller, by its token.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Role {
    Anonymous,
    Service,
    Admin,
}

impl Credentials {
    pub(crate) fn new(admin: &Secret, service: &Secret) -> Self {
        Self { admin: digest(admin.expose()), service: digest(service.expose()) }
    }

    /// The role of the caller.
    ///
    /// # Errors
    ///
    /// [`StoreError::CredentialsInvalid`] when the token is unknown.
    pub(super) fn role(&self, metadata: &MetadataMap) -> Result<Role, StoreError> {
        let Some(authorization) = metadata.get(AUTHORIZATION_METADATA) else { return Ok(Role::Anonymous) };
        let token = authorization.to_str().ok().and_then(parse_bearer).ok_or(StoreError::CredentialsInvalid)?;
        let token = digest(token);
        let (is_admin, is_service): (Choice, Choice) = (token.ct_eq(&self.admin), token.ct_eq(&self.service));
        if is_admin.into() {
            Ok(Role::Admin)
        } else if is_service.into() {
            Ok(Role::Service)
        } else {
            Err(StoreError::CredentialsInvalid)
        }
    }

    /// Rejects callers below the role `required`.
    ///
    /// # Errors
    ///
    /// [`StoreError::CredentialsInvalid`] without a known token, [`StoreError::PermissionDenied`] with a
    /// token of a lower role.
    pub(super) fn require(&self, required: Role, metadata: &MetadataMap) -> Result<(), StoreError> {
        match self.role(metadata)? {
            role if role >= required => Ok(()),
            Role::Anonymous => Err(StoreError::CredentialsInvalid),
            Role::Service | Role::Admin => Err(StoreError::PermissionDenied),
        }
    }

    /// Rejects all callers except for services, including the admin.
    ///
    /// # Errors
    ///
    /// See [`require`](Self::require).
    pub(super) fn require_service(&self, metadata: &MetadataMap) -> Result<(), StoreError> {
        match self.role(metadata)? {
            Role::Service => Ok(()),
            Role::Anonymous => Err(StoreError::CredentialsInvalid),
            Role::Admin => Err(StoreError::PermissionDenied),
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
    fn the_token_determines_the_role() {
        assert_eq!(credentials().role(&MetadataMap::new()), Ok(Role::Anonymous));
        assert_eq!(credentials().role(&with("Bearer admin")), Ok(Role::Admin));
        assert_eq!(credentials().role(&with("bearer service ")), Ok(Role::Service));
        for unknown in ["Bearer other", "Basic admin", "admin", "Bearer", ""] {
            assert_eq!(credentials().role(&with(unknown)), Err(StoreError::CredentialsInvalid), "{unknown}");
        }
    }

    #[test]
    fn the_service_token_is_not_an_admin_token() {
        let rejected = credentials().require(Role::Admin, &with("Bearer service"));
        assert_eq!(rejected, Err(StoreError::PermissionDenied));
        let rejected = credentials().require(Role::Service, &MetadataMap::new());
        assert_eq!(rejected, Err(StoreError::CredentialsInvalid));
        assert_eq!(credentials().require(Role::Service, &with("Bearer admin")), Ok(()));
    }

    #[test]
    fn the_admin_token_is_not_a_service_token() {
        assert_eq!(credentials().require_service(&with("Bearer service")), Ok(()));
        assert_eq!(credentials().require_service(&with("Bearer admin")), Err(StoreError::PermissionDenied));
        assert_eq!(credentials().require_service(&MetadataMap::new()), Err(StoreError::CredentialsInvalid));
    }
}
