//! Verifying backups: every byte is read, every object hashed, every reference followed.

use std::collections::{BTreeMap, HashMap, HashSet};

use confman_object_store::{Kind, Object, ObjectId};
use confman_repo::refs::Operation;

use crate::BackupError;
use crate::bundle::{self, decode_list, list_file};
use crate::making::{Progress, links_of};
use crate::place::Backup;
use crate::point::{BundleLine, Point, PointName};

/// Most problems that are told; what is wrong beyond is more of the same.
const PROBLEMS_MAX: usize = 1000;
/// Most bytes of a list of what is in a bundle.
const LIST_BYTES_MAX: u64 = 256 << 20;

type Wanted = (Kind, ObjectId);

/// What a verification found.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Verified {
    /// Points that were looked at.
    pub points: u64,
    /// Bundles that were read.
    pub bundles: u64,
    /// Objects that were hashed.
    pub objects: u64,
    /// Bytes of the bundles.
    pub bytes: u64,
    /// What is wrong, each with the file or object; empty when all is well.
    pub problems: Vec<String>,
}

/// What is known of an operation.
#[derive(Clone, Copy)]
struct Link {
    sequence: u64,
    parent: Option<ObjectId>,
    index: u64,
    time_ms: i64,
}

/// What the bundles of points have.
#[derive(Default)]
struct Found {
    ids: HashSet<Wanted>,
    /// What is referred to, each with something that does.
    needed: HashMap<Wanted, Wanted>,
    operations: HashMap<ObjectId, Link>,
}

impl Backup {
    /// Reads everything that these points take. What is wrong is in the answer.
    ///
    /// # Errors
    /// The storage fails.
    pub fn verify(
        &self,
        names: &[PointName],
        progress: &mut dyn FnMut(Progress),
    ) -> Result<Verified, BackupError> {
        let mut verified = Verified::default();
        let mut points = Vec::new();
        let mut bundles: BTreeMap<String, BundleLine> = BTreeMap::new();
        for name in names {
            verified.points += 1;
            if let Some(point) = told(&mut verified, self.point(name))? {
                let lines = point.bundles.iter();
                bundles.extend(lines.map(|line| (line.name.clone(), line.clone())));
                points.push((name, point));
            }
        }
        let mut found = Found::default();
        for line in bundles.values() {
            let read = self.verify_bundle(line, &mut found, &mut verified, progress);
            told(&mut verified, read)?;
        }
        found.check_references(&mut verified);
        for (name, point) in points {
            found.check_chain(name, &point, &mut verified);
        }
        Ok(verified)
    }

    fn verify_bundle(
        &self,
        line: &BundleLine,
        found: &mut Found,
        verified: &mut Verified,
        progress: &mut dyn FnMut(Progress),
    ) -> Result<(), BackupError> {
        let file = self.bundle(&line.name)?;
        verified.bundles += 1;
        verified.bytes += file.len() as u64;
        let mut ids = Vec::new();
        bundle::read(&line.name, &file, &mut |object| {
            ids.push((object.kind(), object.id()));
            found.add(&object)
        })?;
        verified.objects += ids.len() as u64;
        progress(Progress {
            objects: verified.objects,
            bytes: verified.bytes,
        });
        if ids.len() as u64 != line.objects {
            verified.problem(format!(
                "{}: it has {} objects, its points say {}",
                bundle::bundle_file(&line.name),
                ids.len(),
                line.objects
            ));
        }
        ids.sort_unstable();
        let list = list_file(&line.name);
        let listed = self.storage.read(&list, LIST_BYTES_MAX)?;
        if listed.as_deref().and_then(decode_list) != Some(ids) {
            verified.problem(format!(
                "{list}: it is missing or damaged; the next backup makes it again"
            ));
        }
        Ok(())
    }
}

/// What is damaged is told; what keeps from looking further is an error.
fn told<T>(
    verified: &mut Verified,
    read: Result<T, BackupError>,
) -> Result<Option<T>, BackupError> {
    match read {
        Ok(read) => Ok(Some(read)),
        Err(error @ BackupError::Storage(_)) => Err(error),
        Err(error) => {
            verified.problem(error.to_string());
            Ok(None)
        }
    }
}

impl Verified {
    fn problem(&mut self, problem: String) {
        if self.problems.len() < PROBLEMS_MAX {
            self.problems.push(problem);
        }
    }
}

impl Found {
    fn add(&mut self, object: &Object) -> Result<(), BackupError> {
        let own = (object.kind(), object.id());
        self.ids.insert(own);
        for link in links_of(object)? {
            self.needed.entry(link).or_insert(own);
        }
        if object.kind() == Kind::Operation
            && let Ok(operation) = Operation::decode(object.bytes())
        {
            let link = Link {
                sequence: operation.sequence,
                parent: operation.parent,
                index: operation.index,
                time_ms: operation.time_ms,
            };
            self.operations.insert(object.id(), link);
        }
        Ok(())
    }

    fn check_references(&self, verified: &mut Verified) {
        let mut missing: Vec<String> = self
            .needed
            .iter()
            .filter(|(needed, _)| !self.ids.contains(*needed))
            .map(|((kind, id), (by_kind, by))| {
                format!("{kind} {id} is in none of the bundles; {by_kind} {by} refers to it")
            })
            .collect();
        missing.sort();
        missing
            .into_iter()
            .for_each(|problem| verified.problem(problem));
    }

    /// The chain of operations leads from the point back to the first.
    fn check_chain(&self, name: &PointName, point: &Point, verified: &mut Verified) {
        let head = &point.head;
        let mut next = Some(head.operation);
        let mut expected = head.sequence;
        let mut newest = true;
        while let Some(id) = next {
            let Some(link) = self.operations.get(&id) else {
                let file = name.file();
                verified.problem(format!(
                    "{file}: operation {id}, number {expected} of its chain, is in none of its bundles"
                ));
                return;
            };
            let fits = link.sequence == expected
                && (!newest || (link.index, link.time_ms) == (head.index, head.time_ms));
            if !fits {
                let file = name.file();
                verified.problem(format!(
                    "{file}: operation {id} has number {}, {expected} is needed there",
                    link.sequence
                ));
                return;
            }
            newest = false;
            expected -= 1;
            next = link.parent;
            if expected == 0 && next.is_none() {
                return;
            }
            if expected == 0 || next.is_none() {
                let file = name.file();
                verified.problem(format!(
                    "{file}: its chain of operations ends at number {}",
                    expected + 1
                ));
                return;
            }
        }
    }
}
