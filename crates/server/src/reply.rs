//! Answers, as values: made where the store is read, written to the network elsewhere.

use axum::body::Body;
use axum::http::{HeaderMap, HeaderName, HeaderValue, StatusCode, header};
use axum::response::Response;
use bytes::Bytes;
use confman_api::{HEADER_COMMIT, HEADER_FILTERED, HEADER_INDEX, Page};
use confman_repo::objects::ObjectId;
use serde::Serialize;

use crate::error::ApiError;
use crate::etag;

/// Room for so many headers is made at once where it is known that most are needed.
const HEADERS_EXPECTED: usize = 16;

/// An answer.
pub(crate) struct Reply {
    status: StatusCode,
    body: Body,
    headers: HeaderMap,
}

impl Reply {
    /// A JSON document.
    pub(crate) fn json(document: &impl Serialize) -> Result<Self, ApiError> {
        let bytes = serde_json::to_vec(document)
            .map_err(|error| ApiError::internal(format!("an answer has no JSON form: {error}")))?;
        Ok(Self::body(Body::from(bytes), "application/json"))
    }

    /// A page of a list, and where the next one is.
    pub(crate) fn page<T: Serialize>(
        items: Vec<T>,
        next: Option<String>,
        here: &Here,
    ) -> Result<Self, ApiError> {
        let page = Page { items, next };
        Ok(Self::json(&page)?.next(here, page.next.as_deref()))
    }

    /// A body of this media type.
    pub(crate) fn body(body: Body, media_type: &'static str) -> Self {
        let mut headers = HeaderMap::new();
        headers.insert(header::CONTENT_TYPE, HeaderValue::from_static(media_type));
        Self {
            status: StatusCode::OK,
            body,
            headers,
        }
    }

    /// Nothing but headers.
    pub(crate) fn empty(status: StatusCode) -> Self {
        Self {
            status,
            body: Body::empty(),
            headers: HeaderMap::new(),
        }
    }

    /// A body with room for the headers of every answer.
    pub(crate) fn with(body: Bytes, media_type: HeaderValue) -> Self {
        let mut headers = HeaderMap::with_capacity(HEADERS_EXPECTED);
        headers.insert(header::CONTENT_TYPE, media_type);
        Self {
            status: StatusCode::OK,
            body: Body::from(body),
            headers,
        }
    }

    /// A header.
    pub(crate) fn value(mut self, name: HeaderName, value: HeaderValue) -> Self {
        self.headers.insert(name, value);
        self
    }

    /// A header, where there is one.
    pub(crate) fn value_of(self, name: HeaderName, value: Option<&HeaderValue>) -> Self {
        match value {
            Some(value) => self.value(name, value.clone()),
            None => self,
        }
    }

    /// Warnings that something in it is deprecated.
    pub(crate) fn deprecated(mut self, warnings: &[HeaderValue]) -> Self {
        if !warnings.is_empty() {
            self.headers.insert(
                HeaderName::from_static("deprecation"),
                HeaderValue::from_static("true"),
            );
        }
        for warning in warnings {
            self.headers.append(header::WARNING, warning.clone());
        }
        self
    }

    /// What it is, as a tag that is made already.
    pub(crate) fn tagged(self, tag: Option<&HeaderValue>) -> Self {
        // Whoever keeps it asks before using it again: it can have moved at any time.
        self.value_of(header::ETAG, tag).value(
            header::CACHE_CONTROL,
            HeaderValue::from_static("private, no-cache"),
        )
    }

    /// Another status than 200.
    pub(crate) fn status(mut self, status: StatusCode) -> Self {
        self.status = status;
        self
    }

    /// A header whose value is one of ours.
    pub(crate) fn header(mut self, name: HeaderName, value: &str) -> Self {
        if let Ok(value) = HeaderValue::from_str(value) {
            self.headers.insert(name, value);
        }
        self
    }

    /// The log index it is not older than.
    pub(crate) fn index(self, index: u64) -> Self {
        self.value(
            HeaderName::from_static(HEADER_INDEX),
            HeaderValue::from(index),
        )
    }

    /// The commit it was read from.
    pub(crate) fn commit(self, commit: Option<ObjectId>) -> Self {
        match commit {
            Some(commit) => {
                self.header(HeaderName::from_static(HEADER_COMMIT), &commit.to_string())
            }
            None => self,
        }
    }

    /// What it is.
    pub(crate) fn etag(mut self, tag: &str) -> Self {
        if let Some(value) = etag::value(tag) {
            self.headers.insert(header::ETAG, value);
            // Whoever keeps it asks before using it again: it can have moved at any time.
            self.headers.insert(
                header::CACHE_CONTROL,
                HeaderValue::from_static("private, no-cache"),
            );
        }
        self
    }

    /// Whether something was left out that the caller may not see.
    pub(crate) fn filtered(self, filtered: bool) -> Self {
        if filtered {
            self.header(HeaderName::from_static(HEADER_FILTERED), "true")
        } else {
            self
        }
    }

    /// Where the next page is.
    pub(crate) fn next(self, here: &Here, cursor: Option<&str>) -> Self {
        match cursor {
            Some(cursor) => self.header(header::LINK, &here.link_to(cursor)),
            None => self,
        }
    }

    /// The answer itself.
    pub(crate) fn into_response(self) -> Response {
        let mut response = Response::new(self.body);
        *response.status_mut() = self.status;
        *response.headers_mut() = self.headers;
        response
    }
}

/// Path and query of a request, as they were sent.
#[derive(Clone, Debug)]
pub(crate) struct Here {
    pub(crate) path: String,
    pub(crate) query: Option<String>,
}

impl Here {
    /// A `Link` to the same list after `cursor`, which needs no escapes.
    fn link_to(&self, cursor: &str) -> String {
        let others = self.query.as_deref().unwrap_or_default().split('&');
        let mut query: Vec<&str> = others
            .filter(|pair| !pair.is_empty() && !pair.starts_with("cursor="))
            .collect();
        let cursor = format!("cursor={cursor}");
        query.push(&cursor);
        format!("<{}?{}>; rel=\"next\"", self.path, query.join("&"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_link_replaces_the_cursor_and_keeps_the_rest() {
        let here = |query: Option<&str>| Here {
            path: "/v1/x".to_owned(),
            query: query.map(str::to_owned),
        };
        let link = |query| here(query).link_to("abc");
        insta::assert_snapshot!(link(None), @r#"</v1/x?cursor=abc>; rel="next""#);
        insta::assert_snapshot!(link(Some("limit=2&cursor=old&rev=v%201")), @r#"</v1/x?limit=2&rev=v%201&cursor=abc>; rel="next""#);
    }
}
