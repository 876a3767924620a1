//! `.confmanignore`: files under `files/` that nobody means to be values, by the rules of `.gitignore`.

use std::path::Path;

use ignore::gitignore::{Gitignore, GitignoreBuilder};

use super::error::{FileProblem, WorkingCopyError};
use super::place::inside;

/// Name of the file at the root of a working copy.
pub const IGNORE_FILE: &str = ".confmanignore";

/// Which paths are left alone.
#[derive(Debug)]
pub(super) struct Ignored(Gitignore);

impl Ignored {
    /// Reads the file of a working copy; without one nothing is ignored.
    pub(super) fn load(root: &Path) -> Result<Self, WorkingCopyError> {
        let path = inside(root, Path::new(IGNORE_FILE))?;
        let text = match std::fs::read_to_string(&path) {
            Ok(text) => text,
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => String::new(),
            Err(error) => return Err(WorkingCopyError::io("read", path, error)),
        };
        Self::parse(&text).map_err(|problems| WorkingCopyError::Invalid { problems })
    }

    fn parse(text: &str) -> Result<Self, Vec<FileProblem>> {
        let file = Path::new(IGNORE_FILE);
        // Paths are matched relative to the root.
        let mut builder = GitignoreBuilder::new("");
        let mut problems = Vec::new();
        let mut offset = 0;
        for line in text.split_inclusive('\n') {
            if let Err(error) = builder.add_line(None, line.trim_end_matches(['\n', '\r'])) {
                problems.push(FileProblem::at(file, text, offset, error.to_string()));
            }
            offset += line.len();
        }
        match builder.build() {
            Ok(rules) if problems.is_empty() => Ok(Self(rules)),
            Ok(_) => Err(problems),
            Err(error) => {
                problems.push(FileProblem::at(file, text, 0, error.to_string()));
                Err(problems)
            }
        }
    }

    /// Whether a file, by its path from the root, is left alone.
    pub(super) fn has(&self, path: &Path) -> bool {
        self.0.matched_path_or_any_parents(path, false).is_ignore()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn paths_are_ignored_as_git_does() {
        let rules = Ignored::parse("# mine\r\n*.swp\n/files/build/\n!keep.swp\n").unwrap();
        let table = [
            ("files/a.swp", true),
            ("stripe/files/a.swp", true),
            ("files/keep.swp", false),
            ("files/build/x/y", true),
            ("stripe/files/build/x", false),
            ("files/a.txt", false),
        ];
        for (path, ignored) in table {
            assert_eq!(rules.has(Path::new(path)), ignored, "{path}");
        }
    }

    #[test]
    fn what_is_no_pattern_is_told_with_its_line() {
        let problems = Ignored::parse("a\n{b\n").unwrap_err();
        assert_eq!(problems[0].line, 2, "{problems:?}");
    }
}
