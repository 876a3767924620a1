//! What one commit does to the entries of a namespace.

use std::collections::BTreeMap;

use crate::entry::Entry;
use crate::key::Key;

/// What happens to one key. To unset a key is to set it to a tombstone.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Change {
    /// The key has this entry from now on.
    Set(Entry),
    /// The namespace has no entry of its own for the key from now on.
    Remove,
}

/// Changes by key, in the order of keys.
pub type ChangeSet = BTreeMap<Key, Change>;

/// The changes that turn `old` into `new`.
#[must_use]
pub fn between(old: &BTreeMap<Key, Entry>, new: &BTreeMap<Key, Entry>) -> ChangeSet {
    let removed = old
        .keys()
        .filter(|key| !new.contains_key(*key))
        .map(|key| (key.clone(), Change::Remove));
    let set = new
        .iter()
        .filter(|(key, entry)| old.get(*key) != Some(*entry))
        .map(|(key, entry)| (key.clone(), Change::Set(entry.clone())));
    removed.chain(set).collect()
}

/// Carries out `changes` on `entries`.
pub fn apply(entries: &mut BTreeMap<Key, Entry>, changes: &ChangeSet) {
    for (key, change) in changes {
        match change {
            Change::Set(entry) => {
                entries.insert(key.clone(), entry.clone());
            }
            Change::Remove => {
                entries.remove(key);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::entry_type::EntryType;
    use crate::value::{Value, ValueLimits};

    fn entries() -> impl Strategy<Value = BTreeMap<Key, Entry>> {
        let key = "[a-c]{1,2}".prop_map(|text| text.parse().unwrap());
        let entry = prop::option::of(0_u8..3).prop_map(|number: Option<u8>| match number {
            Some(number) => Entry::of(
                Value::new(
                    EntryType::Number,
                    number.to_string(),
                    &ValueLimits::default(),
                )
                .unwrap(),
            ),
            None => Entry::unset(),
        });
        prop::collection::btree_map(key, entry, 0..8)
    }

    proptest! {
        #[test]
        fn the_changes_between_two_states_lead_from_one_to_the_other(old in entries(), new in entries()) {
            let changes = between(&old, &new);
            let mut reached = old.clone();
            apply(&mut reached, &changes);
            prop_assert_eq!(&reached, &new);
            for (key, change) in &changes {
                let as_change = new.get(key).map_or(Change::Remove, |entry| Change::Set(entry.clone()));
                prop_assert_eq!(change, &as_change);
                prop_assert_ne!(old.get(key), new.get(key), "a change that changes nothing");
            }
        }
    }
}
