//! The document of a namespace: who owns it, who may do what, and how it behaves.

use serde::{Deserialize, Serialize};
use thiserror::Error;

use crate::namespace::Namespace;
use crate::schema_path::SchemaPath;
use crate::value::Problem;

/// What is said about one namespace. Its JSON text is what is stored.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct NamespaceDocument {
    /// Which namespace.
    pub path: Namespace,
    /// Its name for people.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub display_name: String,
    /// What it is for.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub description: String,
    /// Who answers for it.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub owner: String,
    /// Whether it takes entries, roles, schemas and settings from its parent.
    #[serde(default = "inherits_by_default")]
    pub inherit: bool,
    /// The schema its effective configuration must satisfy.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub schema: Option<SchemaRef>,
    /// Who may do what.
    #[serde(default)]
    pub roles: Roles,
    /// How it behaves; what is not stated is inherited.
    #[serde(default)]
    pub settings: Settings,
    /// When and by whom it was made and changed.
    #[serde(default)]
    pub metadata: DocumentMetadata,
}

fn inherits_by_default() -> bool {
    true
}

/// A reference to a schema document.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct SchemaRef {
    /// Its path.
    #[serde(rename = "$ref")]
    pub path: SchemaPath,
}

/// The principals and groups that hold each role.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Roles {
    /// May do everything here.
    #[serde(default)]
    pub admin: Vec<String>,
    /// May approve, publish and roll back.
    #[serde(default)]
    pub publisher: Vec<String>,
    /// May write drafts and ask for their publication.
    #[serde(default)]
    pub editor: Vec<String>,
    /// May read what is published.
    #[serde(default)]
    pub viewer: Vec<String>,
}

/// How a namespace behaves. `None` means: as the nearest namespace above that states it.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Settings {
    /// When schemas are enforced.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub schema_enforcement: Option<SchemaEnforcement>,
    /// Whether publishing needs an approved request.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub require_approval: Option<bool>,
    /// How many approvals a request needs.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub min_approvers: Option<u32>,
    /// The group an approver must belong to.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub approvers: Option<String>,
    /// Whether authors may approve their own requests.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub allow_self_approval: Option<bool>,
    /// What kind of place this is, as in `production`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub environment: Option<String>,
    /// Changes that count as approved.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub auto_approve: Option<Vec<AutoApproveRule>>,
    /// Times in which nothing is published but emergencies.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub freeze: Option<Vec<FreezeWindow>>,
    /// Most bytes of a value.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub value_bytes_max: Option<usize>,
    /// Schemes a secret reference may have.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub secret_schemes: Option<Vec<String>>,
}

/// When schemas are enforced.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum SchemaEnforcement {
    /// Nothing that breaks a schema is published.
    OnPublish,
    /// Nothing that breaks a schema is written, not even to a draft.
    OnWrite,
    /// Violations are reported and nothing is refused.
    Warn,
    /// Schemas are not looked at.
    Off,
}

/// Changes that count as approved; all conditions that are stated must hold.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct AutoApproveRule {
    /// What the rule is called where it is cited.
    pub name: String,
    /// Globs, one of which every changed key must match.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub keys: Vec<String>,
    /// The kinds every change must be of.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub changes: Vec<ChangeKind>,
    /// Roles, one of which the author must hold.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub roles: Vec<RoleName>,
    /// Tags, one of which every changed entry must have.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub tags: Vec<String>,
}

/// What a change does to a key.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum ChangeKind {
    /// The key is new.
    Add,
    /// The key gets another entry.
    Change,
    /// The key's entry goes.
    Remove,
    /// Only the way the value is written changes.
    FormatOnly,
}

/// The four roles, least first.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum RoleName {
    /// Reads what is published.
    Viewer,
    /// Writes drafts.
    Editor,
    /// Approves and publishes.
    Publisher,
    /// Does everything.
    Admin,
}

/// A time in which nothing is published but emergencies.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct FreezeWindow {
    /// When it starts, in RFC 3339.
    pub from: String,
    /// When it ends, in RFC 3339.
    pub until: String,
    /// Why.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub reason: String,
}

/// When and by whom a document was made and changed. Times are RFC 3339.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct DocumentMetadata {
    /// When it was made.
    #[serde(default)]
    pub created: String,
    /// By whom.
    #[serde(default)]
    pub created_by: String,
    /// When it was changed last.
    #[serde(default)]
    pub updated: String,
    /// By whom.
    #[serde(default)]
    pub updated_by: String,
}

/// Why a text is not the document of a namespace.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
#[error("the namespace document is not valid: {}", problems.iter().map(ToString::to_string).collect::<Vec<_>>().join("; "))]
pub struct DocumentError {
    /// Everything that is wrong; at least one.
    pub problems: Vec<Problem>,
}

impl NamespaceDocument {
    /// A document that says nothing but which namespace it is.
    #[must_use]
    pub fn new(path: Namespace) -> Self {
        Self {
            path,
            display_name: String::new(),
            description: String::new(),
            owner: String::new(),
            inherit: true,
            schema: None,
            roles: Roles::default(),
            settings: Settings::default(),
            metadata: DocumentMetadata::default(),
        }
    }

    /// Checks what the types do not.
    ///
    /// # Errors
    /// Reports everything that is wrong.
    pub fn validate(&self) -> Result<(), DocumentError> {
        todo!()
    }

    /// The text that is stored: JSON with two spaces, fields in the order of the type.
    #[must_use]
    pub fn to_text(&self) -> String {
        todo!()
    }

    /// Reads and validates a text.
    ///
    /// # Errors
    /// Reports everything that is wrong.
    pub fn from_text(text: &str) -> Result<Self, DocumentError> {
        todo!()
    }
}

impl Settings {
    /// These settings, and where they state nothing, those of `above`.
    #[must_use]
    pub fn or(&self, above: &Self) -> Self {
        todo!()
    }
}
