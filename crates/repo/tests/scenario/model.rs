//! Random sequences of changes against a model that keeps every state in memory.

use std::collections::BTreeMap;

use confman_repo::Error;
use proptest::prelude::*;

use crate::test_repo::TestRepo;

type State = BTreeMap<String, String>;

#[derive(Clone, Debug)]
enum Step {
    /// Sets (`Some`) or removes a key in a draft.
    Draft {
        draft: u8,
        key: u8,
        value: Option<u8>,
    },
    Publish {
        draft: u8,
    },
    Set {
        key: u8,
        value: u8,
    },
    Rollback {
        back: usize,
    },
}

fn step() -> impl Strategy<Value = Step> {
    prop_oneof![
        4 => (0..2u8, 0..6u8, prop::option::weighted(0.7, 0..3u8)).prop_map(|(draft, key, value)| Step::Draft { draft, key, value }),
        2 => (0..2u8).prop_map(|draft| Step::Publish { draft }),
        2 => (0..6u8, 0..3u8).prop_map(|(key, value)| Step::Set { key, value }),
        1 => (0..6usize).prop_map(|back| Step::Rollback { back }),
    ]
}

#[derive(Default)]
struct Model {
    line: Vec<State>,
    /// Base (length of the line where it began) and contents.
    drafts: BTreeMap<u8, (usize, State)>,
    versions: BTreeMap<String, Vec<Option<String>>>,
}

impl Model {
    fn head(&self) -> State {
        self.line.last().cloned().unwrap_or_default()
    }

    fn publish(&mut self, state: State) {
        let before = self.head();
        for key in before
            .keys()
            .chain(state.keys())
            .collect::<std::collections::BTreeSet<_>>()
        {
            if before.get(key) != state.get(key) {
                self.versions
                    .entry(key.clone())
                    .or_default()
                    .push(state.get(key).cloned());
            }
        }
        self.line.push(state);
    }
}

fn shown(state: &State) -> String {
    state
        .iter()
        .map(|(key, value)| format!("{key}={value}"))
        .collect::<Vec<_>>()
        .join(" ")
}

fn run(steps: &[Step]) {
    let test = TestRepo::with(&["/a"]);
    let mut model = Model::default();
    for step in steps {
        match step {
            Step::Draft { draft, key, value } => {
                let head = model.head();
                let existing = model.drafts.get(draft).cloned();
                let (base, mut state) = existing.clone().unwrap_or((model.line.len(), head));
                let before = state.clone();
                let name = format!("k{key}");
                let change = match value {
                    Some(value) => {
                        state.insert(name.clone(), value.to_string());
                        format!("{name}={value}")
                    }
                    None => {
                        state.remove(&name);
                        format!("-{name}")
                    }
                };
                match test.draft("/a", &format!("d{draft}"), &[&change]) {
                    Ok(drafted) => {
                        assert!(value.is_some() || before.contains_key(&name));
                        // Nothing is made where nothing changes, unless there is nothing at all to be at.
                        let unchanged = state == before;
                        assert_eq!(drafted.committed.is_none(), unchanged);
                        if !unchanged {
                            model.drafts.insert(*draft, (base, state));
                        }
                    }
                    Err(Error::NotFound { .. }) => {
                        assert!(value.is_none() && !before.contains_key(&name))
                    }
                    Err(error) => panic!("{error}"),
                }
            }
            Step::Publish { draft } => {
                let result = test.publish("/a", &format!("d{draft}"));
                let Some((base, theirs)) = model.drafts.get(draft).cloned() else {
                    assert!(matches!(result, Err(Error::NotFound { .. })));
                    continue;
                };
                let base = base
                    .checked_sub(1)
                    .map(|at| model.line[at].clone())
                    .unwrap_or_default();
                let ours = model.head();
                let mut merged = ours.clone();
                let mut conflicts = 0;
                for key in base
                    .keys()
                    .chain(theirs.keys())
                    .chain(ours.keys())
                    .collect::<std::collections::BTreeSet<_>>()
                {
                    let (old, our, their) = (base.get(key), ours.get(key), theirs.get(key));
                    if their != old && their != our {
                        if our != old {
                            conflicts += 1;
                        }
                        match their {
                            Some(value) => merged.insert(key.clone(), value.clone()),
                            None => merged.remove(key),
                        };
                    }
                }
                match result {
                    Ok(_) => {
                        assert!(conflicts == 0 && merged != ours);
                        model.publish(merged);
                        model.drafts.remove(draft);
                    }
                    Err(Error::Conflict {
                        conflicts: found, ..
                    }) => assert_eq!(found.len(), conflicts),
                    Err(Error::Unchanged { .. }) => assert!(conflicts == 0 && merged == ours),
                    Err(error) => panic!("{error}"),
                }
            }
            Step::Set { key, value } => {
                let mut state = model.head();
                let old = state.insert(format!("k{key}"), value.to_string());
                if old.as_deref() != Some(value.to_string().as_str()) {
                    test.set("/a", &[&format!("k{key}={value}")]);
                    model.publish(state);
                }
            }
            Step::Rollback { back } => {
                let target = model
                    .line
                    .len()
                    .checked_sub(1 + back)
                    .map(|at| model.line[at].clone());
                match (test.rollback("/a", &format!("published~{back}")), target) {
                    (Ok(_), Some(state)) => model.publish(state),
                    (Err(Error::Unchanged { .. }), Some(state)) => assert_eq!(state, model.head()),
                    (Err(Error::NotFound { .. }), None) => {}
                    (result, _) => panic!("{result:?}"),
                }
            }
        }
        assert_eq!(test.show("/a", "published"), shown(&model.head()));
    }
    for (draft, (_, state)) in &model.drafts {
        assert_eq!(test.show("/a", &format!("draft/d{draft}")), shown(state));
    }
    for (back, state) in model.line.iter().rev().enumerate() {
        assert_eq!(test.show("/a", &format!("published~{back}")), shown(state));
    }
    for (key, versions) in &model.versions {
        let history = test
            .admin
            .history(
                &crate::test_repo::ns("/a"),
                &crate::test_repo::key(key),
                None,
                1000,
            )
            .unwrap();
        let found: Vec<_> = history
            .versions
            .iter()
            .rev()
            .map(|version| version.entry.as_ref().map(crate::test_repo::entry_text))
            .collect();
        assert_eq!(&found, versions);
        assert!(
            history
                .versions
                .iter()
                .rev()
                .map(|version| version.version)
                .eq(1..=versions.len() as u64)
        );
    }
    assert_eq!(
        test.admin.fsck(&mut |_| {}).unwrap().problems,
        Vec::<String>::new()
    );
}

proptest! {
    // Each case opens a node of its own.
    #![proptest_config(ProptestConfig { cases: 16, max_shrink_iters: 200, ..ProptestConfig::default() })]

    #[test]
    fn a_repo_is_what_the_model_says(steps in prop::collection::vec(step(), 1..25)) {
        run(&steps);
    }
}
