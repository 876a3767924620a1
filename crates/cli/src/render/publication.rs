//! What a publish or roll back did.

use confman_api::commit::{Published, Tag};

use crate::render::draft::keys;
use crate::text::{Role, Text, count, short};

/// `published /teams/payments at 0123456789ab (was …): 2 keys`.
pub(crate) fn published(published: &Published) -> Text {
    let mut text = Text::new();
    text.plain(&format!("published {} at ", published.namespace));
    text.push(Role::Id, short(&published.commit));
    if let Some(previous) = &published.previous {
        text.faint(" (was ")
            .push(Role::Id, short(previous))
            .faint(")");
    }
    text.plain(&format!(": {}", count(published.keys.len(), "key")))
        .end_line();
    text.append(keys(&published.keys));
    if published.merged {
        text.faint("other keys had moved since the draft began; both sets of changes are in")
            .end_line();
    }
    if let Some(id) = &published.publish_request_id {
        text.faint(&format!(
            "an emergency: {id} is shown to everybody until another admin acknowledges it"
        ))
        .end_line();
    }
    text
}

/// One tag a line.
pub(crate) fn tags(tags: &[Tag]) -> Text {
    let rows: Vec<_> = tags
        .iter()
        .map(|tag| {
            vec![
                (Role::Heading, tag.name.clone()),
                (Role::Id, short(&tag.commit).to_owned()),
            ]
        })
        .collect();
    super::columns(&rows)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_publication_says_from_what_to_what() {
        let done = Published {
            namespace: "/teams/payments".to_owned(),
            commit: "ab".repeat(32),
            tree: "cd".repeat(32),
            previous: Some("ef".repeat(32)),
            operation: "01".repeat(32),
            index: 9,
            keys: vec!["a".to_owned(), "b/c".to_owned()],
            merged: true,
            publish_request_id: None,
            warnings: Vec::new(),
        };
        insta::assert_snapshot!(published(&done).to_plain(), @"
        published /teams/payments at abababababab (was efefefefefef): 2 keys
          a
          b/c
        other keys had moved since the draft began; both sets of changes are in
        ");
    }
}
