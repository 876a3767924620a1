//! Schemas, what they say, and secrets that are due.

use confman_api::problem::ProblemItem;
use confman_api::schema::{
    Rotation, Schema, SchemaChange, SchemaCheck, SchemaSummary, SchemaVersion, SchemaWritten,
};

use crate::render::time;
use crate::text::{Role, Text, count, short};

/// A schema in a list: a line.
pub(crate) fn summary(schema: &SchemaSummary) -> Text {
    let mut text = Text::new();
    text.push(Role::Heading, &schema.path)
        .plain(&format!("  version {}  ", schema.version))
        .push(Role::Id, short(&schema.commit))
        .plain("  ")
        .faint(&time(&schema.updated_at))
        .plain(&format!("  {}", schema.updated_by))
        .end_line();
    text
}

/// A schema: its document, so that it can be written to a file.
pub(crate) fn one(schema: &Schema) -> Text {
    let mut text = Text::new();
    for line in schema.document.get().lines() {
        text.plain(line).end_line();
    }
    text
}

/// A schema that was written.
pub(crate) fn written(done: &SchemaWritten) -> Text {
    let mut text = Text::new();
    text.plain("wrote ")
        .push(Role::Heading, &done.schema.path)
        .plain(&format!(" version {}, ", done.schema.version))
        .push(Role::Id, short(&done.schema.commit))
        .end_line();
    text
}

/// A version of a schema.
pub(crate) fn version(version: &SchemaVersion) -> Text {
    let mut text = Text::new();
    text.push(Role::Heading, &format!("version {}", version.version))
        .plain("  ")
        .push(Role::Id, short(&version.commit))
        .plain("  ")
        .faint(&time(&version.updated_at))
        .plain(&format!("  {}  ", version.updated_by))
        .faint(&version.message)
        .end_line();
    text
}

/// What writing a schema would come to.
pub(crate) fn check(found: &SchemaCheck) -> Text {
    let mut text = Text::new();
    if found.valid {
        text.plain("valid; it breaks nothing that is published")
            .end_line();
        return text;
    }
    for problem in found.problems.iter().chain(&found.violations) {
        text.append(item(problem));
    }
    text.plain(&count(found.problems.len(), "problem"))
        .plain(" in the document, ")
        .plain(&count(found.violations.len(), "published rule"))
        .plain(" broken")
        .end_line();
    text
}

fn item(problem: &ProblemItem) -> Text {
    let mut text = Text::new();
    if let (Some(line), Some(column)) = (problem.line, problem.column) {
        text.push(Role::Heading, &format!("{line}:{column} "));
    }
    if let Some(namespace) = &problem.namespace {
        let key = problem.key.as_deref().unwrap_or_default();
        text.push(Role::Heading, &format!("{namespace}:{key} "));
    }
    text.plain(&problem.detail);
    if let (Some(schema), Some(pointer)) = (&problem.schema, &problem.schema_pointer) {
        text.faint(&format!(" ({schema}#{pointer})"));
    }
    text.end_line();
    text
}

/// Whether a schema narrows or widens another.
pub(crate) fn change(change: &SchemaChange) -> Text {
    let mut text = Text::new();
    for place in &change.places {
        text.push(Role::Heading, &place.direction)
            .plain(&format!("  {}", place.pointer))
            .end_line();
    }
    text.plain(&format!("as a whole: {}", change.direction))
        .end_line();
    text
}

/// A secret that is to be replaced.
pub(crate) fn rotation(due: &Rotation) -> Text {
    let mut text = Text::new();
    text.push(Role::Heading, &format!("{}:{}", due.namespace, due.key))
        .plain(&format!(
            "  published for {}, to be replaced after {}",
            count(
                usize::try_from(due.days_published).unwrap_or(usize::MAX),
                "day"
            ),
            count(due.rotation_days as usize, "day")
        ))
        .end_line();
    text
}
