//! The routes about who somebody is, and of coming in.

use axum::http::Method;

use super::{groups, issuers, principals, sign_in, system, tokens};
use crate::call::Call;
use crate::error::ApiError;
use crate::reply::Reply;
use crate::url::Identity;

/// Every one of them.
pub(crate) async fn route(
    call: Call,
    resource: Identity,
    method: &Method,
) -> Result<Reply, ApiError> {
    match (resource, method) {
        (Identity::Whoami, _) => system::whoami(call).await,
        (Identity::Tokens, &Method::POST) => tokens::create(call).await,
        (Identity::Tokens, _) => tokens::list(call).await,
        (Identity::Token(id), _) => tokens::revoke(call, id).await,
        (Identity::Principals, &Method::POST) => principals::create(call).await,
        (Identity::Principals, _) => principals::list(call).await,
        (Identity::Principal(name), &Method::PATCH) => principals::change(call, name).await,
        (Identity::Principal(name), _) => principals::get(call, name).await,
        (Identity::Groups, _) => groups::list(call).await,
        (Identity::Group(name), &Method::PUT) => groups::put(call, name).await,
        (Identity::Group(name), &Method::DELETE) => groups::remove(call, name).await,
        (Identity::Group(name), _) => groups::get(call, name).await,
        (Identity::Issuers, _) => issuers::list(call).await,
        (Identity::Issuer(name), &Method::PUT) => issuers::put(call, name).await,
        (Identity::Issuer(name), &Method::DELETE) => issuers::remove(call, name).await,
        (Identity::Issuer(name), _) => issuers::get(call, name).await,
        (Identity::Login(issuer), &Method::POST) => sign_in::begin(call, issuer).await,
        (Identity::Login(issuer), _) => sign_in::browse(call, issuer).await,
        (Identity::Callback(issuer), &Method::POST) => sign_in::answer(call, issuer).await,
        (Identity::Callback(issuer), _) => sign_in::come_back(call, issuer).await,
        (Identity::Exchange, _) => sign_in::exchange(call).await,
    }
}

#[cfg(test)]
mod tests;
