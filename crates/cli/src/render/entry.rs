//! Entries: one in full, and one a line.

use confman_api::entry::{ConfigEntry, TreeEntry};

use crate::render::time;
use crate::render::value::{preview, revealed};
use crate::text::{Role, Text};

/// `limits/daily = 100  ← /teams`, for a list of `namespace`.
pub(crate) fn line(entry: &TreeEntry, namespace: &str) -> Text {
    let mut text = key_and_value(entry);
    if let Some(from) = entry.namespace.as_deref().filter(|from| *from != namespace) {
        text.faint(&format!("  ← {from}"));
    }
    text.end_line();
    text
}

/// `/teams:limits/daily = 100  #pci`, for a list of several namespaces.
pub(crate) fn found(entry: &TreeEntry) -> Text {
    let mut text = Text::new();
    text.plain(entry.namespace.as_deref().unwrap_or_default())
        .plain(":")
        .append(key_and_value(entry));
    for tag in &entry.tags {
        text.faint(&format!("  #{tag}"));
    }
    text.end_line();
    text
}

/// `limits/daily = 100`.
fn key_and_value(entry: &TreeEntry) -> Text {
    let mut text = Text::new();
    let value = preview(
        &entry.key,
        entry.entry_type.as_deref(),
        entry.value.as_deref(),
        entry.size,
        entry.unset,
    );
    text.push(Role::Heading, &entry.key)
        .plain(" = ")
        .plain(&value);
    text
}

/// The key alone.
pub(crate) fn name(entry: &TreeEntry) -> Text {
    Text::line(&entry.key)
}

/// An effective value and where it comes from.
pub(crate) fn origin(entry: &TreeEntry) -> Text {
    let mut text = Text::new();
    text.push(Role::Heading, &entry.key).end_line();
    // Whoever asks for one value wants to see it.
    let value = revealed(
        entry.entry_type.as_deref(),
        entry.value.as_deref(),
        entry.size,
        entry.unset,
    );
    field(&mut text, "value", &value);
    field(
        &mut text,
        "type",
        entry.entry_type.as_deref().unwrap_or("unset"),
    );
    field(
        &mut text,
        "from",
        entry.namespace.as_deref().unwrap_or_default(),
    );
    field(&mut text, "description", &entry.description);
    field(&mut text, "tags", &entry.tags.join(", "));
    field(
        &mut text,
        "media type",
        entry.media_type.as_deref().unwrap_or_default(),
    );
    text
}

/// Everything about an entry that a namespace itself has.
pub(crate) fn whole(entry: &ConfigEntry) -> Text {
    let mut text = Text::new();
    text.push(Role::Heading, &format!("{}:{}", entry.namespace, entry.key))
        .end_line();
    field(
        &mut text,
        "type",
        entry.entry_type.as_deref().unwrap_or("unset"),
    );
    field(&mut text, "description", &entry.description);
    field(&mut text, "tags", &entry.metadata.tags.join(", "));
    field(
        &mut text,
        "media type",
        entry.media_type.as_deref().unwrap_or_default(),
    );
    let entry_type = entry.entry_type.as_deref();
    match &entry.published {
        None => field(&mut text, "published", "never"),
        Some(published) => {
            let value = shown(
                &entry.key,
                entry_type,
                published.value.as_deref(),
                published.unset,
            );
            field(&mut text, "published", &value);
            let mut by = format!(
                "version {} by {}, {}",
                published.version,
                published.published_by,
                time(&published.published_at)
            );
            if let Some(request) = &published.publish_request_id {
                by.push_str(&format!(", {request}"));
            }
            faint_field(&mut text, &by);
        }
    }
    if let Some(draft) = &entry.draft {
        let removed = draft.value.is_none() && !draft.unset;
        let value = match removed {
            true => "(removed)".to_owned(),
            false => shown(&entry.key, entry_type, draft.value.as_deref(), draft.unset),
        };
        field(&mut text, "draft", &value);
        let by = format!(
            "draft/{}, would be version {}, by {}, {}",
            draft.name,
            draft.version,
            draft.updated_by,
            time(&draft.updated_at)
        );
        faint_field(&mut text, &by);
    }
    text
}

/// A value without its size: binary is measured by its base64.
fn shown(
    key: &str,
    entry_type: Option<&str>,
    value: Option<&serde_json::value::RawValue>,
    unset: bool,
) -> String {
    let base64 = value.map_or(0, |value| {
        value.get().trim_matches('"').trim_end_matches('=').len()
    });
    let size = u64::try_from(base64 * 3 / 4).unwrap_or(u64::MAX);
    preview(key, entry_type, value, size, unset)
}

fn field(text: &mut Text, name: &str, value: &str) {
    if !value.is_empty() {
        text.plain("  ")
            .faint(&format!("{name:<12}"))
            .plain(value)
            .end_line();
    }
}

fn faint_field(text: &mut Text, value: &str) {
    text.plain("  ")
        .plain(&" ".repeat(12))
        .faint(value)
        .end_line();
}

#[cfg(test)]
mod tests {
    use super::*;

    fn tree_entry(json: &str) -> TreeEntry {
        serde_json::from_str(json).unwrap()
    }

    #[test]
    fn inherited_entries_say_where_from() {
        let own = tree_entry(
            r#"{"key":"a","type":"number","value":1.0,"size":3,"namespace":"/teams/x"}"#,
        );
        let inherited =
            tree_entry(r#"{"key":"b","type":"string","value":"é","size":2,"namespace":"/"}"#);
        assert_eq!(line(&own, "/teams/x").to_plain(), "a = 1.0\n");
        assert_eq!(
            line(&inherited, "/teams/x").to_marked(),
            "[Heading:b] = \"é\"[Faint:  ← /]\n"
        );
    }

    #[test]
    fn an_entry_shows_both_of_its_sides() {
        let entry: ConfigEntry = serde_json::from_str(
            r#"{
                "namespace": "/teams/payments", "key": "stripe/api-version", "type": "string",
                "description": "as in the dashboard",
                "published": {"value": "2024-06-20", "version": 3, "publishedAt": "2026-11-20T10:00:00Z", "publishedBy": "alice"},
                "draft": {"value": "2025-01-01", "version": 4, "state": "draft", "updatedAt": "2026-11-21T09:30:00Z", "updatedBy": "bob", "name": "bob"},
                "metadata": {"created": "2026-01-01T00:00:00Z", "createdBy": "alice", "tags": ["a", "b"]}
            }"#,
        )
        .unwrap();
        insta::assert_snapshot!(whole(&entry).to_plain(), @r#"
        /teams/payments:stripe/api-version
          type        string
          description as in the dashboard
          tags        a, b
          published   "2024-06-20"
                      version 3 by alice, 2026-11-20 10:00:00Z
          draft       "2025-01-01"
                      draft/bob, would be version 4, by bob, 2026-11-21 09:30:00Z
        "#);
    }
}
