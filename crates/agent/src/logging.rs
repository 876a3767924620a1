//! The agent's log: lines on stderr, as text or as JSON, chosen as for a server.

use std::io::{IsTerminal, stderr};

use tracing_subscriber::EnvFilter;

/// The environment variable that says what is logged, as in `debug` or `confman_agent=debug,warn`.
pub const LOG_VARIABLE: &str = "CONFMAN_LOG";
/// The environment variable that says how: `text` (default) or `json`.
pub const LOG_FORMAT_VARIABLE: &str = "CONFMAN_LOG_FORMAT";
/// What is logged where nothing else is said.
const DEFAULT_FILTER: &str = "warn,confman_agent=info";

/// Begins to log. Does nothing where the process logs already.
pub fn begin() {
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
    let begun = match std::env::var(LOG_FORMAT_VARIABLE).as_deref() {
        Ok("json") => builder.json().try_init(),
        _ => builder.try_init(),
    };
    // Somebody else has set up a log, which is then the one to use.
    drop(begun);
}
