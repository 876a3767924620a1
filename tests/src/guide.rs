//! Guides whose sessions are run as they are written.
//!
//! In a block that begins with ```` ```console ````, a line `NAME$ COMMAND` is run by NAME, with what is in
//! `NAME.token` as their token, and `$ COMMAND` by the administrator; lines that begin with `> ` go on with it.
//! Everybody stays in the directory that their last command left them in. The server that a guide starts
//! with `confman serve` is there already. The lines up to the next prompt
//! are what it says, stdout and stderr together, exactly, but for `…`, which stands for anything in a line
//! or, alone, for any lines. A command without such lines may say what it likes. `# exit N` at the end of
//! a command is the exit code it must have, otherwise 0; `# until it says so` runs it again until it says
//! what is written. `<!-- stop the server -->` and `<!-- restart the server -->` between blocks do just that.

use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use tempfile::TempDir;

use crate::server::Server;

/// How long a command may be run again until it says what is written.
const UNTIL_TIME_MAX: Duration = Duration::from_secs(60);
/// The line between blocks that starts the server again.
const RESTART: &str = "<!-- restart the server -->";
/// The line between blocks that ends the server.
const STOP: &str = "<!-- stop the server -->";
/// Who types where no name is written.
const ADMIN: &str = "admin";
/// What a command begins with that starts the server.
const SERVE: &str = "confman serve";
/// What stands for anything.
const ANYTHING: &str = "…";

/// What a guide has its reader do.
#[derive(Debug)]
enum Step {
    Stop,
    Restart,
    Run {
        line: usize,
        who: String,
        command: String,
        exit: i32,
        until: bool,
        says: Vec<String>,
    },
}

/// A server, the people of a guide, and the directory that they share.
#[derive(Debug)]
pub struct Guide {
    steps: Vec<Step>,
    directory: TempDir,
    server: Server,
}

impl Guide {
    /// Reads a guide and starts a server for it, whose administrator is `admin`.
    ///
    /// # Panics
    /// The guide cannot be read, or the server does not start.
    #[must_use]
    #[expect(clippy::expect_used, reason = "a test cannot go on without it")]
    pub fn open(path: &Path) -> Self {
        let text = std::fs::read_to_string(path).expect("the guide is there");
        let directory = TempDir::new().expect("a temporary directory");
        let server = Server::start_on(&directory.path().join("data"));
        std::fs::write(directory.path().join("admin.token"), server.admin_token())
            .expect("the token is written");
        Self {
            steps: steps(&text),
            directory,
            server,
        }
    }

    /// Does what the guide says, and gives how many commands it ran.
    ///
    /// # Panics
    /// Something came out otherwise than it is written.
    #[expect(clippy::must_use_candidate, reason = "often only the effect is wanted")]
    pub fn run(mut self) -> usize {
        let mut ran = 0;
        for step in std::mem::take(&mut self.steps) {
            match step {
                Step::Stop => self.server.kill(),
                Step::Restart => {
                    let data = self.server.data().to_owned();
                    self.server.kill();
                    self.server = Server::start_on(&data);
                }
                Step::Run {
                    line,
                    who,
                    command,
                    exit,
                    until,
                    says,
                } => {
                    ran += 1;
                    let deadline = Instant::now() + UNTIL_TIME_MAX;
                    loop {
                        let (code, said) = self.say(&who, &command);
                        let as_written = code == exit && matches(&says, &said);
                        if as_written {
                            break;
                        }
                        let again = until && Instant::now() < deadline;
                        assert!(
                            again,
                            "line {line}: {who}$ {command}\nended with {code}, not {exit}, and said\n{}\nnot\n{}",
                            said.join("\n"),
                            says.join("\n")
                        );
                    }
                }
            }
        }
        ran
    }

    #[expect(clippy::expect_used, reason = "a test cannot go on without it")]
    fn say(&self, who: &str, command: &str) -> (i32, Vec<String>) {
        let directory = self.directory.path();
        let home = directory.join(format!(".home-{who}"));
        std::fs::create_dir_all(&home).expect("a home is made");
        let program = crate::confman_bin();
        let mut path = program
            .parent()
            .map(PathBuf::from)
            .into_iter()
            .collect::<Vec<_>>();
        path.extend(std::env::split_paths(
            &std::env::var_os("PATH").unwrap_or_default(),
        ));
        let place = home.join("place");
        let left = std::fs::read_to_string(&place).unwrap_or_default();
        let script = format!("{{ {command}\n}} 2>&1\ncode=$?\npwd > \"$HOME/place\"\nexit $code");
        let output = Command::new("bash")
            .args(["-c", &script])
            .current_dir(match left.trim_end() {
                "" => directory,
                left => Path::new(left),
            })
            .env_clear()
            .env("PATH", std::env::join_paths(path).expect("a path"))
            .env("HOME", &home)
            .env("XDG_CONFIG_HOME", home.join(".config"))
            .env("CONFMAN_SERVER", self.server.url())
            .env("CONFMAN_TOKEN_FILE", directory.join(format!("{who}.token")))
            .env("TZ", "UTC")
            .stdin(Stdio::null())
            .output()
            .expect("bash can be started");
        let said = String::from_utf8_lossy(&output.stdout);
        let said = said
            .lines()
            .map(|line| line.trim_end().to_owned())
            .collect();
        (output.status.code().unwrap_or(-1), said)
    }
}

/// What a guide has its reader do, in order.
fn steps(text: &str) -> Vec<Step> {
    let mut steps = Vec::new();
    let mut in_session = false;
    for (at, line) in text.lines().enumerate() {
        if line.starts_with("```") {
            in_session = line == "```console";
        } else if line == STOP {
            steps.push(Step::Stop);
        } else if line == RESTART {
            steps.push(Step::Restart);
        } else if in_session {
            match (prompt(line), line.strip_prefix("> "), steps.last_mut()) {
                (Some((_, command)), _, _) if command.starts_with(SERVE) => {}
                (Some((who, command)), _, _) => steps.push(step(at + 1, who, command)),
                (None, Some(more), Some(Step::Run { command, says, .. })) if says.is_empty() => {
                    command.push('\n');
                    command.push_str(more);
                }
                (None, _, Some(Step::Run { says, .. })) => says.push(line.trim_end().to_owned()),
                (None, _, _) => {}
            }
        }
    }
    steps
}

fn prompt(line: &str) -> Option<(&str, &str)> {
    if let Some(command) = line.strip_prefix("$ ") {
        return Some((ADMIN, command));
    }
    let (who, command) = line.split_once("$ ")?;
    let is_name = !who.is_empty() && who.bytes().all(|byte| byte.is_ascii_lowercase());
    is_name.then_some((who, command))
}

fn step(line: usize, who: &str, command: &str) -> Step {
    let (bare, note) = command.rsplit_once("  # ").unwrap_or((command, ""));
    let exit = note
        .strip_prefix("exit ")
        .and_then(|code| code.parse().ok());
    let until = note == "until it says so";
    let command = if exit.is_some() || until {
        bare
    } else {
        command
    };
    Step::Run {
        line,
        who: who.to_owned(),
        command: command.trim_end().to_owned(),
        exit: exit.unwrap_or(0),
        until,
        says: Vec::new(),
    }
}

/// Whether lines are as they are written.
fn matches(written: &[String], said: &[String]) -> bool {
    if written.is_empty() {
        return true;
    }
    match (written.split_first(), said.split_first()) {
        (None, None) => true,
        (Some((first, rest)), _) if first == ANYTHING => {
            rest.is_empty()
                || (0..=said.len())
                    .any(|from| said.get(from..).is_some_and(|said| matches(rest, said)))
        }
        (Some((first, rest)), Some((line, after))) => {
            line_matches(first, line)
                && if rest.is_empty() {
                    after.is_empty()
                } else {
                    matches(rest, after)
                }
        }
        _ => false,
    }
}

fn line_matches(written: &str, said: &str) -> bool {
    let mut parts = written.split(ANYTHING);
    let first = parts.next().unwrap_or_default();
    let Some(mut rest) = said.strip_prefix(first) else {
        return false;
    };
    let parts: Vec<&str> = parts.collect();
    let Some((last, middle)) = parts.split_last() else {
        return rest.is_empty();
    };
    for part in middle {
        match rest.split_once(part) {
            Some((_, after)) => rest = after,
            None => return false,
        }
    }
    rest.ends_with(last)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn lines(text: &str) -> Vec<String> {
        text.lines().map(str::to_owned).collect()
    }

    #[test]
    fn what_is_said_is_held_against_what_is_written() {
        for (written, said, as_written) in [
            ("", "whatever", true),
            ("a\nb", "a\nb", true),
            ("a\nb", "a", false),
            ("a", "a\nb", false),
            ("a\n…", "a\nb\nc", true),
            ("…\nc", "a\nb\nc", true),
            ("…\nd", "a\nb\nc", false),
            ("at … by …", "at noon by ann", true),
            ("at … by bob", "at noon by ann", false),
            ("a…", "b", false),
        ] {
            assert_eq!(
                matches(&lines(written), &lines(said)),
                as_written,
                "{written:?} {said:?}"
            );
        }
    }

    #[test]
    fn a_guide_is_read_as_steps() {
        let text = "text\n```console\nann$ cat > f <<END\n> x\n> END\nbob$ false  # exit 1\nsaid\n```\n<!-- restart the server -->\n```sh\nann$ no\n```\n";
        let steps = steps(text);
        assert_eq!(steps.len(), 3);
        let Step::Run { command, says, .. } = &steps[0] else {
            panic!()
        };
        assert_eq!((command.as_str(), says.len()), ("cat > f <<END\nx\nEND", 0));
        let Step::Run {
            command,
            exit,
            says,
            ..
        } = &steps[1]
        else {
            panic!()
        };
        assert_eq!((command.as_str(), *exit, says.len()), ("false", 1, 1));
    }
}
