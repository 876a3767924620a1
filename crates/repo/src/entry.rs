//! Entries as a namespace has them.

use std::ops::ControlFlow;

use confman_layout::{entry_key, leaf_type, read_details, read_entry, read_value, value_bytes};
use confman_model::{Details, DraftName, Entry, EntryType, Key, Namespace, Revision, Value};
use confman_object_store::tree::Leaf;
use confman_object_store::{ObjectId, ReadObjects, tree};
use confman_policy::Permission;

use crate::error::{Error, What};
use crate::line::KeyVersion;
use crate::names;
use crate::revision::ResolvedRevision;
use crate::seen::{Found, Seen, committed};
use crate::session::Session;

/// When and by whom.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Stamp {
    /// Milliseconds since 1970.
    pub at_ms: i64,
    /// A principal, or `Name <mail>` of somebody the store does not know.
    pub by: String,
}

/// Whether values are wanted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Values {
    /// Yes.
    With,
    /// No: only what is said about them.
    Without,
}

/// An entry of a tree.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TreeEntry {
    /// Its key.
    pub key: Key,
    /// Type of the value; `None` for a tombstone.
    pub entry_type: Option<EntryType>,
    /// The value; `None` for a tombstone, and where values are not wanted.
    pub value: Option<Value>,
    /// Bytes of the value.
    pub size: u64,
    /// What is said about it.
    pub details: Details,
}

/// Which entries are wanted.
#[derive(Clone, Debug)]
pub struct EntriesQuery {
    /// Only keys that begin with this; empty for all.
    pub prefix: String,
    /// Only keys after this one.
    pub after: Option<Key>,
    /// At most so many.
    pub limit: usize,
    /// Whether values are wanted.
    pub values: Values,
}

/// A page of entries.
#[derive(Clone, Debug)]
pub struct Entries {
    /// What was read.
    pub at: ResolvedRevision,
    /// How many keys have the prefix in all.
    pub total: u64,
    /// In the order of keys.
    pub entries: Vec<TreeEntry>,
    /// Where the next page begins after; `None` on the last.
    pub next: Option<Key>,
}

/// An entry, published and drafted.
#[derive(Clone, Debug)]
pub struct ConfigEntry {
    /// Where.
    pub namespace: Namespace,
    /// Which.
    pub key: Key,
    /// What is published; `None` where nothing is.
    pub published: Option<PublishedSide>,
    /// What a draft makes of it; `None` where none touches it.
    pub draft: Option<DraftSide>,
    /// When the key was first published, or drafted where it never was.
    pub created: Stamp,
    /// Log index that was read at.
    pub index: u64,
}

impl ConfigEntry {
    /// The entry as drafted, or as published where no draft has it.
    #[must_use]
    pub fn current(&self) -> Option<&Entry> {
        let drafted = self.draft.as_ref().and_then(|side| side.entry.as_ref());
        drafted.or(self.published.as_ref().map(|side| &side.entry))
    }
}

/// A published entry.
#[derive(Clone, Debug)]
pub struct PublishedSide {
    /// The entry.
    pub entry: Entry,
    /// Counts the published versions of the key, from 1.
    pub version: u64,
    /// When and by whom it was published.
    pub published: Stamp,
    /// Number of the publish request.
    pub request: Option<u64>,
    /// The commit that gave it this version.
    pub commit: ObjectId,
}

/// An entry in a draft.
#[derive(Clone, Debug)]
pub struct DraftSide {
    /// Name of the draft.
    pub name: DraftName,
    /// The entry; `None` where the draft removes it.
    pub entry: Option<Entry>,
    /// The version it would become.
    pub version: u64,
    /// When and by whom the draft was changed last.
    pub updated: Stamp,
    /// Head of the draft.
    pub commit: ObjectId,
}

impl TreeEntry {
    /// Reads the entry that a leaf stands for.
    pub(crate) fn read(
        objects: &dyn ReadObjects,
        key: Key,
        leaf: &Leaf,
        values: Values,
    ) -> Result<Self, Error> {
        Ok(Self {
            key,
            entry_type: leaf_type(leaf)?,
            value: match values {
                Values::With => read_value(objects, leaf)?,
                Values::Without => None,
            },
            size: value_bytes(leaf),
            details: read_details(objects, leaf)?,
        })
    }
}

impl Session {
    /// A page of the entries that a revision has.
    ///
    /// # Errors
    /// [`Error::NotFound`] and what [`Session::resolve`] says.
    pub fn entries(
        &self,
        namespace: &Namespace,
        revision: &Revision,
        query: &EntriesQuery,
    ) -> Result<Entries, Error> {
        let seen = self.look()?;
        let at = seen.resolve(namespace, revision)?;
        let objects = seen.objects();
        let total = match query.prefix.is_empty() {
            true => tree::count(objects, &at.tree)?,
            false => tree::count_prefix(objects, &at.tree, query.prefix.as_bytes())?,
        };
        let (leaves, next) =
            seen.leaves(&at.tree, &query.prefix, query.after.as_ref(), query.limit)?;
        let entries = leaves
            .into_iter()
            .map(|(key, leaf)| TreeEntry::read(objects, key, &leaf, query.values))
            .collect::<Result<_, Error>>()?;
        Ok(Entries {
            at,
            total,
            entries,
            next,
        })
    }

    /// One entry, published and as drafted in `draft`, or where none is named in the most recently
    /// changed draft that touches it. Who may not read drafts sees the published side alone.
    ///
    /// # Errors
    /// [`Error::NotFound`] where neither side has it.
    pub fn entry(
        &self,
        namespace: &Namespace,
        key: &Key,
        draft: Option<&DraftName>,
    ) -> Result<ConfigEntry, Error> {
        let seen = self.look()?;
        let reads_drafts = match draft {
            Some(_) => seen
                .permit(namespace, Permission::ConfigReadDraft)
                .map(|()| true)?,
            None => {
                seen.permit(namespace, Permission::ConfigReadPublished)?;
                seen.may(namespace, Permission::ConfigReadDraft)?
            }
        };
        let newest = seen.line(namespace)?.newest(key.as_str().as_bytes())?;
        let published = match &newest {
            Some(newest) => seen.published_side(namespace, newest)?,
            None => None,
        };
        let next_version = newest.as_ref().map_or(0, |newest| newest.row.version) + 1;
        let draft = match (draft, reads_drafts) {
            (Some(name), _) => {
                let head = seen.draft_head(namespace, name)?;
                seen.draft_side(namespace, name, &head, key, next_version)?
            }
            (None, true) => seen.newest_draft_side(namespace, key, next_version)?,
            (None, false) => None,
        };
        let created = match (&newest, &published, &draft) {
            (_, None, None) => {
                return Err(Error::not_found(What::Entry, format!("{namespace}:{key}")));
            }
            (Some(newest), ..) => {
                seen.stamp(&seen.line(namespace)?.must(newest.row.created)?.commit)?
            }
            (None, _, Some(side)) => side.updated.clone(),
            (None, Some(side), None) => side.published.clone(),
        };
        Ok(ConfigEntry {
            namespace: namespace.clone(),
            key: key.clone(),
            published,
            draft,
            created,
            index: seen.index(),
        })
    }
}

/// Keys and leaves in order, and where the next page begins after.
pub(crate) type LeavesPage = (Vec<(Key, Leaf)>, Option<Key>);

impl Seen<'_> {
    /// Keys and leaves of a tree in order, and where the next page begins after.
    pub(crate) fn leaves(
        &self,
        tree: &ObjectId,
        prefix: &str,
        after: Option<&Key>,
        limit: usize,
    ) -> Result<LeavesPage, Error> {
        let mut found = Vec::new();
        let mut more = false;
        let after = after.map(|key| key.as_str().as_bytes());
        tree::walk(
            self.objects(),
            tree,
            prefix.as_bytes(),
            after,
            &mut |key, leaf| {
                if found.len() == limit {
                    more = true;
                    return ControlFlow::Break(());
                }
                found.push((key, leaf));
                ControlFlow::Continue(())
            },
        )?;
        let found: Vec<(Key, Leaf)> = found
            .into_iter()
            .map(|(key, leaf)| Ok((entry_key(&key)?, leaf)))
            .collect::<Result<_, Error>>()?;
        let next = if more {
            found.last().map(|(key, _)| key.clone())
        } else {
            None
        };
        Ok((found, next))
    }

    fn published_side(
        &self,
        namespace: &Namespace,
        version: &KeyVersion,
    ) -> Result<Option<PublishedSide>, Error> {
        let Some(leaf) = &version.row.leaf else {
            return Ok(None);
        };
        let place = self.line(namespace)?.must(version.row.position)?;
        let commit = self.objects().commit(&place.commit)?;
        Ok(Some(PublishedSide {
            entry: read_entry(self.objects(), leaf)?,
            version: version.row.version,
            published: committed(&commit),
            request: commit.request,
            commit: place.commit,
        }))
    }

    /// What a draft makes of a key; `None` where it leaves it as it was.
    fn draft_side(
        &self,
        namespace: &Namespace,
        name: &DraftName,
        head: &Found,
        key: &Key,
        version: u64,
    ) -> Result<Option<DraftSide>, Error> {
        let base = self.base_of(namespace, head)?;
        let before = self.leaf(&self.tree_of(base.map(|place| place.commit).as_ref())?, key)?;
        let after = self.leaf(&head.commit.tree, key)?;
        if before == after {
            return Ok(None);
        }
        let entry = after
            .map(|leaf| read_entry(self.objects(), &leaf))
            .transpose()?;
        Ok(Some(DraftSide {
            name: name.clone(),
            entry,
            version,
            updated: committed(&head.commit),
            commit: head.id,
        }))
    }

    /// What the most recently changed draft that touches a key makes of it.
    fn newest_draft_side(
        &self,
        namespace: &Namespace,
        key: &Key,
        version: u64,
    ) -> Result<Option<DraftSide>, Error> {
        let mut newest: Option<DraftSide> = None;
        for name in self.draft_names(namespace) {
            let head = self.draft_head(namespace, &name)?;
            let older = newest
                .as_ref()
                .is_some_and(|side| side.updated.at_ms >= head.commit.commit_time.ms);
            if older {
                continue;
            }
            if let Some(side) = self.draft_side(namespace, &name, &head, key, version)? {
                newest = Some(side);
            }
        }
        Ok(newest)
    }

    /// The names of a namespace's drafts, in order.
    pub(crate) fn draft_names(&self, namespace: &Namespace) -> Vec<DraftName> {
        let prefix = names::drafts(namespace);
        self.view
            .scan(&prefix)
            .filter_map(|(name, _)| name.as_str().strip_prefix(&prefix)?.parse().ok())
            .collect()
    }
}
