use std::ffi::OsString;
use std::path::PathBuf;
use std::str::FromStr;
use std::time::Duration;

use confman_model::Format;
use confman_model::format::EnvironmentPrefix;

use crate::context::{self, Context};
use crate::error::CliError;
use crate::place::{Place, name};
use crate::reading::{ReadArgs, SelectArgs, tell};
use crate::report::Report;
use crate::supervisor::{OnChange, Plan, Supervisor};
use crate::working_directory::namespace_or_here;

/// How long a program may take to end before it is killed, in seconds.
const STOP_TIMEOUT_SECONDS: u64 = 10;

/// Run a program with its configuration
///
/// Examples:
///   confman run /teams/payments -- ./server --port 8080
///   confman run /teams/payments --prefix APP_ --only 'db/*' -- ./server
///   confman run /teams/payments --file yaml:/run/app/config.yaml --on-change HUP -- nginx
///   confman run /teams/payments --pristine --on-change ignore -- env
///
/// Every key becomes an environment variable: `stripe/api-version` is STRIPE_API_VERSION.
/// Two keys with one name are an error. References to secrets are resolved here, in memory
/// (env://, vault://, keyvault://, and programs confman-resolve-SCHEME); in files they stay
/// references. When the configuration changes, the program is ended and started again, or
/// gets a signal, or nothing happens.
///
/// Where no server answers, what was kept of the last answer is used, with a warning that
/// says how old it is; --no-fallback refuses that. Signals are passed on, the exit code is
/// the program's (128 + N where signal N ended it), and it does not outlive confman.
#[derive(Debug, clap::Args)]
#[command(verbatim_doc_comment)]
pub(crate) struct Args {
    /// NAMESPACE; in a working copy, its own if none is named
    #[arg(value_name = "ADDRESS")]
    pub(crate) place: Option<Place>,

    /// The program and its arguments
    #[arg(value_name = "CMD", last = true, required = true)]
    command: Vec<OsString>,

    /// What stands before every name, as in APP_
    #[arg(long, value_name = "PREFIX", value_parser = name::<EnvironmentPrefix>)]
    prefix: Option<EnvironmentPrefix>,

    /// Give the program these variables only, none of the environment of confman
    #[arg(long)]
    pristine: bool,

    /// Also write a file, as in `yaml:/run/app/config.yaml`; may be repeated
    #[arg(long, value_name = "FORMAT:PATH")]
    file: Vec<FileArg>,

    /// What happens when the configuration changes: `restart`, `ignore`, or a signal such as HUP
    #[arg(long, value_name = "WHAT", default_value = "restart")]
    on_change: OnChange,

    /// Wait a random time up to this before a restart or signal, so that a fleet does not do it at once
    #[arg(long, value_name = "SECONDS", default_value_t = 0)]
    splay: u64,

    /// How long the program may take to end before it is killed
    #[arg(long, value_name = "SECONDS", default_value_t = STOP_TIMEOUT_SECONDS)]
    stop_timeout: u64,

    #[command(flatten)]
    select: SelectArgs,

    #[command(flatten)]
    read: ReadArgs,
}

/// A file to write and how.
#[derive(Debug, Clone)]
pub(crate) struct FileArg {
    /// How.
    pub(crate) format: Format,
    /// Where.
    pub(crate) path: PathBuf,
}

impl FromStr for FileArg {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let (format, path) = text
            .split_once(':')
            .filter(|(_, path)| !path.is_empty())
            .ok_or("it looks like FORMAT:PATH, as in yaml:/run/app/config.yaml")?;
        Ok(Self {
            format: name(format)?,
            path: path.into(),
        })
    }
}

impl Args {
    pub(crate) fn run(self, cx: &Context) -> Result<Report, CliError> {
        let place = self.place.clone().unwrap_or_default();
        place.no_key("--only KEY chooses keys")?;
        place.no_revision("a program gets what is published now")?;
        let namespace = namespace_or_here(place.namespace.as_ref())?;
        let reader = self.read.reader(cx, &namespace)?;
        let plan = Plan {
            command: self.command,
            prefix: self.prefix.unwrap_or_default(),
            pristine: self.pristine,
            files: self.file,
            selection: self.select.selection(),
            on_change: self.on_change,
            splay: Duration::from_secs(self.splay),
            stop_timeout: Duration::from_secs(self.stop_timeout),
        };
        let runtime = context::runtime()?;
        let code = runtime.block_on(async {
            let (supervisor, reading) = Supervisor::prepare(plan, reader).await?;
            tell(cx, &reading);
            supervisor.run(&cx.ui).await
        })?;
        // The code is the program's, whatever it is, and nothing is left to be cleaned up.
        std::process::exit(code)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn files_name_a_format_and_a_path() {
        let file: FileArg = "yaml:/a:b".parse().unwrap();
        assert_eq!((file.format, file.path), (Format::Yaml, "/a:b".into()));
        for bad in ["yaml", "yaml:", "xml:/a", "/a"] {
            assert!(bad.parse::<FileArg>().is_err(), "{bad}");
        }
    }
}
