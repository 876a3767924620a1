//! Profiles: servers a person uses and the tokens for them, in one file of their own.
//!
//! INVARIANT: the file is readable by its owner alone, and is replaced as a whole.

use std::collections::BTreeMap;
use std::io::Write as _;
use std::path::{Path, PathBuf};

use etcetera::BaseStrategy as _;
use serde::{Deserialize, Serialize};

use crate::error::CliError;
use crate::exit::Exit;

/// Name of the profile that is made where none is named.
pub(crate) const PROFILE_DEFAULT: &str = "default";
/// Most bytes of the file.
const FILE_BYTES_MAX: u64 = 1024 * 1024;

/// What the file says.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Profiles {
    /// The profile in use where nothing else is chosen.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) active: Option<String>,
    /// By name.
    #[serde(default)]
    pub(crate) profiles: BTreeMap<String, Profile>,
}

/// A server and who to be there.
#[derive(Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Profile {
    /// URL of the server.
    pub(crate) server: String,
    /// The token, sent to this server only.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) token: Option<String>,
    /// A file that holds the token, read at each use.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) token_file: Option<PathBuf>,
    /// The keyring holds the token, by the URL of the server.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub(crate) in_keyring: bool,
}

// A token must not end up in a log or a panic message.
impl std::fmt::Debug for Profile {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Profile")
            .field("server", &self.server)
            .field("token", &self.token.as_ref().map(|_| "…"))
            .field("token_file", &self.token_file)
            .field("in_keyring", &self.in_keyring)
            .finish()
    }
}

impl Profiles {
    /// Where the file is: `$XDG_CONFIG_HOME/confman/profiles.toml`.
    pub(crate) fn path() -> Result<PathBuf, CliError> {
        let base = etcetera::choose_base_strategy().map_err(|error| {
            CliError::new(Exit::Failure, "cannot tell where profiles are kept")
                .because(error.to_string())
                .next("set HOME or XDG_CONFIG_HOME")
        })?;
        Ok(base.config_dir().join("confman").join("profiles.toml"))
    }

    /// Reads the file; one that does not exist has no profiles.
    pub(crate) fn load(path: &Path) -> Result<Self, CliError> {
        let what = || format!("cannot read the profiles in {}", path.display());
        match std::fs::metadata(path) {
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => {
                return Ok(Self::default());
            }
            Err(error) => return Err(CliError::io(what(), &error)),
            Ok(found) if found.len() > FILE_BYTES_MAX => {
                return Err(CliError::invalid(what()).because(format!(
                    "it has {} bytes, at most {FILE_BYTES_MAX} are allowed",
                    found.len()
                )));
            }
            Ok(_) => {}
        }
        let text = std::fs::read_to_string(path).map_err(|error| CliError::io(what(), &error))?;
        toml::from_str(&text).map_err(|error| {
            // The message alone: the excerpt that the error's text shows could be a token.
            let message = error.message();
            CliError::invalid(what())
                .because(message)
                .next("correct the file, or remove it and `confman login` again")
        })
    }

    /// Replaces the file.
    pub(crate) fn save(&self, path: &Path) -> Result<(), CliError> {
        let text =
            toml::to_string_pretty(self).map_err(|error| CliError::bug(error.to_string()))?;
        replace_private(path, text.as_bytes()).map_err(|error| {
            CliError::io(
                format!("cannot write the profiles to {}", path.display()),
                &error,
            )
        })
    }

    /// The profile called `name`.
    pub(crate) fn get(&self, name: &str) -> Result<&Profile, CliError> {
        self.profiles.get(name).ok_or_else(|| {
            let names: Vec<_> = self.profiles.keys().map(String::as_str).collect();
            let there = match names.is_empty() {
                true => "there are none".to_owned(),
                false => format!("there are {}", names.join(", ")),
            };
            CliError::new(Exit::NotFound, format!("there is no profile `{name}`"))
                .because(there)
                .next(format!("`confman login --server URL --profile {name}`"))
        })
    }
}

/// Writes a file that only its owner can read, beside `path`, and moves it into place.
fn replace_private(path: &Path, bytes: &[u8]) -> std::io::Result<()> {
    let folder = path.parent().unwrap_or(Path::new("."));
    std::fs::create_dir_all(folder)?;
    let name = path.file_name().unwrap_or_default().to_string_lossy();
    let draft = folder.join(format!(".{name}.{}", std::process::id()));
    let written = write_private(&draft, bytes).and_then(|()| std::fs::rename(&draft, path));
    if written.is_err() {
        // The first error is the one to report.
        let _ = std::fs::remove_file(&draft);
    }
    written
}

fn write_private(path: &Path, bytes: &[u8]) -> std::io::Result<()> {
    let mut options = std::fs::OpenOptions::new();
    options.write(true).create_new(true);
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
    let mut file = options.open(path)?;
    file.write_all(bytes)?;
    file.sync_all()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn two() -> Profiles {
        let dev = Profile {
            server: "http://127.0.0.1:7420".to_owned(),
            token: Some("cfm_pat_secret".to_owned()),
            token_file: None,
            in_keyring: false,
        };
        let prod = Profile {
            server: "https://config.company.com".to_owned(),
            token: None,
            token_file: Some(PathBuf::from("/run/token")),
            in_keyring: false,
        };
        let profiles = [("dev".to_owned(), dev), ("prod".to_owned(), prod)].into();
        Profiles {
            active: Some("dev".to_owned()),
            profiles,
        }
    }

    #[test]
    fn what_is_saved_is_loaded() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("confman/profiles.toml");
        two().save(&path).unwrap();
        assert_eq!(Profiles::load(&path).unwrap(), two());
        two().save(&path).unwrap();
        assert_eq!(
            std::fs::read_dir(path.parent().unwrap()).unwrap().count(),
            1
        );
    }

    #[cfg(unix)]
    #[test]
    fn only_the_owner_can_read_the_file() {
        use std::os::unix::fs::PermissionsExt as _;
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("profiles.toml");
        two().save(&path).unwrap();
        assert_eq!(
            std::fs::metadata(&path).unwrap().permissions().mode() & 0o777,
            0o600
        );
    }

    #[test]
    fn a_missing_file_has_no_profiles() {
        let folder = tempfile::tempdir().unwrap();
        assert_eq!(
            Profiles::load(&folder.path().join("none")).unwrap(),
            Profiles::default()
        );
    }

    #[test]
    fn a_broken_file_is_refused_without_showing_what_is_in_it() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("profiles.toml");
        std::fs::write(
            &path,
            "[profiles.dev]\nserver = 'x'\ntoken = \"cfm_pat_secret",
        )
        .unwrap();
        let error = Profiles::load(&path).unwrap_err();
        assert_eq!(error.exit, Exit::Invalid);
        assert!(!error.to_text().to_plain().contains("cfm_pat_secret"));
    }

    #[test]
    fn a_token_is_not_shown_by_debug() {
        assert!(!format!("{:?}", two()).contains("cfm_pat_secret"));
    }

    #[test]
    fn an_unknown_profile_lists_those_there_are() {
        let error = two().get("staging").unwrap_err();
        insta::assert_snapshot!(error.to_text().to_plain(), @r"
        error: there is no profile `staging`
          why: there are dev, prod
          try: `confman login --server URL --profile staging`
        ");
    }
}
