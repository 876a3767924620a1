//! Random transactions against a map, with reopening in between: every view of the past is what the
//! map was, and the chain of operations gives the refs.

#![allow(
    clippy::unwrap_used,
    clippy::panic,
    reason = "helpers of tests are not tests to the lint"
)]

#[path = "harness/node_directory.rs"]
mod harness;

use std::collections::BTreeMap;

use confman_refs::{Expect, Node, RefEdit, Target, TransactError};
use harness::{blob, empty, name, open};
use proptest::prelude::*;

#[derive(Debug, Clone)]
enum Step {
    /// Sets and removes refs; `stale` spoils one expectation.
    Transact {
        edits: Vec<(u8, Option<u8>)>,
        stale: bool,
    },
    Reopen,
}

fn step() -> impl Strategy<Value = Step> {
    let edits =
        prop::collection::btree_map(0_u8..12, prop::option::weighted(0.8, any::<u8>()), 1..4);
    prop_oneof![
        30 => (edits, prop::bool::weighted(0.1))
            .prop_map(|(edits, stale)| Step::Transact { edits: edits.into_iter().collect(), stale }),
        1 => Just(Step::Reopen),
    ]
}

type Refs = BTreeMap<String, Target>;

fn transact(
    node: &Node,
    request: u64,
    refs: &mut Refs,
    edits: &[(u8, Option<u8>)],
    stale: bool,
) -> bool {
    let mut transaction = empty(request);
    let mut after = refs.clone();
    for (number, (key, value)) in edits.iter().enumerate() {
        let ref_name = format!("/ns-{key}@published");
        let new = value.map(|value| {
            let (object, target) = blob(format!("{key} {value}"));
            transaction.objects.push(object);
            target
        });
        let mut expect = Expect::from_seen(refs.get(&ref_name).copied());
        if stale && number == 0 {
            expect = Expect::At(blob("never").1);
        }
        transaction.edits.push(RefEdit {
            name: name(&ref_name),
            expect,
            new,
        });
        match new {
            Some(target) => after.insert(ref_name, target),
            None => after.remove(&ref_name),
        };
    }
    match node.transact(transaction) {
        Ok(_) => {
            assert!(!stale);
            *refs = after;
            true
        }
        Err(TransactError::Stale { .. }) => {
            assert!(stale);
            false
        }
        Err(error) => panic!("{error}"),
    }
}

fn refs_at(node: &Node, sequence: usize) -> Refs {
    let view = node.view_at(u64::try_from(sequence).unwrap()).unwrap();
    assert_eq!(view.sequence(), u64::try_from(sequence).unwrap());
    view.scan("")
        .map(|(name, target)| (name.to_string(), target))
        .collect()
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 6, max_shrink_iters: 20, ..ProptestConfig::default() })]

    #[test]
    fn every_view_is_what_the_model_was(steps in prop::collection::vec(step(), 150..330)) {
        let directory = tempfile::tempdir().unwrap();
        let mut node = open(directory.path());
        let mut history = vec![Refs::new()];
        for (request, step) in steps.iter().enumerate() {
            match step {
                Step::Transact { edits, stale } => {
                    let mut refs = history.last().unwrap().clone();
                    if transact(&node, u64::try_from(request).unwrap(), &mut refs, edits, *stale) {
                        history.push(refs);
                    }
                }
                Step::Reopen => {
                    drop(node);
                    node = open(directory.path());
                }
            }
        }
        for (sequence, refs) in history.iter().enumerate() {
            prop_assert_eq!(&refs_at(&node, sequence), refs, "at {}", sequence);
        }
        let operations = u64::try_from(history.len() - 1).unwrap();
        let report = node.verify_operations().unwrap();
        prop_assert_eq!((report.operations, report.views, report.difference), (operations, operations / 64, None));
    }
}
