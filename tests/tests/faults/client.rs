//! Clients that publish and read while everything fails, and write down what they asked and were told.
//!
//! Each value is published once in all of a run. What a publish replaced is not known to who publishes; it is read
//! off the history of the key when all is over ([`crate::history`]).

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use confman_client::{Client as Library, ClientOptions};
use serde_json::{Value, json};

use crate::chance::Chance;

/// Clients that work at once.
const CLIENTS: u64 = 8;
/// How long a client thinks between two requests.
const THINK_MS: (u64, u64) = (5, 120);
/// How long one attempt may take.
const ATTEMPT_WITHIN: Duration = Duration::from_secs(4);
/// How often a publish is sent by who does not use the library.
const ATTEMPTS: u64 = 4;
/// How long a publish through the library may take.
const LIBRARY_WITHIN: Duration = Duration::from_secs(10);
/// A namespace, the one below it that inherits from it, and the keys of both.
pub const NAMESPACES: [(&str, &str); 3] = [("a", "a/x"), ("b", "b/x"), ("c", "c/x")];
pub const KEYS: [&str; 2] = ["one", "two"];
pub const KEYS_BELOW: [&str; 2] = ["three", "four"];

/// Which mistake clients make on purpose, to see that it is found.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Reads {
    /// They ask for what was acknowledged anywhere.
    Linearizable,
    /// They take what a node has, and call it that.
    Local,
}

/// What was asked.
#[derive(Clone, Debug)]
pub struct Asked {
    pub client: String,
    pub node: String,
    pub began: u64,
    pub ended: Option<u64>,
    pub began_at: Instant,
    pub ended_at: Instant,
    /// By register, which is a namespace and a key.
    pub seen: BTreeMap<String, Option<String>>,
    pub written: BTreeMap<String, String>,
    /// What a request that was not answered with 200 came to.
    pub said: String,
}

/// What a client wrote, and what it read afterwards where it had been told the index of its write.
#[derive(Clone, Debug)]
pub struct Reread {
    pub register: String,
    pub written: String,
    pub seen: Option<String>,
}

/// What all clients write down.
pub struct Notes {
    moment: AtomicU64,
    asked: Mutex<Vec<Asked>>,
    reread: Mutex<Vec<Reread>>,
}

impl Notes {
    pub fn new() -> Arc<Self> {
        Arc::new(Self {
            moment: AtomicU64::new(1),
            asked: Mutex::default(),
            reread: Mutex::default(),
        })
    }

    /// A moment that was not and will not be again.
    fn now(&self) -> u64 {
        self.moment.fetch_add(1, Ordering::SeqCst)
    }

    pub fn asked(&self) -> Vec<Asked> {
        self.asked.lock().unwrap().clone()
    }

    pub fn reread(&self) -> Vec<Reread> {
        self.reread.lock().unwrap().clone()
    }
}

/// How the nodes are asked.
#[derive(Clone)]
pub struct Nodes {
    pub urls: Vec<String>,
    pub token: String,
    http: reqwest::Client,
}

/// What a node answered.
pub type Answer = Result<(u16, Value), String>;

impl Nodes {
    pub fn new(urls: Vec<String>, token: String) -> Self {
        let http = reqwest::Client::builder()
            .connect_timeout(Duration::from_secs(1))
            .build()
            .unwrap();
        Self { urls, token, http }
    }

    pub async fn get(&self, url: &str, path: &str, within: Duration) -> Answer {
        let request = self.http.get(format!("{url}{path}"));
        self.send(request, within).await
    }

    pub async fn post(
        &self,
        url: &str,
        path: &str,
        key: Option<&str>,
        body: &Value,
        within: Duration,
    ) -> Answer {
        let mut request = self.http.post(format!("{url}{path}")).json(body);
        if let Some(key) = key {
            request = request.header("idempotency-key", key);
        }
        self.send(request, within).await
    }

    async fn send(&self, request: reqwest::RequestBuilder, within: Duration) -> Answer {
        let sent = request
            .bearer_auth(&self.token)
            .timeout(within)
            .send()
            .await
            .map_err(|_| "no answer".to_owned())?;
        let status = sent.status().as_u16();
        let bytes = sent
            .bytes()
            .await
            .map_err(|_| "half an answer".to_owned())?;
        Ok((
            status,
            serde_json::from_slice(&bytes).unwrap_or(Value::Null),
        ))
    }

    fn library(&self) -> Library {
        let options = ClientOptions {
            timeout: LIBRARY_WITHIN,
            retries: 3,
            user_agent: "faults".to_owned(),
            client_id: None,
        };
        Library::new(&self.urls.join(","), Some(&self.token), options).unwrap()
    }
}

/// The clients at work.
pub struct Work {
    stop: Arc<AtomicBool>,
    tasks: Vec<tokio::task::JoinHandle<()>>,
}

impl Work {
    pub fn begin(
        runtime: &tokio::runtime::Runtime,
        nodes: &Nodes,
        notes: &Arc<Notes>,
        reads: Reads,
        chance: &mut Chance,
    ) -> Self {
        let stop = Arc::new(AtomicBool::new(false));
        let tasks = (0..CLIENTS).map(|number| {
            let client = Client::new(number, nodes, notes, reads, chance.apart());
            runtime.spawn(client.work(Arc::clone(&stop)))
        });
        Self {
            tasks: tasks.collect(),
            stop,
        }
    }

    pub fn end(self, runtime: &tokio::runtime::Runtime) {
        self.stop.store(true, Ordering::Relaxed);
        for task in self.tasks {
            runtime.block_on(task).unwrap();
        }
    }
}

/// One of the clients.
pub struct Client {
    name: String,
    nodes: Nodes,
    library: Library,
    notes: Arc<Notes>,
    reads: Reads,
    chance: Chance,
    publishes: u64,
}

impl Client {
    pub fn new(
        number: u64,
        nodes: &Nodes,
        notes: &Arc<Notes>,
        reads: Reads,
        chance: Chance,
    ) -> Self {
        Self {
            name: format!("client-{number}"),
            nodes: nodes.clone(),
            library: nodes.library(),
            notes: Arc::clone(notes),
            reads,
            chance,
            publishes: 0,
        }
    }

    async fn work(mut self, stop: Arc<AtomicBool>) {
        while !stop.load(Ordering::Relaxed) {
            let url = self.chance.pick(&index_of(&self.nodes.urls));
            let url = self.nodes.urls[url].clone();
            match self.chance.between(0, 100) {
                0..50 => drop(self.read(&url).await),
                50..75 => drop(self.publish(&url).await),
                _ => self.publish_by_library().await,
            }
            let think = self.chance.millis(THINK_MS.0, THINK_MS.1);
            tokio::time::sleep(think).await;
        }
    }

    /// Reads a namespace and what it inherits at one node. Gives whether it was answered.
    pub async fn read(&mut self, url: &str) -> bool {
        let place = self.chance.pick(&index_of(&NAMESPACES));
        self.read_of(url, place).await
    }

    /// As [`Self::read`], of one namespace.
    pub async fn read_of(&mut self, url: &str, place: usize) -> bool {
        let (above, below) = NAMESPACES[place];
        let mut asked = self.ask(url);
        let consistency = match self.reads {
            Reads::Linearizable => "linearizable",
            Reads::Local => "local",
        };
        let path = format!("/v1/ns/{below}/-/config?consistency={consistency}");
        let answer = self.nodes.get(url, &path, ATTEMPT_WITHIN).await;
        self.told(&mut asked, &answer);
        if let Ok((200, document)) = &answer {
            let value = |key: &str| document[key].as_str().map(str::to_owned);
            let registers = KEYS.iter().map(|key| (above, key));
            let registers = registers.chain(KEYS_BELOW.iter().map(|key| (below, key)));
            asked.seen = registers
                .map(|(namespace, key)| (format!("{namespace}:{key}"), value(key)))
                .collect();
        }
        let answered = asked.ended.is_some();
        self.note(asked);
        answered
    }

    /// Publishes at one node, and at others with the same key where that one does not answer.
    /// Gives whether it is known to have been published.
    async fn publish(&mut self, url: &str) -> bool {
        self.publish_with(url, ATTEMPTS).await
    }

    /// Publishes at one node alone.
    pub async fn publish_once(&mut self, url: &str) -> bool {
        self.publish_with(url, 1).await
    }

    async fn publish_with(&mut self, url: &str, attempts: u64) -> bool {
        let mut asked = self.ask(url);
        let (namespace, changes) = self.change(&mut asked);
        let draft = &self.name;
        let path = format!("/v1/ns/{namespace}/-/drafts/{draft}/changes");
        let body = json!({"changes": changes, "publish": true, "message": "under faults"});
        let key = format!("{}-{}", self.name, self.publishes);
        let mut url = url.to_owned();
        for _ in 0..attempts {
            let answer = self
                .nodes
                .post(&url, &path, Some(&key), &body, ATTEMPT_WITHIN)
                .await;
            self.told(&mut asked, &answer);
            // What is refused for good is not asked again.
            if matches!(answer, Ok((status, _)) if status < 500 && status != 429) {
                break;
            }
            url = self.nodes.urls[self.chance.pick(&index_of(&self.nodes.urls))].clone();
            let pause = self.chance.millis(20, 300);
            tokio::time::sleep(pause).await;
        }
        let published = asked.ended.is_some();
        self.note(asked);
        published
    }

    /// Publishes as applications do, who know all nodes; and reads at times what they wrote.
    async fn publish_by_library(&mut self) {
        let mut asked = self.ask("library");
        let (namespace, changes) = self.change(&mut asked);
        let body = json!({"changes": changes, "message": "under faults"});
        let namespace = format!("/{namespace}").parse().unwrap();
        let published = self
            .library
            .change_and_publish(
                &namespace,
                &self.name.parse().unwrap(),
                &serde_json::from_value(body).unwrap(),
            )
            .await;
        asked.ended_at = Instant::now();
        match published {
            Ok(_) => asked.ended = Some(self.notes.now()),
            Err(error) => {
                asked.said = match error.code() {
                    Some(code) => format!("library: {code}"),
                    None => "library: no answer".to_owned(),
                }
            }
        }
        let written = asked.ended.map(|_| asked.written.clone());
        self.note(asked);
        let Some(written) = written.filter(|_| self.chance.percent(30)) else {
            return;
        };
        if let Ok(values) = self.library.effective_values(&namespace, None).await {
            let values: Value = serde_json::to_value(&values).unwrap();
            for (register, written) in written {
                let (_, key) = register.split_once(':').unwrap();
                let seen = values[key].as_str().map(str::to_owned);
                self.notes.reread.lock().unwrap().push(Reread {
                    register,
                    written,
                    seen,
                });
            }
        }
    }

    /// What is to be published, where.
    fn change(&mut self, asked: &mut Asked) -> (&'static str, Value) {
        self.publishes += 1;
        let (above, below) = self.chance.pick(&NAMESPACES);
        let (namespace, keys) = match self.chance.percent(50) {
            true => (above, KEYS),
            false => (below, KEYS_BELOW),
        };
        let keys = match self.chance.between(0, 3) {
            0 => &keys[..],
            1 => &keys[..1],
            _ => &keys[1..],
        };
        let value = format!("{}.{}", self.name, self.publishes);
        asked.written = keys
            .iter()
            .map(|key| (format!("{namespace}:{key}"), value.clone()))
            .collect();
        let changes: BTreeMap<&str, Value> = keys
            .iter()
            .map(|key| (*key, json!({"value": value})))
            .collect();
        (namespace, json!(changes))
    }

    fn ask(&self, node: &str) -> Asked {
        Asked {
            client: self.name.clone(),
            node: node.to_owned(),
            began: self.notes.now(),
            ended: None,
            began_at: Instant::now(),
            ended_at: Instant::now(),
            seen: BTreeMap::new(),
            written: BTreeMap::new(),
            said: String::new(),
        }
    }

    fn told(&self, asked: &mut Asked, answer: &Answer) {
        asked.ended_at = Instant::now();
        asked.said = match answer {
            Ok((200..300, _)) => {
                asked.ended = Some(self.notes.now());
                String::new()
            }
            Ok((status, document)) => {
                format!("{status} {}", document["code"].as_str().unwrap_or_default())
            }
            Err(said) => said.clone(),
        };
    }

    fn note(&self, asked: Asked) {
        self.notes.asked.lock().unwrap().push(asked);
    }
}

/// The places in a list, to pick one from.
fn index_of<T>(list: &[T]) -> Vec<usize> {
    (0..list.len()).collect()
}
