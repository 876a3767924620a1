//! The audit log.

use confman_model::Namespace;
use confman_object_store::{Kind, ObjectId};
use confman_policy::Permission;
use confman_refs::{Operation, RefName};

use crate::error::{Error, What};
use crate::names;
use crate::seen::Seen;
use crate::session::Session;

/// Most operations looked at for one page; a filter that matches few gives short pages.
pub const OPERATIONS_SCANNED_MAX: u64 = 10_000;
/// What a time is told from an index by in a bound: an index has digits alone.
const INDEX_DIGITS_MAX: usize = 20;

/// A place in the log of operations: a log index, or a time.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum OperationBound {
    /// This log index.
    Index(u64),
    /// A time as [`crate::time::parse`] reads it.
    Time(String),
}

impl From<&str> for OperationBound {
    /// Digits alone are an index; everything else is a time.
    fn from(text: &str) -> Self {
        let is_index = !text.is_empty()
            && text.len() <= INDEX_DIGITS_MAX
            && text.bytes().all(|byte| byte.is_ascii_digit());
        match text.parse() {
            Ok(index) if is_index => Self::Index(index),
            _ => Self::Time(text.to_owned()),
        }
    }
}

/// Which operations are wanted; all conditions hold.
#[derive(Clone, Debug, Default)]
pub struct OperationFilter {
    /// Only what touched this namespace or one below it.
    pub namespace: Option<Namespace>,
    /// Only by this principal.
    pub actor: Option<String>,
    /// Only with this action, or where it ends with `.`, with any that begins with it.
    pub action: Option<String>,
    /// Only of this request: the id that the answer to it carried.
    pub request: Option<String>,
    /// Only what moved this ref.
    pub ref_name: Option<String>,
    /// Not before.
    pub since: Option<OperationBound>,
    /// Not after.
    pub until: Option<OperationBound>,
}

/// An operation.
#[derive(Clone, Debug)]
pub struct LoggedOperation {
    /// Its id.
    pub id: ObjectId,
    /// What it says.
    pub operation: Operation,
    /// The namespace it is about, where it is about one.
    pub namespace: Option<Namespace>,
}

/// A page of operations.
#[derive(Clone, Debug)]
pub struct Operations {
    /// Newest first, or oldest first where they were asked for from the other end.
    pub operations: Vec<LoggedOperation>,
    /// Give it as `after` for the next page; `None` on the last.
    pub next: Option<u64>,
    /// Whether some were left out because the actor may not read them.
    pub filtered: bool,
    /// Sequence number of the last operation that was looked at.
    pub through: u64,
}

/// An operation in the bytes that its id is the hash of.
#[derive(Clone, Debug)]
pub struct SealedOperation {
    /// Counts operations from 1.
    pub sequence: u64,
    /// Its id.
    pub id: ObjectId,
    /// Its canonical bytes.
    pub bytes: Vec<u8>,
}

/// Sequence numbers of the operations that are looked at, both included; empty where `first` is beyond
/// `last`.
struct Range {
    first: u64,
    last: u64,
}

impl Session {
    /// Operations, newest first. A page can be short and still have a next one.
    ///
    /// # Errors
    /// [`Error::Invalid`] for a time that cannot be read; the store cannot be read.
    pub fn operations(
        &self,
        filter: &OperationFilter,
        after: Option<u64>,
        limit: usize,
    ) -> Result<Operations, Error> {
        let seen = self.look()?;
        let range = seen.range(filter)?;
        let from = after.map_or(range.last, |after| after.saturating_sub(1).min(range.last));
        let until = from
            .saturating_sub(OPERATIONS_SCANNED_MAX - 1)
            .max(range.first);
        let mut page = Operations {
            operations: Vec::new(),
            next: None,
            filtered: false,
            through: until,
        };
        for sequence in (until..=from).rev() {
            if page.operations.len() == limit {
                page.next = Some(sequence + 1);
                return Ok(page);
            }
            seen.take(filter, sequence, &mut page)?;
        }
        if until > range.first && from >= until {
            page.next = Some(until);
        }
        Ok(page)
    }

    /// Operations after the one with this sequence number, oldest first.
    ///
    /// # Errors
    /// As [`Self::operations`].
    pub fn operations_after(
        &self,
        filter: &OperationFilter,
        after: u64,
        limit: usize,
    ) -> Result<Operations, Error> {
        let seen = self.look()?;
        let range = seen.range(filter)?;
        let from = range.first.max(after + 1);
        let until = range
            .last
            .min(from.saturating_add(OPERATIONS_SCANNED_MAX - 1));
        let mut page = Operations {
            operations: Vec::new(),
            next: None,
            filtered: false,
            through: until.max(after),
        };
        for sequence in from..=until {
            if page.operations.len() == limit {
                page.next = Some(sequence - 1);
                page.through = sequence - 1;
                return Ok(page);
            }
            seen.take(filter, sequence, &mut page)?;
        }
        if until < range.last {
            page.next = Some(until);
        }
        Ok(page)
    }

    /// Sequence number of the newest operation that is not beyond a bound; 0 before the first.
    ///
    /// # Errors
    /// As [`Self::operations`].
    pub fn operation_number(&self, bound: Option<&OperationBound>) -> Result<u64, Error> {
        let seen = self.look()?;
        match bound {
            None => Ok(seen.view.sequence()),
            Some(bound) => seen.number_at(bound),
        }
    }

    /// Operations after the one with this sequence number, oldest first, in the bytes that their ids are
    /// the hashes of. They tell everything, so they are for an admin of `/`.
    ///
    /// # Errors
    /// [`Error::Denied`]; the store cannot be read.
    pub fn sealed_operations(
        &self,
        after: u64,
        limit: usize,
    ) -> Result<Vec<SealedOperation>, Error> {
        let seen = self.look()?;
        seen.permit_administrator()?;
        let newest = seen.view.sequence();
        let last = newest.min(after.saturating_add(limit as u64));
        (after + 1..=last)
            .map(|sequence| {
                let (id, _) = seen.operation(sequence)?;
                let stored = seen
                    .repo
                    .node
                    .store()
                    .read_from_backend(Kind::Operation, &id)?;
                let object = stored.ok_or_else(|| {
                    Error::bug(format!("operation {sequence} of {newest} is missing"))
                })?;
                Ok(SealedOperation {
                    sequence,
                    id,
                    bytes: object.bytes().to_vec(),
                })
            })
            .collect()
    }
}

impl Seen<'_> {
    fn operation(&self, sequence: u64) -> Result<(ObjectId, Operation), Error> {
        let found = self.repo.node.operation_at(sequence)?;
        found.ok_or_else(|| {
            Error::bug(format!(
                "operation {sequence} of {} is missing",
                self.view.sequence()
            ))
        })
    }

    /// Sequence number of the newest operation that is not beyond a bound.
    fn number_at(&self, bound: &OperationBound) -> Result<u64, Error> {
        let node = &self.repo.node;
        let sequence = match bound {
            OperationBound::Index(index) => node.sequence_at_index(*index)?,
            OperationBound::Time(text) => node.sequence_at_time(self.time_of(text)?)?,
        };
        Ok(sequence.min(self.view.sequence()))
    }

    fn time_of(&self, text: &str) -> Result<i64, Error> {
        crate::time::parse(text, self.repo.clock.now_ms().max(self.view.time_ms()))
    }

    fn range(&self, filter: &OperationFilter) -> Result<Range, Error> {
        let node = &self.repo.node;
        let before = match &filter.since {
            None => 0,
            Some(OperationBound::Index(index)) => {
                node.sequence_at_index(index.saturating_sub(1))?
            }
            Some(OperationBound::Time(text)) => {
                node.sequence_at_time(self.time_of(text)?.saturating_sub(1))?
            }
        };
        let last = match &filter.until {
            None => self.view.sequence(),
            Some(bound) => self.number_at(bound)?,
        };
        Ok(Range {
            first: before + 1,
            last,
        })
    }

    /// Adds an operation to a page if it is wanted and the actor may read it.
    fn take(
        &self,
        filter: &OperationFilter,
        sequence: u64,
        page: &mut Operations,
    ) -> Result<(), Error> {
        let (id, operation) = self.operation(sequence)?;
        if !filter.matches(&operation) {
            return Ok(());
        }
        let touched = self.touched(&operation)?;
        if !self.may_read(&operation, &touched)? {
            page.filtered = true;
            return Ok(());
        }
        let namespace = above_all(&touched.namespaces);
        page.operations.push(LoggedOperation {
            id,
            operation,
            namespace,
        });
        Ok(())
    }

    /// Who may read drafts of every namespace that was touched may read what happened there; everybody may
    /// read what it did itself; the rest is for admins of `/`.
    fn may_read(&self, operation: &Operation, touched: &Touched) -> Result<bool, Error> {
        if operation.actor == self.actor.principal() {
            return Ok(true);
        }
        if touched.others || touched.namespaces.is_empty() {
            return self.may(&Namespace::root(), Permission::RolesManage);
        }
        for namespace in &touched.namespaces {
            let may = match self.get(&names::policy(namespace)?) {
                Some(_) => self.may(namespace, Permission::ConfigReadDraft)?,
                None => match self.newest_deletion(namespace)? {
                    Some(deleted) => self.may_see_deleted(&deleted)?,
                    None => self.may(&Namespace::root(), Permission::RolesManage)?,
                },
            };
            if !may {
                return Ok(false);
            }
        }
        Ok(true)
    }

    /// What an operation touched.
    fn touched(&self, operation: &Operation) -> Result<Touched, Error> {
        let mut touched = Touched::default();
        for edit in &operation.edits {
            match about(&edit.name) {
                About::Namespace(namespace) => touched.add(namespace),
                // A schema is not of the namespace at its path, but of the one that governs it.
                About::Schema(path) => touched.add(match governing(operation) {
                    Some(namespace) => namespace,
                    None => self.governor(&path)?,
                }),
                About::Request => {}
                About::Other => touched.others = true,
            }
        }
        if touched.namespaces.is_empty() && !touched.others {
            for namespace in detail_namespaces(operation) {
                touched.add(namespace);
            }
        }
        Ok(touched)
    }

    /// The deepest namespace that is a prefix of a path.
    fn governor(&self, path: &Namespace) -> Result<Namespace, Error> {
        for namespace in path.ancestors() {
            if self.get(&names::policy(&namespace)?).is_some() {
                return Ok(namespace);
            }
        }
        Err(Error::not_found(What::Namespace, path))
    }
}

/// What an operation touched.
#[derive(Default)]
struct Touched {
    namespaces: Vec<Namespace>,
    /// Principals, groups, tokens and the like.
    others: bool,
}

impl Touched {
    fn add(&mut self, namespace: Namespace) {
        if !self.namespaces.contains(&namespace) {
            self.namespaces.push(namespace);
        }
    }
}

/// What a ref is about.
enum About {
    Namespace(Namespace),
    /// A schema at this path.
    Schema(Namespace),
    /// A publish request, which belongs to the namespaces it names, or a count of something.
    Request,
    Other,
}

fn about(name: &RefName) -> About {
    let text = name.as_str();
    if names::is_of_requests(text) || names::is_namespace_counter(text) {
        return About::Request;
    }
    if let Some(path) = names::schema_of(text) {
        return match path.as_str().parse() {
            Ok(path) => About::Schema(path),
            Err(_) => About::Other,
        };
    }
    match names::namespace_of(text) {
        Some(namespace) => About::Namespace(namespace),
        None => About::Other,
    }
}

/// The namespace that governed the schema which an operation is about, as its detail has it.
fn governing(operation: &Operation) -> Option<Namespace> {
    let detail: serde_json::Value = serde_json::from_str(&operation.detail).ok()?;
    detail.get("governedBy")?.as_str()?.parse().ok()
}

/// The namespaces that the detail of an operation names.
fn detail_namespaces(operation: &Operation) -> Vec<Namespace> {
    let Ok(detail) = serde_json::from_str::<serde_json::Value>(&operation.detail) else {
        return Vec::new();
    };
    let one = detail.get("namespace").and_then(|name| name.as_str());
    let many = detail.get("namespaces").and_then(|names| names.as_array());
    one.into_iter()
        .chain(many.into_iter().flatten().filter_map(|name| name.as_str()))
        .filter_map(|name| name.parse().ok())
        .collect()
}

/// The one, or the one above all of them.
fn above_all(namespaces: &[Namespace]) -> Option<Namespace> {
    let (first, rest) = namespaces.split_first()?;
    first
        .ancestors()
        .find(|above| rest.iter().all(|namespace| above.contains(namespace)))
}

impl OperationFilter {
    fn matches(&self, operation: &Operation) -> bool {
        let within = |wanted: &Namespace| {
            governing(operation).is_some_and(|namespace| wanted.contains(&namespace))
                || operation.edits.iter().any(|edit| match about(&edit.name) {
                    About::Namespace(namespace) | About::Schema(namespace) => {
                        wanted.contains(&namespace)
                    }
                    About::Request | About::Other => false,
                })
                || detail_namespaces(operation)
                    .iter()
                    .any(|namespace| wanted.contains(namespace))
        };
        let action = |wanted: &String| match wanted.ends_with('.') {
            true => operation.action.starts_with(wanted.as_str()),
            false => operation.action == *wanted,
        };
        let request = |wanted: &String| {
            serde_json::from_str::<serde_json::Value>(&operation.detail).is_ok_and(|detail| {
                detail.get("requestId").and_then(|id| id.as_str()) == Some(wanted)
            })
        };
        let moved = |wanted: &String| {
            operation
                .edits
                .iter()
                .any(|edit| edit.name.as_str() == wanted)
        };
        self.actor
            .as_ref()
            .is_none_or(|actor| *actor == operation.actor)
            && self.action.as_ref().is_none_or(action)
            && self.ref_name.as_ref().is_none_or(moved)
            && self.namespace.as_ref().is_none_or(within)
            && self.request.as_ref().is_none_or(request)
    }
}
