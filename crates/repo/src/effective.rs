//! What holds in a namespace: its own entries and those it inherits, resolved against one view.

use std::ops::ControlFlow;

use confman_layout::{entry_key, is_tombstone};
use confman_model::resolver::{self, Layer, Tombstone};
use confman_model::{Key, Namespace, Revision};
use confman_object_store::tree::Leaf;
use confman_object_store::{ObjectId, ReadObjects, tree};

use crate::chain::Moment;
use crate::compiled::CompiledLink;
use crate::entry::{TreeEntry, Values};
use crate::error::{Error, What};
use crate::line::Place;
use crate::seen::Seen;
use crate::session::Session;

/// Context of the hash of a basis.
const BASIS_CONTEXT: &str = "confman 2026 basis v1";

/// Where an effective value comes from.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Provenance {
    /// The namespace that has it.
    pub namespace: Namespace,
    /// The commit that it was read from.
    pub commit: ObjectId,
}

/// An effective value.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct EffectiveEntry {
    /// The entry; never a tombstone.
    pub entry: TreeEntry,
    /// Where it comes from.
    pub from: Provenance,
}

/// An effective document.
#[derive(Clone, Debug)]
pub struct Effective {
    /// Whose.
    pub namespace: Namespace,
    /// Hash of the ordered commits behind it: equal bases have equal documents.
    pub basis: ObjectId,
    /// The entries in the order of keys.
    pub entries: Vec<EffectiveEntry>,
    /// Log index that was read at.
    pub index: u64,
}

/// One effective value with all that led to it.
#[derive(Clone, Debug)]
pub struct EffectiveValue {
    /// Whose.
    pub namespace: Namespace,
    /// The basis of the whole document.
    pub basis: ObjectId,
    /// The value, and where it comes from.
    pub entry: EffectiveEntry,
    /// Version of the key in the namespace that has it; `None` where it comes from a draft.
    pub version: Option<u64>,
    /// What it overrides further up, nearest first; tombstones too.
    pub overrides: Vec<EffectiveEntry>,
    /// Log index that was read at.
    pub index: u64,
}

impl Session {
    /// Hash of the ordered commits behind an effective document, without making the document.
    ///
    /// # Errors
    /// As [`Session::effective`].
    pub fn basis(&self, namespace: &Namespace, revision: &Revision) -> Result<ObjectId, Error> {
        Ok(self.look()?.basis(namespace, revision)?.id())
    }

    /// All that holds in a namespace. For a revision other than `published` and drafts, the namespaces
    /// above are taken as of the time of that revision.
    ///
    /// # Errors
    /// [`Error::NotFound`] and what [`Session::resolve`] says.
    pub fn effective(
        &self,
        namespace: &Namespace,
        revision: &Revision,
        values: Values,
    ) -> Result<Effective, Error> {
        let seen = self.look()?;
        let basis = seen.basis(namespace, revision)?;
        let layers = basis
            .links
            .iter()
            .map(|link| seen.layer(&link.namespace, &link.tree))
            .collect::<Result<Vec<_>, Error>>()?;
        let resolved = resolver::effective(&layers).map_err(Error::bug)?;
        let entries = resolved
            .values
            .iter()
            .map(|found| {
                let from = basis.provenance(found.namespace)?;
                let entry =
                    TreeEntry::read(seen.objects(), found.key.clone(), &found.entry.0, values)?;
                Ok(EffectiveEntry { entry, from })
            })
            .collect::<Result<_, Error>>()?;
        Ok(Effective {
            namespace: namespace.clone(),
            basis: basis.id(),
            entries,
            index: seen.index(),
        })
    }

    /// One effective value.
    ///
    /// # Errors
    /// [`Error::NotFound`] where there is none, or a tombstone hides it.
    pub fn effective_value(
        &self,
        namespace: &Namespace,
        revision: &Revision,
        key: &Key,
    ) -> Result<EffectiveValue, Error> {
        let seen = self.look()?;
        let basis = seen.basis(namespace, revision)?;
        let not_found = || Error::not_found(What::Entry, format!("{namespace}:{key}"));
        let mut found = Vec::new();
        for link in &basis.links {
            if let Some(leaf) = seen.leaf(&link.tree, key)? {
                found.push((link, leaf));
            }
        }
        let mut found = found.into_iter();
        let (nearest, leaf) = found
            .next()
            .filter(|(_, leaf)| !is_tombstone(leaf))
            .ok_or_else(not_found)?;
        let read = |link: &Link, leaf: &Leaf| -> Result<EffectiveEntry, Error> {
            let entry = TreeEntry::read(seen.objects(), key.clone(), leaf, Values::With)?;
            Ok(EffectiveEntry {
                entry,
                from: basis.provenance(&link.namespace)?,
            })
        };
        let version = match &nearest.place {
            Some(place) => seen
                .line(&nearest.namespace)?
                .version_at(key.as_str().as_bytes(), place)?,
            None => None,
        };
        Ok(EffectiveValue {
            namespace: namespace.clone(),
            basis: basis.id(),
            entry: read(nearest, &leaf)?,
            version: version.map(|version| version.row.version),
            overrides: found
                .map(|(link, leaf)| read(link, &leaf))
                .collect::<Result<_, Error>>()?,
            index: seen.index(),
        })
    }
}

/// A leaf, for the resolver: values are not loaded to find out which one wins.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct OwnLeaf(pub Leaf);

impl Tombstone for OwnLeaf {
    fn is_unset(&self) -> bool {
        is_tombstone(&self.0)
    }
}

/// A namespace of a chain, and what is read of it.
pub(crate) struct Link {
    pub namespace: Namespace,
    pub commit: Option<ObjectId>,
    pub tree: ObjectId,
    /// Where the commit is on the namespace's line.
    pub place: Option<Place>,
}

/// The ordered commits behind an effective document.
pub(crate) struct Basis {
    pub links: Vec<Link>,
}

impl Basis {
    fn id(&self) -> ObjectId {
        basis_id(self.links.iter().map(|link| (&link.namespace, link.commit)))
    }

    fn provenance(&self, namespace: &Namespace) -> Result<Provenance, Error> {
        let link = self.links.iter().find(|link| link.namespace == *namespace);
        let commit = link.and_then(|link| link.commit);
        let commit = commit
            .ok_or_else(|| Error::bug(format!("a value of `{namespace}` comes from no commit")))?;
        Ok(Provenance {
            namespace: namespace.clone(),
            commit,
        })
    }
}

/// Hash of the ordered commits behind an effective document.
pub(crate) fn basis_id<'a>(
    links: impl Iterator<Item = (&'a Namespace, Option<ObjectId>)>,
) -> ObjectId {
    let mut hasher = blake3::Hasher::new_derive_key(BASIS_CONTEXT);
    for (namespace, commit) in links {
        hasher.update(&(namespace.as_str().len() as u64).to_le_bytes());
        hasher.update(namespace.as_str().as_bytes());
        hasher.update(&commit.map_or([0; 32], |commit| *commit.as_bytes()));
    }
    ObjectId::from_bytes(*hasher.finalize().as_bytes())
}

impl Seen<'_> {
    /// What the effective document of a revision is made of.
    pub(crate) fn basis_links(
        &self,
        namespace: &Namespace,
        revision: &Revision,
    ) -> Result<Vec<CompiledLink>, Error> {
        let links = self.basis(namespace, revision)?.links.into_iter();
        let links = links.map(|link| CompiledLink {
            namespace: link.namespace,
            commit: link.commit,
            tree: link.tree,
        });
        Ok(links.collect())
    }

    pub(crate) fn basis(&self, namespace: &Namespace, revision: &Revision) -> Result<Basis, Error> {
        let at = self.resolve(namespace, revision)?;
        let place = match at.position {
            Some(position) => Some(self.line(namespace)?.must(position)?),
            None => None,
        };
        // What is published now, and drafts, stand on what is published now above them; everything else on
        // what was published above at its moment.
        let moment = self.moment_of(&at)?;
        let own = Link {
            namespace: namespace.clone(),
            commit: at.commit,
            tree: at.tree,
            place,
        };
        let mut links = vec![own];
        // Entries are inherited by everybody who may read the child: that is what inheriting is for.
        for above in self.links(namespace, moment)?.into_iter().skip(1) {
            links.push(self.link(above.namespace, moment)?);
        }
        Ok(Basis { links })
    }

    /// What a namespace has published, now or at a moment.
    fn link(&self, namespace: Namespace, moment: Option<Moment>) -> Result<Link, Error> {
        let place = match moment {
            None => self.published(&namespace)?.map(|(_, head)| head),
            Some(moment) => self.published_at(&namespace, moment)?,
        };
        let commit = place.map(|place| place.commit);
        Ok(Link {
            tree: self.tree_of(commit.as_ref())?,
            namespace,
            commit,
            place,
        })
    }

    /// The own entries of a namespace, values not loaded.
    pub(crate) fn layer(
        &self,
        namespace: &Namespace,
        tree: &ObjectId,
    ) -> Result<Layer<OwnLeaf>, Error> {
        let mut entries = Vec::new();
        let mut wrong = None;
        tree::walk(
            self.objects() as &dyn ReadObjects,
            tree,
            &[],
            None,
            &mut |key, leaf| match entry_key(&key) {
                Ok(key) => {
                    entries.push((key, OwnLeaf(leaf)));
                    ControlFlow::Continue(())
                }
                Err(error) => {
                    wrong = Some(error);
                    ControlFlow::Break(())
                }
            },
        )?;
        match wrong {
            Some(error) => Err(error.into()),
            None => Ok(Layer {
                namespace: namespace.clone(),
                entries,
            }),
        }
    }
}
