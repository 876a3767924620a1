//! Long text on a terminal goes through the pager its user likes.

use std::io::{self, Write};
use std::process::{Child, ChildStdin, Command, Stdio};

/// What is used where neither `CONFMAN_PAGER` nor `PAGER` says otherwise.
pub(crate) const PAGER_DEFAULT: &str = "less";
/// Options for `less` where `LESS` is not set: leave at once what fits on a screen, keep colours,
/// keep the screen.
const LESS_DEFAULT: &str = "FRX";

/// A running pager.
pub(crate) struct Pager {
    child: Child,
    input: Option<ChildStdin>,
    nowhere: io::Sink,
}

impl Pager {
    /// Starts the pager; none where the user wants none or it cannot be started.
    pub(crate) fn start() -> Option<Self> {
        let words = command(|name| std::env::var(name).ok())?;
        let (program, arguments) = words.split_first()?;
        let mut command = Command::new(program);
        command.args(arguments).stdin(Stdio::piped());
        if std::env::var_os("LESS").is_none() {
            command.env("LESS", LESS_DEFAULT);
        }
        let mut child = command.spawn().ok()?;
        let input = child.stdin.take();
        Some(Self {
            child,
            input,
            nowhere: io::sink(),
        })
    }

    /// What the pager reads.
    pub(crate) fn input(&mut self) -> &mut dyn Write {
        match &mut self.input {
            Some(input) => input,
            None => &mut self.nowhere,
        }
    }

    /// Ends the text and waits until its reader is done.
    pub(crate) fn wait(mut self) {
        drop(self.input.take());
        // How the pager ended says nothing about the command.
        let _ = self.child.wait();
    }
}

/// The pager's command in words; none for no pager.
fn command(variable: impl Fn(&str) -> Option<String>) -> Option<Vec<String>> {
    let line = variable("CONFMAN_PAGER")
        .or_else(|| variable("PAGER"))
        .unwrap_or_else(|| PAGER_DEFAULT.to_owned());
    let words = shlex::split(&line)?;
    match words.first().map(String::as_str) {
        None | Some("" | "cat") => None,
        Some(_) => Some(words),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn chosen(own: Option<&str>, general: Option<&str>) -> Option<Vec<String>> {
        command(|name| match name {
            "CONFMAN_PAGER" => own.map(str::to_owned),
            "PAGER" => general.map(str::to_owned),
            _ => None,
        })
    }

    #[test]
    fn the_users_pager_is_used() {
        assert_eq!(chosen(None, None).unwrap(), ["less"]);
        assert_eq!(chosen(None, Some("more -s")).unwrap(), ["more", "-s"]);
        assert_eq!(
            chosen(Some("'my pager' -x"), Some("more")).unwrap(),
            ["my pager", "-x"]
        );
    }

    #[test]
    fn cat_and_nothing_mean_no_pager() {
        for none in ["", "cat", "  ", "'unbalanced"] {
            assert_eq!(chosen(Some(none), Some("less")), None, "{none:?}");
        }
    }
}
