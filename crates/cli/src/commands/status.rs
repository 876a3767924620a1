use std::path::PathBuf;

use confman_client::working_copy::{KeyState, NamespaceStatus, Status};
use serde::Serialize;

use crate::context::Context;
use crate::error::CliError;
use crate::report::Report;
use crate::text::{Role, Text, short};
use crate::working_directory::need;

/// Show what is changed in a working copy
///
/// Examples:
///   confman status
///   confman status --json
///
/// Compares the files with what they came from; asks no server. `confman diff` shows how
/// they differ, `confman restore` undoes changes, `confman push` sends them.
#[derive(Debug, clap::Args)]
#[command(verbatim_doc_comment)]
pub(crate) struct Args {}

/// What `--json` prints.
#[derive(Serialize)]
struct Shown {
    server: String,
    draft: String,
    namespaces: Vec<ShownNamespace>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    rescued: Vec<PathBuf>,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct ShownNamespace {
    namespace: String,
    directory: PathBuf,
    base: Option<String>,
    on_draft: bool,
    published: Option<String>,
    changes: Vec<ShownChange>,
    unused: Vec<PathBuf>,
    document_edited: bool,
}

/// A key that differs.
#[derive(Serialize)]
pub(super) struct ShownChange {
    key: String,
    state: &'static str,
}

impl ShownChange {
    pub(super) fn of((key, state): &(confman_model::Key, KeyState)) -> Self {
        let state = match state {
            KeyState::Added => "added",
            KeyState::Removed => "removed",
            KeyState::Changed => "changed",
            KeyState::Conflict => "conflict",
        };
        Self {
            key: key.to_string(),
            state,
        }
    }

    /// `  M limits/daily`.
    pub(super) fn line(&self) -> Text {
        let (role, letter) = match self.state {
            "added" => (Role::Added, "A"),
            "removed" => (Role::Removed, "D"),
            "conflict" => (Role::Error, "C"),
            _ => (Role::Warning, "M"),
        };
        let mut text = Text::new();
        text.plain("  ")
            .push(role, letter)
            .plain(" ")
            .plain(&self.key)
            .end_line();
        text
    }
}

impl Args {
    pub(crate) fn run(self, cx: &Context) -> Result<Report, CliError> {
        let here = need()?;
        let status = here.copy.status()?;
        for namespace in &status.namespaces {
            if let Some(remark) = &namespace.remark {
                cx.ui.warn(&remark.to_string());
            }
        }
        let shown = shown(here.copy.server_url(), here.copy.draft().as_str(), status);
        Ok(Report::one(shown, render))
    }
}

fn shown(server: &str, draft: &str, status: Status) -> Shown {
    Shown {
        server: server.to_owned(),
        draft: draft.to_owned(),
        namespaces: status.namespaces.iter().map(shown_namespace).collect(),
        rescued: status.rescued,
    }
}

fn shown_namespace(status: &NamespaceStatus) -> ShownNamespace {
    ShownNamespace {
        namespace: status.placed.namespace.to_string(),
        directory: status.placed.directory.clone(),
        base: status.placed.base.as_ref().map(ToString::to_string),
        on_draft: status.placed.on_draft,
        published: status.placed.published.as_ref().map(ToString::to_string),
        changes: status.changes.iter().map(ShownChange::of).collect(),
        unused: status.unused.clone(),
        document_edited: status.document_edited,
    }
}

fn render(shown: &Shown) -> Text {
    let mut text = Text::new();
    let mut clean = true;
    let mut conflicts = false;
    for namespace in &shown.namespaces {
        text.push(Role::Heading, &namespace.namespace);
        match (&namespace.base, namespace.on_draft) {
            (None, _) => text.faint("  nothing was published yet"),
            (Some(base), true) => text
                .faint(&format!("  on draft/{} at ", shown.draft))
                .push(Role::Id, short(base)),
            (Some(base), false) => text.faint("  on published at ").push(Role::Id, short(base)),
        };
        text.end_line();
        for change in &namespace.changes {
            clean = false;
            conflicts |= change.state == "conflict";
            text.append(change.line());
        }
        for file in &namespace.unused {
            text.plain("  ")
                .faint(&format!("? {} is used by no entry", file.display()))
                .end_line();
        }
        if namespace.document_edited {
            text.plain("  ")
                .faint("namespace.json was edited, which changes nothing")
                .end_line();
        }
    }
    for file in &shown.rescued {
        text.push(
            Role::Warning,
            &format!("set aside by an interrupted command: {}", file.display()),
        )
        .end_line();
    }
    text.faint(match (clean, conflicts) {
        (true, _) => "nothing is changed",
        (false, true) => "edit the conflicts in entries.json, then `confman push`",
        (false, false) => "`confman diff` shows how, `confman push -m WHY` sends it to the draft",
    });
    text.end_line();
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    fn namespace(base: Option<&str>, changes: &[(&str, KeyState)]) -> ShownNamespace {
        ShownNamespace {
            namespace: "/teams/payments".to_owned(),
            directory: PathBuf::new(),
            base: base.map(|byte| byte.repeat(32)),
            on_draft: false,
            published: None,
            changes: changes
                .iter()
                .map(|(key, state)| ShownChange::of(&(key.parse().unwrap(), *state)))
                .collect(),
            unused: vec![PathBuf::from("files/old.txt")],
            document_edited: true,
        }
    }

    fn status(namespaces: Vec<ShownNamespace>) -> String {
        let shown = Shown {
            server: "http://127.0.0.1:7420".to_owned(),
            draft: "alice".to_owned(),
            namespaces,
            rescued: Vec::new(),
        };
        render(&shown).to_plain()
    }

    #[test]
    fn every_change_has_its_letter() {
        let changes = [
            ("a", KeyState::Added),
            ("b/c", KeyState::Changed),
            ("d", KeyState::Removed),
            ("e", KeyState::Conflict),
        ];
        insta::assert_snapshot!(status(vec![namespace(Some("ab"), &changes)]), @"
        /teams/payments  on published at abababababab
          A a
          M b/c
          D d
          C e
          ? files/old.txt is used by no entry
          namespace.json was edited, which changes nothing
        edit the conflicts in entries.json, then `confman push`
        ");
    }

    #[test]
    fn a_clean_copy_says_so() {
        let clean = ShownNamespace {
            unused: Vec::new(),
            document_edited: false,
            ..namespace(None, &[])
        };
        insta::assert_snapshot!(status(vec![clean]), @"
        /teams/payments  nothing was published yet
        nothing is changed
        ");
    }
}
