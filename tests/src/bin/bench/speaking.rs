//! Servers that are measured, and how to speak with them over HTTP.

use std::net::SocketAddr;

use confman_tests::Server;
use serde_json::{Value, json};
use tokio::io::AsyncWriteExt;
use tokio::net::TcpStream;

use crate::{Failure, load};

/// A server and how to speak with it.
pub struct Speaking {
    pub server: Server,
    pub speaker: Speaker,
}

/// How to speak with a server.
#[derive(Clone)]
pub struct Speaker {
    url: String,
    client: reqwest::Client,
    token: String,
}

impl std::ops::Deref for Speaking {
    type Target = Speaker;

    fn deref(&self) -> &Speaker {
        &self.speaker
    }
}

impl Speaking {
    pub fn new() -> Self {
        Self::with(Server::start())
    }

    pub fn with(server: Server) -> Self {
        let speaker = Speaker {
            url: server.url().to_owned(),
            client: reqwest::Client::new(),
            token: server.admin_token(),
        };
        Self { server, speaker }
    }

    /// Memory of the process, in bytes.
    pub fn memory(&self) -> Result<u64, Failure> {
        let status = std::fs::read_to_string(format!("/proc/{}/status", self.server.pid()))?;
        let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:"));
        let kib = line.and_then(|line| line.split_whitespace().next());
        Ok(kib.ok_or("no memory")?.parse::<u64>()? * 1024)
    }
}

impl Speaker {
    pub fn url(&self) -> &str {
        &self.url
    }

    pub fn token(&self) -> &str {
        &self.token
    }

    pub fn address(&self) -> Result<SocketAddr, Failure> {
        Ok(self.url.trim_start_matches("http://").parse()?)
    }

    pub async fn post(&self, path: &str, body: &Value) -> Result<Value, Failure> {
        let url = format!("{}{path}", self.url);
        let asking = self.client.post(url).bearer_auth(&self.token).json(body);
        let answer = asking.send().await?;
        let status = answer.status();
        let text = answer.text().await?;
        if !status.is_success() {
            return Err(format!("{path}: {status} {text}").into());
        }
        Ok(serde_json::from_str(&text)?)
    }

    pub async fn namespace(&self, path: &str) -> Result<(), Failure> {
        self.post("/v1/namespaces", &json!({ "path": path }))
            .await
            .map(drop)
    }

    pub async fn publish(&self, namespace: &str, values: Value) -> Result<Value, Failure> {
        let values = values.as_object().ok_or("no object")?;
        let changes: serde_json::Map<String, Value> = values
            .iter()
            .map(|(key, value)| (key.clone(), json!({ "value": value })))
            .collect();
        let body = json!({ "changes": changes, "publish": true, "message": "as measured" });
        let namespace = namespace.trim_end_matches('/');
        self.post(&format!("/v1/ns{namespace}/-/drafts/setup/changes"), &body)
            .await
    }

    /// A request as it goes over the network.
    pub fn get(&self, path: &str, more: &str) -> Vec<u8> {
        format!(
            "GET {path} HTTP/1.1\r\nhost: localhost\r\nauthorization: Bearer {}\r\n{more}\r\n",
            self.token
        )
        .into_bytes()
    }
}

/// One answer, with its head, as it came.
pub async fn one(address: SocketAddr, request: &[u8]) -> Result<Vec<u8>, Failure> {
    let mut stream = TcpStream::connect(address).await?;
    stream.write_all(request).await?;
    let mut answer = Vec::new();
    load::answer(&mut stream, &mut answer).await?;
    Ok(answer)
}

pub fn header(answer: &[u8], name: &str) -> Result<String, Failure> {
    let text = String::from_utf8_lossy(answer);
    let value = text.lines().find_map(|line| {
        let (found, value) = line.split_once(": ")?;
        found.eq_ignore_ascii_case(name).then(|| value.to_owned())
    });
    value.ok_or_else(|| format!("no header {name}").into())
}

pub fn body(answer: &[u8]) -> &[u8] {
    let head = answer.windows(4).position(|four| four == b"\r\n\r\n");
    head.and_then(|head| answer.get(head + 4..))
        .unwrap_or_default()
}
