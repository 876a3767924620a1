//! Derived rows as the operations give them, beside those that are stored: compared, and mended.
//!
//! INVARIANT: each step of mending makes one row what the operations give. Stopped at any moment, it has done a part
//! of it, and nothing else.

use std::collections::HashMap;
use std::sync::Arc;

use confman_refs::IndexRow;

use crate::derived::{DERIVED, Derivation};
use crate::error::{Error, chain};
use crate::repo::Repo;
use crate::row;
use crate::seen::Seen;

/// The place of a row: its table, and its prefix and suffix with the index between.
type Place = (u8, Vec<u8>);

/// The hashes of the rows that the operations give.
pub(crate) struct Derived(HashMap<Place, [u8; 32]>);

/// How the rows that are stored differ from those that the operations give.
#[derive(Debug, Default)]
pub(crate) struct Compared {
    /// Rows that are stored.
    pub(crate) rows: u64,
    /// Of these, rows of operations that are not here yet.
    pub(crate) ahead: u64,
    missing: Vec<Place>,
    different: Vec<Place>,
    /// Rows that no operation gives.
    surplus: Vec<Place>,
    unread: Vec<String>,
}

impl Derived {
    /// What the operations give, each shown to `visit` with its log index; and what cannot be made.
    pub(crate) fn of(
        seen: &Seen<'_>,
        visit: &mut dyn FnMut(u64, Vec<IndexRow>) -> Result<(), Error>,
    ) -> (Self, Vec<String>) {
        let mut derivation = Derivation::new(seen);
        let (mut derived, mut failures) = (HashMap::new(), Vec::new());
        for sequence in 1..=seen.view.sequence() {
            let operation = match seen.repo.node.operation_at(sequence) {
                Ok(Some((_, operation))) => operation,
                // The check of the chain has told this.
                Ok(None) | Err(_) => continue,
            };
            let made = match derivation.rows_of(&operation) {
                Ok(made) => made,
                Err((name, error)) => {
                    failures.push(format!(
                        "the rows of `{name}` at operation {sequence} cannot be made: {}",
                        chain(&error)
                    ));
                    continue;
                }
            };
            for made in &made {
                let hash = *blake3::hash(&made.value).as_bytes();
                derived.insert(place(made, operation.index), hash);
            }
            if let Err(error) = visit(operation.index, made) {
                failures.push(format!(
                    "the rows of operation {sequence} cannot be written: {}",
                    chain(&error)
                ));
            }
        }
        (Self(derived), failures)
    }

    /// Holds them against what is stored.
    pub(crate) fn compare(self, seen: &Seen<'_>) -> Compared {
        let Self(mut expected) = self;
        let newest = seen.view.index();
        let mut compared = Compared::default();
        for table in DERIVED {
            let read = seen.repo.node.each_row(table, &mut |key, value| {
                compared.rows += 1;
                let place = (table, key.to_vec());
                match expected.remove(&place) {
                    Some(hash) if hash == *blake3::hash(value).as_bytes() => {}
                    Some(_) => compared.different.push(place),
                    None if row::index_of(table, key).is_some_and(|index| index > newest) => {
                        compared.ahead += 1;
                    }
                    None => compared.surplus.push(place),
                }
            });
            if let Err(error) = read {
                compared.unread.push(format!(
                    "the rows of table {table} cannot be read: {}",
                    chain(&error)
                ));
            }
        }
        compared.missing = expected.into_keys().collect();
        compared.missing.sort();
        compared
    }
}

impl Compared {
    /// What is wrong with them.
    pub(crate) fn problems(&self) -> Vec<String> {
        let different = self
            .different
            .iter()
            .map(|place| format!("row {} differs from what the operations give", shown(place)));
        let surplus = self
            .surplus
            .iter()
            .map(|place| format!("row {} is there though no operation gives it", shown(place)));
        let missing = self
            .missing
            .iter()
            .map(|place| format!("row {} is missing", shown(place)));
        different
            .chain(surplus)
            .chain(self.unread.iter().cloned())
            .chain(missing)
            .collect()
    }
}

impl Repo {
    /// Makes the derived rows that are missing or wrong again from the operations, and removes those that no
    /// operation gives. Nobody may write to the store meanwhile. Gives how many rows were changed.
    ///
    /// # Errors
    /// The operations cannot be followed to the end: what they lead to is to be mended first, and nothing was
    /// changed. Or the disk fails.
    pub fn mend_rows(self: &Arc<Self>) -> Result<u64, Error> {
        let session = self.holder();
        let seen = session.look()?;
        let report = self.node.verify_operations()?;
        let broken = report
            .difference
            .map(|difference| format!("operation {}: {}", difference.sequence, difference.reason));
        let (derived, mut failures) = Derived::of(&seen, &mut |_, _| Ok(()));
        failures.extend(broken);
        if let Some(reason) = failures.first() {
            return Err(Error::bug(format!(
                "the rows cannot be made again before everything that they follow from is whole: {reason}"
            )));
        }
        let compared = derived.compare(&seen);
        if let Some(reason) = compared.unread.first() {
            return Err(Error::bug(reason.clone()));
        }
        let wrong: std::collections::HashSet<Place> = compared
            .missing
            .into_iter()
            .chain(compared.different)
            .collect();
        let (_, failures) = Derived::of(&seen, &mut |index, rows| {
            let rows: Vec<IndexRow> = rows
                .into_iter()
                .filter(|row| wrong.contains(&place(row, index)))
                .collect();
            match rows.is_empty() {
                true => Ok(()),
                false => Ok(self.node.put_rows(index, &rows)?),
            }
        });
        if let Some(reason) = failures.first() {
            return Err(Error::bug(reason.clone()));
        }
        for (table, key) in &compared.surplus {
            self.node.remove_row(*table, key)?;
        }
        Ok((wrong.len() + compared.surplus.len()) as u64)
    }
}

fn place(row: &IndexRow, index: u64) -> Place {
    let mut key = row.prefix.clone();
    key.extend_from_slice(&(!index).to_be_bytes());
    key.extend_from_slice(&row.suffix);
    (row.table, key)
}

/// A row's place in text.
fn shown((table, key): &Place) -> String {
    let name = match *table {
        row::HISTORY => "history",
        row::POSITION => "position",
        row::LIFE => "life",
        _ => "commit",
    };
    format!("{name} `{}`", key.escape_ascii())
}
