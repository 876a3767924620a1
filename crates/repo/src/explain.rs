//! Why things are as they are: a key's value, a namespace's settings, a principal's rights.

use std::sync::Arc;

use confman_model::{Key, Namespace, Revision, SchemaPath, Settings};
use confman_object_store::ObjectId;
use confman_policy::schema::KeyRule;
use confman_policy::{Decision, Grant, Permission, Role, all_grants, decide};

use crate::chain::{ChainLink, Moment};
use crate::entry::{TreeEntry, Values};
use crate::error::{Error, What};
use crate::history::Version;
use crate::request::OpenRequest;
use crate::schema::Schemas;
use crate::seen::Seen;
use crate::session::Session;

/// A namespace of a chain.
#[derive(Clone, Debug)]
pub struct ChainPart {
    /// Its path.
    pub namespace: Namespace,
    /// Whether it inherits from the next.
    pub inherit: bool,
    /// The commit that has its document.
    pub policy: ObjectId,
    /// What it has published; `None` for nothing.
    pub published: Option<ObjectId>,
}

/// What a setting is, and which namespace states it.
#[derive(Clone, Debug, PartialEq)]
pub struct EffectiveSetting {
    /// Its name in documents.
    pub name: String,
    /// Its value.
    pub value: serde_json::Value,
    /// Who states it; `None` for the system's default.
    pub from: Option<Namespace>,
}

/// What holds in a namespace beside its values.
#[derive(Clone, Debug)]
pub struct EffectiveNamespace {
    /// Which.
    pub namespace: Namespace,
    /// What it inherits from, itself first.
    pub chain: Vec<ChainPart>,
    /// Every setting that has a value, in the order of documents.
    pub settings: Vec<EffectiveSetting>,
    /// The schemas that apply, and who attaches them.
    pub schemas: Vec<(Namespace, SchemaPath)>,
    /// Every grant that counts, as far as the actor may know of it.
    pub grants: Vec<Grant>,
    /// Whether grants were left out.
    pub filtered: bool,
    /// Log index that was read at.
    pub index: u64,
}

/// What one namespace of a chain has for a key.
#[derive(Clone, Debug)]
pub struct ExplainedLink {
    /// The namespace.
    pub part: ChainPart,
    /// Its entry; `None` where it has none.
    pub entry: Option<TreeEntry>,
    /// Version of the key there.
    pub version: Option<u64>,
}

/// Why a key is what it is.
#[derive(Clone, Debug)]
pub struct Explanation {
    /// Of which namespace.
    pub namespace: Namespace,
    /// The key.
    pub key: Key,
    /// What each namespace has, the asked one first.
    pub chain: Vec<ExplainedLink>,
    /// Which of them decides; `None` where no namespace has an entry. It may be a tombstone.
    pub winner: Option<usize>,
    /// The namespace that decides, and the last change of the key there.
    pub last_change: Option<(Namespace, Version)>,
    /// What the schemas of the chain say of the key, nearest namespace first. Schemas are those of now, so
    /// there are none where an earlier moment is looked at.
    pub schemas: Vec<ExplainedSchema>,
    /// The open requests that would change the key in a namespace of the chain.
    pub requests: Vec<OpenRequest>,
    /// Who may write a draft of the key in the asked namespace, or publish it.
    pub may_change: Vec<Grant>,
    /// Whether something was left out that the actor may not see.
    pub filtered: bool,
    /// Log index that was read at.
    pub index: u64,
}

/// What an attached schema says of a key.
#[derive(Clone, Debug)]
pub struct ExplainedSchema {
    /// The namespace that attaches it.
    pub attached_by: Namespace,
    /// The schema.
    pub path: SchemaPath,
    /// What stands under `properties` for the key; `None` where nothing does.
    pub property: Option<serde_json::Value>,
    /// The rules of Confman's own that count for the key.
    pub rules: Vec<Arc<KeyRule>>,
}

/// Why somebody may or may not do things in a namespace.
#[derive(Clone, Debug)]
pub struct PermissionReport {
    /// Where.
    pub namespace: Namespace,
    /// Who.
    pub principal: String,
    /// The groups it belongs to.
    pub groups: Vec<String>,
    /// Its highest role.
    pub role: Option<Role>,
    /// Each permission that was asked for, with the grants that give it.
    pub decisions: Vec<Decision>,
    /// Log index that was read at.
    pub index: u64,
}

impl ExplainedLink {
    /// Whether its entry is a tombstone.
    #[must_use]
    pub fn is_unset(&self) -> bool {
        self.entry
            .as_ref()
            .is_some_and(|entry| entry.value.is_none())
    }
}

impl Session {
    /// What holds in a namespace beside its values, now or at a time: chain, settings, schemas, grants.
    ///
    /// # Errors
    /// [`Error::NotFound`], also where the namespace was not there at that time.
    pub fn effective_namespace(
        &self,
        namespace: &Namespace,
        at: Option<&str>,
    ) -> Result<EffectiveNamespace, Error> {
        let seen = self.look()?;
        seen.permit(namespace, Permission::NamespaceRead)?;
        let moment = seen.moment_of_namespace(namespace, at)?;
        let links = seen.links(namespace, moment)?;
        let mut chain = Vec::new();
        let mut schemas = Vec::new();
        for link in &links {
            chain.push(ChainPart {
                namespace: link.namespace.clone(),
                inherit: link.document.inherit,
                policy: link.policy,
                published: seen.published_commit(&link.namespace, moment)?,
            });
            if let Some(schema) = &link.document.schema {
                schemas.push((link.namespace.clone(), schema.path.clone()));
            }
        }
        let stated: Vec<(Option<&Namespace>, &Settings)> = links
            .iter()
            .map(|link| (Some(&link.namespace), &link.document.settings))
            .collect();
        let (grants, filtered) = seen.grants_shown(namespace, moment)?;
        Ok(EffectiveNamespace {
            namespace: namespace.clone(),
            chain,
            settings: effective_settings(stated, &seen.default_settings())?,
            schemas,
            grants,
            filtered,
            index: seen.index(),
        })
    }

    /// Why a key is what it is.
    ///
    /// # Errors
    /// [`Error::NotFound`] and what [`Session::resolve`] says. A key that nobody has is explained too.
    pub fn explain(
        &self,
        namespace: &Namespace,
        revision: &Revision,
        key: &Key,
    ) -> Result<Explanation, Error> {
        let seen = self.look()?;
        let at = seen.resolve(namespace, revision)?;
        let moment = seen.moment_of(&at)?;
        let links = seen.links(namespace, moment)?;
        let read = seen.basis(namespace, revision)?.links;
        let mut chain = Vec::new();
        let mut winner = None;
        for (link, read) in links.iter().zip(read) {
            let leaf = seen.leaf(&read.tree, key)?;
            if leaf.is_some() && winner.is_none() {
                winner = Some(chain.len());
            }
            let version = match (&leaf, &read.place) {
                (Some(_), Some(place)) => seen
                    .line(&link.namespace)?
                    .version_at(key.as_str().as_bytes(), place)?,
                _ => None,
            };
            chain.push(ExplainedLink {
                part: ChainPart {
                    namespace: link.namespace.clone(),
                    inherit: link.document.inherit,
                    policy: link.policy,
                    published: read.commit,
                },
                entry: leaf
                    .map(|leaf| TreeEntry::read(seen.objects(), key.clone(), &leaf, Values::With))
                    .transpose()?,
                version: version.map(|version| version.row.version),
            });
        }
        let decides = winner
            .and_then(|at| chain.get(at))
            .map_or(namespace, |link| &link.part.namespace);
        let last_change = seen
            .last_change(decides, key, moment)?
            .map(|version| (decides.clone(), version));
        let namespaces: Vec<Namespace> = links.iter().map(|link| link.namespace.clone()).collect();
        let touching = seen.touching(&namespaces, key)?;
        let schemas = match moment {
            None => seen.schemas_about(&links, key)?,
            Some(_) => Vec::new(),
        };
        let (grants, filtered) = seen.grants_shown(namespace, moment)?;
        let may_change = grants
            .into_iter()
            .filter(|grant| {
                let role = grant.role;
                role.is_some_and(|role| confman_policy::permits(role, Permission::ConfigWriteDraft))
            })
            .collect();
        Ok(Explanation {
            namespace: namespace.clone(),
            key: key.clone(),
            chain,
            winner,
            last_change,
            schemas,
            requests: touching.requests,
            may_change,
            filtered: filtered || touching.filtered,
            index: seen.index(),
        })
    }

    /// Why somebody may or may not do things in a namespace, now or at a time: anybody for itself, admins
    /// for everybody. Without a permission, all of them.
    ///
    /// # Errors
    /// [`Error::NotFound`], [`Error::Denied`].
    pub fn permissions(
        &self,
        namespace: &Namespace,
        principal: Option<&str>,
        permission: Option<Permission>,
        at: Option<&str>,
    ) -> Result<PermissionReport, Error> {
        let seen = self.look()?;
        let own = self.actor.principal();
        let principal = principal.unwrap_or(own);
        let asked = match principal == own {
            true => Permission::NamespaceRead,
            false => Permission::RolesManage,
        };
        seen.permit(namespace, asked)?;
        let subject = match principal == own {
            true => seen.subject.clone(),
            false => seen
                .subject_of(principal)?
                .ok_or_else(|| Error::not_found(What::Principal, principal))?,
        };
        let moment = seen.moment_of_namespace(namespace, at)?;
        let grants = seen.grants(namespace, moment)?;
        let wanted = match permission {
            Some(permission) => vec![permission],
            None => Permission::ALL.to_vec(),
        };
        let decisions: Vec<Decision> = wanted
            .into_iter()
            .map(|permission| decide(&grants, &subject, permission))
            .collect();
        Ok(PermissionReport {
            namespace: namespace.clone(),
            principal: subject.principal,
            groups: subject.groups,
            role: decisions.first().and_then(|decision| decision.role),
            decisions,
            index: seen.index(),
        })
    }
}

/// Per setting, the nearest that states it, in the order of documents.
fn effective_settings(
    stated: Vec<(Option<&Namespace>, &Settings)>,
    defaults: &Settings,
) -> Result<Vec<EffectiveSetting>, Error> {
    let mut found: Vec<EffectiveSetting> = Vec::new();
    for (from, settings) in stated.into_iter().chain([(None, defaults)]) {
        let serde_json::Value::Object(fields) =
            serde_json::to_value(settings).map_err(Error::bug)?
        else {
            return Err(Error::bug("settings are no object"));
        };
        for (name, value) in fields {
            if !found.iter().any(|setting| setting.name == name) {
                found.push(EffectiveSetting {
                    name,
                    value,
                    from: from.cloned(),
                });
            }
        }
    }
    found.sort_by(|one, other| one.name.cmp(&other.name));
    Ok(found)
}

impl Seen<'_> {
    /// The moment that a time means for a namespace, which must have been there.
    fn moment_of_namespace(
        &self,
        namespace: &Namespace,
        at: Option<&str>,
    ) -> Result<Option<Moment>, Error> {
        let Some(text) = at else {
            return Ok(None);
        };
        let moment = self.moment_of_text(text)?;
        let spans = self.spans(namespace)?;
        if !spans.iter().any(|span| span.contains(moment.index)) {
            return Err(Error::not_found(
                What::Revision,
                format!("{namespace}@{{{text}}}"),
            ));
        }
        Ok(Some(moment))
    }

    /// The commit that a namespace has published, now or at a moment.
    fn published_commit(
        &self,
        namespace: &Namespace,
        moment: Option<Moment>,
    ) -> Result<Option<ObjectId>, Error> {
        let place = match moment {
            None => self.published(namespace)?.map(|(_, place)| place),
            Some(moment) => self.published_at(namespace, moment)?,
        };
        Ok(place.map(|place| place.commit))
    }

    /// Every grant that counts in a namespace, but for those of namespaces that the actor may not read.
    fn grants_shown(
        &self,
        namespace: &Namespace,
        moment: Option<Moment>,
    ) -> Result<(Vec<Grant>, bool), Error> {
        let mut shown = Vec::new();
        let mut filtered = false;
        for grant in all_grants(&self.grants(namespace, moment)?) {
            match self.may(&grant.namespace, Permission::NamespaceRead)? {
                true => shown.push(grant),
                false => filtered = true,
            }
        }
        Ok((shown, filtered))
    }

    /// The newest version of a key in a namespace, now or at a moment.
    /// What the schemas that a chain attaches say of a key. One that cannot be used says nothing here.
    fn schemas_about(&self, links: &[ChainLink], key: &Key) -> Result<Vec<ExplainedSchema>, Error> {
        let schemas = Schemas::new(self);
        let mut found = Vec::new();
        for link in links {
            let Some(reference) = &link.document.schema else {
                continue;
            };
            let rules = match schemas.compiled(&reference.path)? {
                Ok(compiled) => compiled.rules_of(key.as_str()),
                Err(_) => Vec::new(),
            };
            let property = match self.schema_head(&reference.path)? {
                Some(head) => self
                    .schema_document(&reference.path, &head)?
                    .to_json()
                    .get("properties")
                    .and_then(|properties| properties.get(key.as_str()))
                    .cloned(),
                None => None,
            };
            found.push(ExplainedSchema {
                attached_by: link.namespace.clone(),
                path: reference.path.clone(),
                property,
                rules,
            });
        }
        Ok(found)
    }

    fn last_change(
        &self,
        namespace: &Namespace,
        key: &Key,
        moment: Option<Moment>,
    ) -> Result<Option<Version>, Error> {
        let place = match moment {
            None => self.published(namespace)?.map(|(_, place)| place),
            Some(moment) => self.published_at(namespace, moment)?,
        };
        let Some(place) = place else {
            return Ok(None);
        };
        let version = self
            .line(namespace)?
            .version_at(key.as_str().as_bytes(), &place)?;
        version
            .map(|version| self.version_of(namespace, version))
            .transpose()
    }
}
