//! The confman command line: commands for people and scripts, and `confman serve`.
//!
//! Each command is a file in [`commands`]: its `Args` are its help, and `run` returns what it found
//! or did as a [`report::Report`]. [`ui`] alone prints: text for people, the API's JSON with
//! `--json`. What is printed is made by the pure functions in [`render`].
//!
//! INVARIANT: data goes to stdout and everything else to stderr; the exit code is one of
//! [`exit::Exit`].
//! INVARIANT: a token is never an argument, and never part of a message.
//!
//! Deliberately absent: rules about configuration. Those are the server's.

mod args;
mod browser;
mod commands;
mod comparison;
mod completion;
mod context;
mod draft;
mod editor;
mod error;
mod exit;
mod foreign;
mod input;
mod interrupt;
mod jq;
mod keyring;
mod likeness;
mod local_commit;
mod pager;
mod place;
mod profile;
mod progress;
mod reading;
mod reference;
mod render;
mod report;
mod settings;
mod suggestion;
#[cfg(unix)]
mod supervisor;
mod text;
mod transfer;
mod ui;
mod value;
mod working_directory;

use std::process::ExitCode;

use args::Cli;
use context::Context;
use error::CliError;
use exit::Exit;
use jq::Filter;

/// Of a server under publishes a quarter of the time went to the memory of the C library, whose threads wait for one
/// another there.
#[cfg(feature = "server")]
#[global_allocator]
static MEMORY: tikv_jemallocator::Jemalloc = tikv_jemallocator::Jemalloc;

fn main() -> ExitCode {
    // Before anything looks at the environment, which here is the program's.
    #[cfg(unix)]
    if let Some(code) = supervisor::become_child(|| args::GlobalArgs::default().ui()) {
        return code;
    }
    clap_complete::CompleteEnv::with_factory(|| completion::completing(args::whole())).complete();
    let cli = match Cli::read(std::env::args_os().collect::<Vec<_>>()) {
        Ok(cli) => cli,
        Err(error) => return usage(&error),
    };
    let place = cli.command.place();
    let filter = cli.global.jq.as_deref().map(Filter::parse).transpose();
    let cx = match filter {
        Ok(filter) => Context::new(cli.global, filter),
        Err(error) => {
            cli.global.ui().error(&error);
            return error.exit.into();
        }
    };
    let run = std::panic::AssertUnwindSafe(|| {
        let report = cli.command.run(&cx)?;
        cx.ui.print(report)
    });
    let done = std::panic::catch_unwind(run).unwrap_or_else(|_| {
        Err(CliError::bug(
            "confman has a defect and stopped; see the lines above",
        ))
    });
    match done {
        Ok(exit) => exit.into(),
        Err(error) => {
            let error = suggestion::suggest(&cx, place.as_ref(), error);
            cx.ui.error(&error);
            error.exit.into()
        }
    }
}

/// Help and version are data; everything else about arguments is a usage error.
fn usage(error: &clap::Error) -> ExitCode {
    // There is nowhere left to report that the terminal is gone.
    let _ = error.print();
    match error.use_stderr() {
        true => Exit::Usage.into(),
        false => Exit::Ok.into(),
    }
}
