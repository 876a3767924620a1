use confman_client::working_copy::{Pulled, PulledNamespace};
use serde::Serialize;

use crate::context::Context;
use crate::error::CliError;
use crate::exit::Exit;
use crate::report::Report;
use crate::text::{Role, Text, count, short};
use crate::transfer;
use crate::working_directory::need;

/// Bring what is new on the server into the files
///
/// Examples:
///   confman pull
///
/// Fetches only what is missing and merges it with your edits, key by key and inside JSON
/// path by path. Where both sides changed the same thing, the entry becomes
/// {"conflict": {"base", "ours", "theirs"}} for you to decide; the exit code is 5 then.
/// Nothing that you edited is lost.
#[derive(Debug, clap::Args)]
#[command(verbatim_doc_comment)]
pub(crate) struct Args {}

/// What `--json` prints.
#[derive(Serialize)]
struct Shown {
    namespaces: Vec<ShownNamespace>,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct ShownNamespace {
    namespace: String,
    previous: Option<String>,
    base: Option<String>,
    updated: Vec<String>,
    conflicts: Vec<String>,
    draft_gone: bool,
}

impl Args {
    pub(crate) fn run(self, cx: &Context) -> Result<Report, CliError> {
        let mut here = need()?;
        here.say_remarks(cx);
        let connection = cx.connect()?;
        let progress = cx.ui.progress("pulling");
        let show = |at| transfer::show(&progress, at);
        let pulled = connection.wait(here.copy.pull(&connection.client, &show));
        drop(progress);
        let shown = shown(pulled?);
        let conflicts = shown
            .namespaces
            .iter()
            .any(|namespace| !namespace.conflicts.is_empty());
        let exit = if conflicts { Exit::Conflict } else { Exit::Ok };
        Ok(Report::one(shown, render).exiting(exit))
    }
}

fn shown(pulled: Pulled) -> Shown {
    Shown {
        namespaces: pulled.namespaces.into_iter().map(shown_namespace).collect(),
    }
}

fn shown_namespace(pulled: PulledNamespace) -> ShownNamespace {
    ShownNamespace {
        namespace: pulled.placed.namespace.to_string(),
        previous: pulled.previous.as_ref().map(ToString::to_string),
        base: pulled.placed.base.as_ref().map(ToString::to_string),
        updated: pulled.updated.iter().map(ToString::to_string).collect(),
        conflicts: pulled.conflicts.iter().map(ToString::to_string).collect(),
        draft_gone: pulled.draft_gone,
    }
}

fn render(shown: &Shown) -> Text {
    let mut text = Text::new();
    let mut conflicts = 0;
    for namespace in &shown.namespaces {
        text.push(Role::Heading, &namespace.namespace);
        match (&namespace.previous, &namespace.base) {
            (previous, base) if previous == base => text.faint("  is up to date"),
            (Some(previous), Some(base)) => text
                .plain("  ")
                .push(Role::Id, short(previous))
                .faint(" → ")
                .push(Role::Id, short(base))
                .plain(&format!(
                    ", {} updated",
                    count(namespace.updated.len(), "key")
                )),
            (None, Some(base)) => text.plain("  ").push(Role::Id, short(base)),
            (_, None) => text.faint("  nothing is published"),
        };
        text.end_line();
        if namespace.draft_gone {
            text.plain("  ")
                .faint(
                    "the draft was published or deleted; the files are based on what is published",
                )
                .end_line();
        }
        for key in &namespace.updated {
            text.plain("  ")
                .push(Role::Added, "U")
                .plain(" ")
                .plain(key)
                .end_line();
        }
        for key in &namespace.conflicts {
            text.plain("  ")
                .push(Role::Error, "C")
                .plain(" ")
                .plain(key)
                .end_line();
        }
        conflicts += namespace.conflicts.len();
    }
    if conflicts > 0 {
        let what = format!(
            "{} left; edit entries.json, then `confman push`",
            count(conflicts, "conflict")
        );
        text.push(Role::Warning, &what).end_line();
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn updates_and_conflicts_are_listed() {
        let shown = Shown {
            namespaces: vec![
                ShownNamespace {
                    namespace: "/a".to_owned(),
                    previous: Some("ab".repeat(32)),
                    base: Some("cd".repeat(32)),
                    updated: vec!["x".to_owned()],
                    conflicts: vec!["y".to_owned()],
                    draft_gone: true,
                },
                ShownNamespace {
                    namespace: "/b".to_owned(),
                    previous: None,
                    base: None,
                    updated: Vec::new(),
                    conflicts: Vec::new(),
                    draft_gone: false,
                },
            ],
        };
        insta::assert_snapshot!(render(&shown).to_plain(), @"
        /a  abababababab → cdcdcdcdcdcd, 1 key updated
          the draft was published or deleted; the files are based on what is published
          U x
          C y
        /b  is up to date
        1 conflict left; edit entries.json, then `confman push`
        ");
    }
}
