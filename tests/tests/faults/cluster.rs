//! A cluster of nodes, each on a machine of its own, and what a test asks of all of them.

use std::collections::BTreeMap;
use std::path::Path;
use std::time::{Duration, Instant};

use serde_json::{Value, json};
use tokio::runtime::Runtime;

use crate::chance::Chance;
use crate::client::{Asked, Client, KEYS, KEYS_BELOW, NAMESPACES, Nodes, Notes, Reads};
use crate::history::Chains;
use crate::host::{Host, Join};
use crate::machine;
use crate::network::Network;

/// How long the cluster may take to come about, and what needs no fault to be over soon.
const PATIENCE: Duration = Duration::from_secs(60);
/// How long one question of the test may take.
const ASK_WITHIN: Duration = Duration::from_secs(2);
/// How often who waits looks.
const LOOK_EVERY: Duration = Duration::from_millis(50);
/// How long a member that was removed may take to notice.
const REMOVED_WITHIN: Duration = Duration::from_secs(20);
/// How long a page of a history may take.
const PAGE_WITHIN: Duration = Duration::from_secs(10);
/// How many versions of a key are asked for at once.
const PAGE: u64 = 1000;

/// See the module.
pub struct Cluster {
    pub runtime: Runtime,
    pub network: Network,
    pub hosts: BTreeMap<u8, Host>,
    pub nodes: Nodes,
    pub notes: std::sync::Arc<Notes>,
    /// Asks whether the nodes serve, and writes down what it asks as the others do.
    probe: Client,
    /// What was wrong so far.
    pub wrong: Vec<String>,
}

impl Cluster {
    /// A cluster of so many voters.
    pub fn new(size: u8, place: &Path, chance: &mut Chance) -> Self {
        let runtime = tokio::runtime::Builder::new_multi_thread()
            .worker_threads(2)
            .enable_all()
            .build()
            .unwrap();
        let network = Network::new(size);
        let shim = machine::compile(place);
        let mut hosts: BTreeMap<u8, Host> = (1..=size)
            .map(|number| (number, Host::new(number, &shim, place)))
            .collect();
        let first = hosts.get_mut(&1).unwrap();
        first.start(&network, None);
        let mut token = None;
        eventually("the first node has begun", PATIENCE, || {
            token = first.admin_token();
            token.is_some()
        });
        let urls = hosts.values().map(Host::url).collect();
        let nodes = Nodes::new(urls, token.unwrap());
        let notes = Notes::new();
        let probe = Client::new(99, &nodes, &notes, Reads::Linearizable, chance.apart());
        let mut cluster = Self {
            runtime,
            network,
            hosts,
            nodes,
            notes,
            probe,
            wrong: Vec::new(),
        };
        eventually("the first node serves", PATIENCE, || cluster.is_ready(1));
        for number in 2..=size {
            cluster.join(number);
        }
        let all: Vec<u8> = (1..=size).collect();
        eventually("every node is ready", PATIENCE, || {
            all.iter().all(|number| cluster.is_ready(*number))
        });
        for (above, below) in NAMESPACES {
            for path in [above, below] {
                let made = cluster.post(1, "/v1/namespaces", &json!({"path": format!("/{path}")}));
                assert!(matches!(made, Ok((201, _))), "{path}: {made:?}");
            }
        }
        cluster
    }

    pub fn numbers(&self) -> Vec<u8> {
        self.hosts.keys().copied().collect()
    }

    pub fn host(&mut self, number: u8) -> &mut Host {
        self.hosts.get_mut(&number).unwrap()
    }

    pub fn start(&mut self, number: u8) {
        let network = &self.network;
        self.hosts.get_mut(&number).unwrap().start(network, None);
    }

    fn get(&self, number: u8, path: &str) -> Option<Value> {
        let url = self.hosts[&number].url();
        let answer = self
            .runtime
            .block_on(self.nodes.get(&url, path, ASK_WITHIN));
        match answer {
            Ok((200 | 503, document)) => Some(document),
            _ => None,
        }
    }

    fn post(&self, number: u8, path: &str, body: &Value) -> Result<(u16, Value), String> {
        let url = self.hosts[&number].url();
        let asked = self.nodes.post(&url, path, None, body, PATIENCE);
        self.runtime.block_on(asked)
    }

    /// What a node says of itself.
    pub fn readiness(&self, number: u8) -> Option<Value> {
        self.get(number, "/readyz")
    }

    pub fn is_ready(&self, number: u8) -> bool {
        self.readiness(number)
            .is_some_and(|readiness| readiness["ready"] == true)
    }

    /// The machine of the node that leads, as it says itself.
    pub fn leader(&self) -> Option<u8> {
        self.numbers().into_iter().find(|number| {
            self.readiness(*number).is_some_and(|readiness| {
                readiness["leader"].is_u64() && readiness["leader"] == readiness["node"]
            })
        })
    }

    /// A node is let in on a machine that has none, and votes. Gives how long it took until it was started and
    /// served, and until it voted.
    pub fn join(&mut self, number: u8) -> Option<(Duration, Duration)> {
        let seeds: Vec<u8> = self
            .numbers()
            .into_iter()
            .filter(|seed| *seed != number && self.hosts[seed].runs())
            .collect();
        let mut token = None;
        let made = within(PATIENCE, || {
            token = seeds.iter().find_map(|seed| {
                match self.post(*seed, "/v1/cluster/join-tokens", &json!({"uses": 1})) {
                    Ok((201, made)) => made["secret"].as_str().map(str::to_owned),
                    _ => None,
                }
            });
            token.is_some()
        });
        let Some(token) = token.filter(|_| made.is_some()) else {
            self.wrong.push("no join token is made".to_owned());
            return None;
        };
        let (began, join) = (Instant::now(), Join { seeds, token });
        let network = &self.network;
        let host = self.hosts.get_mut(&number).unwrap();
        host.start(network, Some(&join));
        let ready = within(PATIENCE, || self.is_ready(number)).map(|_| began.elapsed());
        let votes = within(PATIENCE, || {
            let id = self.readiness(number).map(|said| said["node"].clone());
            let cluster = join
                .seeds
                .iter()
                .find_map(|seed| self.get(*seed, "/v1/cluster"));
            let members = cluster.and_then(|cluster| cluster["members"].as_array().cloned());
            members.is_some_and(|members| {
                members
                    .iter()
                    .any(|member| Some(&member["id"]) == id.as_ref() && member["role"] == "voter")
            })
        })
        .map(|_| began.elapsed());
        if votes.is_none() {
            let said = self.hosts[&number].said();
            self.wrong
                .push(format!("node {number} did not become a voter: {said}"));
        }
        Some((ready?, votes?))
    }

    /// A member is removed for ever, and its machine becomes one that has no node.
    pub fn remove(&mut self, number: u8) {
        let Some(id) = self
            .readiness(number)
            .and_then(|said| said["node"].as_u64())
        else {
            self.wrong
                .push(format!("node {number} does not say who it is"));
            return;
        };
        let others: Vec<u8> = self
            .numbers()
            .into_iter()
            .filter(|other| *other != number)
            .collect();
        let path = format!("/v1/cluster/members/{id}/remove");
        let mut said = Vec::new();
        let removed = within(PATIENCE, || {
            let told = self.post(others[0], &path, &json!({"force": false}));
            said.push(format!("{told:?}"));
            // Where the answer is lost, it is gone when it is asked for again.
            matches!(told, Ok((200 | 404, _)))
        });
        if removed.is_none() {
            self.wrong
                .push(format!("node {number} is not removed: {:?}", said.last()));
            return;
        }
        let host = self.hosts.get_mut(&number).unwrap();
        if host.wait(REMOVED_WITHIN).is_none() {
            let said = host.said();
            self.wrong.push(format!(
                "node {number} was removed and does not end: {said}"
            ));
        }
        host.machine.wipe();
    }

    /// Waits until every node answers a read and a publish; gives how long it took.
    pub fn serves(&mut self, patience: Duration) -> Option<Duration> {
        let began = Instant::now();
        let mut left = self.numbers();
        within(patience, || {
            left.retain(|number| {
                let url = self.hosts[number].url();
                let serves = self.is_ready(*number)
                    && self.runtime.block_on(self.probe.read(&url))
                    && self.runtime.block_on(self.probe.publish_once(&url));
                !serves
            });
            left.is_empty()
        })?;
        Some(began.elapsed())
    }

    /// What each node says of itself, for who wants to know why it does not serve.
    pub fn states(&self) -> Vec<String> {
        let state = |host: &Host| {
            let said = self.readiness(host.number);
            format!("node {}: {said:?}\n{}", host.number, host.said())
        };
        self.hosts.values().map(state).collect()
    }

    /// Waits until all members say that they have the same operation at the same index.
    pub fn agree(&mut self, patience: Duration) {
        let mut said = Value::Null;
        let agreed = within(patience, || {
            said = self.get(1, "/v1/cluster").unwrap_or(Value::Null);
            let Some(members) = said["members"].as_array() else {
                return false;
            };
            let newest = &members[0]["report"];
            members.len() == self.hosts.len()
                && members.iter().all(|member| {
                    let report = &member["report"];
                    report["operation"].is_string()
                        && report["operation"] == newest["operation"]
                        && report["index"] == newest["index"]
                })
        });
        if agreed.is_none() {
            self.wrong.push(format!("the nodes differ: {said:#}"));
        }
    }

    /// Reads every namespace at every node, as the last calls of all.
    pub fn read_everywhere(&mut self) {
        for host in self.hosts.values() {
            let url = host.url();
            for place in 0..NAMESPACES.len() {
                let read = self.probe.read_of(&url, place);
                if !self.runtime.block_on(read) {
                    self.wrong.push(format!(
                        "node {} does not answer the last read",
                        host.number
                    ));
                }
            }
        }
    }

    /// The histories of all keys, as far as they are told.
    pub fn chains(&mut self) -> Chains {
        let (mut chains, wrong) = (Chains::new(), self.wrong.len());
        let mut ready = self.numbers().into_iter();
        let by = ready.find(|number| self.is_ready(*number)).unwrap_or(1);
        for (above, below) in NAMESPACES {
            for (namespace, keys) in [(above, KEYS), (below, KEYS_BELOW)] {
                for key in keys {
                    if self.wrong.len() > wrong {
                        return chains;
                    }
                    let chain = self.chain(by, namespace, key);
                    chains.insert(format!("{namespace}:{key}"), chain);
                }
            }
        }
        chains
    }

    fn chain(&mut self, by: u8, namespace: &str, key: &str) -> Vec<String> {
        let mut chain = Vec::new();
        let mut cursor = String::new();
        loop {
            let path = format!("/v1/ns/{namespace}/-/history/{key}?limit={PAGE}{cursor}");
            let url = self.hosts[&by].url();
            let asked = self.nodes.get(&url, &path, PAGE_WITHIN);
            let page = match self.runtime.block_on(asked) {
                Ok((200, page)) => page,
                // Nobody has published it yet.
                Ok((404, _)) => break,
                other => {
                    self.wrong.push(format!("{path}: {other:?}"));
                    break;
                }
            };
            let versions = page["versions"].as_array().cloned().unwrap_or_default();
            chain.extend(
                versions
                    .iter()
                    .filter_map(|version| Some(version["value"].as_str()?.to_owned())),
            );
            match page["next"].as_str() {
                Some(next) => cursor = format!("&cursor={next}"),
                None => break,
            }
        }
        chain.reverse();
        chain
    }

    /// Stops all nodes and has each of them check what it stored.
    pub fn fsck(&mut self) {
        for host in self.hosts.values_mut() {
            match host.stop() {
                Some(status) if status.success() => {}
                other => self.wrong.push(format!(
                    "node {} does not stop when it is told to: {other:?}\n{}",
                    host.number,
                    host.said()
                )),
            }
            if let Err(said) = host.fsck() {
                self.wrong.push(said);
            }
        }
    }

    pub fn asked(&self) -> Vec<Asked> {
        self.notes.asked()
    }
}

/// Waits until something holds; gives how long it took, or nothing where it took too long.
pub fn within(patience: Duration, mut holds: impl FnMut() -> bool) -> Option<Duration> {
    let began = Instant::now();
    while !holds() {
        if began.elapsed() >= patience {
            return None;
        }
        std::thread::park_timeout(LOOK_EVERY);
    }
    Some(began.elapsed())
}

fn eventually(what: &str, patience: Duration, holds: impl FnMut() -> bool) {
    assert!(
        within(patience, holds).is_some(),
        "not within {patience:?}: {what}"
    );
}
