//! The own entries of a namespace as schemas see them, kept by tree.
//!
//! INVARIANT: a tree never changes, so nothing in here goes stale.

use std::collections::HashMap;
use std::ops::ControlFlow;
use std::sync::{Arc, Mutex, PoisonError};

use confman_layout::{entry_key, leaf_type, read_value, value_bytes};
use confman_model::{EntryType, Key};
use confman_object_store::tree::Leaf;
use confman_object_store::{ObjectId, ReadObjects, tree};
use confman_policy::schema::to_json;

use crate::error::Error;

/// Most bytes of values that are kept decoded.
const LAYERS_BYTES_MAX: usize = 64 << 20;
/// What an entry takes beside its value.
const ENTRY_BYTES: usize = 200;

/// An own entry.
#[derive(Debug)]
pub(crate) struct Own {
    /// Its type; `None` for a tombstone.
    pub entry_type: Option<EntryType>,
    /// As a schema sees it.
    pub json: serde_json::Value,
    /// Bytes of the value.
    pub bytes: usize,
}

/// The own entries of a tree.
#[derive(Clone, Debug, Default)]
pub(crate) struct OwnLayer {
    pub entries: imbl::OrdMap<Key, Arc<Own>>,
    bytes: usize,
}

/// Layers that were decoded before.
#[derive(Debug, Default)]
pub(crate) struct Layers(Mutex<Kept>);

#[derive(Debug, Default)]
struct Kept {
    layers: HashMap<ObjectId, OwnLayer>,
    bytes: usize,
}

impl Layers {
    /// The own entries of a tree.
    pub fn of(&self, objects: &dyn ReadObjects, tree: &ObjectId) -> Result<OwnLayer, Error> {
        if let Some(known) = self.known(tree) {
            return Ok(known);
        }
        let mut layer = OwnLayer::default();
        let mut wrong = None;
        tree::walk(
            objects,
            tree,
            &[],
            None,
            &mut |key, leaf| match read(objects, &leaf).and_then(|own| Ok((entry_key(&key)?, own)))
            {
                Ok((key, own)) => {
                    layer.insert(key, own);
                    ControlFlow::Continue(())
                }
                Err(error) => {
                    wrong = Some(error);
                    ControlFlow::Break(())
                }
            },
        )?;
        if let Some(error) = wrong {
            return Err(error);
        }
        self.keep(tree, &layer);
        Ok(layer)
    }

    /// The own entries of a tree that differs little from another.
    pub fn changed(
        &self,
        objects: &dyn ReadObjects,
        old: &ObjectId,
        new: &ObjectId,
    ) -> Result<OwnLayer, Error> {
        if let Some(known) = self.known(new) {
            return Ok(known);
        }
        let mut layer = self.of(objects, old)?;
        let mut changes = Vec::new();
        tree::diff_each(objects, old, new, &mut |change| {
            changes.push((change.key, change.new));
            ControlFlow::Continue(())
        })?;
        for (key, leaf) in changes {
            let key = entry_key(&key)?;
            layer.remove(&key);
            if let Some(leaf) = leaf {
                layer.insert(key, read(objects, &leaf)?);
            }
        }
        self.keep(new, &layer);
        Ok(layer)
    }

    fn known(&self, tree: &ObjectId) -> Option<OwnLayer> {
        let kept = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        kept.layers.get(tree).cloned()
    }

    fn keep(&self, tree: &ObjectId, layer: &OwnLayer) {
        let mut kept = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if layer.bytes > LAYERS_BYTES_MAX {
            return;
        }
        if kept.bytes + layer.bytes > LAYERS_BYTES_MAX {
            *kept = Kept::default();
        }
        kept.bytes += layer.bytes;
        kept.layers.insert(*tree, layer.clone());
    }
}

impl OwnLayer {
    fn insert(&mut self, key: Key, own: Own) {
        self.bytes += ENTRY_BYTES + own.bytes;
        self.entries.insert(key, Arc::new(own));
    }

    fn remove(&mut self, key: &Key) {
        if let Some(own) = self.entries.remove(key) {
            self.bytes = self.bytes.saturating_sub(ENTRY_BYTES + own.bytes);
        }
    }
}

fn read(objects: &dyn ReadObjects, leaf: &Leaf) -> Result<Own, Error> {
    let value = read_value(objects, leaf)?;
    Ok(Own {
        entry_type: leaf_type(leaf)?,
        json: value.as_ref().map(to_json).unwrap_or_default(),
        bytes: usize::try_from(value_bytes(leaf)).unwrap_or(usize::MAX),
    })
}
