//! Nodes of etcd of one cluster, and what is asked of them over gRPC.

use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use serde_json::{Value, json};

use crate::transactions::{Rate, measure};
use crate::{Failure, git, peers};

/// How long it may take until it answers, or has a leader.
const START_TIME_MAX: Duration = Duration::from_secs(30);
/// Pause between two looks.
const LOOK_EVERY: Duration = Duration::from_millis(20);

/// Nodes of one cluster, which end with this value.
#[derive(Debug)]
pub struct Etcd {
    nodes: Vec<EtcdNode>,
    directory: PathBuf,
    http: reqwest::Client,
}

#[derive(Debug)]
struct EtcdNode {
    name: String,
    clients: SocketAddr,
    peers: SocketAddr,
    process: Option<Child>,
}

impl Etcd {
    /// Starts so many, with etcd's own defaults; `None` where it is not installed.
    pub async fn start(directory: &Path, count: usize) -> Result<Option<Self>, Failure> {
        if Command::new("etcd").arg("--version").output().is_err() {
            return Ok(None);
        }
        let mut nodes = Vec::new();
        for number in 1..=count {
            nodes.push(EtcdNode {
                name: format!("node-{number}"),
                clients: peers::free_address()?,
                peers: peers::free_address()?,
                process: None,
            });
        }
        let mut etcd = Self {
            nodes,
            directory: directory.to_owned(),
            http: reqwest::Client::new(),
        };
        for number in 0..count {
            etcd.launch(number)?;
        }
        for number in 0..count {
            etcd.wait_for(number).await?;
        }
        Ok(Some(etcd))
    }

    fn launch(&mut self, number: usize) -> Result<(), Failure> {
        let all: Vec<String> = self
            .nodes
            .iter()
            .map(|node| format!("{}=http://{}", node.name, node.peers))
            .collect();
        let node = self.nodes.get_mut(number).ok_or("no such node")?;
        let (clients, peers) = (
            format!("http://{}", node.clients),
            format!("http://{}", node.peers),
        );
        let process = Command::new("etcd")
            .args(["--name", &node.name, "--log-level", "error", "--data-dir"])
            .arg(self.directory.join(&node.name))
            .args(["--listen-client-urls", &clients])
            .args(["--advertise-client-urls", &clients])
            .args(["--listen-peer-urls", &peers])
            .args(["--initial-advertise-peer-urls", &peers])
            .args(["--initial-cluster", &all.join(",")])
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()?;
        node.process = Some(process);
        Ok(())
    }

    /// Waits until a node says that it is well, which takes a leader.
    async fn wait_for(&mut self, number: usize) -> Result<(), Failure> {
        let until = Instant::now() + START_TIME_MAX;
        let node = self.nodes.get_mut(number).ok_or("no such node")?;
        let url = format!("http://{}/health", node.clients);
        loop {
            if let Ok(response) = self.http.get(&url).send().await
                && response.text().await?.contains("true")
            {
                return Ok(());
            }
            if let Some(process) = &mut node.process
                && let Some(status) = process.try_wait()?
            {
                return Err(format!("etcd ended: {status}").into());
            }
            if Instant::now() > until {
                return Err("etcd does not answer".into());
            }
            tokio::time::sleep(LOOK_EVERY).await;
        }
    }

    /// Where clients reach each of them.
    pub fn addresses(&self) -> Vec<SocketAddr> {
        self.nodes.iter().map(|node| node.clients).collect()
    }

    /// The same as URLs.
    pub fn urls(&self) -> Vec<String> {
        let addresses = self.addresses().into_iter();
        addresses
            .map(|address| format!("http://{address}"))
            .collect()
    }

    /// The place in the list of the node that leads.
    pub async fn leader(&self) -> Result<usize, Failure> {
        let until = Instant::now() + START_TIME_MAX;
        while Instant::now() < until {
            for (number, node) in self.nodes.iter().enumerate() {
                let url = format!("http://{}/v3/maintenance/status", node.clients);
                let Ok(answer) = self.http.post(url).json(&json!({})).send().await else {
                    continue;
                };
                let status: Value = serde_json::from_str(&answer.text().await?)?;
                let own = status.pointer("/header/member_id");
                if own.is_some() && own == status.get("leader") {
                    return Ok(number);
                }
            }
            tokio::time::sleep(LOOK_EVERY).await;
        }
        Err("etcd has no leader".into())
    }

    /// Ends a node as a power cut of its process would.
    pub fn kill(&mut self, number: usize) -> Result<(), Failure> {
        let node = self.nodes.get_mut(number).ok_or("no such node")?;
        let mut process = node.process.take().ok_or("it does not run")?;
        process.kill()?;
        process.wait()?;
        Ok(())
    }

    /// Starts it again, and waits until it is well.
    pub async fn restart(&mut self, number: usize) -> Result<(), Failure> {
        self.launch(number)?;
        self.wait_for(number).await
    }
}

impl Drop for Etcd {
    fn drop(&mut self) {
        for process in self.nodes.iter_mut().filter_map(|node| node.process.take()) {
            let mut process = process;
            let _ = process.kill();
            let _ = process.wait();
        }
    }
}

/// A client that speaks gRPC.
pub fn grpc() -> Result<reqwest::Client, Failure> {
    Ok(reqwest::Client::builder().http2_prior_knowledge().build()?)
}

/// `put` of so many keys, by many clients at once, each at one of these nodes.
pub async fn put_rate(urls: &[String], transactions: usize) -> Result<Rate, Failure> {
    let (http, urls) = (grpc()?, urls.to_vec());
    measure(transactions, move |client, number| {
        let key = format!("/client-{client}/{}", git::key(number));
        let value = git::value(number, 0);
        let url = urls.get(client % urls.len().max(1)).cloned();
        let http = http.clone();
        async move { put(&http, &url.ok_or("no node")?, &key, &value).await }
    })
    .await
}

/// Stores a value.
pub async fn put(http: &reqwest::Client, url: &str, key: &str, value: &str) -> Result<(), Failure> {
    let fields = [(PUT_KEY, key.as_bytes()), (PUT_VALUE, value.as_bytes())];
    call(http, &format!("{url}/etcdserverpb.KV/Put"), &fields).await
}

/// Reads a value as of now: a range is linearizable unless it says otherwise.
pub async fn range(http: &reqwest::Client, url: &str, key: &str) -> Result<(), Failure> {
    let fields = [(PUT_KEY, key.as_bytes())];
    call(http, &format!("{url}/etcdserverpb.KV/Range"), &fields).await
}

/// Tags of `PutRequest {key = 1, value = 2}`; the key of a `RangeRequest` has the same.
const PUT_KEY: u8 = 0x0a;
const PUT_VALUE: u8 = 0x12;

async fn call(http: &reqwest::Client, url: &str, fields: &[(u8, &[u8])]) -> Result<(), Failure> {
    let response = http
        .post(url)
        .header("content-type", "application/grpc")
        .header("te", "trailers")
        .body(frame(fields))
        .send()
        .await?;
    let status = response.status();
    let body = response.bytes().await?;
    // What failed has a status in its head or trailers, and no message.
    if !status.is_success() || body.len() < 6 {
        return Err(format!("etcd answered {status} and {} bytes", body.len()).into());
    }
    Ok(())
}

/// Fields of at most 127 bytes in a gRPC frame.
fn frame(fields: &[(u8, &[u8])]) -> Vec<u8> {
    let mut message = Vec::new();
    for (tag, bytes) in fields {
        message.push(*tag);
        message.push(u8::try_from(bytes.len()).unwrap_or(u8::MAX));
        message.extend_from_slice(bytes);
    }
    let mut frame = vec![0];
    frame.extend_from_slice(&u32::try_from(message.len()).unwrap_or(0).to_be_bytes());
    frame.extend_from_slice(&message);
    frame
}
