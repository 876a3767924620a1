//! Making a working copy: beside its place, then moved there whole.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};

use confman_model::document::NamespaceDocument;
use confman_model::{Key, Namespace};
use confman_object_store::tree;

use super::changes::in_file;
use super::entries::{EntriesFile, fits_line};
use super::error::WorkingCopyError;
use super::index::Index;
use super::inherited::Inherited;
use super::journal::{Lock, Stamp};
use super::known::Known;
use super::lines::{find, read_line};
use super::mirror::Mirror;
use super::place::{DOCUMENT_FILE, directory};
use super::remote::{self, Wanted};
use super::rewrite::{FileSink, FreshDirectory, Update, received_entry, rewrite};
use super::state::{FORMAT, NamespaceState, STATE_FILE, State};
use super::{CloneOptions, PRIVATE_DIRECTORY, Progress, Report, WorkingCopy};
use crate::client::Client;

/// JSON Schema of `entries.json`, for editors.
pub(super) const ENTRIES_SCHEMA: &str = include_str!("entries.schema.json");
/// Its name in `.confman/`.
const ENTRIES_SCHEMA_FILE: &str = "entries.schema.json";
/// Entries between two reports.
const REPORT_EVERY: u64 = 4096;
/// Where documents are kept as they were fetched, in `.confman/`.
pub(super) const DOCUMENTS_DIRECTORY: &str = "documents";
/// Name of the working copy inside of the directory that it is made in.
const MADE_IN: &str = "copy";

impl WorkingCopy {
    /// Clones namespaces into a directory that does not exist or is empty.
    ///
    /// # Errors
    /// The directory is in use, the server refuses, or what it sends is not right; nothing is left then.
    pub async fn clone(
        client: &Client,
        namespace: &Namespace,
        target: &Path,
        options: &CloneOptions,
        report: Report<'_>,
    ) -> Result<Self, WorkingCopyError> {
        let target = std::path::absolute(target)
            .map_err(|error| WorkingCopyError::io("find", target, error))?;
        check_target(&target)?;
        let cluster = client.version().await?.cluster_id;
        let name = target.file_name().map_or_else(
            || "root".to_owned(),
            |name| name.to_string_lossy().into_owned(),
        );
        let parent = target.parent().unwrap_or(&target).to_path_buf();
        let prefix = format!(".{name}.confman-clone-");
        remove_abandoned(&parent, &prefix);
        let beside = tempfile::Builder::new()
            .prefix(&prefix)
            .tempdir_in(&parent)
            .map_err(|error| WorkingCopyError::io("make a directory in", &parent, error))?;
        let made = beside.path().join(MADE_IN);
        let private = made.join(PRIVATE_DIRECTORY);
        fs::create_dir_all(&private)
            .map_err(|error| WorkingCopyError::io("make", &private, error))?;
        let lock = Lock::take(&made)?;
        let mut state = State {
            format: FORMAT,
            server: client.server_url().to_owned(),
            cluster,
            draft: options.draft.clone(),
            root: namespace.clone(),
            recursive: options.recursive,
            full_history: options.full_history,
            namespaces: Vec::new(),
        };
        let mirror = Mirror::open(&private)?;
        let mut files = FreshDirectory::new(&made);
        let mut known = Vec::new();
        let mut documents = Vec::new();
        for path in remote::namespaces(client, namespace, options.recursive).await? {
            let document = client.namespace(&path).await?;
            let (fetched, of_it) =
                clone_one(client, &mirror, &state, &document, &mut files, report).await?;
            known.push((state.directory(&path), of_it));
            state.namespaces.push(fetched);
            documents.push(document);
        }
        let inherited = Inherited::fetch(client, &mirror, namespace, &documents, None).await?;
        if let Some(inherited) = inherited {
            files.put(Inherited::path(), inherited.to_text().as_bytes())?;
        }
        remember_files(&made, &known);
        files.put(
            Path::new(PRIVATE_DIRECTORY).join(ENTRIES_SCHEMA_FILE),
            ENTRIES_SCHEMA.as_bytes(),
        )?;
        files.put(
            Path::new(PRIVATE_DIRECTORY).join(STATE_FILE),
            state.to_text().as_bytes(),
        )?;
        drop(mirror);
        drop(lock);
        move_into_place(&made, &target)?;
        Self::open(&target)
    }
}

/// Fetches one namespace and writes its files.
async fn clone_one(
    client: &Client,
    mirror: &Mirror,
    state: &State,
    document: &NamespaceDocument,
    files: &mut FreshDirectory,
    report: Report<'_>,
) -> Result<(NamespaceState, Known), WorkingCopyError> {
    let path = &document.path;
    let wanted = Wanted {
        namespace: path,
        draft: &state.draft,
        have: Vec::new(),
        full_history: state.full_history,
    };
    let heads = remote::fetch(client, mirror, &wanted, report).await?;
    let base = heads.draft.or(heads.published);
    let line = match (heads.draft, heads.published) {
        (Some(draft), Some(published)) => mirror.common_line(&draft, &published)?,
        (Some(_), None) => None,
        (None, published) => published,
    };
    let place = directory(&state.root, path);
    let mut updates: BTreeMap<Key, Update> = BTreeMap::new();
    let mut known = Known {
        plain: true,
        ..Known::default()
    };
    let mut in_files = BTreeMap::new();
    if let Some(base) = base {
        let root = mirror.objects().commit(&base)?.tree;
        known.tree = Some(root);
        let total = tree::count(mirror.objects(), &root)?;
        let mut leaves = Vec::new();
        tree::walk(mirror.objects(), &root, b"", None, &mut |key, leaf| {
            leaves.push((key, leaf));
            std::ops::ControlFlow::Continue(())
        })?;
        for (at, (key, leaf)) in leaves.into_iter().enumerate() {
            let (key, entry) = received_entry(mirror.objects(), &key, &leaf)?;
            if entry.value().is_some_and(|value| !fits_line(value)) {
                in_files.insert(key.clone(), leaf);
            }
            updates.insert(key, Update::Entry(entry));
            let entries = u64::try_from(at).unwrap_or(u64::MAX).saturating_add(1);
            if entries.is_multiple_of(REPORT_EVERY) || entries == total {
                report(Progress::Writing { entries, total });
            }
        }
    }
    let file = without_entries(&place);
    let text = rewrite(&PathBuf::new(), &place, &file, &updates, files)?;
    for (key, leaf) in in_files {
        let line = find(&text, &key).and_then(|range| read_line(&text, range));
        if let Some((_, line)) = line {
            known
                .files
                .extend(in_file(&line, &leaf).map(|file| (key, file)));
        }
    }
    known.save(files.root(), &place, &text);
    let document = document.to_text();
    files.put(place.join(DOCUMENT_FILE), document.as_bytes())?;
    files.put(document_copy(&place), document.as_bytes())?;
    let state = NamespaceState {
        path: path.clone(),
        base,
        on_draft: heads.draft.is_some(),
        line,
        published: heads.published,
    };
    Ok((state, known))
}

/// Remembers the values in files, so that the first command does not read them all again.
fn remember_files(made: &Path, namespaces: &[(PathBuf, Known)]) {
    let mut index = Index::load(made);
    for (directory, known) in namespaces {
        for file in known.files.values() {
            let path = directory.join(&file.path);
            if let Ok(Some(stamp)) = Stamp::of(&made.join(&path)) {
                index.remember(path, file.entry_type, stamp, &file.value);
            }
        }
    }
    index.save(made);
}

/// The entries file of a namespace before it has entries. Its `$schema` leads to `.confman/`.
pub(super) fn without_entries(directory: &Path) -> EntriesFile {
    let up = "../".repeat(directory.components().count());
    EntriesFile {
        schema: Some(format!("\"{up}{PRIVATE_DIRECTORY}/{ENTRIES_SCHEMA_FILE}\"")),
        ..EntriesFile::default()
    }
}

/// Where the document of a namespace is kept as it was fetched, relative to the root.
pub(super) fn document_copy(directory: &Path) -> PathBuf {
    Path::new(PRIVATE_DIRECTORY)
        .join(DOCUMENTS_DIRECTORY)
        .join(directory)
        .join(DOCUMENT_FILE)
}

fn check_target(target: &Path) -> Result<(), WorkingCopyError> {
    match fs::read_dir(target) {
        Ok(mut entries) => match entries.next() {
            None => Ok(()),
            Some(_) => Err(WorkingCopyError::TargetInUse(target.to_path_buf())),
        },
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => Ok(()),
        Err(error) if error.kind() == std::io::ErrorKind::NotADirectory => {
            Err(WorkingCopyError::TargetInUse(target.to_path_buf()))
        }
        Err(error) => Err(WorkingCopyError::io("look at", target, error)),
    }
}

/// Removes what clones to the same place left when they were killed. Those at work hold their lock.
fn remove_abandoned(parent: &Path, prefix: &str) {
    let Ok(entries) = fs::read_dir(parent) else {
        return;
    };
    for entry in entries.flatten() {
        let is_clone = entry.file_name().to_string_lossy().starts_with(prefix);
        let made = entry.path().join(MADE_IN);
        if is_clone && (!made.join(PRIVATE_DIRECTORY).exists() || Lock::take(&made).is_ok()) {
            // What cannot be removed is only untidy.
            let _ = fs::remove_dir_all(entry.path());
        }
    }
}

/// Moves a whole working copy to its place: by one rename, or where an empty directory is there
/// already (perhaps somebody's current one) file by file, the private directory last, without which it
/// is no working copy.
fn move_into_place(made: &Path, target: &Path) -> Result<(), WorkingCopyError> {
    let fail = |error| WorkingCopyError::io("write", target, error);
    if !target.exists() {
        return fs::rename(made, target).map_err(fail);
    }
    check_target(target)?;
    let mut names = Vec::new();
    for entry in fs::read_dir(made).map_err(fail)? {
        names.push(entry.map_err(fail)?.file_name());
    }
    names.sort_by_key(|name| name == PRIVATE_DIRECTORY);
    for name in names {
        fs::rename(made.join(&name), target.join(&name)).map_err(fail)?;
    }
    Ok(())
}
