//! A real server process.

use std::io::{BufRead, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::mpsc;
use std::time::Duration;

use tempfile::TempDir;

/// How long a server may take until it answers.
const START_TIME_MAX: Duration = Duration::from_secs(60);

/// A server process that ends with this value.
#[derive(Debug)]
pub struct Server {
    child: Child,
    data: PathBuf,
    url: String,
    _owned: Option<TempDir>,
    log: mpsc::Receiver<String>,
}

impl Server {
    /// Starts a server on a new directory.
    ///
    /// # Panics
    /// It does not start.
    #[must_use]
    pub fn start() -> Self {
        Self::start_with(&[])
    }

    /// Starts a server on a new directory, with more arguments.
    ///
    /// # Panics
    /// It does not start.
    #[must_use]
    #[expect(
        clippy::expect_used,
        clippy::panic,
        reason = "a test cannot go on without it"
    )]
    pub fn start_with(more: &[String]) -> Self {
        let owned = TempDir::new().expect("a temporary directory");
        match Self::try_start_with(&owned.path().join("data"), "127.0.0.1:0", more) {
            Ok(mut server) => {
                server._owned = Some(owned);
                server
            }
            Err(said) => panic!("the server did not start: {said}"),
        }
    }

    /// Starts a server on a directory that the caller keeps.
    ///
    /// # Panics
    /// It does not start.
    #[must_use]
    pub fn start_on(data: &Path) -> Self {
        Self::start_by(Command::new(crate::confman_bin()), data)
    }

    /// Starts a server by a command that ends before the arguments of `confman`, such as `strace …`.
    ///
    /// # Panics
    /// It does not start.
    #[must_use]
    #[expect(clippy::panic, reason = "a test cannot go on without it")]
    pub fn start_by(command: Command, data: &Path) -> Self {
        match Self::try_start_by(command, data) {
            Ok(server) => server,
            Err(said) => panic!("the server did not start: {said}"),
        }
    }

    /// Starts a server, or gives its exit status and what it said.
    ///
    /// # Errors
    /// It ended before it answered.
    ///
    /// # Panics
    /// There is no such program, or it neither answers nor ends.
    pub fn try_start_by(command: Command, data: &Path) -> Result<Self, String> {
        Self::try_start_at(command, data, "127.0.0.1:0", &[])
    }

    /// Starts a server with more arguments, or gives its exit status and what it said.
    ///
    /// # Errors
    /// It ended before it answered.
    ///
    /// # Panics
    /// There is no such program, or it neither answers nor ends.
    pub fn try_start_with(data: &Path, listen: &str, more: &[String]) -> Result<Self, String> {
        Self::try_start_at(Command::new(crate::confman_bin()), data, listen, more)
    }

    /// Starts a server at an address that another one had.
    ///
    /// # Panics
    /// It does not start.
    #[must_use]
    #[expect(clippy::panic, reason = "a test cannot go on without it")]
    pub fn start_at(command: Command, data: &Path, listen: &str) -> Self {
        match Self::try_start_at(command, data, listen, &[]) {
            Ok(server) => server,
            Err(said) => panic!("the server did not start: {said}"),
        }
    }

    #[expect(
        clippy::expect_used,
        clippy::panic,
        reason = "a test cannot go on without it"
    )]
    pub(crate) fn try_start_at(
        mut command: Command,
        data: &Path,
        listen: &str,
        more: &[String],
    ) -> Result<Self, String> {
        let mut child = command
            .args(["serve", "--listen", listen, "--data"])
            .arg(data)
            .args(more)
            .env("XDG_CONFIG_HOME", data.with_extension("config"))
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::piped())
            .spawn()
            .expect("the program can be started");
        let stderr = child.stderr.take().expect("stderr is a pipe");
        let (say, log) = mpsc::channel();
        std::thread::spawn(move || {
            for line in BufReader::new(stderr).lines().map_while(Result::ok) {
                if say.send(line).is_err() {
                    return;
                }
            }
        });
        let mut said = Vec::new();
        loop {
            match log.recv_timeout(START_TIME_MAX) {
                Ok(line) => {
                    let url = address_in(&line);
                    said.push(line);
                    if let Some(url) = url {
                        return Ok(Self {
                            child,
                            data: data.to_owned(),
                            url,
                            _owned: None,
                            log,
                        });
                    }
                }
                Err(mpsc::RecvTimeoutError::Disconnected) => {
                    let status = child.wait().expect("the child can be waited for");
                    return Err(format!("{status}\n{}", said.join("\n")));
                }
                Err(mpsc::RecvTimeoutError::Timeout) => {
                    panic!("no address after {START_TIME_MAX:?}: {said:?}")
                }
            }
        }
    }

    /// `http://127.0.0.1:PORT`.
    #[must_use]
    pub fn url(&self) -> &str {
        &self.url
    }

    /// The data directory.
    #[must_use]
    pub fn data(&self) -> &Path {
        &self.data
    }

    /// The administrator's token.
    ///
    /// # Panics
    /// There is none.
    #[must_use]
    #[expect(clippy::expect_used, reason = "a test cannot go on without it")]
    pub fn admin_token(&self) -> String {
        std::fs::read_to_string(self.data.join("admin.token"))
            .expect("the token is in the data directory")
            .trim()
            .to_owned()
    }

    /// Process id.
    #[must_use]
    pub fn pid(&self) -> u32 {
        self.child.id()
    }

    /// Ends it as a power cut of the process would: SIGKILL, and waits until it is gone.
    pub fn kill(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }

    /// Asks it to end, and waits until it has.
    ///
    /// # Panics
    /// It cannot be waited for.
    #[expect(clippy::expect_used, reason = "a test cannot go on without it")]
    pub fn stop(&mut self) -> ExitStatus {
        let sent = Command::new("kill")
            .args(["-TERM", &self.child.id().to_string()])
            .status()
            .expect("kill can be run");
        assert!(sent.success(), "the process was gone already");
        self.child.wait().expect("the child can be waited for")
    }

    /// Waits until it has ended by itself.
    ///
    /// # Panics
    /// It cannot be waited for.
    #[expect(clippy::expect_used, reason = "a test cannot go on without it")]
    pub fn wait(&mut self) -> ExitStatus {
        self.child.wait().expect("the child can be waited for")
    }

    /// What it has said on stderr since it was ready.
    pub fn log(&self) -> Vec<String> {
        self.log.try_iter().collect()
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        self.kill();
    }
}

/// The address in a line such as `confman answers at http://127.0.0.1:7420`.
fn address_in(line: &str) -> Option<String> {
    let at = line.find("http://127.0.0.1:")?;
    let url: String = line
        .get(at..)?
        .chars()
        .take_while(|c| c.is_ascii_alphanumeric() || matches!(c, ':' | '/' | '.'))
        .collect();
    Some(url.trim_end_matches(['/', '.']).to_owned())
}
