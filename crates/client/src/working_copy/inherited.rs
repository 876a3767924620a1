//! What the namespaces of a working copy inherit from further up, as of the last clone or pull: what is
//! published there, and the schemas that are attached along the chain, so that what holds can be told and
//! checked without a server.
//!
//! Published heads come as objects into the mirror; `.confman/inherited.json` says which they are, and has
//! the schemas. What the token may not read is written down as not known, and never taken for nothing.

use std::cell::RefCell;
use std::collections::{BTreeMap, BTreeSet};
use std::convert::Infallible;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use confman_api::explain::EffectiveNamespace;
use confman_model::document::{NamespaceDocument, SchemaEnforcement};
use confman_model::{Namespace, SchemaPath};
use confman_object_store::ObjectId;
use confman_policy::schema::{CompiledSchema, SchemaDocument};
use serde::{Deserialize, Serialize};

use super::PRIVATE_DIRECTORY;
use super::error::WorkingCopyError;
use super::mirror::Mirror;
use super::remote;
use super::state::read_private;
use crate::client::{Client, ClientError};

/// Name of the file in `.confman/`.
pub(super) const INHERITED_FILE: &str = "inherited.json";
/// Version of the file.
const INHERITED_FORMAT: u32 = 1;
/// Most schema documents that are fetched; of more, those are not known.
const SCHEMAS_MAX: usize = 256;
/// Names of settings that say how schemas apply.
const ENVIRONMENT: &str = "environment";
const SCHEMA_ENFORCEMENT: &str = "schemaEnforcement";

/// What is inherited from outside of the working copy, and every schema that applies in it.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub(super) struct Inherited {
    format: u32,
    /// The namespaces that the root inherits from, nearest first.
    pub(super) chain: Vec<Above>,
    /// What holds in the root.
    pub(super) environment: Option<String>,
    pub(super) enforcement: Option<SchemaEnforcement>,
    /// Schemas that are attached in the root and above, nearest first.
    pub(super) attached: Vec<Attached>,
    /// Every schema that applies somewhere, and those it refers to; `None` where it could not be had.
    schemas: BTreeMap<String, Option<String>>,
}

/// A namespace further up.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub(super) struct Above {
    pub(super) namespace: Namespace,
    /// Whether what it publishes may be read.
    pub(super) is_readable: bool,
    /// Its published head, 64 hex digits.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    published: Option<String>,
}

impl Above {
    /// Its published head.
    pub(super) fn published(&self) -> Option<ObjectId> {
        self.published.as_ref().and_then(|id| id.parse().ok())
    }
}

/// A schema, and who attaches it.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub(super) struct Attached {
    pub(super) namespace: Namespace,
    pub(super) schema: String,
}

impl Inherited {
    /// What was fetched; `None` where nothing was, or a newer version did.
    pub(super) fn load(root: &Path) -> Result<Option<Self>, WorkingCopyError> {
        let bytes = read_private(&root.join(Self::path()))?;
        Ok(bytes.and_then(|bytes| Self::parse(&bytes)))
    }

    fn parse(bytes: &[u8]) -> Option<Self> {
        let inherited: Self = serde_json::from_slice(bytes).ok()?;
        (inherited.format == INHERITED_FORMAT).then_some(inherited)
    }

    /// Where it is kept, relative to the root.
    pub(super) fn path() -> PathBuf {
        Path::new(PRIVATE_DIRECTORY).join(INHERITED_FILE)
    }

    /// The text of the file.
    pub(super) fn to_text(&self) -> String {
        // A plain document of texts has a JSON text.
        serde_json::to_string_pretty(self).unwrap_or_default() + "\n"
    }

    /// A schema document by its path; `None` where it could not be had.
    pub(super) fn schema(&self, path: &SchemaPath) -> Option<Arc<SchemaDocument>> {
        let text = self.schemas.get(path.as_str())?.as_ref()?;
        SchemaDocument::parse(text).ok().map(Arc::new)
    }

    /// Asks the server for all of it; `None` where it does not say, as one of an older version. `documents` are those of the namespaces of the working copy, the root's first.
    pub(super) async fn fetch(
        client: &Client,
        mirror: &Mirror,
        root: &Namespace,
        documents: &[NamespaceDocument],
        before: Option<&Self>,
    ) -> Result<Option<Self>, WorkingCopyError> {
        let effective = client.effective_namespace(root, None).await;
        let Some(effective) = unless_hidden(effective)? else {
            return Ok(None);
        };
        let mut inherited = Self {
            format: INHERITED_FORMAT,
            environment: setting(&effective, ENVIRONMENT),
            enforcement: setting(&effective, SCHEMA_ENFORCEMENT),
            ..Self::default()
        };
        for schema in &effective.schemas {
            inherited.attached.push(Attached {
                namespace: named(client, &schema.namespace, root)?,
                schema: schema.path.clone(),
            });
        }
        for link in effective.chain.iter().skip(1) {
            let namespace = named(client, &link.namespace, root)?;
            let known = before.and_then(|before| {
                let mut chain = before.chain.iter();
                chain
                    .find(|above| above.namespace == namespace)?
                    .published()
            });
            let published = remote::published(client, mirror, &namespace, known).await?;
            inherited.chain.push(Above {
                namespace,
                is_readable: published.is_some(),
                published: published.flatten().map(|id| id.to_string()),
            });
        }
        let own = documents
            .iter()
            .filter_map(|document| document.schema.as_ref());
        let mut wanted: BTreeSet<String> =
            own.map(|schema| schema.path.as_str().to_owned()).collect();
        wanted.extend(
            inherited
                .attached
                .iter()
                .map(|attached| attached.schema.clone()),
        );
        inherited.fetch_schemas(client, wanted).await?;
        Ok(Some(inherited))
    }

    /// Fetches schemas and all that they refer to.
    async fn fetch_schemas(
        &mut self,
        client: &Client,
        attached: BTreeSet<String>,
    ) -> Result<(), WorkingCopyError> {
        let mut wanted = attached.clone();
        while !wanted.is_empty() {
            for path in std::mem::take(&mut wanted) {
                let text = match path.parse::<SchemaPath>() {
                    Ok(path) if self.schemas.len() < SCHEMAS_MAX => {
                        let found = unless_hidden(client.schema(&path).await)?;
                        found.map(|schema| schema.document.get().to_owned())
                    }
                    _ => None,
                };
                self.schemas.insert(path, text);
            }
            wanted = attached
                .iter()
                .flat_map(|path| self.missing(path))
                .collect();
        }
        Ok(())
    }

    /// The documents that a schema refers to and that were not asked for yet.
    fn missing(&self, path: &str) -> BTreeSet<String> {
        let missing = RefCell::new(BTreeSet::new());
        if let Ok(path) = path.parse::<SchemaPath>()
            && let Some(document) = self.schema(&path)
        {
            // What is wrong with it is told by whoever checks.
            let _ = CompiledSchema::compile(&path, &document, |other| {
                if !self.schemas.contains_key(other.as_str()) {
                    missing.borrow_mut().insert(other.as_str().to_owned());
                }
                Ok::<_, Infallible>(self.schema(other))
            });
        }
        missing.into_inner()
    }
}

/// The value of a setting that holds in a namespace.
fn setting<T: serde::de::DeserializeOwned>(
    effective: &EffectiveNamespace,
    name: &str,
) -> Option<T> {
    let found = effective
        .settings
        .iter()
        .find(|setting| setting.name == name)?;
    serde_json::from_value(found.value.clone()).ok()
}

/// A namespace that a server names as one that `root` inherits from.
fn named(client: &Client, text: &str, root: &Namespace) -> Result<Namespace, WorkingCopyError> {
    let found = text.parse::<Namespace>().ok();
    found
        .filter(|namespace| namespace.contains(root))
        .ok_or_else(|| {
            WorkingCopyError::Client(ClientError::Protocol {
                url: client.server_url().to_owned(),
                reason: format!(
                    "`{}` is nothing that {root} inherits from",
                    text.escape_debug()
                ),
            })
        })
}

/// What was asked for; `None` where there is none, or it may not be read.
pub(super) fn unless_hidden<T>(answer: Result<T, ClientError>) -> Result<Option<T>, ClientError> {
    match answer {
        Ok(found) => Ok(Some(found)),
        Err(error) if matches!(error.status(), Some(403 | 404)) => Ok(None),
        Err(error) => Err(error),
    }
}

/// What is read has one form.
///
/// # Panics
/// It has two.
#[cfg(any(test, feature = "testing"))]
pub(crate) fn fuzz_inherited(bytes: &[u8]) {
    if let Some(inherited) = Inherited::parse(bytes) {
        let again = Inherited::parse(inherited.to_text().as_bytes());
        assert_eq!(again, Some(inherited), "it has two forms");
    }
}
