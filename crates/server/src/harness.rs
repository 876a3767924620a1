//! For tests: a server in this process, without a network, on a store of its own.

use std::sync::Arc;

use axum::Router;
use axum::body::Body;
use axum::extract::State;
use axum::http::{HeaderMap, Method, Request, StatusCode};
use http_body_util::BodyExt;
use serde_json::{Value, json};
use tempfile::TempDir;
use tokio_util::sync::CancellationToken;
use tower::ServiceExt;

use crate::app::App;
use crate::dispatch;
use crate::resolving::Resolving;
use crate::server::{OpenStore, StorePeers, bootstrap};

/// Memory for effective documents in tests.
pub(crate) const DOCUMENTS_BYTES: usize = 16 << 20;
/// Most watchers of a principal in tests.
pub(crate) const WATCHERS_MAX: usize = 4;

/// A server on a new store.
pub(crate) struct TestServer {
    pub(crate) router: Router,
    pub(crate) app: App,
    pub(crate) token: String,
    pub(crate) repo: Arc<confman_repo::Repo>,
    _data: TempDir,
}

impl Drop for TestServer {
    fn drop(&mut self) {
        self.repo.node().close();
    }
}

/// An answer.
pub(crate) struct Answer {
    pub(crate) status: StatusCode,
    pub(crate) headers: HeaderMap,
    pub(crate) body: Vec<u8>,
}

/// A request to be sent.
pub(crate) struct Asking<'s> {
    server: &'s TestServer,
    request: axum::http::request::Builder,
    authenticated: bool,
}

fn app(repo: &Arc<confman_repo::Repo>, resolving: Option<Resolving>) -> App {
    App::new(
        Arc::clone(repo),
        WATCHERS_MAX,
        resolving,
        CancellationToken::new(),
    )
}

impl TestServer {
    /// A server on a new store.
    pub(crate) async fn new() -> Self {
        Self::opened(None).await
    }

    /// A server on a new store, alone or as a node of a cluster.
    pub(crate) async fn opened(peers: Option<StorePeers>) -> Self {
        let data = tempfile::tempdir().unwrap();
        let directory = data.path().to_owned();
        let repo = tokio::task::spawn_blocking(move || {
            let joins = peers.as_ref().is_some_and(|peers| peers.join.is_some());
            let open = OpenStore {
                directory,
                cache_bytes: 16 << 20,
                block_cache_bytes: 16 << 20,
                documents_bytes: DOCUMENTS_BYTES,
                peers,
            };
            let repo = open.open().unwrap();
            assert_eq!(bootstrap(&repo, &open.directory).unwrap(), !joins);
            repo
        })
        .await
        .unwrap();
        let token = crate::admin_token::read(data.path())
            .unwrap()
            .unwrap_or_default();
        let app = app(&repo, None);
        Self {
            router: router(&app),
            app,
            token,
            repo,
            _data: data,
        }
    }

    /// Lets it resolve references to secrets.
    pub(crate) fn resolve_by(&mut self, resolving: Resolving) {
        self.app = app(&self.repo, Some(resolving));
        self.router = router(&self.app);
    }

    pub(crate) fn ask(&self, method: Method, path: &str) -> Asking<'_> {
        let request = Request::builder().method(method).uri(path);
        Asking {
            server: self,
            request,
            authenticated: true,
        }
    }

    pub(crate) fn get(&self, path: &str) -> Asking<'_> {
        self.ask(Method::GET, path)
    }

    /// Sends a JSON document and expects success.
    pub(crate) async fn write(&self, method: Method, path: &str, document: Value) -> Value {
        let answer = self.ask(method, path).json(&document).await;
        assert!(
            answer.status.is_success(),
            "{path}: {} {}",
            answer.status,
            answer.text()
        );
        answer.document()
    }

    /// Waits until watchers were told all that has happened.
    pub(crate) async fn told_all(&self) {
        let sequence = self.app.repo().node().view().sequence();
        while self.app.watches().told() < sequence {
            tokio::task::yield_now().await;
        }
    }

    /// Makes a namespace.
    pub(crate) async fn namespace(&self, path: &str) {
        self.write(Method::POST, "/v1/namespaces", json!({ "path": path }))
            .await;
    }

    /// Publishes values in one step; `null` removes.
    pub(crate) async fn publish(&self, namespace: &str, values: Value) -> Value {
        let changes: serde_json::Map<String, Value> = values
            .as_object()
            .unwrap()
            .iter()
            .map(|(key, value)| {
                (
                    key.clone(),
                    if value.is_null() {
                        Value::Null
                    } else {
                        json!({ "value": value })
                    },
                )
            })
            .collect();
        let path = format!(
            "/v1/ns{}/-/drafts/setup/changes",
            namespace.trim_end_matches('/')
        );
        let document =
            json!({ "changes": changes, "publish": true, "message": "as a test needs it" });
        self.write(Method::POST, &path, document).await
    }
}

fn router(app: &App) -> Router {
    Router::new()
        .fallback(|State(app): State<App>, request| dispatch::handle(app, request))
        .with_state(app.clone())
}

impl Asking<'_> {
    pub(crate) fn header(mut self, name: &str, value: &str) -> Self {
        self.request = self.request.header(name, value);
        self
    }

    pub(crate) fn without_token(mut self) -> Self {
        self.authenticated = false;
        self
    }

    pub(crate) async fn json(self, document: &Value) -> Answer {
        let body = Body::from(document.to_string());
        self.header("content-type", "application/json")
            .body(body)
            .await
    }

    /// As [`Self::json`], for a document that is made in place.
    pub(crate) async fn json_owned(self, document: Value) -> Answer {
        self.json(&document).await
    }

    pub(crate) async fn send(self) -> Answer {
        self.body(Body::empty()).await
    }

    pub(crate) async fn body(self, body: Body) -> Answer {
        let mut request = self.request;
        if self.authenticated {
            request = request.header("authorization", format!("Bearer {}", self.server.token));
        }
        let request = request.body(body).unwrap();
        let (method, path) = (request.method().clone(), request.uri().to_string());
        let answer = self.server.router.clone().oneshot(request);
        let (parts, body) = answer.await.unwrap().into_parts();
        let body = body.collect().await.unwrap().to_bytes().to_vec();
        let media_type = parts.headers.get("content-type");
        let media_type = media_type.map_or("", |value| value.to_str().unwrap());
        if !parts.headers.contains_key("content-encoding") {
            crate::openapi::tests::check(&method, &path, parts.status, media_type, &body);
        }
        Answer {
            status: parts.status,
            headers: parts.headers,
            body,
        }
    }
}

impl Answer {
    pub(crate) fn text(&self) -> String {
        String::from_utf8_lossy(&self.body).into_owned()
    }

    pub(crate) fn document(&self) -> Value {
        serde_json::from_slice(&self.body)
            .unwrap_or_else(|error| panic!("{error}: {}", self.text()))
    }

    pub(crate) fn header(&self, name: &str) -> &str {
        self.headers
            .get(name)
            .map_or("", |value| value.to_str().unwrap())
    }

    /// `404 not-found`, or the status alone where it is no problem.
    pub(crate) fn outcome(&self) -> String {
        let status = self.status.as_u16();
        match self.header("content-type") {
            confman_api::MEDIA_TYPE_PROBLEM => {
                format!(
                    "{status} {}",
                    self.document()["code"].as_str().unwrap_or("?")
                )
            }
            _ => status.to_string(),
        }
    }

    /// The document with what differs from run to run replaced: ids and times.
    pub(crate) fn redacted(&self) -> String {
        let mut document = self.document();
        redact(&mut document);
        serde_json::to_string_pretty(&document).unwrap()
    }
}

fn redact(value: &mut Value) {
    match value {
        Value::String(text) => {
            let is_hex = text.len() >= 16 && text.bytes().all(|byte| byte.is_ascii_hexdigit());
            let is_time = text.len() >= 20 && text.as_bytes()[10] == b'T' && text.ends_with('Z');
            if is_hex {
                *text = "[id]".to_owned();
            } else if is_time {
                *text = "[time]".to_owned();
            }
        }
        Value::Array(items) => items.iter_mut().for_each(redact),
        Value::Object(fields) => {
            for (name, value) in fields {
                match name.as_str() {
                    "index" | "raftIndex" | "raftTerm" | "term" => *value = json!("[n]"),
                    "requestId" => *value = json!("[uuid]"),
                    _ => redact(value),
                }
            }
        }
        Value::Null | Value::Bool(_) | Value::Number(_) => {}
    }
}
