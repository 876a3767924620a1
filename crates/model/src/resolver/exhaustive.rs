//! Every shape of chain up to four namespaces, and random trees, against a reference that is written the
//! other way round: it comes down from `/` and lays each namespace over what it inherits, where the resolver
//! goes up from the namespace and stops at the first entry.

use std::collections::BTreeMap;

use proptest::prelude::*;

use super::*;
use crate::document::{SchemaEnforcement, Settings};

/// Deepest chain that is enumerated.
const DEPTH_MAX: usize = 4;

/// What one namespace does with one key.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Own {
    /// It has a value.
    Value,
    /// It has a tombstone.
    Unset,
    /// It has nothing, so that the key is inherited.
    Inherited,
}

const OWN: [Own; 3] = [Own::Value, Own::Unset, Own::Inherited];

/// A namespace as the enumeration has it: what it does with the key, and whether it is cut.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Shape {
    own: Own,
    cut: bool,
}

/// An entry that knows where it is: namespaces are told apart by it.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Mark {
    depth: usize,
    unset: bool,
}

impl Tombstone for Mark {
    fn is_unset(&self) -> bool {
        self.unset
    }
}

/// The namespace at a depth: `/`, `/n`, `/n/n`, ….
fn at(depth: usize) -> Namespace {
    match depth {
        0 => Namespace::root(),
        depth => "/n".repeat(depth).parse().unwrap(),
    }
}

fn mark(depth: usize, own: Own) -> Option<Mark> {
    match own {
        Own::Inherited => None,
        own => Some(Mark {
            depth,
            unset: own == Own::Unset,
        }),
    }
}

/// Every sequence of `depth` shapes, `/` first.
fn shapes(depth: usize) -> Vec<Vec<Shape>> {
    let mut all = vec![Vec::new()];
    for _ in 0..depth {
        all = all
            .into_iter()
            .flat_map(|shorter| {
                OWN.into_iter().flat_map(move |own| {
                    let shorter = shorter.clone();
                    [false, true].map(move |cut| {
                        let mut longer = shorter.clone();
                        longer.push(Shape { own, cut });
                        longer
                    })
                })
            })
            .collect();
    }
    all
}

/// The reference: what holds in each namespace, from `/` down. Each entry with everything below it that
/// it overrides, nearest first.
fn reference(shapes: &[Shape]) -> Vec<Vec<Mark>> {
    let mut holds: Vec<Vec<Mark>> = Vec::new();
    for (depth, shape) in shapes.iter().enumerate() {
        let mut here: Vec<Mark> = match holds.last() {
            Some(above) if !shape.cut => above.clone(),
            _ => Vec::new(),
        };
        if let Some(own) = mark(depth, shape.own) {
            here.insert(0, own);
        }
        holds.push(here);
    }
    holds
}

#[test]
fn every_chain_resolves_as_laying_one_namespace_over_the_other_does() {
    let key: Key = "k".parse().unwrap();
    let mut seen = 0;
    for depth in 1..=DEPTH_MAX {
        for shapes in shapes(depth) {
            let expected = reference(&shapes).pop().unwrap();
            let inherits = |namespace: &Namespace| {
                let depth = namespace.ancestors().count() - 1;
                shapes.get(depth).map(|shape| !shape.cut)
            };
            let found_chain = chain(&at(depth - 1), inherits).unwrap();
            let layers: Vec<Layer<Mark>> = found_chain
                .iter()
                .map(|namespace| {
                    let depth = namespace.ancestors().count() - 1;
                    let own = mark(depth, shapes[depth].own);
                    Layer {
                        namespace: namespace.clone(),
                        entries: own.map(|own| (key.clone(), own)).into_iter().collect(),
                    }
                })
                .collect();
            let column: Vec<(Namespace, Option<Mark>)> = layers
                .iter()
                .map(|layer| {
                    let own = layer.entries.first().map(|(_, own)| own.clone());
                    (layer.namespace.clone(), own)
                })
                .collect();
            let one = effective_entry(&key, &column).unwrap();
            let all = effective(&layers).unwrap();
            let found: Vec<Mark> = one
                .iter()
                .flat_map(|one| {
                    assert_eq!(*one.namespace, at(one.entry.depth), "{shapes:?}");
                    std::iter::once(one.entry).chain(one.overrides.iter().map(|(from, mark)| {
                        assert_eq!(**from, at(mark.depth), "{shapes:?}");
                        *mark
                    }))
                })
                .cloned()
                .collect();
            assert_eq!(found, expected, "{shapes:?}");
            let value = expected.first().filter(|first| !first.unset);
            assert_eq!(all.get(&key).map(|found| found.entry), value, "{shapes:?}");
            assert_eq!(all.values.len(), usize::from(value.is_some()), "{shapes:?}");
            let hidden = expected.first().is_some_and(|first| first.unset);
            assert_eq!(all.unset.len(), usize::from(hidden), "{shapes:?}");
            for found in all.values.iter().chain(&all.unset) {
                assert_eq!(Some(found), one.as_ref(), "{shapes:?}");
            }
            seen += 1;
        }
    }
    // Three things to do with a key, cut or not, in one to four namespaces.
    assert_eq!(seen, 6 + 36 + 216 + 1296);
}

#[test]
fn every_gap_in_a_chain_is_an_error_and_never_a_part_of_the_answer() {
    for depth in 1..=DEPTH_MAX {
        for cuts in 0..1_u32 << depth {
            for missing in 0..1_u32 << depth {
                let state = |namespace: &Namespace| {
                    let depth = namespace.ancestors().count() - 1;
                    let is_set = |bits: u32| bits >> depth & 1 == 1;
                    (!is_set(missing)).then_some(!is_set(cuts))
                };
                let mut expected = Ok(Vec::new());
                for depth in (0..depth).rev() {
                    let namespace = at(depth);
                    let Some(inherits) = state(&namespace) else {
                        expected = Err(namespace);
                        break;
                    };
                    if let Ok(chain) = &mut expected {
                        chain.push(namespace);
                    }
                    if !inherits {
                        break;
                    }
                }
                let found = match chain(&at(depth - 1), state) {
                    Ok(chain) => Ok(chain),
                    Err(ResolveError::Missing { missing, .. }) => Err(missing),
                    Err(other) => panic!("{other}"),
                };
                assert_eq!(found, expected, "cuts {cuts:b}, missing {missing:b}");
            }
        }
    }
}

/// What one namespace states: nothing, or one of two values.
const STATED: [Option<u32>; 3] = [None, Some(1), Some(2)];

#[test]
fn every_setting_is_that_of_the_nearest_namespace_that_states_it() {
    for depth in 1..=DEPTH_MAX {
        let choices = STATED.len().pow(u32::try_from(depth).unwrap());
        for first in 0..choices {
            for second in 0..choices {
                let stated = |choice: usize, depth: usize| {
                    STATED[choice / STATED.len().pow(u32::try_from(depth).unwrap()) % STATED.len()]
                };
                // Two fields vary on their own; a third is stated by `/` alone.
                let settings: Vec<Settings> = (0..depth)
                    .map(|depth| Settings {
                        min_approvers: stated(first, depth),
                        environment: stated(second, depth).map(|n| format!("env{n}")),
                        schema_enforcement: (depth == 0).then_some(SchemaEnforcement::Warn),
                        ..Settings::default()
                    })
                    .collect();
                let mut expected = Settings::default();
                for here in &settings {
                    if here.min_approvers.is_some() {
                        expected.min_approvers = here.min_approvers;
                    }
                    if here.environment.is_some() {
                        expected.environment.clone_from(&here.environment);
                    }
                    if here.schema_enforcement.is_some() {
                        expected.schema_enforcement = here.schema_enforcement;
                    }
                }
                assert_eq!(Settings::effective(settings.iter().rev()), expected);
            }
        }
    }
}

/// A tree of namespaces: each node is cut or not, has some entries, and has children.
#[derive(Debug, Clone)]
struct Tree {
    cut: bool,
    own: BTreeMap<String, Option<u8>>,
    below: Vec<Tree>,
}

fn trees() -> impl Strategy<Value = Tree> {
    let own = || prop::collection::btree_map("[a-c](/[a-c])?", prop::option::of(0..4u8), 0..5);
    let leaf = (any::<bool>(), own()).prop_map(|(cut, own)| Tree {
        cut,
        own,
        below: Vec::new(),
    });
    leaf.prop_recursive(5, 40, 3, move |below| {
        (
            prop::bool::weighted(0.25),
            own(),
            prop::collection::vec(below, 0..3),
        )
            .prop_map(|(cut, own, below)| Tree { cut, own, below })
    })
}

impl Tombstone for Option<u8> {
    fn is_unset(&self) -> bool {
        self.is_none()
    }
}

/// What holds in each namespace of a tree, by the reference: `/` first, each laid over the one above.
fn lay(
    tree: &Tree,
    path: &str,
    above: &BTreeMap<String, Option<u8>>,
    found: &mut BTreeMap<String, BTreeMap<String, Option<u8>>>,
) {
    let mut here = if tree.cut {
        BTreeMap::new()
    } else {
        above.clone()
    };
    here.extend(tree.own.clone());
    let name = if path.is_empty() { "/" } else { path };
    for (index, below) in tree.below.iter().enumerate() {
        lay(below, &format!("{path}/n{index}"), &here, found);
    }
    found.insert(name.to_owned(), here);
}

fn flatten<'t>(tree: &'t Tree, path: &str, found: &mut BTreeMap<Namespace, &'t Tree>) {
    let name = if path.is_empty() { "/" } else { path };
    found.insert(name.parse().unwrap(), tree);
    for (index, below) in tree.below.iter().enumerate() {
        flatten(below, &format!("{path}/n{index}"), found);
    }
}

proptest! {
    #[test]
    fn every_namespace_of_a_tree_resolves_as_the_reference_does(tree in trees()) {
        let mut expected = BTreeMap::new();
        lay(&tree, "", &BTreeMap::new(), &mut expected);
        let mut namespaces = BTreeMap::new();
        flatten(&tree, "", &mut namespaces);
        prop_assert_eq!(expected.len(), namespaces.len());
        for namespace in namespaces.keys() {
            let inherits = |at: &Namespace| namespaces.get(at).map(|tree| !tree.cut);
            let layers: Vec<Layer<Option<u8>>> = chain(namespace, inherits)
                .unwrap()
                .into_iter()
                .map(|at| {
                    // Keys are sorted as keys are, which is not as their texts are.
                    let mut entries: Vec<(Key, Option<u8>)> = namespaces[&at]
                        .own
                        .iter()
                        .map(|(key, own)| (key.parse().unwrap(), *own))
                        .collect();
                    entries.sort_by(|one, other| one.0.cmp(&other.0));
                    Layer { namespace: at, entries }
                })
                .collect();
            let found = effective(&layers).unwrap();
            let flat: BTreeMap<String, Option<u8>> = found
                .values
                .iter()
                .chain(&found.unset)
                .map(|entry| (entry.key.to_string(), *entry.entry))
                .collect();
            prop_assert_eq!(&flat, &expected[namespace.as_str()], "{}", namespace);
            prop_assert!(found.values.iter().all(|entry| entry.entry.is_some()));
            for entry in found.values.iter().chain(&found.unset) {
                // Provenance: the namespace that is named has that entry, and so does each that is overridden.
                let own = |from: &Namespace| namespaces[from].own.get(entry.key.as_str());
                prop_assert_eq!(own(entry.namespace), Some(entry.entry));
                for (from, overridden) in &entry.overrides {
                    prop_assert!(from.contains(entry.namespace) && *from != entry.namespace);
                    prop_assert_eq!(own(from), Some(*overridden));
                }
            }
        }
    }
}
