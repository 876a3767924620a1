//! A real terminal with somebody's shell in it, by tmux: what is typed, and what is seen.

use std::cell::Cell;
use std::fs;
use std::path::PathBuf;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use crate::person::Person;

/// How long something may take to be seen.
const SEEN_TIME_MAX: Duration = Duration::from_secs(30);
/// Pause between two looks at the screen.
const LOOK: Duration = Duration::from_millis(30);

/// A terminal that ends with this value.
#[derive(Debug)]
pub struct Terminal {
    socket: PathBuf,
    ran: Cell<usize>,
}

impl Terminal {
    /// Opens a terminal of so many columns and lines for somebody.
    ///
    /// # Panics
    /// tmux cannot be started.
    #[must_use]
    #[expect(clippy::expect_used, reason = "a test cannot go on without it")]
    pub fn open(person: &Person, columns: u16, lines: u16) -> Self {
        let terminal = Self {
            socket: person.path(&format!("tmux.{columns}")),
            ran: Cell::new(0),
        };
        // A shell that starts with what the person's commands start with, and the program by its name.
        let of_confman = person.command("", &[]);
        let folder = person.path("bin");
        fs::create_dir_all(&folder).expect("a directory is made");
        let program = fs::canonicalize(crate::confman_bin()).expect("the program is there");
        let _ = std::os::unix::fs::symlink(program, folder.join("confman"));
        let path = std::env::var("PATH").unwrap_or_default();
        let beginning = person.path(".terminal");
        fs::write(&beginning, "PS1='ready> '\n").expect("the file is written");
        let mut command = Command::new("tmux");
        command
            .arg("-S")
            .arg(&terminal.socket)
            .args(["-f", "/dev/null", "new-session", "-d"])
            .args(["-x", &columns.to_string(), "-y", &lines.to_string()])
            .arg(format!("bash --rcfile '{}'", beginning.display()))
            .env_clear()
            .envs(
                of_confman
                    .get_envs()
                    .filter_map(|(name, value)| Some((name, value?))),
            )
            .env("PATH", format!("{}:{path}", folder.display()))
            .env("TERM", "xterm-256color")
            .env("LANG", "C.UTF-8")
            .current_dir(person.home());
        let started = command.stdin(Stdio::null()).status();
        assert!(started.expect("tmux is installed").success(), "tmux fails");
        terminal.sees("ready>");
        terminal
    }

    #[expect(clippy::expect_used, reason = "a test cannot go on without it")]
    fn tmux(&self, arguments: &[&str]) -> String {
        let output = Command::new("tmux")
            .arg("-S")
            .arg(&self.socket)
            .args(arguments)
            .output()
            .expect("tmux is installed");
        String::from_utf8_lossy(&output.stdout).into_owned()
    }

    /// Types a text and does not end the line.
    pub fn begins(&self, text: &str) {
        self.tmux(&["send-keys", "-l", text]);
    }

    /// Types a line and ends it.
    pub fn types(&self, line: &str) {
        self.begins(line);
        self.presses("Enter");
    }

    /// Presses a key, as tmux names it.
    pub fn presses(&self, key: &str) {
        self.tmux(&["send-keys", key]);
    }

    /// What is on the screen.
    #[must_use]
    pub fn screen(&self) -> String {
        self.tmux(&["capture-pane", "-p"])
    }

    /// What is on the screen, with the sequences that colour it.
    #[must_use]
    pub fn colored_screen(&self) -> String {
        self.tmux(&["capture-pane", "-p", "-e"])
    }

    /// Waits until a text is on the screen, and gives what is there.
    ///
    /// # Panics
    /// It never is.
    pub fn sees(&self, text: &str) -> String {
        let until = Instant::now() + SEEN_TIME_MAX;
        loop {
            let screen = self.screen();
            if screen.contains(text) {
                return screen;
            }
            assert!(Instant::now() < until, "never seen: {text:?}\n{screen}");
            std::thread::sleep(LOOK);
        }
    }

    /// Runs a command on a screen of its own, waits until it ends, and gives what it left there, with
    /// `ended CODE` below.
    ///
    /// # Panics
    /// It does not end.
    pub fn runs(&self, command: &str) -> String {
        let number = self.ran.get() + 1;
        self.ran.set(number);
        // What is typed must not look like what is waited for.
        self.types(&format!("clear; {command}; echo ended''-{number} $?"));
        let mark = format!("ended-{number} ");
        self.sees(&mark).replace(&mark, "ended ")
    }
}

impl Drop for Terminal {
    fn drop(&mut self) {
        self.tmux(&["kill-server"]);
    }
}
