//! The server's log: lines on stderr, as text or as JSON.

use std::io::{IsTerminal, stderr};

use tracing_subscriber::EnvFilter;

/// The environment variable that says what is logged, as in `debug` or `confman_server=debug,warn`.
pub const LOG_VARIABLE: &str = "CONFMAN_LOG";
/// The environment variable that says how: `text` (default) or `json`.
pub const LOG_FORMAT_VARIABLE: &str = "CONFMAN_LOG_FORMAT";
/// What is logged where nothing else is said. Each request is logged at `debug`, failed ones above.
const DEFAULT_FILTER: &str = "warn,confman_server=info,confman_repo=info,confman_refs=info";

/// How the log is written.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum LogFormat {
    /// Lines for people.
    #[default]
    Text,
    /// A JSON document a line.
    Json,
}

/// Begins to log. Does nothing where the process logs already.
pub(crate) fn begin(format: LogFormat) {
    let wanted = std::env::var(LOG_VARIABLE).unwrap_or_default();
    let filter = match wanted.as_str() {
        "" => EnvFilter::new(DEFAULT_FILTER),
        wanted => EnvFilter::try_new(wanted).unwrap_or_else(|_| EnvFilter::new(DEFAULT_FILTER)),
    };
    let colour = stderr().is_terminal() && std::env::var_os("NO_COLOR").is_none();
    let builder = tracing_subscriber::fmt()
        .with_env_filter(filter)
        .with_writer(stderr)
        .with_ansi(colour);
    let begun = match format {
        LogFormat::Json => builder.json().try_init(),
        LogFormat::Text => builder.try_init(),
    };
    // Somebody else has set up a log, which is then the one to use.
    drop(begun);
}
