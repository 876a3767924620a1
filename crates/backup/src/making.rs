//! Making a backup: what the place lacks of what the newest operation stands for, and a point at the end.
//!
//! From each new operation it descends past nothing but what the place has for certain. What a run that was
//! killed had brought is used: `running/` says which bundles were written for no point yet.

use std::collections::{BTreeMap, BTreeSet, HashMap, HashSet};

use bytes::Bytes;
use confman_object_store::{Kind, Object, ObjectId};
use confman_repo::refs::links;

use crate::BackupError;
use crate::bundle::{
    self, BUNDLES, Closed, Gathering, bundle_file, decode_list, list_file, name_of,
};
use crate::place::Backup;
use crate::point::{BundleLine, Point, PointName};
use crate::source::{Head, Source};

/// Where runs that have not ended say what they have written.
const RUNNING: &str = "running/";
/// Most objects that are asked for at once.
const ASK_MAX: usize = 2048;
/// Most bytes of a list of what is in a bundle.
const LIST_BYTES_MAX: u64 = 256 << 20;
/// Most bytes of a note in `running/`.
const RUNNING_BYTES_MAX: u64 = 16 << 20;
/// A bundle whose file is smaller is put together with others when there are many.
const SMALL_BUNDLE_BYTES: u64 = 4 << 20;
/// So many small bundles of one point are put together.
const SMALL_BUNDLES_MAX: usize = 32;

type Wanted = (Kind, ObjectId);

/// How far a backup has come.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Progress {
    /// Objects that the store has given.
    pub objects: u64,
    /// Their bytes.
    pub bytes: u64,
}

/// What came of making a backup.
#[derive(Clone, Debug)]
pub struct Made {
    /// The point, in `points/`.
    pub name: PointName,
    /// What it says.
    pub point: Point,
    /// Whether it was there before: nothing has happened since.
    pub was_there: bool,
    /// Objects that the place had not.
    pub objects: u64,
    /// Bytes of the files that were written.
    pub bytes: u64,
    /// What was found on the way and is made good by this backup.
    pub warnings: Vec<String>,
}

impl Backup {
    /// Makes a backup of what the newest operation of `source` stands for.
    ///
    /// # Errors
    /// The place is another store's, a storage fails, or the store does not give something. Points that were
    /// there stay as they are.
    pub fn make(
        &self,
        source: &dyn Source,
        now_ms: i64,
        progress: &mut dyn FnMut(Progress),
    ) -> Result<Made, BackupError> {
        let head = source.head()?;
        let mut warnings = Vec::new();
        let base = self.base(source, &head, &mut warnings)?;
        let mut run = Run::new(self, head, warnings, progress);
        run.look_at(base.as_ref().map(|(_, point)| point))?;
        if let Some((name, point)) = base
            && point.head.operation == head.operation
            && run.vouches
        {
            return Ok(Made {
                name,
                point,
                was_there: true,
                objects: 0,
                bytes: 0,
                warnings: run.warnings,
            });
        }
        run.take_up_what_was_left()?;
        run.put_small_together()?;
        run.fetch(source)?;
        run.finish(now_ms)
    }

    /// The newest point that can be read, which must be of this store and of its past.
    fn base(
        &self,
        source: &dyn Source,
        head: &Head,
        warnings: &mut Vec<String>,
    ) -> Result<Option<(PointName, Point)>, BackupError> {
        for name in self.points()?.into_iter().rev() {
            let point = match self.point(&name) {
                Ok(point) => point,
                Err(error @ BackupError::Damaged { .. }) => {
                    warnings.push(error.to_string());
                    continue;
                }
                Err(error) => return Err(error),
            };
            if point.head.cluster_id != head.cluster_id {
                let hex = |id: &[u8; 16]| data_encoding::HEXLOWER.encode(id);
                return Err(BackupError::OtherCluster {
                    place: self.place(),
                    theirs: hex(&point.head.cluster_id),
                    ours: hex(&head.cluster_id),
                });
            }
            let sequence = point.head.sequence;
            let ours = match sequence <= head.sequence {
                true => source
                    .operations(sequence.saturating_sub(1))?
                    .first()
                    .copied(),
                false => None,
            };
            if ours != Some(point.head.operation) {
                return Err(BackupError::Ahead {
                    place: self.place(),
                    sequence,
                });
            }
            return Ok(Some((name, point)));
        }
        Ok(None)
    }
}

/// One backup being made.
struct Run<'a> {
    backup: &'a Backup,
    head: Head,
    /// Operations up to this number are there, if what is known vouches.
    base_sequence: u64,
    /// Bundles of the point that is being made.
    bundles: BTreeMap<String, BundleLine>,
    /// Objects of the newest point.
    known: HashSet<Wanted>,
    /// Whether what is known is whole: nothing below it needs to be looked at.
    vouches: bool,
    /// What a run before had brought, and what it refers to.
    brought: HashMap<Wanted, Vec<Wanted>>,
    gathering: Gathering,
    /// The note of this run, and of those whose bundles it took over.
    note: Option<String>,
    left: Vec<String>,
    /// Bundles that were written for no point yet.
    written: BTreeSet<String>,
    objects: u64,
    bytes: u64,
    warnings: Vec<String>,
    told: Progress,
    progress: &'a mut dyn FnMut(Progress),
}

impl<'a> Run<'a> {
    fn new(
        backup: &'a Backup,
        head: Head,
        warnings: Vec<String>,
        progress: &'a mut dyn FnMut(Progress),
    ) -> Self {
        Self {
            backup,
            head,
            base_sequence: 0,
            bundles: BTreeMap::new(),
            known: HashSet::new(),
            vouches: true,
            brought: HashMap::new(),
            gathering: Gathering::default(),
            note: None,
            left: Vec::new(),
            written: BTreeSet::new(),
            objects: 0,
            bytes: 0,
            warnings,
            told: Progress::default(),
            progress,
        }
    }

    /// Learns what the newest point has.
    fn look_at(&mut self, base: Option<&Point>) -> Result<(), BackupError> {
        let Some(base) = base else { return Ok(()) };
        self.base_sequence = base.head.sequence;
        let files = self.backup.storage.list(BUNDLES)?;
        let there: HashMap<&str, u64> = files
            .iter()
            .filter_map(|file| Some((name_of(&file.name)?, file.bytes)))
            .collect();
        for line in &base.bundles {
            let read = match there.get(line.name.as_str()) {
                Some(bytes) if *bytes == line.bytes => self.ids_of(&line.name),
                Some(_) => Err(damaged(&line.name, "it has another length")),
                None => Err(damaged(&line.name, "it is missing")),
            };
            match read {
                Ok(ids) => {
                    self.known.extend(ids);
                    self.bundles.insert(line.name.clone(), line.clone());
                }
                Err(error @ BackupError::Damaged { .. }) => {
                    self.vouches = false;
                    self.warnings
                        .push(format!("{error}; what was in it is fetched again"));
                }
                Err(error) => return Err(error),
            }
        }
        Ok(())
    }

    /// What is in a bundle, by its list; made again where that is missing or damaged.
    fn ids_of(&self, name: &str) -> Result<Vec<Wanted>, BackupError> {
        let file = list_file(name);
        let list = self.backup.storage.read(&file, LIST_BYTES_MAX)?;
        if let Some(ids) = list.as_deref().and_then(decode_list) {
            return Ok(ids);
        }
        let mut ids = BTreeSet::new();
        bundle::read(name, &self.backup.bundle(name)?, &mut |object| {
            ids.insert((object.kind(), object.id()));
            Ok(())
        })?;
        let list = bundle::encode_list(&ids);
        self.backup.storage.write(&file, &list)?;
        Ok(ids.into_iter().collect())
    }

    /// Takes over the bundles of runs that were killed.
    fn take_up_what_was_left(&mut self) -> Result<(), BackupError> {
        for file in self.backup.storage.list(RUNNING)? {
            let note = self.backup.storage.read(&file.name, RUNNING_BYTES_MAX)?;
            for name in names_in(&note.unwrap_or_default()) {
                if self.bundles.contains_key(&name) {
                    continue;
                }
                match self.take_up(&name) {
                    Ok(()) => {}
                    // It was never finished, or is no good: what was in it is fetched.
                    Err(BackupError::Damaged { .. }) => {}
                    Err(error) => return Err(error),
                }
            }
            self.left.push(file.name);
        }
        Ok(())
    }

    fn take_up(&mut self, name: &str) -> Result<(), BackupError> {
        let file = self.backup.bundle(name)?;
        let mut found: Vec<(Wanted, Vec<Wanted>)> = Vec::new();
        bundle::read(name, &file, &mut |object| {
            let links = links_of(&object)?;
            found.push(((object.kind(), object.id()), links));
            Ok(())
        })?;
        if found.iter().all(|(object, _)| self.known.contains(object)) {
            return Ok(());
        }
        let line = BundleLine {
            name: name.to_owned(),
            bytes: file.len() as u64,
            objects: found.len() as u64,
        };
        self.bundles.insert(name.to_owned(), line);
        self.written.insert(name.to_owned());
        self.brought.extend(found);
        Ok(())
    }

    /// Many small bundles would make every later backup slow: their objects go into a new one.
    fn put_small_together(&mut self) -> Result<(), BackupError> {
        let small: Vec<String> = self
            .bundles
            .values()
            .filter(|line| line.bytes < SMALL_BUNDLE_BYTES && !self.written.contains(&line.name))
            .map(|line| line.name.clone())
            .collect();
        if small.len() < SMALL_BUNDLES_MAX {
            return Ok(());
        }
        for name in small {
            let file = self.backup.bundle(&name)?;
            let mut objects = Vec::new();
            bundle::read(&name, &file, &mut |object| {
                objects.push(object);
                Ok(())
            })?;
            for object in &objects {
                self.gather(object)?;
            }
            self.bundles.remove(&name);
        }
        Ok(())
    }

    /// Fetches everything that the newest operation stands for and the place has not.
    fn fetch(&mut self, source: &dyn Source) -> Result<(), BackupError> {
        let mut waiting = self.operations(source)?;
        // The oldest first, so that versions of one thing come one after the other.
        waiting.reverse();
        let mut seen = HashSet::new();
        loop {
            let missing = self.next_missing(&mut waiting, &mut seen);
            if missing.is_empty() {
                return Ok(());
            }
            let answered = source.objects(&missing)?;
            if answered.is_empty() {
                return Err(astray("it gave none of the objects that it was asked for"));
            }
            for (wanted, object) in missing.iter().zip(&answered) {
                if (object.kind(), object.id()) != *wanted {
                    let (kind, id) = wanted;
                    return Err(astray(&format!("what came as {kind} {id} is not that")));
                }
                waiting.extend(links_of(object)?);
                self.told.objects += 1;
                self.told.bytes += object.bytes().len() as u64;
                if !self.known.contains(wanted) {
                    self.objects += 1;
                    self.gather(object)?;
                }
            }
            for unanswered in missing.iter().skip(answered.len()) {
                seen.remove(unanswered);
                waiting.push(*unanswered);
            }
            (self.progress)(self.told);
        }
    }

    fn next_missing(
        &mut self,
        waiting: &mut Vec<Wanted>,
        seen: &mut HashSet<Wanted>,
    ) -> Vec<Wanted> {
        let mut missing = Vec::new();
        while missing.len() < ASK_MAX {
            let Some(wanted) = waiting.pop() else { break };
            if !seen.insert(wanted) || (self.vouches && self.known.contains(&wanted)) {
                continue;
            }
            match self.brought.remove(&wanted) {
                Some(links) => waiting.extend(links),
                None => missing.push(wanted),
            }
        }
        missing
    }

    /// The operations that are to be looked at: the new ones, or all.
    fn operations(&self, source: &dyn Source) -> Result<Vec<Wanted>, BackupError> {
        let begin = match self.vouches {
            true => self.base_sequence,
            false => 0,
        };
        let mut ids: Vec<ObjectId> = Vec::new();
        let count = usize::try_from(self.head.sequence - begin).unwrap_or(usize::MAX);
        while ids.len() < count {
            let more = source.operations(begin + ids.len() as u64)?;
            if more.is_empty() {
                return Err(astray("it lists fewer operations than it has"));
            }
            ids.extend(more);
        }
        ids.truncate(count);
        if count > 0 && ids.last() != Some(&self.head.operation) {
            return Err(astray("its operations do not end with its newest one"));
        }
        Ok(ids.into_iter().map(|id| (Kind::Operation, id)).collect())
    }

    fn gather(&mut self, object: &Object) -> Result<(), BackupError> {
        self.gathering.add(object);
        if self.gathering.is_full() {
            self.write_bundle()?;
        }
        Ok(())
    }

    /// Writes what was gathered. The note comes first, so that it is known of whatever happens.
    fn write_bundle(&mut self) -> Result<(), BackupError> {
        let Some(Closed { line, file, list }) = std::mem::take(&mut self.gathering).close()? else {
            return Ok(());
        };
        self.written.insert(line.name.clone());
        self.write_note()?;
        let storage = &self.backup.storage;
        storage.write(&list_file(&line.name), &list)?;
        storage.write(&bundle_file(&line.name), &file)?;
        self.bytes += (file.len() + list.len()) as u64;
        self.bundles.insert(line.name.clone(), line);
        Ok(())
    }

    fn write_note(&mut self) -> Result<(), BackupError> {
        let mut text = String::new();
        for name in &self.written {
            text.push_str(name);
            text.push('\n');
        }
        let file = match &self.note {
            Some(file) => file.clone(),
            None => {
                // As good as random: no two bundles have one hash.
                let first = self.written.iter().next().cloned().unwrap_or_default();
                let digits: String = first.chars().take(16).collect();
                format!("{RUNNING}{:012}-{digits}", self.head.sequence)
            }
        };
        self.backup.storage.write(&file, &text.into())?;
        self.note = Some(file);
        Ok(())
    }

    fn finish(mut self, now_ms: i64) -> Result<Made, BackupError> {
        self.write_bundle()?;
        let point = Point {
            head: self.head,
            made_ms: now_ms,
            bundles: self.bundles.into_values().collect(),
        };
        let name = PointName::of(&point.head);
        let bytes: Bytes = point.encode();
        self.backup.storage.write(&name.file(), &bytes)?;
        for note in self.left.iter().chain(&self.note) {
            self.backup.storage.remove(note)?;
        }
        Ok(Made {
            name,
            point,
            was_there: false,
            objects: self.objects,
            bytes: self.bytes + bytes.len() as u64,
            warnings: self.warnings,
        })
    }
}

fn names_in(note: &Bytes) -> Vec<String> {
    let text = String::from_utf8_lossy(note);
    let names = text.lines().filter(|name| {
        let file = bundle_file(name);
        name_of(&file).is_some()
    });
    names.map(str::to_owned).collect()
}

fn damaged(bundle: &str, reason: &str) -> BackupError {
    BackupError::Damaged {
        file: bundle_file(bundle),
        reason: reason.to_owned(),
    }
}

fn astray(reason: &str) -> BackupError {
    BackupError::Source(reason.to_owned().into())
}

/// What an object refers to.
pub(crate) fn links_of(object: &Object) -> Result<Vec<Wanted>, BackupError> {
    let (kind, id) = (object.kind(), object.id());
    links(kind, object.bytes())
        .map_err(|error| astray(&format!("{kind} {id} is malformed: {error}")))
}
