//! Any other scheme, by a program `confman-resolve-SCHEME`.
//!
//! The program gets the reference and a line end on stdin and writes the value to stdout; one line
//! end after it is taken off. Exit code 0 is success, 3 says that there is no such secret, and
//! everything else is failure. What it writes to stderr is for people and passed on.

use std::io::{Read as _, Write as _};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::mpsc;
use std::time::{Duration, Instant};

use futures::future::{BoxFuture, FutureExt as _};

use super::{ResolveError, SECRET_BYTES_MAX, Secret, SecretReference, SecretResolver};

/// Beginning of the programs' names.
pub const HELPER_PREFIX: &str = "confman-resolve-";
/// The exit code that says that there is no such secret.
pub const HELPER_NOT_FOUND: i32 = 3;
/// Pause between two looks whether a program has ended that has said everything.
const END_PAUSE: Duration = Duration::from_millis(5);

/// Runs programs.
#[derive(Debug)]
pub struct HelperResolver {
    directories: Vec<PathBuf>,
    limit: Duration,
}

impl HelperResolver {
    /// Runs programs of these directories, the first that has it.
    #[must_use]
    pub fn new(directories: Vec<PathBuf>, limit: Duration) -> Self {
        Self { directories, limit }
    }

    async fn ask(&self, reference: &SecretReference) -> Result<Secret, ResolveError> {
        let name = format!("{HELPER_PREFIX}{}", reference.scheme());
        let program = self
            .directories
            .iter()
            .map(|directory| directory.join(&name))
            .find(|path| path.is_file())
            .ok_or_else(|| {
                ResolveError::NotSetUp(format!("there is no program `{name}` on the PATH"))
            })?;
        let (reference, limit) = (reference.to_string(), self.limit);
        let ran = tokio::task::spawn_blocking(move || run(&program, &reference, limit)).await;
        ran.map_err(|_| ResolveError::Away(format!("`{name}` could not be waited for")))?
    }
}

impl SecretResolver for HelperResolver {
    fn resolve<'a>(
        &'a self,
        reference: &'a SecretReference,
    ) -> BoxFuture<'a, Result<Secret, ResolveError>> {
        self.ask(reference).boxed()
    }
}

fn run(program: &Path, reference: &str, limit: Duration) -> Result<Secret, ResolveError> {
    let deadline = Instant::now() + limit;
    let name = program.display();
    let failed = |error: std::io::Error| ResolveError::Away(format!("`{name}`: {error}"));
    let mut child = Command::new(program)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .map_err(failed)?;
    if let Some(mut stdin) = child.stdin.take() {
        // A reference fits into a pipe. A program that does not read it may answer all the same.
        let _ = stdin.write_all(format!("{reference}\n").as_bytes());
    }
    let said = listen(&mut child);
    let ended = said
        .recv_timeout(limit)
        .ok()
        .and_then(|bytes| Some((bytes, wait(&mut child, deadline)?)));
    let Some((mut bytes, status)) = ended else {
        // Whether or not it could be ended, it gave no answer.
        let _ = child.kill();
        let _ = child.wait();
        return Err(ResolveError::TimedOut(limit));
    };
    match status.code() {
        Some(0) => {}
        Some(HELPER_NOT_FOUND) => {
            return Err(ResolveError::NotFound(format!("`{name}` has none")));
        }
        _ => return Err(ResolveError::Away(format!("`{name}` failed: {status}"))),
    }
    if bytes.len() > SECRET_BYTES_MAX {
        return Err(ResolveError::Away(format!(
            "`{name}` gave more than {SECRET_BYTES_MAX} bytes"
        )));
    }
    if bytes.last() == Some(&b'\n') {
        bytes.pop();
        if bytes.last() == Some(&b'\r') {
            bytes.pop();
        }
    }
    Ok(Secret::new(bytes))
}

/// Everything that it says, up to a byte more than is allowed.
fn listen(child: &mut Child) -> mpsc::Receiver<Vec<u8>> {
    let (say, said) = mpsc::channel();
    let stdout = child.stdout.take();
    std::thread::spawn(move || {
        let mut bytes = Vec::new();
        if let Some(stdout) = stdout {
            let limit = u64::try_from(SECRET_BYTES_MAX).unwrap_or(u64::MAX) + 1;
            // What was read before an error is judged by the exit code.
            let _ = stdout.take(limit).read_to_end(&mut bytes);
        }
        // Whoever waited may have given up.
        let _ = say.send(bytes);
    });
    said
}

fn wait(child: &mut Child, deadline: Instant) -> Option<ExitStatus> {
    loop {
        match child.try_wait() {
            Ok(Some(status)) => return Some(status),
            Ok(None) if Instant::now() < deadline => std::thread::sleep(END_PAUSE),
            Ok(None) | Err(_) => return None,
        }
    }
}

#[cfg(test)]
#[cfg(unix)]
mod tests {
    use std::os::unix::fs::PermissionsExt as _;

    use super::super::conformance::{CANARY, Case, conformance};
    use super::*;

    fn with_helper(limit: Duration) -> (tempfile::TempDir, HelperResolver) {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("confman-resolve-corp");
        std::fs::write(folder.path().join("value"), CANARY).unwrap();
        let script = r#"#!/bin/sh
read uri
value="$(dirname "$0")/value"
case "$uri" in
  corp://present) cat "$value"; echo;;
  corp://slow) exec sleep 60;;
  corp://closes) exec >&-; exec sleep 60;;
  corp://fails) cat "$value"; exit 1;;
  *) exit 3;;
esac
"#;
        std::fs::write(&path, script).unwrap();
        std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o755)).unwrap();
        let resolver = HelperResolver::new(vec![folder.path().to_owned()], limit);
        (folder, resolver)
    }

    #[tokio::test]
    async fn conforms() {
        let (_folder, resolver) = with_helper(Duration::from_millis(800));
        conformance(Case {
            resolver: &resolver,
            present: "corp://present",
            absent: "corp://absent",
            malformed: &[],
            slow: Some("corp://slow"),
        })
        .await;
    }

    #[tokio::test]
    async fn failures_are_told_apart_and_repeat_nothing_that_was_said() {
        let (_folder, resolver) = with_helper(Duration::from_millis(800));
        let ask = async |reference: &str| {
            let reference = reference.parse().unwrap();
            resolver.resolve(&reference).await.unwrap_err()
        };
        let failed = ask("corp://fails").await;
        assert!(matches!(failed, ResolveError::Away(_)), "{failed}");
        assert!(!failed.to_string().contains(CANARY), "{failed}");
        let closed = ask("corp://closes").await;
        assert!(matches!(closed, ResolveError::TimedOut(_)), "{closed}");
        let missing = ask("other://x").await;
        assert_eq!(
            missing.to_string(),
            "there is no program `confman-resolve-other` on the PATH"
        );
    }
}
