//! Publish requests.

use confman_api::Page;
use confman_api::request::{
    AbortWrite, CommentWrite, PromoteWrite, PublishRequest, RequestCreate, RequestDiff,
    RequestEdit, RequestPublish, ReviewWrite, ScheduleWrite, WithdrawWrite,
};
use confman_api::schema::Preview;
use confman_model::Namespace;
use reqwest::Method;

use super::transport::{Request, SLOW_TIMEOUT_FACTOR};
use super::{Client, ClientError, url};

/// Which publish requests to list; all conditions hold.
#[derive(Clone, Debug, Default)]
pub struct RequestsQuery {
    /// States with commas between them, or `open`.
    pub state: Option<String>,
    /// Only about this namespace or one below it.
    pub namespace: Option<Namespace>,
    /// Only submitted by this principal.
    pub author: Option<String>,
    /// Only those that wait for our approval.
    pub waiting: bool,
    /// Only emergencies that no admin has looked at.
    pub unacknowledged: bool,
    /// Most of a page; the server's default where absent.
    pub limit: Option<usize>,
}

impl Client {
    /// A page of publish requests, newest first.
    ///
    /// # Errors
    /// As any request.
    pub async fn requests(
        &self,
        query: &RequestsQuery,
        cursor: Option<&str>,
    ) -> Result<Page<PublishRequest>, ClientError> {
        let flag = |set: bool| set.then(|| "true".to_owned());
        let parameters = [
            ("state", query.state.clone()),
            (
                "namespace",
                query.namespace.as_ref().map(ToString::to_string),
            ),
            ("author", query.author.clone()),
            ("waiting", flag(query.waiting)),
            ("unacknowledged", flag(query.unacknowledged)),
            ("limit", query.limit.map(|limit| limit.to_string())),
            ("cursor", cursor.map(ToOwned::to_owned)),
        ];
        self.get("/v1/requests".to_owned() + &url::query(&parameters))
            .await
    }

    /// Asks for drafts to be published.
    ///
    /// # Errors
    /// It is not valid, a draft moved, or as any request.
    pub async fn create_request(
        &self,
        write: &RequestCreate,
    ) -> Result<PublishRequest, ClientError> {
        let path = "/v1/requests".to_owned();
        self.write(Method::POST, path, write, SLOW_TIMEOUT_FACTOR)
            .await
    }

    /// A publish request.
    ///
    /// # Errors
    /// There is none, or as any request.
    pub async fn request(&self, number: u64) -> Result<PublishRequest, ClientError> {
        self.get(format!("/v1/requests/{number}")).await
    }

    /// What publishing a request would do to everything that inherits.
    ///
    /// # Errors
    /// As any request.
    pub async fn request_impact(&self, number: u64) -> Result<Preview, ClientError> {
        self.get(format!("/v1/requests/{number}/impact")).await
    }

    /// Everything that a request changes in one of its namespaces.
    ///
    /// # Errors
    /// It is not about the namespace, or as any request.
    pub async fn request_diff(
        &self,
        number: u64,
        namespace: &Namespace,
    ) -> Result<RequestDiff, ClientError> {
        let page = async |cursor: Option<String>| -> Result<RequestDiff, ClientError> {
            let parameters = [
                ("namespace", Some(namespace.to_string())),
                ("cursor", cursor),
            ];
            let path = format!("/v1/requests/{number}/diff{}", url::query(&parameters));
            self.get(path).await
        };
        let mut whole = page(None).await?;
        while let Some(cursor) = whole.next.take() {
            let mut more = page(Some(cursor)).await?;
            whole.changes.append(&mut more.changes);
            whole.next = more.next;
        }
        Ok(whole)
    }

    /// Changes what a request asks for, and asks again.
    ///
    /// # Errors
    /// Its state does not allow it, it is not valid, or as any request.
    pub async fn edit_request(
        &self,
        number: u64,
        write: &RequestEdit,
    ) -> Result<PublishRequest, ClientError> {
        let path = format!("/v1/requests/{number}");
        self.write(Method::PATCH, path, write, SLOW_TIMEOUT_FACTOR)
            .await
    }

    /// Says something about a request.
    ///
    /// # Errors
    /// As any request.
    pub async fn comment_on_request(
        &self,
        number: u64,
        write: &CommentWrite,
    ) -> Result<PublishRequest, ClientError> {
        self.on_request(number, "comments", write).await
    }

    /// Approves or rejects a request.
    ///
    /// # Errors
    /// It is not what was shown, the review would not count, or as any request.
    pub async fn review_request(
        &self,
        number: u64,
        write: &ReviewWrite,
    ) -> Result<PublishRequest, ClientError> {
        self.on_request(number, "reviews", write).await
    }

    /// Publishes a request.
    ///
    /// # Errors
    /// Something is in the way of it, or as any request.
    pub async fn publish_request(
        &self,
        number: u64,
        write: &RequestPublish,
    ) -> Result<PublishRequest, ClientError> {
        self.on_request(number, "publish", write).await
    }

    /// Lets a request publish itself.
    ///
    /// # Errors
    /// Something would be in the way of it then, or as any request.
    pub async fn schedule_request(
        &self,
        number: u64,
        write: &ScheduleWrite,
    ) -> Result<PublishRequest, ClientError> {
        self.on_request(number, "schedule", write).await
    }

    /// Takes the schedule of a request back.
    ///
    /// # Errors
    /// It is not scheduled, or as any request.
    pub async fn unschedule_request(&self, number: u64) -> Result<PublishRequest, ClientError> {
        let path = format!("/v1/requests/{number}/schedule");
        let request = Request::write(Method::DELETE, path, None);
        self.transport.json(&request).await
    }

    /// Publishes to all readers what a part of them has.
    ///
    /// # Errors
    /// As [`Client::publish_request`].
    pub async fn promote_request(
        &self,
        number: u64,
        write: &PromoteWrite,
    ) -> Result<PublishRequest, ClientError> {
        self.on_request(number, "promote", write).await
    }

    /// Takes back from a part of the readers what it has.
    ///
    /// # Errors
    /// Its state does not allow it, or as any request.
    pub async fn abort_request(
        &self,
        number: u64,
        write: &AbortWrite,
    ) -> Result<PublishRequest, ClientError> {
        self.on_request(number, "abort", write).await
    }

    /// Takes a request back.
    ///
    /// # Errors
    /// Its state does not allow it, or as any request.
    pub async fn withdraw_request(
        &self,
        number: u64,
        write: &WithdrawWrite,
    ) -> Result<PublishRequest, ClientError> {
        self.on_request(number, "withdraw", write).await
    }

    /// Notes that an emergency was looked at.
    ///
    /// # Errors
    /// There is none to look at, or as any request.
    pub async fn acknowledge_emergency(&self, number: u64) -> Result<PublishRequest, ClientError> {
        let path = format!("/v1/requests/{number}/acknowledge");
        let request = Request::write(Method::POST, path, None);
        self.transport.json(&request).await
    }

    async fn on_request(
        &self,
        number: u64,
        what: &str,
        write: &impl serde::Serialize,
    ) -> Result<PublishRequest, ClientError> {
        let path = format!("/v1/requests/{number}/{what}");
        self.write(Method::POST, path, write, SLOW_TIMEOUT_FACTOR)
            .await
    }
}
