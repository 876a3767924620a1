//! Files and hooks of a namespace.
//!
//! Hooks run after the files were written, where one of them was not what it is now; where there
//! are no files, they run for every new document.

use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use confman_client::reading::Document;
use confman_client::reading::file::replace_shared;

use crate::config::{FileConfig, HookConfig, NamespaceConfig};

/// Pause between two looks whether a hook has ended.
const END_PAUSE: Duration = Duration::from_millis(20);

/// Brings the files of a namespace up to date and runs its hooks.
///
/// # Errors
/// Says everything that did not work. Hooks do not run where a file could not be written.
pub fn apply(config: &NamespaceConfig, document: &Document) -> Result<(), String> {
    let mut changed = config.files.is_empty();
    let mut wrong = Vec::new();
    for file in &config.files {
        match write(file, document) {
            Ok(written) => changed |= written,
            Err(what) => wrong.push(what),
        }
    }
    if wrong.is_empty() && changed {
        let ran = config.hooks.iter().map(|hook| run(hook, document));
        wrong.extend(ran.filter_map(Result::err));
    }
    match wrong.is_empty() {
        true => Ok(()),
        false => Err(wrong.join("; ")),
    }
}

/// Writes a file; whether it was not what it is now.
fn write(file: &FileConfig, document: &Document) -> Result<bool, String> {
    let values = file.selection().of(document.values());
    let content = file
        .format
        .write(&values)
        .map_err(|error| format!("{} is not written: {error}", file.path.display()))?;
    if std::fs::read(&file.path).is_ok_and(|before| before == content.as_bytes()) {
        return Ok(false);
    }
    replace_shared(&file.path, content.as_bytes())
        .map_err(|error| format!("cannot write {}: {error}", file.path.display()))?;
    Ok(true)
}

fn run(hook: &HookConfig, document: &Document) -> Result<(), String> {
    let Some((program, arguments)) = hook.command.split_first() else {
        return Ok(());
    };
    let failed = |error: std::io::Error| format!("hook `{program}`: {error}");
    let mut child = Command::new(program)
        .args(arguments)
        .env("CONFMAN_NAMESPACE", document.namespace().as_str())
        .env("CONFMAN_BASIS", document.basis())
        .env("CONFMAN_INDEX", document.index().to_string())
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .spawn()
        .map_err(failed)?;
    let deadline = Instant::now() + Duration::from_secs(hook.timeout_seconds);
    loop {
        match child.try_wait().map_err(failed)? {
            Some(status) if status.success() => return Ok(()),
            Some(status) => return Err(format!("hook `{program}` failed: {status}")),
            None if Instant::now() < deadline => std::thread::sleep(END_PAUSE),
            None => {
                // Whether or not it could be ended, it took too long.
                let _ = child.kill();
                let _ = child.wait();
                let limit = hook.timeout_seconds;
                return Err(format!("hook `{program}` took longer than {limit} seconds"));
            }
        }
    }
}
