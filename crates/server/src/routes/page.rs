//! Pages of lists: how many items, after which one, and of which state.

use std::str::FromStr;

use confman_repo::ResolvedRevision;
use confman_repo::model::Revision;

use crate::call::{PAGE_ITEMS_DEFAULT, PAGE_ITEMS_MAX};
use crate::cursor;
use crate::query::Query;

/// Stands in a cursor for a state that is not pinned.
const NOT_PINNED: &str = "-";

/// How many items.
pub(super) fn limit(query: &mut Query) -> usize {
    query.count("limit", PAGE_ITEMS_DEFAULT, PAGE_ITEMS_MAX)
}

/// The item that the page begins after.
pub(super) fn after<T: FromStr>(query: &mut Query, list: &str) -> Option<T> {
    let position = cursor::decode(list, query.text("cursor")?).ok();
    let after = position.and_then(|position| position.parse().ok());
    if after.is_none() {
        query.refuse(format!(
            "the query parameter `cursor` is not valid: {}",
            cursor::CursorError
        ));
    }
    after
}

/// A cursor after an item of a list whose order nothing moves.
pub(super) fn next<T: ToString>(list: &str, after: Option<&T>) -> Option<String> {
    after.map(|after| cursor::encode(list, &after.to_string()))
}

/// Where a list of a revision goes on: in the state that its first page was read from, so that a
/// publication between two pages neither hides nor repeats an item.
pub(super) struct Pinned<T> {
    /// The state for each revision of the list, where it could be pinned.
    pub(super) states: Vec<Option<Revision>>,
    /// The item that the page begins after.
    pub(super) after: Option<T>,
}

/// Reads a cursor that pins so many revisions.
pub(super) fn pinned<T: FromStr>(query: &mut Query, list: &str, revisions: usize) -> Pinned<T> {
    let first = Pinned {
        states: vec![None; revisions],
        after: None,
    };
    let Some(text) = after::<String>(query, list) else {
        return first;
    };
    let mut words: Vec<&str> = text.split(' ').collect();
    let after = words.pop().and_then(|after| after.parse().ok());
    let states: Option<Vec<_>> = words
        .iter()
        .map(|word| {
            if *word == NOT_PINNED {
                Some(None)
            } else {
                word.parse().ok().map(Some)
            }
        })
        .collect();
    match (states, after) {
        (Some(states), Some(after)) if states.len() == revisions => Pinned {
            states,
            after: Some(after),
        },
        _ => {
            query.refuse(format!(
                "the query parameter `cursor` is not valid: {}",
                cursor::CursorError
            ));
            first
        }
    }
}

/// A cursor after an item, in the states that were read. Only what is published for good can be
/// pinned; a draft is read as it is.
pub(super) fn next_pinned<T: ToString>(
    list: &str,
    states: &[&ResolvedRevision],
    after: Option<&T>,
) -> Option<String> {
    let after = after?;
    let mut words: Vec<String> = states
        .iter()
        .map(|state| match (state.commit, state.position) {
            (Some(commit), Some(_)) => commit.to_string(),
            _ => NOT_PINNED.to_owned(),
        })
        .collect();
    words.push(after.to_string());
    Some(cursor::encode(list, &words.join(" ")))
}
