//! What the commands that read for programs have in common: where to read, what to do when the
//! server is away, and which keys.

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use confman_client::reading::{
    Credentials, Document, Fallback, KeyPattern, Mirror, MirrorError, ReadError, Reader, Reading,
    Selection, Servers, Source,
};
use confman_client::secret::{SecretErrors, Secrets};
use confman_model::format::FormatError;
use confman_model::{Key, Namespace, Value};
use etcetera::BaseStrategy as _;

use crate::context::{Context, client_id};
use crate::error::{CliError, chain};
use crate::exit::Exit;
use crate::settings::{Settings, TokenPlace};

/// Chooses the directory of kept configuration where no flag does.
const MIRROR_VARIABLE: &str = "CONFMAN_MIRROR";

/// Where to read, and what to do when the server is away.
#[derive(Debug, Clone, Default, clap::Args)]
pub(crate) struct ReadArgs {
    /// Another server of the same store, asked where the first is away; may be repeated
    #[arg(long, value_name = "URL")]
    also: Vec<String>,

    /// Fail where no server answers, instead of using what was kept of the last answer
    #[arg(long)]
    no_fallback: bool,

    /// Directory of what is kept [env: CONFMAN_MIRROR] [default: ~/.local/state/confman/mirror]
    #[arg(long, value_name = "DIR")]
    mirror: Option<PathBuf>,
}

/// Which keys.
#[derive(Debug, Clone, Default, clap::Args)]
pub(crate) struct SelectArgs {
    /// Only keys like this: `db/`, `db/*`, `**/url`; may be repeated
    #[arg(long, value_name = "PATTERN")]
    only: Vec<KeyPattern>,

    /// Not keys like this; may be repeated
    #[arg(long, value_name = "PATTERN")]
    except: Vec<KeyPattern>,
}

impl SelectArgs {
    /// As the client takes it.
    pub(crate) fn selection(&self) -> Selection {
        Selection {
            only: self.only.clone(),
            except: self.except.clone(),
        }
    }
}

impl ReadArgs {
    /// A reader of a namespace at the chosen servers.
    pub(crate) fn reader(
        &self,
        cx: &Context,
        namespace: &Namespace,
    ) -> Result<Arc<Reader>, CliError> {
        let settings = cx.settings()?;
        let mut urls = vec![settings.server()?.to_owned()];
        urls.extend(self.also.iter().cloned());
        let servers = Servers::known_as(&urls, credentials(&settings)?, client_id())?;
        let mirror = self
            .directory()
            .map(|directory| Mirror::in_directory(&directory, &urls, namespace));
        if mirror.is_none() {
            cx.ui
                .detail("nothing is kept: there is neither HOME nor --mirror");
        }
        let fallback = match self.no_fallback {
            true => Fallback::Refused,
            false => Fallback::Allowed,
        };
        let reader = Reader::new(servers, namespace.clone(), mirror, fallback);
        Ok(Arc::new(reader))
    }

    /// Whether what was kept may be used.
    pub(crate) fn may_fall_back(&self) -> bool {
        !self.no_fallback
    }

    fn directory(&self) -> Option<PathBuf> {
        self.mirror.clone().or_else(mirror_directory)
    }
}

/// The directory of what is kept where no flag names one.
pub(crate) fn mirror_directory() -> Option<PathBuf> {
    let chosen = std::env::var_os(MIRROR_VARIABLE).filter(|text| !text.is_empty());
    chosen.map(PathBuf::from).or_else(|| {
        let base = etcetera::choose_base_strategy().ok()?;
        let state = base.state_dir().unwrap_or_else(|| base.data_dir());
        Some(state.join("confman").join("mirror"))
    })
}

/// Who to be, as the settings say. A file is read again when its token is no longer taken.
pub(crate) fn credentials(settings: &Settings) -> Result<Credentials, CliError> {
    match settings.token.as_ref().map(|token| &token.value) {
        Some(TokenPlace::File(path)) => Ok(Credentials::File(path.clone())),
        _ => Ok(settings
            .token()?
            .map_or(Credentials::None, Credentials::Token)),
    }
}

/// Says what there is to know about a reading beside its document.
pub(crate) fn tell(cx: &Context, reading: &Reading) {
    let document = &reading.document;
    if let Source::Kept { age, why } = &reading.source {
        cx.ui
            .warn(&kept_warning(document, *age, &chain(why.as_ref())));
    }
    if let Some(problem) = &reading.mirror_problem {
        cx.ui.warn(&chain(problem.as_ref()));
    }
    if document.is_filtered() {
        cx.ui.warn(&format!(
            "{} inherits from namespaces that this token may not read; what they hold is left out",
            document.namespace()
        ));
    }
}

/// The warning that what is used was kept.
pub(crate) fn kept_warning(document: &Document, age: Option<Duration>, why: &str) -> String {
    let age = match age {
        Some(age) => format!("{} ago", length(age)),
        None => "at a time that this clock has not reached".to_owned(),
    };
    format!(
        "using the configuration of {} that {} confirmed last {age}: {why}",
        document.namespace(),
        document.server(),
    )
}

/// A length of time in its largest unit.
pub(crate) fn length(time: Duration) -> String {
    let seconds = time.as_secs();
    match seconds {
        0..120 => format!("{seconds} s"),
        120..7200 => format!("{} min", seconds / 60),
        7200..172_800 => format!("{} h", seconds / 3600),
        _ => format!("{} days", seconds / 86400),
    }
}

/// Resolvers set up by the environment of this process.
pub(crate) fn secrets() -> Secrets {
    let variable = |name: &str| std::env::var(name).ok();
    Secrets::from_environment(Arc::new(variable), std::env::var_os("PATH"))
}

/// A list of keys and values with one of them chosen, for commands about a key.
pub(crate) fn one_key(document: &Document, key: &Key) -> Result<Vec<(Key, Value)>, CliError> {
    let value = document
        .get(key.as_str())
        .map_err(|error| CliError::new(Exit::NotFound, error.to_string()))?;
    Ok(vec![(key.clone(), value.clone())])
}

impl From<ReadError> for CliError {
    fn from(error: ReadError) -> Self {
        let what = error.to_string();
        match error {
            ReadError::Away { .. } | ReadError::NotAsked => Self::new(Exit::Unreachable, what)
                .next("check --server and CONFMAN_SERVER (`confman config show`), and that the server runs"),
            ReadError::Refused(problem) => Self::problem(*problem),
            ReadError::OtherStore { file, .. } => {
                let next = match file {
                    Some(file) => format!(
                        "check --server; if the store was set up anew on purpose, remove {}",
                        file.display()
                    ),
                    None => "check --server and --also: all of them are to be one store".to_owned(),
                };
                Self::new(Exit::Conflict, what).next(next)
            }
            ReadError::Protocol { .. } => {
                Self::new(Exit::Unreachable, what).next("check the URL (`confman config show`)")
            }
            ReadError::Mirror { away, problem } => {
                let next = match &problem {
                    MirrorError::Exposed { path, .. } => format!("chmod 600 {}", path.display()),
                    MirrorError::Damaged { path, .. }
                    | MirrorError::Foreign { path, .. }
                    | MirrorError::Io { path, .. } => format!(
                        "start the server; the next answer replaces {}",
                        path.display()
                    ),
                };
                Self::invalid(chain(&problem))
                    .because(away.to_string())
                    .next(next)
            }
            ReadError::Invalid(_) => Self::new(Exit::Usage, what),
        }
    }
}

impl From<SecretErrors> for CliError {
    fn from(error: SecretErrors) -> Self {
        let items = error
            .problems
            .iter()
            .map(|problem| confman_api::problem::ProblemItem {
                detail: format!("`{}`: {}", problem.reference, problem.error),
                key: Some(problem.key.to_string()),
                ..Default::default()
            });
        Self {
            items: items.collect(),
            ..Self::new(Exit::Failure, "secrets cannot be resolved")
        }
    }
}

impl From<FormatError> for CliError {
    fn from(error: FormatError) -> Self {
        let items = error
            .problems
            .iter()
            .map(|problem| confman_api::problem::ProblemItem {
                detail: problem.what.clone(),
                key: Some(problem.key.to_string()),
                pointer: problem
                    .pointer
                    .as_ref()
                    .map(|pointer| pointer.as_str().to_owned()),
                ..Default::default()
            });
        Self {
            items: items.collect(),
            ..Self::invalid(format!("not everything can be written as {}", error.format))
        }
        .next("leave keys out with --except, or choose another --format")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lengths_are_in_their_largest_unit() {
        let lengths = [0, 119, 120, 7199, 7200, 172_799, 172_800, 31_536_000]
            .map(|seconds| length(Duration::from_secs(seconds)));
        assert_eq!(
            lengths,
            [
                "0 s", "119 s", "2 min", "119 min", "2 h", "47 h", "2 days", "365 days"
            ]
        );
    }
}
