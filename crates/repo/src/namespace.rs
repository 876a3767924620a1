//! Namespaces and their documents.

use confman_model::namespace::NAMESPACES_MAX;
use confman_model::{Namespace, NamespaceDocument};
use confman_object_store::{ObjectId, tree};
use confman_policy::Permission;
use confman_refs::Committed;

use crate::error::{Error, Problem, What};
use crate::evaluation::{Digest, Intent, Outcome};
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
        let about = names::policy(&namespace)?;
        let intent = Intent {
            action: "namespace.create",
            about: about.clone(),
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
            if evaluation.get(&about).is_some() {
                return Err(exists(&namespace));
            }
            // Counting them takes a walk over all refs, so it is done where there can be too many at all.
            let existing = match evaluation.view.len() < NAMESPACES_MAX {
                true => 0,
                false => evaluation
                    .view
                    .scan("/")
                    .filter(|(name, _)| names::policy_of(name.as_str()).is_some())
                    .count(),
            };
            if existing >= NAMESPACES_MAX {
                let (limit, actual) = (NAMESPACES_MAX as u64, existing as u64 + 1);
                return Err(Error::LimitExceeded {
                    what: "namespaces",
                    limit,
                    actual,
                });
            }
            let mut document = document.clone();
            let now = crate::time::rfc3339(evaluation.now_ms);
            document.metadata.created.clone_from(&now);
            document.metadata.updated = now;
            document.metadata.created_by = evaluation.actor.principal().to_owned();
            document
                .metadata
                .updated_by
                .clone_from(&document.metadata.created_by);
            document.validate().map_err(|error| Error::Invalid {
                what: format!("document of `{namespace}`"),
                problems: error
                    .problems
                    .iter()
                    .map(|problem| Problem::of_model(None, problem))
                    .collect(),
            })?;
            let commit =
                evaluation.put_document(&document, None, &format!("create {namespace}"))?;
            evaluation.set_commit(about.clone(), commit.id);
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

impl Seen<'_> {
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
