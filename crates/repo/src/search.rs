//! Published entries by tag, key and value, in every namespace that the actor may read.
//!
//! Nothing is indexed: the entries are read in order, and a page ends after so many of them, found or
//! not, so that no search holds a reader for long.

use confman_model::{Key, Namespace};
use confman_policy::Permission;

use crate::entry::{TreeEntry, Values};
use crate::error::Error;
use crate::names;
use crate::seen::Seen;
use crate::session::Session;

/// Most entries that are looked at for one page.
pub const SEARCH_ENTRIES_MAX: usize = 100_000;
/// How many entries are looked at in one go.
const CHUNK_ENTRIES: usize = 1000;

/// What to look for; all that is stated must hold.
#[derive(Clone, Debug)]
pub struct SearchQuery {
    /// Only at and below this namespace.
    pub prefix: Namespace,
    /// A tag of the entry.
    pub tag: Option<String>,
    /// A part of the key.
    pub key: Option<String>,
    /// A part of the value as text; bytes that are no text have none.
    pub value: Option<String>,
    /// The entry that the page begins after.
    pub after: Option<(Namespace, Key)>,
    /// Most entries to find.
    pub limit: usize,
}

/// A page of what was found.
#[derive(Clone, Debug)]
pub struct Found {
    /// In the order of namespaces and keys.
    pub entries: Vec<(Namespace, TreeEntry)>,
    /// Where the next page begins after; `None` on the last.
    pub next: Option<(Namespace, Key)>,
    /// Whether namespaces were left out because the actor may not read them.
    pub filtered: bool,
    /// Log index that was read at.
    pub index: u64,
}

impl Session {
    /// A page of the own published entries of namespaces at and below a prefix that are looked for.
    ///
    /// # Errors
    /// The store cannot be read.
    pub fn search(&self, query: &SearchQuery) -> Result<Found, Error> {
        let seen = self.look()?;
        let mut namespaces = seen.descendants(&query.prefix);
        if seen.get(&names::policy(&query.prefix)?).is_some() {
            namespaces.push(query.prefix.clone());
        }
        namespaces.sort();
        let mut search = Search {
            seen: &seen,
            query,
            looked_at: 0,
            found: Found {
                entries: Vec::new(),
                next: None,
                filtered: false,
                index: seen.index(),
            },
        };
        for namespace in namespaces {
            let after = query.after.as_ref();
            let after = match after.map(|(at, key)| (namespace.cmp(at), key)) {
                Some((std::cmp::Ordering::Less, _)) => continue,
                Some((std::cmp::Ordering::Equal, key)) => Some(key.clone()),
                Some((std::cmp::Ordering::Greater, _)) | None => None,
            };
            if !seen.may(&namespace, Permission::ConfigReadPublished)? {
                search.found.filtered = true;
            } else if search.namespace(&namespace, after)?.is_full() {
                break;
            }
        }
        Ok(search.found)
    }
}

/// A search on its way.
struct Search<'s> {
    seen: &'s Seen<'s>,
    query: &'s SearchQuery,
    looked_at: usize,
    found: Found,
}

/// Whether a page has room for more.
enum Room {
    Left,
    None,
}

impl Room {
    fn is_full(&self) -> bool {
        matches!(self, Self::None)
    }
}

impl Search<'_> {
    /// Looks at the entries of a namespace after a key.
    fn namespace(&mut self, namespace: &Namespace, mut after: Option<Key>) -> Result<Room, Error> {
        let objects = self.seen.objects();
        let Some(head) = self.seen.head(&names::published(namespace)?)? else {
            return Ok(Room::Left);
        };
        loop {
            let tree = &head.commit.tree;
            let (leaves, next) = self.seen.leaves(tree, "", after.as_ref(), CHUNK_ENTRIES)?;
            for (key, leaf) in leaves {
                self.looked_at += 1;
                if self.query.has_key(&key) {
                    let entry = TreeEntry::read(objects, key.clone(), &leaf, Values::With)?;
                    if self.query.has(&entry) {
                        self.found.entries.push((namespace.clone(), entry));
                    }
                }
                let is_full = self.found.entries.len() == self.query.limit;
                if is_full || self.looked_at == SEARCH_ENTRIES_MAX {
                    self.found.next = Some((namespace.clone(), key));
                    return Ok(Room::None);
                }
            }
            match next {
                Some(next) => after = Some(next),
                None => return Ok(Room::Left),
            }
        }
    }
}

impl SearchQuery {
    fn has_key(&self, key: &Key) -> bool {
        let part = self.key.as_deref();
        part.is_none_or(|part| key.as_str().contains(part))
    }

    fn has(&self, entry: &TreeEntry) -> bool {
        let tags = &entry.details.tags;
        let text = entry.value.as_ref().and_then(|value| value.as_str());
        let tag = self.tag.as_ref();
        let part = self.value.as_deref();
        tag.is_none_or(|tag| tags.contains(tag))
            && part.is_none_or(|part| text.is_some_and(|text| text.contains(part)))
    }
}
