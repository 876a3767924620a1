//! A member of a cluster without a server: the replicated refs over mutual TLS, in a process of its own.

use std::io::{BufRead, BufReader, Write};
use std::ops::Range;
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdin, ChildStdout, Command, Stdio};
use std::sync::Arc;
use std::time::Duration;

use confman_refs::peer::{Lane, PROTOCOL_MAX};
use confman_refs::{Begin, Node, PeerOptions, Tuning};
use confman_server::{PeerServeOptions, Peers};

use crate::transactions::{options, transact};
use crate::{Failure, peers};

/// The argument by which this program becomes a member.
pub const MEMBER: &str = "--member";

/// A node that others reach.
pub struct Member {
    // First, so that it is closed while it still reaches its peers.
    node: Arc<Node>,
    _peers: Peers,
}

impl Member {
    /// Opens a node in a directory, with a certificate from the authority in another one.
    pub fn open(
        directory: &Path,
        certificates: &Path,
        listen: &str,
        begin: Begin,
    ) -> Result<Self, Failure> {
        std::fs::create_dir_all(directory)?;
        let file = |ending: &str| certificates.join(format!("127.0.0.1.{ending}"));
        let peers = Peers::start(&PeerServeOptions {
            listen: listen.to_owned(),
            address: None,
            ca: certificates.join(confman_server::CA_CERTIFICATE),
            certificate: file("pem"),
            key: file("key"),
        })?;
        let node = Arc::new(Node::open(&options(
            directory,
            Some(PeerOptions {
                address: peers.address().to_owned(),
                transport: peers.transport(),
                begin,
                tuning: Tuning::default(),
                replica: false,
                protocol_max: PROTOCOL_MAX,
            }),
        ))?);
        peers.attach(&node);
        Ok(Self {
            node,
            _peers: peers,
        })
    }

    /// The node.
    pub fn node(&self) -> &Node {
        &self.node
    }
}

/// A member in another process, which ends with this value.
#[derive(Debug)]
pub struct OtherMember {
    arguments: Vec<String>,
    running: Option<Running>,
    /// Its id.
    pub id: u64,
    /// Where others reach it.
    pub address: String,
}

#[derive(Debug)]
struct Running {
    child: Child,
    input: ChildStdin,
    output: BufReader<ChildStdout>,
}

/// What a member says of itself.
#[derive(Clone, Copy, Debug)]
pub struct Said {
    /// The last log index that it has applied.
    pub applied: u64,
    /// Bytes that it has asked others for, for whole states.
    pub bulk: u64,
}

impl OtherMember {
    /// Starts a member that is to be let into a cluster.
    pub fn start(
        directory: PathBuf,
        certificates: &Path,
        cluster_id: [u8; 16],
        id: u64,
    ) -> Result<Self, Failure> {
        let address = peers::free_address()?.to_string();
        let mut member = Self {
            arguments: vec![
                MEMBER.to_owned(),
                directory.display().to_string(),
                certificates.display().to_string(),
                address.clone(),
                data_encoding::HEXLOWER.encode(&cluster_id),
                id.to_string(),
            ],
            running: None,
            id,
            address,
        };
        member.restart()?;
        Ok(member)
    }

    /// Starts it again after it was killed.
    pub fn restart(&mut self) -> Result<(), Failure> {
        let mut child = Command::new(std::env::current_exe()?)
            .args(&self.arguments)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()?;
        let (input, output) = (child.stdin.take(), child.stdout.take());
        let running = Running {
            child,
            input: input.ok_or("no pipe")?,
            output: BufReader::new(output.ok_or("no pipe")?),
        };
        self.running = Some(running);
        // It answers once it is open.
        self.ask().map(drop)
    }

    /// Asks it how it is.
    pub fn ask(&mut self) -> Result<Said, Failure> {
        let running = self.running.as_mut().ok_or("it does not run")?;
        writeln!(running.input)?;
        let mut line = String::new();
        running.output.read_line(&mut line)?;
        let (applied, bulk) = line.trim().split_once(' ').ok_or("a member ended")?;
        Ok(Said {
            applied: applied.parse()?,
            bulk: bulk.parse()?,
        })
    }

    /// Begins transactions of these clients there.
    pub fn begin_transacting(
        &mut self,
        numbers: &Range<usize>,
        clients: &Range<usize>,
    ) -> Result<(), Failure> {
        let running = self.running.as_mut().ok_or("it does not run")?;
        let [first, end] = [numbers.start, numbers.end];
        writeln!(
            running.input,
            "{first} {end} {} {}",
            clients.start, clients.end
        )?;
        Ok(())
    }

    /// How long each transaction took that was begun, once all are done.
    pub fn end_transacting(&mut self) -> Result<Vec<Duration>, Failure> {
        let running = self.running.as_mut().ok_or("it does not run")?;
        let mut line = String::new();
        running.output.read_line(&mut line)?;
        let times = line.split_whitespace().map(|word| {
            let micros = word.parse()?;
            Ok(Duration::from_micros(micros))
        });
        times.collect()
    }

    /// Ends it as a power cut of its process would.
    pub fn kill(&mut self) {
        if let Some(mut running) = self.running.take() {
            let _ = running.child.kill();
            let _ = running.child.wait();
        }
    }
}

impl Drop for OtherMember {
    fn drop(&mut self) {
        self.kill();
    }
}

/// What this program does when it is called with [`MEMBER`]: says how it is whenever it is asked, and transacts when
/// it is told the numbers and clients, until nobody can ask any more.
pub fn run(given: &[String]) -> Result<(), Failure> {
    let [directory, certificates, listen, cluster, id] = given else {
        return Err("a member is told its directory, certificates, address, cluster and id".into());
    };
    let cluster_id = data_encoding::HEXLOWER.decode(cluster.as_bytes())?;
    let begin = Begin::Joined {
        cluster_id: cluster_id
            .try_into()
            .map_err(|_| "the id of a cluster has 16 bytes")?,
        node_id: id.parse()?,
        incarnation: 1,
    };
    let member = Member::open(directory.as_ref(), certificates.as_ref(), listen, begin)?;
    let mut out = std::io::stdout().lock();
    for line in std::io::stdin().lines() {
        let line = line?;
        let node = member.node();
        let told: Vec<&str> = line.split_whitespace().collect();
        if let [first, end, first_client, end_client] = told[..] {
            let numbers = first.parse()?..end.parse()?;
            let clients = first_client.parse()?..end_client.parse()?;
            for time in transact(node, numbers, clients)? {
                write!(out, "{} ", time.as_micros())?;
            }
            writeln!(out)?;
        } else {
            writeln!(out, "{} {}", node.view().index(), node.carried(Lane::Bulk))?;
        }
        out.flush()?;
    }
    Ok(())
}
