use std::collections::BTreeMap;
use std::path::PathBuf;
use std::process::Command;

use confman_client::reading::file::replace_shared;
use confman_client::reading::{Document, Event, Source, Watcher};
use confman_model::{Format, Key, Value};
use serde::Serialize;

use crate::context::{Context, Waiting};
use crate::error::{CliError, chain};
use crate::exit::Exit;
use crate::place::{Place, name};
use crate::reading::{ReadArgs, SelectArgs, one_key, tell};
use crate::report::Report;
use crate::text::{Role, Text};
use crate::working_directory::namespace_or_here;

/// Follow what a service reads: print changes, keep a file current, run a command
///
/// Examples:
///   confman watch /teams/payments
///   confman watch /teams/payments --to /etc/app/config.yaml --format yaml --exec 'systemctl reload app'
///   confman watch /teams/payments:limits --to limits.json
///   confman watch /teams/payments --once --json
///
/// Prints a line for each change, with the keys that were added, changed and removed. With
/// --to a file is written now and at each change, as a whole; references to secrets stay
/// references. With --exec a command is run after each change, and after a file that was
/// out of date was written at the start; it is split into words, no shell is involved, and
/// it finds CONFMAN_NAMESPACE, CONFMAN_BASIS and CONFMAN_INDEX in its environment.
///
/// Where no server answers, what was kept of the last answer is used, with a warning, and
/// the server is asked again at growing, random intervals. Changes nothing at the server.
#[derive(Debug, clap::Args)]
#[command(verbatim_doc_comment)]
pub(crate) struct Args {
    /// NAMESPACE[:KEY]; in a working copy, its own if none is named
    #[arg(value_name = "ADDRESS")]
    pub(crate) place: Option<Place>,

    /// Run a command after each change
    #[arg(long, value_name = "CMD", value_parser = words)]
    exec: Option<Words>,

    /// Keep a file current
    #[arg(long, value_name = "FILE")]
    to: Option<PathBuf>,

    /// How to write the file; a single key is written in its author's bytes if this is left out
    #[arg(long, short, value_name = "FORMAT", value_parser = name::<Format>, requires = "to")]
    format: Option<Format>,

    /// End after the first change
    #[arg(long)]
    once: bool,

    #[command(flatten)]
    select: SelectArgs,

    #[command(flatten)]
    read: ReadArgs,
}

/// A command taken apart as a shell would; at least one word.
#[derive(Debug, Clone)]
struct Words(Vec<String>);

fn words(text: &str) -> Result<Words, String> {
    match shlex::split(text) {
        Some(words) if !words.is_empty() => Ok(Words(words)),
        Some(_) => Err("it is empty".to_owned()),
        None => Err("a quote is not closed".to_owned()),
    }
}

/// What a change is, for programs.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Changed {
    namespace: String,
    basis: String,
    index: u64,
    /// Whether no server stands behind it.
    kept: bool,
    added: Vec<String>,
    changed: Vec<String>,
    removed: Vec<String>,
}

impl Args {
    pub(crate) fn run(self, cx: &Context) -> Result<Report, CliError> {
        let place = self.place.clone().unwrap_or_default();
        place.no_revision("only what is published now can change")?;
        let namespace = namespace_or_here(place.namespace.as_ref())?;
        let reader = self.read.reader(cx, &namespace)?;
        let mut watcher = Watcher::new(reader);
        let waiting = Waiting::new()?;
        let first = waiting.wait(watcher.first())?;
        tell(cx, &first);
        let mut known = self.chosen(&place, &first.document)?;
        if self.write(&place, &known)? {
            self.execute(cx, &first.document)?;
        }
        loop {
            let event = waiting.wait(async { Ok::<_, CliError>(watcher.next().await) })?;
            let reading = match event {
                Event::Away(error) => {
                    cx.ui
                        .warn(&format!("nothing new can be seen: {}", chain(&error)));
                    continue;
                }
                Event::Back => {
                    cx.ui.note("the server answers again; nothing changed");
                    continue;
                }
                Event::Document(reading) => reading,
            };
            tell(cx, &reading);
            let now = match self.chosen(&place, &reading.document) {
                Ok(now) => now,
                // The key that is followed may come back.
                Err(error) if place.key.is_some() => {
                    cx.ui.warn(&error.what);
                    Vec::new()
                }
                Err(error) => return Err(error),
            };
            let change = change(
                &reading.document,
                matches!(reading.source, Source::Kept { .. }),
                &known,
                &now,
            );
            known = now;
            if change.is_nothing() {
                continue;
            }
            cx.ui.print(Report::one(change, render))?;
            if !known.is_empty() || place.key.is_none() {
                self.write(&place, &known)?;
            }
            let done = self.execute(cx, &reading.document)?;
            if self.once {
                return Ok(Report::nothing().exiting(done));
            }
        }
    }

    /// The keys and values that are followed.
    fn chosen(&self, place: &Place, document: &Document) -> Result<Vec<(Key, Value)>, CliError> {
        match &place.key {
            Some(key) => one_key(document, key),
            None => Ok(self.select.selection().of(document.values())),
        }
    }

    /// Writes the file, and says whether it was not what it is now.
    fn write(&self, place: &Place, values: &[(Key, Value)]) -> Result<bool, CliError> {
        let Some(path) = &self.to else {
            return Ok(false);
        };
        let content = match (&place.key, self.format, values) {
            (Some(_), None, [(_, value)]) => value.bytes().to_vec(),
            _ => self
                .format
                .unwrap_or(Format::Json)
                .write(values)?
                .into_bytes(),
        };
        if std::fs::read(path).is_ok_and(|before| before == content) {
            return Ok(false);
        }
        replace_shared(path, &content)
            .map_err(|error| CliError::io(format!("cannot write {}", path.display()), &error))?;
        Ok(true)
    }

    /// Runs the command, and says how `--once` ends.
    fn execute(&self, cx: &Context, document: &Document) -> Result<Exit, CliError> {
        let Some(Words(words)) = &self.exec else {
            return Ok(Exit::Ok);
        };
        let Some((program, arguments)) = words.split_first() else {
            return Ok(Exit::Ok);
        };
        let status = Command::new(program)
            .args(arguments)
            .env("CONFMAN_NAMESPACE", document.namespace().as_str())
            .env("CONFMAN_BASIS", document.basis())
            .env("CONFMAN_INDEX", document.index().to_string())
            .stdin(std::process::Stdio::null())
            .status()
            .map_err(|error| CliError::io(format!("cannot run `{program}`"), &error))?;
        match status.success() {
            true => Ok(Exit::Ok),
            false => {
                cx.ui.warn(&format!("`{program}` failed: {status}"));
                Ok(Exit::Failure)
            }
        }
    }
}

impl Changed {
    fn is_nothing(&self) -> bool {
        self.added.is_empty() && self.changed.is_empty() && self.removed.is_empty()
    }
}

fn change(
    document: &Document,
    kept: bool,
    before: &[(Key, Value)],
    now: &[(Key, Value)],
) -> Changed {
    let old: BTreeMap<&Key, &Value> = before.iter().map(|(key, value)| (key, value)).collect();
    let new: BTreeMap<&Key, &Value> = now.iter().map(|(key, value)| (key, value)).collect();
    let keys = |wanted: &dyn Fn(&Key) -> bool, of: &BTreeMap<&Key, &Value>| {
        let wanted = of.keys().filter(|key| wanted(key));
        wanted.map(ToString::to_string).collect()
    };
    Changed {
        namespace: document.namespace().to_string(),
        basis: document.basis().to_owned(),
        index: document.index(),
        kept,
        added: keys(&|key| !old.contains_key(key), &new),
        changed: keys(
            &|key| {
                old.get(key)
                    .is_some_and(|value| new.get(key) != Some(value))
            },
            &new,
        ),
        removed: keys(&|key| !new.contains_key(key), &old),
    }
}

fn render(change: &Changed) -> Text {
    let mut text = Text::new();
    text.plain(&change.namespace);
    for (role, sign, keys) in [
        (Role::Added, " +", &change.added),
        (Role::Warning, " ~", &change.changed),
        (Role::Removed, " -", &change.removed),
    ] {
        for key in keys {
            text.push(role, &format!("{sign}{key}"));
        }
    }
    text.end_line();
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn commands_are_split_into_words() {
        assert_eq!(words("a 'b c' d").unwrap().0, ["a", "b c", "d"]);
        assert!(words("").is_err());
        assert!(words("'a").is_err());
    }
}
