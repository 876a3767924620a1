//! Why things are as they are.

use confman_api::explain::{ExplainedLink, ExplainedSchema, Explanation, Grant, PermissionReport};

use crate::render::{time, value};
use crate::text::{Role, Text, short};

/// Why a key is what it is.
pub(crate) fn key(found: &Explanation) -> Text {
    let mut text = Text::new();
    text.push(Role::Heading, &format!("{}:{}", found.namespace, found.key))
        .plain("  ");
    match (&found.from, found.outcome.as_str()) {
        (Some(from), "unset") => text.plain(&format!("is unset by {from}")),
        (Some(from), _) if *from == found.namespace => text.plain("is its own"),
        (Some(from), _) => text.plain(&format!("comes from {from}")),
        (None, _) => text.plain("has no value anywhere on the chain"),
    };
    text.end_line();
    let mut decided = false;
    for link in &found.chain {
        text.append(chain_line(link, decided));
        decided |= link.entry.is_some();
    }
    if let Some(last) = found.chain.last().filter(|last| !last.inherit) {
        text.plain("  ")
            .faint(&format!("{} inherits nothing", last.namespace))
            .end_line();
    }
    if let Some(change) = &found.last_change {
        let version = &change.version;
        text.faint("last change  ")
            .plain(&format!(
                "version {} in {}, ",
                version.version, change.namespace
            ))
            .push(Role::Id, short(&version.commit))
            .plain(&format!(
                " by {} {}",
                version.published_by,
                time(&version.published_at)
            ));
        if let Some(request) = &version.publish_request_id {
            text.plain(&format!(", {request}"));
        }
        if !version.approved_by.is_empty() {
            text.plain(&format!(", approved by {}", version.approved_by.join(", ")));
        }
        if !version.message.is_empty() {
            text.plain(": ").plain(&version.message);
        }
        text.end_line();
    }
    for schema in &found.schemas {
        text.append(schema_lines(schema));
    }
    for request in &found.requests {
        text.faint("request      ")
            .plain(&format!(
                "{} {} in {}: {}",
                request.id, request.state, request.namespace, request.title
            ))
            .end_line();
    }
    text.append(grants("may change   ", &found.may_change));
    text
}

fn schema_lines(schema: &ExplainedSchema) -> Text {
    let mut text = Text::new();
    text.faint("schema       ")
        .plain(&schema.path)
        .faint(&format!("  of {}", schema.namespace));
    if let Some(property) = &schema.property {
        text.plain(&format!("  {property}"));
    }
    text.end_line();
    for rule in &schema.rules {
        text.faint("rule         ")
            .plain(&rule.keyword)
            .faint(&format!("  {}#{}", rule.schema, rule.schema_pointer))
            .end_line();
    }
    text
}

fn chain_line(link: &ExplainedLink, decided: bool) -> Text {
    let mut text = Text::new();
    let (mark, role) = match (&link.entry, decided) {
        (None, _) => ("  ", Role::Faint),
        (Some(_), false) => ("→ ", Role::Added),
        (Some(_), true) => ("  ", Role::Removed),
    };
    text.push(role, mark).plain(&link.namespace).plain("  ");
    match &link.entry {
        None => text.faint("nothing"),
        Some(entry) => {
            let shown = value::preview(
                &entry.key,
                entry.entry_type.as_deref(),
                entry.value.as_deref(),
                entry.size,
                entry.unset,
            );
            text.plain(&shown);
            match link.version {
                Some(version) => text.faint(&format!("  version {version}")),
                None => text.faint("  draft"),
            };
            if decided {
                text.faint("  overridden");
            }
            &mut text
        }
    };
    text.end_line();
    text
}

fn grants(title: &str, grants: &[Grant]) -> Text {
    let mut text = Text::new();
    let indent = " ".repeat(title.len());
    for (at, grant) in grants.iter().enumerate() {
        text.faint(if at == 0 { title } else { &indent })
            .plain(&grant.holder)
            .faint(&format!("  {} of {}", grant.role, grant.namespace))
            .end_line();
    }
    text
}

/// Why somebody may or may not do things.
pub(crate) fn permissions(found: &PermissionReport) -> Text {
    let mut text = Text::new();
    text.push(
        Role::Heading,
        &format!("{} in {}", found.principal, found.namespace),
    )
    .plain("  ")
    .plain(found.role.as_deref().unwrap_or("no role"));
    if !found.groups.is_empty() {
        text.faint(&format!("  groups {}", found.groups.join(", ")));
    }
    text.end_line();
    let rows: Vec<_> = found
        .permissions
        .iter()
        .map(|decision| {
            let because = decision
                .because
                .iter()
                .map(|grant| format!("{} of {} on {}", grant.role, grant.holder, grant.namespace))
                .collect::<Vec<_>>()
                .join(", ");
            let (mark, role) = match decision.allowed {
                true => ("yes", Role::Added),
                false => ("no", Role::Removed),
            };
            let why = match (decision.allowed, because.is_empty()) {
                (true, _) => format!("by {because}"),
                (false, true) => "no grant".to_owned(),
                (false, false) => format!("only {because}"),
            };
            vec![
                (role, format!("  {mark}")),
                (Role::Plain, decision.permission.clone()),
                (Role::Faint, why),
            ]
        })
        .collect();
    text.append(super::columns(&rows));
    text
}

#[cfg(test)]
mod tests {
    use confman_api::entry::{TreeEntry, Version};
    use confman_api::explain::{ExplainedRule, LastChange, OpenRequest, PermissionDecision};
    use serde_json::value::RawValue;

    use super::*;

    fn grant(role: &str, holder: &str, namespace: &str) -> Grant {
        Grant {
            namespace: namespace.to_owned(),
            role: role.to_owned(),
            holder: holder.to_owned(),
        }
    }

    fn link(namespace: &str, value: Option<&str>, version: u64) -> ExplainedLink {
        let entry = value.map(|value| TreeEntry {
            key: "x".to_owned(),
            entry_type: (value != "-").then(|| "number".to_owned()),
            value: (value != "-").then(|| RawValue::from_string(value.to_owned()).unwrap()),
            unset: value == "-",
            size: 1,
            description: String::new(),
            tags: Vec::new(),
            media_type: None,
            namespace: None,
        });
        ExplainedLink {
            namespace: namespace.to_owned(),
            inherit: namespace != "/a",
            commit: None,
            version: entry.is_some().then_some(version),
            entry,
        }
    }

    #[test]
    fn a_key_shows_what_overrides_what() {
        let version = Version {
            version: 3,
            entry_type: None,
            value: None,
            unset: false,
            removed: false,
            published_at: "2026-11-20T10:00:00Z".to_owned(),
            published_by: "ann".to_owned(),
            publish_request_id: Some("pr-4".to_owned()),
            approved_by: vec!["bob".to_owned()],
            commit: "ab".repeat(32),
            message: "raise".to_owned(),
            raft_term: 1,
            raft_index: 9,
        };
        let found = Explanation {
            namespace: "/a/b/c".to_owned(),
            key: "x".to_owned(),
            outcome: "value".to_owned(),
            from: Some("/a/b".to_owned()),
            chain: vec![
                link("/a/b/c", None, 0),
                link("/a/b", Some("5"), 3),
                link("/a", Some("-"), 1),
            ],
            last_change: Some(LastChange {
                namespace: "/a/b".to_owned(),
                version,
            }),
            schemas: vec![ExplainedSchema {
                namespace: "/a".to_owned(),
                path: "/schemas/a/base".to_owned(),
                property: Some(serde_json::json!({ "type": "integer" })),
                rules: vec![ExplainedRule {
                    keyword: "x-confman-immutable".to_owned(),
                    schema: "/schemas/a/base".to_owned(),
                    schema_pointer: "/properties/x/x-confman-immutable".to_owned(),
                }],
            }],
            requests: vec![OpenRequest {
                id: "pr-7".to_owned(),
                title: "lower it".to_owned(),
                state: "pending_review".to_owned(),
                namespace: "/a/b".to_owned(),
            }],
            may_change: vec![grant("editor", "ann", "/a/b"), grant("admin", "root", "/")],
        };
        insta::assert_snapshot!(key(&found).to_plain(), @r#"
        /a/b/c:x  comes from /a/b
          /a/b/c  nothing
        → /a/b  5  version 3
          /a  (unset)  version 1  overridden
          /a inherits nothing
        last change  version 3 in /a/b, abababababab by ann 2026-11-20 10:00:00Z, pr-4, approved by bob: raise
        schema       /schemas/a/base  of /a  {"type":"integer"}
        rule         x-confman-immutable  /schemas/a/base#/properties/x/x-confman-immutable
        request      pr-7 pending_review in /a/b: lower it
        may change   ann  editor of /a/b
                     root  admin of /
        "#);
    }

    #[test]
    fn a_permission_shows_by_which_grant() {
        let decision = |permission: &str, allowed, because| PermissionDecision {
            permission: permission.to_owned(),
            allowed,
            because,
            text: String::new(),
        };
        let found = PermissionReport {
            namespace: "/a".to_owned(),
            principal: "ann".to_owned(),
            groups: vec!["dev".to_owned()],
            role: Some("editor".to_owned()),
            permissions: vec![
                decision(
                    "config:write:draft",
                    true,
                    vec![grant("editor", "group:dev", "/")],
                ),
                decision(
                    "config:publish",
                    false,
                    vec![grant("editor", "group:dev", "/")],
                ),
            ],
        };
        insta::assert_snapshot!(permissions(&found).to_plain(), @"
        ann in /a  editor  groups dev
          yes  config:write:draft  by editor of group:dev on /
          no   config:publish      only editor of group:dev on /
        ");
    }
}
