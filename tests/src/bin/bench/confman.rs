//! Confman as its users have it: the program, a server, a command line, HTTP.

use std::path::Path;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use confman_tests::Server;

use crate::Failure;

/// A command with the server's administrator behind it.
pub fn command(server: &Server, home: &Path, arguments: &[&str]) -> Command {
    let mut command = Command::new(confman_tests::confman_bin());
    command
        .args(arguments)
        .current_dir(home)
        .env("HOME", home)
        .env("XDG_CONFIG_HOME", home.join(".config"))
        .env("CONFMAN_SERVER", server.url())
        .env("CONFMAN_TOKEN_FILE", server.data().join("admin.token"))
        .stdin(Stdio::null());
    command
}

/// Runs a command and takes the time; an error says what it said.
pub fn timed(server: &Server, home: &Path, arguments: &[&str]) -> Result<Duration, Failure> {
    let begun = Instant::now();
    let output = command(server, home, arguments).output()?;
    if !output.status.success() {
        let said = String::from_utf8_lossy(&output.stderr).into_owned();
        return Err(format!("confman {arguments:?}: {said}").into());
    }
    Ok(begun.elapsed())
}
