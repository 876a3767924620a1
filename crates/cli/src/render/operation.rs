//! The audit log.

use confman_api::operation::Operation;

use crate::commands::audit::Verified;
use crate::render::time;
use crate::text::{Role, Text, count, short};

/// Refs of an operation that are listed.
const REFS_SHOWN_MAX: usize = 20;

/// An operation and the refs it moved.
pub(crate) fn one(operation: &Operation) -> Text {
    let mut text = Text::new();
    text.push(Role::Id, short(&operation.id))
        .plain("  ")
        .faint(&time(&operation.at))
        .plain("  ");
    text.plain(&operation.actor)
        .plain("  ")
        .push(Role::Heading, &operation.action);
    if let Some(namespace) = &operation.namespace {
        text.plain("  ").plain(namespace);
    }
    text.faint(&format!(
        "  index {} term {}",
        operation.index, operation.term
    ));
    if let Some(client) = detail(operation, "client") {
        text.faint(&format!("  from {client}"));
    }
    text.end_line();
    for moved in operation.refs.iter().take(REFS_SHOWN_MAX) {
        text.plain("  ").plain(&moved.name).plain(": ");
        match (&moved.old, &moved.new) {
            (Some(old), Some(new)) => text
                .push(Role::Removed, short(old))
                .plain(" → ")
                .push(Role::Added, short(new)),
            (None, Some(new)) => text.push(Role::Added, &format!("+ {}", short(new))),
            (Some(old), None) => text.push(Role::Removed, &format!("- {}", short(old))),
            (None, None) => text.faint("unchanged"),
        };
        text.end_line();
    }
    if let Some(more) = operation
        .refs
        .len()
        .checked_sub(REFS_SHOWN_MAX)
        .filter(|more| *more > 0)
    {
        text.plain("  ").faint(&format!("… {more} more")).end_line();
    }
    text
}

/// What verifying the log came to.
pub(crate) fn verified(found: &Verified) -> Text {
    let mut text = Text::new();
    let operations = usize::try_from(found.operations).unwrap_or(usize::MAX);
    text.push(Role::Added, "sound")
        .plain(&format!(
            "  {}, each with the hash of its bytes and after the one before",
            count(operations, "operation")
        ))
        .end_line();
    text.faint("head   ")
        .push(Role::Id, &found.head)
        .faint(&format!("  index {}", found.index))
        .end_line();
    text
}

/// A text in the detail of an operation.
fn detail(operation: &Operation, name: &str) -> Option<String> {
    let detail: serde_json::Value = serde_json::from_str(operation.detail.as_ref()?.get()).ok()?;
    Some(detail.get(name)?.as_str()?.to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;
    use confman_api::operation::RefMove;

    #[test]
    fn an_operation_shows_how_refs_moved() {
        let id = |byte: &str| byte.repeat(32);
        let moved = |name: &str, old: Option<&str>, new: Option<&str>| RefMove {
            name: name.to_owned(),
            old: old.map(id),
            new: new.map(id),
        };
        let operation = Operation {
            id: id("ab"),
            parent: None,
            index: 8,
            term: 1,
            at: "2026-11-20T10:00:00Z".to_owned(),
            actor: "alice".to_owned(),
            action: "publish".to_owned(),
            namespace: Some("/teams/payments".to_owned()),
            refs: vec![
                moved("/teams/payments@published", Some("01"), Some("02")),
                moved("/teams/payments@draft/alice", Some("03"), None),
                moved("/teams/payments@tag/v1", None, Some("04")),
            ],
            detail: serde_json::value::RawValue::from_string(
                r#"{"client": "10.0.0.7"}"#.to_owned(),
            )
            .ok(),
            view: None,
        };
        insta::assert_snapshot!(one(&operation).to_plain(), @"
        abababababab  2026-11-20 10:00:00Z  alice  publish  /teams/payments  index 8 term 1  from 10.0.0.7
          /teams/payments@published: 010101010101 → 020202020202
          /teams/payments@draft/alice: - 030303030303
          /teams/payments@tag/v1: + 040404040404
        ");
    }
}
