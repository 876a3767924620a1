//! Namespaces and their documents.

use std::collections::HashSet;

use confman_model::document::{ANYONE, DocumentError};
use confman_model::identity::GROUP_PREFIX;
use confman_model::{GroupName, Member, Namespace, NamespaceDocument, PrincipalName};
use confman_object_store::{ObjectId, tree};
use confman_policy::{Permission, decide};
use confman_refs::Committed;

use crate::draft::ExpectedHead;
use crate::entry::Stamp;
use crate::error::{Error, Problem, What};
use crate::evaluation::{Digest, Evaluation, Intent, Outcome};
use crate::names;
use crate::seen::Seen;
use crate::session::Session;

/// A namespace.
#[derive(Clone, Debug)]
pub struct NamespaceInfo {
    /// Its document.
    pub document: NamespaceDocument,
    /// The commit that has the document.
    pub policy: ObjectId,
    /// Published head; `None` where nothing is published.
    pub published: Option<ObjectId>,
    /// Published keys.
    pub keys: u64,
}

/// A page of namespaces.
#[derive(Clone, Debug)]
pub struct Namespaces {
    /// In the order of their paths, those that the actor may read.
    pub namespaces: Vec<NamespaceInfo>,
    /// Where the next page begins after; `None` on the last.
    pub next: Option<Namespace>,
    /// Whether some were left out because the actor may not read them.
    pub filtered: bool,
    /// Log index that was read at.
    pub index: u64,
}

/// How a document changes.
#[derive(Clone, Debug)]
pub enum DocumentChange {
    /// It becomes this one. The metadata is the store's, whatever is in it here.
    Replace(Box<NamespaceDocument>),
    /// A merge patch (RFC 7396) is laid over it.
    Merge(serde_json::Value),
}

/// A namespace whose document was changed.
#[derive(Clone, Debug)]
pub struct UpdatedNamespace {
    /// The namespace as it is now.
    pub info: NamespaceInfo,
    /// The operation.
    pub committed: Committed,
    /// What is allowed but worth knowing.
    pub warnings: Vec<String>,
}

/// A version of a namespace's document.
#[derive(Clone, Debug)]
pub struct DocumentVersion {
    /// From 1.
    pub version: u64,
    /// The commit that has it.
    pub commit: ObjectId,
    /// When and by whom it was made.
    pub stamp: Stamp,
    /// What was changed.
    pub message: String,
    /// The document.
    pub document: NamespaceDocument,
}

/// A page of versions of a document.
#[derive(Clone, Debug)]
pub struct DocumentHistory {
    /// Newest first.
    pub versions: Vec<DocumentVersion>,
    /// Where the next page begins after; `None` on the last.
    pub next: Option<u64>,
    /// Log index that was read at.
    pub index: u64,
}

impl Session {
    /// Makes a namespace. Its parent must exist and the actor be its admin.
    ///
    /// # Errors
    /// [`Error::Exists`], [`Error::NotFound`] for the parent, [`Error::Denied`], [`Error::Invalid`].
    pub fn create_namespace(
        &self,
        document: NamespaceDocument,
    ) -> Result<(NamespaceInfo, Committed), Error> {
        let namespace = document.path.clone();
        let policy = names::policy(&namespace)?;
        let intent = Intent {
            action: "namespace.create",
            // Every namespace that comes to be moves it.
            about: names::namespaces()?,
            digest: Digest::new("namespace.create")
                .with(document.to_text())
                .finish(),
            detail: serde_json::json!({ "namespace": namespace }),
            session: self,
        };
        let (outcome, committed) = intent.carry_out(|evaluation| {
            let parent = namespace.parent().ok_or_else(|| exists(&namespace))?;
            // Whoever may not know of the parent is told that it is not there.
            evaluation.permit(&parent, Permission::NamespaceWrite)?;
            if evaluation.get(&policy).is_some() {
                return Err(exists(&namespace));
            }
            evaluation.check_count(1)?;
            evaluation.sweep(&namespace);
            let mut document = document.clone();
            let now = crate::time::rfc3339(evaluation.now_ms);
            document.metadata.created.clone_from(&now);
            document.metadata.updated = now;
            document.metadata.created_by = evaluation.actor.principal().to_owned();
            document
                .metadata
                .updated_by
                .clone_from(&document.metadata.created_by);
            document
                .validate()
                .map_err(|error| document_invalid(&namespace, &error))?;
            let commit = evaluation.set_document(&document, &format!("create {namespace}"))?;
            Ok(Outcome {
                commit: Some(commit.id),
                ..Outcome::default()
            })
        })?;
        let policy = outcome
            .commit
            .ok_or_else(|| Error::bug("a namespace was made without a commit"))?;
        let document = (*self.repo.document(&policy)?).clone();
        Ok((
            NamespaceInfo {
                document,
                policy,
                published: None,
                keys: 0,
            },
            committed,
        ))
    }

    /// Changes the document of a namespace. Roles (and whether it inherits any) take
    /// [`Permission::RolesManage`] too, the schema (and whether it inherits any) [`Permission::SchemaWrite`].
    /// Where what is published here or below breaks the rules that would hold then, it takes effect only by
    /// force.
    ///
    /// # Errors
    /// [`Error::Invalid`] with everything that is wrong, [`Error::Schema`] with what is published and breaks
    /// the rules, [`Error::Stale`] where the document is not the expected one, [`Error::Unchanged`],
    /// [`Error::Denied`].
    pub fn update_namespace(
        &self,
        namespace: &Namespace,
        change: &DocumentChange,
        expected: ExpectedHead,
        force: bool,
    ) -> Result<UpdatedNamespace, Error> {
        let digest = Digest::new("namespace.update")
            .with(namespace.as_str())
            .with(expected.part())
            .with([u8::from(force)]);
        let digest = match change {
            DocumentChange::Replace(document) => digest.with("put").with(document.to_text()),
            DocumentChange::Merge(patch) => digest.with("patch").with(patch.to_string()),
        };
        let intent = Intent {
            action: "namespace.update",
            about: names::policy(namespace)?,
            digest: digest.finish(),
            detail: serde_json::json!({ "namespace": namespace }),
            session: self,
        };
        let mut warnings = Vec::new();
        let (outcome, committed) = intent.carry_out(|evaluation| {
            warnings.clear();
            let (commit, warned) = evaluation.update(namespace, change, expected, force)?;
            warnings = warned;
            Ok(Outcome {
                commit: Some(commit),
                ..Outcome::default()
            })
        })?;
        let policy = outcome
            .commit
            .ok_or_else(|| Error::bug("a namespace was changed without a commit"))?;
        let seen = self.look()?;
        let mut info = seen.namespace(namespace)?;
        info.document = (*self.repo.document(&policy)?).clone();
        info.policy = policy;
        Ok(UpdatedNamespace {
            info,
            committed,
            warnings,
        })
    }

    /// The versions of a namespace's document, newest first.
    ///
    /// # Errors
    /// [`Error::NotFound`].
    pub fn document_history(
        &self,
        namespace: &Namespace,
        before: Option<u64>,
        limit: usize,
    ) -> Result<DocumentHistory, Error> {
        let seen = self.look()?;
        seen.permit(namespace, Permission::NamespaceRead)?;
        let policy = seen.document_id(namespace)?;
        let line = seen.document_line(namespace)?;
        let newest = line
            .position_of(&policy)?
            .ok_or_else(|| Error::bug(format!("the document of `{namespace}` has no row")))?;
        let mut history = DocumentHistory {
            versions: Vec::new(),
            next: None,
            index: seen.index(),
        };
        let from = before.map_or(newest, |before| before.saturating_sub(1).min(newest));
        for version in (1..=from).rev() {
            if history.versions.len() == limit {
                history.next = Some(version + 1);
                break;
            }
            let place = line.must(version)?;
            let commit = seen.found(place.commit)?.commit;
            history.versions.push(DocumentVersion {
                version,
                commit: place.commit,
                stamp: crate::seen::committed(&commit),
                message: commit.message.clone(),
                document: (*self.repo.document(&place.commit)?).clone(),
            });
        }
        Ok(history)
    }

    /// A namespace.
    ///
    /// # Errors
    /// [`Error::NotFound`].
    pub fn namespace(&self, namespace: &Namespace) -> Result<NamespaceInfo, Error> {
        let seen = self.look()?;
        seen.permit(namespace, Permission::NamespaceRead)?;
        seen.namespace(namespace)
    }

    /// Namespaces at and below `prefix`, in the order of their paths.
    ///
    /// # Errors
    /// The store cannot be read.
    pub fn namespaces(
        &self,
        prefix: &Namespace,
        after: Option<&Namespace>,
        limit: usize,
    ) -> Result<Namespaces, Error> {
        let seen = self.look()?;
        let mut page = Namespaces {
            namespaces: Vec::new(),
            next: None,
            filtered: false,
            index: seen.index(),
        };
        // `/a`, `/a.b` and `/a/b` have other refs between them, so the order of paths is made here.
        let mut paths: Vec<Namespace> = seen
            .view
            .scan(prefix.as_str())
            .filter_map(|(name, _)| names::policy_of(name.as_str()))
            .filter(|namespace| prefix.contains(namespace))
            .filter(|namespace| after.is_none_or(|after| namespace > after))
            .collect();
        paths.sort();
        for namespace in paths {
            if !seen.may(&namespace, Permission::NamespaceRead)? {
                page.filtered = true;
                continue;
            }
            if page.namespaces.len() == limit {
                page.next = page
                    .namespaces
                    .last()
                    .map(|last| last.document.path.clone());
                break;
            }
            page.namespaces.push(seen.namespace(&namespace)?);
        }
        Ok(page)
    }
}

fn exists(namespace: &Namespace) -> Error {
    Error::Exists {
        what: What::Namespace,
        name: namespace.to_string(),
    }
}

impl Evaluation<'_> {
    /// Stages the changed document and gives its commit, and what is worth knowing.
    fn update(
        &mut self,
        namespace: &Namespace,
        change: &DocumentChange,
        expected: ExpectedHead,
        force: bool,
    ) -> Result<(ObjectId, Vec<String>), Error> {
        self.permit(namespace, Permission::NamespaceWrite)?;
        let name = names::policy(namespace)?;
        let policy = self.get(&name).map(|target| target.id);
        expected.check(What::Namespace, namespace, policy)?;
        let old = self
            .document(namespace)?
            .ok_or_else(|| Error::not_found(What::Namespace, namespace))?;
        let mut new = match change {
            DocumentChange::Replace(document) => (**document).clone(),
            DocumentChange::Merge(patch) => old
                .merged(patch)
                .map_err(|error| document_invalid(namespace, &error))?,
        };
        if new.path != *namespace {
            let detail = format!("its `path` is `{}`; a namespace cannot move", new.path);
            return Err(Error::invalid(format!("document of `{namespace}`"), detail));
        }
        let changed = old.differences(&new);
        if changed.is_empty() {
            return Err(Error::Unchanged {
                namespace: namespace.clone(),
                reason: "the document says this already".to_owned(),
            });
        }
        let names_others = new.roles != old.roles
            || new.settings.secret_resolvers != old.settings.secret_resolvers;
        if names_others || new.inherit != old.inherit {
            self.permit(namespace, Permission::RolesManage)?;
        }
        if new.schema != old.schema || new.inherit != old.inherit {
            self.permit(namespace, Permission::SchemaWrite)?;
        }
        new.metadata.clone_from(&old.metadata);
        new.metadata.updated = crate::time::rfc3339(self.now_ms);
        new.metadata.updated_by = self.actor.principal().to_owned();
        new.validate()
            .map_err(|error| document_invalid(namespace, &error))?;
        let mut warnings = self.warnings_of(&old, &new)?;
        self.note("changed", changed.clone());
        let message = format!("update {namespace}: {}", changed.join(", "));
        let commit = self.set_document(&new, &message)?;
        let broken = self.broken_by_document(&old, &new)?;
        if !broken.is_empty() && !force {
            let what = format!("what is published, if the document of `{namespace}` changes,");
            return Err(broken.refusal(what));
        }
        if !broken.is_empty() {
            self.note("broken", broken.len());
        }
        warnings.extend(broken.visible.iter().map(ToString::to_string));
        Ok((commit.id, warnings))
    }

    /// What is worth knowing of a change of grants.
    ///
    /// # Errors
    /// The document of `/` would name no admin who exists.
    fn warnings_of(
        &self,
        old: &NamespaceDocument,
        new: &NamespaceDocument,
    ) -> Result<Vec<String>, Error> {
        let mut warnings = Vec::new();
        let namespace = &new.path;
        if namespace.parent().is_none() {
            self.check_root_admins(&new.roles.admin, &Vanishing::Nobody)?;
        }
        for (role, before, after) in [
            ("admin", &old.roles.admin, &new.roles.admin),
            ("publisher", &old.roles.publisher, &new.roles.publisher),
            ("editor", &old.roles.editor, &new.roles.editor),
            ("viewer", &old.roles.viewer, &new.roles.viewer),
        ] {
            for holder in after.iter().filter(|holder| !before.contains(holder)) {
                if !self.is_known(holder)? {
                    warnings.push(format!(
                        "`{holder}` is {role} now, though nobody of that name exists"
                    ));
                }
            }
        }
        let named = |document: &NamespaceDocument| {
            let holders = document.settings.secret_resolvers.clone();
            holders.unwrap_or_default()
        };
        let before = named(old);
        for holder in named(new).iter().filter(|it| !before.contains(it)) {
            if !self.is_known(holder)? {
                warnings.push(format!(
                    "secrets are resolved for `{holder}` now, though nobody of that name exists"
                ));
            }
        }
        let mut grants = self.grants(namespace, None)?;
        if let Some(own) = grants.chain.first_mut() {
            own.roles = new.roles.clone();
        }
        match (namespace.parent(), new.inherit) {
            (Some(_), false) => grants.chain.truncate(1),
            (Some(parent), true) if !old.inherit => {
                grants.chain.truncate(1);
                grants.chain.extend(self.grants(&parent, None)?.chain);
            }
            (None, _) => grants.root = new.roles.clone(),
            _ => {}
        }
        if !decide(&grants, &self.subject, Permission::NamespaceWrite).allowed {
            warnings.push(format!("you are no admin of `{namespace}` any more"));
        }
        Ok(warnings)
    }

    /// Whether a holder of a role is somebody: anyone, a principal, or a group.
    fn is_known(&self, holder: &str) -> Result<bool, Error> {
        if holder == ANYONE {
            return Ok(true);
        }
        if let Some(group) = holder.strip_prefix(GROUP_PREFIX) {
            let name = names::group(group);
            return Ok(name.is_ok_and(|name| self.get(&name).is_some()));
        }
        // What no principal can be called is not known; asking for its ref would be an error.
        Ok(names::principal(holder).is_ok() && self.subject_of(holder)?.is_some())
    }
}

/// Who is about to be gone.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Vanishing<'a> {
    Nobody,
    /// A principal that is disabled.
    Principal(&'a PrincipalName),
    /// A group that will have these members and no others.
    Group(&'a GroupName, &'a [Member]),
}

impl Evaluation<'_> {
    /// Refuses what would leave `/` without an admin who exists, as its document stands.
    pub(crate) fn check_root_keeps_admin(&self, vanishing: &Vanishing<'_>) -> Result<(), Error> {
        let root = self.document(&Namespace::root())?;
        let root = root.ok_or_else(|| Error::bug("there is no `/`"))?;
        self.check_root_admins(&root.roles.admin, vanishing)
    }

    fn check_root_admins(&self, admins: &[String], vanishing: &Vanishing<'_>) -> Result<(), Error> {
        for holder in admins {
            if self.is_somebody(holder, vanishing)? {
                return Ok(());
            }
        }
        Err(Error::invalid(
            "document of `/`",
            "`roles.admin` must name somebody who exists, so that nothing is left without an admin",
        ))
    }

    /// Whether somebody who exists holds a role through this holder: a principal that is not disabled, or a
    /// group with such a member. Who an issuer puts into a group comes and goes, so it does not count.
    fn is_somebody(&self, holder: &str, vanishing: &Vanishing<'_>) -> Result<bool, Error> {
        let mut waiting = vec![holder.to_owned()];
        let mut visited = HashSet::new();
        while let Some(holder) = waiting.pop() {
            if !visited.insert(holder.clone()) {
                continue;
            }
            let Some(group) = holder.strip_prefix(GROUP_PREFIX) else {
                let goes =
                    matches!(vanishing, Vanishing::Principal(name) if name.as_str() == holder);
                // What no principal can be called is not known; asking for its ref would be an error.
                if !goes && names::principal(&holder).is_ok() && self.subject_of(&holder)?.is_some()
                {
                    return Ok(true);
                }
                continue;
            };
            let Ok(name) = group.parse::<GroupName>() else {
                continue;
            };
            match vanishing {
                Vanishing::Group(changed, members) if **changed == name => {
                    waiting.extend(members.iter().map(ToString::to_string));
                }
                _ => {
                    if let Some(group) = self.group(&name)? {
                        waiting.extend(group.document.members.iter().map(ToString::to_string));
                    }
                }
            }
        }
        Ok(false)
    }
}

/// Reads the text of a namespace's document.
///
/// # Errors
/// [`Error::Invalid`] with everything that is wrong.
pub fn read_document(namespace: &Namespace, text: &str) -> Result<NamespaceDocument, Error> {
    NamespaceDocument::from_text(text).map_err(|error| document_invalid(namespace, &error))
}

fn document_invalid(namespace: &Namespace, error: &DocumentError) -> Error {
    Error::Invalid {
        what: format!("document of `{namespace}`"),
        problems: error
            .problems
            .iter()
            .map(|problem| Problem::of_model(None, problem))
            .collect(),
    }
}

impl Seen<'_> {
    /// The commit of a namespace's document; of one that was deleted, the last.
    fn document_id(&self, namespace: &Namespace) -> Result<ObjectId, Error> {
        if let Some(target) = self.get(&names::policy(namespace)?) {
            return Ok(target.id);
        }
        match self.newest_deletion(namespace)? {
            Some(deleted) => Ok(deleted.policy),
            None => Err(Error::not_found(What::Namespace, namespace)),
        }
    }

    fn namespace(&self, namespace: &Namespace) -> Result<NamespaceInfo, Error> {
        let policy = self
            .get(&names::policy(namespace)?)
            .ok_or_else(|| Error::not_found(What::Namespace, namespace))?;
        let document = (*self.repo.document(&policy.id)?).clone();
        let published = self.head(&names::published(namespace)?)?;
        let keys = match &published {
            Some(head) => tree::count(self.objects(), &head.commit.tree)?,
            None => 0,
        };
        Ok(NamespaceInfo {
            document,
            policy: policy.id,
            published: published.map(|head| head.id),
            keys,
        })
    }
}
