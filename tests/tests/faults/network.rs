//! Machines on a network of their own: a network namespace each, a bridge between them in the namespace of the
//! test, and links that can be cut in one direction.
//!
//! A link is cut at its sender, which from then on addresses its frames to hardware that nobody has. So nothing is
//! refused and nobody is told: what was sent is gone. Everything goes with the processes that hold it.

use std::collections::BTreeMap;
use std::io::Write;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

/// The number that stands for the clients, who are where the bridge is.
pub const CLIENTS: u8 = 254;
/// What a machine sends at most in a second while its link is slow, as `tc` has it.
const SLOW: &str = "rate 400kbit burst 16kb latency 300ms";
/// How long a namespace may take to come about.
const MADE_WITHIN: Duration = Duration::from_secs(10);

/// The address of a machine.
pub fn address(number: u8) -> String {
    format!("10.77.0.{number}")
}

fn hardware(number: u8) -> String {
    format!("02:00:00:00:00:{number:02x}")
}

/// See the module.
pub struct Network {
    /// Each holds the namespace of a machine as long as it sleeps.
    holders: BTreeMap<u8, Child>,
    cut: Vec<(u8, u8)>,
    slow: Vec<u8>,
}

impl Network {
    /// A network of so many machines, numbered from one.
    pub fn new(machines: u8) -> Self {
        ip_here(&format!(
            "link set lo up\n\
             link add bridge0 address {} type bridge\n\
             address add {}/24 dev bridge0\n\
             link set bridge0 up\n",
            hardware(CLIENTS),
            address(CLIENTS)
        ));
        let holders = (1..=machines)
            .map(|number| (number, machine(number)))
            .collect();
        let network = Self {
            holders,
            cut: Vec::new(),
            slow: Vec::new(),
        };
        for from in network.everyone() {
            let known = network.everyone();
            let others = known.iter().filter(|to| **to != from);
            network.tell(from, others.map(|to| (*to, hardware(*to))));
        }
        network
    }

    fn everyone(&self) -> Vec<u8> {
        self.holders.keys().copied().chain([CLIENTS]).collect()
    }

    /// What runs a program on a machine.
    pub fn on(&self, number: u8) -> Command {
        let mut command = Command::new("nsenter");
        command.arg(self.namespace(number)).arg("--");
        command
    }

    fn namespace(&self, number: u8) -> String {
        format!("--net=/proc/{}/ns/net", self.holders[&number].id())
    }

    /// Nothing gets from one to the other any more.
    pub fn cut(&mut self, from: u8, to: u8) {
        if from != to && !self.cut.contains(&(from, to)) {
            self.tell(from, [(to, hardware(0xff))]);
            self.cut.push((from, to));
        }
    }

    /// Nothing gets from any of these to any other one, nor back.
    pub fn part(&mut self, some: &[u8], others: &[u8]) {
        for a in some {
            for b in others {
                self.cut(*a, *b);
                self.cut(*b, *a);
            }
        }
    }

    /// A machine sends slowly.
    pub fn slow(&mut self, number: u8) {
        let done = self
            .on(number)
            .args(["tc", "qdisc", "replace", "dev", "eth0", "root", "tbf"])
            .args(SLOW.split(' '))
            .status();
        assert!(done.unwrap().success(), "the link does not become slow");
        self.slow.push(number);
    }

    /// All links are as they were.
    pub fn mend(&mut self) {
        for (from, to) in std::mem::take(&mut self.cut) {
            self.tell(from, [(to, hardware(to))]);
        }
        for number in std::mem::take(&mut self.slow) {
            let done = self
                .on(number)
                .args(["tc", "qdisc", "del", "dev", "eth0", "root"])
                .status();
            assert!(done.unwrap().success(), "the link stays slow");
        }
    }

    /// Tells a machine where others are.
    fn tell(&self, who: u8, where_: impl IntoIterator<Item = (u8, String)>) {
        let (command, device) = match who {
            CLIENTS => (Command::new("ip"), "bridge0"),
            _ => {
                let mut command = self.on(who);
                command.arg("ip");
                (command, "eth0")
            }
        };
        let lines: String = where_
            .into_iter()
            .map(|(number, hardware)| {
                let address = address(number);
                format!("neigh replace {address} lladdr {hardware} dev {device} nud permanent\n")
            })
            .collect();
        ip(command, &lines);
    }
}

impl Drop for Network {
    fn drop(&mut self) {
        for holder in self.holders.values_mut() {
            let _ = holder.kill();
            let _ = holder.wait();
        }
        let _ = Command::new("ip").args(["link", "del", "bridge0"]).status();
    }
}

/// Makes a namespace and joins it to the bridge.
fn machine(number: u8) -> Child {
    let holder = Command::new("unshare")
        .args(["--net", "sleep", "infinity"])
        .stdin(Stdio::null())
        .spawn()
        .unwrap();
    let id = holder.id();
    let ours = std::fs::read_link("/proc/self/ns/net").unwrap();
    let until = Instant::now() + MADE_WITHIN;
    while std::fs::read_link(format!("/proc/{id}/ns/net")).is_ok_and(|theirs| theirs == ours) {
        assert!(Instant::now() < until, "no namespace came about");
        std::thread::yield_now();
    }
    ip_here(&format!(
        "link add port{number} type veth peer name eth0 address {} netns {id}\n\
         link set port{number} master bridge0 up\n",
        hardware(number)
    ));
    let mut inside = Command::new("nsenter");
    inside
        .arg(format!("--net=/proc/{id}/ns/net"))
        .args(["--", "ip"]);
    ip(
        inside,
        &format!(
            "link set lo up\naddress add {}/24 dev eth0\nlink set eth0 up\n",
            address(number)
        ),
    );
    holder
}

fn ip_here(lines: &str) {
    ip(Command::new("ip"), lines);
}

fn ip(mut command: Command, lines: &str) {
    let mut running = command
        .args(["-batch", "-"])
        .stdin(Stdio::piped())
        .spawn()
        .unwrap();
    let mut input = running.stdin.take().unwrap();
    input.write_all(lines.as_bytes()).unwrap();
    drop(input);
    assert!(running.wait().unwrap().success(), "ip refuses {lines}");
}
