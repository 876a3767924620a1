//! Tokens in the keyring of the person who is logged in, through the program that the system has for it:
//! `secret-tool` (Secret Service) or, on macOS, `security`.
//!
//! INVARIANT: a token goes to these programs by stdin where they can, and never into an error.
//! INVARIANT: a keyring that does not answer in time is as none; the file of profiles is there then.

use std::io::{Read as _, Write as _};
use std::process::{Child, Command, Stdio};
use std::sync::mpsc;
use std::time::Duration;

use crate::error::CliError;
use crate::exit::Exit;

/// How long a keyring may take, perhaps because it asks to be unlocked.
const KEYRING_TIME_MAX: Duration = Duration::from_secs(10);
/// By what tokens are found again.
const SERVICE: &str = "confman";
/// Most bytes of an answer.
const ANSWER_BYTES_MAX: u64 = 8 * 1024;

/// Keeps a token; `false` where there is no keyring that gives it back.
pub(crate) fn keep(server: &str, token: &str) -> bool {
    let kept = match cfg!(target_os = "macos") {
        // What `-i` reads has quotes around it.
        true if server.contains(['"', '\\', '\n']) => None,
        true => {
            // `-i` reads commands, so that the token is in nobody's list of processes.
            let line =
                format!("add-generic-password -U -s {SERVICE} -a \"{server}\" -w \"{token}\"\n");
            run("security", &["-i"], Some(&line))
        }
        false => {
            let label = format!("--label=Confman at {server}");
            let words = ["store", &label, "service", SERVICE, "server", server];
            run("secret-tool", &words, Some(token))
        }
    };
    kept.is_some() && find(server).as_deref() == Some(token)
}

/// The token of a server.
pub(crate) fn token(server: &str) -> Result<String, CliError> {
    find(server).ok_or_else(|| {
        CliError::new(
            Exit::NotAllowed,
            format!("the keyring gives no token for {server}"),
        )
        .because("it is locked, away, or the token was removed")
        .next("unlock it, or `confman login` again")
    })
}

/// Forgets the token of a server.
pub(crate) fn forget(server: &str) {
    // What is not there need not be forgotten.
    let _ = match cfg!(target_os = "macos") {
        true => run(
            "security",
            &["delete-generic-password", "-s", SERVICE, "-a", server],
            None,
        ),
        false => run(
            "secret-tool",
            &["clear", "service", SERVICE, "server", server],
            None,
        ),
    };
}

fn find(server: &str) -> Option<String> {
    let found = match cfg!(target_os = "macos") {
        true => run(
            "security",
            &["find-generic-password", "-s", SERVICE, "-a", server, "-w"],
            None,
        ),
        false => run(
            "secret-tool",
            &["lookup", "service", SERVICE, "server", server],
            None,
        ),
    };
    let token = found?.trim().to_owned();
    (!token.is_empty()).then_some(token)
}

/// What a program says; nothing where it cannot be started, fails, or takes too long.
fn run(program: &str, arguments: &[&str], input: Option<&str>) -> Option<String> {
    let mut child = Command::new(program)
        .args(arguments)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .spawn()
        .ok()?;
    let said = answer(&mut child, input.unwrap_or_default(), KEYRING_TIME_MAX);
    if said.is_none() {
        // It may have ended meanwhile.
        let _ = child.kill();
    }
    // Whoever has closed what it writes to has no more to do than to end.
    let status = child.wait().ok()?;
    said.filter(|_| status.success())
}

/// All that a program says until it closes its output; nothing where that takes too long.
fn answer(child: &mut Child, input: &str, within: Duration) -> Option<String> {
    let mut stdin = child.stdin.take()?;
    let stdout = child.stdout.take()?;
    let (say, said) = mpsc::channel();
    std::thread::spawn(move || {
        let mut text = String::new();
        let read = stdout.take(ANSWER_BYTES_MAX).read_to_string(&mut text);
        // Whoever waited may have given up.
        let _ = say.send(read.ok().map(|_| text));
    });
    // A token fits into a pipe. A program that does not read it may answer all the same.
    let _ = stdin.write_all(input.as_bytes());
    drop(stdin);
    said.recv_timeout(within).ok().flatten()
}

#[cfg(test)]
#[cfg(unix)]
mod tests {
    use super::*;

    fn said(script: &str) -> Option<String> {
        let mut child = Command::new("sh")
            .args(["-c", script])
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let said = answer(&mut child, "in\n", Duration::from_millis(500));
        let _ = child.kill();
        child.wait().unwrap();
        said
    }

    #[test]
    fn a_program_that_does_not_answer_in_time_is_as_none() {
        assert_eq!(said("cat").as_deref(), Some("in\n"));
        assert_eq!(said("exec sleep 60"), None);
        assert_eq!(said("echo token; exec sleep 60"), None);
        assert_eq!(
            said("echo token; exec >&-; exec sleep 60").as_deref(),
            Some("token\n")
        );
    }
}
