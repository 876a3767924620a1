//! Taking in what is new: fetched, merged key by key and JSON path by JSON path, written as one.

use std::collections::BTreeMap;
use std::path::PathBuf;

use confman_model::document::NamespaceDocument;
use confman_model::{Key, MergeOutcome, Namespace, ValueLimits, merge};
use confman_object_store::ObjectId;
use confman_object_store::tree::{Leaf, TreeKey};

use super::cloning::{document_copy, without_entries};
use super::entries::EntriesFile;
use super::error::WorkingCopyError;
use super::index::Index;
use super::inherited::Inherited;
use super::journal::{Lock, Plan};
use super::local::{Leaves, known_key};
use super::place::{DOCUMENT_FILE, ENTRIES_FILE, inside};
use super::remote::{self, Heads, Wanted};
use super::rewrite::{Update, received_entry, rewrite};
use super::snapshot::Snapshot;
use super::state::NamespaceState;
use super::{Pulled, PulledNamespace, Report, WorkingCopy};
use crate::client::Client;

/// What a pull will do to one namespace.
struct Prepared {
    directory: PathBuf,
    file: EntriesFile,
    updates: BTreeMap<Key, Update>,
    document: NamespaceDocument,
    after: NamespaceState,
    pulled: PulledNamespace,
}

impl WorkingCopy {
    /// Fetches what is new and merges it into the files, key by key and JSON path by JSON path.
    ///
    /// # Errors
    /// The server refuses, what it sends is not right, or the files are not valid; nothing is changed then.
    pub async fn pull(
        &mut self,
        client: &Client,
        report: Report<'_>,
    ) -> Result<Pulled, WorkingCopyError> {
        let lock = Lock::take(&self.root)?;
        remote::same_cluster(client, &self.state.cluster).await?;
        let mut before = self.state.namespaces.clone();
        for path in remote::namespaces(client, &self.state.root, self.state.recursive).await? {
            if self.state.namespace(&path).is_err() {
                before.push(NamespaceState {
                    path,
                    base: None,
                    on_draft: false,
                    line: None,
                    published: None,
                });
            }
        }
        before.sort_by(|left, right| left.path.cmp(&right.path));
        let mut prepared = Vec::new();
        for namespace in &before {
            prepared.push(self.prepare(client, namespace, report).await?);
        }
        let documents: Vec<_> = prepared.iter().map(|one| one.document.clone()).collect();
        let before = Inherited::load(&self.root)?;
        let root = &self.state.root;
        let inherited =
            Inherited::fetch(client, &self.mirror, root, &documents, before.as_ref()).await?;
        let mut plan = Plan::new(&self.root, &lock)?;
        match inherited {
            Some(inherited) if before.as_ref() != Some(&inherited) => {
                plan.put(Inherited::path(), inherited.to_text().as_bytes())?;
            }
            Some(_) => {}
            None => plan.remove(Inherited::path())?,
        }
        let mut state = self.state.clone();
        state.namespaces.clear();
        let mut pulled = Pulled {
            namespaces: Vec::new(),
        };
        for one in prepared {
            let is_new = !inside(&self.root, &one.directory.join(ENTRIES_FILE))?.exists();
            if is_new || !one.updates.is_empty() {
                rewrite(
                    &self.root,
                    &one.directory,
                    &one.file,
                    &one.updates,
                    &mut plan,
                )?;
            }
            self.put_document(&one, &mut plan)?;
            state.namespaces.push(one.after);
            pulled.namespaces.push(one.pulled);
        }
        plan.commit(&state)?;
        self.state = state;
        Ok(pulled)
    }

    /// Shows the document again, unless it is as it was.
    fn put_document(&self, one: &Prepared, plan: &mut Plan<'_>) -> Result<(), WorkingCopyError> {
        let copy = document_copy(&one.directory);
        let document = one.document.to_text();
        for path in [one.directory.join(DOCUMENT_FILE), copy] {
            let same = std::fs::read(inside(&self.root, &path)?)
                .is_ok_and(|text| text == document.as_bytes());
            if !same {
                plan.put(path, document.as_bytes())?;
            }
        }
        Ok(())
    }

    async fn prepare(
        &self,
        client: &Client,
        namespace: &NamespaceState,
        report: Report<'_>,
    ) -> Result<Prepared, WorkingCopyError> {
        let directory = self.state.directory(&namespace.path);
        let snapshot = if inside(&self.root, &directory.join(ENTRIES_FILE))?.exists() {
            Some(Snapshot::read(
                &self.root,
                &directory,
                &mut Index::load(&self.root),
            )?)
        } else {
            None
        };
        if let Some(snapshot) = snapshot
            .as_ref()
            .filter(|snapshot| !snapshot.conflicts.is_empty())
        {
            let keys = snapshot.conflicts.clone();
            return Err(WorkingCopyError::Conflicts {
                namespace: namespace.path.clone(),
                keys,
            });
        }
        let mut have: Vec<ObjectId> = namespace
            .base
            .into_iter()
            .chain(namespace.published)
            .chain(namespace.line)
            .collect();
        have.sort();
        have.dedup();
        let wanted = Wanted {
            namespace: &namespace.path,
            draft: &self.state.draft,
            have,
            full_history: self.state.full_history,
        };
        let document = client.namespace(&namespace.path).await?;
        let heads = remote::fetch(client, &self.mirror, &wanted, report).await?;
        let (updates, after, draft_gone) = self.merged(namespace, snapshot.as_ref(), heads)?;
        let keys_where = |conflict: bool| -> Vec<Key> {
            let is_conflict = |update: &Update| matches!(update, Update::Conflict { .. });
            updates
                .iter()
                .filter(|(_, update)| is_conflict(update) == conflict)
                .map(|(key, _)| key.clone())
                .collect()
        };
        let pulled = PulledNamespace {
            placed: self.state.placed(&after),
            previous: namespace.base,
            updated: keys_where(false),
            conflicts: keys_where(true),
            draft_gone,
        };
        let file = match snapshot {
            Some(snapshot) => snapshot.file,
            None => without_entries(&directory),
        };
        Ok(Prepared {
            directory,
            file,
            updates,
            document,
            after,
            pulled,
        })
    }

    /// What the new heads mean for the files of a namespace.
    pub(super) fn merged(
        &self,
        namespace: &NamespaceState,
        snapshot: Option<&Snapshot>,
        heads: Heads,
    ) -> Result<(BTreeMap<Key, Update>, NamespaceState, bool), WorkingCopyError> {
        let upstream = heads.draft.or(heads.published);
        let draft_gone = namespace.on_draft && heads.draft.is_none();
        // Where the base leads to what is there now, only what came since is new. Where it does not
        // (the draft was published, deleted, or made anew), what the files have against the published
        // commit that the draft began from stays theirs.
        let follows = match (namespace.base, upstream) {
            (Some(base), Some(upstream)) => self.mirror.is_on_line(&base, &upstream)?,
            (None, _) => true,
            (Some(_), None) => false,
        };
        let since = if follows {
            namespace.base
        } else {
            namespace.line
        };
        let empty = Leaves::new();
        let ours = snapshot.map_or(&empty, |snapshot| &snapshot.leaves);
        let (base, theirs) = (self.leaves_of(since)?, self.leaves_of(upstream)?);
        let mut updates = BTreeMap::new();
        for name in changed_keys(&base, &theirs) {
            let (was, our, their) = (base.get(name), ours.get(name), theirs.get(name));
            if our == their {
                continue;
            }
            let key = known_key(name)?;
            let update = if our == was {
                match their {
                    Some(leaf) => {
                        Update::Entry(received_entry(self.mirror.objects(), name, leaf)?.1)
                    }
                    None => Update::Remove,
                }
            } else {
                self.merge_key(name, &key, was, their, snapshot)?
            };
            updates.insert(key, update);
        }
        let line = match (heads.draft, heads.published) {
            (Some(draft), Some(published)) => self.mirror.common_line(&draft, &published)?,
            (Some(_), None) => None,
            (None, published) => published,
        };
        let after = NamespaceState {
            path: namespace.path.clone(),
            base: upstream,
            on_draft: heads.draft.is_some(),
            line,
            published: heads.published,
        };
        Ok((updates, after, draft_gone))
    }

    /// Merges a key that both sides changed.
    fn merge_key(
        &self,
        name: &TreeKey,
        key: &Key,
        base: Option<&Leaf>,
        theirs: Option<&Leaf>,
        snapshot: Option<&Snapshot>,
    ) -> Result<Update, WorkingCopyError> {
        let received =
            |leaf: &Leaf| received_entry(self.mirror.objects(), name, leaf).map(|(_, entry)| entry);
        let base = base.map(received).transpose()?;
        let theirs = theirs.map(received).transpose()?;
        let ours = match snapshot {
            Some(snapshot) => snapshot.entry(key)?,
            None => None,
        };
        let limits = ValueLimits {
            value_bytes_max: confman_model::value::VALUE_BYTES_CEILING,
            ..ValueLimits::default()
        };
        Ok(
            match merge(base.as_ref(), ours.as_ref(), theirs.as_ref(), &limits) {
                MergeOutcome::Merged(Some(entry)) => Update::Entry(entry),
                MergeOutcome::Merged(None) => Update::Remove,
                MergeOutcome::Conflict(_) => Update::Conflict { base, theirs },
            },
        )
    }

    /// Whether the namespace is one of this working copy.
    pub(super) fn check_namespaces(
        &self,
        namespaces: &[Namespace],
    ) -> Result<(), WorkingCopyError> {
        namespaces
            .iter()
            .try_for_each(|namespace| self.state.namespace(namespace).map(|_| ()))
    }
}

/// Keys that two trees do not agree on, in order.
fn changed_keys<'l>(old: &'l Leaves, new: &'l Leaves) -> Vec<&'l TreeKey> {
    let mut keys: Vec<&TreeKey> = old
        .iter()
        .filter(|(key, leaf)| new.get(*key) != Some(leaf))
        .map(|(key, _)| key)
        .collect();
    keys.extend(new.keys().filter(|key| !old.contains_key(*key)));
    keys.sort();
    keys
}
