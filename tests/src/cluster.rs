//! Several real servers of one cluster on this machine, with certificates made by the program itself.

#![expect(
    clippy::indexing_slicing,
    reason = "a field that a JSON document lacks is null"
)]

use std::collections::BTreeMap;
use std::net::TcpListener;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::{Duration, Instant};

use serde_json::Value;
use tempfile::TempDir;

use crate::person::Person;
use crate::server::Server;

/// How long a cluster may take for what needs an election, a transfer or a start.
pub const PATIENCE: Duration = Duration::from_secs(90);
/// How often who waits looks.
const LOOK_EVERY: Duration = Duration::from_millis(50);

/// Servers by their names. What was started is ended with it.
#[derive(Debug)]
pub struct Cluster {
    place: TempDir,
    nodes: BTreeMap<String, Node>,
    /// The administrator, at the first server.
    pub admin: Person,
}

#[derive(Debug)]
struct Node {
    server: Option<Server>,
    /// Where it listens for clients and for peers: the same after a restart.
    listen: String,
    peer: String,
}

/// Whether a node that joins becomes a voter.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum JoinAs {
    /// As soon as it has caught up.
    Voter,
    /// Never.
    Replica,
}

impl Cluster {
    /// A cluster of one node, `a`.
    ///
    /// # Panics
    /// It does not start.
    #[must_use]
    #[expect(
        clippy::expect_used,
        clippy::panic,
        reason = "a test cannot go on without it"
    )]
    pub fn start() -> Self {
        let place = TempDir::new().expect("a temporary directory");
        let node = Node::new();
        let mut arguments = Vec::new();
        certify(place.path(), "a");
        arguments.extend(peer_arguments(place.path(), "a", &node.peer));
        let data = place.path().join("a");
        let server = match Server::try_start_with(&data, &node.listen, &arguments) {
            Ok(server) => server,
            Err(said) => panic!("the first node did not start: {said}"),
        };
        let admin = Person::admin(&server);
        let node = Node {
            server: Some(server),
            ..node
        };
        Self {
            place,
            nodes: BTreeMap::from([("a".to_owned(), node)]),
            admin,
        }
    }

    /// A cluster of these voters besides `a`.
    ///
    /// # Panics
    /// It does not come about.
    #[must_use]
    pub fn of(others: &[&str]) -> Self {
        let mut cluster = Self::start();
        for name in others {
            cluster.join(name, JoinAs::Voter);
            cluster.wait_for_role(name, "voter");
        }
        cluster.admin.use_servers(&cluster.urls());
        cluster
    }

    /// The directory of a node.
    #[must_use]
    pub fn data(&self, name: &str) -> PathBuf {
        self.place.path().join(name)
    }

    /// A server that runs.
    ///
    /// # Panics
    /// It does not.
    #[must_use]
    #[expect(clippy::expect_used, reason = "a test cannot go on without it")]
    pub fn server(&self, name: &str) -> &Server {
        let node = self.nodes.get(name).expect("the node is there");
        node.server.as_ref().expect("the node runs")
    }

    /// The URLs of all servers that were started, separated by commas.
    #[must_use]
    pub fn urls(&self) -> String {
        let urls = self
            .nodes
            .values()
            .map(|node| format!("http://{}", node.listen));
        urls.collect::<Vec<_>>().join(",")
    }

    /// The names of the servers that run.
    #[must_use]
    pub fn running(&self) -> Vec<String> {
        let running = self.nodes.iter().filter(|(_, node)| node.server.is_some());
        running.map(|(name, _)| name.clone()).collect()
    }

    /// Lets a new node in by a token of its own.
    ///
    /// # Panics
    /// It is not let in.
    #[expect(clippy::panic, reason = "a test cannot go on without it")]
    pub fn join(&mut self, name: &str, wanted: JoinAs) {
        if let Err(said) = self.try_join(name, wanted) {
            panic!("{name} did not join: {said}");
        }
    }

    /// As [`Self::join`], where it may fail.
    ///
    /// # Errors
    /// What the node said.
    ///
    pub fn try_join(&mut self, name: &str, wanted: JoinAs) -> Result<(), String> {
        let token = self.admin.does(&["cluster", "join-token", "create"]);
        self.join_by(name, &token, wanted)
    }

    /// Lets a new node ask with this token.
    ///
    /// # Errors
    /// What the node said.
    pub fn try_join_with(&mut self, name: &str, token: &str) -> Result<(), String> {
        self.join_by(name, token, JoinAs::Voter)
    }

    #[expect(clippy::expect_used, reason = "a test cannot go on without it")]
    fn join_by(&mut self, name: &str, token: &str, wanted: JoinAs) -> Result<(), String> {
        let file = self.place.path().join(format!("{name}.token"));
        std::fs::write(&file, token).expect("the token is written");
        certify(self.place.path(), name);
        let seeds: Vec<String> = self.nodes.values().map(|node| node.peer.clone()).collect();
        let mut more = vec![
            "--join".to_owned(),
            seeds.join(","),
            "--join-token-file".to_owned(),
            file.display().to_string(),
        ];
        if wanted == JoinAs::Replica {
            more.push("--learner".to_owned());
        }
        self.nodes.insert(name.to_owned(), Node::new());
        self.launch(name, more, &[])
    }

    /// Starts a node again that was stopped or killed, at the addresses that it had.
    ///
    /// # Errors
    /// What it said.
    pub fn restart(&mut self, name: &str) -> Result<(), String> {
        self.restart_with(name, &[])
    }

    /// Starts a node again with more variables in its environment.
    ///
    /// # Errors
    /// What it said.
    pub fn restart_with(&mut self, name: &str, variables: &[(&str, &str)]) -> Result<(), String> {
        self.launch(name, Vec::new(), variables)
    }

    #[expect(clippy::expect_used, reason = "a test cannot go on without it")]
    fn launch(
        &mut self,
        name: &str,
        mut more: Vec<String>,
        variables: &[(&str, &str)],
    ) -> Result<(), String> {
        let data = self.data(name);
        let place = self.place.path().to_owned();
        let node = self.nodes.get_mut(name).expect("the node is there");
        more.extend(peer_arguments(&place, name, &node.peer));
        let mut command = Command::new(crate::confman_bin());
        command.envs(variables.iter().copied());
        node.server = Some(Server::try_start_at(command, &data, &node.listen, &more)?);
        Ok(())
    }

    /// Takes the server of a node, to stop or kill it.
    ///
    /// # Panics
    /// It does not run.
    #[expect(clippy::expect_used, reason = "a test cannot go on without it")]
    pub fn take(&mut self, name: &str) -> Server {
        let node = self.nodes.get_mut(name).expect("the node is there");
        node.server.take().expect("the node runs")
    }

    /// What the cluster says of itself, asked at one of its servers.
    #[must_use]
    pub fn status(&self, by: &str) -> Option<Value> {
        let ran = self.person_at(by).runs(&["cluster", "status", "--json"]);
        (ran.code == 0).then(|| ran.json())
    }

    /// The administrator at one server.
    #[must_use]
    pub fn person_at(&self, name: &str) -> Person {
        let mut person = Person::with_token(self.server(name), self.admin.token());
        person.use_servers(self.server(name).url());
        person
    }

    /// The id that a node has.
    ///
    /// # Panics
    /// It has none.
    #[must_use]
    #[expect(clippy::expect_used, reason = "a test cannot go on without it")]
    pub fn id(&self, name: &str) -> u64 {
        let mut id = None;
        // It knows nobody before it has got what its cluster has.
        eventually("it answers", || {
            id = self.status(name).and_then(|status| status["node"].as_u64());
            id.is_some()
        });
        id.expect("it answered")
    }

    /// The name of the node that leads, once somebody knows.
    ///
    /// # Panics
    /// Nobody does in time.
    #[must_use]
    pub fn leader(&self) -> String {
        let mut found = None;
        eventually("there is a leader", || {
            found = self.running().into_iter().find(|name| {
                let Some(status) = self.status(name) else {
                    return false;
                };
                status["leader"].is_u64() && status["leader"] == status["node"]
            });
            found.is_some()
        });
        found.unwrap_or_default()
    }

    /// Publishes a value by the administrator.
    pub fn publish(&self, entry: &str, value: &str) {
        self.admin
            .does(&["set", entry, value, "--publish", "-m", "why"]);
    }

    /// Waits until an entry is read with a value at one server.
    ///
    /// # Panics
    /// It is not in time.
    pub fn wait_for_value(&self, name: &str, entry: &str, value: &str) {
        let person = self.person_at(name);
        eventually(&format!("{name} has {entry}"), || {
            person.runs(&["get", entry]).text() == value
        });
    }

    /// Waits until a node serves: what the next restart waits for where one follows another.
    ///
    /// # Panics
    /// It does not in time.
    pub fn wait_until_ready(&self, name: &str) {
        let person = self.person_at(name);
        eventually(&format!("{name} is ready"), || {
            let ran = person.runs(&["api", "GET", "/readyz"]);
            ran.code == 0 && ran.json()["ready"] == true
        });
    }

    /// Waits until a node has a role, as the first server that runs sees it.
    ///
    /// # Panics
    /// It does not get it in time.
    pub fn wait_for_role(&self, name: &str, role: &str) {
        let id = self.id(name);
        eventually(&format!("{name} is a {role}"), || {
            self.running().iter().any(|by| {
                let members = self.status(by).map(|status| status["members"].clone());
                let members = members.as_ref().and_then(Value::as_array);
                members.is_some_and(|members| {
                    members
                        .iter()
                        .any(|member| member["id"] == id && member["role"] == role)
                })
            })
        });
    }
}

impl Node {
    fn new() -> Self {
        Self {
            server: None,
            listen: free_address(),
            peer: free_address(),
        }
    }
}

/// An address that nobody uses now, and that a node keeps when it is started again.
#[expect(clippy::expect_used, reason = "a test cannot go on without it")]
fn free_address() -> String {
    let listener = TcpListener::bind("127.0.0.1:0").expect("a free port");
    listener.local_addr().expect("an address").to_string()
}

/// Makes the certificate of a node unless it has one, and the authority with the first one.
#[expect(clippy::expect_used, reason = "a test cannot go on without it")]
fn certify(place: &Path, name: &str) {
    if place
        .join("certificates")
        .join(format!("{name}.test.pem"))
        .exists()
    {
        return;
    }
    let made = Command::new(crate::confman_bin())
        .args(["cluster", "ca", "--out"])
        .arg(place.join("certificates"))
        .arg(format!("{name}.test,127.0.0.1"))
        .output()
        .expect("the program can be started");
    assert!(
        made.status.success(),
        "{}",
        String::from_utf8_lossy(&made.stderr)
    );
}

fn peer_arguments(place: &Path, name: &str, peer: &str) -> Vec<String> {
    let file = |name: String| place.join("certificates").join(name).display().to_string();
    [
        ("--peer-listen", peer.to_owned()),
        ("--peer-address", peer.to_owned()),
        ("--peer-ca", file("ca.pem".to_owned())),
        ("--peer-cert", file(format!("{name}.test.pem"))),
        ("--peer-key", file(format!("{name}.test.key"))),
    ]
    .into_iter()
    .flat_map(|(flag, value)| [flag.to_owned(), value])
    .collect()
}

/// Waits until something holds.
///
/// # Panics
/// It does not in time.
pub fn eventually(what: &str, mut holds: impl FnMut() -> bool) {
    let until = Instant::now() + PATIENCE;
    while !holds() {
        assert!(Instant::now() < until, "not within {PATIENCE:?}: {what}");
        std::thread::park_timeout(LOOK_EVERY);
    }
}
