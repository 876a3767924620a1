//! Proving that the chain of operations gives the refs.

use std::collections::BTreeMap;
use std::io;
use std::sync::Arc;

use confman_object_store::{Kind, MemoryBackend, ObjectBackend, ObjectId, Stage, Store};

use crate::data::Data;
use crate::data::apply::edit_view;
use crate::name::RefName;
use crate::operation::{Operation, VIEW_EVERY};
use crate::transaction::Target;
use crate::view::View;

/// Memory for pages of views while they are recomputed.
const PAGE_CACHE_BYTES: u64 = 16 << 20;

/// What [`crate::Node::verify_operations`] found.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct OperationReport {
    /// Operations that were recomputed and found right.
    pub operations: u64,
    /// View trees that were.
    pub views: u64,
    /// Refs at the end.
    pub refs: u64,
    /// The first thing that is not as it should be.
    pub difference: Option<OperationDifference>,
}

/// Where a chain of operations contradicts itself or the refs.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct OperationDifference {
    /// Number of the operation; one beyond the newest where the refs on disk are wrong.
    pub sequence: u64,
    /// What is wrong with it.
    pub reason: String,
}

/// Walks from the first operation to the newest of `newest`, then compares the refs.
pub(crate) fn operations(data: &Data, newest: &View) -> io::Result<OperationReport> {
    let backend: Arc<dyn ObjectBackend> = Arc::new(MemoryBackend::default());
    let mut chain = Chain {
        refs: BTreeMap::new(),
        parent: None,
        last: None,
        view: None,
        since_view: BTreeMap::new(),
        pages: Stage::new(Arc::new(Store::new(backend, PAGE_CACHE_BYTES))),
    };
    let mut report = OperationReport {
        operations: 0,
        views: 0,
        refs: 0,
        difference: None,
    };
    for sequence in 1..=newest.sequence() {
        if let Err(reason) = chain.follow(data, sequence)? {
            report.difference = Some(OperationDifference { sequence, reason });
            return Ok(report);
        }
        report.operations += 1;
        report.views += u64::from(sequence.is_multiple_of(VIEW_EVERY));
    }
    report.refs = chain.refs.len() as u64;
    report.difference = chain
        .compare(data, newest)?
        .err()
        .map(|reason| OperationDifference {
            sequence: newest.sequence() + 1,
            reason,
        });
    Ok(report)
}

struct Chain {
    refs: BTreeMap<RefName, Target>,
    parent: Option<ObjectId>,
    last: Option<(u64, i64)>,
    view: Option<ObjectId>,
    since_view: BTreeMap<RefName, Option<Target>>,
    pages: Stage,
}

impl Chain {
    /// Takes the next operation, or says what is wrong with it.
    fn follow(&mut self, data: &Data, sequence: u64) -> io::Result<Result<(), String>> {
        let (id, operation) = match data.operation(sequence) {
            Ok(Some(found)) => found,
            Ok(None) => return Ok(Err("it is missing from the table of operations".to_owned())),
            Err(error) => return Ok(Err(chain_of(&error))),
        };
        if let Err(reason) = self.check(data, sequence, &id, &operation)? {
            return Ok(Err(reason));
        }
        for edit in operation.edits {
            match edit.new {
                Some(target) => self.refs.insert(edit.name.clone(), target),
                None => self.refs.remove(&edit.name),
            };
            self.since_view.insert(edit.name, edit.new);
        }
        self.parent = Some(id);
        self.last = Some((operation.index, operation.time_ms));
        if let Some(stored) = operation.view {
            let root = edit_view(
                &mut self.pages,
                self.view,
                std::mem::take(&mut self.since_view),
            )?;
            if root != stored {
                return Ok(Err(format!(
                    "its view is {stored}, recomputed it is {root}"
                )));
            }
            self.view = Some(root);
        }
        Ok(Ok(()))
    }

    fn check(
        &self,
        data: &Data,
        sequence: u64,
        id: &ObjectId,
        operation: &Operation,
    ) -> io::Result<Result<(), String>> {
        let recomputed = ObjectId::of(Kind::Operation, &operation.encode());
        if recomputed != *id {
            return Ok(Err(format!(
                "it is stored as {id}, recomputed it is {recomputed}"
            )));
        }
        if operation.sequence != sequence {
            return Ok(Err(format!(
                "it says that it is number {}",
                operation.sequence
            )));
        }
        if operation.parent != self.parent {
            return Ok(Err(format!(
                "its parent is {:?}, the one before is {:?}",
                operation.parent, self.parent
            )));
        }
        if self
            .last
            .is_some_and(|(index, time_ms)| operation.index <= index || operation.time_ms < time_ms)
        {
            return Ok(Err(
                "its index or time is before that of the one before".to_owned()
            ));
        }
        let place = data.place(sequence)?;
        if place.is_none_or(|place| {
            place.index != operation.index || place.time_ms != operation.time_ms
        }) {
            return Ok(Err(
                "the table of operations has another index or time for it".to_owned(),
            ));
        }
        let wrong = operation
            .edits
            .iter()
            .find(|edit| self.refs.get(&edit.name).copied() != edit.old);
        Ok(match wrong {
            None => Ok(()),
            Some(edit) => Err(format!("it moves ref `{}` from what it was not", edit.name)),
        })
    }

    /// Compares where the chain ends with the refs in memory and on disk.
    fn compare(&self, data: &Data, newest: &View) -> io::Result<Result<(), String>> {
        if self.parent != newest.operation() {
            return Ok(Err(format!(
                "the chain ends with {:?}, the view says {:?}",
                self.parent,
                newest.operation()
            )));
        }
        let mut expected = self.refs.iter();
        let in_memory = newest
            .scan("")
            .find(|(name, target)| expected.next() != Some((*name, target)));
        if let Some((name, _)) = in_memory {
            return Ok(Err(format!(
                "ref `{name}` in memory is not what the operations give"
            )));
        }
        if let Some((name, _)) = expected.next() {
            return Ok(Err(format!("ref `{name}` is missing in memory")));
        }
        let mut expected = self.refs.iter();
        let mut wrong = None;
        data.each_ref(&mut |name, target| {
            if wrong.is_none() && expected.next() != Some((&name, &target)) {
                wrong = Some(name);
            }
        })?;
        Ok(
            match wrong.or_else(|| expected.next().map(|(name, _)| name.clone())) {
                None => Ok(()),
                Some(name) => Err(format!(
                    "ref `{name}` on disk is not what the operations give"
                )),
            },
        )
    }
}

/// An error and its causes in one line.
pub(crate) fn chain_of(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut next = error.source();
    while let Some(cause) = next {
        text.push_str(": ");
        text.push_str(&cause.to_string());
        next = cause.source();
    }
    text
}
