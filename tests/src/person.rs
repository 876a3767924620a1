//! Somebody at a command line: a home, a working directory, a server and a token.

use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};

use tempfile::TempDir;

use crate::server::Server;

/// Somebody at a command line.
#[derive(Debug)]
pub struct Person {
    home: TempDir,
    url: String,
    token: String,
}

/// What a command did.
#[derive(Debug)]
pub struct Ran {
    /// Exit code; -1 if a signal ended it.
    pub code: i32,
    /// Its data.
    pub stdout: Vec<u8>,
    /// Its messages.
    pub stderr: String,
}

impl Ran {
    /// The data as text, without the last line end.
    ///
    /// # Panics
    /// It is not UTF-8.
    #[must_use]
    #[expect(clippy::expect_used, reason = "a test that wants text must get text")]
    pub fn text(&self) -> &str {
        std::str::from_utf8(&self.stdout)
            .expect("UTF-8")
            .trim_end_matches('\n')
    }

    /// The data as JSON.
    ///
    /// # Panics
    /// It is not JSON.
    #[must_use]
    #[expect(clippy::panic, reason = "a test that wants JSON must get JSON")]
    pub fn json(&self) -> serde_json::Value {
        match serde_json::from_slice(&self.stdout) {
            Ok(value) => value,
            Err(error) => panic!("not JSON ({error}): {}\n{}", self.text(), self.stderr),
        }
    }
}

impl Person {
    /// The administrator of a server, in a new home.
    ///
    /// # Panics
    /// No home can be made.
    #[must_use]
    #[expect(clippy::expect_used, reason = "a test cannot go on without it")]
    pub fn admin(server: &Server) -> Self {
        Self {
            home: TempDir::new().expect("a temporary directory"),
            url: server.url().to_owned(),
            token: server.admin_token(),
        }
    }

    /// Somebody who holds this token, in a new home.
    ///
    /// # Panics
    /// No home can be made.
    #[must_use]
    #[expect(clippy::expect_used, reason = "a test cannot go on without it")]
    pub fn with_token(server: &Server, token: &str) -> Self {
        Self {
            home: TempDir::new().expect("a temporary directory"),
            url: server.url().to_owned(),
            token: token.to_owned(),
        }
    }

    /// Goes on with another server (the same one, started again).
    pub fn follow(&mut self, server: &Server) {
        server.url().clone_into(&mut self.url);
    }

    /// Their token.
    #[must_use]
    pub fn token(&self) -> &str {
        &self.token
    }

    /// Goes on with these servers, separated by commas.
    pub fn use_servers(&mut self, urls: &str) {
        urls.clone_into(&mut self.url);
    }

    /// Becomes the administrator of another server, in the same home.
    pub fn become_admin(&mut self, server: &Server) {
        self.follow(server);
        self.token = server.admin_token();
    }

    /// Their home, which is also where their commands run.
    #[must_use]
    pub fn home(&self) -> &Path {
        self.home.path()
    }

    /// A path below their home.
    #[must_use]
    pub fn path(&self, name: &str) -> PathBuf {
        self.home.path().join(name)
    }

    /// Writes a file below their home.
    ///
    /// # Panics
    /// The disk fails.
    #[expect(clippy::expect_used, reason = "a test cannot go on without it")]
    pub fn write(&self, name: &str, bytes: impl AsRef<[u8]>) {
        let path = self.path(name);
        std::fs::create_dir_all(path.parent().expect("a folder")).expect("the folder is made");
        std::fs::write(path, bytes).expect("the file is written");
    }

    /// Edits a file below their home: another text in the place of one that is in it.
    ///
    /// # Panics
    /// There is no such file, or the text is not in it.
    #[expect(clippy::expect_used, reason = "a test cannot go on without it")]
    pub fn replaces(&self, name: &str, from: &str, to: &str) {
        let text = std::fs::read_to_string(self.path(name)).expect("the file is read");
        assert!(text.contains(from), "{name} has no {from:?}: {text}");
        self.write(name, text.replace(from, to));
    }

    /// A command of theirs, not started yet; runs in `directory` below their home.
    #[must_use]
    pub fn command(&self, directory: &str, arguments: &[&str]) -> Command {
        let mut command = Command::new(crate::confman_bin());
        command
            .args(arguments)
            .current_dir(self.path(directory))
            .env_clear()
            .env("PATH", std::env::var_os("PATH").unwrap_or_default())
            .env("HOME", self.home())
            .env("XDG_CONFIG_HOME", self.path(".config"))
            .env("CONFMAN_SERVER", &self.url)
            .env("CONFMAN_TOKEN", &self.token)
            .env("TZ", "UTC")
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped());
        command
    }

    /// As [`Self::command`], by a program that ends its own arguments with those of a command to run,
    /// such as `strace …`.
    #[must_use]
    pub fn command_by(&self, mut program: Command, directory: &str, arguments: &[&str]) -> Command {
        let ordinary = self.command(directory, arguments);
        program
            .arg(ordinary.get_program())
            .args(ordinary.get_args())
            .current_dir(self.path(directory))
            .env_clear()
            .envs(
                ordinary
                    .get_envs()
                    .filter_map(|(name, value)| Some((name, value?))),
            );
        program
    }

    /// As [`Self::runs_in`], with these variables too.
    ///
    /// # Panics
    /// It cannot be started.
    #[must_use]
    #[expect(clippy::expect_used, reason = "a test cannot go on without it")]
    pub fn runs_with(
        &self,
        directory: &str,
        arguments: &[&str],
        variables: &[(&str, &str)],
    ) -> Ran {
        self.command(directory, arguments)
            .envs(variables.iter().copied())
            .output()
            .expect("the program can be started")
            .into()
    }

    /// Runs a command in their home.
    #[must_use]
    pub fn runs(&self, arguments: &[&str]) -> Ran {
        self.runs_in("", arguments)
    }

    /// Runs a command in a directory below their home.
    ///
    /// # Panics
    /// It cannot be started.
    #[must_use]
    #[expect(clippy::expect_used, reason = "a test cannot go on without it")]
    pub fn runs_in(&self, directory: &str, arguments: &[&str]) -> Ran {
        let output = self
            .command(directory, arguments)
            .output()
            .expect("the program can be started");
        output.into()
    }

    /// Runs a command and writes to its standard input.
    ///
    /// # Panics
    /// It cannot be started.
    #[must_use]
    #[expect(clippy::expect_used, reason = "a test cannot go on without it")]
    pub fn runs_with_input(&self, arguments: &[&str], input: &[u8]) -> Ran {
        let mut child = self
            .command("", arguments)
            .stdin(Stdio::piped())
            .spawn()
            .expect("the program can be started");
        let mut stdin = child.stdin.take().expect("stdin is a pipe");
        let input = input.to_owned();
        let writer = std::thread::spawn(move || stdin.write_all(&input));
        let output = child
            .wait_with_output()
            .expect("the child can be waited for");
        // A command may refuse its input before it has read all of it.
        let _ = writer.join();
        output.into()
    }

    /// Runs a command that must do well, and gives its text.
    ///
    /// # Panics
    /// Its exit code is not 0.
    #[expect(clippy::must_use_candidate, reason = "often only the effect is wanted")]
    pub fn does(&self, arguments: &[&str]) -> String {
        self.does_in("", arguments)
    }

    /// As [`Self::does`], in a directory below their home.
    ///
    /// # Panics
    /// Its exit code is not 0.
    #[expect(clippy::must_use_candidate, reason = "often only the effect is wanted")]
    pub fn does_in(&self, directory: &str, arguments: &[&str]) -> String {
        let ran = self.runs_in(directory, arguments);
        assert_eq!(
            ran.code,
            0,
            "confman {arguments:?}: {}\n{}",
            ran.text(),
            ran.stderr
        );
        ran.text().to_owned()
    }
}

impl From<Output> for Ran {
    fn from(output: Output) -> Self {
        Self {
            code: output.status.code().unwrap_or(-1),
            stdout: output.stdout,
            stderr: String::from_utf8_lossy(&output.stderr).into_owned(),
        }
    }
}
