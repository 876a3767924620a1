//! Whether everything that must be there is there, and is what it claims to be.

use std::collections::{BTreeMap, HashMap, HashSet};

use confman_model::Namespace;
use confman_object_store::pack::links;
use confman_object_store::tree::TreeKey;
use confman_object_store::{Kind, Object, ObjectId, ReadObjects};
use confman_refs::{IndexRow, Operation, RefName};

use crate::error::{Error, chain};
use crate::life::{LifeChange, LineName, life_of};
use crate::line::{LineRows, Newest, Place, changes_of};
use crate::names;
use crate::repo::ADMIN;
use crate::row;
use crate::seen::Seen;
use crate::session::Session;

/// Most problems that are told; what is wrong beyond is more of the same.
const PROBLEMS_MAX: usize = 1000;
/// Ids read from the store at once.
const IDS_AT_ONCE: usize = 4096;
/// How many checks pass between two reports of progress.
const PROGRESS_EVERY: u64 = 512;
/// Most commits of one operation that are followed back along first parents.
const COMMITS_MAX: usize = 1_000_000;

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
            let mut first = ObjectId::from_bytes([0; 32]);
            loop {
                let ids = match self
                    .seen
                    .repo
                    .node
                    .store()
                    .backend()
                    .ids(kind, &first, IDS_AT_ONCE)
                {
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
                match last.and_then(next_id) {
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
        let mut lines: HashMap<LineName, LineState> = HashMap::new();
        let mut lives: HashMap<Namespace, ObjectId> = HashMap::new();
        let mut expected: HashMap<(u8, Vec<u8>), [u8; 32]> = HashMap::new();
        for sequence in 1..=self.seen.view.sequence() {
            let operation = match self.seen.repo.node.operation_at(sequence) {
                Ok(Some((_, operation))) => operation,
                // The check of the chain has told this.
                Ok(None) | Err(_) => continue,
            };
            match self.rows_of_operation(&operation, &mut lives, &mut lines) {
                Ok(rows) => {
                    for made in rows {
                        let mut key = made.prefix;
                        key.extend_from_slice(&(!operation.index).to_be_bytes());
                        key.extend_from_slice(&made.suffix);
                        expected.insert((made.table, key), *blake3::hash(&made.value).as_bytes());
                    }
                }
                Err((name, error)) => self.problem(format!(
                    "the rows of `{name}` at operation {sequence} cannot be made: {}",
                    chain(&error)
                )),
            }
        }
        self.compare(expected);
    }

    /// The rows of the documents and published heads that an operation moved. A document goes first: it
    /// tells which life of the namespace its head belongs to.
    fn rows_of_operation(
        &self,
        operation: &Operation,
        lives: &mut HashMap<Namespace, ObjectId>,
        lines: &mut HashMap<LineName, LineState>,
    ) -> Result<Vec<IndexRow>, (RefName, Error)> {
        let mut made = Vec::new();
        let mut ended = Vec::new();
        for edit in &operation.edits {
            let Some(namespace) = names::policy_of(edit.name.as_str()) else {
                continue;
            };
            let failed = |error: Error| (edit.name.clone(), error);
            let life = match edit.new {
                Some(new) => life_of(&self.seen.found(new.id).map_err(failed)?),
                None => *lives
                    .get(&namespace)
                    .ok_or_else(|| failed(Error::bug("it ends before it began")))?,
            };
            let name = LineName {
                ref_name: edit.name.clone(),
                life,
            };
            match (edit.old, edit.new) {
                (None, Some(_)) => made.push(LifeChange::Began.to_row(&name)),
                (Some(_), None) => {
                    made.push(LifeChange::Ended.to_row(&name));
                    ended.push(namespace.clone());
                }
                _ => {}
            }
            if let Some(new) = edit.new {
                let state = lines.entry(name.clone()).or_default();
                made.append(&mut self.rows_of(name, state, new.id).map_err(failed)?);
            }
            lives.insert(namespace, life);
        }
        for edit in &operation.edits {
            let (true, Some(new)) = (names::is_published(edit.name.as_str()), edit.new) else {
                continue;
            };
            let failed = |error: Error| (edit.name.clone(), error);
            let life = names::namespace_of(edit.name.as_str())
                .and_then(|namespace| lives.get(&namespace).copied())
                .ok_or_else(|| failed(Error::bug("its namespace has no document")))?;
            let name = LineName {
                ref_name: edit.name.clone(),
                life,
            };
            let state = lines.entry(name.clone()).or_default();
            made.append(&mut self.rows_of(name, state, new.id).map_err(failed)?);
        }
        for namespace in ended {
            lives.remove(&namespace);
        }
        Ok(made)
    }

    /// The rows of the commits that lead a line on to a new head; none where it is restored.
    fn rows_of(
        &self,
        name: LineName,
        state: &mut LineState,
        new: ObjectId,
    ) -> Result<Vec<IndexRow>, Error> {
        let objects = self.seen.objects();
        let old = state.head.as_ref().map(|head| head.commit);
        let commits = crate::line::first_parents(objects, old, new, COMMITS_MAX)?;
        let commits = commits.ok_or_else(|| {
            Error::bug(format!("{new} does not follow from what was there before"))
        })?;
        let mut rows = LineRows::after(name, state.head.as_ref());
        let mut made = Vec::new();
        for id in commits {
            let commit = objects.commit(&id)?;
            let changes = changes_of(objects, &commit)?;
            rows.push(id, &commit, &changes, &|key| {
                Ok(state.newest.get(key).copied())
            })?;
            for (key, newest) in rows.newest_of(&changes) {
                state.newest.insert(key, newest);
            }
            state.head = Some(rows.head(id));
            made.append(&mut rows.take());
        }
        Ok(made)
    }

    fn compare(&mut self, mut expected: HashMap<(u8, Vec<u8>), [u8; 32]>) {
        for table in [row::HISTORY, row::POSITION, row::COMMIT, row::LIFE] {
            let mut found = 0;
            let mut wrong = Vec::new();
            let read = self.seen.repo.node.each_row(table, &mut |key, value| {
                found += 1;
                match expected.remove(&(table, key.to_vec())) {
                    Some(hash) if hash == *blake3::hash(value).as_bytes() => {}
                    Some(_) => wrong.push(format!(
                        "row {} differs from what the operations give",
                        shown(table, key)
                    )),
                    None => wrong.push(format!(
                        "row {} is there though no operation gives it",
                        shown(table, key)
                    )),
                }
            });
            if let Err(error) = read {
                wrong.push(format!(
                    "the rows of table {table} cannot be read: {}",
                    chain(&error)
                ));
            }
            self.report.rows += found;
            wrong.into_iter().for_each(|text| self.problem(text));
        }
        let mut missing: Vec<String> = expected
            .keys()
            .map(|(table, key)| format!("row {} is missing", shown(*table, key)))
            .collect();
        missing.sort();
        missing.into_iter().for_each(|text| self.problem(text));
    }
}

/// A line as far as its rows were made again.
#[derive(Default)]
struct LineState {
    head: Option<Place>,
    newest: HashMap<TreeKey, Newest>,
}

/// The next id in order.
fn next_id(id: ObjectId) -> Option<ObjectId> {
    let mut bytes = *id.as_bytes();
    for byte in bytes.iter_mut().rev() {
        match byte.checked_add(1) {
            Some(next) => {
                *byte = next;
                return Some(ObjectId::from_bytes(bytes));
            }
            None => *byte = 0,
        }
    }
    None
}

/// A row's place in text.
fn shown(table: u8, key: &[u8]) -> String {
    let name = match table {
        row::HISTORY => "history",
        row::POSITION => "position",
        row::LIFE => "life",
        _ => "commit",
    };
    format!("{name} `{}`", key.escape_ascii())
}
