//! Sending the files: a commit on top of their base, in a pack that needs nothing else.

use std::collections::BTreeMap;

use confman_api::sync::{PushEdit, PushWrite};
use confman_model::Key;
use confman_object_store::pack::pack_of;
use confman_object_store::tree::{self, Edited, Leaf, TreeKey};
use confman_object_store::{Commit, Encoded, Object, ObjectId};

use super::changes::Need;
use super::error::{FileProblem, WorkingCopyError};
use super::index::Index;
use super::journal::{Lock, Plan};
use super::known::Known;
use super::local::layout_key;
use super::remote;
use super::state::NamespaceState;
use super::{KeyState, PushOptions, PushedAll, PushedNamespace, WorkingCopy};
use crate::client::{Client, ClientError, chain};

/// A commit of one namespace's files.
pub(super) struct Committed {
    pub(super) namespace: NamespaceState,
    pub(super) id: ObjectId,
    pub(super) tree: ObjectId,
    pub(super) changes: Vec<(Key, KeyState)>,
    /// Everything the server may lack, children before parents.
    pub(super) objects: Vec<Object>,
    /// Values that are larger than servers take where nobody told them otherwise.
    pub(super) large: Vec<FileProblem>,
    /// What is to be remembered once it is the base, with the text that it is of.
    known: (Known, String),
}

impl WorkingCopy {
    /// Commits the files on top of their base and sends that to the draft.
    ///
    /// # Errors
    /// A conflict is left, the draft moved (pull first), or the server refuses.
    pub async fn push(
        &mut self,
        client: &Client,
        options: &PushOptions,
    ) -> Result<PushedAll, WorkingCopyError> {
        let lock = Lock::take(&self.root)?;
        self.check_namespaces(&options.namespaces)?;
        let mut commits = Vec::new();
        for namespace in &self.state.namespaces {
            if options.namespaces.is_empty() || options.namespaces.contains(&namespace.path) {
                commits.extend(self.commit_files(namespace, options)?);
            }
        }
        if commits.is_empty() {
            return Ok(PushedAll::default());
        }
        remote::same_cluster(client, &self.state.cluster).await?;
        let encoded: Vec<Encoded> = commits
            .iter()
            .flat_map(|commit| &commit.objects)
            .map(Encoded::new)
            .collect();
        let write = PushWrite {
            edits: commits.iter().map(|commit| self.edit(commit)).collect(),
            import: None,
            message: Some(options.message.clone()),
        };
        let pushed = match client
            .push(&self.state.root, &write, &pack_of(&encoded))
            .await
        {
            Err(ClientError::Problem(problem))
                if matches!(problem.code.as_str(), "stale" | "contended") =>
            {
                let namespace = commits.first().map_or_else(
                    || self.state.root.clone(),
                    |commit| commit.namespace.path.clone(),
                );
                return Err(WorkingCopyError::Moved {
                    namespace,
                    draft: self.state.draft.to_string(),
                });
            }
            // The server speaks of an object; whoever edits wants to know of which value.
            Err(ClientError::Problem(_))
                if commits.iter().any(|commit| !commit.large.is_empty()) =>
            {
                let problems = commits.into_iter().flat_map(|commit| commit.large);
                return Err(WorkingCopyError::Invalid {
                    problems: problems.collect(),
                });
            }
            other => other?,
        };
        // From here on the server has it. If this process ends now, a pull finds the draft with the
        // same contents as the files, and nothing is lost.
        self.mirror.store().backend().put(&encoded, 0)?;
        let mut state = self.state.clone();
        let mut namespaces = Vec::new();
        for commit in commits {
            for namespace in &mut state.namespaces {
                if namespace.path == commit.namespace.path {
                    namespace.line = if namespace.on_draft {
                        namespace.line
                    } else {
                        namespace.base
                    };
                    namespace.base = Some(commit.id);
                    namespace.on_draft = true;
                }
            }
            let (known, text) = commit.known;
            let directory = state.directory(&commit.namespace.path);
            known.save(&self.root, &directory, &text);
            namespaces.push(PushedNamespace {
                namespace: commit.namespace.path,
                draft: self.state.draft.clone(),
                commit: commit.id,
                tree: commit.tree,
                changes: commit.changes,
            });
        }
        Plan::new(&self.root, &lock)?.commit(&state)?;
        self.state = state;
        Ok(PushedAll {
            namespaces,
            pushed: Some(pushed),
        })
    }

    fn edit(&self, commit: &Committed) -> PushEdit {
        let expect = commit.namespace.base.filter(|_| commit.namespace.on_draft);
        PushEdit {
            namespace: commit.namespace.path.to_string(),
            ref_name: format!("draft/{}", self.state.draft),
            expect: expect.map(|id| id.to_string()),
            new: commit.id.to_string(),
        }
    }

    /// The commit that the files of a namespace make; `None` where nothing changed.
    pub(super) fn commit_files(
        &self,
        namespace: &NamespaceState,
        options: &PushOptions,
    ) -> Result<Option<Committed>, WorkingCopyError> {
        let mut index = Index::load(&self.root);
        let files = self.file_changes(namespace, &mut index, Need::Entries)?;
        index.save(&self.root);
        let snapshot = files.snapshot;
        if !snapshot.conflicts.is_empty() {
            let keys = snapshot.conflicts;
            return Err(WorkingCopyError::Conflicts {
                namespace: namespace.path.clone(),
                keys,
            });
        }
        let changes: Vec<(Key, KeyState)> = files.keys.into_iter().collect();
        if changes.is_empty() {
            return Ok(None);
        }
        let mut objects = Vec::new();
        let mut large = Vec::new();
        let mut edits: BTreeMap<TreeKey, Option<Leaf>> = BTreeMap::new();
        for (key, _) in &changes {
            let name = layout_key(key)?;
            let leaf = snapshot.leaves.get(&name).cloned();
            edits.insert(name, leaf);
            objects.extend(snapshot.objects(key)?);
            large.extend(snapshot.too_large(key)?);
        }
        let before = namespace
            .base
            .map(|base| self.mirror.objects().commit(&base))
            .transpose()?;
        let Edited { root, pages } = match &before {
            Some(before) => tree::edit(self.mirror.objects(), &before.tree, &edits)?,
            None => tree::build(&snapshot.leaves),
        };
        objects.extend(pages.into_iter().map(|(page, _)| page));
        let mut change_id = [0; 16];
        getrandom::fill(&mut change_id).map_err(|error| {
            WorkingCopyError::Request(format!("the system gives no random numbers: {error}"))
        })?;
        let commit = Commit {
            tree: root,
            parents: namespace.base.into_iter().collect(),
            generation: before.map_or(0, |before| before.generation) + 1,
            namespace: namespace.path.to_string(),
            author: options.author.clone(),
            author_time: options.at,
            committer: options.author.clone(),
            commit_time: options.at,
            change_id,
            message: options.message.clone(),
            origin: None,
            request: None,
            policy: None,
            schemas: Vec::new(),
            source: None,
            unknown: Vec::new(),
        };
        let object = commit
            .to_object()
            .map_err(|error| WorkingCopyError::Request(chain(&error)))?;
        let id = object.id();
        objects.push(object);
        Ok(Some(Committed {
            namespace: namespace.clone(),
            id,
            tree: root,
            changes,
            objects,
            large,
            known: (
                Known {
                    tree: Some(root),
                    ..files.known
                },
                snapshot.file.text,
            ),
        }))
    }
}
