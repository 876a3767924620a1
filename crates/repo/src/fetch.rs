//! Fetch: what a caller lacks of some revisions, as a pack.

use std::collections::{BinaryHeap, HashMap, HashSet};
use std::io::Write;
use std::ops::ControlFlow;
use std::sync::Arc;

use confman_layout::blob;
use confman_model::{Namespace, Revision};
use confman_object_store::pack::PackWriter;
use confman_object_store::tree::{self, Leaf};
use confman_object_store::{Encoded, Kind, Object, ObjectId, ReadObjects};

use crate::error::Error;
use crate::repo::Repo;
use crate::seen::Seen;
use crate::session::Session;

/// Most revisions wanted at once.
pub const WANTS_MAX: usize = 256;
/// Most commits that a caller may name as its own; more do not make a pack smaller.
pub const HAVES_MAX: usize = 256;
/// Trees of the caller's that pages are looked for in.
const HAVE_TREES_MAX: usize = 8;

/// What is wanted.
#[derive(Clone, Debug)]
pub struct FetchRequest {
    /// Revisions wanted.
    pub want: Vec<Revision>,
    /// Commits the caller has whole: their trees and values.
    pub have: Vec<ObjectId>,
    /// `Some(n)`: n commits along first parents; `None`: all of the history as commits.
    pub depth: Option<u64>,
    /// Trees and values of every commit, not only of those wanted.
    pub all_trees: bool,
}

/// A wanted revision.
#[derive(Clone, Debug)]
pub struct FetchedRef {
    /// As asked.
    pub want: Revision,
    /// The commit; `None` where nothing is there yet.
    pub commit: Option<ObjectId>,
    /// Root of its tree.
    pub tree: Option<ObjectId>,
}

/// What will be sent. Nothing of it can go away: objects are immutable.
#[derive(Debug)]
pub struct FetchPlan {
    /// What each wanted revision is.
    pub refs: Vec<FetchedRef>,
    /// Log index that was read at.
    pub index: u64,
    repo: Arc<Repo>,
    objects: Vec<Planned>,
}

/// An object to be sent.
#[derive(Clone, Copy, Debug)]
struct Planned {
    kind: Kind,
    id: ObjectId,
    /// An object that the caller has by then and that this one is much like.
    like: Option<ObjectId>,
}

impl FetchPlan {
    /// How many objects will be sent.
    #[must_use]
    pub const fn objects(&self) -> u64 {
        self.objects.len() as u64
    }

    /// Writes the pack, reading each object when its turn comes.
    ///
    /// # Errors
    /// An object cannot be read, or the writer fails ([`Error::Unavailable`]).
    pub fn write_pack<W: Write>(&self, out: W) -> Result<W, Error> {
        let mut pack = PackWriter::new(out)?;
        let mut depths: HashMap<(Kind, ObjectId), u8> = HashMap::new();
        for planned in &self.objects {
            let encoded = self.encode(planned, &depths)?;
            depths.insert((planned.kind, planned.id), encoded.encoding.depth());
            pack.write(&encoded)?;
        }
        Ok(pack.finish()?)
    }

    /// The frame of an object: as it is kept where the caller can read that, else written anew.
    fn encode(
        &self,
        planned: &Planned,
        depths: &HashMap<(Kind, ObjectId), u8>,
    ) -> Result<Encoded, Error> {
        let Planned { kind, id, like } = *planned;
        let objects = &self.repo.reader;
        let bytes = objects.read(kind, &id)?;
        if let Some(stored) = self.repo.node.store().backend().get(kind, &id)? {
            let readable = match stored.encoding.base() {
                None => like.is_none(),
                Some(base) => depths
                    .get(&(kind, base))
                    .is_some_and(|depth| *depth < stored.encoding.depth()),
            };
            if readable {
                return Ok(Encoded {
                    kind,
                    id,
                    encoding: stored.encoding,
                    payload: stored.payload,
                });
            }
        }
        let object = Object::new(kind, bytes);
        Ok(match like {
            None => Encoded::new(&object),
            Some(like) => {
                let depth = depths.get(&(kind, like)).copied().unwrap_or(0);
                Encoded::against(
                    &object,
                    &Object::new(kind, objects.read(kind, &like)?),
                    depth,
                )
            }
        })
    }
}

impl Session {
    /// Finds what the caller lacks.
    ///
    /// # Errors
    /// As [`Session::resolve`], for each wanted revision.
    pub fn fetch(&self, namespace: &Namespace, request: &FetchRequest) -> Result<FetchPlan, Error> {
        for (what, given, limit) in [
            ("wanted revisions", request.want.len(), WANTS_MAX),
            ("commits to have", request.have.len(), HAVES_MAX),
        ] {
            if given > limit {
                return Err(Error::LimitExceeded {
                    what,
                    limit: limit as u64,
                    actual: given as u64,
                });
            }
        }
        let seen = self.look()?;
        let mut refs = Vec::new();
        let mut wanted = Vec::new();
        for want in &request.want {
            let at = seen.resolve(namespace, want)?;
            let tree = at.commit.map(|_| at.tree);
            if let Some(commit) = at.commit.filter(|commit| !wanted.contains(commit)) {
                wanted.push(commit);
            }
            refs.push(FetchedRef {
                want: want.clone(),
                commit: at.commit,
                tree,
            });
        }
        // What the caller names and may not read counts as not had: that only makes the pack larger.
        let mut have = Vec::new();
        for id in &request.have {
            if seen.readable_commit(namespace, id)?.is_some() {
                have.push(*id);
            }
        }
        let mut plan = Plan {
            seen: &seen,
            sent: HashSet::new(),
            objects: Vec::new(),
        };
        let commits = match request.depth {
            Some(0) => return Err(Error::invalid("depth of a fetch", "1 or more is allowed")),
            Some(depth) => seen.first_commits(&wanted, &have, depth)?,
            None => seen.missing_commits(&wanted, &have)?,
        };
        if request.all_trees {
            plan.every_tree(&commits, &have)?;
        } else {
            plan.wanted_trees(&wanted, &have)?;
            commits
                .iter()
                .for_each(|id| plan.add(Kind::Commit, *id, None));
        }
        let objects = plan.objects;
        Ok(FetchPlan {
            refs,
            index: seen.index(),
            repo: Arc::clone(&self.repo),
            objects,
        })
    }
}

impl Seen<'_> {
    /// What the wanted commits lead to and the caller's do not, parents first.
    fn missing_commits(
        &self,
        wanted: &[ObjectId],
        have: &[ObjectId],
    ) -> Result<Vec<ObjectId>, Error> {
        let mut walk = Walk {
            heap: BinaryHeap::new(),
            had: HashMap::new(),
            wanted: 0,
        };
        for id in have {
            walk.meet(self, *id, true)?;
        }
        for id in wanted {
            walk.meet(self, *id, false)?;
        }
        let mut missing = Vec::new();
        // A child's generation is larger than its parents', so all ways to a commit are seen before it.
        while walk.wanted > 0
            && let Some((_, id)) = walk.heap.pop()
        {
            let had = walk.had.get(&id).copied().unwrap_or(false);
            if !had {
                walk.wanted -= 1;
                missing.push(id);
            }
            for parent in &self.objects().commit(&id)?.parents {
                walk.meet(self, *parent, had)?;
            }
        }
        missing.reverse();
        Ok(missing)
    }

    /// The wanted commits and their first parents, at most `depth` from each, oldest first.
    fn first_commits(
        &self,
        wanted: &[ObjectId],
        have: &[ObjectId],
        depth: u64,
    ) -> Result<Vec<ObjectId>, Error> {
        let mut found: Vec<(u64, ObjectId)> = Vec::new();
        let mut visited: HashSet<ObjectId> = have.iter().copied().collect();
        for id in wanted {
            let mut next = Some(*id);
            let mut left = depth;
            while let Some(id) = next
                && left > 0
                && visited.insert(id)
            {
                let commit = self.objects().commit(&id)?;
                found.push((commit.generation, id));
                next = commit.parents.first().copied();
                left -= 1;
            }
        }
        found.sort();
        Ok(found.into_iter().map(|(_, id)| id).collect())
    }
}

/// A walk over commits from the youngest to the oldest.
struct Walk {
    heap: BinaryHeap<(u64, ObjectId)>,
    /// Commits met, and whether the caller has them.
    had: HashMap<ObjectId, bool>,
    /// Commits in the heap that the caller does not have.
    wanted: usize,
}

impl Walk {
    fn meet(&mut self, seen: &Seen<'_>, id: ObjectId, had: bool) -> Result<(), Error> {
        match self.had.insert(id, had) {
            None => {
                self.heap.push((seen.objects().commit(&id)?.generation, id));
                self.wanted += usize::from(!had);
            }
            Some(false) if had => self.wanted -= 1,
            Some(true) => {
                self.had.insert(id, true);
            }
            Some(false) => {}
        }
        Ok(())
    }
}

/// What is to be sent, in order.
struct Plan<'a> {
    seen: &'a Seen<'a>,
    sent: HashSet<(Kind, ObjectId)>,
    objects: Vec<Planned>,
}

impl Plan<'_> {
    fn add(&mut self, kind: Kind, id: ObjectId, like: Option<ObjectId>) {
        if self.sent.insert((kind, id)) {
            self.objects.push(Planned {
                kind,
                id,
                like: like.filter(|like| *like != id),
            });
        }
    }

    /// Trees and values of the wanted commits.
    fn wanted_trees(&mut self, wanted: &[ObjectId], have: &[ObjectId]) -> Result<(), Error> {
        let mut had = Vec::new();
        for id in have {
            let commit = self.seen.objects().commit(id)?;
            had.push((commit.generation, commit.tree));
        }
        had.sort();
        let mut trees: Vec<ObjectId> = had
            .into_iter()
            .rev()
            .map(|(_, tree)| tree)
            .take(HAVE_TREES_MAX)
            .collect();
        for id in wanted {
            let tree = self.seen.objects().commit(id)?.tree;
            self.tree(&tree, &trees)?;
            trees.insert(0, tree);
            trees.truncate(HAVE_TREES_MAX);
        }
        Ok(())
    }

    /// Commits with their trees and values, each as what it has beyond its first parent.
    fn every_tree(&mut self, commits: &[ObjectId], have: &[ObjectId]) -> Result<(), Error> {
        let mut known: HashSet<ObjectId> = have.iter().copied().collect();
        for id in commits {
            let commit = self.seen.objects().commit(id)?;
            let parent = commit
                .parents
                .first()
                .filter(|parent| known.contains(*parent));
            let before = match parent {
                Some(parent) => vec![self.seen.objects().commit(parent)?.tree],
                None => Vec::new(),
            };
            self.tree(&commit.tree, &before)?;
            self.add(Kind::Commit, *id, None);
            known.insert(*id);
        }
        Ok(())
    }

    /// A tree and its values, without what is in trees that the caller has; the first is the nearest.
    fn tree(&mut self, tree: &ObjectId, have: &[ObjectId]) -> Result<(), Error> {
        if have.contains(tree) || self.sent.contains(&(Kind::Page, *tree)) {
            return Ok(());
        }
        let objects = self.seen.objects();
        let nearest = have.first().copied().unwrap_or(self.seen.repo.empty_tree);
        let mut values: Vec<(Kind, ObjectId, Option<ObjectId>)> = Vec::new();
        tree::diff_each(objects, &nearest, tree, &mut |change| {
            let Some(new) = &change.new else {
                return ControlFlow::Continue(());
            };
            let old_blob = change.old.as_ref().and_then(blob);
            let old_meta = change.old.as_ref().and_then(|old: &Leaf| old.meta);
            values.extend(
                blob(new)
                    .filter(|id| Some(*id) != old_blob)
                    .map(|id| (Kind::Blob, id, old_blob)),
            );
            values.extend(
                new.meta
                    .filter(|id| Some(*id) != old_meta)
                    .map(|id| (Kind::Meta, id, old_meta)),
            );
            ControlFlow::Continue(())
        })?;
        for (kind, id, like) in values {
            self.add(kind, id, like);
        }
        for (id, like) in tree::pages_missing(objects, tree, have)? {
            self.add(Kind::Page, id, like);
        }
        Ok(())
    }
}
