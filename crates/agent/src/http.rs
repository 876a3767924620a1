//! The agent over HTTP: the server's `GET …/config` for programs on this machine.
//!
//! `Age` says how many seconds ago a server confirmed what is served. Where no server stands behind
//! it now, `Warning: 110` says so.

use std::collections::BTreeMap;
use std::future::Future;
#[cfg(unix)]
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use axum::body::Body;
use axum::extract::{Request, State as Shared};
use axum::http::{HeaderMap, HeaderName, HeaderValue, Method, StatusCode, header};
use axum::response::Response;
use axum::routing::{any, get};
use confman_api::problem::Problem;
use confman_client::secret::Secrets;
use confman_model::{Key, Namespace};
use tokio::net::TcpListener;
use tokio::time::Instant;

use crate::Ready;
use crate::config::Listen;
use crate::follow::{Followed, State};
use crate::resolved::Resolved;
use crate::served::{RawValue, Served, json_object};

/// Longest wait for a change, in seconds. A larger wish is cut to it.
pub const WAIT_SECONDS_MAX: u64 = 300;
/// What a caller is told to wait before it asks again for what is not there yet.
const RETRY_AFTER_SECONDS: &str = "1";

/// What the handlers share.
#[derive(Debug)]
pub struct Agent {
    followed: BTreeMap<Namespace, Arc<Followed>>,
    resolved: Resolved,
    /// Whether callers come over a network, if only that of this machine.
    over_network: bool,
}

/// Serves until `stop` completes.
pub(crate) async fn serve(
    listen: &Listen,
    followed: Vec<Arc<Followed>>,
    secrets: Secrets,
    ready: impl FnOnce(&Ready),
    stop: impl Future<Output = ()> + Send + 'static,
) -> std::io::Result<()> {
    match listen {
        Listen::Loopback(address) => {
            let listener = TcpListener::bind(address).await?;
            let address = format!("http://{}", listener.local_addr()?);
            let router = router(followed, secrets, true);
            ready(&Ready { address });
            axum::serve(listener, router)
                .with_graceful_shutdown(stop)
                .await
        }
        #[cfg(unix)]
        Listen::Unix(path) => {
            let listener = unix_listener(path)?;
            let address = listen.to_string();
            let router = router(followed, secrets, false);
            ready(&Ready { address });
            let served = axum::serve(listener, router)
                .with_graceful_shutdown(stop)
                .await;
            // A socket that is left behind is taken over at the next start.
            let _ = std::fs::remove_file(path);
            served
        }
        #[cfg(not(unix))]
        Listen::Unix(_) => Err(std::io::Error::from(std::io::ErrorKind::Unsupported)),
    }
}

/// A socket for its owner alone. One that nobody listens on any more is replaced.
#[cfg(unix)]
fn unix_listener(path: &Path) -> std::io::Result<tokio::net::UnixListener> {
    use std::os::unix::fs::{DirBuilderExt as _, PermissionsExt as _};
    if std::os::unix::net::UnixStream::connect(path).is_ok() {
        return Err(std::io::Error::from(std::io::ErrorKind::AddrInUse));
    }
    use std::os::unix::fs::FileTypeExt as _;
    if std::fs::symlink_metadata(path).is_ok_and(|found| found.file_type().is_socket()) {
        std::fs::remove_file(path)?;
    }
    // It is made where nobody else can come, and moved to its place when it is for its owner alone.
    let folder = path.parent().filter(|folder| *folder != Path::new(""));
    let private = folder
        .unwrap_or(Path::new("."))
        .join(format!(".confman-{}", std::process::id()));
    let made = private.join("s");
    // Another process of this number may have been stopped in the middle.
    let _ = std::fs::remove_file(&made);
    let _ = std::fs::remove_dir(&private);
    std::fs::DirBuilder::new().mode(0o700).create(&private)?;
    let listener = tokio::net::UnixListener::bind(&made).and_then(|listener| {
        std::fs::set_permissions(&made, std::fs::Permissions::from_mode(0o600))?;
        std::fs::rename(&made, path)?;
        Ok(listener)
    });
    // What is left of a failure is untidy and no more.
    let _ = std::fs::remove_file(&made);
    let _ = std::fs::remove_dir(&private);
    listener
}

/// All routes.
pub(crate) fn router(followed: Vec<Arc<Followed>>, secrets: Secrets, over_network: bool) -> Router {
    let followed = followed
        .into_iter()
        .map(|followed| (followed.config.path.clone(), followed))
        .collect();
    let agent = Arc::new(Agent {
        followed,
        resolved: Resolved::new(secrets),
        over_network,
    });
    Router::new()
        .route("/healthz", get(|| async { "ok\n" }))
        .route("/readyz", get(readiness))
        .route("/version", get(version))
        .fallback(any(config))
        .with_state(agent)
}

/// Which store stands behind the agent, for clients that ask before they read.
async fn version(Shared(agent): Shared<Arc<Agent>>) -> Response {
    let states: Vec<State> = agent.followed.values().map(|it| it.state()).collect();
    let served = states.iter().find_map(|state| state.served.as_ref());
    let Some(served) = served else {
        return Refusal::new(
            StatusCode::SERVICE_UNAVAILABLE,
            "unavailable",
            "Unavailable",
            "which store stands behind this agent is not known yet",
        )
        .respond();
    };
    let version = confman_api::system::Version {
        version: env!("CARGO_PKG_VERSION").to_owned(),
        api: confman_client::client::API_VERSION,
        cluster_id: served.document.cluster_id().to_owned(),
    };
    let body = serde_json::to_vec(&version).unwrap_or_default();
    respond(StatusCode::OK, "application/json", Body::from(body))
}

/// 200 where every namespace has a document, 503 else; both say how each is.
async fn readiness(Shared(agent): Shared<Arc<Agent>>) -> Response {
    let statuses: Vec<_> = agent.followed.values().map(|it| it.status()).collect();
    let is_ready = agent
        .followed
        .values()
        .all(|followed| followed.state().served.is_some());
    let status = match is_ready {
        true => StatusCode::OK,
        false => StatusCode::SERVICE_UNAVAILABLE,
    };
    let document = serde_json::json!({ "ready": is_ready, "namespaces": statuses });
    respond(status, "application/json", Body::from(document.to_string()))
}

async fn config(Shared(agent): Shared<Arc<Agent>>, request: Request) -> Response {
    let (parts, _body) = request.into_parts();
    let answered = agent
        .answer(&parts.method, &parts.uri, &parts.headers)
        .await;
    let mut response = answered.unwrap_or_else(Refusal::respond);
    if parts.method == Method::HEAD {
        *response.body_mut() = Body::empty();
    }
    response
}

/// What a request is about.
struct Target {
    namespace: Namespace,
    key: Option<Key>,
    /// `?origin=true`
    origin: bool,
    /// `?resolve=true`
    resolve: bool,
}

/// Why a request is not answered as it wants.
struct Refusal {
    status: StatusCode,
    code: &'static str,
    title: &'static str,
    detail: String,
}

impl Refusal {
    fn new(
        status: StatusCode,
        code: &'static str,
        title: &'static str,
        detail: impl Into<String>,
    ) -> Self {
        Self {
            status,
            code,
            title,
            detail: detail.into(),
        }
    }

    fn not_found(detail: impl Into<String>) -> Self {
        Self::new(StatusCode::NOT_FOUND, "not-found", "Not found", detail)
    }

    fn respond(self) -> Response {
        let problem = Problem {
            problem_type: format!("urn:confman:problem:{}", self.code),
            title: self.title.to_owned(),
            status: self.status.as_u16(),
            detail: self.detail,
            code: self.code.to_owned(),
            request_id: String::new(),
            errors: Vec::new(),
        };
        let body = serde_json::to_vec(&problem).unwrap_or_default();
        let mut response = respond(
            self.status,
            confman_api::MEDIA_TYPE_PROBLEM,
            Body::from(body),
        );
        if self.status == StatusCode::SERVICE_UNAVAILABLE {
            let value = HeaderValue::from_static(RETRY_AFTER_SECONDS);
            response.headers_mut().insert(header::RETRY_AFTER, value);
        }
        response
    }
}

impl Agent {
    async fn answer(
        &self,
        method: &Method,
        uri: &axum::http::Uri,
        headers: &HeaderMap,
    ) -> Result<Response, Refusal> {
        self.check_host(headers)?;
        if !matches!(*method, Method::GET | Method::HEAD) {
            return Err(Refusal::new(
                StatusCode::METHOD_NOT_ALLOWED,
                "method-not-allowed",
                "Method not allowed",
                "an agent is only read; write to a server",
            ));
        }
        if headers.contains_key(confman_api::HEADER_MIN_INDEX) {
            return Err(Refusal::new(
                StatusCode::BAD_REQUEST,
                "invalid-header",
                "Invalid header",
                "an agent does not wait for an index; ask a server",
            ));
        }
        let target = target(uri)?;
        let followed = self.followed.get(&target.namespace).ok_or_else(|| {
            Refusal::not_found(format!(
                "this agent does not follow {}; name it in its configuration",
                target.namespace
            ))
        })?;
        let raw = match target.key {
            Some(_) => raw_media_type(headers)?,
            None => None,
        };
        let state = wait(followed, headers, raw.is_some()).await?;
        let Some(served) = &state.served else {
            let why = state
                .problem
                .unwrap_or_else(|| "no server has answered yet".to_owned());
            return Err(Refusal::new(
                StatusCode::SERVICE_UNAVAILABLE,
                "unavailable",
                "Unavailable",
                format!("nothing is known of {} yet: {why}", target.namespace),
            ));
        };
        if target.resolve {
            return self.resolve(followed, served, &target, raw).await;
        }
        let etag = match raw {
            Some(_) => &served.etag_raw,
            None => &served.etag,
        };
        let mut response = match is_known(headers, etag) {
            true => {
                let mut response = Response::new(Body::empty());
                *response.status_mut() = StatusCode::NOT_MODIFIED;
                response
            }
            false => body(served, &target, raw)?,
        };
        let fields = response.headers_mut();
        fields.insert(header::ETAG, etag.clone());
        let index = HeaderName::from_static(confman_api::HEADER_INDEX);
        fields.insert(index, served.index.clone());
        if target.key.is_some() {
            fields.insert(header::VARY, HeaderValue::from_static("accept"));
        }
        if served.document.is_filtered() {
            let filtered = HeaderName::from_static(confman_api::HEADER_FILTERED);
            fields.insert(filtered, HeaderValue::from_static("true"));
        }
        if !state.current {
            let stale = HeaderValue::from_static("110 - \"no server stands behind this now\"");
            fields.insert(header::WARNING, stale);
            if let Some(age) = followed.age() {
                fields.insert(header::AGE, HeaderValue::from(age.as_secs()));
            }
        }
        Ok(response)
    }

    /// Answers with secrets in place of references. Nobody is to keep that, so it has no tag.
    async fn resolve(
        &self,
        followed: &Followed,
        served: &Served,
        target: &Target,
        raw: Option<Raw>,
    ) -> Result<Response, Refusal> {
        if !followed.config.resolve || self.over_network {
            return Err(Refusal::new(
                StatusCode::FORBIDDEN,
                "forbidden",
                "Forbidden",
                format!(
                    "secrets of {} are not given; `resolve` in the agent's configuration allows it over a unix socket",
                    target.namespace
                ),
            ));
        }
        let values = self
            .resolved
            .values(&served.document)
            .await
            .map_err(|error| {
                Refusal::new(
                    StatusCode::BAD_GATEWAY,
                    "unresolved",
                    "Secrets cannot be resolved",
                    error.to_string(),
                )
            })?;
        let mut response = match (&target.key, raw) {
            (None, _) => respond(
                StatusCode::OK,
                "application/json",
                Body::from(json_object(&values)),
            ),
            (Some(key), Some(raw)) => {
                let value = values.iter().find(|(known, _)| known == key);
                let value = value.ok_or_else(|| no_key(target, key))?;
                raw_value(RawValue::of(&value.1), raw)?
            }
            (Some(_), None) => {
                return Err(Refusal::new(
                    StatusCode::NOT_ACCEPTABLE,
                    "not-acceptable",
                    "Not acceptable",
                    "a resolved value is text/plain or application/octet-stream",
                ));
            }
        };
        let fields = response.headers_mut();
        fields.insert(header::CACHE_CONTROL, HeaderValue::from_static("no-store"));
        let index = HeaderName::from_static(confman_api::HEADER_INDEX);
        fields.insert(index, served.index.clone());
        Ok(response)
    }

    /// Refuses requests that name another host: a page in a browser on this machine that had its
    /// name point here, so as to read what it must not.
    fn check_host(&self, headers: &HeaderMap) -> Result<(), Refusal> {
        if !self.over_network {
            return Ok(());
        }
        let host = headers.get(header::HOST).and_then(|it| it.to_str().ok());
        let name = host.map(|host| match host.rsplit_once(':') {
            Some((name, port)) if port.bytes().all(|b| b.is_ascii_digit()) => name,
            _ => host,
        });
        let is_here = name.is_some_and(|name| {
            let address = name.trim_start_matches('[').trim_end_matches(']');
            name.eq_ignore_ascii_case("localhost")
                || address
                    .parse::<std::net::IpAddr>()
                    .is_ok_and(|address| address.is_loopback())
        });
        match is_here {
            true => Ok(()),
            false => Err(Refusal::new(
                StatusCode::FORBIDDEN,
                "forbidden",
                "Forbidden",
                "an agent is asked by a loopback address or `localhost`",
            )),
        }
    }
}

fn body(served: &Served, target: &Target, raw: Option<Raw>) -> Result<Response, Refusal> {
    let json = "application/json";
    let Some(key) = &target.key else {
        let body = match target.origin {
            true => served.document.body().clone(),
            false => served.values.clone(),
        };
        return Ok(respond(StatusCode::OK, json, Body::from(body)));
    };
    let none = || no_key(target, key);
    let Some(raw) = raw else {
        let entry = served.entry(key.as_str()).ok_or_else(none)?;
        return Ok(respond(StatusCode::OK, json, Body::from(entry)));
    };
    raw_value(served.raw(key.as_str()).ok_or_else(none)?, raw)
}

fn no_key(target: &Target, key: &Key) -> Refusal {
    Refusal::not_found(format!("{} has no key `{key}`", target.namespace))
}

fn raw_value(value: RawValue, raw: Raw) -> Result<Response, Refusal> {
    let media_type = match raw {
        Raw::Octets => "application/octet-stream",
        Raw::Text if value.is_text => "text/plain; charset=utf-8",
        Raw::Text => {
            return Err(Refusal::new(
                StatusCode::NOT_ACCEPTABLE,
                "not-acceptable",
                "Not acceptable",
                "the value is binary; ask for `application/octet-stream` or `application/json`",
            ));
        }
    };
    Ok(respond(StatusCode::OK, media_type, Body::from(value.bytes)))
}

fn respond(status: StatusCode, media_type: &'static str, body: Body) -> Response {
    let mut response = Response::new(body);
    *response.status_mut() = status;
    response
        .headers_mut()
        .insert(header::CONTENT_TYPE, HeaderValue::from_static(media_type));
    response
}

/// Waits for another state than the caller has, where it asks for that.
async fn wait(followed: &Followed, headers: &HeaderMap, raw: bool) -> Result<State, Refusal> {
    let mut states = followed.subscribe();
    let wait = wait_wanted(headers)?;
    let (Some(wait), true) = (wait, headers.contains_key(header::IF_NONE_MATCH)) else {
        return Ok(states.borrow().clone());
    };
    let deadline = Instant::now() + wait;
    loop {
        let state = states.borrow_and_update().clone();
        let has_it = state.served.as_ref().is_some_and(|served| {
            let etag = if raw { &served.etag_raw } else { &served.etag };
            is_known(headers, etag)
        });
        if !has_it {
            return Ok(state);
        }
        let moved = tokio::time::timeout_at(deadline, states.changed()).await;
        if !matches!(moved, Ok(Ok(()))) {
            return Ok(state);
        }
    }
}

/// `Prefer: wait=30`. Other preferences are not ours.
fn wait_wanted(headers: &HeaderMap) -> Result<Option<Duration>, Refusal> {
    for value in headers.get_all(HeaderName::from_static("prefer")) {
        let text = value.to_str().unwrap_or_default();
        for preference in text.split([',', ';']) {
            let (name, value) = preference.split_once('=').unwrap_or((preference, ""));
            if !name.trim().eq_ignore_ascii_case("wait") {
                continue;
            }
            let seconds: u64 = value.trim().trim_matches('"').parse().map_err(|_| {
                Refusal::new(
                    StatusCode::BAD_REQUEST,
                    "invalid-header",
                    "Invalid header",
                    "in `Prefer`, `wait` is a number of seconds, as in `wait=30`",
                )
            })?;
            return Ok(Some(Duration::from_secs(seconds.min(WAIT_SECONDS_MAX))));
        }
    }
    Ok(None)
}

fn is_known(headers: &HeaderMap, etag: &HeaderValue) -> bool {
    let etag = etag.to_str().unwrap_or_default();
    headers
        .get_all(header::IF_NONE_MATCH)
        .iter()
        .filter_map(|value| value.to_str().ok())
        .flat_map(|text| text.split(','))
        .map(str::trim)
        .any(|given| given == "*" || given.strip_prefix("W/").unwrap_or(given) == etag)
}

/// The forms of a value's own bytes.
#[derive(Clone, Copy)]
enum Raw {
    Text,
    Octets,
}

/// Which form of a value is wanted; `None` is JSON with where it comes from.
fn raw_media_type(headers: &HeaderMap) -> Result<Option<Raw>, Refusal> {
    let mut accepts = headers
        .get_all(header::ACCEPT)
        .iter()
        .filter_map(|value| value.to_str().ok())
        .flat_map(|text| text.split(','))
        .map(|range| range.split(';').next().unwrap_or_default().trim())
        .peekable();
    if accepts.peek().is_none() {
        return Ok(None);
    }
    for range in accepts {
        match range.to_ascii_lowercase().as_str() {
            "*/*" | "application/*" | "application/json" => return Ok(None),
            "text/plain" | "text/*" => return Ok(Some(Raw::Text)),
            "application/octet-stream" => return Ok(Some(Raw::Octets)),
            _ => {}
        }
    }
    Err(Refusal::new(
        StatusCode::NOT_ACCEPTABLE,
        "not-acceptable",
        "Not acceptable",
        "the answer is application/json, text/plain or application/octet-stream",
    ))
}

/// What a path and query are about. As on a server, what is not in normal form is refused.
fn target(uri: &axum::http::Uri) -> Result<Target, Refusal> {
    let invalid = |detail: String| {
        Refusal::new(
            StatusCode::BAD_REQUEST,
            "invalid-path",
            "Invalid path",
            detail,
        )
    };
    let no_route = || {
        Refusal::new(
            StatusCode::NOT_FOUND,
            "no-such-route",
            "No such route",
            "an agent answers /v1/ns/{namespace}/-/config[/{key}], /healthz and /readyz",
        )
    };
    let path = uri.path().replace("%2F", "/").replace("%2f", "/");
    let rest = path.strip_prefix("/v1/ns").ok_or_else(no_route)?;
    let (namespace, rest) = match rest.strip_prefix("/-/") {
        Some(rest) => ("/", rest),
        None => rest.split_once("/-/").ok_or_else(no_route)?,
    };
    let key = match rest.strip_prefix("config") {
        Some("") => None,
        Some(rest) => Some(rest.strip_prefix('/').ok_or_else(no_route)?),
        None => return Err(no_route()),
    };
    let namespace = namespace
        .parse()
        .map_err(|error: confman_model::NamespaceError| invalid(error.to_string()))?;
    let key = key
        .map(|key| {
            key.parse()
                .map_err(|error: confman_model::KeyError| invalid(error.to_string()))
        })
        .transpose()?;
    let (mut origin, mut resolve) = (false, false);
    for parameter in uri.query().unwrap_or_default().split('&') {
        match parameter {
            "" | "origin=false" | "resolve=false" => {}
            "origin=true" if key.is_none() => origin = true,
            "resolve=true" => resolve = true,
            other => {
                return Err(invalid_query(format!(
                    "an agent has the newest state alone, so `{other}` is for a server"
                )));
            }
        }
    }
    if origin && resolve {
        return Err(invalid_query(
            "`origin` and `resolve` are two different documents".to_owned(),
        ));
    }
    Ok(Target {
        namespace,
        key,
        origin,
        resolve,
    })
}

fn invalid_query(detail: String) -> Refusal {
    Refusal::new(
        StatusCode::BAD_REQUEST,
        "invalid-query",
        "Invalid query",
        detail,
    )
}
