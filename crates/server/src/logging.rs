//! The server's log: lines on stderr, as text or as JSON.

use std::io::{IsTerminal, stderr};

use tracing_subscriber::layer::SubscriberExt;
use tracing_subscriber::util::SubscriberInitExt;
use tracing_subscriber::{EnvFilter, Layer};

use crate::traces::Traces;

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

/// Begins to log, and to take spans for traces where there are any. Does nothing where the process logs already.
pub(crate) fn begin(format: LogFormat, traces: Option<&Traces>) {
    let wanted = std::env::var(LOG_VARIABLE).unwrap_or_default();
    let filter = match wanted.as_str() {
        "" => EnvFilter::new(DEFAULT_FILTER),
        wanted => EnvFilter::try_new(wanted).unwrap_or_else(|_| EnvFilter::new(DEFAULT_FILTER)),
    };
    let colour = stderr().is_terminal() && std::env::var_os("NO_COLOR").is_none();
    let lines = tracing_subscriber::fmt::layer()
        .with_writer(stderr)
        .with_ansi(colour);
    let registry = tracing_subscriber::registry();
    let begun = match (format, traces) {
        (LogFormat::Json, None) => registry.with(lines.json().with_filter(filter)).try_init(),
        (LogFormat::Text, None) => registry.with(lines.with_filter(filter)).try_init(),
        (LogFormat::Json, Some(traces)) => registry
            .with(lines.json().with_filter(filter))
            .with(traces.layer())
            .try_init(),
        (LogFormat::Text, Some(traces)) => registry
            .with(lines.with_filter(filter))
            .with(traces.layer())
            .try_init(),
    };
    // Somebody else has set up a log, which is then the one to use.
    drop(begun);
}
