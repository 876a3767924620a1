//! Who last changed each key.

use confman_api::entry::Blame;

use crate::text::{Role, Text, short};

/// Rows of keys with the commit that gave each its value.
pub(crate) fn rows(blames: &[Blame]) -> Text {
    let rows: Vec<_> = blames
        .iter()
        .map(|blame| {
            vec![
                (Role::Id, short(&blame.commit).to_owned()),
                (
                    Role::Faint,
                    blame.at.split('T').next().unwrap_or_default().to_owned(),
                ),
                (Role::Plain, blame.author.clone()),
                (Role::Heading, blame.key.clone()),
                (Role::Faint, blame.message.clone()),
            ]
        })
        .collect();
    super::columns(&rows)
}
