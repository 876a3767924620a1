//! What a change means beside what it says: what it overrides, and where it has no effect.

use std::collections::BTreeMap;

use confman_api::explain::Explanation;
use confman_client::working_copy::Overrides;
use confman_model::{Entry, EntryDiff, Key};

use crate::comparison;
use crate::error::CliError;
use crate::render::mask::masked_entry;
use crate::render::value::entry_preview;

/// What stands around the entry of a key.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Surroundings {
    /// The nearest namespace above that has the key, and what it has.
    above: Option<(String, Entry)>,
    /// Whether there is nothing above that is not known.
    is_known: bool,
    /// Namespaces below that have an entry of their own.
    below: Vec<String>,
}

impl From<Overrides> for Surroundings {
    fn from(overrides: Overrides) -> Self {
        Self {
            above: overrides
                .above
                .map(|(namespace, entry)| (namespace.to_string(), entry)),
            is_known: overrides.is_known,
            below: overrides.below.iter().map(ToString::to_string).collect(),
        }
    }
}

impl Surroundings {
    /// What a server says of the chain of a key.
    pub(crate) fn explained(found: &Explanation) -> Result<Self, CliError> {
        let mut above = None;
        for link in found.chain.iter().skip(1) {
            if let (None, Some(entry)) = (&above, &link.entry) {
                above = Some((link.namespace.clone(), comparison::entry_of(entry)?));
            }
        }
        Ok(Self {
            above,
            ..Self::default()
        })
    }
}

/// Sentences about changes, by their keys.
pub(crate) type Hints = BTreeMap<Key, Vec<String>>;

/// What there is to say about differences, where their surroundings are known.
pub(crate) fn hints(diffs: &[EntryDiff], surroundings: &BTreeMap<Key, Surroundings>) -> Hints {
    let of = |diff: &EntryDiff| {
        let said = about(diff, surroundings.get(&diff.key)?);
        (!said.is_empty()).then(|| (diff.key.clone(), said))
    };
    diffs.iter().filter_map(of).collect()
}

fn about(diff: &EntryDiff, around: &Surroundings) -> Vec<String> {
    let mut said = Vec::new();
    let shown = |entry: &Entry| entry_preview(&masked_entry(&diff.key, entry));
    let is_value = |entry: &&Entry| entry.value().is_some();
    match (&diff.new, &around.above) {
        (Some(new), Some((namespace, above))) => match (new.value(), above.value()) {
            (Some(new), Some(old)) if new == old => {
                said.push(format!("the same as {namespace} has"));
            }
            (Some(_), Some(_)) => {
                said.push(format!("overrides {} of {namespace}", shown(above)));
            }
            (None, Some(_)) => said.push(format!("hides {} of {namespace}", shown(above))),
            (Some(_), None) => said.push(format!("has a value here, though {namespace} unsets it")),
            (None, None) => said.push(format!("{namespace} unsets it too")),
        },
        (Some(new), None) if new.value().is_none() && around.is_known => {
            said.push("hides nothing: no namespace above has it".to_owned());
        }
        (None, Some((namespace, above))) if is_value(&above) => {
            said.push(format!("{} of {namespace} holds then", shown(above)));
        }
        (None, _) if around.is_known => said.push("nothing holds then".to_owned()),
        _ => {}
    }
    if !around.below.is_empty() {
        said.push(format!(
            "no effect in {}, which {} own",
            around.below.join(", "),
            if around.below.len() == 1 {
                "has its"
            } else {
                "have their"
            }
        ));
    }
    said
}

#[cfg(test)]
mod tests {
    use confman_model::{EntryType, Value, ValueLimits};

    use super::*;

    fn entry(text: &str) -> Option<Entry> {
        match text {
            "" => None,
            "-" => Some(Entry::unset()),
            text => {
                let value = Value::new(EntryType::String, text, &ValueLimits::default());
                Some(Entry::of(value.unwrap()))
            }
        }
    }

    fn said(key: &str, old: &str, new: &str, above: &str, below: &[&str]) -> String {
        let key: Key = key.parse().unwrap();
        let diff = EntryDiff::between(&key, entry(old).as_ref(), entry(new).as_ref()).unwrap();
        let around = Surroundings {
            above: entry(above).map(|entry| ("/teams".to_owned(), entry)),
            is_known: true,
            below: below.iter().map(|path| (*path).to_owned()).collect(),
        };
        about(&diff, &around).join("; ")
    }

    #[test]
    fn a_change_says_what_it_overrides_and_where_it_has_no_effect() {
        let table = [
            said("a", "", "x", "", &[]),
            said("a", "", "x", "y", &[]),
            said("a", "z", "y", "y", &[]),
            said("a", "x", "", "y", &[]),
            said("a", "x", "", "", &[]),
            said("a", "x", "-", "y", &[]),
            said("a", "x", "-", "", &[]),
            said("a", "", "x", "-", &[]),
            said("a", "x", "", "-", &[]),
            said("db/password", "x", "z", "canary", &[]),
            said("a", "x", "z", "", &["/teams/a/b"]),
            said("a", "x", "z", "y", &["/teams/a/b", "/teams/a/c"]),
        ];
        insta::assert_snapshot!(table.join("\n"), @r#"
        overrides "y" of /teams
        the same as /teams has
        "y" of /teams holds then
        nothing holds then
        hides "y" of /teams
        hides nothing: no namespace above has it
        has a value here, though /teams unsets it
        nothing holds then
        overrides "(masked)" of /teams
        no effect in /teams/a/b, which has its own
        overrides "y" of /teams; no effect in /teams/a/b, /teams/a/c, which have their own
        "#);
    }
}
