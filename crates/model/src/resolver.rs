//! What holds in a namespace: its own entries and those it inherits.
//!
//! Per key, the nearest namespace of the chain that has an entry wins as a whole; a tombstone wins
//! like a value, and then the key has none.
//!
//! INVARIANT: it fails closed. What cannot be resolved is an error, never an empty answer.

use thiserror::Error;

use crate::entry::Entry;
use crate::key::Key;
use crate::namespace::Namespace;

/// Something that may be a tombstone.
///
/// Implemented by [`Entry`], and by whatever a store keeps in its place, so that resolving does
/// not load values.
pub trait Tombstone {
    /// Whether it hides what is inherited.
    fn is_unset(&self) -> bool;
}

impl Tombstone for Entry {
    fn is_unset(&self) -> bool {
        Self::is_unset(self)
    }
}

impl<T: Tombstone + ?Sized> Tombstone for &T {
    fn is_unset(&self) -> bool {
        (**self).is_unset()
    }
}

/// The own entries of one namespace of a chain.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Layer<T = Entry> {
    /// Whose entries they are.
    pub namespace: Namespace,
    /// The entries in strictly ascending order of keys.
    pub entries: Vec<(Key, T)>,
}

/// All that holds in the first namespace of a chain.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Effective<'a, T = Entry> {
    /// What each key is, in the order of keys.
    pub values: Vec<EffectiveEntry<'a, T>>,
    /// Keys that a tombstone hides or keeps without a value, in the order of keys.
    pub unset: Vec<EffectiveEntry<'a, T>>,
}

/// The entry that wins for a key, and where it comes from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct EffectiveEntry<'a, T = Entry> {
    /// Which key.
    pub key: &'a Key,
    /// The entry of the nearest namespace that has one.
    pub entry: &'a T,
    /// That namespace.
    pub namespace: &'a Namespace,
    /// What it overrides further up, nearest first.
    pub overrides: Vec<(&'a Namespace, &'a T)>,
}

/// Why a chain cannot be resolved.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum ResolveError {
    /// There is no layer.
    #[error("nothing to resolve: the chain has no namespace")]
    EmptyChain,
    /// A layer does not belong to the parent of the layer before it.
    #[error("`{found}` cannot follow `{after}` in a chain, only its parent can")]
    NotParent {
        /// The namespace before.
        after: Namespace,
        /// The namespace that follows it.
        found: Namespace,
    },
    /// The entries of a layer are not in strictly ascending order.
    #[error("the entries of `{namespace}` are not in strictly ascending order at key `{key}`")]
    Unsorted {
        /// Whose entries.
        namespace: Namespace,
        /// The first key that is out of order.
        key: Key,
    },
    /// A namespace of the chain does not exist.
    #[error("`{missing}` does not exist, so what holds in `{namespace}` is not known")]
    Missing {
        /// The namespace asked for.
        namespace: Namespace,
        /// The namespace that is missing.
        missing: Namespace,
    },
}

impl<'a, T> Effective<'a, T> {
    /// What `key` is, if it has a value.
    #[must_use]
    pub fn get(&self, key: &Key) -> Option<&EffectiveEntry<'a, T>> {
        let place = self
            .values
            .binary_search_by(|value| value.key.cmp(key))
            .ok()?;
        self.values.get(place)
    }
}

/// The namespaces that `namespace` inherits from, itself first, cut after the first that does not
/// inherit. `inherit` answers what the document of a namespace says, `None` where there is none.
///
/// # Errors
/// Fails where a namespace on the way does not exist.
pub fn chain(
    namespace: &Namespace,
    inherit: impl Fn(&Namespace) -> Option<bool>,
) -> Result<Vec<Namespace>, ResolveError> {
    let mut chain = Vec::new();
    for ancestor in namespace.ancestors() {
        let Some(inherits) = inherit(&ancestor) else {
            let namespace = namespace.clone();
            return Err(ResolveError::Missing {
                namespace,
                missing: ancestor,
            });
        };
        chain.push(ancestor);
        if !inherits {
            break;
        }
    }
    Ok(chain)
}

/// All that holds in the first namespace of `chain`.
///
/// # Errors
/// Fails where `chain` is not a chain or a layer is not sorted.
pub fn effective<T: Tombstone>(chain: &[Layer<T>]) -> Result<Effective<'_, T>, ResolveError> {
    check(chain)?;
    let mut rests: Vec<(&Namespace, &[(Key, T)])> = chain
        .iter()
        .map(|layer| (&layer.namespace, layer.entries.as_slice()))
        .collect();
    let mut effective = Effective {
        values: Vec::new(),
        unset: Vec::new(),
    };
    loop {
        let heads = rests.iter().filter_map(|(_, rest)| rest.first());
        let Some(key) = heads.map(|(key, _)| key).min() else {
            return Ok(effective);
        };
        let mut winner: Option<EffectiveEntry<'_, T>> = None;
        for (namespace, rest) in &mut rests {
            if let Some(((found, entry), after)) = rest.split_first()
                && found == key
            {
                *rest = after;
                match &mut winner {
                    Some(winner) => winner.overrides.push((*namespace, entry)),
                    None => {
                        let overrides = Vec::new();
                        winner = Some(EffectiveEntry {
                            key,
                            entry,
                            namespace,
                            overrides,
                        });
                    }
                }
            }
        }
        match winner {
            Some(winner) if winner.entry.is_unset() => effective.unset.push(winner),
            Some(winner) => effective.values.push(winner),
            None => {}
        }
    }
}

/// The entry that wins for one key, tombstones included, given what each namespace of a chain has
/// for it. `None` where none has anything.
///
/// # Errors
/// Fails where `chain` is not a chain.
pub fn effective_entry<'a, T>(
    key: &'a Key,
    chain: &'a [(Namespace, Option<T>)],
) -> Result<Option<EffectiveEntry<'a, T>>, ResolveError> {
    check_order(chain.iter().map(|(namespace, _)| namespace))?;
    let mut found = chain
        .iter()
        .filter_map(|(namespace, entry)| entry.as_ref().map(|entry| (namespace, entry)));
    Ok(found.next().map(|(namespace, entry)| EffectiveEntry {
        key,
        entry,
        namespace,
        overrides: found.collect(),
    }))
}

fn check<T>(chain: &[Layer<T>]) -> Result<(), ResolveError> {
    check_order(chain.iter().map(|layer| &layer.namespace))?;
    for layer in chain {
        for pair in layer.entries.windows(2) {
            if let [(before, _), (key, _)] = pair
                && before >= key
            {
                let namespace = layer.namespace.clone();
                return Err(ResolveError::Unsorted {
                    namespace,
                    key: key.clone(),
                });
            }
        }
    }
    Ok(())
}

fn check_order<'a>(chain: impl Iterator<Item = &'a Namespace>) -> Result<(), ResolveError> {
    let mut before: Option<&Namespace> = None;
    for found in chain {
        if let Some(after) = before
            && after.parent().as_ref() != Some(found)
        {
            return Err(ResolveError::NotParent {
                after: after.clone(),
                found: found.clone(),
            });
        }
        before = Some(found);
    }
    before.map(|_| ()).ok_or(ResolveError::EmptyChain)
}

#[cfg(test)]
mod exhaustive;

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use insta::assert_snapshot;
    use proptest::prelude::*;

    use super::*;

    /// An entry as a test writes it: a word, or `-` for a tombstone.
    #[derive(Debug, Clone, PartialEq, Eq)]
    struct Word(String);

    impl Tombstone for Word {
        fn is_unset(&self) -> bool {
            self.0 == "-"
        }
    }

    fn namespace(text: &str) -> Namespace {
        text.parse().unwrap()
    }

    fn layer(path: &str, entries: &str) -> Layer<Word> {
        let entry = |text: &str| {
            let (key, word) = text.split_once('=').unwrap();
            (key.parse().unwrap(), Word(word.to_owned()))
        };
        Layer {
            namespace: namespace(path),
            entries: entries.split_whitespace().map(entry).collect(),
        }
    }

    #[must_use]
    fn resolved(chain: &[Layer<Word>]) -> String {
        let show = |entry: &EffectiveEntry<'_, Word>| {
            let overrides: Vec<String> = entry
                .overrides
                .iter()
                .map(|(namespace, word)| format!("{} of {namespace}", word.0))
                .collect();
            let over = if overrides.is_empty() { "" } else { ", over " };
            let overrides = overrides.join(", ");
            format!(
                "{}={} of {}{over}{overrides}\n",
                entry.key, entry.entry.0, entry.namespace
            )
        };
        match effective(chain) {
            Ok(effective) => {
                let values: String = effective.values.iter().map(show).collect();
                let unset: String = effective.unset.iter().map(show).collect();
                format!("{values}--\n{unset}")
            }
            Err(error) => error.to_string(),
        }
    }

    #[test]
    fn the_nearest_entry_wins_as_a_whole_and_tells_what_it_overrides() {
        let chain = [
            layer("/a/b", "host=near timeout=5"),
            layer("/a", "host=middle port=1"),
            layer("/", "host=far port=2 region=eu"),
        ];
        assert_snapshot!(resolved(&chain), @"
        host=near of /a/b, over middle of /a, far of /
        port=1 of /a, over 2 of /
        region=eu of /
        timeout=5 of /a/b
        --
        ");
    }

    #[test]
    fn a_tombstone_hides_what_is_inherited_and_a_nearer_value_overrides_it() {
        let chain = [
            layer("/a/b", "back=1 gone=-"),
            layer("/a", "back=- gone=2 never=-"),
            layer("/", "back=3 gone=4"),
        ];
        assert_snapshot!(resolved(&chain), @"
        back=1 of /a/b, over - of /a, 3 of /
        --
        gone=- of /a/b, over 2 of /a, 4 of /
        never=- of /a
        ");
    }

    #[test]
    fn equal_text_of_key_and_namespace_stays_apart() {
        let chain = [layer("/pay/stripe", "api=1"), layer("/pay", "stripe/api=2")];
        assert_snapshot!(resolved(&chain), @"
        api=1 of /pay/stripe
        stripe/api=2 of /pay
        --
        ");
    }

    #[test]
    fn what_is_no_chain_is_an_error() {
        let report = [
            resolved(&[]),
            resolved(&[layer("/a/b", ""), layer("/", "")]),
            resolved(&[layer("/", ""), layer("/a", "")]),
            resolved(&[layer("/a", ""), layer("/a", "")]),
            resolved(&[layer("/a/b", ""), layer("/c", "")]),
            resolved(&[layer("/a", "x=1"), layer("/", "b=1 a=1")]),
            resolved(&[layer("/a", "a=1 a=1"), layer("/", "")]),
        ];
        assert_snapshot!(report.join("\n"), @"
        nothing to resolve: the chain has no namespace
        `/` cannot follow `/a/b` in a chain, only its parent can
        `/a` cannot follow `/` in a chain, only its parent can
        `/a` cannot follow `/a` in a chain, only its parent can
        `/c` cannot follow `/a/b` in a chain, only its parent can
        the entries of `/` are not in strictly ascending order at key `a`
        the entries of `/a` are not in strictly ascending order at key `a`
        ");
    }

    #[test]
    fn the_chain_ends_after_the_first_namespace_that_does_not_inherit() {
        let documents = BTreeMap::from([
            (namespace("/"), true),
            (namespace("/a"), true),
            (namespace("/a/b"), false),
            (namespace("/a/b/c"), true),
        ]);
        let chain_of = |path: &str| match chain(&namespace(path), |at| documents.get(at).copied()) {
            Ok(chain) => chain
                .iter()
                .map(ToString::to_string)
                .collect::<Vec<_>>()
                .join(" "),
            Err(error) => error.to_string(),
        };
        let report = ["/a/b/c", "/a/b", "/a", "/", "/x", "/a/x/y"].map(chain_of);
        assert_snapshot!(report.join("\n"), @"
        /a/b/c /a/b
        /a/b
        /a /
        /
        `/x` does not exist, so what holds in `/x` is not known
        `/a/x/y` does not exist, so what holds in `/a/x/y` is not known
        ");
    }

    #[test]
    fn a_missing_namespace_between_is_an_error_and_not_a_gap() {
        let exists = |at: &Namespace| (at.as_str() != "/a").then_some(true);
        assert_snapshot!(chain(&namespace("/a/b"), exists).unwrap_err(), @"`/a` does not exist, so what holds in `/a/b` is not known");
    }

    fn layers() -> impl Strategy<Value = Vec<Layer<Word>>> {
        let entries =
            prop::collection::btree_map("[a-d]", prop::sample::select(vec!["-", "1", "2"]), 0..4);
        prop::collection::vec(entries, 1..5).prop_map(|layers| {
            let below = "/n".repeat(layers.len() - 1);
            let deepest = namespace(if below.is_empty() { "/" } else { &below });
            let layer = |(namespace, entries): (Namespace, BTreeMap<String, &str>)| Layer {
                namespace,
                entries: entries
                    .into_iter()
                    .map(|(key, word)| (key.parse().unwrap(), Word(word.to_owned())))
                    .collect(),
            };
            deepest.ancestors().zip(layers).map(layer).collect()
        })
    }

    proptest! {
        #[test]
        fn resolving_is_laying_the_layers_over_one_another(chain in layers()) {
            let mut expected: BTreeMap<&Key, (&Word, &Namespace)> = BTreeMap::new();
            for layer in chain.iter().rev() {
                for (key, word) in &layer.entries {
                    expected.insert(key, (word, &layer.namespace));
                }
            }
            expected.retain(|_, (word, _)| !word.is_unset());
            let effective = effective(&chain).unwrap();
            let found: BTreeMap<&Key, (&Word, &Namespace)> =
                effective.values.iter().map(|value| (value.key, (value.entry, value.namespace))).collect();
            prop_assert_eq!(&found, &expected);
            prop_assert_eq!(found.len(), effective.values.len());
            prop_assert!(found.keys().all(|key| effective.get(key).is_some()));
        }

        #[test]
        fn one_key_resolves_as_it_does_among_all(chain in layers(), key in "[a-d]") {
            let key: Key = key.parse().unwrap();
            let has = |layer: &Layer<Word>| {
                let word = layer.entries.iter().find(|(found, _)| *found == key).map(|(_, word)| word.clone());
                (layer.namespace.clone(), word)
            };
            let column: Vec<(Namespace, Option<Word>)> = chain.iter().map(has).collect();
            let one = effective_entry(&key, &column).unwrap();
            let all = effective(&chain).unwrap();
            let among = all.values.iter().chain(&all.unset).find(|entry| *entry.key == key);
            prop_assert_eq!(one.as_ref(), among);
        }
    }
}
