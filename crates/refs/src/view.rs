//! Views: every ref, as of one operation.

use confman_object_store::ObjectId;

use crate::name::RefName;
use crate::transaction::Target;

/// Every ref as of one operation. Cheap to clone, never changes.
#[derive(Clone, Debug, Default)]
pub struct View {
    pub(crate) refs: imbl::OrdMap<RefName, Target>,
    pub(crate) operation: Option<ObjectId>,
    pub(crate) sequence: u64,
    pub(crate) index: u64,
    pub(crate) time_ms: i64,
}

impl View {
    /// What the ref points at.
    #[must_use]
    pub fn get(&self, name: &str) -> Option<Target> {
        self.refs.get(name).copied()
    }

    /// Refs whose name begins with `prefix`, in order.
    pub fn scan<'a>(&'a self, prefix: &'a str) -> impl Iterator<Item = (&'a RefName, Target)> + 'a {
        self.refs
            .range::<_, str>((
                std::ops::Bound::Included(prefix),
                std::ops::Bound::Unbounded,
            ))
            .map(|(name, target)| (name, *target))
            .take_while(move |(name, _)| name.as_str().starts_with(prefix))
    }

    /// The newest operation it covers; `None` before the first.
    #[must_use]
    pub const fn operation(&self) -> Option<ObjectId> {
        self.operation
    }

    /// Sequence number of that operation; 0 before the first.
    #[must_use]
    pub const fn sequence(&self) -> u64 {
        self.sequence
    }

    /// How many refs there are.
    #[must_use]
    pub fn len(&self) -> usize {
        self.refs.len()
    }

    /// Whether there is no ref.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.refs.is_empty()
    }

    /// Log index up to which entries are applied.
    #[must_use]
    pub const fn index(&self) -> u64 {
        self.index
    }

    /// Time of that operation, milliseconds since 1970; 0 before the first.
    #[must_use]
    pub const fn time_ms(&self) -> i64 {
        self.time_ms
    }
}
