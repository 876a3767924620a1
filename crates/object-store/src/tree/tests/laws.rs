//! What must hold for all contents and all edits.

use std::collections::{BTreeMap, HashMap, HashSet};
use std::ops::ControlFlow;

use proptest::collection::vec;
use proptest::prelude::*;

use super::super::lookup::prefix_tag_within;
use super::keys::{Family, family};
use super::objects::{Contents, Edits, Objects, leaf, pages_of};
use super::reference;
use super::{
    Change, TreeKey, count, count_prefix, diff, diff_each, empty, get, merge, pages_missing, prove,
    walk,
};
use crate::id::ObjectId;
use crate::object::Kind;

/// A page size and the longest keys that it can always hold two references with.
fn page_size() -> impl Strategy<Value = (usize, usize)> {
    proptest::sample::select(vec![(256, 30), (400, 100), (1024, 255), (4096, 255)])
}

#[derive(Clone, Debug)]
struct Case {
    page_bytes: usize,
    len_max: usize,
    family: Family,
    start: Vec<(u32, u64)>,
    batches: Vec<Vec<(u32, Option<u64>)>>,
}

fn numbers() -> impl Strategy<Value = u32> {
    prop_oneof![3 => 0..400_u32, 1 => any::<u32>()]
}

fn case() -> impl Strategy<Value = Case> {
    let start = vec((numbers(), any::<u64>()), 0..300);
    let edit = || (numbers(), proptest::option::weighted(0.6, any::<u64>()));
    // A batch of one is edited another way than one that is spread over the tree.
    let batch = prop_oneof![vec(edit(), 1..=1), vec(edit(), 2..40)];
    let batches = vec(batch, 0..12);
    (page_size(), family(), start, batches).prop_map(
        |((page_bytes, len_max), family, start, batches)| Case {
            page_bytes,
            len_max,
            family,
            start,
            batches,
        },
    )
}

impl Case {
    fn objects(&self) -> Objects {
        Objects::new(pages_of(self.page_bytes))
    }

    fn key(&self, number: u32) -> TreeKey {
        self.family.key(number, self.len_max)
    }

    fn start(&self) -> Contents {
        self.start
            .iter()
            .map(|(number, value)| (self.key(*number), leaf(*value)))
            .collect()
    }

    fn edits(&self, batch: &[(u32, Option<u64>)]) -> Edits {
        batch
            .iter()
            .map(|(number, value)| (self.key(*number), value.map(leaf)))
            .collect()
    }

    /// The contents after each batch, the start first.
    fn versions(&self) -> Vec<Contents> {
        let mut versions = vec![self.start()];
        for batch in &self.batches {
            let mut next = versions.last().unwrap().clone();
            apply(&mut next, &self.edits(batch));
            versions.push(next);
        }
        versions
    }
}

fn apply(contents: &mut Contents, edits: &Edits) {
    for (key, leaf) in edits {
        match leaf {
            Some(leaf) => contents.insert(key.clone(), leaf.clone()),
            None => contents.remove(key),
        };
    }
}

fn as_edits(changes: &[Change]) -> Edits {
    changes
        .iter()
        .map(|change| (change.key.clone(), change.new.clone()))
        .collect()
}

fn differences(old: &Contents, new: &Contents) -> Vec<Change> {
    let keys: BTreeMap<&TreeKey, ()> = old.keys().chain(new.keys()).map(|key| (key, ())).collect();
    keys.into_keys()
        .filter(|key| old.get(key) != new.get(key))
        .map(|key| Change {
            key: key.clone(),
            old: old.get(key).cloned(),
            new: new.get(key).cloned(),
        })
        .collect()
}

proptest! {
    #[test]
    fn build_writes_what_the_definition_says(case in case()) {
        let objects = case.objects();
        let expected = reference::tree(&case.start(), objects.limits.page_bytes, objects.limits.seal_bytes);
        let built = super::super::build::build_within(&case.start(), &objects.limits);
        prop_assert_eq!(built.root, ObjectId::of(Kind::Page, expected.last().unwrap()));
        let ids: HashSet<ObjectId> = expected.iter().map(|page| ObjectId::of(Kind::Page, page)).collect();
        let written: HashSet<ObjectId> = built.pages.iter().map(|(page, _)| page.id()).collect();
        prop_assert_eq!(written.len(), built.pages.len(), "a page is written once");
        prop_assert_eq!(ids, written);
    }

    #[test]
    fn edits_give_the_tree_that_building_gives(case in case()) {
        let objects = case.objects();
        let mut root = objects.build(&case.start());
        for (batch, contents) in case.batches.iter().zip(case.versions().iter().skip(1)) {
            let before = objects.pages_of(&root);
            let edited = objects.try_edit(&root, &case.edits(batch)).unwrap();
            let mut seen: HashSet<ObjectId> = before.keys().copied().collect();
            for (page, replaces) in &edited.pages {
                prop_assert!(replaces.is_none_or(|id| before.contains_key(&id)), "it replaces an old page");
                let decoded = super::Page::decode_within(page.bytes().clone(), &objects.limits).unwrap();
                for (kind, id) in decoded.references() {
                    prop_assert!(kind != Kind::Page || seen.contains(&id), "children come before parents");
                }
                seen.insert(page.id());
            }
            let new: HashSet<ObjectId> = edited.pages.iter().map(|(page, _)| page.id()).collect();
            root = objects.keep(edited);
            prop_assert_eq!(root, super::super::build::build_within(contents, &objects.limits).root);
            let all: HashSet<ObjectId> = objects.pages_of(&root).into_keys().collect();
            let needed: HashSet<ObjectId> = all.iter().copied().filter(|id| !before.contains_key(id)).collect();
            prop_assert!(new.is_superset(&needed), "every page that is new is there");
            prop_assert!(all.is_superset(&new), "no page is there for nothing");
        }
    }

    #[test]
    fn any_order_and_batching_gives_the_same_root(case in case(), batch_len in 1_usize..50, seed in any::<u32>()) {
        let objects = case.objects();
        let contents = case.start();
        let mut order: Vec<_> = contents.iter().collect();
        order.sort_by_key(|(key, _)| super::keys::scatter(seed ^ key.as_bytes().iter().map(|b| u32::from(*b)).fold(7_u32, |a, b| a.wrapping_mul(31).wrapping_add(b))));
        let mut root = objects.build(&Contents::new());
        for batch in order.chunks(batch_len) {
            root = objects.edit(&root, &batch.iter().map(|(key, leaf)| ((*key).clone(), Some((*leaf).clone()))).collect());
        }
        prop_assert_eq!(root, objects.build(&contents));
        for batch in order.chunks(batch_len) {
            root = objects.edit(&root, &batch.iter().map(|(key, _)| ((*key).clone(), None)).collect());
        }
        prop_assert_eq!(root, empty().id());
    }

    #[test]
    fn reading_gives_what_was_put(case in case(), probes in vec(numbers(), 20)) {
        let objects = case.objects();
        let contents = case.start();
        let root = objects.build(&contents);
        prop_assert_eq!(objects.contents(&root), contents.clone());
        prop_assert_eq!(count(&objects, &root).unwrap(), contents.len() as u64);
        for key in contents.keys().cloned().chain(probes.iter().map(|number| case.key(*number))) {
            prop_assert_eq!(get(&objects, &root, key.as_bytes()).unwrap(), contents.get(&key).cloned());
            let proof = prove(&objects, &root, key.as_bytes()).unwrap();
            prop_assert_eq!(proof.verify_within(&root, key.as_bytes(), &objects.limits).unwrap(), contents.get(&key).cloned());
        }
    }

    #[test]
    fn a_walk_is_a_range(case in case(), from in numbers(), after in proptest::option::of(numbers()), cut in 0_usize..12, limit in 1_usize..40) {
        let objects = case.objects();
        let contents = case.start();
        let root = objects.build(&contents);
        let prefix: Vec<u8> = case.key(from).as_bytes().iter().copied().take(cut).collect();
        let after = after.map(|number| case.key(number));
        let expected: Vec<_> = contents
            .iter()
            .filter(|(key, _)| key.as_bytes().starts_with(&prefix) && after.as_ref().is_none_or(|after| *key > after))
            .take(limit)
            .map(|(key, leaf)| (key.clone(), leaf.clone()))
            .collect();
        let mut walked = Vec::new();
        walk(&objects, &root, &prefix, after.as_ref().map(TreeKey::as_bytes), &mut |key, leaf| {
            walked.push((key, leaf));
            if walked.len() == limit { ControlFlow::Break(()) } else { ControlFlow::Continue(()) }
        }).unwrap();
        prop_assert_eq!(walked, expected);
        let under = contents.keys().filter(|key| key.as_bytes().starts_with(&prefix)).count();
        prop_assert_eq!(count_prefix(&objects, &root, &prefix).unwrap(), under as u64);
    }

    #[test]
    fn a_prefix_tag_is_the_root_of_what_is_below(case in case(), from in numbers(), cut in 0_usize..12) {
        let objects = case.objects();
        let contents = case.start();
        let root = objects.build(&contents);
        let prefix: Vec<u8> = case.key(from).as_bytes().iter().copied().take(cut).collect();
        if contents.keys().any(|key| key.as_bytes() == prefix) {
            return Ok(());
        }
        let below: Contents = contents
            .iter()
            .filter_map(|(key, leaf)| Some((TreeKey::new(key.as_bytes().strip_prefix(prefix.as_slice())?).ok()?, leaf.clone())))
            .collect();
        let tag = prefix_tag_within(&objects, &root, &prefix, &objects.limits).unwrap();
        prop_assert_eq!(tag, objects.build(&below));
    }

    #[test]
    fn a_difference_is_exact(case in case()) {
        let objects = case.objects();
        let versions = case.versions();
        let (first, last) = (versions.first().unwrap(), versions.last().unwrap());
        let (old, new) = (objects.build(first), objects.build(last));
        let changes = diff(&objects, &old, &new).unwrap();
        prop_assert_eq!(&changes, &differences(first, last));
        prop_assert_eq!(objects.edit(&old, &as_edits(&changes)), new);
        let back: Vec<Change> = changes.iter().cloned().map(|change| Change { old: change.new, new: change.old, ..change }).collect();
        prop_assert_eq!(diff(&objects, &new, &old).unwrap(), back);
        let mut first_change = Vec::new();
        diff_each(&objects, &old, &new, &mut |change| { first_change.push(change); ControlFlow::Break(()) }).unwrap();
        prop_assert_eq!(first_change.as_slice(), changes.get(..1).unwrap_or(&[]));
    }

    #[test]
    fn merging_follows_its_laws(case in case()) {
        let objects = case.objects();
        let versions = case.versions();
        let base = versions.first().unwrap();
        let ours = versions.get(1).unwrap_or(base);
        let mut theirs = base.clone();
        for batch in case.batches.iter().skip(1) {
            apply(&mut theirs, &case.edits(batch));
        }
        let (b, o, t) = (objects.build(base), objects.build(ours), objects.build(&theirs));

        let merged = merge(&objects, &b, &o, &t).unwrap();
        let mut edits = Edits::new();
        let mut conflicts = Vec::new();
        for change in differences(base, &theirs) {
            let own = ours.get(&change.key).cloned();
            if own == change.old {
                edits.insert(change.key, change.new);
            } else if own != change.new {
                conflicts.push((change.key, change.old, own, change.new));
            }
        }
        let found: Vec<_> = merged.conflicts.iter().cloned().map(|c| (c.key, c.base, c.ours, c.theirs)).collect();
        prop_assert_eq!(&merged.edits, &edits);
        prop_assert_eq!(&found, &conflicts);

        let mirrored = merge(&objects, &b, &t, &o).unwrap();
        let sides: Vec<_> = mirrored.conflicts.iter().cloned().map(|c| (c.key, c.base, c.theirs, c.ours)).collect();
        prop_assert_eq!(&sides, &conflicts);
        if conflicts.is_empty() {
            prop_assert_eq!(objects.edit(&o, &merged.edits), objects.edit(&t, &mirrored.edits));
        }
        let taken = merge(&objects, &b, &b, &t).unwrap();
        prop_assert_eq!(objects.edit(&b, &taken.edits), t);
        let kept = merge(&objects, &b, &o, &b).unwrap();
        prop_assert!(kept.edits.is_empty() && kept.conflicts.is_empty() && taken.conflicts.is_empty());
        let same = merge(&objects, &b, &o, &o).unwrap();
        prop_assert!(same.edits.is_empty() && same.conflicts.is_empty());
    }

    #[test]
    fn missing_pages_make_a_tree_whole(case in case()) {
        let objects = case.objects();
        let versions = case.versions();
        let roots: Vec<ObjectId> = versions.iter().map(|contents| objects.build(contents)).collect();
        let (root, have) = roots.split_last().unwrap();
        for have in [have, have.get(..1).unwrap_or(&[]), &[]] {
            let missing = pages_missing(&objects, root, have).unwrap();
            let mut there: HashMap<ObjectId, _> = HashMap::new();
            for id in have {
                there.extend(objects.pages_of(id));
            }
            let needed: HashSet<ObjectId> = objects.pages_of(root).into_keys().filter(|id| !there.contains_key(id)).collect();
            let listed: HashSet<ObjectId> = missing.iter().map(|(id, _)| *id).collect();
            prop_assert_eq!(listed.len(), missing.len(), "a page is listed once");
            prop_assert!(listed.is_superset(&needed));
            let in_place: HashSet<ObjectId> = objects.pages_of(root).into_keys().collect();
            prop_assert!(in_place.is_superset(&listed));
            let mut seen: HashSet<ObjectId> = there.keys().copied().collect();
            for (id, replaces) in &missing {
                prop_assert!(replaces.is_none_or(|id| there.contains_key(&id)), "a dictionary is there already");
                let page = super::Page::decode_within(objects.bytes(id), &objects.limits).unwrap();
                for (kind, child) in page.references() {
                    prop_assert!(kind != Kind::Page || seen.contains(&child), "children come before parents");
                }
                seen.insert(*id);
            }
        }
    }
}
