//! Where things lie in a working copy: directories of namespaces, files of entries.
//!
//! INVARIANT: no two namespaces and no two entries share a path, not even on a file system that
//! ignores case; no path leaves the working copy.

use std::collections::HashSet;
use std::path::{Path, PathBuf};

use confman_model::{EntryType, Key, Namespace};
use confman_object_store::{Kind, ObjectId};

use super::error::WorkingCopyError;

/// The file with all entries of a namespace.
pub const ENTRIES_FILE: &str = "entries.json";
/// The file that shows the document of a namespace.
pub const DOCUMENT_FILE: &str = "namespace.json";
/// The directory of values that have files of their own.
pub const FILES_DIRECTORY: &str = "files";
/// Marks a name that would mean something else; never part of a segment or key.
const MARK: char = '@';
/// Longest path of a file below its namespace's directory.
pub const FILE_PATH_BYTES_MAX: usize = 1024;
/// Digits of a key's hash that name its file where its own name is taken.
const HASHED_NAME_DIGITS: usize = 32;

/// The directory of a namespace below that of `root`: its segments, those that would mean something
/// else marked with `@`.
pub(super) fn directory(root: &Namespace, namespace: &Namespace) -> PathBuf {
    namespace
        .segments()
        .skip(root.depth())
        .map(directory_name)
        .collect()
}

fn directory_name(segment: &str) -> String {
    let reserved =
        matches!(segment, ENTRIES_FILE | DOCUMENT_FILE | FILES_DIRECTORY) || is_device(segment);
    let mut name = String::new();
    if reserved {
        name.push(MARK);
    }
    name.push_str(segment);
    // Some systems drop a dot at the end of a name.
    if segment.ends_with('.') {
        name.push(MARK);
    }
    name
}

/// Whether some systems take the name for a device, whatever follows its first dot.
fn is_device(name: &str) -> bool {
    let stem = name
        .split('.')
        .next()
        .unwrap_or_default()
        .to_ascii_lowercase();
    matches!(stem.as_str(), "con" | "prn" | "aux" | "nul")
        || stem
            .strip_prefix("com")
            .or_else(|| stem.strip_prefix("lpt"))
            .is_some_and(|digit| matches!(digit.as_bytes(), [b'0'..=b'9']))
}

/// The paths that the files of a namespace have, to give new ones theirs.
#[derive(Debug, Default)]
pub(super) struct Paths {
    files: HashSet<String>,
    directories: HashSet<String>,
}

impl Paths {
    /// Takes a path. `false` where it, or a directory or file in its way, is taken.
    pub(super) fn take(&mut self, path: &str) -> bool {
        let path = path.to_lowercase();
        if !self.is_free(&path) {
            return false;
        }
        for (at, _) in path.match_indices('/') {
            self.directories
                .insert(path.get(..at).unwrap_or_default().to_owned());
        }
        self.files.insert(path);
        true
    }

    fn is_free(&self, path: &str) -> bool {
        let blocked = path
            .match_indices('/')
            .any(|(at, _)| self.files.contains(path.get(..at).unwrap_or_default()));
        !blocked && !self.files.contains(path) && !self.directories.contains(path)
    }

    /// Gives the value of a key a path: after its key where that is free, else after the key's hash.
    /// `exists` tells of files that no entry uses, which must not be overwritten.
    pub(super) fn choose(
        &mut self,
        key: &Key,
        entry_type: EntryType,
        exists: &dyn Fn(&str) -> bool,
    ) -> String {
        let extension = extension(key, entry_type);
        let own = format!("{FILES_DIRECTORY}/{key}{extension}");
        let mut directories = key.segments();
        directories.next_back();
        let portable = key
            .segments()
            .all(|segment| !is_device(segment) && !segment.ends_with('.'));
        // Other programs take hidden directories for theirs, and what is in them for orders.
        let portable = portable && !directories.any(|segment| segment.starts_with('.'));
        if portable && !exists(&own) && self.take(&own) {
            return own;
        }
        let hash = ObjectId::of(Kind::Blob, key.as_str().as_bytes()).to_string();
        let digits = hash.get(..HASHED_NAME_DIGITS).unwrap_or_default();
        let mut hashed = format!("{FILES_DIRECTORY}/{MARK}/{digits}{extension}");
        let mut again = 1_u32;
        while exists(&hashed) || !self.take(&hashed) {
            hashed = format!("{FILES_DIRECTORY}/{MARK}/{digits}.{again}{extension}");
            again += 1;
        }
        hashed
    }
}

/// What is added to a key to tell editors what the file holds; nothing where the key says it.
fn extension(key: &Key, entry_type: EntryType) -> &'static str {
    let name = key.segments().next_back().unwrap_or_default();
    let has_own = name
        .rsplit_once('.')
        .is_some_and(|(stem, extension)| !stem.is_empty() && !extension.is_empty());
    match entry_type {
        // Only the extension tells that a file without a stated type is JSON.
        EntryType::Json if !name.ends_with(".json") => ".json",
        EntryType::String if name.ends_with(".json") => ".txt",
        EntryType::Binary if !has_own => ".bin",
        _ if !has_own => ".txt",
        _ => "",
    }
}

/// Where a side of a conflict is kept that is too large for the entry's line.
pub(super) fn conflict_file(side: &str, key: &Key, entry_type: EntryType) -> String {
    let hash = ObjectId::of(Kind::Blob, key.as_str().as_bytes()).to_string();
    let digits = hash.get(..HASHED_NAME_DIGITS).unwrap_or_default();
    format!(
        "{FILES_DIRECTORY}/{MARK}conflict/{digits}.{side}{}",
        extension(key, entry_type)
    )
}

/// The type that a file's name tells where none is stated.
pub(super) fn type_of_file(path: &str) -> EntryType {
    if path.ends_with(".json") {
        EntryType::Json
    } else {
        EntryType::String
    }
}

/// What is wrong with the path of a file as written in `entries.json`, if anything.
pub(super) fn file_path_problem(path: &str) -> Option<String> {
    let Some(below) = path.strip_prefix("files/") else {
        return Some(format!("`{path}` must begin with `files/`"));
    };
    if path.len() > FILE_PATH_BYTES_MAX {
        return Some(format!(
            "the path has {} bytes, at most {FILE_PATH_BYTES_MAX} are allowed",
            path.len()
        ));
    }
    if path.contains(|c: char| c.is_control() || matches!(c, '\\' | ':')) {
        return Some(format!(
            "`{}` must not have `\\`, `:` or control characters",
            path.escape_debug()
        ));
    }
    if below.split('/').any(is_foreign) {
        return Some(format!(
            "`{path}` must not have a part that is called `.git`"
        ));
    }
    if below
        .split('/')
        .any(|segment| matches!(segment, "" | "." | ".."))
    {
        return Some(format!("`{path}` must not have empty parts, `.` or `..`"));
    }
    None
}

/// Whether Git takes a directory or file of this name for its own, and what is in it for orders.
pub(super) fn is_foreign(name: &str) -> bool {
    name.eq_ignore_ascii_case(".git")
}

/// The place of `relative` below `root`, refused where a part of the way is a symbolic link.
pub(super) fn inside(root: &Path, relative: &Path) -> Result<PathBuf, WorkingCopyError> {
    let mut path = root.to_path_buf();
    for part in relative.components() {
        let std::path::Component::Normal(part) = part else {
            return Err(WorkingCopyError::Outside(relative.to_path_buf()));
        };
        path.push(part);
        match std::fs::symlink_metadata(&path) {
            Ok(metadata) if metadata.is_symlink() => return Err(WorkingCopyError::Outside(path)),
            Ok(_) => {}
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => {}
            Err(error) if error.kind() == std::io::ErrorKind::NotADirectory => {}
            Err(error) => return Err(WorkingCopyError::io("look at", path, error)),
        }
    }
    Ok(path)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn chosen(keys: &[(&str, EntryType)]) -> String {
        let mut paths = Paths::default();
        keys.iter()
            .map(|(key, entry_type)| paths.choose(&key.parse().unwrap(), *entry_type, &|_| false))
            .collect::<Vec<_>>()
            .join("\n")
    }

    #[test]
    fn files_are_named_after_their_keys() {
        insta::assert_snapshot!(chosen(&[
            ("limits", EntryType::Json),
            ("tls/ca", EntryType::String),
            ("nginx.conf", EntryType::String),
            ("logo.png", EntryType::Binary),
            ("blob", EntryType::Binary),
            ("notes.json", EntryType::String),
            ("rules.yaml", EntryType::Json),
        ]), @"
        files/limits.json
        files/tls/ca.txt
        files/nginx.conf
        files/logo.png
        files/blob.bin
        files/notes.json.txt
        files/rules.yaml.json
        ");
    }

    #[test]
    fn names_that_differ_in_case_only_or_are_in_each_others_way_do_not_meet() {
        insta::assert_snapshot!(chosen(&[
            ("a.txt", EntryType::String),
            ("A.TXT", EntryType::String),
            ("a.txt/b.txt", EntryType::String),
            ("nul", EntryType::String),
            ("com1.x/y", EntryType::String),
        ]), @"
        files/a.txt
        files/@/0baf5ccc25228d4b4d9705c2fe051254
        files/@/7a766001b74fb7ea6dc4e152a0eda682
        files/@/7767eb72f980704a34928e598b2e9c60.txt
        files/@/2880ca6cc7d2fee4b6958abbdd69cee8.txt
        ");
    }

    #[test]
    fn nothing_is_put_into_hidden_directories() {
        insta::assert_snapshot!(chosen(&[
            (".env", EntryType::String),
            (".git/config", EntryType::String),
            ("a/.GIT/hooks/post-checkout", EntryType::Binary),
            ("a/.vscode/settings.json", EntryType::Json),
            (".git", EntryType::String),
        ]), @"
        files/.env.txt
        files/@/33711abd860dd29265b0e658a3281380.txt
        files/@/f0cc866165026eea2970ea1db5adc12d.bin
        files/@/19b9cc5480ab1b764e4e1e0c72924152
        files/.git.txt
        ");
    }

    #[test]
    fn namespaces_never_lie_where_something_else_does() {
        let root: Namespace = "/teams".parse().unwrap();
        let place = |text: &str| {
            directory(&root, &text.parse().unwrap())
                .display()
                .to_string()
        };
        assert_eq!(place("/teams"), "");
        assert_eq!(place("/teams/a/b"), "a/b");
        assert_eq!(
            place("/teams/files/entries.json/namespace.json"),
            "@files/@entries.json/@namespace.json"
        );
        assert_eq!(place("/teams/nul/com1.x/v1."), "@nul/@com1.x/v1.@");
    }

    #[test]
    fn paths_that_leave_the_directory_are_refused() {
        for wrong in [
            "x",
            "/etc/passwd",
            "files",
            "files/",
            "files/../x",
            "files/a/./b",
            "files//a",
            "files/a\\b",
            "files/c:x",
            "files/.git/config",
            "files/a/.GIT",
            "files/\u{7}",
        ] {
            assert!(file_path_problem(wrong).is_some(), "{wrong}");
        }
        assert_eq!(file_path_problem("files/a b/ü.txt"), None);
    }

    #[cfg(unix)]
    #[test]
    fn a_link_on_the_way_is_refused() {
        let root = tempfile::tempdir().unwrap();
        let outside = tempfile::tempdir().unwrap();
        std::os::unix::fs::symlink(outside.path(), root.path().join("files")).unwrap();
        assert!(matches!(
            inside(root.path(), Path::new("files/x")),
            Err(WorkingCopyError::Outside(_))
        ));
        assert!(matches!(
            inside(root.path(), Path::new("../x")),
            Err(WorkingCopyError::Outside(_))
        ));
        assert!(inside(root.path(), Path::new("other/x")).is_ok());
    }

    proptest! {
        #[test]
        fn chosen_paths_are_valid_and_apart(keys in proptest::collection::btree_set("[aAb.]{1,3}(/[aAb]{1,2}){0,2}", 1..20)) {
            let mut paths = Paths::default();
            let mut chosen: Vec<String> = Vec::new();
            for key in keys {
                let Ok(key) = key.parse::<Key>() else { continue };
                chosen.push(paths.choose(&key, EntryType::String, &|_| false).to_lowercase());
            }
            for (index, path) in chosen.iter().enumerate() {
                prop_assert_eq!(file_path_problem(path), None);
                for other in chosen.iter().skip(index + 1) {
                    prop_assert!(path != other);
                    let under = format!("{path}/");
                    let over = format!("{other}/");
                    prop_assert!(!other.starts_with(&under) && !path.starts_with(&over));
                }
            }
        }
    }
}
