//! What every resolver must do, and servers that keep secrets for the tests.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::{Duration, Instant};

use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};

use super::{ResolveError, SecretReference, SecretResolver};

/// A value that must not turn up anywhere.
pub(super) const CANARY: &str = "canary-7f3a $'\"\\ ü";
/// Longer than any limit that a test sets.
const SLOW: Duration = Duration::from_secs(5);

/// A resolver and what it can find.
pub(super) struct Case<'a> {
    pub(super) resolver: &'a dyn SecretResolver,
    /// Has [`CANARY`].
    pub(super) present: &'a str,
    pub(super) absent: &'a str,
    pub(super) malformed: &'a [&'a str],
    /// Is never answered, where the resolver waits for others.
    pub(super) slow: Option<&'a str>,
}

pub(super) async fn conformance(case: Case<'_>) {
    let parsed = |text: &str| -> SecretReference { text.parse().unwrap() };
    let quiet = |error: &ResolveError| {
        let text = format!("{error} {error:?}");
        assert!(!text.contains("canary"), "an error holds the value: {text}");
    };
    // Exact bytes, each time.
    for _ in 0..2 {
        let found = case.resolver.resolve(&parsed(case.present)).await.unwrap();
        assert_eq!(found.expose(), CANARY.as_bytes());
        assert!(!format!("{found:?}").contains("canary"));
    }
    assert!(!format!("{:?}", case.resolver).contains("canary"));
    // What is missing is an error, not empty.
    let absent = case
        .resolver
        .resolve(&parsed(case.absent))
        .await
        .unwrap_err();
    assert!(matches!(absent, ResolveError::NotFound(_)), "{absent:?}");
    quiet(&absent);
    for text in case.malformed {
        let error = case.resolver.resolve(&parsed(text)).await.unwrap_err();
        assert!(
            matches!(error, ResolveError::Malformed(_)),
            "{text}: {error:?}"
        );
    }
    // Nothing takes longer than its limit.
    if let Some(slow) = case.slow {
        let began = Instant::now();
        let error = case.resolver.resolve(&parsed(slow)).await.unwrap_err();
        assert!(matches!(error, ResolveError::TimedOut(_)), "{error:?}");
        assert!(began.elapsed() < SLOW);
    }
}

/// A request as a keeper of secrets sees it.
pub(super) struct Asked {
    /// With its query.
    pub(super) path: String,
    headers: BTreeMap<String, String>,
}

impl Asked {
    pub(super) fn has_header(&self, name: &str, value: &str) -> bool {
        self.headers.get(name).is_some_and(|found| found == value)
    }
}

/// What it answers.
pub(super) enum Reply {
    Text(String),
    /// Nothing, for as long as the caller waits.
    Never,
}

impl Reply {
    pub(super) fn status(status: u16) -> Self {
        Self::Text(format!(
            "HTTP/1.1 {status} X\r\ncontent-length: 0\r\nconnection: close\r\n\r\n"
        ))
    }

    pub(super) fn redirect(to: &str) -> Self {
        Self::Text(format!(
            "HTTP/1.1 307 X\r\nlocation: {to}\r\ncontent-length: 0\r\nconnection: close\r\n\r\n"
        ))
    }

    pub(super) fn json(body: &serde_json::Value) -> Self {
        let body = body.to_string();
        Self::Text(format!(
            "HTTP/1.1 200 OK\r\ncontent-length: {}\r\nconnection: close\r\n\r\n{body}",
            body.len()
        ))
    }
}

/// A server on a port of its own, as long as the test's runtime lives.
pub(super) struct Keeper {
    pub(super) url: String,
}

impl Keeper {
    pub(super) async fn start(answer: impl Fn(&Asked) -> Reply + Send + Sync + 'static) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}", listener.local_addr().unwrap());
        let answer = Arc::new(answer);
        tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                let answer = Arc::clone(&answer);
                tokio::spawn(async move { serve(stream, &*answer).await });
            }
        });
        Self { url }
    }
}

async fn serve(mut stream: TcpStream, answer: &(impl Fn(&Asked) -> Reply + Sync)) {
    let mut text = Vec::new();
    while !text.ends_with(b"\r\n\r\n") {
        let mut byte = [0];
        match stream.read(&mut byte).await {
            Ok(1) => text.push(byte[0]),
            _ => return,
        }
    }
    let text = String::from_utf8(text).unwrap();
    let mut lines = text.lines();
    let path = lines.next().unwrap().split(' ').nth(1).unwrap().to_owned();
    let headers = lines
        .filter_map(|line| line.split_once(": "))
        .map(|(name, value)| (name.to_ascii_lowercase(), value.to_owned()))
        .collect();
    match answer(&Asked { path, headers }) {
        Reply::Text(text) => {
            let _ = stream.write_all(text.as_bytes()).await;
        }
        Reply::Never => std::future::pending().await,
    }
}
