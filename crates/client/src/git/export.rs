//! Writes the history of a namespace as a `git fast-import` stream.
//!
//! Importing the stream gives the same trees: what Git cannot say about an entry is in the sidecar
//! (see [`super::sidecar`]), and a change of what is stated there comes with its file.

use std::collections::{BTreeSet, HashMap};
use std::io::Write;
use std::sync::Arc;

use confman_api::sync::FetchWrite;
use confman_layout::{entry_key, read_entry};
use confman_model::{Entry, EntryType, Key, Namespace, ValueLimits};
use confman_object_store::pack::PackReader;
use confman_object_store::tree::{self, TreeKey};
use confman_object_store::{
    Commit, Kind, Moment, ObjectBackend, ObjectId, Person, ReadError, ReadObjects, Store,
};

use super::content::{MODE_FILE, MODE_TAG, read_value};
use super::sidecar::{self, SIDECAR_FILE, Sidecar, Stated};
use super::workshop::{EXPORT_LIMITS, Spill};
use crate::client::{Client, ClientError, chain};

/// Decoded pages and commits that are kept in memory.
const CACHE_BYTES: u64 = 64 << 20;
/// Commits between two reports.
const REPORT_EVERY: u64 = 100;
/// Where files lie whose keys cannot be paths of a Git tree.
const RENAMED_DIRECTORY: &str = "@";
/// Digits of a key's hash that name such a file.
const HASHED_NAME_DIGITS: usize = 32;

/// What to export.
#[derive(Clone, Debug)]
pub struct ExportOptions {
    /// The namespace.
    pub namespace: Namespace,
    /// Every commit with all of its parents, not only the published line.
    pub all_commits: bool,
    /// The branch to write: a name below `refs/heads/`, or a whole ref.
    pub branch: String,
}

/// What was exported.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct ExportReport {
    /// Commits.
    pub commits: u64,
    /// Blobs.
    pub blobs: u64,
    /// Bytes of the stream.
    pub bytes: u64,
}

/// Why an export stopped.
#[derive(Debug, thiserror::Error)]
pub enum ExportError {
    /// There is nothing to export.
    #[error("nothing was published in `{0}`")]
    Nothing(Namespace),
    /// Something cannot be written as Git has it.
    #[error("{0}")]
    Refused(String),
    /// The server could not be asked or said no.
    #[error(transparent)]
    Client(#[from] ClientError),
    /// An object that was fetched is missing or wrong.
    #[error("an object that was fetched is missing or wrong")]
    Read(#[from] ReadError),
    /// The stream cannot be written.
    #[error("cannot write the stream")]
    Io(#[from] std::io::Error),
}

/// Writes the stream.
///
/// # Errors
/// What was written so far is not a whole stream then; it lacks its `done`.
pub async fn export<W: Write>(
    client: &Client,
    options: &ExportOptions,
    out: W,
    progress: &(dyn Fn(ExportReport) + Send + Sync),
) -> Result<ExportReport, ExportError> {
    let want = FetchWrite {
        want: vec!["published".to_owned()],
        have: Vec::new(),
        depth: None,
        all_trees: true,
    };
    let mut pack = client.fetch(&options.namespace, &want).await?;
    let head = pack
        .head
        .refs
        .first()
        .and_then(|found| found.commit.clone());
    let Some(head) = head else {
        return Err(ExportError::Nothing(options.namespace.clone()));
    };
    let head: ObjectId = head.parse().map_err(|error| {
        ExportError::Refused(format!("the server named `{head}` as a commit: {error}"))
    })?;
    let spill = Arc::new(Spill::new()?);
    let mut reader = PackReader::new(pack.reader()?, &EXPORT_LIMITS).map_err(ClientError::Pack)?;
    while let Some(frame) = reader.next_frame().map_err(ClientError::Pack)? {
        spill.keep(&frame)?;
    }
    // Everything is verified as it is read from here.
    let store = Store::new(spill as Arc<dyn ObjectBackend>, CACHE_BYTES);
    write(&store, head, options, out, progress)
}

/// Writes the history that ends at `head`.
pub(super) fn write<W: Write>(
    objects: &dyn ReadObjects,
    head: ObjectId,
    options: &ExportOptions,
    out: W,
    progress: &(dyn Fn(ExportReport) + Send + Sync),
) -> Result<ExportReport, ExportError> {
    let name = match options.branch.strip_prefix("refs/") {
        Some(_) => options.branch.clone(),
        None => format!("refs/heads/{}", options.branch),
    };
    if name.contains(|c: char| {
        c.is_control() || c.is_whitespace() || matches!(c, '~' | '^' | ':' | '?' | '*' | '[' | '\\')
    }) {
        return Err(ExportError::Refused(format!(
            "`{}` cannot be the name of a branch",
            options.branch.escape_debug()
        )));
    }
    let order = if options.all_commits {
        all_commits(objects, head)?
    } else {
        line(objects, head)?
    };
    let mut stream = Stream {
        objects,
        out,
        report: ExportReport::default(),
        marks: 0,
        blobs: HashMap::new(),
        commits: HashMap::new(),
        sidecars: HashMap::new(),
    };
    stream.text(&format!("feature done\nreset {name}\n"))?;
    let mut previous = None;
    for id in order {
        let commit = objects.commit(&id)?;
        let parents = if options.all_commits {
            commit.parents.clone()
        } else {
            previous.into_iter().collect()
        };
        stream.commit(&name, id, &commit, &parents)?;
        previous = Some(id);
        if stream.report.commits.is_multiple_of(REPORT_EVERY) {
            progress(stream.report);
        }
    }
    stream.text("done\n")?;
    stream.out.flush()?;
    progress(stream.report);
    Ok(stream.report)
}

/// The first-parent line, oldest first.
fn line(objects: &dyn ReadObjects, head: ObjectId) -> Result<Vec<ObjectId>, ExportError> {
    let mut line = Vec::new();
    let mut next = Some(head);
    while let Some(id) = next {
        line.push(id);
        next = objects.commit(&id)?.parents.first().copied();
    }
    line.reverse();
    Ok(line)
}

/// Every commit, parents before children.
fn all_commits(objects: &dyn ReadObjects, head: ObjectId) -> Result<Vec<ObjectId>, ExportError> {
    let mut found = BTreeSet::new();
    let mut seen = BTreeSet::from([head]);
    let mut pending = vec![head];
    while let Some(id) = pending.pop() {
        let commit = objects.commit(&id)?;
        // A generation is larger than those of all parents.
        found.insert((commit.generation, id));
        pending.extend(commit.parents.iter().filter(|parent| seen.insert(**parent)));
    }
    Ok(found.into_iter().map(|(_, id)| id).collect())
}

/// How an entry lies in a Git tree.
#[derive(Clone, Debug, PartialEq, Eq)]
struct GitFile {
    path: String,
    mode: u32,
    /// What must be stated about it, if anything.
    stated: Option<Stated>,
    bytes: Arc<[u8]>,
}

struct Stream<'o, W: Write> {
    objects: &'o dyn ReadObjects,
    out: W,
    report: ExportReport,
    marks: u64,
    /// Marks of blobs, by id of their bytes.
    blobs: HashMap<ObjectId, u64>,
    commits: HashMap<ObjectId, u64>,
    /// What is stated at each commit.
    sidecars: HashMap<ObjectId, Sidecar>,
}

impl<W: Write> Stream<'_, W> {
    fn raw(&mut self, bytes: &[u8]) -> Result<(), ExportError> {
        self.out.write_all(bytes)?;
        self.report.bytes += bytes.len() as u64;
        Ok(())
    }

    fn text(&mut self, text: &str) -> Result<(), ExportError> {
        self.raw(text.as_bytes())
    }

    fn data(&mut self, bytes: &[u8]) -> Result<(), ExportError> {
        self.text(&format!("data {}\n", bytes.len()))?;
        self.raw(bytes)?;
        self.text("\n")
    }

    /// The mark of a blob, written first if it was not yet.
    fn blob(&mut self, bytes: &[u8]) -> Result<u64, ExportError> {
        let id = ObjectId::of(Kind::Blob, bytes);
        if let Some(mark) = self.blobs.get(&id) {
            return Ok(*mark);
        }
        self.marks += 1;
        let mark = self.marks;
        self.text(&format!("blob\nmark :{mark}\n"))?;
        self.data(bytes)?;
        self.blobs.insert(id, mark);
        self.report.blobs += 1;
        Ok(mark)
    }

    fn commit(
        &mut self,
        branch: &str,
        id: ObjectId,
        commit: &Commit,
        parents: &[ObjectId],
    ) -> Result<(), ExportError> {
        let before = match parents.first() {
            Some(parent) => Some((
                self.objects.commit(parent)?.tree,
                self.sidecars.get(parent).cloned().unwrap_or_default(),
            )),
            None => None,
        };
        let (removed, files, stated) = self.changes(before.as_ref(), &commit.tree)?;
        let mut lines: Vec<String> = removed.iter().map(|path| format!("D {path}\n")).collect();
        for file in files {
            let mark = self.blob(&file.bytes)?;
            lines.push(format!("M {:o} :{mark} {}\n", file.mode, file.path));
        }
        let stated_before = before.map(|(_, sidecar)| sidecar).unwrap_or_default();
        if stated.is_empty() && !stated_before.is_empty() {
            lines.push(format!("D {SIDECAR_FILE}\n"));
        } else if stated != stated_before {
            let mark = self.blob(sidecar::to_text(&stated).as_bytes())?;
            lines.push(format!("M {MODE_FILE:o} :{mark} {SIDECAR_FILE}\n"));
        }
        self.sidecars.insert(id, stated);
        self.marks += 1;
        let mark = self.marks;
        let author = ident(&commit.author, &commit.author_time);
        let committer = ident(&commit.committer, &commit.commit_time);
        self.text(&format!(
            "commit {branch}\nmark :{mark}\nauthor {author}\ncommitter {committer}\n"
        ))?;
        self.data(commit.message.as_bytes())?;
        for (at, parent) in parents.iter().enumerate() {
            let word = if at == 0 { "from" } else { "merge" };
            if let Some(mark) = self.commits.get(parent) {
                self.text(&format!("{word} :{mark}\n"))?;
            }
        }
        self.text(&lines.concat())?;
        self.text("\n")?;
        self.commits.insert(id, mark);
        self.report.commits += 1;
        Ok(())
    }

    /// Paths that go, files that come or change, and what is stated afterwards.
    fn changes(
        &self,
        before: Option<&(ObjectId, Sidecar)>,
        tree: &ObjectId,
    ) -> Result<(Vec<String>, Vec<GitFile>, Sidecar), ExportError> {
        let mut keys: BTreeSet<TreeKey> = BTreeSet::new();
        match before {
            Some((before, _)) => keys.extend(
                tree::diff(self.objects, before, tree)?
                    .into_iter()
                    .map(|change| change.key),
            ),
            None => tree::walk(self.objects, tree, b"", None, &mut |key, _| {
                keys.insert(key);
                std::ops::ControlFlow::Continue(())
            })?,
        }
        // A key that gets or loses keys below it changes its path.
        let above: Vec<TreeKey> = keys
            .iter()
            .flat_map(|key| {
                let bytes = key.as_bytes();
                let slashes = bytes.iter().enumerate().filter(|(_, byte)| **byte == b'/');
                slashes
                    .filter_map(|(at, _)| TreeKey::new(bytes.get(..at).unwrap_or_default()).ok())
                    .collect::<Vec<_>>()
            })
            .collect();
        keys.extend(above);
        let mut stated = before
            .map(|(_, sidecar)| sidecar.clone())
            .unwrap_or_default();
        let mut removed = Vec::new();
        let mut files = Vec::new();
        for key in keys {
            let old = match before {
                Some((before, _)) => self.file(before, &key)?,
                None => None,
            };
            let new = self.file(tree, &key)?;
            if old == new {
                continue;
            }
            if let Some(old) = &old {
                stated.remove(&old.path);
                if new.as_ref().is_none_or(|new| new.path != old.path) {
                    removed.push(old.path.clone());
                }
            }
            if let Some(new) = new {
                if let Some(of_new) = &new.stated {
                    stated.insert(new.path.clone(), of_new.clone());
                }
                files.push(new);
            }
        }
        Ok((removed, files, stated))
    }

    /// How a key's entry lies in the Git tree of a tree.
    fn file(&self, tree: &ObjectId, name: &TreeKey) -> Result<Option<GitFile>, ExportError> {
        let Some(leaf) = tree::get(self.objects, tree, name.as_bytes())? else {
            return Ok(None);
        };
        let wrong = |error: &dyn std::error::Error| ExportError::Refused(chain(error));
        let key = entry_key(name).map_err(|error| wrong(&error))?;
        let entry = read_entry(self.objects, &leaf).map_err(|error| wrong(&error))?;
        let mut below = name.as_bytes().to_vec();
        below.push(b'/');
        let is_directory = tree::count_prefix(self.objects, tree, &below)? > 0;
        let path = if is_directory || !is_git_path(&key) {
            renamed(&key)
        } else {
            key.to_string()
        };
        Ok(Some(git_file(&key, path, &entry)))
    }
}

/// Whether Git takes a key as a path.
fn is_git_path(key: &Key) -> bool {
    key.as_str() != SIDECAR_FILE
        && !key
            .segments()
            .any(|segment| segment.eq_ignore_ascii_case(".git"))
}

fn renamed(key: &Key) -> String {
    let hash = ObjectId::of(Kind::Blob, key.as_str().as_bytes()).to_string();
    format!(
        "{RENAMED_DIRECTORY}/{}",
        hash.get(..HASHED_NAME_DIGITS).unwrap_or_default()
    )
}

fn git_file(key: &Key, path: String, entry: &Entry) -> GitFile {
    let mut stated = Stated {
        key: (path != key.as_str()).then(|| key.to_string()),
        unset: entry.is_unset(),
        description: entry.description().to_owned(),
        media_type: entry.media_type().map(ToOwned::to_owned),
        ..Stated::default()
    };
    let mut mode = MODE_FILE;
    for tag in entry.tags() {
        match mode_of(tag) {
            Some(of_tag) if mode == MODE_FILE && !entry.is_unset() => mode = of_tag,
            _ => stated.tags.push(tag.clone()),
        }
    }
    let bytes: Arc<[u8]> = match entry.value() {
        Some(value) => {
            let told = told_type(value.bytes(), path.ends_with(".json"));
            if told != Some(value.entry_type()) {
                stated.entry_type = Some(value.entry_type());
            }
            value.shared_bytes()
        }
        None => Arc::from([]),
    };
    // What is stated is stated whole: the reader then infers nothing.
    if stated != Stated::default() && stated.entry_type.is_none() {
        stated.entry_type = entry.value().map(confman_model::Value::entry_type);
    }
    let stated = (stated != Stated::default()).then_some(stated);
    GitFile {
        path,
        mode,
        stated,
        bytes,
    }
}

/// The type that an importer gives a file of which nothing is stated; `None` where it refuses it.
fn told_type(bytes: &[u8], json_name: bool) -> Option<EntryType> {
    let bytes = bytes::Bytes::copy_from_slice(bytes);
    read_value(&bytes, json_name, &ValueLimits::default())
        .ok()
        .map(|(value, _)| value.entry_type())
}

/// The mode that a tag keeps.
fn mode_of(tag: &str) -> Option<u32> {
    match tag.strip_prefix(MODE_TAG)? {
        "100755" => Some(0o100_755),
        "120000" => Some(0o120_000),
        _ => None,
    }
}

/// Somebody and when, as Git writes it.
fn ident(person: &Person, moment: &Moment) -> String {
    let clean = |text: &str| {
        text.chars()
            .filter(|c| !matches!(c, '<' | '>' | '\n' | '\0'))
            .collect::<String>()
    };
    let name = if person.name.is_empty() {
        &person.principal
    } else {
        &person.name
    };
    let minutes = moment.offset_minutes.unsigned_abs();
    let sign = if moment.offset_minutes < 0 { '-' } else { '+' };
    let seconds = moment.ms.div_euclid(1000);
    format!(
        "{} <{}> {seconds} {sign}{:02}{:02}",
        clean(name).trim(),
        clean(&person.email),
        minutes / 60,
        minutes % 60
    )
}

/// What every entry of a tree is in Git; for tests of the whole.
#[cfg(test)]
pub(super) fn entries_of(
    objects: &dyn ReadObjects,
    tree: &ObjectId,
) -> std::collections::BTreeMap<Key, Entry> {
    let mut entries = std::collections::BTreeMap::new();
    tree::walk(objects, tree, b"", None, &mut |key, leaf| {
        entries.insert(
            entry_key(&key).unwrap(),
            read_entry(objects, &leaf).unwrap(),
        );
        std::ops::ControlFlow::Continue(())
    })
    .unwrap();
    entries
}

#[cfg(test)]
mod tests;
