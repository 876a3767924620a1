//! The editor of whoever is at the terminal.

use std::io::Write as _;
use std::path::PathBuf;
use std::process::Command;

use confman_model::EntryType;
use confman_model::value::VALUE_BYTES_CEILING;

use crate::context::Context;
use crate::error::CliError;
use crate::exit::Exit;
use crate::input::Input;
use crate::interrupt;

/// Where the editor is named, first found first.
pub(crate) const VARIABLES: [&str; 3] = ["CONFMAN_EDITOR", "VISUAL", "EDITOR"];

/// Opens `bytes` in the editor, in a file that only this user can read, and gives what was saved. A line
/// end that editors put behind the last line does not count where there was none before.
pub(crate) fn edit(cx: &Context, entry_type: EntryType, bytes: &[u8]) -> Result<Vec<u8>, CliError> {
    let words = command(cx)?;
    let Some((program, arguments)) = words.split_first() else {
        return Err(no_editor());
    };
    let extension = match entry_type {
        EntryType::Json => ".json",
        _ => ".txt",
    };
    let failed = |error: std::io::Error| CliError::io("cannot write a file to edit", &error);
    let mut file = tempfile::Builder::new()
        .prefix("confman-")
        .suffix(extension)
        .tempfile()
        .map_err(failed)?;
    file.write_all(bytes).map_err(failed)?;
    file.flush().map_err(failed)?;
    let status = interrupt::during(interrupt::Answer::Hold, || {
        Command::new(program)
            .args(arguments)
            .arg(file.path())
            .status()
    })
    .map_err(|error| CliError::io(format!("cannot start the editor `{program}`"), &error))?;
    if !status.success() {
        return Err(CliError::new(
            Exit::Failure,
            format!("the editor `{program}` failed: {status}"),
        )
        .next("nothing was changed"));
    }
    let mut saved = Input::File(file.path().to_path_buf()).read_all(VALUE_BYTES_CEILING)?;
    if saved.ends_with(b"\n") && !bytes.ends_with(b"\n") {
        saved.pop();
    }
    Ok(saved)
}

/// The words of the editor's command.
fn command(cx: &Context) -> Result<Vec<String>, CliError> {
    if cx.ui.no_input {
        return Err(
            CliError::new(Exit::Confirmation, "an editor needs somebody at it")
                .because("--no-input is given"),
        );
    }
    let named = VARIABLES.into_iter().find_map(|name| {
        std::env::var(name)
            .ok()
            .filter(|value| !value.trim().is_empty())
    });
    let named = named.ok_or_else(no_editor)?;
    shlex::split(&named).ok_or_else(|| {
        CliError::usage(format!("`{named}` does not name an editor"))
            .because("a quote in it is not closed")
    })
}

fn no_editor() -> CliError {
    CliError::usage("no editor is named").next("set EDITOR, as in EDITOR=nano")
}

/// Keeps a text that could not be used, and says where.
pub(crate) fn keep(text: &str, extension: &str) -> Result<PathBuf, CliError> {
    let failed = |error: std::io::Error| CliError::io("cannot keep what you wrote", &error);
    let mut file = tempfile::Builder::new()
        .prefix("confman-")
        .suffix(extension)
        .tempfile()
        .map_err(failed)?;
    file.write_all(text.as_bytes()).map_err(failed)?;
    file.flush().map_err(failed)?;
    let (_, path) = file.keep().map_err(|error| failed(error.error))?;
    Ok(path)
}
