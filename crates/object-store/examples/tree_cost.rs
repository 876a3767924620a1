//! Measures the tree: `cargo run -p confman-object-store --example tree_cost`.
//!
//! Times are of one core, with all pages decoded in memory; bytes are those of new pages.
#![expect(
    clippy::print_stdout,
    clippy::unwrap_used,
    clippy::indexing_slicing,
    reason = "a program for the terminal"
)]

use std::collections::{BTreeMap, HashMap};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use bytes::Bytes;
use confman_object_store::commit::Commit;
use confman_object_store::encoding::Encoding;
use confman_object_store::id::ObjectId;
use confman_object_store::object::Kind;
use confman_object_store::store::{ReadError, ReadObjects};
use confman_object_store::tree::{self, Edited, Leaf, LeafValue, Page, TreeKey};

#[derive(Default)]
struct Pages(Mutex<HashMap<ObjectId, Arc<Page>>>);

impl Pages {
    fn keep(&self, edited: Edited) -> ObjectId {
        let mut pages = self.0.lock().unwrap();
        for (page, _) in edited.pages {
            pages.insert(
                page.id(),
                Arc::new(Page::decode(page.bytes().clone()).unwrap()),
            );
        }
        edited.root
    }
}

impl ReadObjects for Pages {
    fn try_read(&self, _kind: Kind, id: &ObjectId) -> Result<Option<Bytes>, ReadError> {
        Ok(self
            .0
            .lock()
            .unwrap()
            .get(id)
            .map(|page| page.bytes().clone()))
    }
    fn page(&self, id: &ObjectId) -> Result<Arc<Page>, ReadError> {
        let page = self.0.lock().unwrap().get(id).cloned();
        page.ok_or(ReadError::Missing {
            kind: Kind::Page,
            id: *id,
        })
    }
    fn encoding(&self, _kind: Kind, _id: &ObjectId) -> Result<Option<Encoding>, ReadError> {
        Ok(None)
    }
    fn commit(&self, id: &ObjectId) -> Result<Arc<Commit>, ReadError> {
        Err(ReadError::Missing {
            kind: Kind::Commit,
            id: *id,
        })
    }
}

struct Random(u64);

impl Random {
    fn below(&mut self, limit: usize) -> usize {
        self.0 = self
            .0
            .wrapping_mul(6_364_136_223_846_793_005)
            .wrapping_add(1_442_695_040_888_963_407);
        ((self.0 >> 33) as usize) % limit
    }
}

fn key(number: usize) -> TreeKey {
    let scattered = (number as u32).wrapping_mul(2_654_435_761);
    let part = ["db", "http", "limits", "features", "cache"][number % 5];
    TreeKey::new(format!(
        "team-{:02}/svc-{:04}/{part}/setting-{:07}",
        scattered % 40,
        scattered / 40 % 2500,
        number
    ))
    .unwrap()
}

fn leaf(random: &mut Random) -> Leaf {
    let value = if random.below(10) < 6 {
        LeafValue::Inline(
            format!("value-{:06}", random.below(1_000_000))
                .into_bytes()
                .into(),
        )
    } else {
        LeafValue::Blob {
            id: ObjectId::of(Kind::Blob, &random.below(1 << 30).to_le_bytes()),
            size: 200,
        }
    };
    Leaf {
        entry_type: 1,
        flags: 0,
        value,
        meta: None,
    }
}

fn per(total: Duration, rounds: usize) -> f64 {
    total.as_secs_f64() * 1e6 / rounds as f64
}

/// Bytes of new pages and microseconds of one-key edits, averaged.
fn edits(
    pages: &Pages,
    root: &ObjectId,
    keys: &[TreeKey],
    random: &mut Random,
    rounds: usize,
) -> (usize, usize, f64) {
    let (mut bytes, mut most, mut time) = (0, 0, Duration::ZERO);
    for round in 0..rounds {
        let edited = match round % 3 {
            0 => (keys[random.below(keys.len())].clone(), Some(leaf(random))),
            1 => (
                key(keys.len() + random.below(keys.len())),
                Some(leaf(random)),
            ),
            _ => (keys[random.below(keys.len())].clone(), None),
        };
        let edited = BTreeMap::from([edited]);
        let start = Instant::now();
        let new = tree::edit(pages, root, &edited).unwrap();
        time += start.elapsed();
        let new_bytes = new.pages.iter().map(|(page, _)| page.bytes().len()).sum();
        bytes += new_bytes;
        most = most.max(new_bytes);
    }
    (bytes / rounds, most, per(time, rounds))
}

fn measure(keys_count: usize) -> usize {
    let mut random = Random(7);
    let contents: BTreeMap<TreeKey, Leaf> = (0..keys_count)
        .map(|number| (key(number), leaf(&mut random)))
        .collect();
    let keys: Vec<TreeKey> = contents.keys().cloned().collect();
    let pages = Pages::default();
    let start = Instant::now();
    let built = tree::build(&contents);
    let build = start.elapsed();
    let written = built.pages.len();
    let bytes: usize = built.pages.iter().map(|(page, _)| page.bytes().len()).sum();
    let start = Instant::now();
    let root = pages.keep(built);
    let decode = start.elapsed();
    println!(
        "{keys_count} keys, height {}",
        pages.page(&root).unwrap().height()
    );
    println!(
        "  build            {:>9.1} ms, {written} pages, {} bytes a key",
        per(build, 1000),
        bytes / keys_count
    );
    println!("  decode           {:>9.1} us a page", per(decode, written));

    let start = Instant::now();
    for _ in 0..10_000 {
        tree::get(&pages, &root, keys[random.below(keys.len())].as_bytes()).unwrap();
    }
    println!(
        "  get              {:>9.2} us",
        per(start.elapsed(), 10_000)
    );
    let (new, most, time) = edits(&pages, &root, &keys, &mut random, 3000);
    println!("  edit of one key  {time:>9.1} us, {new} new bytes on average, {most} at most");
    for batch in [10, 1000] {
        let batch: BTreeMap<TreeKey, Option<Leaf>> = (0..batch)
            .map(|_| {
                (
                    keys[random.below(keys.len())].clone(),
                    Some(leaf(&mut random)),
                )
            })
            .collect();
        let start = Instant::now();
        let edited = tree::edit(&pages, &root, &batch).unwrap();
        let time = start.elapsed();
        let new: usize = edited
            .pages
            .iter()
            .map(|(page, _)| page.bytes().len())
            .sum();
        println!(
            "  edit of {:<8} {:>9.1} us, {} new bytes a key",
            batch.len(),
            per(time, 1),
            new / batch.len()
        );
        let edited = pages.keep(edited);
        let start = Instant::now();
        let changes = tree::diff(&pages, &root, &edited).unwrap().len();
        println!("  diff of {changes:<8} {:>9.1} us", per(start.elapsed(), 1));
        let start = Instant::now();
        let missing = tree::pages_missing(&pages, &edited, &[root]).unwrap().len();
        println!("  missing {missing:<8} {:>9.1} us", per(start.elapsed(), 1));
    }
    let start = Instant::now();
    let mut walked = 0;
    tree::walk(&pages, &root, b"", None, &mut |_, _| {
        walked += 1;
        std::ops::ControlFlow::Continue(())
    })
    .unwrap();
    println!(
        "  walk of {walked:<8} {:>9.1} ms",
        per(start.elapsed(), 1000)
    );
    let start = Instant::now();
    for _ in 0..1000 {
        tree::prefix_tag(
            &pages,
            &root,
            format!("team-{:02}/", random.below(40)).as_bytes(),
        )
        .unwrap();
    }
    println!("  prefix tag       {:>9.1} us", per(start.elapsed(), 1000));
    let proof = tree::prove(&pages, &root, keys[0].as_bytes()).unwrap();
    println!(
        "  proof            {:>9} bytes",
        proof.pages.iter().map(Bytes::len).sum::<usize>()
    );
    new
}

fn main() {
    let small = measure(1_000);
    let large = measure(1_000_000);
    println!(
        "new bytes of a one-key edit at 1,000,000 keys are {:.2} times those at 1,000",
        large as f64 / small as f64
    );
}
