//! Principals, groups, tokens and issuers, and coming in.

use confman_api::Page;
use confman_api::identity::{
    ExchangeWrite, Group, GroupDocument, GroupName, Issuer, IssuerDocument, IssuerName,
    LoginAnswer, LoginBegun, LoginWrite, Principal, PrincipalName, PrincipalPatch, PrincipalWrite,
    Token, TokenMade, TokenWrite,
};
use futures::stream::TryStreamExt;
use reqwest::Method;

use super::error::ClientError;
use super::transport::{Request, Seen};
use super::{Client, url};

/// Whose tokens to list.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum TokensOf {
    /// One's own.
    Mine,
    /// Those of a principal.
    Principal(PrincipalName),
    /// Everybody's.
    All,
}

impl Client {
    /// The tokens of somebody, without the tokens themselves.
    ///
    /// # Errors
    /// As any request.
    pub async fn tokens(&self, of: &TokensOf) -> Result<Vec<Token>, ClientError> {
        let (principal, all) = match of {
            TokensOf::Mine => (None, None),
            TokensOf::Principal(name) => (Some(name.to_string()), None),
            TokensOf::All => (None, Some("true".to_owned())),
        };
        self.all(|cursor| {
            let parameters = [
                ("principal", principal.clone()),
                ("all", all.clone()),
                ("cursor", cursor),
            ];
            self.get::<Page<Token>>(format!("/v1/tokens{}", url::query(&parameters)))
        })
        .try_collect()
        .await
    }

    /// Makes a token.
    ///
    /// # Errors
    /// It would leave more or live longer than ours, or as any request.
    pub async fn create_token(&self, token: &TokenWrite) -> Result<TokenMade, ClientError> {
        self.write(Method::POST, "/v1/tokens".to_owned(), token, 1)
            .await
    }

    /// Revokes a token by its id.
    ///
    /// # Errors
    /// There is none, or as any request.
    pub async fn revoke_token(&self, id: &str) -> Result<(), ClientError> {
        self.delete(url::named("/v1/tokens", id)).await
    }

    /// The principals.
    ///
    /// # Errors
    /// As any request.
    pub async fn principals(&self) -> Result<Vec<Principal>, ClientError> {
        self.all(|cursor| {
            let query = url::query(&[("cursor", cursor)]);
            self.get::<Page<Principal>>(format!("/v1/principals{query}"))
        })
        .try_collect()
        .await
    }

    /// A principal.
    ///
    /// # Errors
    /// There is none, or as any request.
    pub async fn principal(&self, name: &PrincipalName) -> Result<Principal, ClientError> {
        self.get(url::named("/v1/principals", name.as_str())).await
    }

    /// Makes a principal.
    ///
    /// # Errors
    /// It exists, or as any request.
    pub async fn create_principal(
        &self,
        principal: &PrincipalWrite,
    ) -> Result<Principal, ClientError> {
        self.write(Method::POST, "/v1/principals".to_owned(), principal, 1)
            .await
    }

    /// Says something else about a principal.
    ///
    /// # Errors
    /// There is none, or as any request.
    pub async fn change_principal(
        &self,
        name: &PrincipalName,
        patch: &PrincipalPatch,
    ) -> Result<Principal, ClientError> {
        let path = url::named("/v1/principals", name.as_str());
        self.write(Method::PATCH, path, patch, 1).await
    }

    /// The groups.
    ///
    /// # Errors
    /// As any request.
    pub async fn groups(&self) -> Result<Vec<Group>, ClientError> {
        self.all(|cursor| {
            let query = url::query(&[("cursor", cursor)]);
            self.get::<Page<Group>>(format!("/v1/groups{query}"))
        })
        .try_collect()
        .await
    }

    /// A group.
    ///
    /// # Errors
    /// There is none, or as any request.
    pub async fn group(&self, name: &GroupName) -> Result<Group, ClientError> {
        self.get(url::named("/v1/groups", name.as_str())).await
    }

    /// Makes a group, or changes one whose record was seen.
    ///
    /// # Errors
    /// It is not as seen, would contain itself, or as any request.
    pub async fn put_group(
        &self,
        name: &GroupName,
        group: &GroupDocument,
        record: Option<&str>,
    ) -> Result<Group, ClientError> {
        let body = serde_json::to_vec(group)
            .map_err(|error| ClientError::Invalid(format!("the request is no JSON: {error}")))?;
        let path = url::named("/v1/groups", name.as_str());
        let request = Request {
            seen: Some(match record {
                Some(record) => Seen::At(record.to_owned()),
                None => Seen::Absent,
            }),
            ..Request::write(Method::PUT, path, Some(body))
        };
        self.transport.json(&request).await
    }

    /// Removes a group.
    ///
    /// # Errors
    /// There is none, or as any request.
    pub async fn delete_group(&self, name: &GroupName) -> Result<(), ClientError> {
        self.delete(url::named("/v1/groups", name.as_str())).await
    }

    /// The issuers.
    ///
    /// # Errors
    /// As any request.
    pub async fn issuers(&self) -> Result<Vec<Issuer>, ClientError> {
        let page: Page<Issuer> = self.get("/v1/issuers".to_owned()).await?;
        Ok(page.items)
    }

    /// An issuer.
    ///
    /// # Errors
    /// There is none, or as any request.
    pub async fn issuer(&self, name: &IssuerName) -> Result<Issuer, ClientError> {
        self.get(url::named("/v1/issuers", name.as_str())).await
    }

    /// Trusts an issuer, or changes what is said about it.
    ///
    /// # Errors
    /// It is not valid, or as any request.
    pub async fn put_issuer(
        &self,
        name: &IssuerName,
        issuer: &IssuerDocument,
    ) -> Result<Issuer, ClientError> {
        let path = url::named("/v1/issuers", name.as_str());
        self.write(Method::PUT, path, issuer, 1).await
    }

    /// Trusts an issuer no more.
    ///
    /// # Errors
    /// There is none, or as any request.
    pub async fn delete_issuer(&self, name: &IssuerName) -> Result<(), ClientError> {
        self.delete(url::named("/v1/issuers", name.as_str())).await
    }

    /// Begins a login whose answer comes to `redirect_uri` on this machine.
    ///
    /// # Errors
    /// There is no such issuer, it does not answer, or as any request.
    pub async fn begin_login(
        &self,
        issuer: &IssuerName,
        redirect_uri: &str,
    ) -> Result<LoginBegun, ClientError> {
        let write = LoginWrite {
            redirect_uri: redirect_uri.to_owned(),
        };
        self.write(Method::POST, login_path(issuer, "login"), &write, 1)
            .await
    }

    /// Finishes a login.
    ///
    /// # Errors
    /// The issuer's answer is not valid, nobody is let in by it, or as any request.
    pub async fn finish_login(
        &self,
        issuer: &IssuerName,
        answer: &LoginAnswer,
    ) -> Result<TokenMade, ClientError> {
        self.write(Method::POST, login_path(issuer, "callback"), answer, 1)
            .await
    }

    /// Exchanges a token of an issuer.
    ///
    /// # Errors
    /// It is not valid, nobody is let in by it, or as any request.
    pub async fn exchange(&self, token: &ExchangeWrite) -> Result<TokenMade, ClientError> {
        self.write(Method::POST, "/v1/auth/exchange".to_owned(), token, 1)
            .await
    }
}

fn login_path(issuer: &IssuerName, step: &str) -> String {
    format!("{}/{step}", url::named("/v1/auth/oidc", issuer.as_str()))
}
