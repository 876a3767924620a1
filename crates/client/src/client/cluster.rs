//! The members of the cluster, and join tokens.

use confman_api::Page;
use confman_api::cluster::{
    Cluster, JoinToken, JoinTokenMade, JoinTokenWrite, MemberWrite, ReplaceWrite, TransferWrite,
};
use reqwest::Method;

use super::error::ClientError;
use super::transport::SLOW_TIMEOUT_FACTOR;
use super::{Client, url};

impl Client {
    /// The cluster, and what each member says of itself.
    ///
    /// # Errors
    /// We are no admin of `/`, or as any request.
    pub async fn cluster(&self) -> Result<Cluster, ClientError> {
        self.get("/v1/cluster".to_owned()).await
    }

    /// Makes a voter of a learner.
    ///
    /// # Errors
    /// It is none, is far behind, the cluster would lose its majority, or as any request.
    pub async fn promote_member(
        &self,
        node: u64,
        write: &MemberWrite,
    ) -> Result<Cluster, ClientError> {
        let path = format!("/v1/cluster/members/{node}/promote");
        self.write(Method::POST, path, write, SLOW_TIMEOUT_FACTOR)
            .await
    }

    /// Removes a member for ever.
    ///
    /// # Errors
    /// It is none, the cluster would lose its majority, or as any request.
    pub async fn remove_member(
        &self,
        node: u64,
        write: &MemberWrite,
    ) -> Result<Cluster, ClientError> {
        let path = format!("/v1/cluster/members/{node}/remove");
        self.write(Method::POST, path, write, SLOW_TIMEOUT_FACTOR)
            .await
    }

    /// Makes a voter of a learner in the place of another, which is removed for ever.
    ///
    /// # Errors
    /// As for promoting one and removing the other.
    pub async fn replace_member(
        &self,
        node: u64,
        write: &ReplaceWrite,
    ) -> Result<Cluster, ClientError> {
        let path = format!("/v1/cluster/members/{node}/replace");
        self.write(Method::POST, path, write, SLOW_TIMEOUT_FACTOR)
            .await
    }

    /// Lets another voter lead.
    ///
    /// # Errors
    /// There is none that could, or as any request.
    pub async fn transfer_leadership(&self, write: &TransferWrite) -> Result<Cluster, ClientError> {
        let path = "/v1/cluster/transfer".to_owned();
        self.write(Method::POST, path, write, 1).await
    }

    /// The join tokens, without the tokens themselves.
    ///
    /// # Errors
    /// As any request.
    pub async fn join_tokens(&self) -> Result<Vec<JoinToken>, ClientError> {
        let page: Page<JoinToken> = self.get("/v1/cluster/join-tokens".to_owned()).await?;
        Ok(page.items)
    }

    /// Makes a join token.
    ///
    /// # Errors
    /// As any request.
    pub async fn create_join_token(
        &self,
        write: &JoinTokenWrite,
    ) -> Result<JoinTokenMade, ClientError> {
        self.write(Method::POST, "/v1/cluster/join-tokens".to_owned(), write, 1)
            .await
    }

    /// Revokes a join token by its id.
    ///
    /// # Errors
    /// There is none, or as any request.
    pub async fn revoke_join_token(&self, id: &str) -> Result<(), ClientError> {
        self.delete(url::named("/v1/cluster/join-tokens", id)).await
    }
}
