//! Changing several files as one: a plan is written first, then carried out, by whoever comes next
//! if need be.
//!
//! New contents lie in `.confman/incoming/`; `.confman/journal.json` says where each goes. Writing
//! the journal is the commit point: before it nothing has changed, after it everything will.
//!
//! INVARIANT: a file that somebody edited after the plan was made is set aside, never overwritten.

use std::fs::{self, File, TryLockError};
use std::io::{ErrorKind, Write};
use std::path::{Component, Path, PathBuf};
use std::time::UNIX_EPOCH;

use serde::{Deserialize, Serialize};

use super::PRIVATE_DIRECTORY;
use super::cloning::DOCUMENTS_DIRECTORY;
use super::error::WorkingCopyError;
use super::inherited::INHERITED_FILE;
use super::place::{DOCUMENT_FILE, ENTRIES_FILE, FILES_DIRECTORY, inside, is_foreign};
use super::state::{STATE_FILE, State, check_format, read_private};

/// Name of the plan in `.confman/`.
const JOURNAL_FILE: &str = "journal.json";
/// Where new contents wait.
const INCOMING_DIRECTORY: &str = "incoming";
/// Where files are set aside that were edited while a plan was carried out.
pub(super) const RESCUED_DIRECTORY: &str = "rescued";
/// Held by whoever changes the working copy.
const LOCK_FILE: &str = "lock";

/// Size and time of a file when it was looked at.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Stamp {
    pub(super) size: u64,
    /// Nanoseconds since 1970.
    pub(super) modified: i128,
}

impl Stamp {
    /// Looks at a file; `None` where there is none.
    pub(super) fn of(path: &Path) -> Result<Option<Self>, WorkingCopyError> {
        match fs::symlink_metadata(path) {
            Ok(metadata) => Ok(Some(Self::from_metadata(&metadata))),
            Err(error)
                if matches!(error.kind(), ErrorKind::NotFound | ErrorKind::NotADirectory) =>
            {
                Ok(None)
            }
            Err(error) => Err(WorkingCopyError::io("look at", path, error)),
        }
    }

    pub(super) fn from_metadata(metadata: &fs::Metadata) -> Self {
        let modified =
            metadata
                .modified()
                .ok()
                .map_or(0, |time| match time.duration_since(UNIX_EPOCH) {
                    Ok(after) => i128::try_from(after.as_nanos()).unwrap_or(i128::MAX),
                    Err(before) => {
                        -i128::try_from(before.duration().as_nanos()).unwrap_or(i128::MAX)
                    }
                });
        Self {
            size: metadata.len(),
            modified,
        }
    }
}

/// The lock of a working copy, released when dropped.
#[derive(Debug)]
pub(super) struct Lock {
    _file: File,
}

impl Lock {
    /// Takes the lock of the working copy at `root`, or fails at once.
    pub(super) fn take(root: &Path) -> Result<Self, WorkingCopyError> {
        let path = root.join(PRIVATE_DIRECTORY).join(LOCK_FILE);
        let file = File::options()
            .create(true)
            .truncate(false)
            .write(true)
            .open(&path)
            .map_err(|error| WorkingCopyError::io("open", &path, error))?;
        match file.try_lock() {
            Ok(()) => Ok(Self { _file: file }),
            Err(TryLockError::WouldBlock) => Err(WorkingCopyError::Locked(root.to_path_buf())),
            Err(TryLockError::Error(error)) => Err(WorkingCopyError::io("lock", path, error)),
        }
    }
}

/// One step of a plan. Paths are relative to the root of the working copy.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct Step {
    /// The file that changes.
    path: PathBuf,
    /// Its new content in `incoming/`; absent: the file goes.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    from: Option<String>,
    /// What the file was when the plan was made.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    was: Option<Stamp>,
}

impl Step {
    /// Whether this program writes such a step: new contents come from `incoming/`, and go to the files of
    /// namespaces and to what is private. A directory may have come from anywhere, its journal with it.
    fn is_ours(&self) -> bool {
        let is_number = |name: &String| name.bytes().all(|byte| byte.is_ascii_digit());
        self.from.as_ref().is_none_or(is_number) && is_changed(&self.path)
    }
}

/// Whether a path is one that commands change.
fn is_changed(path: &Path) -> bool {
    let parts: Option<Vec<&str>> = path
        .components()
        .map(|part| match part {
            Component::Normal(part) => part.to_str(),
            _ => None,
        })
        .collect();
    let parts = parts.unwrap_or_default();
    let is_hidden = |part: &&str| part.starts_with('.');
    match parts.as_slice() {
        [PRIVATE_DIRECTORY, STATE_FILE | INHERITED_FILE] => true,
        [
            PRIVATE_DIRECTORY,
            DOCUMENTS_DIRECTORY,
            above @ ..,
            DOCUMENT_FILE,
        ] => !above.iter().any(is_hidden),
        [above @ .., ENTRIES_FILE | DOCUMENT_FILE] => !above.iter().any(is_hidden),
        parts => {
            let mut parts = parts.split(|part| *part == FILES_DIRECTORY);
            let above = parts.next().unwrap_or_default();
            let below: Vec<&str> = parts.flatten().copied().collect();
            !below.is_empty()
                && !above.iter().any(is_hidden)
                && !below.iter().any(|it| is_foreign(it))
        }
    }
}

/// What `journal.json` holds.
#[derive(Debug, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct Journal {
    format: u32,
    steps: Vec<Step>,
}

/// A change of several files and the state, in the making. Needs the lock.
#[derive(Debug)]
pub(super) struct Plan<'l> {
    root: PathBuf,
    steps: Vec<Step>,
    /// Proof that nobody else makes a plan.
    _lock: &'l Lock,
}

impl<'l> Plan<'l> {
    /// Begins a plan; what a plan that was never committed left is thrown away.
    pub(super) fn new(root: &Path, lock: &'l Lock) -> Result<Self, WorkingCopyError> {
        let incoming = root.join(PRIVATE_DIRECTORY).join(INCOMING_DIRECTORY);
        remove_tree(&incoming)?;
        fs::create_dir(&incoming)
            .map_err(|error| WorkingCopyError::io("make", &incoming, error))?;
        Ok(Self {
            root: root.to_path_buf(),
            steps: Vec::new(),
            _lock: lock,
        })
    }

    /// Gives a file new content.
    pub(super) fn put(&mut self, path: PathBuf, content: &[u8]) -> Result<(), WorkingCopyError> {
        let was = Stamp::of(&inside(&self.root, &path)?)?;
        let name = self.steps.len().to_string();
        let waiting = self
            .root
            .join(PRIVATE_DIRECTORY)
            .join(INCOMING_DIRECTORY)
            .join(&name);
        fs::write(&waiting, content)
            .map_err(|error| WorkingCopyError::io("write", &waiting, error))?;
        self.steps.push(Step {
            path,
            from: Some(name),
            was,
        });
        Ok(())
    }

    /// Removes a file.
    pub(super) fn remove(&mut self, path: PathBuf) -> Result<(), WorkingCopyError> {
        let was = Stamp::of(&inside(&self.root, &path)?)?;
        if was.is_some() {
            self.steps.push(Step {
                path,
                from: None,
                was,
            });
        }
        Ok(())
    }

    /// Commits to the plan and carries it out; the state changes last.
    pub(super) fn commit(mut self, state: &State) -> Result<(), WorkingCopyError> {
        self.put(
            Path::new(PRIVATE_DIRECTORY).join(STATE_FILE),
            state.to_text().as_bytes(),
        )?;
        let journal = Journal {
            format: super::state::FORMAT,
            steps: self.steps,
        };
        // A plain document of texts and numbers has a JSON text.
        let text = serde_json::to_vec(&journal).unwrap_or_default();
        replace(&self.root.join(PRIVATE_DIRECTORY).join(JOURNAL_FILE), &text)?;
        carry_out(&self.root, &journal)
    }
}

/// Finishes what an interrupted command committed to. Does nothing, without the lock, where nothing
/// was.
pub(super) fn recover(root: &Path) -> Result<(), WorkingCopyError> {
    let path = root.join(PRIVATE_DIRECTORY).join(JOURNAL_FILE);
    if !path.exists() {
        return Ok(());
    }
    let _lock = Lock::take(root)?;
    let Some(text) = read_private(&path)? else {
        return Ok(());
    };
    carry_out(root, &parse(&path, &text)?)
}

/// Reads the text of the file at `path`, which is only used to say where something is wrong.
fn parse(path: &Path, text: &[u8]) -> Result<Journal, WorkingCopyError> {
    check_format(path, text)?;
    let damaged = |reason: String| WorkingCopyError::Damaged {
        file: path.to_path_buf(),
        reason,
    };
    let journal: Journal =
        serde_json::from_slice(text).map_err(|error| damaged(error.to_string()))?;
    match journal.steps.iter().find(|step| !step.is_ours()) {
        Some(step) => Err(damaged(format!(
            "a step of `{}` is none that this program writes",
            step.path.display()
        ))),
        None => Ok(journal),
    }
}

/// A plan that is read has one form.
///
/// # Panics
/// It has two.
#[cfg(any(test, feature = "testing"))]
pub(crate) fn fuzz_journal(bytes: &[u8]) {
    let path = Path::new(JOURNAL_FILE);
    if let Ok(journal) = parse(path, bytes) {
        let text = serde_json::to_vec(&journal).unwrap_or_default();
        let again = parse(path, &text).map(|journal| journal.steps).ok();
        assert_eq!(again, Some(journal.steps), "a plan has two forms");
    }
}

/// Carries out every step that is not done yet.
fn carry_out(root: &Path, journal: &Journal) -> Result<(), WorkingCopyError> {
    let private = root.join(PRIVATE_DIRECTORY);
    // Removals first: a directory may have to make way for a file of its name.
    let (puts, removals): (Vec<&Step>, Vec<&Step>) =
        journal.steps.iter().partition(|step| step.from.is_some());
    for step in removals.into_iter().chain(puts) {
        let target = inside(root, &step.path)?;
        let waiting = step
            .from
            .as_ref()
            .map(|name| private.join(INCOMING_DIRECTORY).join(name));
        if let Some(waiting) = &waiting
            && !waiting.exists()
        {
            continue;
        }
        let now = Stamp::of(&target)?;
        if now.is_some() && now != step.was {
            set_aside(root, &step.path, &target)?;
        }
        match waiting {
            Some(waiting) => {
                if let Some(parent) = target.parent() {
                    fs::create_dir_all(parent)
                        .map_err(|error| WorkingCopyError::io("make", parent, error))?;
                }
                fs::rename(&waiting, &target)
                    .map_err(|error| WorkingCopyError::io("write", &target, error))?;
            }
            None => {
                remove_file(&target)?;
                remove_empty_parents(root, &step.path);
            }
        }
    }
    remove_file(&private.join(JOURNAL_FILE))?;
    remove_tree(&private.join(INCOMING_DIRECTORY))
}

/// Keeps a file that somebody wrote and that is about to be written anew.
pub(super) fn set_aside(
    root: &Path,
    relative: &Path,
    target: &Path,
) -> Result<(), WorkingCopyError> {
    let rescued = root.join(PRIVATE_DIRECTORY).join(RESCUED_DIRECTORY);
    let mut place = rescued.join(relative);
    let mut again = 1;
    while place.exists() {
        place = rescued.join(format!("{}.{again}", relative.display()));
        again += 1;
    }
    if let Some(parent) = place.parent() {
        fs::create_dir_all(parent).map_err(|error| WorkingCopyError::io("make", parent, error))?;
    }
    fs::rename(target, &place).map_err(|error| WorkingCopyError::io("set aside", target, error))
}

/// The files that were set aside, relative to the root.
pub(super) fn rescued(root: &Path) -> Result<Vec<PathBuf>, WorkingCopyError> {
    let mut found = Vec::new();
    let directory = root.join(PRIVATE_DIRECTORY).join(RESCUED_DIRECTORY);
    list_files(
        &directory,
        Path::new(PRIVATE_DIRECTORY)
            .join(RESCUED_DIRECTORY)
            .as_path(),
        &mut found,
    )?;
    found.sort();
    Ok(found)
}

/// Every file below a directory, under `prefix`; links are not followed.
pub(super) fn list_files(
    directory: &Path,
    prefix: &Path,
    found: &mut Vec<PathBuf>,
) -> Result<(), WorkingCopyError> {
    let fail = |error| WorkingCopyError::io("list", directory, error);
    let entries = match fs::read_dir(directory) {
        Ok(entries) => entries,
        Err(error) if error.kind() == ErrorKind::NotFound => return Ok(()),
        Err(error) => return Err(fail(error)),
    };
    for entry in entries {
        let entry = entry.map_err(fail)?;
        let path = prefix.join(entry.file_name());
        if entry.file_type().map_err(fail)?.is_dir() {
            list_files(&entry.path(), &path, found)?;
        } else {
            found.push(path);
        }
    }
    Ok(())
}

/// Writes a file so that it is there whole or as it was, also after a loss of power.
pub(super) fn replace(path: &Path, content: &[u8]) -> Result<(), WorkingCopyError> {
    let fail = |error| WorkingCopyError::io("write", path, error);
    let directory = path.parent().unwrap_or(Path::new("."));
    let mut file = tempfile::NamedTempFile::new_in(directory).map_err(fail)?;
    file.write_all(content).map_err(fail)?;
    file.as_file().sync_all().map_err(fail)?;
    file.persist(path).map_err(|error| fail(error.error))?;
    Ok(())
}

fn remove_file(path: &Path) -> Result<(), WorkingCopyError> {
    match fs::remove_file(path) {
        Err(error) if error.kind() != ErrorKind::NotFound => {
            Err(WorkingCopyError::io("remove", path, error))
        }
        _ => Ok(()),
    }
}

fn remove_tree(path: &Path) -> Result<(), WorkingCopyError> {
    match fs::remove_dir_all(path) {
        Err(error) if error.kind() != ErrorKind::NotFound => {
            Err(WorkingCopyError::io("remove", path, error))
        }
        _ => Ok(()),
    }
}

/// Removes the directories under `files/` that a removed file leaves empty. One that is not empty,
/// or cannot be removed, stays: it is only untidy.
fn remove_empty_parents(root: &Path, relative: &Path) {
    for parent in relative.ancestors().skip(1) {
        let below_files = parent
            .components()
            .any(|part| part.as_os_str() == FILES_DIRECTORY);
        if !below_files || fs::remove_dir(root.join(parent)).is_err() {
            return;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn state() -> State {
        State {
            format: super::super::state::FORMAT,
            server: "http://127.0.0.1:1".to_owned(),
            cluster: "c".to_owned(),
            draft: "mine".parse().unwrap(),
            root: "/".parse().unwrap(),
            recursive: false,
            full_history: false,
            namespaces: Vec::new(),
        }
    }

    fn place() -> tempfile::TempDir {
        let place = tempfile::tempdir().unwrap();
        fs::create_dir(place.path().join(PRIVATE_DIRECTORY)).unwrap();
        fs::create_dir_all(place.path().join("files/deep")).unwrap();
        fs::write(place.path().join("entries.json"), "old").unwrap();
        fs::write(place.path().join("files/deep/gone"), "gone").unwrap();
        place
    }

    fn planned<'l>(place: &Path, lock: &'l Lock) -> Plan<'l> {
        let mut plan = Plan::new(place, lock).unwrap();
        plan.put("entries.json".into(), b"new").unwrap();
        plan.put("files/made".into(), b"made").unwrap();
        plan.remove("files/deep/gone".into()).unwrap();
        plan
    }

    /// What the files are, in one text.
    fn files(place: &Path) -> String {
        let mut found = Vec::new();
        list_files(place, Path::new(""), &mut found).unwrap();
        found.sort();
        found
            .iter()
            .filter(|path| !path.starts_with(".confman/lock") && !path.ends_with("state.json"))
            .map(|path| {
                format!(
                    "{}={}",
                    path.display(),
                    fs::read_to_string(place.join(path)).unwrap()
                )
            })
            .collect::<Vec<_>>()
            .join(" ")
    }

    const BEFORE: &str = "entries.json=old files/deep/gone=gone";
    const AFTER: &str = "entries.json=new files/made=made";

    #[test]
    fn a_plan_that_is_committed_is_carried_out() {
        let place = place();
        let lock = Lock::take(place.path()).unwrap();
        planned(place.path(), &lock).commit(&state()).unwrap();
        assert_eq!(files(place.path()), AFTER);
        assert_eq!(State::read(place.path()).unwrap(), state());
        assert!(!place.path().join("files/deep").exists());
    }

    #[test]
    fn a_plan_that_was_not_committed_changes_nothing() {
        let place = place();
        let lock = Lock::take(place.path()).unwrap();
        drop(planned(place.path(), &lock));
        drop(lock);
        recover(place.path()).unwrap();
        assert!(
            files(place.path()).ends_with(BEFORE),
            "{}",
            files(place.path())
        );
    }

    /// Stops after each number of steps, as a kill would, and lets the next command finish.
    #[test]
    fn a_plan_that_was_cut_off_anywhere_is_finished_by_the_next_command() {
        for done in 0..=4 {
            let place = place();
            let lock = Lock::take(place.path()).unwrap();
            let mut plan = planned(place.path(), &lock);
            plan.put(
                Path::new(PRIVATE_DIRECTORY).join(STATE_FILE),
                state().to_text().as_bytes(),
            )
            .unwrap();
            let journal = Journal {
                format: 1,
                steps: plan.steps.clone(),
            };
            let text = serde_json::to_vec(&journal).unwrap();
            replace(
                &place.path().join(PRIVATE_DIRECTORY).join(JOURNAL_FILE),
                &text,
            )
            .unwrap();
            for step in journal.steps.iter().take(done) {
                match &step.from {
                    Some(name) => {
                        let waiting = place
                            .path()
                            .join(PRIVATE_DIRECTORY)
                            .join(INCOMING_DIRECTORY)
                            .join(name);
                        fs::rename(waiting, place.path().join(&step.path)).unwrap();
                    }
                    None => fs::remove_file(place.path().join(&step.path)).unwrap(),
                }
            }
            drop(lock);
            recover(place.path()).unwrap();
            assert_eq!(files(place.path()), AFTER, "{done} steps done");
            recover(place.path()).unwrap();
        }
    }

    #[test]
    fn a_plan_of_a_newer_version_is_refused_and_nothing_is_touched() {
        let place = place();
        let path = place.path().join(PRIVATE_DIRECTORY).join(JOURNAL_FILE);
        let newer = r#"{"format": 2, "steps": [{"path": "entries.json"}], "undo": true}"#;
        fs::write(&path, newer).unwrap();
        assert!(matches!(
            recover(place.path()),
            Err(WorkingCopyError::NewerFormat { found: 2, known: 1 })
        ));
        assert_eq!(fs::read_to_string(&path).unwrap(), newer);
        assert!(place.path().join("entries.json").exists());
    }

    #[test]
    fn a_plan_that_somebody_else_wrote_is_refused() {
        let place = place();
        let path = place.path().join(".confman").join(JOURNAL_FILE);
        fs::write(place.path().join("mine"), "mine").unwrap();
        for step in [
            r#"{"path": "entries.json", "from": "../../mine"}"#,
            r#"{"path": "entries.json", "from": "/etc/passwd"}"#,
            r#"{"path": ".git/hooks/post-checkout", "from": "0"}"#,
            r#"{"path": "a/.git/entries.json", "from": "0"}"#,
            r#"{"path": "files/.git/config", "from": "0"}"#,
            r#"{"path": ".confman/lock"}"#,
            r#"{"path": "../entries.json", "from": "0"}"#,
            r#"{"path": "mine"}"#,
        ] {
            fs::write(&path, format!(r#"{{"format": 1, "steps": [{step}]}}"#)).unwrap();
            let refused = recover(place.path());
            assert!(
                matches!(refused, Err(WorkingCopyError::Damaged { .. })),
                "{step}"
            );
        }
        assert_eq!(
            fs::read_to_string(place.path().join("mine")).unwrap(),
            "mine"
        );
        for path in [
            "entries.json",
            "a/b/namespace.json",
            "files/.env.txt",
            "a/files/x/.config/y",
            ".confman/state.json",
            ".confman/inherited.json",
            ".confman/documents/a/namespace.json",
        ] {
            assert!(is_changed(Path::new(path)), "{path}");
        }
    }

    #[test]
    fn an_edit_between_the_plan_and_its_end_is_set_aside() {
        let place = place();
        let lock = Lock::take(place.path()).unwrap();
        let plan = planned(place.path(), &lock);
        fs::write(place.path().join("entries.json"), "edited meanwhile").unwrap();
        plan.commit(&state()).unwrap();
        assert_eq!(
            fs::read_to_string(place.path().join("entries.json")).unwrap(),
            "new"
        );
        let kept = rescued(place.path()).unwrap();
        assert_eq!(kept, [PathBuf::from(".confman/rescued/entries.json")]);
        assert_eq!(
            fs::read_to_string(place.path().join(&kept[0])).unwrap(),
            "edited meanwhile"
        );
    }

    #[test]
    fn two_commands_do_not_change_one_working_copy_at_once() {
        let place = place();
        let _lock = Lock::take(place.path()).unwrap();
        assert!(matches!(
            Lock::take(place.path()),
            Err(WorkingCopyError::Locked(_))
        ));
    }
}
