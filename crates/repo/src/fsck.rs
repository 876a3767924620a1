//! Whether everything that must be there is there, and is what it claims to be.

use std::collections::{BTreeMap, HashSet};

use confman_object_store::pack::links;
use confman_object_store::{Kind, Object, ObjectId};

use crate::error::{Error, chain};
use crate::repo::ADMIN;
use crate::rows::Derived;
use crate::seen::Seen;
use crate::session::Session;

/// Most problems that are told; what is wrong beyond is more of the same.
const PROBLEMS_MAX: usize = 1000;
/// Ids read from the store at once.
const IDS_AT_ONCE: usize = 4096;
/// How many checks pass between two reports of progress.
const PROGRESS_EVERY: u64 = 512;
/// How far a check has come.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct FsckProgress {
    /// What is being checked.
    pub phase: &'static str,
    /// How many are done.
    pub done: u64,
}

/// What a check found.
#[derive(Clone, Debug, Default)]
pub struct FsckReport {
    /// Objects read and hashed, by kind.
    pub objects: BTreeMap<Kind, u64>,
    /// Of these, objects that no ref and no operation leads to.
    pub unreachable: u64,
    /// Operations of the chain that were checked.
    pub operations: u64,
    /// Rows of derived indexes that were compared.
    pub rows: u64,
    /// Rows of operations after the newest one that was checked: of what was applied meanwhile, or of a state that
    /// the node was taking from another one when it was stopped.
    pub rows_ahead: u64,
    /// What is wrong; empty when all is well.
    pub problems: Vec<String>,
}

impl Session {
    /// Reads and hashes every object, follows every link, verifies the chain of operations, and makes
    /// the derived rows again to compare them. For an admin of `/`.
    ///
    /// # Errors
    /// [`Error::Denied`]; what is wrong with the store is in the report.
    pub fn fsck(&self, progress: &mut dyn FnMut(FsckProgress)) -> Result<FsckReport, Error> {
        let seen = self.look()?;
        match seen.permit_administrator() {
            // What says who is an admin is what is damaged. The one made with the store may find out.
            Err(Error::Corrupt { .. } | Error::Unavailable { .. })
                if self.actor.principal() == ADMIN => {}
            // Nobody is anything yet where a node has got nothing of its cluster.
            _ if self.actor.principal() == ADMIN && seen.view.sequence() == 0 => {}
            permitted => permitted?,
        }
        let mut check = Check {
            seen: &seen,
            report: FsckReport::default(),
            progress,
            phase: "operations",
            done: 0,
        };
        check.operations();
        check.begin("objects that refs lead to");
        let reached = check.reachable();
        check.begin("other objects");
        check.stored(&reached);
        check.begin("rows");
        check.rows();
        Ok(check.report)
    }
}

/// A check that is going on.
struct Check<'a> {
    seen: &'a Seen<'a>,
    report: FsckReport,
    progress: &'a mut dyn FnMut(FsckProgress),
    phase: &'static str,
    done: u64,
}

impl Check<'_> {
    fn begin(&mut self, phase: &'static str) {
        self.phase = phase;
        self.done = 0;
        (self.progress)(FsckProgress { phase, done: 0 });
    }

    fn step(&mut self) {
        self.done += 1;
        if self.done.is_multiple_of(PROGRESS_EVERY) {
            (self.progress)(FsckProgress {
                phase: self.phase,
                done: self.done,
            });
        }
    }

    fn problem(&mut self, text: String) {
        if self.report.problems.len() < PROBLEMS_MAX {
            self.report.problems.push(text);
        }
    }

    /// The chain of operations gives the refs, on disk and in memory.
    fn operations(&mut self) {
        (self.progress)(FsckProgress {
            phase: self.phase,
            done: 0,
        });
        match self.seen.repo.node.verify_operations() {
            Ok(verified) => {
                self.report.operations = verified.operations;
                if let Some(difference) = verified.difference {
                    self.problem(format!(
                        "operation {}: {}",
                        difference.sequence, difference.reason
                    ));
                }
            }
            Err(error) => self.problem(format!(
                "the chain of operations cannot be read: {}",
                chain(&error)
            )),
        }
    }

    /// Reads what the refs and the newest operation lead to, past all caches.
    fn reachable(&mut self) -> HashSet<(Kind, ObjectId)> {
        let mut reached: HashSet<(Kind, ObjectId)> = HashSet::new();
        // Each with what leads to it, so that something missing can be told from where it is missed.
        let mut waiting: Vec<(Kind, ObjectId, String)> = Vec::new();
        for (name, target) in self.seen.view.scan("") {
            waiting.push((target.kind, target.id, format!("ref `{name}`")));
        }
        for sequence in 1..=self.seen.view.sequence() {
            // One that cannot be read was told of by the check of the chain.
            if let Ok(Some((id, operation))) = self.seen.repo.node.operation_at(sequence) {
                waiting.push((Kind::Operation, id, format!("operation {sequence}")));
                waiting.extend(
                    operation
                        .view
                        .map(|view| (Kind::Page, view, format!("operation {sequence}"))),
                );
            }
        }
        while let Some((kind, id, from)) = waiting.pop() {
            if !reached.insert((kind, id)) {
                continue;
            }
            let Some(object) = self.read(kind, id, &from) else {
                continue;
            };
            match links(kind, object.bytes()) {
                Ok(links) => {
                    for (link_kind, link) in links {
                        if !reached.contains(&(link_kind, link)) {
                            waiting.push((link_kind, link, format!("{kind} {id}")));
                        }
                    }
                }
                Err(error) => self.problem(format!("{kind} {id}: {error}")),
            }
        }
        reached
    }

    /// Reads everything else that is stored.
    fn stored(&mut self, reached: &HashSet<(Kind, ObjectId)>) {
        for kind in Kind::ALL {
            let mut first = ObjectId::MIN;
            loop {
                let ids = match self.seen.repo.node.store().backend().ids(
                    kind,
                    &(first..=ObjectId::MAX),
                    IDS_AT_ONCE,
                ) {
                    Ok(ids) => ids,
                    Err(error) => {
                        self.problem(format!(
                            "the list of {kind}s cannot be read from {first} on: {}",
                            chain(&error)
                        ));
                        break;
                    }
                };
                let last_page = ids.len() < IDS_AT_ONCE;
                let last = ids.last().copied();
                for id in ids {
                    if !reached.contains(&(kind, id)) {
                        self.report.unreachable += 1;
                        self.read(kind, id, "the list of objects");
                    }
                }
                match last.and_then(|last| last.next()) {
                    Some(next) if !last_page => first = next,
                    _ => break,
                }
            }
        }
    }

    /// Reads and hashes an object.
    fn read(&mut self, kind: Kind, id: ObjectId, from: &str) -> Option<Object> {
        self.step();
        *self.report.objects.entry(kind).or_default() += 1;
        match self.seen.repo.node.store().read_from_backend(kind, &id) {
            Ok(Some(object)) => Some(object),
            Ok(None) => {
                self.problem(format!("{kind} {id} is missing; {from} leads to it"));
                None
            }
            Err(error) => {
                self.problem(format!("{}; {from} leads to it", chain(&error)));
                None
            }
        }
    }

    /// Makes the rows of every line again from the operations, and compares.
    fn rows(&mut self) {
        let (derived, failures) = Derived::of(self.seen, &mut |_, _| Ok(()));
        failures.into_iter().for_each(|text| self.problem(text));
        let compared = derived.compare(self.seen);
        self.report.rows = compared.rows;
        self.report.rows_ahead = compared.ahead;
        for text in compared.problems() {
            self.problem(text);
        }
    }
}
