//! The document of a namespace: who owns it, who may do what, and how it behaves.
//!
//! Its JSON text, as [`NamespaceDocument::to_text`] writes it, is what is stored and reviewed.
//!
//! INVARIANT: a text with a field that is not known here is refused, because a misspelt rule that
//! is silently ignored protects nobody.

mod patch;
mod shape;
mod timestamp;
mod validate;

use serde::{Deserialize, Serialize};
use thiserror::Error;

use crate::json::Document;
use crate::namespace::Namespace;
use crate::schema_path::SchemaPath;
use crate::value::{Problem, SECRET_SCHEMES_DEFAULT, VALUE_BYTES_MAX_DEFAULT, ValueLimits};

pub use validate::{
    AUTO_APPROVE_RULES_MAX, ENVIRONMENT_CHARS_MAX, FREEZE_WINDOWS_MAX, MIN_APPROVERS_MAX,
    PRINCIPAL_BYTES_MAX, ROLE_MEMBERS_MAX, RULE_CONDITIONS_MAX, SECRET_SCHEMES_MAX,
    TITLE_BYTES_MAX,
};

/// Most bytes of the text of a namespace document.
pub const DOCUMENT_BYTES_MAX: usize = 512 * 1024;

/// Stands for everybody, with or without a token, in the list of viewers; nobody else may be called so.
pub const ANYONE: &str = "anyone";

/// What is said about one namespace. Its JSON text is what is stored.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(
    rename_all = "camelCase",
    deny_unknown_fields,
    expecting = "a namespace document"
)]
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
#[serde(deny_unknown_fields, expecting = "an object with `$ref`")]
pub struct SchemaRef {
    /// Its path.
    #[serde(rename = "$ref")]
    pub path: SchemaPath,
}

/// The principals and groups that hold each role.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(
    rename_all = "camelCase",
    deny_unknown_fields,
    expecting = "an object with a list for each role"
)]
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
#[serde(
    rename_all = "camelCase",
    deny_unknown_fields,
    expecting = "an object with settings"
)]
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
    /// How much one publish may change before it takes more than the usual approvals.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub guards: Option<Guards>,
    /// Most bytes of a value.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub value_bytes_max: Option<usize>,
    /// Schemes a secret reference may have.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub secret_schemes: Option<Vec<String>>,
    /// The principals and groups for whom a server resolves references to secrets.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub secret_resolvers: Option<Vec<String>>,
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
#[serde(
    rename_all = "camelCase",
    deny_unknown_fields,
    expecting = "an object with a name and conditions"
)]
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

impl RoleName {
    /// The name as in documents.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Viewer => "viewer",
            Self::Editor => "editor",
            Self::Publisher => "publisher",
            Self::Admin => "admin",
        }
    }
}

/// A time in which nothing is published but emergencies.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(
    rename_all = "camelCase",
    deny_unknown_fields,
    expecting = "an object with `from` and `until`"
)]
pub struct FreezeWindow {
    /// When it starts, in RFC 3339.
    pub from: String,
    /// When it ends, in RFC 3339.
    pub until: String,
    /// Why.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub reason: String,
}

impl FreezeWindow {
    /// Whether it holds at this time, in milliseconds since 1970: from `from` on, up to `until`. A
    /// window whose times cannot be read holds always, because a rule that nobody can read must not
    /// open a door.
    #[must_use]
    pub fn covers(&self, at_ms: i64) -> bool {
        let times = (
            timestamp::seconds(&self.from),
            timestamp::seconds(&self.until),
        );
        let (Some(from), Some(until)) = times else {
            return true;
        };
        (from..until).contains(&at_ms.div_euclid(1000))
    }
}

/// How much one publish may change in a namespace before it takes more than the usual approvals. What
/// is not stated has no limit.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(
    rename_all = "camelCase",
    deny_unknown_fields,
    expecting = "an object with limits"
)]
pub struct Guards {
    /// Most published keys that are removed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub keys_removed_max: Option<u64>,
    /// Most percent of the published keys that are removed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub percent_removed_max: Option<u32>,
    /// Most published keys that are changed or removed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub keys_changed_max: Option<u64>,
    /// Most percent of the published keys that are changed or removed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub percent_changed_max: Option<u32>,
    /// Most bytes by which all values together grow.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub growth_bytes_max: Option<u64>,
    /// How many approvals a publish beyond a limit takes; absent: only an emergency goes beyond.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub approvers: Option<u32>,
}

/// When and by whom a document was made and changed. Times are RFC 3339.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(
    rename_all = "camelCase",
    deny_unknown_fields,
    expecting = "an object with times and names"
)]
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

    /// The document of `/` in a new store.
    #[must_use]
    pub fn root() -> Self {
        Self {
            settings: Settings::system_defaults(),
            ..Self::new(Namespace::root())
        }
    }

    /// Checks what the types do not.
    ///
    /// # Errors
    /// Reports everything that is wrong.
    pub fn validate(&self) -> Result<(), DocumentError> {
        let problems = validate::problems(self);
        if problems.is_empty() {
            Ok(())
        } else {
            Err(DocumentError { problems })
        }
    }

    /// The text that is stored: JSON with two spaces, fields in the order of the type, and a line
    /// break at the end.
    #[must_use]
    pub fn to_text(&self) -> String {
        #[expect(
            clippy::expect_used,
            reason = "strings, numbers and lists always have a JSON form"
        )]
        let mut text = serde_json::to_string_pretty(self).expect("a document has a JSON form");
        text.push('\n');
        text
    }

    /// Reads and validates a text.
    ///
    /// # Errors
    /// Reports everything that is wrong, with its place in the text.
    pub fn from_text(text: &str) -> Result<Self, DocumentError> {
        if text.len() > DOCUMENT_BYTES_MAX {
            let what = format!(
                "it has {} bytes, at most {DOCUMENT_BYTES_MAX} are allowed",
                text.len()
            );
            return Err(DocumentError {
                problems: vec![Problem::whole(what)],
            });
        }
        let tree =
            Document::parse(text.as_bytes()).map_err(|problems| DocumentError { problems })?;
        let mut problems = shape::problems(&tree.to_json());
        let read: Result<Self, serde_json::Error> = serde_json::from_str(text);
        match &read {
            Ok(document) => problems.extend(validate::problems(document)),
            // What the shape lacks is reported already, and better.
            Err(_) if !problems.is_empty() => {}
            Err(error) => problems.push(type_problem(text, error)),
        }
        for problem in &mut problems {
            let place = problem
                .pointer
                .as_ref()
                .and_then(|pointer| tree.locate(pointer));
            if let Some(span) = place {
                let pointer = problem.pointer.take();
                let what = std::mem::take(&mut problem.what);
                *problem = Problem {
                    pointer,
                    ..Problem::at(text, span.start, what)
                };
            }
        }
        match read {
            Ok(document) if problems.is_empty() => Ok(document),
            _ => Err(DocumentError { problems }),
        }
    }
}

/// Says in the words of a document why its JSON does not fit.
fn type_problem(text: &str, error: &serde_json::Error) -> Problem {
    let place = format!(" at line {} column {}", error.line(), error.column());
    let message = error.to_string();
    let what = message.strip_suffix(&place).unwrap_or(&message);
    let what = what
        .replace("u32", "a whole number")
        .replace("usize", "a whole number");
    let before = text
        .split_inclusive('\n')
        .take(error.line().saturating_sub(1));
    let line_start: usize = before.map(str::len).sum();
    // The place is that of the last byte read.
    Problem::at(text, (line_start + error.column()).saturating_sub(1), what)
}

impl Settings {
    /// What holds where no namespace states anything; the document of `/` states it.
    #[must_use]
    pub fn system_defaults() -> Self {
        Self {
            schema_enforcement: Some(SchemaEnforcement::OnPublish),
            require_approval: Some(false),
            min_approvers: Some(1),
            approvers: None,
            allow_self_approval: Some(false),
            environment: None,
            auto_approve: None,
            freeze: None,
            guards: None,
            value_bytes_max: Some(VALUE_BYTES_MAX_DEFAULT),
            secret_schemes: Some(SECRET_SCHEMES_DEFAULT.map(str::to_owned).to_vec()),
            secret_resolvers: None,
        }
    }

    /// These settings, and where they state nothing, those of `above`.
    #[must_use]
    pub fn or(&self, above: &Self) -> Self {
        let near = self.clone();
        let far = above.clone();
        Self {
            schema_enforcement: near.schema_enforcement.or(far.schema_enforcement),
            require_approval: near.require_approval.or(far.require_approval),
            min_approvers: near.min_approvers.or(far.min_approvers),
            approvers: near.approvers.or(far.approvers),
            allow_self_approval: near.allow_self_approval.or(far.allow_self_approval),
            environment: near.environment.or(far.environment),
            auto_approve: near.auto_approve.or(far.auto_approve),
            freeze: near.freeze.or(far.freeze),
            guards: near.guards.or(far.guards),
            value_bytes_max: near.value_bytes_max.or(far.value_bytes_max),
            secret_schemes: near.secret_schemes.or(far.secret_schemes),
            secret_resolvers: near.secret_resolvers.or(far.secret_resolvers),
        }
    }

    /// What holds in the first namespace of a chain: per field, the nearest that states it.
    #[must_use]
    pub fn effective<'a>(chain: impl IntoIterator<Item = &'a Self>) -> Self {
        chain
            .into_iter()
            .fold(Self::default(), |near, above| near.or(above))
    }

    /// What these settings let values be; what they do not state is as in the system defaults.
    #[must_use]
    pub fn value_limits(&self) -> ValueLimits {
        let defaults = ValueLimits::default();
        ValueLimits {
            value_bytes_max: self.value_bytes_max.unwrap_or(defaults.value_bytes_max),
            secret_schemes: self
                .secret_schemes
                .clone()
                .unwrap_or(defaults.secret_schemes),
        }
    }
}

#[cfg(test)]
mod tests;
