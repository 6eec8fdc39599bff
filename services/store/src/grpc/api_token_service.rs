//! `ApiTokenService`.

use mayfly_bootstrap::audit::{self, Actor};
use mayfly_contracts::auth::{
    self as wire_auth, ApiTokenScope, CheckScopeRequest, CheckScopeResponse, CreateApiTokenRequest,
    CreateApiTokenResponse, ListApiTokensRequest, ListApiTokensResponse, RevokeApiTokenRequest, RevokeApiTokenResponse,
    api_token_service_server::ApiTokenService,
};
use tonic::{Request, Response, Status};

use super::{
    credentials::{Authenticator, Permission},
    wire,
};
use crate::{
    domain::{ApiToken, ApiTokenId, ApiTokenName, ApiTokenSecret, InvalidInput, Scope, Scopes},
    error::StoreError,
    storage::{ApiTokens, NewApiToken},
};

/// The shortest lifetime of a token.
const MIN_TTL: std::time::Duration = std::time::Duration::from_secs(1);
/// The longest lifetime of a token. A timestamp ends with the year 9999.
const MAX_TTL: std::time::Duration = std::time::Duration::from_hours(100 * 366 * 24);

/// The implementation of `ApiTokenService`.
pub(super) struct ApiTokenServiceImpl {
    pub(super) api_tokens: ApiTokens,
    pub(super) authenticator: Authenticator,
}

#[tonic::async_trait]
impl ApiTokenService for ApiTokenServiceImpl {
    async fn create_api_token(
        &self,
        request: Request<CreateApiTokenRequest>,
    ) -> Result<Response<CreateApiTokenResponse>, Status> {
        self.authenticator.require(Permission::ADMIN, &request).await?;
        let new = new_api_token(request.into_inner())?;
        let secret = ApiTokenSecret::generate().map_err(|error| {
            tracing::error!(%error, "an API token cannot be created");
            StoreError::Internal
        })?;
        let attempt = audit::attempt("api_token.create", Actor::Admin).on(new.name.as_str());
        let api_token = attempt.end(self.api_tokens.insert(new, &secret).await)?;
        Ok(Response::new(CreateApiTokenResponse { api_token: Some(to_wire(api_token)), secret: secret.to_text() }))
    }

    async fn list_api_tokens(
        &self,
        request: Request<ListApiTokensRequest>,
    ) -> Result<Response<ListApiTokensResponse>, Status> {
        self.authenticator.require(Permission::ADMIN, &request).await?;
        let ListApiTokensRequest { page_size, page_token } = request.into_inner();
        let (page_size, after) = (wire::page_size(page_size)?, wire::page_token(&page_token)?);
        // One more than requested shows whether there is another page.
        let mut tokens = self.api_tokens.list(after.map(ApiTokenId), page_size + 1).await?;
        let has_more = tokens.len() as u64 > page_size;
        tokens.truncate(usize::try_from(page_size).unwrap_or(usize::MAX));
        let last = tokens.last().filter(|_| has_more).map(|(ApiTokenId(id), _)| id.to_string());
        Ok(Response::new(ListApiTokensResponse {
            api_tokens: tokens.into_iter().map(|(_, token)| to_wire(token)).collect(),
            next_page_token: last.unwrap_or_default(),
        }))
    }

    async fn revoke_api_token(
        &self,
        request: Request<RevokeApiTokenRequest>,
    ) -> Result<Response<RevokeApiTokenResponse>, Status> {
        self.authenticator.require(Permission::ADMIN, &request).await?;
        let name = ApiTokenName::parse(request.into_inner().name)?;
        let attempt = audit::attempt("api_token.revoke", Actor::Admin).on(name.as_str());
        attempt.end(self.api_tokens.revoke(&name).await)?;
        Ok(Response::new(RevokeApiTokenResponse {}))
    }

    async fn check_scope(&self, request: Request<CheckScopeRequest>) -> Result<Response<CheckScopeResponse>, Status> {
        let scope = scope("scope", request.get_ref().scope)?;
        self.authenticator.require(Permission::Scope(scope), &request).await?;
        Ok(Response::new(CheckScopeResponse {}))
    }
}

fn new_api_token(wire: CreateApiTokenRequest) -> Result<NewApiToken, InvalidInput> {
    let CreateApiTokenRequest { name, scopes, ttl } = wire;
    let name = ApiTokenName::parse(name)?;
    let scopes = scopes.into_iter().map(|number| scope("scopes", number)).collect::<Result<Vec<_>, _>>()?;
    let ttl = ttl.map(|ttl| wire::duration("ttl", ttl)).transpose()?;
    if ttl.is_some_and(|ttl| !(MIN_TTL..=MAX_TTL).contains(&ttl)) {
        return Err(InvalidInput::field("ttl", "must be at least 1 second, and at most 100 years"));
    }
    Ok(NewApiToken { name, scopes: Scopes::parse(scopes)?, ttl })
}

fn scope(field: &'static str, number: i32) -> Result<Scope, InvalidInput> {
    match ApiTokenScope::try_from(number) {
        Ok(ApiTokenScope::Create) => Ok(Scope::Create),
        Ok(ApiTokenScope::Admin) => Ok(Scope::Admin),
        Ok(ApiTokenScope::Metrics) => Ok(Scope::Metrics),
        Ok(ApiTokenScope::Unspecified) | Err(_) => Err(InvalidInput::field(field, "must be create, admin or metrics")),
    }
}

fn to_wire(token: ApiToken) -> wire_auth::ApiToken {
    let ApiToken { name, scopes, create_time, expire_time, last_use_time } = token;
    let scopes = scopes.iter().map(|scope| match scope {
        Scope::Create => ApiTokenScope::Create,
        Scope::Admin => ApiTokenScope::Admin,
        Scope::Metrics => ApiTokenScope::Metrics,
    });
    wire_auth::ApiToken {
        name: name.as_str().to_owned(),
        scopes: scopes.map(i32::from).collect(),
        create_time: Some(wire::timestamp(create_time)),
        expire_time: expire_time.map(wire::timestamp),
        last_use_time: last_use_time.map(wire::timestamp),
    }
}
