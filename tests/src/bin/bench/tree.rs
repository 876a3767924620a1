//! The tree in process: one key changed, ten keys compared.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::{Duration, Instant};

use confman_object_store::tree::{self, Edited, Leaf, LeafValue, TreeKey};
use confman_object_store::{MemoryBackend, ObjectId, Stage, Store};

use crate::table::{Row, Table};
use crate::{Failure, Scale, git};

const EDITS: usize = 500;
const COMPARISONS: usize = 50;
const CHANGED: usize = 10;

struct Grown {
    store: Arc<Store>,
    root: ObjectId,
}

/// Measures both.
pub fn run(scale: Scale, table: &mut Table) -> Result<(), Failure> {
    let small = grow(1_000)?;
    let large = grow(scale.keys)?;
    one_key(&small, &large, scale, table)?;
    ten_keys(&large, scale, table)
}

fn one_key(small: &Grown, large: &Grown, scale: Scale, table: &mut Table) -> Result<(), Failure> {
    let (small_time, _, _) = edits(small, 1_000)?;
    let (large_time, bytes, bytes_max) = edits(large, scale.keys)?;
    table.add(Row {
        what: format!("one key changed among {}: bytes of new pages", scale.keys),
        confman: format!("{bytes} on average, {bytes_max} at most"),
        peer: "–".to_owned(),
        ratio: format!("{:.2} of 20 KiB", bytes_max as f64 / 20_480.0),
        bar: "≤ 20 KiB".to_owned(),
    });
    table.add(Row {
        what: format!(
            "one key changed among {}: time in process, without the disk",
            scale.keys
        ),
        confman: format!("{:.1} µs", micros(large_time)),
        peer: format!("among 1,000: {:.1} µs", micros(small_time)),
        ratio: format!(
            "{:.2} ×",
            large_time.as_secs_f64() / small_time.as_secs_f64()
        ),
        bar: "≤ 2 ×".to_owned(),
    });
    Ok(())
}

fn ten_keys(large: &Grown, scale: Scale, table: &mut Table) -> Result<(), Failure> {
    let step = scale.keys / CHANGED;
    let edits: BTreeMap<TreeKey, Option<Leaf>> = (0..CHANGED)
        .map(|n| Ok((key(n * step)?, Some(leaf(n * step, 1)))))
        .collect::<Result<_, Failure>>()?;
    let changed = keep(
        &large.store,
        tree::edit(large.store.as_ref(), &large.root, &edits)?,
    )?;
    let mut times = Vec::new();
    for _ in 0..COMPARISONS {
        let begun = Instant::now();
        let changes = tree::diff(large.store.as_ref(), &large.root, &changed)?;
        times.push(begun.elapsed());
        if changes.len() != CHANGED {
            return Err(format!("{} changes instead of {CHANGED}", changes.len()).into());
        }
    }
    let ours = median(&mut times);
    let directory = tempfile::tempdir()?;
    let repository = directory.path().join("flat.git");
    git::import(&repository, |out| {
        git::flat_history(out, scale.git_files, CHANGED)
    })?;
    let mut git_times = Vec::new();
    for _ in 0..5 {
        git_times.push(git::timed(
            &repository,
            &["diff", "--name-status", "main~1", "main"],
        )?);
    }
    let theirs = median(&mut git_times);
    table.add(Row {
        what: format!(
            "difference of two trees, {CHANGED} changes among {}, in process",
            scale.keys
        ),
        confman: format!("{:.3} ms", ours.as_secs_f64() * 1000.0),
        peer: format!(
            "git diff --name-status, flat directory of {}: {:.1} ms",
            scale.git_files,
            theirs.as_secs_f64() * 1000.0
        ),
        ratio: format!("{:.4} of git's", ours.as_secs_f64() / theirs.as_secs_f64()),
        bar: "≤ 1 ms".to_owned(),
    });
    Ok(())
}

fn grow(keys: usize) -> Result<Grown, Failure> {
    let store = Arc::new(Store::new(Arc::new(MemoryBackend::default()), 256 << 20));
    let entries: BTreeMap<TreeKey, Leaf> = (0..keys)
        .map(|n| Ok((key(n)?, leaf(n, 0))))
        .collect::<Result<_, Failure>>()?;
    let root = keep(&store, tree::build(&entries))?;
    Ok(Grown { store, root })
}

/// Median time, mean and largest bytes of one-key edits, each on the same tree, pages warm.
fn edits(grown: &Grown, keys: usize) -> Result<(Duration, usize, usize), Failure> {
    let mut times = Vec::new();
    let mut sizes = Vec::new();
    for n in 0..EDITS {
        let number = n.wrapping_mul(7_919) % keys;
        let edit: BTreeMap<TreeKey, Option<Leaf>> =
            BTreeMap::from([(key(number)?, Some(leaf(number, 2)))]);
        // Once to have the pages at hand, once to measure.
        tree::edit(grown.store.as_ref(), &grown.root, &edit)?;
        let begun = Instant::now();
        let edited = tree::edit(grown.store.as_ref(), &grown.root, &edit)?;
        times.push(begun.elapsed());
        sizes.push(
            edited
                .pages
                .iter()
                .map(|(page, _)| page.bytes().len())
                .sum::<usize>(),
        );
    }
    let bytes_max = sizes.iter().copied().max().unwrap_or(0);
    Ok((
        median(&mut times),
        sizes.iter().sum::<usize>() / EDITS,
        bytes_max,
    ))
}

fn keep(store: &Arc<Store>, edited: Edited) -> Result<ObjectId, Failure> {
    let mut stage = Stage::new(Arc::clone(store));
    for (page, replaces) in edited.pages {
        stage.put(page, replaces);
    }
    store.backend().put(&stage.encode()?, 1)?;
    Ok(edited.root)
}

fn key(number: usize) -> Result<TreeKey, Failure> {
    Ok(TreeKey::new(git::key(number).into_bytes())?)
}

fn leaf(number: usize, edition: usize) -> Leaf {
    Leaf {
        entry_type: 1,
        flags: 0,
        value: LeafValue::Inline(git::value(number, edition).into_bytes().into_boxed_slice()),
        meta: None,
    }
}

fn median(times: &mut [Duration]) -> Duration {
    times.sort();
    times.get(times.len() / 2).copied().unwrap_or_default()
}

fn micros(time: Duration) -> f64 {
    time.as_secs_f64() * 1e6
}
