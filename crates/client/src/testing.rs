//! What must hold for any bytes whatever, one function for each reader of files and streams. `fuzz/` calls
//! these with bytes that a fuzzer finds; the tests here call them with files that were changed a little.

use crate::git::sidecar::fuzz_sidecar;
use crate::git::stream::{StreamError, StreamReader};
use crate::working_copy::fuzz;

/// A reader's law, for any bytes.
pub type Target = fn(&[u8]);

/// Every target by its name.
pub const TARGETS: [(&str, Target); 8] = [
    ("entries_file", fuzz_entries_file),
    ("copy_state", fuzz_copy_state),
    ("copy_journal", fuzz_copy_journal),
    ("copy_index", fuzz_copy_index),
    ("copy_known", fuzz_copy_known),
    ("copy_inherited", fuzz_copy_inherited),
    ("git_stream", fuzz_git_stream),
    ("git_sidecar", fuzz_git_sidecar),
];

/// `entries.json` is read or refused with places, and its lines put together again are the same entries.
///
/// # Panics
/// They are not, or a place is not in the text.
pub fn fuzz_entries_file(bytes: &[u8]) {
    fuzz::fuzz_entries(bytes);
}

/// `.confman/state.json` has one form.
///
/// # Panics
/// It has two.
pub fn fuzz_copy_state(bytes: &[u8]) {
    fuzz::fuzz_state(bytes);
}

/// `.confman/journal.json` has one form.
///
/// # Panics
/// It has two.
pub fn fuzz_copy_journal(bytes: &[u8]) {
    fuzz::fuzz_journal(bytes);
}

/// `.confman/index.json` remembers nothing that cannot be.
///
/// # Panics
/// It does.
pub fn fuzz_copy_index(bytes: &[u8]) {
    fuzz::fuzz_index(bytes);
}

/// What is known of a working copy's texts has one form.
///
/// # Panics
/// It has two.
pub fn fuzz_copy_known(bytes: &[u8]) {
    fuzz::fuzz_known(bytes);
}

/// What was fetched of the namespaces above has one form.
///
/// # Panics
/// It has two.
pub fn fuzz_copy_inherited(bytes: &[u8]) {
    fuzz::fuzz_inherited(bytes);
}

/// A `git fast-export` stream is read to its end, or refused with a place in it.
///
/// # Panics
/// The place is not in it.
pub fn fuzz_git_stream(bytes: &[u8]) {
    let mut reader = StreamReader::new(bytes);
    let mut commands = 0;
    loop {
        match reader.next_command() {
            Ok(Some(_)) => commands += 1,
            Ok(None) => break,
            Err(StreamError::Malformed(problem)) => {
                assert!(problem.offset <= bytes.len() as u64, "{problem}");
                break;
            }
            Err(StreamError::Io(error)) => {
                assert!(bytes.is_empty(), "bytes in memory cannot be read: {error}");
                break;
            }
        }
        assert!(commands <= bytes.len(), "a command without bytes");
    }
}

/// What goes beside a Git history has one form.
///
/// # Panics
/// It has two.
pub fn fuzz_git_sidecar(bytes: &[u8]) {
    fuzz_sidecar(bytes);
}

#[cfg(test)]
mod tests {
    use confman_object_store::testing::smoke;

    use super::*;

    const ENTRIES: &str = r#"{
  "$schema": ".confman/entries.schema.json",
  // why it is so
  "limits": {"value": {"cpu": 2, "mem": 1.50}, "description": "per instance"},
  "motd": {"file": "files/motd.txt"},
  "port": {"conflict": {"base": {"value": 80}, "ours": null, "theirs": {"value": 82}}},
  "stripe/key": {"value": "vault://payments/stripe#key", "type": "secret-ref", "tags": ["pci"]},
  "timeout": {"unset": true},
}
"#;
    const STATE: &str = r#"{"format": 1, "server": "http://a:1", "cluster": "c", "draft": "mine", "root": "/a",
        "recursive": true, "fullHistory": false, "namespaces": [{"path": "/a/b", "onDraft": false,
        "base": "574bd804f8dc0e15a553682f1cfee2d58b477280b49db82f9e60bd9f45137f0e"}]}"#;
    const JOURNAL: &str = r#"{"format": 1, "steps": [
        {"path": "entries.json", "from": "0", "was": {"size": 120, "modified": 1700000000000000000}},
        {"path": "files/motd.txt"}]}"#;
    const INDEX: &str = r#"{"format": 2, "files": {"files/a": {"stamp": {"size": 100, "modified": 17},
        "type": "string", "value": "100:574bd804f8dc0e15a553682f1cfee2d58b477280b49db82f9e60bd9f45137f0e"}}}"#;
    const KNOWN: &str = r#"{"format": 1, "text": "00", "tree": null, "stamp": {"size": 9, "modified": 17}, "plain": true,
        "remark": null, "changes": [["a", "M"]], "files": [["b", "files/b.txt", "string", null, "=6162"]]}"#;
    const INHERITED: &str = r#"{"format": 1, "chain": [{"namespace": "/a", "isReadable": true, "published": "00"}],
        "environment": "prod", "enforcement": "warn", "attached": [{"namespace": "/a", "schema": "/schemas/a/b"}],
        "schemas": {"/schemas/a/b": "{}", "/schemas/a/c": null}}"#;
    const SIDECAR: &str = r#"{"format": 1, "files": {"port": {"type": "number", "tags": ["a"]},
        "@/1": {"key": "a", "type": "string"}, "gone": {"unset": true}}}"#;

    #[test]
    fn no_reader_breaks_its_law_on_changed_files() {
        let stream = std::path::Path::new(env!("CARGO_MANIFEST_DIR"))
            .join("../../fixtures/git/small.fast-export");
        let texts = [ENTRIES, STATE, JOURNAL, INDEX, KNOWN, INHERITED, SIDECAR];
        let mut seeds: Vec<Vec<u8>> = texts.map(|text| text.as_bytes().to_vec()).to_vec();
        seeds.push(std::fs::read(stream).unwrap());
        smoke(&seeds, 3000, &TARGETS);
    }
}
