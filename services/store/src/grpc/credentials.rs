//! [`Credentials`]: authenticates `authorization: Bearer <token>` metadata.
//!
//! The admin token and the service token are compared in constant time. An API token is found by its hash: it has 256
//! random bits, so the time that an index takes reveals nothing that helps to guess it.

use std::sync::{Arc, PoisonError, RwLock};

use mayfly_bootstrap::{
    Secret,
    audit::{self, Actor},
};
use mayfly_contracts::{AUTHORIZATION_METADATA, parse_bearer};
use sha2::{Digest as _, Sha256};
use subtle::{Choice, ConstantTimeEq as _};
use tonic::{Request, metadata::MetadataMap};

use super::{caller::Caller, rate_limits::RateLimits};
use crate::{
    domain::{ApiTokenSecret, Scope, Scopes},
    error::StoreError,
    storage::ApiTokens,
};

/// The digest of the admin token, which can be replaced. Clones share it.
///
/// Digests have the same length, so a comparison does not reveal the length of a token.
#[derive(Clone)]
pub(crate) struct AdminToken(Arc<RwLock<[u8; 32]>>);

impl AdminToken {
    pub(crate) fn new(token: &Secret) -> Self {
        Self(Arc::new(RwLock::new(digest(token.expose()))))
    }

    /// Replaces the token. Returns `true` if it is another one.
    pub(crate) fn replace(&self, token: &Secret) -> bool {
        let new = digest(token.expose());
        let mut current = self.0.write().unwrap_or_else(PoisonError::into_inner);
        std::mem::replace(&mut *current, new) != new
    }

    fn is(&self, digest: &[u8; 32]) -> Choice {
        self.0.read().unwrap_or_else(PoisonError::into_inner).ct_eq(digest)
    }
}

/// The known tokens.
#[derive(Clone)]
pub(crate) struct Credentials {
    admin: AdminToken,
    service: [u8; 32],
    api_tokens: ApiTokens,
}

/// The known tokens, and the limits of callers that present other ones.
#[derive(Clone)]
pub(super) struct Authenticator {
    credentials: Credentials,
    rates: Arc<RateLimits>,
}

/// What a caller proved to be.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Identity {
    /// It presented no token.
    Anonymous,
    /// It has the service token.
    Service,
    /// It has the admin token, or an API token for admins.
    Admin,
    /// It has an API token with these scopes.
    ApiToken(Scopes),
}

/// What a call needs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Permission {
    /// A scope of API tokens.
    Scope(Scope),
    /// Reading the secrets of the last active app config.
    ReadLastActive,
    /// Reading the secrets of any app config, which admins may not.
    Reveal,
}

impl Permission {
    pub(super) const ADMIN: Self = Self::Scope(Scope::Admin);
    pub(super) const CREATE: Self = Self::Scope(Scope::Create);
}

impl Identity {
    pub(super) fn may(self, permission: Permission) -> bool {
        match (self, permission) {
            (Self::Anonymous, _) => false,
            // The bot creates messages for its users.
            (Self::Service, Permission::Scope(scope)) => scope == Scope::Create,
            (Self::Service, _) => true,
            (Self::Admin, permission) => permission != Permission::Reveal,
            (Self::ApiToken(scopes), Permission::Scope(scope)) => scopes.allow(scope),
            (Self::ApiToken(_), _) => false,
        }
    }
}

impl Credentials {
    pub(crate) fn new(admin: AdminToken, service: &Secret, api_tokens: ApiTokens) -> Self {
        Self { admin, service: digest(service.expose()), api_tokens }
    }

    async fn identify(&self, metadata: &MetadataMap) -> Result<Identity, StoreError> {
        let Some(authorization) = metadata.get(AUTHORIZATION_METADATA) else { return Ok(Identity::Anonymous) };
        let token = authorization.to_str().ok().and_then(parse_bearer).ok_or(StoreError::CredentialsInvalid)?;
        let presented = digest(token);
        let (is_admin, is_service) = (self.admin.is(&presented), presented.ct_eq(&self.service));
        if is_admin.into() {
            return Ok(Identity::Admin);
        }
        if is_service.into() {
            return Ok(Identity::Service);
        }
        let secret = ApiTokenSecret::parse(token).ok_or(StoreError::CredentialsInvalid)?;
        let scopes = self.api_tokens.scopes_of(&secret).await?;
        Ok(if scopes.allow(Scope::Admin) { Identity::Admin } else { Identity::ApiToken(scopes) })
    }
}

impl Authenticator {
    pub(super) fn new(credentials: Credentials, rates: Arc<RateLimits>) -> Self {
        Self { credentials, rates }
    }

    /// What the caller proved to be. A wrong token counts as a failed try of the caller.
    ///
    /// # Errors
    ///
    /// [`StoreError::CredentialsInvalid`], [`StoreError::ApiTokenRevoked`] or [`StoreError::ApiTokenExpired`] when the
    /// token is not valid, [`StoreError::RateLimited`] after too many of these, or another one when the database fails.
    pub(super) async fn identify<T: Sync>(&self, request: &Request<T>) -> Result<Identity, StoreError> {
        let identified = self.credentials.identify(request.metadata()).await;
        let refused = match &identified {
            Err(StoreError::CredentialsInvalid) => Some("unknown token"),
            Err(StoreError::ApiTokenRevoked) => Some("revoked token"),
            Err(StoreError::ApiTokenExpired) => Some("expired token"),
            _ => None,
        };
        if let Some(reason) = refused {
            audit::refused("authenticate", Actor::Unknown, reason);
        }
        self.rates.limit_failed_reads(Caller::of(request).rate_key(), identified)
    }

    /// Rejects callers without `permission`.
    ///
    /// # Errors
    ///
    /// [`StoreError::CredentialsInvalid`] or [`StoreError::ApiTokenRequired`] without a token,
    /// [`StoreError::PermissionDenied`] with a token that does not suffice, and those of [`identify`](Self::identify).
    pub(super) async fn require<T: Sync>(
        &self,
        permission: Permission,
        request: &Request<T>,
    ) -> Result<(), StoreError> {
        match self.identify(request).await? {
            identity if identity.may(permission) => Ok(()),
            Identity::Anonymous if permission == Permission::CREATE => Err(StoreError::ApiTokenRequired),
            Identity::Anonymous => Err(StoreError::CredentialsInvalid),
            Identity::Service => Err(permission_denied(Actor::Service)),
            Identity::Admin => Err(permission_denied(Actor::Admin)),
            Identity::ApiToken(_) => Err(permission_denied(Actor::ApiToken)),
        }
    }
}

fn permission_denied(actor: Actor) -> StoreError {
    audit::refused("authorize", actor, "the token does not allow this");
    StoreError::PermissionDenied
}

fn digest(token: &str) -> [u8; 32] {
    Sha256::digest(token.as_bytes()).into()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_identity_has_its_permissions() {
        let permissions = [
            Permission::CREATE,
            Permission::ADMIN,
            Permission::Scope(Scope::Metrics),
            Permission::ReadLastActive,
            Permission::Reveal,
        ];
        let of = |scope| Identity::ApiToken(Scopes::parse([scope]).unwrap());
        for (identity, allowed) in [
            (Identity::Anonymous, [false, false, false, false, false]),
            (Identity::Service, [true, false, false, true, true]),
            (Identity::Admin, [true, true, true, true, false]),
            (of(Scope::Create), [true, false, false, false, false]),
            (of(Scope::Metrics), [false, false, true, false, false]),
        ] {
            assert_eq!(permissions.map(|permission| identity.may(permission)), allowed, "{identity:?}");
        }
    }

    #[test]
    fn the_admin_token_can_be_replaced() {
        let secret = |text: &str| Secret::new(text.to_owned());
        let token = AdminToken::new(&secret("first"));
        let other = token.clone();
        assert!(!token.replace(&secret("first")));
        assert!(token.replace(&secret("second")));
        assert!(bool::from(other.is(&digest("second"))) && !bool::from(other.is(&digest("first"))));
    }
}
