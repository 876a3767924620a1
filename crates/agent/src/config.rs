//! What an agent is told: a TOML file.
//!
//! ```toml
//! servers = ["https://a:7420", "https://b:7420"]
//! token_file = "/etc/confman/token"
//! client_id = "host-17"                      # which of the readers this is, for gradual publishes
//! listen = "127.0.0.1:7430"                  # or "unix:/run/confman/agent.sock"
//! state = "/var/lib/confman-agent"
//!
//! [[namespace]]
//! path = "/teams/payments"
//!
//! [[namespace.file]]
//! path = "/etc/payments/config.yaml"
//! format = "yaml"
//! only = ["db/"]
//!
//! [[namespace.hook]]
//! command = ["systemctl", "reload", "payments"]
//! timeout_seconds = 30
//! ```

use std::collections::BTreeSet;
use std::fmt;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::str::FromStr;

use confman_client::reading::{KeyPattern, Selection};
use confman_model::{Format, Namespace};
use serde::{Deserialize, Deserializer};

/// Where an agent answers if nothing else is said.
pub const LISTEN_DEFAULT: &str = "127.0.0.1:7430";
/// Most namespaces of an agent.
pub const NAMESPACES_MAX: usize = 1000;
/// Most bytes of the file.
pub const CONFIG_BYTES_MAX: u64 = 1 << 20;
/// How long a hook may take if nothing else is said, and at most, in seconds.
pub const HOOK_SECONDS_DEFAULT: u64 = 30;
/// See [`HOOK_SECONDS_DEFAULT`].
pub const HOOK_SECONDS_MAX: u64 = 3600;

/// What the file says.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Config {
    /// The endpoints of one store.
    #[serde(default)]
    pub servers: Vec<String>,
    /// The file with the token; it is read again when the token is no longer taken.
    pub token_file: Option<PathBuf>,
    /// Which of the readers it is, where something is published gradually.
    pub client_id: Option<String>,
    /// Where to answer.
    #[serde(default, deserialize_with = "optional_text")]
    pub listen: Option<Listen>,
    /// The directory in which documents are kept.
    pub state: Option<PathBuf>,
    /// What to follow.
    #[serde(default, rename = "namespace")]
    pub namespaces: Vec<NamespaceConfig>,
}

/// A namespace to follow, and what to make of it.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct NamespaceConfig {
    /// Which.
    pub path: Namespace,
    /// Whether callers may ask for secrets in place of references (`?resolve=true`). Only over a unix
    /// socket, which is its owner's alone.
    #[serde(default)]
    pub resolve: bool,
    /// Files to keep current.
    #[serde(default, rename = "file")]
    pub files: Vec<FileConfig>,
    /// Commands to run after they were written.
    #[serde(default, rename = "hook")]
    pub hooks: Vec<HookConfig>,
}

impl NamespaceConfig {
    /// A namespace that is only served.
    #[must_use]
    pub fn of(path: Namespace) -> Self {
        Self {
            path,
            resolve: false,
            files: Vec::new(),
            hooks: Vec::new(),
        }
    }
}

/// A file to keep current.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct FileConfig {
    /// Where.
    pub path: PathBuf,
    /// How.
    #[serde(deserialize_with = "text")]
    pub format: Format,
    /// Only keys like these.
    #[serde(default, deserialize_with = "texts")]
    only: Vec<KeyPattern>,
    /// Not keys like these.
    #[serde(default, deserialize_with = "texts")]
    except: Vec<KeyPattern>,
}

impl FileConfig {
    /// Which keys.
    #[must_use]
    pub fn selection(&self) -> Selection {
        Selection {
            only: self.only.clone(),
            except: self.except.clone(),
        }
    }
}

/// A command to run. It is not a shell's: the first word is a program, the others its arguments.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct HookConfig {
    /// The program and its arguments.
    pub command: Vec<String>,
    /// How long it may take.
    #[serde(default = "hook_seconds")]
    pub timeout_seconds: u64,
}

fn hook_seconds() -> u64 {
    HOOK_SECONDS_DEFAULT
}

/// Where an agent answers.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Listen {
    /// An address of this machine alone.
    Loopback(SocketAddr),
    /// A unix socket that only its owner can use.
    Unix(PathBuf),
}

/// Why a text does not say where to answer.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error(
    "`{0}` is not where an agent can answer: it is a loopback address and port, as in {LISTEN_DEFAULT}, or unix:/PATH"
)]
pub struct ListenError(String);

impl FromStr for Listen {
    type Err = ListenError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        if let Some(path) = text.strip_prefix("unix:")
            && Path::new(path).is_absolute()
        {
            return Ok(Self::Unix(path.into()));
        }
        match text.parse::<SocketAddr>() {
            Ok(address) if address.ip().is_loopback() => Ok(Self::Loopback(address)),
            _ => Err(ListenError(text.to_owned())),
        }
    }
}

impl fmt::Display for Listen {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Loopback(address) => write!(f, "{address}"),
            Self::Unix(path) => write!(f, "unix:{}", path.display()),
        }
    }
}

/// Why an agent cannot do what it is told.
#[derive(Debug, thiserror::Error)]
pub enum ConfigError {
    /// The file cannot be read.
    #[error("cannot read {}", path.display())]
    Io {
        /// The file.
        path: PathBuf,
        /// What the system said.
        #[source]
        source: std::io::Error,
    },
    /// The file is not as it must be.
    #[error("{} is not valid: {reason}", path.display())]
    Invalid {
        /// The file.
        path: PathBuf,
        /// What is wrong, with line and column.
        reason: String,
    },
    /// What it says cannot be done.
    #[error("the agent cannot do what it is told: {}", .0.join("; "))]
    Impossible(Vec<String>),
}

impl Config {
    /// Reads a file.
    ///
    /// # Errors
    /// It cannot be read, or is not as it must be.
    pub fn load(path: &Path) -> Result<Self, ConfigError> {
        let io = |source| ConfigError::Io {
            path: path.to_owned(),
            source,
        };
        let invalid = |reason| ConfigError::Invalid {
            path: path.to_owned(),
            reason,
        };
        let found = std::fs::metadata(path).map_err(io)?;
        if found.len() > CONFIG_BYTES_MAX {
            return Err(invalid(format!(
                "it has {} bytes, at most {CONFIG_BYTES_MAX} are allowed",
                found.len()
            )));
        }
        let text = std::fs::read_to_string(path).map_err(io)?;
        toml::from_str(&text).map_err(|error| invalid(error.to_string()))
    }
}

/// Checks what no single value can show.
///
/// # Errors
/// Names everything that is wrong.
pub(crate) fn check_namespaces(
    namespaces: &[NamespaceConfig],
    listen: &Listen,
) -> Result<(), ConfigError> {
    let mut wrong = Vec::new();
    if namespaces.is_empty() || namespaces.len() > NAMESPACES_MAX {
        wrong.push(format!(
            "there are {} namespaces, 1 to {NAMESPACES_MAX} are allowed",
            namespaces.len()
        ));
    }
    let mut paths = BTreeSet::new();
    let mut files = BTreeSet::new();
    for namespace in namespaces {
        if !paths.insert(&namespace.path) {
            wrong.push(format!("namespace {} is there twice", namespace.path));
        }
        if namespace.resolve && !matches!(listen, Listen::Unix(_)) {
            wrong.push(format!(
                "secrets of {} would be given to everybody on this machine; `resolve` needs a unix socket",
                namespace.path
            ));
        }
        for file in &namespace.files {
            if !file.path.is_absolute() {
                wrong.push(format!("file {} has no absolute path", file.path.display()));
            }
            if !files.insert(&file.path) {
                wrong.push(format!("file {} is there twice", file.path.display()));
            }
        }
        for hook in &namespace.hooks {
            if hook.command.is_empty() {
                wrong.push(format!("a hook of {} has no command", namespace.path));
            }
            if !(1..=HOOK_SECONDS_MAX).contains(&hook.timeout_seconds) {
                wrong.push(format!(
                    "a hook of {} may take {} seconds, 1 to {HOOK_SECONDS_MAX} are allowed",
                    namespace.path, hook.timeout_seconds
                ));
            }
        }
    }
    match wrong.is_empty() {
        true => Ok(()),
        false => Err(ConfigError::Impossible(wrong)),
    }
}

fn text<'de, D, T>(deserializer: D) -> Result<T, D::Error>
where
    D: Deserializer<'de>,
    T: FromStr<Err: fmt::Display>,
{
    let text = String::deserialize(deserializer)?;
    text.parse().map_err(serde::de::Error::custom)
}

fn optional_text<'de, D, T>(deserializer: D) -> Result<Option<T>, D::Error>
where
    D: Deserializer<'de>,
    T: FromStr<Err: fmt::Display>,
{
    text(deserializer).map(Some)
}

fn texts<'de, D, T>(deserializer: D) -> Result<Vec<T>, D::Error>
where
    D: Deserializer<'de>,
    T: FromStr<Err: fmt::Display>,
{
    let texts = Vec::<String>::deserialize(deserializer)?;
    let parsed = texts.iter().map(|text| text.parse());
    parsed
        .collect::<Result<_, _>>()
        .map_err(serde::de::Error::custom)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn loopback() -> Listen {
        LISTEN_DEFAULT.parse().unwrap()
    }

    #[test]
    fn the_file_of_the_documentation_is_understood() {
        let source = include_str!("config.rs");
        let example: String = source
            .lines()
            .map_while(|line| line.strip_prefix("//!"))
            .map(|line| line.strip_prefix(' ').unwrap_or(line))
            .skip_while(|line| *line != "```toml")
            .skip(1)
            .take_while(|line| *line != "```")
            .map(|line| format!("{line}\n"))
            .collect();
        let config: Config = toml::from_str(&example).unwrap();
        assert_eq!(config.servers.len(), 2);
        assert_eq!(config.namespaces[0].hooks[0].command.len(), 3);
        check_namespaces(&config.namespaces, &loopback()).unwrap();
    }

    #[test]
    fn only_this_machine_can_be_answered() {
        for good in [
            "127.0.0.1:0",
            "[::1]:7430",
            "127.8.8.8:1",
            "unix:/run/x.sock",
        ] {
            assert_eq!(good.parse::<Listen>().unwrap().to_string(), good);
        }
        for bad in [
            "0.0.0.0:7430",
            "10.0.0.1:1",
            "localhost:1",
            "7430",
            "unix:x",
            "unix:",
        ] {
            assert!(bad.parse::<Listen>().is_err(), "{bad}");
        }
    }

    #[test]
    fn everything_wrong_is_said_at_once() {
        let config: Config = toml::from_str(
            r#"
            [[namespace]]
            path = "/a"
            file = [{path = "x", format = "yaml"}, {path = "/y", format = "json"}]
            [[namespace]]
            path = "/a"
            resolve = true
            file = [{path = "/y", format = "json"}]
            hook = [{command = []}, {command = ["x"], timeout_seconds = 0}]
            "#,
        )
        .unwrap();
        insta::assert_snapshot!(check_namespaces(&config.namespaces, &loopback()).unwrap_err(), @"the agent cannot do what it is told: file x has no absolute path; namespace /a is there twice; secrets of /a would be given to everybody on this machine; `resolve` needs a unix socket; file /y is there twice; a hook of /a has no command; a hook of /a may take 0 seconds, 1 to 3600 are allowed");
        insta::assert_snapshot!(check_namespaces(&[], &loopback()).unwrap_err(), @"the agent cannot do what it is told: there are 0 namespaces, 1 to 1000 are allowed");
    }

    #[test]
    fn mistakes_in_the_file_are_shown_where_they_are() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("agent.toml");
        std::fs::write(&path, "[[namespace]]\npath = \"/a\"\nfiles = []\n").unwrap();
        let error = Config::load(&path).unwrap_err().to_string();
        assert!(error.contains("line 3, column 1"), "{error}");
        assert!(error.contains("unknown field `files`"), "{error}");
    }
}
