//! Whether what clients wrote down can have happened: what they published is in the histories of the keys, once each,
//! and all calls have an order.

use std::collections::BTreeMap;

use confman_refs::testing::history::{self, Accepted, Call};

use crate::client::{Asked, Reread};

/// The values that each register had, oldest first, as the store tells them in the end.
pub type Chains = BTreeMap<String, Vec<String>>;

/// What is wrong, and what the history holds where its order is right.
pub fn check(asked: &[Asked], reread: &[Reread], chains: &Chains) -> (Vec<String>, Accepted) {
    let mut wrong = Vec::new();
    let mut places: BTreeMap<(&str, &str), usize> = BTreeMap::new();
    for (register, chain) in chains {
        for (place, value) in chain.iter().enumerate() {
            if places.insert((register, value), place).is_some() {
                wrong.push(format!("`{value}` was published twice to {register}"));
            }
        }
    }
    let mut calls = Vec::new();
    for one in asked {
        let found: Vec<Option<usize>> = one
            .written
            .iter()
            .map(|(register, value)| places.get(&(register.as_str(), value.as_str())).copied())
            .collect();
        let some = found.iter().any(Option::is_some);
        if some && found.iter().any(Option::is_none) {
            wrong.push(format!("one half of a publish is there: {one:?}"));
        }
        if !some && !one.written.is_empty() {
            if one.ended.is_some() {
                wrong.push(format!("an acknowledged publish is lost: {one:?}"));
            }
            continue;
        }
        if one.written.is_empty() && one.ended.is_none() {
            continue;
        }
        calls.push(call(one, &found, chains));
    }
    for one in reread {
        let place = |value: &str| places.get(&(one.register.as_str(), value)).copied();
        let (written, seen) = (place(&one.written), one.seen.as_deref().and_then(place));
        if seen < written {
            wrong.push(format!("a client did not read its own write: {one:?}"));
        }
    }
    let accepted = match history::check(&calls) {
        Ok(accepted) => accepted,
        Err(violation) => {
            wrong.push(violation.to_string());
            Accepted::default()
        }
    };
    (wrong, accepted)
}

/// As the checker takes it: a publish says what it replaced.
fn call(asked: &Asked, found: &[Option<usize>], chains: &Chains) -> Call {
    let mut seen = asked.seen.clone();
    for ((register, _), place) in asked.written.iter().zip(found) {
        let before = place
            .and_then(|place| place.checked_sub(1))
            .and_then(|before| chains.get(register)?.get(before).cloned());
        seen.insert(register.clone(), before);
    }
    Call {
        client: format!("{} at {}", asked.client, asked.node),
        began: asked.began,
        ended: asked.ended,
        seen,
        written: asked.written.clone(),
    }
}
