//! Every error that leaves the server, as a problem (RFC 9457) with a stable code.

use axum::body::Body;
use axum::http::{HeaderName, HeaderValue, StatusCode, header};
use axum::response::Response;
use confman_api::problem::{Problem, ProblemItem};

pub(crate) mod cause;

/// Declares the codes with their status and title, so that there is one list of them.
macro_rules! codes {
    ($($(#[doc = $doc:literal])+ $name:ident = $text:literal, $status:ident, $title:literal;)+) => {
        /// What kind of error it is, for programs. The texts never change their meaning.
        #[derive(Clone, Copy, Debug, PartialEq, Eq)]
        pub enum Code {
            $($(#[doc = $doc])+ $name,)+
        }

        impl Code {
            /// All of them.
            pub const ALL: &[Self] = &[$(Self::$name),+];

            /// The text in problems.
            #[must_use]
            pub const fn as_str(self) -> &'static str {
                match self { $(Self::$name => $text,)+ }
            }

            /// The HTTP status that goes with it.
            #[must_use]
            pub const fn status(self) -> StatusCode {
                match self { $(Self::$name => StatusCode::$status,)+ }
            }

            /// One line that says it in general.
            #[must_use]
            pub const fn title(self) -> &'static str {
                match self { $(Self::$name => $title,)+ }
            }
        }
    };
}

codes! {
    /// The path is not in normal form or a name in it is not valid.
    InvalidPath = "invalid-path", BAD_REQUEST, "the path is not valid";
    /// A query parameter is unknown, repeated or not valid.
    InvalidQuery = "invalid-query", BAD_REQUEST, "the query is not valid";
    /// A header is not valid.
    InvalidHeader = "invalid-header", BAD_REQUEST, "a header is not valid";
    /// The body is not what this route reads.
    InvalidBody = "invalid-body", BAD_REQUEST, "the body is not valid";
    /// A name, value, document or time is not valid; `errors` lists everything that is wrong.
    Invalid = "invalid", BAD_REQUEST, "what was sent is not valid";
    /// A pack is damaged, incomplete, too large or holds what must not be stored.
    InvalidPack = "invalid-pack", BAD_REQUEST, "the pack is not valid";
    /// Several commits begin with the digits of a revision.
    AmbiguousRevision = "ambiguous-revision", BAD_REQUEST, "the revision is ambiguous";
    /// A limit of the store is exceeded; the detail states it.
    LimitExceeded = "limit-exceeded", BAD_REQUEST, "a limit is exceeded";
    /// There is no token, or it is not known.
    Unauthenticated = "unauthenticated", UNAUTHORIZED, "a valid token is needed";
    /// What an issuer gave, or the answer to a login, is not valid.
    InvalidAssertion = "invalid-assertion", UNAUTHORIZED, "what the issuer gave is not valid";
    /// The caller may not do this.
    Forbidden = "forbidden", FORBIDDEN, "you are not allowed to do this";
    /// An issuer vouches for somebody who may not come in all the same.
    NotAdmitted = "not-admitted", FORBIDDEN, "this identity is not let in";
    /// What was asked for does not exist, or the caller may not know of it.
    NotFound = "not-found", NOT_FOUND, "not found";
    /// No route has this path.
    NoSuchRoute = "no-such-route", NOT_FOUND, "there is no such route";
    /// The route does not answer this method.
    MethodNotAllowed = "method-not-allowed", METHOD_NOT_ALLOWED, "the route does not answer this method";
    /// The wanted format cannot say something that the configuration has.
    Inexpressible = "inexpressible", UNPROCESSABLE_ENTITY, "the format cannot express it";
    /// The configuration has references that the server does not resolve; `errors` lists them.
    Unresolvable = "unresolvable", UNPROCESSABLE_ENTITY, "the server does not resolve these references";
    /// References gave no value; `errors` lists them.
    Unresolved = "unresolved", BAD_GATEWAY, "secrets cannot be resolved";
    /// The principal has as many watches open as it may.
    TooManyWatchers = "too-many-watchers", TOO_MANY_REQUESTS, "too many watches are open";
    /// The answer cannot be given in a media type that `Accept` allows.
    NotAcceptable = "not-acceptable", NOT_ACCEPTABLE, "there is no such form of the answer";
    /// The request did not arrive in time.
    RequestTimeout = "request-timeout", REQUEST_TIMEOUT, "the request did not arrive in time";
    /// It exists already.
    AlreadyExists = "already-exists", CONFLICT, "it exists already";
    /// Keys were changed on both sides.
    Conflict = "conflict", CONFLICT, "there are conflicts";
    /// Namespaces are below it; `errors` lists them.
    HasChildren = "has-children", CONFLICT, "there are namespaces below it";
    /// It takes approvals that are missing.
    NeedsReview = "needs-review", CONFLICT, "it needs review";
    /// Nothing is published at this time.
    Frozen = "frozen", CONFLICT, "publishing is frozen";
    /// It changes more at once than a guard allows.
    Guarded = "guarded", CONFLICT, "it changes more than is allowed at once";
    /// An approval of the caller would not count.
    NotReviewer = "not-reviewer", CONFLICT, "you cannot review this";
    /// The state of the publish request does not allow it.
    RequestState = "request-state", CONFLICT, "the state of the publish request does not allow it";
    /// A schema is still used.
    InUse = "in-use", CONFLICT, "it is still used";
    /// It would change nothing.
    Unchanged = "unchanged", CONFLICT, "there is nothing to do";
    /// A part of the readers has something that is neither promoted nor aborted.
    RollingOut = "rolling-out", CONFLICT, "it is published gradually";
    /// Others moved the same refs again and again.
    Contended = "contended", CONFLICT, "others change it all the time";
    /// What the caller has seen has moved (stated in the body).
    Stale = "stale", CONFLICT, "it has changed since you saw it";
    /// The idempotency key was used for another request.
    IdempotencyKeyReused = "idempotency-key-reused", CONFLICT, "the idempotency key was used for another request";
    /// What the caller has seen has moved (stated in `If-Match`).
    PreconditionFailed = "precondition-failed", PRECONDITION_FAILED, "it has changed since you saw it";
    /// What would hold breaks a schema; `errors` lists every rule that is broken, in every namespace.
    SchemaViolation = "schema-violation", UNPROCESSABLE_ENTITY, "it breaks a schema";
    /// The body is larger than allowed.
    TooLarge = "too-large", PAYLOAD_TOO_LARGE, "the request is too large";
    /// The body is in another media type.
    UnsupportedMediaType = "unsupported-media-type", UNSUPPORTED_MEDIA_TYPE, "the media type is not supported";
    /// A fault in the server.
    Internal = "internal", INTERNAL_SERVER_ERROR, "the server has a fault";
    /// What is stored is damaged, and is therefore not served.
    Corrupt = "corrupt", INTERNAL_SERVER_ERROR, "stored data is damaged";
    /// An issuer of identities does not answer as it must.
    IssuerUnavailable = "issuer-unavailable", BAD_GATEWAY, "the issuer is not available";
    /// Too much is waiting.
    Busy = "busy", SERVICE_UNAVAILABLE, "the server is busy";
    /// The store cannot do this now.
    Unavailable = "unavailable", SERVICE_UNAVAILABLE, "the store is not available";
    /// A member of the cluster is not what the change asks for.
    MemberState = "member-state", CONFLICT, "the member's state does not allow it";
    /// Too few voters could be reached.
    LosesQuorum = "loses-quorum", CONFLICT, "the cluster would lose its majority";
    /// A write may or may not have taken effect.
    UnknownOutcome = "unknown-outcome", GATEWAY_TIMEOUT, "it is not known whether it took effect";
    /// The node did not reach the wanted index in time.
    Behind = "behind", GATEWAY_TIMEOUT, "this node is behind";
}

/// An answer that says what went wrong.
#[derive(Debug)]
pub(crate) struct ApiError {
    /// What kind.
    pub(crate) code: Code,
    /// What was wrong here, and what to do next.
    pub(crate) detail: String,
    /// Everything that was wrong, where there are several things.
    pub(crate) errors: Vec<ProblemItem>,
    /// Headers that belong to it.
    pub(crate) headers: Vec<(HeaderName, HeaderValue)>,
    /// For the log alone: the causes of a fault of the server.
    pub(crate) cause: Option<String>,
}

impl ApiError {
    /// An error with one sentence.
    pub(crate) fn new(code: Code, detail: impl Into<String>) -> Self {
        Self {
            code,
            detail: detail.into(),
            errors: Vec::new(),
            headers: Vec::new(),
            cause: None,
        }
    }

    /// An error that lists everything that is wrong.
    pub(crate) fn listed(code: Code, errors: Vec<ProblemItem>) -> Self {
        let detail = match errors.as_slice() {
            [only] => only.detail.clone(),
            many => format!("{} things are wrong, see `errors`", many.len()),
        };
        Self {
            code,
            detail,
            errors,
            headers: Vec::new(),
            cause: None,
        }
    }

    /// An error of a header.
    pub(crate) fn header(name: &str, detail: &str) -> Self {
        Self::new(
            Code::InvalidHeader,
            format!("the header `{name}` is not valid: {detail}"),
        )
    }

    /// Adds a header.
    pub(crate) fn with(mut self, name: HeaderName, value: HeaderValue) -> Self {
        self.headers.push((name, value));
        self
    }

    /// A fault of the server. What caused it goes to the log, not to the client.
    pub(crate) fn internal(cause: impl Into<String>) -> Self {
        let detail = "the server has a fault; its log says more about this request";
        Self {
            cause: Some(cause.into()),
            ..Self::new(Code::Internal, detail)
        }
    }

    /// The answer.
    pub(crate) fn into_response(self, request_id: &str) -> Response {
        let status = self.code.status();
        let problem = Problem {
            problem_type: format!("urn:confman:problem:{}", self.code.as_str()),
            title: self.code.title().to_owned(),
            status: status.as_u16(),
            detail: self.detail,
            code: self.code.as_str().to_owned(),
            request_id: request_id.to_owned(),
            errors: self.errors,
        };
        let body = serde_json::to_vec(&problem).unwrap_or_default();
        let mut response = Response::new(Body::from(body));
        *response.status_mut() = status;
        let headers = response.headers_mut();
        headers.insert(
            header::CONTENT_TYPE,
            HeaderValue::from_static(confman_api::MEDIA_TYPE_PROBLEM),
        );
        headers.insert(header::CACHE_CONTROL, HeaderValue::from_static("no-store"));
        headers.extend(self.headers);
        response
    }
}

/// An error with its causes, each once, on one line.
pub(crate) fn chain(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut source = error.source();
    while let Some(cause) = source {
        let cause_text = cause.to_string();
        if !text.contains(&cause_text) {
            text = format!("{text}: {cause_text}");
        }
        source = cause.source();
    }
    text
}
