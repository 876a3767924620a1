//! What must hold of the files of a working copy, whatever bytes are in them.

use std::path::Path;

use super::entries::{EntriesFile, Source, render_file};
pub(crate) use super::index::fuzz_index;
pub(crate) use super::inherited::fuzz_inherited;
pub(crate) use super::journal::fuzz_journal;
pub(crate) use super::known::fuzz_known;
use super::state::State;

/// A file of entries is read or refused with places, and its lines put together again are the same entries.
///
/// # Panics
/// They are not, or a place is not in the text.
pub(crate) fn fuzz_entries(bytes: &[u8]) {
    let Ok(text) = std::str::from_utf8(bytes) else {
        return;
    };
    let path = Path::new("entries.json");
    let file = match EntriesFile::parse(path, text.to_owned()) {
        Ok(file) => file,
        Err(problems) => {
            assert!(!problems.is_empty(), "it is refused without a reason");
            for problem in problems {
                assert!(problem.line >= 1 && problem.column >= 1, "{problem}");
                assert!(problem.line <= text.split('\n').count(), "{problem}");
            }
            return;
        }
    };
    let again = render_file(
        file.schema.as_deref(),
        file.lines
            .iter()
            .map(|(key, line)| (key, file.text_at(&line.at))),
        &file.comments,
    );
    let read = EntriesFile::parse(path, again).unwrap_or_default();
    assert_eq!(
        forms(&read),
        forms(&file),
        "its lines mean something else elsewhere"
    );
    assert_eq!(read.comments, file.comments, "a comment is lost or moves");
}

/// The entries of a file, with values as they are written.
fn forms(file: &EntriesFile) -> Vec<String> {
    file.lines
        .iter()
        .flat_map(|(key, line)| line.written.forms().map(move |form| (key, form)))
        .map(|(key, form)| {
            let source = match &form.source {
                Source::Value(range) => file.text_at(range),
                Source::File(path) => path,
                Source::Unset => "unset",
            };
            format!("{key} {source} {:?} {:?}", form.entry_type, form.details)
        })
        .collect()
}

/// A state that is read has one form.
///
/// # Panics
/// It has two.
pub(crate) fn fuzz_state(bytes: &[u8]) {
    let path = Path::new("state.json");
    if let Ok(state) = State::parse(path, bytes) {
        let again = State::parse(path, state.to_text().as_bytes()).ok();
        assert_eq!(again, Some(state), "a state has two forms");
    }
}
