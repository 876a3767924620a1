//! The versions of a key.

use confman_api::entry::Version;

use crate::render::time;
use crate::render::value::preview;
use crate::text::{Role, Text, short};

/// One version of a key in two lines: when, by whom and why; what it was.
pub(crate) fn version(key: &str, version: &Version) -> Text {
    let mut text = Text::new();
    text.push(Role::Heading, &format!("version {}", version.version))
        .plain("  ");
    text.push(Role::Id, short(&version.commit)).plain("  ");
    text.faint(&time(&version.published_at))
        .plain("  ")
        .plain(&version.published_by);
    if let Some(request) = &version.publish_request_id {
        text.plain("  ").plain(request);
    }
    if !version.approved_by.is_empty() {
        text.faint(" approved by ")
            .plain(&version.approved_by.join(", "));
    }
    if !version.message.is_empty() {
        text.plain("  ").faint(&version.message);
    }
    text.end_line();
    text.plain("  ");
    match version.removed {
        true => text.push(Role::Removed, "(removed)"),
        false => {
            let base64 = version.value.as_ref().map_or(0, |value| value.get().len());
            let size = u64::try_from(base64 * 3 / 4).unwrap_or(u64::MAX);
            text.plain(&preview(
                key,
                version.entry_type.as_deref(),
                version.value.as_deref(),
                size,
                version.unset,
            ))
        }
    };
    text.end_line();
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn versions_show_values_and_removals() {
        let parse = |json: &str| -> Version { serde_json::from_str(json).unwrap() };
        let mut text = version(
            "k",
            &parse(&format!(
                r#"{{"version":2,"removed":true,"publishedAt":"2026-11-20T10:00:00Z","publishedBy":"bob",
                "commit":"{}","message":"not needed","raftTerm":1,"raftIndex":9}}"#,
                "ab".repeat(32)
            )),
        );
        text.append(version("k", &parse(&format!(
            r#"{{"version":1,"type":"json","value":{{"a": 1}},"publishedAt":"2026-11-19T10:00:00Z","publishedBy":"alice",
                "publishRequestId":"pr-1","commit":"{}","message":"first","raftTerm":1,"raftIndex":5}}"#,
            "cd".repeat(32)
        ))));
        insta::assert_snapshot!(text.to_plain(), @r#"
        version 2  abababababab  2026-11-20 10:00:00Z  bob  not needed
          (removed)
        version 1  cdcdcdcdcdcd  2026-11-19 10:00:00Z  alice  pr-1  first
          {"a": 1}
        "#);
    }
}
