//! Violations of a compiled schema.

use confman_model::{Key, Namespace, SchemaPath};
use jsonschema::ValidationError;
use jsonschema::error::ValidationErrorKind;

use super::document::brief;
use super::graph::unescape;
use super::keyword::step;
use super::rules::{ALLOWED_ENVIRONMENTS, DEPRECATED, IMMUTABLE, SECRET_REF};
use super::{CompiledSchema, EffectiveDocument, KeyRule, Rule, STORE, VIOLATIONS_MAX};
use crate::violation::Violation;

/// Most bytes that listing what is wrong may take: alternatives that do not fit copy what they look at.
const LISTING_BYTES_MAX: u64 = 256 << 20;

/// Where a schema is applied.
#[derive(Clone, Copy, Debug)]
pub struct Place<'a> {
    /// Whose effective document it is.
    pub namespace: &'a Namespace,
    /// The namespace of the chain that attaches the schema.
    pub attached_by: &'a Namespace,
    /// The effective environment of the namespace.
    pub environment: Option<&'a str>,
}

/// What becomes of the effective value of a key.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct KeyChange {
    /// Which.
    pub key: Key,
    /// Whether it had a value.
    pub had: bool,
    /// Whether it has one now; its type or bytes are others, where it had one.
    pub has: bool,
}

impl CompiledSchema {
    /// Every rule that a document breaks, whatever it was before.
    #[must_use]
    pub fn violations(&self, document: &EffectiveDocument, place: Place<'_>) -> Vec<Violation> {
        let mut violations = Vec::new();
        if !self.validator.is_valid(document.value()) {
            self.list(document, place, &mut violations);
        }
        if self.has_rules() {
            for key in document.keys() {
                for rule in self.rules_of(key) {
                    if violations.len() < VIOLATIONS_MAX {
                        violations.extend(state_violation(&rule, key, document, place));
                    }
                }
            }
        }
        violations.sort();
        violations.dedup();
        violations
    }

    /// Every rule about changes that these changes of effective values break.
    #[must_use]
    pub fn change_violations(&self, changes: &[KeyChange], place: Place<'_>) -> Vec<Violation> {
        let mut violations = Vec::new();
        for change in changes.iter().filter(|change| change.had) {
            for rule in self.rules_of(change.key.as_str()) {
                if rule.rule == Rule::Immutable {
                    let did = if change.has { "change" } else { "removal" };
                    let detail = format!(
                        "it is immutable and published; its {did} takes a change of the schema"
                    );
                    violations.push(of_rule(&rule, &change.key, place, IMMUTABLE, detail));
                }
            }
        }
        violations
    }

    /// For each of these keys that is deprecated, the rule that says so, as a violation.
    #[must_use]
    pub fn deprecations<'k>(
        &self,
        keys: impl IntoIterator<Item = &'k Key>,
        place: Place<'_>,
    ) -> Vec<Violation> {
        let mut found = Vec::new();
        for key in keys {
            for rule in self.rules_of(key.as_str()) {
                if let Rule::Deprecated(instead) = &rule.rule {
                    let detail = match instead {
                        Some(text) => format!("it is deprecated: {text}"),
                        None => "it is deprecated".to_owned(),
                    };
                    found.push(of_rule(&rule, key, place, DEPRECATED, detail));
                }
            }
        }
        found
    }

    fn list(
        &self,
        document: &EffectiveDocument,
        place: Place<'_>,
        violations: &mut Vec<Violation>,
    ) {
        let cost = self.evaluations().saturating_mul(document.bytes() as u64);
        if cost > LISTING_BYTES_MAX {
            violations.push(Violation {
                namespace: place.namespace.clone(),
                key: None,
                pointer: String::new(),
                keyword: "$ref".to_owned(),
                schema: self.path().clone(),
                schema_pointer: String::new(),
                attached_by: place.attached_by.clone(),
                detail:
                    "it breaks the schema; document and schema are too large together to list where"
                        .to_owned(),
            });
            return;
        }
        for error in self
            .validator
            .iter_errors(document.value())
            .take(VIOLATIONS_MAX)
        {
            self.push(&error, place, violations);
        }
    }

    /// Adds what one error says; one that is about several members becomes one for each.
    fn push(&self, error: &ValidationError<'_>, place: Place<'_>, violations: &mut Vec<Violation>) {
        let (schema, schema_pointer) = self.rule_of(error);
        let at = error.instance_path().as_str();
        let mut add = |pointer: String, named: Option<&str>, detail: String| {
            let first = pointer.split('/').nth(1);
            let key = first
                .map(|step| step.replace("~1", "/").replace("~0", "~"))
                .or_else(|| named.map(str::to_owned))
                .and_then(|key| key.parse().ok());
            violations.push(Violation {
                namespace: place.namespace.clone(),
                key,
                pointer,
                keyword: keyword_of(error, &schema_pointer),
                schema: schema.clone(),
                schema_pointer: schema_pointer.clone(),
                attached_by: place.attached_by.clone(),
                detail,
            });
        };
        match error.kind() {
            ValidationErrorKind::AdditionalProperties { unexpected }
            | ValidationErrorKind::UnevaluatedProperties { unexpected } => {
                for name in unexpected {
                    let detail = format!("`{name}` is not allowed: the schema does not know it");
                    add(format!("{at}/{}", step(name)), None, detail);
                }
            }
            ValidationErrorKind::Required { property } => {
                let name = property.as_str().unwrap_or_default();
                add(
                    at.to_owned(),
                    at.is_empty().then_some(name),
                    format!("`{name}` is required and missing"),
                );
            }
            _ => add(at.to_owned(), None, brief(error)),
        }
    }

    /// The document and pointer of the rule that an error is about.
    fn rule_of(&self, error: &ValidationError<'_>) -> (SchemaPath, String) {
        let location = error
            .absolute_keyword_location()
            .map_or("", |location| location.as_str());
        let (uri, fragment) = location.split_once('#').unwrap_or((location, ""));
        let pointer = unescape(fragment);
        if let Some((path, start)) = self.resources.get(uri) {
            return (path.clone(), format!("{start}{pointer}"));
        }
        match uri.strip_prefix(STORE).and_then(|path| path.parse().ok()) {
            Some(path) => (path, pointer),
            None => (self.path().clone(), error.schema_path().as_str().to_owned()),
        }
    }
}

/// The keyword of an error as the schema writes it.
fn keyword_of(error: &ValidationError<'_>, schema_pointer: &str) -> String {
    match error.kind() {
        ValidationErrorKind::Constant { .. } => "const".to_owned(),
        ValidationErrorKind::FalseSchema => schema_pointer
            .rsplit('/')
            .next()
            .unwrap_or("false")
            .to_owned(),
        kind => kind.keyword().to_owned(),
    }
}

/// What is wrong with the state of a key, if anything is.
fn state_violation(
    rule: &KeyRule,
    key: &str,
    document: &EffectiveDocument,
    place: Place<'_>,
) -> Option<Violation> {
    let detail = match &rule.rule {
        Rule::SecretRef if !document.is_secret_ref(key) => {
            "it must be of type secret-ref: a reference, never the secret itself".to_owned()
        }
        Rule::AllowedEnvironments(allowed) => {
            let here = place.environment;
            if here.is_some_and(|here| allowed.iter().any(|one| one == here)) {
                return None;
            }
            let is = here.map_or_else(
                || "has no environment".to_owned(),
                |here| format!("is `{here}`"),
            );
            format!(
                "it is allowed in {} only, and this namespace {is}",
                allowed.join(", ")
            )
        }
        _ => return None,
    };
    let keyword = match rule.rule {
        Rule::SecretRef => SECRET_REF,
        _ => ALLOWED_ENVIRONMENTS,
    };
    let key: Key = key.parse().ok()?;
    Some(of_rule(rule, &key, place, keyword, detail))
}

fn of_rule(
    rule: &KeyRule,
    key: &Key,
    place: Place<'_>,
    keyword: &str,
    detail: String,
) -> Violation {
    Violation {
        namespace: place.namespace.clone(),
        key: Some(key.clone()),
        pointer: format!("/{}", step(key.as_str())),
        keyword: keyword.to_owned(),
        schema: rule.schema.clone(),
        schema_pointer: rule.pointer.clone(),
        attached_by: place.attached_by.clone(),
        detail,
    }
}
