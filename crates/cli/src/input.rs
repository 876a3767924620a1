//! Input from a file or stdin, up to a limit.

use std::fs::File;
use std::io::{self, BufReader, Read};
use std::path::PathBuf;
use std::str::FromStr;

use crate::error::CliError;

/// Where input comes from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Input {
    /// Standard input, written `-`.
    Stdin,
    /// A file.
    File(PathBuf),
}

impl FromStr for Input {
    type Err = std::convert::Infallible;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        Ok(match text {
            "-" => Self::Stdin,
            path => Self::File(PathBuf::from(path)),
        })
    }
}

impl std::fmt::Display for Input {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Stdin => f.write_str("stdin"),
            Self::File(path) => write!(f, "`{}`", path.display()),
        }
    }
}

impl Input {
    /// Opens it.
    pub(crate) fn open(&self) -> Result<Box<dyn Read + Send>, CliError> {
        match self {
            Self::Stdin => Ok(Box::new(io::stdin())),
            Self::File(path) => {
                let file = File::open(path)
                    .map_err(|error| CliError::io(format!("cannot read {self}"), &error))?;
                Ok(Box::new(BufReader::new(file)))
            }
        }
    }

    /// Reads all of it, refusing more than `bytes_max`.
    pub(crate) fn read_all(&self, bytes_max: usize) -> Result<Vec<u8>, CliError> {
        let mut bytes = Vec::new();
        let limit = u64::try_from(bytes_max)
            .unwrap_or(u64::MAX)
            .saturating_add(1);
        self.open()?
            .take(limit)
            .read_to_end(&mut bytes)
            .map_err(|error| CliError::io(format!("cannot read {self}"), &error))?;
        if bytes.len() > bytes_max {
            return Err(
                CliError::invalid(format!("{self} is too large")).because(format!(
                    "it has more than {bytes_max} bytes, which is the most that is allowed"
                )),
            );
        }
        Ok(bytes)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::exit::Exit;

    #[test]
    fn more_than_the_limit_is_refused_and_the_limit_is_not() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("x");
        std::fs::write(&path, b"12345").unwrap();
        let input = Input::File(path);
        assert_eq!(input.read_all(5).unwrap(), b"12345");
        assert_eq!(input.read_all(4).unwrap_err().exit, Exit::Invalid);
    }

    #[test]
    fn a_missing_file_is_not_found() {
        let input = Input::File(PathBuf::from("/nonexistent/x"));
        assert_eq!(input.read_all(5).unwrap_err().exit, Exit::NotFound);
    }
}
