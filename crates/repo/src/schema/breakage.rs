//! What is published and breaks rules that are about to change.
//!
//! INVARIANT: what is attached, inherited and enforced anywhere moves [`names::namespaces`], which is read
//! here; so the documents of namespaces that no rule reaches need not be remembered one by one.

use std::collections::BTreeSet;
use std::sync::Arc;

use confman_model::document::SchemaEnforcement;
use confman_model::{Namespace, NamespaceDocument, SchemaPath};
use confman_policy::schema::{Place, SchemaDocument};
use confman_policy::{Permission, Violation};

use super::{Schemas, invalid};
use crate::chain::ChainLink;
use crate::error::Error;
use crate::names;
use crate::seen::Seen;
use crate::validation::effective_settings;

/// The rules of a namespace: what is attached along a chain, and the schemas as they are or would be.
#[derive(Clone, Copy)]
struct Rules<'r> {
    links: &'r [ChainLink],
    schemas: &'r Schemas<'r>,
}

/// Rules that are broken by what is published, as one actor may know of them.
#[derive(Clone, Debug, Default)]
pub(crate) struct Broken {
    /// Those in namespaces that the actor may read.
    pub visible: Vec<Violation>,
    /// How many there are in others.
    pub hidden: usize,
}

impl Broken {
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    pub fn len(&self) -> usize {
        self.visible.len() + self.hidden
    }

    /// The refusal of a change that would break these.
    pub fn refusal(self, what: String) -> Error {
        Error::Schema {
            what,
            violations: self.visible,
            hidden: self.hidden,
        }
    }
}

impl Seen<'_> {
    /// The rules that what is published breaks once a schema is another one, and does not break now.
    ///
    /// # Errors
    /// [`Error::Invalid`] where the schema does not compile.
    pub(crate) fn broken_by_schema(
        &self,
        path: &SchemaPath,
        document: &Arc<SchemaDocument>,
    ) -> Result<Broken, Error> {
        let old = Schemas::new(self);
        let new = Schemas::with(self, path, Arc::clone(document));
        if let Err(error) = new.compiled(path)? {
            return Err(invalid(path, &error));
        }
        let roots = self.attaching(&|reference| {
            if reference == path {
                return Ok(true);
            }
            Ok(match old.compiled(reference)? {
                Ok(compiled) => compiled.dependencies().contains(path),
                // It may be this very document that it lacks.
                Err(_) => true,
            })
        })?;
        let mut reached: BTreeSet<Namespace> = roots.clone();
        for root in &roots {
            reached.extend(self.descendants(root));
        }
        let mut broken = Vec::new();
        for namespace in reached {
            let links = self.links(&namespace, None)?;
            let rules = |schemas| Rules {
                links: &links,
                schemas,
            };
            let touched = |link: &ChainLink| roots.contains(&link.namespace);
            if links.iter().any(touched) {
                let before = self.broken_rules(&namespace, rules(&old), &touched)?;
                let after = self.broken_rules(&namespace, rules(&new), &touched)?;
                broken.extend(newly_broken(before, after));
            }
        }
        self.as_visible(broken)
    }

    /// The rules that what is published breaks once a namespace has another document, and does not break
    /// now: in the namespace and in all that inherit from it.
    pub(crate) fn broken_by_document(
        &self,
        old: &NamespaceDocument,
        new: &NamespaceDocument,
    ) -> Result<Broken, Error> {
        if !changes_rules(old, new) {
            return Ok(Broken::default());
        }
        self.get(&names::namespaces()?);
        let schemas = Schemas::new(self);
        let document = Arc::new(new.clone());
        let mut reached = vec![new.path.clone()];
        reached.extend(self.descendants(&new.path));
        let mut broken = Vec::new();
        for namespace in reached {
            let links = self.links(&namespace, None)?;
            let Some(place) = links.iter().position(|link| link.namespace == new.path) else {
                continue;
            };
            let mut changed: Vec<ChainLink> = links.iter().take(place + 1).cloned().collect();
            if let Some(own) = changed.last_mut() {
                own.document = Arc::clone(&document);
            }
            if let (true, Some(parent)) = (new.inherit, new.path.parent()) {
                changed.extend(self.links(&parent, None)?);
            }
            let rules = |links| Rules {
                links,
                schemas: &schemas,
            };
            let before = self.broken_rules(&namespace, rules(&links), &|_| true)?;
            let after = self.broken_rules(&namespace, rules(&changed), &|_| true)?;
            broken.extend(newly_broken(before, after));
        }
        self.as_visible(broken)
    }

    /// The namespaces that attach such a schema.
    pub(super) fn attaching(
        &self,
        wanted: &dyn Fn(&SchemaPath) -> Result<bool, Error>,
    ) -> Result<BTreeSet<Namespace>, Error> {
        self.get(&names::namespaces()?);
        let mut found = BTreeSet::new();
        for namespace in self.all_namespaces() {
            // Not remembered: see the invariant.
            let Some(policy) = self.view.get(names::policy(&namespace)?.as_str()) else {
                continue;
            };
            if let Some(reference) = &self.repo.document(&policy.id)?.schema
                && wanted(&reference.path)?
            {
                self.get(&names::policy(&namespace)?);
                found.insert(namespace);
            }
        }
        Ok(found)
    }

    /// What a namespace has published breaks of the rules attached at some links of its chain, where they
    /// are enforced.
    fn broken_rules(
        &self,
        namespace: &Namespace,
        rules: Rules<'_>,
        counts: &dyn Fn(&ChainLink) -> bool,
    ) -> Result<Vec<Violation>, Error> {
        let settings = effective_settings(rules.links);
        let enforced = matches!(
            settings.schema_enforcement,
            Some(SchemaEnforcement::OnPublish | SchemaEnforcement::OnWrite) | None
        );
        let attached: Vec<&ChainLink> = rules
            .links
            .iter()
            .filter(|link| link.document.schema.is_some() && counts(link))
            .collect();
        if !enforced || attached.is_empty() {
            return Ok(Vec::new());
        }
        let document = self.document_of(rules.links)?;
        if document.keys().next().is_none() {
            return Ok(Vec::new());
        }
        let mut broken = Vec::new();
        for link in attached {
            let Some(reference) = &link.document.schema else {
                continue;
            };
            let place = Place {
                namespace,
                attached_by: &link.namespace,
                environment: settings.environment.as_deref(),
            };
            match rules.schemas.compiled(&reference.path)? {
                Ok(compiled) => broken.extend(compiled.violations(&document, place)),
                Err(error) => broken.push(rules.schemas.unusable(&reference.path, place, &error)),
            }
        }
        Ok(broken)
    }

    fn as_visible(&self, broken: Vec<Violation>) -> Result<Broken, Error> {
        let all = broken.len();
        let mut visible = Vec::new();
        for violation in broken {
            if self.may(&violation.namespace, Permission::NamespaceRead)? {
                visible.push(violation);
            }
        }
        let hidden = all - visible.len();
        Ok(Broken { visible, hidden })
    }
}

/// Whether two documents of a namespace differ in what decides which rules hold.
pub(super) fn changes_rules(old: &NamespaceDocument, new: &NamespaceDocument) -> bool {
    let rules = |document: &NamespaceDocument| {
        (
            document.schema.clone(),
            document.inherit,
            document.settings.schema_enforcement,
            document.settings.environment.clone(),
        )
    };
    rules(old) != rules(new)
}

/// What is broken afterwards and was not before.
fn newly_broken(before: Vec<Violation>, after: Vec<Violation>) -> Vec<Violation> {
    let same = |a: &Violation, b: &Violation| {
        (&a.pointer, &a.keyword, &a.detail) == (&b.pointer, &b.keyword, &b.detail)
    };
    let mut after = after;
    after.retain(|one| !before.iter().any(|known| same(known, one)));
    after
}
