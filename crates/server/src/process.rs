//! A server as a whole process: its runtime, and the signals that end it.

use tokio::signal::unix::{SignalKind, signal};

use crate::app::{CALLS_MAX, TRANSFERS_MAX};
use crate::logging;
use crate::options::{Ready, ServeError, ServeOptions};
use crate::server::Server;
use crate::traces::{TraceSettings, Traces};

/// Threads for opening, closing and the system's own blocking calls.
const OTHER_THREADS: usize = 8;

/// Serves until the process is told to stop (SIGTERM or SIGINT) or the disk fails. Blocks.
///
/// Logs to stderr, as [`crate::LOG_VARIABLE`] says. `on_ready` is called once, when requests are answered.
///
/// # Errors
/// See [`ServeError`].
pub fn serve(options: &ServeOptions, on_ready: impl FnOnce(&Ready)) -> Result<(), ServeError> {
    let variable = |name: &str| std::env::var(name).ok();
    let traces = TraceSettings::from_environment(&variable).map_err(ServeError::Traces)?;
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .thread_name("confman-http")
        .max_blocking_threads(CALLS_MAX + TRANSFERS_MAX + OTHER_THREADS)
        .enable_all()
        .build()
        .map_err(|source| ServeError::System {
            action: "start threads",
            source,
        })?;
    let traces = traces
        .map(|settings| Traces::begin(settings, runtime.handle().clone()))
        .transpose()
        .map_err(ServeError::Traces)?;
    logging::begin(options.log_format, traces.as_ref());
    more_files();
    let outcome = runtime.block_on(async {
        let mut terminate = listen_for(SignalKind::terminate())?;
        let mut interrupt = listen_for(SignalKind::interrupt())?;
        let starting = Server::start(options);
        // Joining a cluster may take long; whoever is tired of it can say so.
        let server = tokio::select! {
            server = starting => server?,
            _ = terminate.recv() => return Ok(()),
            _ = interrupt.recv() => return Ok(()),
        };
        on_ready(server.ready());
        let stop = server.stop_token();
        let ended = server.ended();
        tokio::pin!(ended);
        let told = tokio::select! {
            outcome = &mut ended => return outcome,
            _ = terminate.recv() => "SIGTERM",
            _ = interrupt.recv() => "SIGINT",
        };
        tracing::info!("{told}: stopping");
        stop.cancel();
        ended.await
    });
    if let Some(traces) = traces {
        traces.end();
    }
    // What is still being opened is of no use any more; nothing in it is acknowledged.
    runtime.shutdown_background();
    outcome
}

/// Takes as many file descriptors as the process may: each watcher is one, and what a process begins
/// with is often a thousand.
fn more_files() {
    let limits = rustix::process::getrlimit(rustix::process::Resource::Nofile);
    let wanted = rustix::process::Rlimit {
        current: limits.maximum,
        maximum: limits.maximum,
    };
    if let Err(error) = rustix::process::setrlimit(rustix::process::Resource::Nofile, wanted) {
        tracing::warn!(
            "the limit of file descriptors stays at {:?}: {error}",
            limits.current
        );
    }
}

fn listen_for(kind: SignalKind) -> Result<tokio::signal::unix::Signal, ServeError> {
    signal(kind).map_err(|source| ServeError::System {
        action: "listen for signals",
        source,
    })
}
