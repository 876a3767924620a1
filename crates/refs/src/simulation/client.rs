//! Clients: compare-and-swap of refs, and linearizable reads, with everything they were told.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use confman_object_store::{Encoded, Kind, Object};
use openraft::ReadPolicy;
use openraft::errors::{ClientWriteError, LinearizableReadError, RaftError};
use tokio::sync::oneshot;
use tokio::time::Instant;

use super::chance::chance;
use super::world::{Bug, Running, Travel, World};
use crate::name::RefName;
use crate::proposal;
use crate::raft::{Answer, Payload, Refusal};
use crate::testing::history::Call;
use crate::transaction::{
    Committed, Expect, RefEdit, RequestId, Target, TransactError, Transaction,
};
use crate::view::View;

/// The refs that clients move.
pub(crate) const REFS: [&str; 3] = ["a", "b", "c"];
/// How often one request is sent.
const ATTEMPTS: u32 = 8;
/// How long a client waits for an answer, at most.
const PATIENCE_MS: u64 = 6000;
/// And one that is to notice soon that the cluster serves.
const IMPATIENT_MS: u64 = 1000;
/// The node number that stands for clients on links.
const OUTSIDE: u64 = 0;

/// What all clients were told.
#[derive(Debug, Default)]
pub(crate) struct Told {
    calls: Mutex<Vec<Call>>,
    committed: Mutex<Vec<Committed>>,
}

impl Told {
    fn call(&self, call: Call) {
        self.calls
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .push(call);
    }

    pub(crate) fn calls(&self) -> Vec<Call> {
        self.calls
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .clone()
    }

    pub(crate) fn committed(&self) -> Vec<Committed> {
        self.committed
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .clone()
    }
}

/// One of the clients.
pub(crate) struct Client {
    name: String,
    number: u64,
    world: Arc<World>,
    told: Arc<Told>,
    requests: u64,
    leader: Option<u64>,
    /// How long it waits for an answer, at most.
    patience_ms: u64,
    known: BTreeMap<&'static str, Option<Target>>,
    /// How far its clock is from what it should be.
    clock_ms: i64,
}

/// What one attempt came to.
enum Attempt<T> {
    Answered(T),
    /// It was not tried; perhaps this node is the one to ask.
    Elsewhere(Option<u64>),
    Unknown,
}

/// How far a clock may be from what it should be.
const CLOCK_MS_MAX: u64 = 3_600_000;

/// How far a clock is from what it should be: it jumps there.
fn clock() -> i64 {
    chance(|chance| chance.between(0, 2 * CLOCK_MS_MAX)) as i64 - CLOCK_MS_MAX as i64
}

/// A value as histories have it.
fn value(target: Target) -> String {
    target.id.to_string().chars().take(12).collect()
}

fn values(view: &View) -> BTreeMap<String, Option<String>> {
    REFS.iter()
        .map(|name| ((*name).to_owned(), view.get(name).map(value)))
        .collect()
}

impl Client {
    pub(crate) fn new(number: u64, world: &Arc<World>, told: &Arc<Told>) -> Self {
        Self {
            name: format!("client {number}"),
            number,
            world: Arc::clone(world),
            told: Arc::clone(told),
            requests: 0,
            leader: None,
            patience_ms: PATIENCE_MS,
            known: REFS.iter().map(|name| (*name, None)).collect(),
            clock_ms: clock(),
        }
    }

    /// The same client, but one that asks again soon.
    pub(crate) fn impatient(mut self) -> Self {
        self.patience_ms = IMPATIENT_MS;
        self
    }

    /// One call of some kind.
    pub(crate) async fn step(&mut self) {
        if chance(|chance| chance.percent(60)) {
            self.swap().await;
        } else {
            self.read().await;
        }
    }

    /// Moves one ref or two, and may read another one, if they are what this client believes.
    /// Returns whether it is known to have taken effect.
    pub(crate) async fn swap(&mut self) -> bool {
        self.requests += 1;
        let mut names: Vec<&'static str> = REFS.to_vec();
        let edited = chance(|chance| {
            while names.len() > 1 && chance.percent(60) {
                names.remove(chance.between(0, names.len() as u64) as usize);
            }
            1 + usize::from(names.len() > 1 && chance.percent(70))
        });
        let (transaction, written) = self.transaction(&names, edited);
        let seen = names
            .iter()
            .map(|name| {
                (
                    (*name).to_owned(),
                    self.known.get(name).copied().flatten().map(value),
                )
            })
            .collect();
        let began = self.world.moment();
        let mut call = Call {
            client: self.name.clone(),
            began,
            ended: None,
            seen,
            written,
        };
        let entry = Payload(proposal::encode(&transaction, [0; 16]).last);
        let mut unknown = false;
        for attempt in 0..ATTEMPTS {
            match self.propose(entry.clone()).await {
                Attempt::Answered(Answer::Committed(committed)) => {
                    call.ended = Some(self.world.moment());
                    self.world
                        .note(|| format!("{} committed {}", self.name, committed.index));
                    self.told.call(call);
                    self.told
                        .committed
                        .lock()
                        .unwrap_or_else(PoisonError::into_inner)
                        .push(committed);
                    for edit in &transaction.edits {
                        self.known
                            .entry(
                                REFS.iter()
                                    .find(|name| **name == edit.name.as_str())
                                    .unwrap(),
                            )
                            .and_modify(|known| *known = edit.new);
                    }
                    return true;
                }
                Attempt::Answered(Answer::Refused(Refusal::Stale { name, actual, .. })) => {
                    // It has no effect, not even later: values never come back.
                    call.ended = Some(self.world.moment());
                    call.written.clear();
                    call.seen = BTreeMap::from([(name.as_str().to_owned(), actual.map(value))]);
                    self.told.call(call);
                    if let Some(known) = REFS.iter().find(|known| **known == name.as_str()) {
                        self.known.insert(known, actual);
                    }
                    return false;
                }
                Attempt::Answered(other) => {
                    self.world
                        .violated(format!("{} was told {other:?}", self.name));
                    return false;
                }
                Attempt::Elsewhere(leader) => self.leader = leader,
                Attempt::Unknown => {
                    unknown = true;
                    self.leader = None;
                }
            }
            let pause = chance(|chance| chance.millis(10, 200 + 100 * u64::from(attempt)));
            tokio::time::sleep(pause).await;
        }
        if unknown {
            self.told.call(call);
        }
        false
    }

    /// The first `edited` of the refs move, the others are read.
    fn transaction(
        &mut self,
        names: &[&'static str],
        edited: usize,
    ) -> (Transaction, BTreeMap<String, String>) {
        let mut request = [0; 16];
        request[..8].copy_from_slice(&self.number.to_le_bytes());
        request[8..].copy_from_slice(&self.requests.to_le_bytes());
        if chance(|chance| chance.percent(5)) {
            self.clock_ms = clock();
        }
        let mut transaction = Transaction {
            request: RequestId(request),
            edits: Vec::new(),
            reads: Vec::new(),
            objects: Vec::new(),
            rows: Vec::new(),
            actor: self.name.clone(),
            action: "test".to_owned(),
            detail: String::new(),
            time_ms: self.world.now_ms() as i64 + self.clock_ms,
        };
        let mut written = BTreeMap::new();
        for (at, name) in names.iter().enumerate() {
            let expect = Expect::from_seen(self.known.get(name).copied().flatten());
            let ref_name = RefName::new(name).unwrap();
            if at >= edited {
                transaction.reads.push((ref_name, expect));
                continue;
            }
            let text = format!("{} {} {name}", self.name, self.requests);
            let object = Object::new(Kind::Blob, text.into_bytes());
            let new = Target {
                kind: object.kind(),
                id: object.id(),
            };
            written.insert((*name).to_owned(), value(new));
            transaction.objects.push(Encoded::new(&object));
            transaction.edits.push(RefEdit {
                name: ref_name,
                expect,
                new: Some(new),
            });
        }
        (transaction, written)
    }

    async fn propose(&mut self, entry: Payload) -> Attempt<Answer> {
        // Either as the leader does it, or as any node does it with the help of the leader.
        let anywhere = self.anywhere();
        let answer = self
            .ask(anywhere, move |node, until| async move {
                if anywhere {
                    let link = node.answerer.link.clone();
                    return match link.propose(entry.0, until, None).await {
                        Ok(answer) => Attempt::Answered(answer),
                        Err(TransactError::UnknownOutcome(_)) => Attempt::Unknown,
                        Err(_) => Attempt::Elsewhere(None),
                    };
                }
                let awaited = node.answerer.link.intake.put_by_task(entry.0);
                match awaited.answer.await {
                    Ok(Ok(written)) => Attempt::Answered(written.data),
                    Ok(Err(ClientWriteError::ForwardToLeader(to))) => {
                        Attempt::Elsewhere(to.leader_id)
                    }
                    Ok(Err(_)) | Err(_) => Attempt::Unknown,
                }
            })
            .await;
        match answer {
            Attempt::Answered(answer) => answer,
            Attempt::Elsewhere(to) => Attempt::Elsewhere(to),
            Attempt::Unknown => Attempt::Unknown,
        }
    }

    /// Reads all refs.
    pub(crate) async fn read(&mut self) -> Option<Arc<View>> {
        for attempt in 0..ATTEMPTS {
            // Every attempt is a call of its own: one that fails tells nothing.
            let began = self.world.moment();
            let policy = match self.world.bug {
                Some(Bug::LeaseReads) => ReadPolicy::LeaseRead,
                _ => ReadPolicy::ReadIndex,
            };
            let anywhere = self.anywhere();
            let answer = self
                .ask(anywhere, move |node, until| async move {
                    if anywhere {
                        let link = node.answerer.link.clone();
                        let left = until.saturating_duration_since(Instant::now());
                        return match link.clone().read_index(left).await {
                            Ok(index) if link.gate.reached(index, until).await => {
                                Attempt::Answered(node.view.load_full())
                            }
                            _ => Attempt::Elsewhere(None),
                        };
                    }
                    match node.raft.ensure_linearizable(policy).await {
                        Ok(_) => Attempt::Answered(node.view.load_full()),
                        Err(RaftError::APIError(LinearizableReadError::ForwardToLeader(to))) => {
                            Attempt::Elsewhere(to.leader_id)
                        }
                        Err(_) => Attempt::Elsewhere(None),
                    }
                })
                .await;
            let leader = match answer {
                Attempt::Answered(Attempt::Answered(view)) => {
                    self.told.call(Call {
                        client: self.name.clone(),
                        began,
                        ended: Some(self.world.moment()),
                        seen: values(&view),
                        written: BTreeMap::new(),
                    });
                    self.world
                        .note(|| format!("{} read {}", self.name, view.index()));
                    for name in REFS {
                        self.known.insert(name, view.get(name));
                    }
                    return Some(view);
                }
                Attempt::Answered(Attempt::Elsewhere(leader)) => leader,
                _ => None,
            };
            self.leader = leader;
            let pause = chance(|chance| chance.millis(10, 200 + 100 * u64::from(attempt)));
            tokio::time::sleep(pause).await;
        }
        None
    }

    /// Asks the node that is believed to lead, or any one, and waits for a while.
    async fn ask<T, F>(
        &mut self,
        anywhere: bool,
        handle: impl FnOnce(Running, Instant) -> F,
    ) -> Attempt<T>
    where
        T: Send + 'static,
        F: Future<Output = T> + Send + 'static,
    {
        let everyone = self.world.everyone();
        let anyone = chance(|chance| chance.pick(&everyone).copied());
        let stray = chance(|chance| chance.percent(10));
        let node = match (self.leader, anyone) {
            (Some(leader), _) if !stray && !anywhere => leader,
            (_, Some(anyone)) => anyone,
            _ => return Attempt::Elsewhere(None),
        };
        self.world
            .note(|| format!("{} asks node {node}", self.name));
        let patience = chance(|chance| chance.millis(500, self.patience_ms));
        match self.world.travel(OUTSIDE, node) {
            Travel::Arrives(delay) => tokio::time::sleep(delay).await,
            Travel::Refused => return Attempt::Elsewhere(None),
            Travel::Lost => {
                tokio::time::sleep(patience).await;
                return Attempt::Unknown;
            }
        }
        let Some(running) = self.world.running(node) else {
            return Attempt::Elsewhere(None);
        };
        let (send, answer) = oneshot::channel();
        let life = Arc::clone(&running.life);
        let handled = handle(running, Instant::now() + patience);
        life.spawn(async move { drop(send.send(handled.await)) });
        let answer = tokio::time::timeout(patience, answer).await;
        match (answer, self.world.travel(node, OUTSIDE)) {
            (Ok(Ok(answer)), Travel::Arrives(delay)) => {
                tokio::time::sleep(delay).await;
                Attempt::Answered(answer)
            }
            _ => Attempt::Unknown,
        }
    }

    /// Whether the next request may go to any node. Lease reads are the leader's alone.
    fn anywhere(&self) -> bool {
        self.world.bug != Some(Bug::LeaseReads) && chance(|chance| chance.percent(50))
    }

    /// Waits a little between calls.
    pub(crate) async fn think(&self) {
        tokio::time::sleep(chance(|chance| chance.millis(1, 250))).await;
    }
}

/// How long clients go on after the last fault.
pub(crate) const CALM: Duration = Duration::from_secs(5);
