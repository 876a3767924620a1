use std::time::Instant;

use confman_api::system::Version;
use confman_client::WorkingCopy;
use confman_client::client::{API_VERSION, RawAnswer, RawRequest};
use jiff::Timestamp;
use serde::Serialize;

use crate::context::{Connection, Context};
use crate::error::CliError;
use crate::exit::Exit;
use crate::report::Report;
use crate::settings::Settings;
use crate::text::{Role, Text, count};
use crate::working_directory;

/// How far the clocks of server and client may be apart.
const CLOCK_SECONDS_MAX: i64 = 30;

/// Check that confman can work here, and say what to do where it cannot
///
/// Examples:
///   confman doctor
///   confman doctor --json
///
/// Looks at which server and token are chosen and by what, whether the server answers and
/// is ready, whether its version and clock go with these, whether it knows you, and whether
/// the working copy around you is whole. Changes nothing. Ends with the code that a command
/// would end with that meets the first of the failures.
#[derive(Debug, clap::Args)]
#[command(verbatim_doc_comment)]
pub(crate) struct Args {}

/// How a check ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
enum Outcome {
    Fine,
    Warning,
    Failed,
}

/// One thing that was looked at.
#[derive(Debug, Serialize)]
struct Check {
    name: &'static str,
    outcome: Outcome,
    detail: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    next: Option<String>,
    #[serde(skip)]
    exit: Exit,
}

impl Check {
    fn fine(name: &'static str, detail: impl Into<String>) -> Self {
        Self {
            name,
            outcome: Outcome::Fine,
            detail: detail.into(),
            next: None,
            exit: Exit::Ok,
        }
    }

    fn warning(name: &'static str, detail: impl Into<String>, next: &str) -> Self {
        Self {
            outcome: Outcome::Warning,
            next: Some(next.to_owned()),
            ..Self::fine(name, detail)
        }
    }

    fn failed(name: &'static str, error: CliError) -> Self {
        let detail = match error.why {
            Some(why) => format!("{}: {why}", error.what),
            None => error.what,
        };
        Self {
            outcome: Outcome::Failed,
            next: error.next,
            exit: error.exit,
            ..Self::fine(name, detail)
        }
    }
}

impl Args {
    pub(crate) fn run(self, cx: &Context) -> Result<Report, CliError> {
        let mut checks = Vec::new();
        let server = look_at_server(cx, &mut checks);
        look_at_working_copy(server.as_ref(), &mut checks);
        let exit = checks
            .iter()
            .find(|check| check.outcome == Outcome::Failed)
            .map_or(Exit::Ok, |check| check.exit);
        Ok(Report::one(checks, |checks| render(checks)).exiting(exit))
    }
}

/// Everything about the server; what it says of itself, if it says anything.
fn look_at_server(cx: &Context, checks: &mut Vec<Check>) -> Option<Version> {
    let connection = match cx
        .settings()
        .and_then(|settings| chosen(cx, &settings, checks))
    {
        Ok(connection) => connection,
        Err(error) => {
            checks.push(Check::failed("settings", error));
            return None;
        }
    };
    let begun = Instant::now();
    let answer = match connection.wait(connection.client.raw(&RawRequest {
        method: "GET".to_owned(),
        path: "/version".to_owned(),
        headers: Vec::new(),
        body: None,
    })) {
        Ok(answer) => answer,
        Err(error) => {
            checks.push(Check::failed("server", error));
            return None;
        }
    };
    let ms = begun.elapsed().as_millis();
    let Ok(version) = serde_json::from_slice::<Version>(&answer.body) else {
        let what = format!(
            "what answers is no Confman server (status {})",
            answer.status
        );
        let error = CliError::new(Exit::Unreachable, what);
        checks.push(Check::failed(
            "server",
            error.next("check the URL (`confman config show`)"),
        ));
        return None;
    };
    checks.push(Check::fine("server", format!("answers in {ms} ms")));
    checks.push(readiness(&connection));
    checks.push(versions(&version));
    checks.push(clock(&answer, Timestamp::now()));
    checks.push(identity(&connection));
    checks.extend(storage(&connection));
    Some(version)
}

/// Says what is chosen, and by what.
fn chosen(
    cx: &Context,
    settings: &Settings,
    checks: &mut Vec<Check>,
) -> Result<std::rc::Rc<Connection>, CliError> {
    let server = settings.server()?;
    let by = |from: Option<&str>| from.unwrap_or("nothing").to_owned();
    let connection = cx.connect()?;
    checks.push(Check::fine(
        "settings",
        format!(
            "server {server} by {}, token by {}",
            by(settings.server.as_ref().map(|it| it.from.as_str())),
            by(settings.token.as_ref().map(|it| it.from.as_str())),
        ),
    ));
    Ok(connection)
}

fn readiness(connection: &Connection) -> Check {
    match connection.wait(connection.client.readiness()) {
        Ok(ready) if ready.ready => Check::fine(
            "ready",
            format!("node {} has applied index {}", ready.node, ready.index),
        ),
        Ok(ready) => {
            let why = ready
                .problem
                .unwrap_or_else(|| "it does not say why".to_owned());
            let error = CliError::new(Exit::Unreachable, "the server is not ready").because(why);
            Check::failed("ready", error.next("see the server's log"))
        }
        Err(error) => Check::failed("ready", error),
    }
}

fn versions(server: &Version) -> Check {
    let ours = env!("CARGO_PKG_VERSION");
    if server.api != API_VERSION {
        let what = format!(
            "the server speaks version {} of the HTTP contract, this confman version {API_VERSION}",
            server.api
        );
        let error = CliError::new(Exit::Unreachable, what);
        return Check::failed(
            "version",
            error.next("use a confman of the server's version"),
        );
    }
    let detail = format!("confman {ours}, server {}", server.version);
    match server.version == ours {
        true => Check::fine("version", detail),
        false => Check::warning(
            "version",
            detail,
            "use the same version where something is odd",
        ),
    }
}

/// Compares the time that the answer bears with ours.
fn clock(answer: &RawAnswer, now: Timestamp) -> Check {
    let date = answer
        .header("date")
        .and_then(|date| jiff::fmt::rfc2822::parse(date).ok());
    let Some(date) = date else {
        return Check::fine("clock", "the server does not tell its time");
    };
    let apart = now.as_second() - date.timestamp().as_second();
    let detail = match apart {
        0 => "the same as the server's".to_owned(),
        ahead @ 1.. => format!("{ahead} s ahead of the server's"),
        behind => format!("{} s behind the server's", -behind),
    };
    match apart.abs() <= CLOCK_SECONDS_MAX {
        true => Check::fine("clock", detail),
        false => Check::warning(
            "clock",
            detail,
            "set both by NTP: commits bear the time of whoever makes them",
        ),
    }
}

/// What the nodes have found when they read again what they store; only admins of `/` may know.
fn storage(connection: &Connection) -> Option<Check> {
    const NAME: &str = "storage";
    let cluster = connection.wait(connection.client.cluster()).ok()?;
    let (mut objects, mut repaired, mut damaged) = (0, 0, 0);
    for (_, scrub) in cluster.scrubs() {
        objects += scrub.objects;
        repaired += scrub.repaired;
        damaged += scrub.damaged.len();
    }
    let read = format!("{objects} objects read again since the nodes were started");
    Some(match (damaged, repaired) {
        (0, 0) => Check::fine(NAME, read),
        (0, repaired) => Check::warning(
            NAME,
            format!("{read}, {repaired} of them damaged and repaired from other nodes"),
            "`confman cluster status` says on which node; look at its disk",
        ),
        (_, _) => Check::failed(
            NAME,
            CliError::new(Exit::Invalid, format!("{read}, and {}", count(damaged, "damaged object"))).next(
                "`confman cluster status` names them; `confman cluster heal` repairs a member, a backup restores a node that is alone",
            ),
        ),
    })
}

fn identity(connection: &Connection) -> Check {
    match connection.wait(connection.client.whoami()) {
        Ok(whoami) => Check::fine(
            "identity",
            format!("{}, draft/{}", whoami.principal, whoami.draft),
        ),
        Err(error) => Check::failed("identity", error),
    }
}

fn look_at_working_copy(server: Option<&Version>, checks: &mut Vec<Check>) {
    const NAME: &str = "working copy";
    let here = match working_directory::find() {
        Ok(Some(here)) => here,
        Ok(None) => {
            checks.push(Check::fine(NAME, "this directory is none"));
            return;
        }
        Err(error) => {
            checks.push(Check::failed(NAME, error));
            return;
        }
    };
    match mirror(&here.copy, server) {
        Ok(detail) => checks.push(Check::fine(NAME, detail)),
        Err(error) => checks.push(Check::failed(NAME, error)),
    }
    match here.copy.status() {
        Err(error) => checks.push(Check::failed("files", error.into())),
        Ok(status) => {
            let changes: usize = status
                .namespaces
                .iter()
                .map(|namespace| namespace.changes.len())
                .sum();
            let detail = count(changes, "changed key");
            checks.push(match status.rescued.len() {
                0 => Check::fine("files", detail),
                files => Check::warning(
                    "files",
                    format!("{detail}, and {} set aside", count(files, "file")),
                    "look at what is in .confman/rescued, then remove it",
                ),
            });
        }
    }
}

/// Whether everything that was fetched is whole and from the server that is chosen.
fn mirror(copy: &WorkingCopy, server: Option<&Version>) -> Result<String, CliError> {
    if let Some(server) = server.filter(|server| server.cluster_id != copy.cluster_id()) {
        let what = format!(
            "it was cloned from cluster {}, the chosen server is of {}",
            copy.cluster_id(),
            server.cluster_id
        );
        return Err(CliError::new(Exit::Conflict, what)
            .next("choose its server, or clone again from this one"));
    }
    let entries = copy.verify().map_err(|error| {
        CliError::from(error).next("clone again elsewhere, and copy your changed files there")
    })?;
    Ok(format!(
        "{} of {} read and verified",
        count(entries, "entry"),
        copy.root_namespace()
    ))
}

fn render(checks: &[Check]) -> Text {
    let mut text = Text::new();
    for check in checks {
        match check.outcome {
            Outcome::Fine => text.push(Role::Added, "ok       "),
            Outcome::Warning => text.push(Role::Warning, "warning  "),
            Outcome::Failed => text.push(Role::Error, "failed   "),
        };
        text.push(Role::Heading, &format!("{:<13}", check.name))
            .plain(&check.detail)
            .end_line();
        if let Some(next) = &check.next {
            text.faint("           try: ").plain(next).end_line();
        }
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(date: Option<&str>, now: &str) -> String {
        let headers = date.map(|date| ("date".to_owned(), date.to_owned()));
        let answer = RawAnswer {
            status: 200,
            headers: headers.into_iter().collect(),
            body: Default::default(),
        };
        let check = clock(&answer, now.parse().unwrap());
        format!("{:?}: {}", check.outcome, check.detail)
    }

    #[test]
    fn clocks_that_are_apart_are_named() {
        let date = Some("Wed, 25 Nov 2026 20:53:49 GMT");
        assert_eq!(
            at(date, "2026-11-25T20:53:49Z"),
            "Fine: the same as the server's"
        );
        assert_eq!(
            at(date, "2026-11-25T20:54:19Z"),
            "Fine: 30 s ahead of the server's"
        );
        assert_eq!(
            at(date, "2026-11-25T20:53:10Z"),
            "Warning: 39 s behind the server's"
        );
        assert_eq!(
            at(None, "2026-11-25T20:53:10Z"),
            "Fine: the server does not tell its time"
        );
    }

    #[test]
    fn another_contract_is_a_failure_and_another_version_a_warning() {
        let mut server = Version {
            version: env!("CARGO_PKG_VERSION").to_owned(),
            api: API_VERSION,
            cluster_id: String::new(),
        };
        assert_eq!(versions(&server).outcome, Outcome::Fine);
        server.version = "0.0.0".to_owned();
        assert_eq!(versions(&server).outcome, Outcome::Warning);
        server.api = API_VERSION + 1;
        assert_eq!(versions(&server).exit, Exit::Unreachable);
    }

    #[test]
    fn what_failed_says_what_to_do() {
        let error =
            CliError::new(Exit::NotAllowed, "the token is not known").next("`confman login`");
        let checks = [
            Check::fine("server", "answers in 1 ms"),
            Check::failed("identity", error),
        ];
        insta::assert_snapshot!(render(&checks).to_plain(), @"
        ok       server       answers in 1 ms
        failed   identity     the token is not known
                   try: `confman login`
        ");
    }
}
