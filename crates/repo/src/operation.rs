//! The audit log.

use confman_model::Namespace;
use confman_object_store::ObjectId;
use confman_policy::Permission;
use confman_refs::Operation;

use crate::error::Error;
use crate::names;
use crate::seen::Seen;
use crate::session::Session;

/// Most operations looked at for one page; a filter that matches few gives short pages.
const OPERATIONS_SCANNED_MAX: u64 = 10_000;

/// Which operations are wanted; all conditions hold.
#[derive(Clone, Debug, Default)]
pub struct OperationFilter {
    /// Only about this namespace or one below it.
    pub namespace: Option<Namespace>,
    /// Only by this principal.
    pub actor: Option<String>,
    /// Only with this action.
    pub action: Option<String>,
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
    /// Newest first.
    pub operations: Vec<LoggedOperation>,
    /// Give it as `after` for the next page; `None` on the last.
    pub next: Option<u64>,
    /// Whether some were left out because the actor may not read them.
    pub filtered: bool,
}

impl Session {
    /// Operations, newest first. A page can be short and still have a next one.
    ///
    /// # Errors
    /// The store cannot be read.
    pub fn operations(
        &self,
        filter: &OperationFilter,
        after: Option<u64>,
        limit: usize,
    ) -> Result<Operations, Error> {
        let seen = self.look()?;
        let newest = seen.view.sequence();
        let mut page = Operations {
            operations: Vec::new(),
            next: None,
            filtered: false,
        };
        let first = after.map_or(newest, |after| after.saturating_sub(1).min(newest));
        let last = first.saturating_sub(OPERATIONS_SCANNED_MAX - 1).max(1);
        for sequence in (last..=first).rev() {
            let Some((id, operation)) = seen.repo.node.operation_at(sequence)? else {
                return Err(Error::bug(format!(
                    "operation {sequence} of {newest} is missing"
                )));
            };
            if page.operations.len() == limit {
                page.next = Some(sequence + 1);
                return Ok(page);
            }
            let logged = LoggedOperation {
                namespace: namespace_of(&operation),
                id,
                operation,
            };
            if !filter.matches(&logged) {
                continue;
            }
            if seen.may_read(&logged)? {
                page.operations.push(logged);
            } else {
                page.filtered = true;
            }
        }
        if last > 1 && first > 0 {
            page.next = Some(last);
        }
        Ok(page)
    }
}

/// The namespace that an operation is about: that of the refs it moved, or the one above all of them.
fn namespace_of(operation: &Operation) -> Option<Namespace> {
    let mut found: Option<Namespace> = None;
    for edit in &operation.edits {
        let name = edit.name.as_str();
        if names::is_namespace_counter(name) || names::is_of_requests(name) {
            continue;
        }
        let namespace = match names::schema_of(name) {
            // A schema is not of the namespace at its path, but of the one that governs it.
            Some(_) => governing(operation)?,
            None => names::namespace_of(name)?,
        };
        found = Some(match found {
            None => namespace,
            Some(found) => found
                .ancestors()
                .find(|above| above.contains(&namespace))
                .unwrap_or_else(Namespace::root),
        });
    }
    found.or_else(|| namespace_of_detail(&operation.detail))
}

/// The namespace that the detail of an operation names: of one that moved no more than the record of a
/// publish request, which belongs to several namespaces or to one.
fn namespace_of_detail(detail: &str) -> Option<Namespace> {
    let detail: serde_json::Value = serde_json::from_str(detail).ok()?;
    let named: Vec<Namespace> = detail
        .get("namespaces")?
        .as_array()?
        .iter()
        .filter_map(|namespace| namespace.as_str()?.parse().ok())
        .collect();
    let (first, others) = named.split_first()?;
    first
        .ancestors()
        .find(|above| others.iter().all(|other| above.contains(other)))
}

/// The namespace that governed the schema which an operation is about, as its detail has it.
fn governing(operation: &Operation) -> Option<Namespace> {
    let detail: serde_json::Value = serde_json::from_str(&operation.detail).ok()?;
    detail.get("governedBy")?.as_str()?.parse().ok()
}

impl OperationFilter {
    fn matches(&self, logged: &LoggedOperation) -> bool {
        let within = |wanted: &Namespace| {
            logged
                .namespace
                .as_ref()
                .is_some_and(|namespace| wanted.contains(namespace))
        };
        self.namespace.as_ref().is_none_or(within)
            && self
                .actor
                .as_ref()
                .is_none_or(|actor| *actor == logged.operation.actor)
            && self
                .action
                .as_ref()
                .is_none_or(|action| *action == logged.operation.action)
    }
}

impl Seen<'_> {
    /// Who may read drafts of a namespace may read what happened in it; the rest is for admins of `/`.
    fn may_read(&self, logged: &LoggedOperation) -> Result<bool, Error> {
        match &logged.namespace {
            Some(namespace) if self.document(namespace)?.is_some() => {
                self.may(namespace, Permission::ConfigReadDraft)
            }
            _ => self.may(&Namespace::root(), Permission::RolesManage),
        }
    }
}
