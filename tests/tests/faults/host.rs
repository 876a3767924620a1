//! A node on its machine, and the lives that it has there.

use std::fs::{File, OpenOptions};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::time::{Duration, Instant};

use crate::machine::Machine;
use crate::network::{Network, address};

/// Where a node answers clients, and its peers.
const CLIENT_PORT: u16 = 7420;
const PEER_PORT: u16 = 7421;
/// How long a node that is told to stop may take.
const STOPS_WITHIN: Duration = Duration::from_secs(20);

/// See the module.
pub struct Host {
    pub number: u8,
    pub machine: Machine,
    place: PathBuf,
    child: Option<Child>,
    paused: bool,
}

/// How a new node gets into the cluster.
pub struct Join {
    pub seeds: Vec<u8>,
    pub token: String,
}

impl Host {
    pub fn new(number: u8, shim: &Path, place: &Path) -> Self {
        let own = place.join(number.to_string());
        std::fs::create_dir_all(&own).unwrap();
        certify(place, number);
        Self {
            number,
            machine: Machine::new(shim, &own),
            place: place.to_owned(),
            child: None,
            paused: false,
        }
    }

    pub fn url(&self) -> String {
        format!("http://{}:{CLIENT_PORT}", address(self.number))
    }

    /// What the administrator shows, where this node began the cluster.
    pub fn admin_token(&self) -> Option<String> {
        let path = self.machine.data().join("admin.token");
        let token = std::fs::read_to_string(path).ok()?;
        Some(token.trim().to_owned())
    }

    fn log(&self) -> PathBuf {
        self.place.join(self.number.to_string()).join("log")
    }

    /// The last lines that it said.
    pub fn said(&self) -> String {
        let log = std::fs::read_to_string(self.log()).unwrap_or_default();
        let lines: Vec<&str> = log.lines().collect();
        lines[lines.len().saturating_sub(12)..].join("\n")
    }

    pub fn start(&mut self, network: &Network, join: Option<&Join>) {
        assert!(self.child.is_none(), "node {} runs", self.number);
        let certificate = |ending: &str| {
            let name = format!("{}.{ending}", address(self.number));
            self.place.join("certificates").join(name)
        };
        let (own, log) = (address(self.number), self.log());
        let log = OpenOptions::new().create(true).append(true).open(log);
        let mut command = network.on(self.number);
        command
            .arg(confman_tests::confman_bin())
            .args(["serve", "--listen", &format!("{own}:{CLIENT_PORT}")])
            .args(["--peer-listen", &format!("{own}:{PEER_PORT}")])
            .args(["--peer-address", &format!("{own}:{PEER_PORT}"), "--data"])
            .arg(self.machine.data())
            .arg("--peer-ca")
            .arg(self.place.join("certificates").join("ca.pem"))
            .arg("--peer-cert")
            .arg(certificate("pem"))
            .arg("--peer-key")
            .arg(certificate("key"))
            .env(
                "XDG_CONFIG_HOME",
                self.place.join(self.number.to_string()).join("config"),
            )
            .envs(self.machine.environment())
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(log.unwrap());
        if let Some(join) = join {
            let seeds: Vec<String> = join
                .seeds
                .iter()
                .map(|seed| format!("{}:{PEER_PORT}", address(*seed)))
                .collect();
            let file = self.place.join(format!("{}.token", self.number));
            std::fs::write(&file, &join.token).unwrap();
            command
                .args(["--join", &seeds.join(","), "--join-token-file"])
                .arg(file);
        }
        self.child = Some(command.spawn().unwrap());
    }

    pub fn runs(&self) -> bool {
        self.child.is_some()
    }

    /// Whether it has ended without being told to.
    pub fn ended(&mut self) -> Option<ExitStatus> {
        let status = self.child.as_mut()?.try_wait().unwrap()?;
        self.child = None;
        self.paused = false;
        Some(status)
    }

    /// SIGKILL.
    pub fn kill(&mut self) {
        if let Some(mut child) = self.child.take() {
            let _ = child.kill();
            let _ = child.wait();
        }
        self.paused = false;
    }

    /// Stands still, with everything that it holds.
    pub fn pause(&mut self) {
        self.paused = self.signal("-STOP");
    }

    /// Goes on.
    pub fn go_on(&mut self) {
        if std::mem::take(&mut self.paused) {
            self.signal("-CONT");
        }
    }

    /// SIGTERM, and waits until it has ended. Gives how it did, or nothing if it had to be killed.
    pub fn stop(&mut self) -> Option<ExitStatus> {
        self.go_on();
        if !self.signal("-TERM") {
            return None;
        }
        self.wait(STOPS_WITHIN)
    }

    /// Waits until it has ended by itself, and kills it if it does not.
    pub fn wait(&mut self, within: Duration) -> Option<ExitStatus> {
        let until = Instant::now() + within;
        while Instant::now() < until {
            if let Some(status) = self.ended() {
                return Some(status);
            }
            std::thread::park_timeout(Duration::from_millis(10));
        }
        self.kill();
        None
    }

    fn signal(&self, signal: &str) -> bool {
        let Some(child) = &self.child else {
            return false;
        };
        let sent = Command::new("kill")
            .args([signal, &child.id().to_string()])
            .status();
        sent.is_ok_and(|sent| sent.success())
    }

    /// Reads and checks everything that it stored. It must not run.
    pub fn fsck(&self) -> Result<(), String> {
        let ran = Command::new(confman_tests::confman_bin())
            .args(["fsck", "--data"])
            .arg(self.machine.data())
            .env("XDG_CONFIG_HOME", self.place.join("config"))
            .output()
            .unwrap();
        match ran.status.success() {
            true => Ok(()),
            false => Err(format!(
                "node {}: {}{}",
                self.number,
                String::from_utf8_lossy(&ran.stdout),
                String::from_utf8_lossy(&ran.stderr)
            )),
        }
    }
}

impl Drop for Host {
    fn drop(&mut self) {
        self.kill();
    }
}

/// Makes the certificate of a machine, and the authority with the first one.
fn certify(place: &Path, number: u8) {
    let made = Command::new(confman_tests::confman_bin())
        .args(["cluster", "ca", "--out"])
        .arg(place.join("certificates"))
        .arg(address(number))
        .stdout(File::create(place.join("ca.log")).unwrap())
        .status();
    assert!(made.is_ok_and(|made| made.success()), "no certificate");
}
