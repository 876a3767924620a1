//! Rows of derived indexes, made again from the operations that caused them.
//!
//! A row is a function of the operations up to its own and of the objects that these refer to. So what an index
//! has can be proved (`fsck`), and what a backup does not have can be made.

use std::collections::HashMap;

use confman_model::Namespace;
use confman_object_store::tree::TreeKey;
use confman_object_store::{ObjectId, ReadObjects};
use confman_refs::{IndexRow, Operation, RefName};

use crate::error::Error;
use crate::life::{LifeChange, LineName, life_of};
use crate::line::{LineRows, Newest, Place, changes_of};
use crate::names;
use crate::row;
use crate::seen::Seen;

/// The tables whose rows the operations give.
pub(crate) const DERIVED: [u8; 4] = [row::HISTORY, row::POSITION, row::COMMIT, row::LIFE];
/// Most commits of one operation that are followed back along first parents.
const COMMITS_MAX: usize = 1_000_000;

/// A line as far as its rows were made again.
#[derive(Default)]
struct LineState {
    head: Option<Place>,
    newest: HashMap<TreeKey, Newest>,
}

/// Makes rows, operation by operation from the first on.
pub(crate) struct Derivation<'a> {
    seen: &'a Seen<'a>,
    lines: HashMap<LineName, LineState>,
    lives: HashMap<Namespace, ObjectId>,
}

impl<'a> Derivation<'a> {
    /// Begins before the first operation.
    pub(crate) fn new(seen: &'a Seen<'a>) -> Self {
        Self {
            seen,
            lines: HashMap::new(),
            lives: HashMap::new(),
        }
    }

    /// The rows of the documents and published heads that an operation moved. A document goes first: it
    /// tells which life of the namespace its head belongs to.
    ///
    /// # Errors
    /// The ref whose rows cannot be made, and why.
    pub(crate) fn rows_of(
        &mut self,
        operation: &Operation,
    ) -> Result<Vec<IndexRow>, (RefName, Error)> {
        let Self { seen, lines, lives } = self;
        let mut made = Vec::new();
        let mut ended = Vec::new();
        for edit in &operation.edits {
            let Some(namespace) = names::policy_of(edit.name.as_str()) else {
                continue;
            };
            let failed = |error: Error| (edit.name.clone(), error);
            let life = match edit.new {
                Some(new) => life_of(&seen.found(new.id).map_err(failed)?),
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
                made.append(&mut rows_of_line(seen, name, state, new.id).map_err(failed)?);
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
            made.append(&mut rows_of_line(seen, name, state, new.id).map_err(failed)?);
        }
        for namespace in ended {
            lives.remove(&namespace);
        }
        Ok(made)
    }
}

/// The rows of the commits that lead a line on to a new head; none where it is restored.
fn rows_of_line(
    seen: &Seen<'_>,
    name: LineName,
    state: &mut LineState,
    new: ObjectId,
) -> Result<Vec<IndexRow>, Error> {
    let objects = seen.objects();
    let old = state.head.as_ref().map(|head| head.commit);
    let commits = crate::line::first_parents(objects, old, new, COMMITS_MAX)?;
    let commits = commits
        .ok_or_else(|| Error::bug(format!("{new} does not follow from what was there before")))?;
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
