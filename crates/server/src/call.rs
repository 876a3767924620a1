//! One authenticated request on its way through a handler.

use std::sync::{Arc, Mutex, PoisonError};

use axum::body::Body;
use axum::http::{HeaderMap, header};
use confman_repo::objects::ObjectId;
use confman_repo::{ExpectedHead, Session};
use serde::de::DeserializeOwned;

use crate::app::App;
use crate::body;
use crate::error::{ApiError, Code};
use crate::etag::{self, IfMatch};
use crate::query::Query;
use crate::reply::Here;

/// Most items of a page.
pub const PAGE_ITEMS_MAX: usize = 1000;
/// Items of a page where the caller does not say.
pub const PAGE_ITEMS_DEFAULT: usize = 100;
/// The query parameter that every route reads, in [`crate::dispatch`].
pub(crate) const CONSISTENCY: &str = "consistency";

/// One authenticated request.
pub(crate) struct Call {
    /// What all requests share.
    pub(crate) app: App,
    /// What the caller can do.
    pub(crate) session: Session,
    /// The token that it showed; empty for anyone.
    pub(crate) token: Arc<str>,
    /// Its headers.
    pub(crate) headers: HeaderMap,
    /// Path and query.
    pub(crate) here: Here,
    /// Its body, until it is taken.
    body: Mutex<Body>,
}

impl Call {
    /// A request of this caller.
    pub(crate) fn new(
        app: App,
        session: Session,
        token: Arc<str>,
        headers: HeaderMap,
        here: Here,
        body: Body,
    ) -> Self {
        // The mutex is never locked: it lets references to a call cross threads, which a body does not.
        Self {
            app,
            session,
            token,
            headers,
            here,
            body: Mutex::new(body),
        }
    }

    /// The body; empty the second time.
    pub(crate) fn take_body(&mut self) -> Body {
        let body = self.body.get_mut().unwrap_or_else(PoisonError::into_inner);
        std::mem::replace(body, Body::empty())
    }

    /// The query, in which only these parameters may be.
    pub(crate) fn query(&self, allowed: &[&str]) -> Query {
        let mut all = allowed.to_vec();
        all.push(CONSISTENCY);
        Query::parse(self.here.query.as_deref(), &all)
    }

    /// Fails where there is any parameter.
    pub(crate) fn no_query(&self) -> Result<(), ApiError> {
        self.query(&[]).finish()
    }

    /// The body as one JSON document.
    pub(crate) async fn json<T: DeserializeOwned>(
        &mut self,
        bytes_max: usize,
    ) -> Result<T, ApiError> {
        let body = self.take_body();
        body::json(&self.headers, body, bytes_max).await
    }

    /// Asks the session, on a thread that may block.
    pub(crate) async fn run<T, F>(&self, ask: F) -> Result<T, ApiError>
    where
        T: Send + 'static,
        F: FnOnce(&Session) -> Result<T, ApiError> + Send + 'static,
    {
        let session = self.session.clone();
        self.app.blocking(move |_| ask(&session)).await
    }

    /// As [`Self::run`], for a change. Where the caller stated what it has seen in a header, a state
    /// that moved is a failed precondition.
    pub(crate) async fn change<T, F>(&self, ask: F) -> Result<T, ApiError>
    where
        T: Send + 'static,
        F: FnOnce(&Session) -> Result<T, ApiError> + Send + 'static,
    {
        let by_header = self.headers.contains_key(header::IF_MATCH)
            || self.headers.contains_key(header::IF_NONE_MATCH);
        self.run(ask).await.map_err(|error| match error.code {
            Code::Stale if by_header => ApiError {
                code: Code::PreconditionFailed,
                ..error
            },
            _ => error,
        })
    }

    /// The head that the caller has seen: `If-Match: "COMMIT"`, or `If-None-Match: *` for none.
    pub(crate) fn seen_head(&self) -> Result<ExpectedHead, ApiError> {
        let absent = match self.headers.get(header::IF_NONE_MATCH) {
            None => false,
            Some(value) if value == "*" => true,
            Some(_) => {
                return Err(ApiError::header(
                    "if-none-match",
                    "a write takes only `*`, which means: there is none yet",
                ));
            }
        };
        match etag::if_match(&self.headers)? {
            None if absent => Ok(ExpectedHead::Absent),
            None => Ok(ExpectedHead::Any),
            Some(_) if absent => Err(ApiError::header(
                "if-match",
                "it and `If-None-Match: *` exclude each other",
            )),
            Some(IfMatch::Exists) => Err(ApiError::header(
                "if-match",
                "give the commit you have seen, as in `Confman-Commit`",
            )),
            Some(IfMatch::Tag(tag)) => match tag.parse::<ObjectId>() {
                Ok(id) => Ok(ExpectedHead::At(id)),
                Err(_) => Err(ApiError::header(
                    "if-match",
                    "a write takes the commit you have seen, 64 hex digits",
                )),
            },
        }
    }

    /// The head that the caller has seen, stated in a header or in the body but not in both. In the
    /// body, the empty text means that there is none.
    pub(crate) fn seen_head_or(&self, in_body: Option<&str>) -> Result<ExpectedHead, ApiError> {
        let in_header = self.seen_head()?;
        let Some(text) = in_body else {
            return Ok(in_header);
        };
        if in_header != ExpectedHead::Any {
            let detail =
                "state the head you have seen in the header or in `expectedHead`, not in both";
            return Err(ApiError::new(Code::Invalid, detail));
        }
        if text.is_empty() {
            return Ok(ExpectedHead::Absent);
        }
        text.parse().map(ExpectedHead::At).map_err(|error| {
            ApiError::new(
                Code::Invalid,
                format!(
                    "`expectedHead` is not valid: {}",
                    crate::error::chain(&error)
                ),
            )
        })
    }
}
