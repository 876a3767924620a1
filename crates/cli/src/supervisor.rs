//! A program that runs with its configuration: started, told of changes, ended, never left behind.
//!
//! One task owns the program: whatever happens (it ends, a signal comes, the configuration changed)
//! is answered in turn, so a signal never goes to a process id that is somebody else's by now.
//!
//! On Linux the program is started by way of this one (`confman run-child`), which asks the system to
//! end it when confman is gone, however that went; then it becomes the program.
//!
//! INVARIANT: resolved secrets go into the environment of the program and nowhere else; files are
//! written from what the server stores.

use std::ffi::OsString;
use std::os::unix::process::{CommandExt as _, ExitStatusExt as _};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitCode, ExitStatus};
use std::str::FromStr;
use std::sync::Arc;
use std::time::Duration;

use confman_client::reading::file::replace_shared;
use confman_client::reading::{Document, Event, Reader, Reading, Selection, Source, Watcher};
use confman_client::secret::Secrets;
use confman_model::format::{Environment, EnvironmentPrefix, FormatError};
use confman_model::{Format, Key, Value};
use rustix::process::{Pid, Signal, getppid, kill_process, set_parent_process_death_signal};
use tokio::signal::unix::{SignalKind, signal};
use tokio::sync::mpsc;
use tokio::time::Instant;

use crate::commands::run::FileArg;
use crate::error::{CliError, chain};
use crate::reading::{kept_warning, secrets};
use crate::ui::Ui;

/// Least time between two starts because of changes.
const RESTART_INTERVAL: Duration = Duration::from_secs(1);
/// How long to wait before references that could not be resolved are tried again.
const RESOLVE_AGAIN: Duration = Duration::from_secs(30);
/// First argument of this program where it is to become another.
const CHILD_COMMAND: &str = "run-child";
/// What shells answer where a program cannot be run, and where there is none.
const CODE_CANNOT_RUN: u8 = 126;
const CODE_NO_PROGRAM: u8 = 127;
/// What shells add to the number of the signal that ended a program.
const CODE_SIGNAL: i32 = 128;

/// What happens to the program when its configuration changes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum OnChange {
    /// It is ended and started again.
    Restart,
    /// Nothing.
    Ignore,
    /// It gets a signal.
    Signal(Signal),
}

impl FromStr for OnChange {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let name = text.strip_prefix("SIG").unwrap_or(text);
        Ok(match name {
            "restart" => Self::Restart,
            "ignore" => Self::Ignore,
            "HUP" => Self::Signal(Signal::HUP),
            "INT" => Self::Signal(Signal::INT),
            "QUIT" => Self::Signal(Signal::QUIT),
            "TERM" => Self::Signal(Signal::TERM),
            "USR1" => Self::Signal(Signal::USR1),
            "USR2" => Self::Signal(Signal::USR2),
            "WINCH" => Self::Signal(Signal::WINCH),
            _ => {
                return Err(
                    "it is `restart`, `ignore`, or a signal: HUP, INT, QUIT, TERM, USR1, USR2, WINCH"
                        .to_owned(),
                );
            }
        })
    }
}

/// What to run and how.
#[derive(Debug)]
pub(crate) struct Plan {
    /// The program and its arguments; at least one.
    pub(crate) command: Vec<OsString>,
    /// What stands before names of variables.
    pub(crate) prefix: EnvironmentPrefix,
    /// Whether it gets no other variables.
    pub(crate) pristine: bool,
    /// Files to write beside.
    pub(crate) files: Vec<FileArg>,
    /// Which keys.
    pub(crate) selection: Selection,
    /// What happens when they change.
    pub(crate) on_change: OnChange,
    /// Longest random wait before that.
    pub(crate) splay: Duration,
    /// How long it may take to end.
    pub(crate) stop_timeout: Duration,
}

/// Everything that the program gets from a document.
#[derive(Clone, PartialEq, Eq)]
struct Prepared {
    environment: Environment,
    /// Content by place in the plan.
    files: Vec<String>,
}

/// Why a document cannot be given to the program.
#[derive(Debug)]
struct Unfit {
    error: CliError,
    /// Whether trying again may help.
    passing: bool,
}

/// How documents become what the program gets.
struct Preparation {
    prefix: EnvironmentPrefix,
    formats: Vec<Format>,
    selection: Selection,
    secrets: Secrets,
}

impl Preparation {
    async fn prepare(&self, document: &Document) -> Result<Prepared, Unfit> {
        let lasting = |error: FormatError| Unfit {
            error: error.into(),
            passing: false,
        };
        let values: Vec<(Key, Value)> = self.selection.of(document.values());
        let files = self
            .formats
            .iter()
            .map(|format| format.write(&values))
            .collect::<Result<Vec<_>, _>>()
            .map_err(lasting)?;
        // Names are checked first: no secret is asked for in vain.
        let names = |values: &[(Key, Value)]| {
            Environment::of(values, &self.prefix).map_err(|problems| {
                lasting(FormatError {
                    format: Format::Env,
                    problems,
                })
            })
        };
        names(&values)?;
        let resolved = self
            .secrets
            .resolve_all(&values)
            .await
            .map_err(|error| Unfit {
                error: error.into(),
                passing: true,
            })?;
        Ok(Prepared {
            environment: names(&resolved)?,
            files,
        })
    }
}

/// What the task that follows the server has to say.
enum News {
    /// The program could get this.
    Prepared(Box<Prepared>),
    /// For people.
    Warning(String),
    /// For people.
    Note(String),
}

/// A program that runs with its configuration.
pub(crate) struct Supervisor {
    plan: Plan,
    current: Prepared,
    preparation: Preparation,
    watcher: Watcher,
}

/// What the program is doing.
enum Phase {
    Running,
    /// It was asked to end, to be started again.
    Stopping {
        kill_at: Instant,
    },
    /// Confman was asked to end, and passed that on.
    Ending,
}

impl Supervisor {
    /// Reads the first document and makes of it what the program gets.
    pub(crate) async fn prepare(
        plan: Plan,
        reader: Arc<Reader>,
    ) -> Result<(Self, Reading), CliError> {
        let mut watcher = Watcher::new(reader);
        let reading = watcher.first().await?;
        let preparation = Preparation {
            prefix: plan.prefix.clone(),
            formats: plan.files.iter().map(|file| file.format).collect(),
            selection: plan.selection.clone(),
            secrets: secrets(),
        };
        let current = preparation
            .prepare(&reading.document)
            .await
            .map_err(|unfit| unfit.error)?;
        let supervisor = Self {
            plan,
            current,
            preparation,
            watcher,
        };
        Ok((supervisor, reading))
    }

    /// Runs the program until it ends, and gives its exit code.
    pub(crate) async fn run(self, ui: &Ui) -> Result<i32, CliError> {
        let Self {
            plan,
            mut current,
            preparation,
            watcher,
        } = self;
        let program = program(&plan)?;
        write_files(&plan, &current)?;
        if plan.on_change == OnChange::Ignore {
            // Nothing is left to do here: the program takes the place of confman.
            let mut command = command(&plan, &program, &current, &program);
            let error = command.exec();
            return Ok(cannot_run(ui, &program, &error).into());
        }

        let mut ended = listen(SignalKind::child())?;
        let mut signals = Signals::listen()?;
        let (say, mut news) = mpsc::channel(1);
        let following = tokio::spawn(follow(watcher, preparation, say));
        let mut child = start(&plan, &program, &current)?;
        let mut phase = Phase::Running;
        let mut next: Option<Prepared> = None;
        let mut act_at = Instant::now() + RESTART_INTERVAL;
        let code = loop {
            let kill_at = match phase {
                Phase::Stopping { kill_at } => Some(kill_at),
                Phase::Running | Phase::Ending => None,
            };
            let may_act = next.is_some() && matches!(phase, Phase::Running);
            tokio::select! {
                biased;
                _ = ended.recv() => {
                    let Some(status) = reap(&mut child)? else { continue };
                    match (&phase, next.take()) {
                        (Phase::Stopping { .. }, Some(prepared)) => {
                            write_files(&plan, &prepared)?;
                            current = prepared;
                            child = start(&plan, &program, &current)?;
                            phase = Phase::Running;
                            act_at = Instant::now() + RESTART_INTERVAL;
                        }
                        _ => break code_of(status),
                    }
                }
                received = signals.next() => {
                    if received.ends() {
                        phase = Phase::Ending;
                        next = None;
                    }
                    if received.is_ours_to_pass_on() {
                        send(&child, received.signal);
                    }
                }
                () = until(kill_at) => {
                    ui.warn(&format!("`{}` did not end within {} s and is killed", program.display(), plan.stop_timeout.as_secs()));
                    send(&child, Signal::KILL);
                    phase = Phase::Stopping { kill_at: Instant::now() + plan.stop_timeout };
                }
                () = tokio::time::sleep_until(act_at), if may_act => {
                    match plan.on_change {
                        OnChange::Signal(signal) => {
                            let Some(prepared) = next.take() else { continue };
                            write_files(&plan, &prepared)?;
                            current = prepared;
                            ui.note("the configuration changed; the program is told");
                            send(&child, signal);
                            act_at = Instant::now() + RESTART_INTERVAL;
                        }
                        OnChange::Restart | OnChange::Ignore => {
                            ui.note("the configuration changed; the program is started again");
                            send(&child, Signal::TERM);
                            phase = Phase::Stopping { kill_at: Instant::now() + plan.stop_timeout };
                        }
                    }
                }
                Some(said) = news.recv() => match said {
                    News::Warning(text) => ui.warn(&text),
                    News::Note(text) => ui.note(&text),
                    News::Prepared(_) if matches!(phase, Phase::Ending) => {}
                    News::Prepared(prepared) if *prepared == current => {
                        // It went back before the program was told.
                        if matches!(phase, Phase::Running) {
                            next = None;
                        } else {
                            next = Some(*prepared);
                        }
                    }
                    News::Prepared(prepared) => {
                        if next.is_none() {
                            act_at = act_at.max(Instant::now()) + splay(plan.splay);
                        }
                        next = Some(*prepared);
                    }
                },
            }
        };
        following.abort();
        Ok(code)
    }
}

/// Follows the server, and prepares what it says for the program.
async fn follow(mut watcher: Watcher, preparation: Preparation, say: mpsc::Sender<News>) {
    let mut failing: Option<Arc<Document>> = None;
    loop {
        let event = match &failing {
            None => watcher.next().await,
            Some(document) => {
                let document = Arc::clone(document);
                tokio::select! {
                    event = watcher.next() => event,
                    () = tokio::time::sleep(RESOLVE_AGAIN) => Event::Document(Reading {
                        document,
                        source: Source::Server,
                        mirror_problem: None,
                    }),
                }
            }
        };
        let mut told = Vec::new();
        match event {
            Event::Away(error) => told.push(News::Warning(format!(
                "the program keeps its configuration: {}",
                chain(&error)
            ))),
            Event::Back => told.push(News::Note(
                "the server answers again; the configuration is current".to_owned(),
            )),
            Event::Document(reading) => {
                if let Source::Kept { age, why } = &reading.source {
                    let why = chain(why.as_ref());
                    told.push(News::Warning(kept_warning(&reading.document, *age, &why)));
                }
                if let Some(problem) = &reading.mirror_problem {
                    told.push(News::Warning(chain(problem.as_ref())));
                }
                let was_failing = failing.take().is_some();
                match preparation.prepare(&reading.document).await {
                    Ok(prepared) => told.push(News::Prepared(Box::new(prepared))),
                    Err(unfit) => {
                        if unfit.passing {
                            failing = Some(reading.document);
                        }
                        if !(unfit.passing && was_failing) {
                            told.push(News::Warning(format!(
                                "the program keeps its configuration; the new one does not do: {}",
                                unfit.error.to_text().to_plain().trim_end()
                            )));
                        }
                    }
                }
            }
        }
        for news in told {
            if say.send(news).await.is_err() {
                return;
            }
        }
    }
}

/// A signal that came, and from whom.
struct Received {
    signal: Signal,
}

impl Received {
    /// Whether it asks to end.
    fn ends(&self) -> bool {
        matches!(
            self.signal,
            Signal::TERM | Signal::INT | Signal::QUIT | Signal::HUP
        )
    }

    /// What is typed on a terminal goes to the program by itself.
    fn is_ours_to_pass_on(&self) -> bool {
        use std::io::IsTerminal as _;
        let typed = matches!(self.signal, Signal::INT | Signal::QUIT | Signal::WINCH);
        !(typed && std::io::stdin().is_terminal())
    }
}

/// The signals that are passed on.
struct Signals {
    all: Vec<(Signal, tokio::signal::unix::Signal)>,
}

impl Signals {
    fn listen() -> Result<Self, CliError> {
        let kinds = [
            (Signal::TERM, SignalKind::terminate()),
            (Signal::INT, SignalKind::interrupt()),
            (Signal::QUIT, SignalKind::quit()),
            (Signal::HUP, SignalKind::hangup()),
            (Signal::USR1, SignalKind::user_defined1()),
            (Signal::USR2, SignalKind::user_defined2()),
            (Signal::WINCH, SignalKind::window_change()),
        ];
        let mut all = Vec::new();
        for (number, kind) in kinds {
            all.push((number, listen(kind)?));
        }
        Ok(Self { all })
    }

    async fn next(&mut self) -> Received {
        std::future::poll_fn(|cx| {
            for (number, stream) in &mut self.all {
                if stream.poll_recv(cx).is_ready() {
                    return std::task::Poll::Ready(Received { signal: *number });
                }
            }
            std::task::Poll::Pending
        })
        .await
    }
}

fn listen(kind: SignalKind) -> Result<tokio::signal::unix::Signal, CliError> {
    signal(kind).map_err(|error| CliError::io("cannot listen for signals", &error))
}

async fn until(at: Option<Instant>) {
    match at {
        Some(at) => tokio::time::sleep_until(at).await,
        None => std::future::pending().await,
    }
}

/// A random part of the longest wait.
fn splay(most: Duration) -> Duration {
    // The time of day in nanoseconds is random enough to spread a fleet.
    let nanoseconds = std::time::SystemTime::now()
        .duration_since(std::time::UNIX_EPOCH)
        .map_or(0, |since| {
            since.subsec_nanos() ^ std::process::id().rotate_left(16)
        });
    most.mul_f64(f64::from(nanoseconds % 1024) / 1024.0)
}

/// Passes a signal on to a program that was not reaped yet.
fn send(child: &Child, signal: Signal) {
    // It may have ended already, which is noticed next.
    let _ = kill_process(Pid::from_child(child), signal);
}

fn reap(child: &mut Child) -> Result<Option<ExitStatus>, CliError> {
    child
        .try_wait()
        .map_err(|error| CliError::io("cannot wait for the program", &error))
}

fn code_of(status: ExitStatus) -> i32 {
    status
        .code()
        .or_else(|| status.signal().map(|signal| CODE_SIGNAL + signal))
        .unwrap_or(1)
}

fn write_files(plan: &Plan, prepared: &Prepared) -> Result<(), CliError> {
    for (file, content) in plan.files.iter().zip(&prepared.files) {
        replace_shared(&file.path, content.as_bytes()).map_err(|error| {
            CliError::io(format!("cannot write {}", file.path.display()), &error)
        })?;
    }
    Ok(())
}

/// The program as a path: found now, since it may get another PATH, or none.
fn program(plan: &Plan) -> Result<PathBuf, CliError> {
    let named = plan
        .command
        .first()
        .map(PathBuf::from)
        .ok_or_else(|| CliError::usage("no program is named"))?;
    if named.components().count() > 1 {
        return Ok(named);
    }
    let path = std::env::var_os("PATH").unwrap_or_default();
    let found = std::env::split_paths(&path)
        .map(|directory| directory.join(&named))
        .find(|path| path.is_file());
    Ok(found.unwrap_or(named))
}

/// A command that runs `first` with the program's arguments and environment.
fn command(plan: &Plan, first: &Path, prepared: &Prepared, program: &Path) -> Command {
    let mut command = Command::new(first);
    if first != program {
        command
            .arg(CHILD_COMMAND)
            .arg(std::process::id().to_string())
            .arg(program);
    }
    command.args(plan.command.iter().skip(1));
    if plan.pristine {
        command.env_clear();
    }
    command.envs(prepared.environment.iter());
    command
}

fn start(plan: &Plan, program: &Path, prepared: &Prepared) -> Result<Child, CliError> {
    // By this name it is the running program even where its file was replaced meanwhile.
    let first = match cfg!(target_os = "linux") {
        true => Path::new("/proc/self/exe"),
        false => program,
    };
    command(plan, first, prepared, program)
        .spawn()
        .map_err(|error| CliError::io(format!("cannot run `{}`", program.display()), &error))
}

fn cannot_run(ui: &Ui, program: &Path, error: &std::io::Error) -> u8 {
    let what = format!("cannot run `{}`", program.display());
    ui.error(&CliError::io(what, error));
    match error.kind() {
        std::io::ErrorKind::NotFound => CODE_NO_PROGRAM,
        _ => CODE_CANNOT_RUN,
    }
}

/// Becomes the program, where this process was started for that: `run-child PARENT PROGRAM …`.
/// Answers only where it was not, or where the program cannot be run.
pub(crate) fn become_child(ui: impl FnOnce() -> Ui) -> Option<ExitCode> {
    let mut arguments = std::env::args_os().skip(1);
    if arguments.next()? != CHILD_COMMAND {
        return None;
    }
    let parent: i32 = arguments.next()?.to_str()?.parse().ok()?;
    let program = PathBuf::from(arguments.next()?);
    // Where the system has no such thing, the program runs all the same.
    let _ = set_parent_process_death_signal(Some(Signal::KILL));
    // The parent may have gone before it could be asked for.
    if getppid()
        .map(Pid::as_raw_nonzero)
        .map(std::num::NonZero::get)
        != Some(parent)
    {
        return Some(ExitCode::FAILURE);
    }
    let error = Command::new(&program).args(arguments).exec();
    Some(cannot_run(&ui(), &program, &error).into())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_happens_on_a_change_is_read_with_or_without_sig() {
        assert_eq!("restart".parse(), Ok(OnChange::Restart));
        assert_eq!("HUP".parse(), Ok(OnChange::Signal(Signal::HUP)));
        assert_eq!("SIGUSR1".parse(), Ok(OnChange::Signal(Signal::USR1)));
        assert!("SIGKILL".parse::<OnChange>().is_err());
        assert!("hup".parse::<OnChange>().is_err());
    }

    #[test]
    fn a_splay_is_at_most_what_was_asked_for() {
        assert_eq!(splay(Duration::ZERO), Duration::ZERO);
        assert!(splay(Duration::from_secs(10)) < Duration::from_secs(10));
    }
}
