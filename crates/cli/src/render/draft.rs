//! Drafts.

use confman_api::draft::{Draft, Drafted};

use crate::render::time;
use crate::text::{Role, Text, count, short};

/// Keys of a draft that are listed.
const KEYS_SHOWN_MAX: usize = 50;

/// One draft a line.
pub(crate) fn list(drafts: &[Draft]) -> Text {
    let rows: Vec<_> = drafts
        .iter()
        .map(|draft| {
            vec![
                (Role::Heading, format!("draft/{}", draft.name)),
                (Role::Id, short(&draft.head).to_owned()),
                (Role::Plain, count(draft.keys.len(), "key")),
                (Role::Plain, draft.updated_by.clone()),
                (Role::Faint, time(&draft.updated_at)),
            ]
        })
        .collect();
    super::columns(&rows)
}

/// One draft.
pub(crate) fn one(draft: &Draft) -> Text {
    let mut text = Text::new();
    text.push(
        Role::Heading,
        &format!("{}@draft/{}", draft.namespace, draft.name),
    )
    .end_line();
    text.faint("  head     ")
        .push(Role::Id, &draft.head)
        .end_line();
    text.faint("  base     ")
        .push(
            Role::Id,
            draft.base.as_deref().unwrap_or("nothing was published"),
        )
        .end_line();
    text.faint("  changed  ")
        .plain(&format!(
            "{} by {}",
            time(&draft.updated_at),
            draft.updated_by
        ))
        .end_line();
    text.append(keys(&draft.keys));
    text
}

/// Changed keys, the first of them by name.
pub(crate) fn keys(keys: &[String]) -> Text {
    let mut text = Text::new();
    for key in keys.iter().take(KEYS_SHOWN_MAX) {
        text.plain("  ").plain(key).end_line();
    }
    if let Some(more) = keys
        .len()
        .checked_sub(KEYS_SHOWN_MAX)
        .filter(|more| *more > 0)
    {
        text.plain("  ")
            .faint(&format!("… {} more", count(more, "key")))
            .end_line();
    }
    text
}

/// What a change to a draft did.
pub(crate) fn drafted(drafted: &Drafted) -> Text {
    let mut text = Text::new();
    text.plain(&format!(
        "{}@draft/{} is now ",
        drafted.namespace, drafted.draft
    ));
    text.push(Role::Id, short(&drafted.commit)).end_line();
    text
}
