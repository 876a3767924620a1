//! A network in memory: nodes of one process call one another, and tests cut, delay and hang what is between
//! them.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};
use std::time::Duration;

use bytes::Bytes;
use futures::future::BoxFuture;

use crate::node::Node;
use crate::peer::{CallError, Lane, PeerAddress, PeerIdentity, Transport};

/// The network. Clones share it.
#[derive(Clone, Default)]
pub struct MemoryNetwork {
    shared: Arc<Mutex<Links>>,
}

/// What is connected, and what is wrong with it. One-way, from the caller's address to the called one's.
#[derive(Default)]
struct Links {
    nodes: BTreeMap<Arc<str>, Weak<Node>>,
    cut: BTreeSet<(Arc<str>, Arc<str>)>,
    hanging: BTreeSet<(Arc<str>, Arc<str>)>,
    delays: BTreeMap<(Arc<str>, Arc<str>), Duration>,
    /// Lanes of which calls are refused, and after how many more.
    failing: BTreeMap<Lane, u64>,
    carried: BTreeMap<Lane, u64>,
    calls: BTreeMap<Arc<str>, u64>,
    lost: BTreeMap<Lane, u64>,
}

impl fmt::Debug for MemoryNetwork {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("MemoryNetwork").finish_non_exhaustive()
    }
}

impl MemoryNetwork {
    fn lock(&self) -> MutexGuard<'_, Links> {
        self.shared.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The transport of the node with this address.
    #[must_use]
    pub fn transport(&self, address: &str) -> Arc<dyn Transport> {
        Arc::new(MemoryTransport {
            network: self.clone(),
            own: address.into(),
            introduced: Mutex::default(),
        })
    }

    /// Lets calls to this address reach a node, for as long as it is there.
    pub fn connect(&self, address: &str, node: &Arc<Node>) {
        self.lock()
            .nodes
            .insert(address.into(), Arc::downgrade(node));
    }

    /// Takes a node away: nobody answers at its address.
    pub fn disconnect(&self, address: &str) {
        self.lock().nodes.remove(address);
    }

    /// Cuts what goes from one address to another. Callers learn at once that they cannot get there.
    pub fn cut(&self, from: &str, to: &str) {
        self.lock().cut.insert((from.into(), to.into()));
    }

    /// Lets what goes from one address to another disappear: callers learn nothing.
    pub fn hang(&self, from: &str, to: &str) {
        self.lock().hanging.insert((from.into(), to.into()));
    }

    /// Delays what goes from one address to another.
    pub fn delay(&self, from: &str, to: &str, by: Duration) {
        self.lock().delays.insert((from.into(), to.into()), by);
    }

    /// Cuts both directions between an address and all others.
    pub fn isolate(&self, address: &str) {
        let mut links = self.lock();
        let others: Vec<Arc<str>> = links.nodes.keys().cloned().collect();
        for other in others.iter().filter(|other| ***other != *address) {
            links.cut.insert((address.into(), Arc::clone(other)));
            links.cut.insert((Arc::clone(other), address.into()));
        }
    }

    /// Lets `calls` more calls of a lane through and loses the ones after them.
    pub fn fail_after(&self, lane: Lane, calls: u64) {
        self.lock().failing.insert(lane, calls);
    }

    /// Undoes every cut, hang, delay and failure.
    pub fn heal(&self) {
        let mut links = self.lock();
        links.cut.clear();
        links.hanging.clear();
        links.delays.clear();
        links.failing.clear();
    }

    /// Bytes of requests and answers that a lane has carried.
    #[must_use]
    pub fn carried(&self, lane: Lane) -> u64 {
        self.lock().carried.get(&lane).copied().unwrap_or_default()
    }

    /// Calls of a lane that were lost because of [`Self::fail_after`].
    #[must_use]
    pub fn lost(&self, lane: Lane) -> u64 {
        self.lock().lost.get(&lane).copied().unwrap_or_default()
    }

    /// Calls that an address has made, whatever became of them.
    #[must_use]
    pub fn calls_of(&self, address: &str) -> u64 {
        self.lock().calls.get(address).copied().unwrap_or_default()
    }

    fn count(&self, lane: Lane, bytes: usize) {
        *self.lock().carried.entry(lane).or_default() += bytes as u64;
    }

    /// What happens to a call, decided when it is made.
    fn route(&self, from: &Arc<str>, to: &Arc<str>, lane: Lane) -> Route {
        let mut links = self.lock();
        let link = (Arc::clone(from), Arc::clone(to));
        let back = (Arc::clone(to), Arc::clone(from));
        if links.cut.contains(&link) {
            return Route::Nowhere;
        }
        if links.hanging.contains(&link) {
            return Route::Nobody;
        }
        let Some(node) = links.nodes.get(to).and_then(Weak::upgrade) else {
            return Route::Nowhere;
        };
        // What is not there does not count.
        if let Some(left) = links.failing.get_mut(&lane) {
            match left.checked_sub(1) {
                Some(fewer) => *left = fewer,
                None => {
                    *links.lost.entry(lane).or_default() += 1;
                    return Route::Nowhere;
                }
            }
        }
        let caller = links.nodes.get(from).and_then(Weak::upgrade);
        Route::There {
            node,
            caller: caller.map_or_else(PeerIdentity::stranger, |node| node.identity().clone()),
            delay: links.delays.get(&link).copied().unwrap_or_default(),
            answer_lost: links.cut.contains(&back) || links.hanging.contains(&back),
            delay_back: links.delays.get(&back).copied().unwrap_or_default(),
        }
    }
}

enum Route {
    Nowhere,
    Nobody,
    There {
        node: Arc<Node>,
        caller: PeerIdentity,
        delay: Duration,
        answer_lost: bool,
        delay_back: Duration,
    },
}

/// One node's way into the network.
#[derive(Debug)]
struct MemoryTransport {
    network: MemoryNetwork,
    own: Arc<str>,
    /// Who calls where no node runs: somebody who heals its directory.
    introduced: Mutex<Option<PeerIdentity>>,
}

impl Transport for MemoryTransport {
    fn call(
        &self,
        peer: &PeerAddress,
        lane: Lane,
        request: Bytes,
        within: Duration,
    ) -> BoxFuture<'static, Result<Bytes, CallError>> {
        let network = self.network.clone();
        let (own, peer) = (Arc::clone(&self.own), peer.clone());
        let introduced = self
            .introduced
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .clone();
        *network.lock().calls.entry(Arc::clone(&own)).or_default() += 1;
        Box::pin(async move {
            let answer = deliver(&network, &own, introduced, &peer, lane, request);
            tokio::time::timeout(within, answer)
                .await
                .unwrap_or(Err(CallError::TimedOut(within)))
        })
    }

    fn introduce(&self, identity: &PeerIdentity) {
        let mut introduced = self
            .introduced
            .lock()
            .unwrap_or_else(PoisonError::into_inner);
        *introduced = Some(identity.clone());
    }
}

async fn deliver(
    network: &MemoryNetwork,
    own: &Arc<str>,
    introduced: Option<PeerIdentity>,
    peer: &PeerAddress,
    lane: Lane,
    request: Bytes,
) -> Result<Bytes, CallError> {
    let (node, caller, delay, answer_lost, delay_back) =
        match network.route(own, &peer.address, lane) {
            Route::Nowhere => {
                return Err(CallError::Unreachable("the link is cut".to_owned()));
            }
            Route::Nobody => return futures::future::pending().await,
            Route::There {
                node,
                caller,
                delay,
                answer_lost,
                delay_back,
            } => (node, caller, delay, answer_lost, delay_back),
        };
    let caller = match introduced {
        Some(introduced) if caller.is_stranger() => introduced,
        _ => caller,
    };
    if !caller.is_stranger() {
        caller
            .check_called(peer.node_id, node.identity())
            .map_err(|mismatch| CallError::Refused(mismatch.to_string()))?;
    }
    pause(delay).await;
    network.count(lane, request.len());
    let answer = node.answer_peer(&caller, request);
    // The node may be closed while it answers.
    drop(node);
    let answer = answer.await;
    if answer_lost {
        return futures::future::pending().await;
    }
    pause(delay_back).await;
    network.count(lane, answer.len());
    Ok(answer)
}

async fn pause(time: Duration) {
    if !time.is_zero() {
        tokio::time::sleep(time).await;
    }
}
