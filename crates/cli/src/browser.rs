//! Opening a page in the browser of whoever started this.

use std::process::{Command, Stdio};

/// Opens a page, if there is a program to do it with. Whoever has none is shown the URL anyway.
pub(crate) fn open(url: &str) {
    let chosen = std::env::var("BROWSER").ok().filter(|it| !it.is_empty());
    let program = chosen.unwrap_or_else(|| match cfg!(target_os = "macos") {
        true => "open".to_owned(),
        false => "xdg-open".to_owned(),
    });
    let started = Command::new(program)
        .arg(url)
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn();
    // The child goes on by itself, and that there is no such program is no reason to stop.
    drop(started);
}
