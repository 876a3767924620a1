//! Restoring: a data directory of its own, as of any operation that a point covers.

use std::collections::BTreeMap;
use std::path::Path;

use confman_object_store::id::IdPrefix;
use confman_object_store::{Kind, Object, ObjectId};
use confman_repo::refs::{Operation, RestoreError, Restored, Restoring};

use crate::BackupError;
use crate::bundle;
use crate::making::Progress;
use crate::place::Backup;
use crate::point::{Point, PointName};

/// Objects that are put together.
const TOGETHER: usize = 1024;
/// Bytes of objects that are put together.
const TOGETHER_BYTES: usize = 16 << 20;

/// As of when.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum At {
    /// As of the point.
    Newest,
    /// As of this operation, by its id or a beginning of it.
    Operation(IdPrefix),
    /// As of the last operation up to a log index.
    Index(u64),
    /// As of the last operation up to a time, in milliseconds since 1970.
    Time(i64),
}

/// Where an operation is in its chain.
struct Place {
    id: ObjectId,
    index: u64,
    time_ms: i64,
}

impl Backup {
    /// Makes a data directory, which must be empty or not there, of what a point covers, and gives what the point
    /// says. Nothing is restored unless everything that it takes is there and is what it should be. The directory
    /// opens only once what it lacks beside objects was added (`confman_repo::refs::Node::open_restored`).
    ///
    /// # Errors
    /// The directory is not empty, a file of the backup is missing or damaged, or there is no such operation.
    pub fn restore(
        &self,
        name: &PointName,
        at: &At,
        directory: &Path,
        progress: &mut dyn FnMut(Progress),
    ) -> Result<(Restored, Point), BackupError> {
        let point = self.point(name)?;
        let restoring = Restoring::begin(directory).map_err(RestoreError::Open)?;
        match self.fill(&point, at, &restoring, progress) {
            Ok(restored) => Ok((restored, point)),
            Err(error) => {
                // What is left would only be in the way of the next attempt.
                restoring.discard().map_err(RestoreError::Io)?;
                Err(error)
            }
        }
    }

    fn fill(
        &self,
        point: &Point,
        at: &At,
        restoring: &Restoring,
        progress: &mut dyn FnMut(Progress),
    ) -> Result<Restored, BackupError> {
        let mut filling = Filling {
            restoring,
            objects: Vec::new(),
            bytes: 0,
            operations: Vec::new(),
            told: Progress::default(),
            progress,
        };
        for line in &point.bundles {
            let file = self.bundle(&line.name)?;
            bundle::read(&line.name, &file, &mut |object| filling.add(object))?;
        }
        filling.put()?;
        let operations = filling.operations;
        let operation = self.operation_at(point, at, &operations)?;
        Ok(restoring.finish(operation, point.head.index)?)
    }

    fn operation_at(
        &self,
        point: &Point,
        at: &At,
        operations: &[Place],
    ) -> Result<ObjectId, BackupError> {
        let newest_up_to = |fits: &dyn Fn(&Place) -> bool| {
            let upto = |place: &&Place| place.index <= point.head.index && fits(place);
            operations
                .iter()
                .filter(upto)
                .max_by_key(|place| place.index)
        };
        let (found, what) = match at {
            At::Newest => return Ok(point.head.operation),
            At::Index(index) => (
                newest_up_to(&|place| place.index <= *index),
                format!("reaches back to index {index}"),
            ),
            At::Time(time_ms) => (
                newest_up_to(&|place| place.time_ms <= *time_ms),
                "reaches back to that time".to_owned(),
            ),
            At::Operation(prefix) => {
                // One may be in two bundles.
                let matching: BTreeMap<ObjectId, &Place> = operations
                    .iter()
                    .filter(|place| prefix.matches(&place.id))
                    .map(|place| (place.id, place))
                    .collect();
                match matching.len() {
                    0 | 1 => (
                        matching.into_values().next(),
                        "covers that operation".to_owned(),
                    ),
                    _ => {
                        let what = "covers only one operation that begins like this";
                        (None, what.to_owned())
                    }
                }
            }
        };
        found
            .map(|place| place.id)
            .ok_or_else(|| BackupError::NotFound {
                place: self.place(),
                what,
            })
    }
}

/// Puts objects into the directory, many at a time.
struct Filling<'a> {
    restoring: &'a Restoring,
    objects: Vec<Object>,
    bytes: usize,
    operations: Vec<Place>,
    told: Progress,
    progress: &'a mut dyn FnMut(Progress),
}

impl Filling<'_> {
    fn add(&mut self, object: Object) -> Result<(), BackupError> {
        if object.kind() == Kind::Operation
            && let Ok(operation) = Operation::decode(object.bytes())
        {
            self.operations.push(Place {
                id: object.id(),
                index: operation.index,
                time_ms: operation.time_ms,
            });
        }
        self.bytes += object.bytes().len();
        self.objects.push(object);
        if self.objects.len() >= TOGETHER || self.bytes >= TOGETHER_BYTES {
            self.put()?;
        }
        Ok(())
    }

    fn put(&mut self) -> Result<(), BackupError> {
        let objects = std::mem::take(&mut self.objects);
        self.told.objects += objects.len() as u64;
        self.told.bytes += std::mem::take(&mut self.bytes) as u64;
        self.restoring.put(&objects).map_err(RestoreError::Io)?;
        (self.progress)(self.told);
        Ok(())
    }
}
