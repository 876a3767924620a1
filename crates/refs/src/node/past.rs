//! Views of the past.

use std::ops::ControlFlow;

use confman_object_store::{DecodeError, Kind, ObjectId, ReadError, tree};
use imbl::OrdMap;

use crate::data::Data;
use crate::data::apply::leaf_target;
use crate::data::operations::table_failed;
use crate::name::RefName;
use crate::operation::{Operation, VIEW_EVERY};
use crate::transaction::Target;
use crate::view::View;

/// So many operations are undone rather than a whole view read.
const UNDONE_MAX: u64 = 2 * VIEW_EVERY;

/// See [`crate::Node::view_at`]. A number beyond the newest operation's gives the newest view.
pub(crate) fn view_at(data: &Data, newest: &View, sequence: u64) -> Result<View, ReadError> {
    if sequence >= newest.sequence {
        return Ok(newest.clone());
    }
    if sequence == 0 {
        return Ok(View::default());
    }
    let (id, at) = operation(data, sequence)?;
    let mut view = View {
        refs: OrdMap::new(),
        operation: Some(id),
        sequence,
        index: at.index,
        time_ms: at.time_ms,
    };
    let steps_back = newest.sequence - sequence;
    if steps_back <= UNDONE_MAX {
        view.refs = newest.refs.clone();
        for number in (sequence + 1..=newest.sequence).rev() {
            for edit in operation(data, number)?.1.edits {
                set(&mut view.refs, edit.name, edit.old);
            }
        }
        return Ok(view);
    }
    let with_tree = sequence - sequence % VIEW_EVERY;
    if with_tree > 0 {
        let (id, at) = operation(data, with_tree)?;
        view.refs = read_tree(data, &id, &at)?;
    }
    for number in with_tree + 1..=sequence {
        for edit in operation(data, number)?.1.edits {
            set(&mut view.refs, edit.name, edit.new);
        }
    }
    Ok(view)
}

fn set(refs: &mut OrdMap<RefName, Target>, name: RefName, target: Option<Target>) {
    match target {
        Some(target) => refs.insert(name, target),
        None => refs.remove(&name),
    };
}

fn operation(data: &Data, sequence: u64) -> Result<(ObjectId, Operation), ReadError> {
    data.operation(sequence)?.ok_or_else(|| {
        table_failed(std::io::Error::new(
            std::io::ErrorKind::InvalidData,
            format!("data/: operation {sequence} is missing"),
        ))
    })
}

/// Reads the tree of a view.
fn read_tree(
    data: &Data,
    id: &ObjectId,
    operation: &Operation,
) -> Result<OrdMap<RefName, Target>, ReadError> {
    let malformed = |reason: String| ReadError::Malformed {
        kind: Kind::Operation,
        id: *id,
        source: DecodeError {
            kind: "view",
            offset: 0,
            reason,
        },
    };
    let Some(root) = operation.view else {
        return Err(malformed(format!(
            "operation {} has no view",
            operation.sequence
        )));
    };
    let mut refs = OrdMap::new();
    let mut wrong = None;
    tree::walk(data.store.as_ref(), &root, &[], None, &mut |key, leaf| {
        let name = std::str::from_utf8(key.as_bytes())
            .ok()
            .and_then(|text| RefName::new(text).ok());
        match name.zip(leaf_target(&leaf)) {
            Some((name, target)) => {
                refs.insert(name, target);
                ControlFlow::Continue(())
            }
            None => {
                wrong = Some(String::from_utf8_lossy(key.as_bytes()).into_owned());
                ControlFlow::Break(())
            }
        }
    })?;
    match wrong {
        None => Ok(refs),
        Some(key) => Err(malformed(format!("`{key}` in view {root} is not a ref"))),
    }
}
