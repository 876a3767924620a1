//! Who last changed each key.

use confman_api::entry::Blame;

use crate::text::{Role, Text, short};

/// The request that brought a value, and whose approvals let it.
fn reviewed(blame: &Blame) -> String {
    let request = blame.publish_request_id.clone().unwrap_or_default();
    match blame.approved_by.is_empty() {
        true => request,
        false => format!("{request} approved by {}", blame.approved_by.join(", ")),
    }
}

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
                (Role::Plain, reviewed(blame)),
                (Role::Faint, blame.message.clone()),
            ]
        })
        .collect();
    super::columns(&rows)
}
