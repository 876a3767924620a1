//! What holds in a namespace: its own entries and those it inherits.
//!
//! INVARIANT: it fails closed. What cannot be resolved is an error, never an empty answer.

use thiserror::Error;

use crate::entry::Entry;
use crate::key::Key;
use crate::namespace::Namespace;

/// Something that may be a tombstone.
///
/// Implemented by [`Entry`], and by whatever a store keeps in its place, so that resolving does
/// not load values.
pub trait Tombstone {
    /// Whether it hides what is inherited.
    fn is_unset(&self) -> bool;
}

impl Tombstone for Entry {
    fn is_unset(&self) -> bool {
        Self::is_unset(self)
    }
}

impl<T: Tombstone + ?Sized> Tombstone for &T {
    fn is_unset(&self) -> bool {
        (**self).is_unset()
    }
}

/// The own entries of one namespace of a chain.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Layer<T = Entry> {
    /// Whose entries they are.
    pub namespace: Namespace,
    /// The entries in strictly ascending order of keys.
    pub entries: Vec<(Key, T)>,
}

/// All that holds in the first namespace of a chain.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Effective<'a, T = Entry> {
    /// What each key is, in the order of keys.
    pub values: Vec<EffectiveEntry<'a, T>>,
    /// Keys that a tombstone hides or keeps without a value, in the order of keys.
    pub unset: Vec<EffectiveEntry<'a, T>>,
}

/// The entry that wins for a key, and where it comes from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct EffectiveEntry<'a, T = Entry> {
    /// Which key.
    pub key: &'a Key,
    /// The entry of the nearest namespace that has one.
    pub entry: &'a T,
    /// That namespace.
    pub namespace: &'a Namespace,
    /// What it overrides further up, nearest first.
    pub overrides: Vec<(&'a Namespace, &'a T)>,
}

/// Why a chain cannot be resolved.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum ResolveError {
    /// There is no layer.
    #[error("nothing to resolve: the chain has no namespace")]
    EmptyChain,
    /// A layer does not belong to the parent of the layer before it.
    #[error("`{found}` cannot follow `{after}` in a chain, only its parent can")]
    NotParent {
        /// The namespace before.
        after: Namespace,
        /// The namespace that follows it.
        found: Namespace,
    },
    /// The entries of a layer are not in strictly ascending order.
    #[error("the entries of `{namespace}` are not in strictly ascending order at key `{key}`")]
    Unsorted {
        /// Whose entries.
        namespace: Namespace,
        /// The first key that is out of order.
        key: Key,
    },
    /// A namespace of the chain does not exist.
    #[error("`{missing}` does not exist, so what holds in `{namespace}` is not known")]
    Missing {
        /// The namespace asked for.
        namespace: Namespace,
        /// The namespace that is missing.
        missing: Namespace,
    },
}

impl<'a, T> Effective<'a, T> {
    /// What `key` is, if it has a value.
    #[must_use]
    pub fn get(&self, key: &Key) -> Option<&EffectiveEntry<'a, T>> {
        todo!()
    }
}

/// The namespaces that `namespace` inherits from, itself first, cut after the first that does not
/// inherit. `inherit` answers what the document of a namespace says, `None` where there is none.
///
/// # Errors
/// Fails where a namespace on the way does not exist.
pub fn chain(
    namespace: &Namespace,
    inherit: impl Fn(&Namespace) -> Option<bool>,
) -> Result<Vec<Namespace>, ResolveError> {
    todo!()
}

/// All that holds in the first namespace of `chain`.
///
/// # Errors
/// Fails where `chain` is not a chain or a layer is not sorted.
pub fn effective<T: Tombstone>(chain: &[Layer<T>]) -> Result<Effective<'_, T>, ResolveError> {
    todo!()
}
