use confman_api::commit::{PublishWrite, Published};
use confman_client::Person;
use confman_client::working_copy::{PushOptions, PushedAll};
use serde::Serialize;

use super::status::ShownChange;
use crate::context::Context;
use crate::error::CliError;
use crate::local_commit;
use crate::render;
use crate::report::Report;
use crate::text::{Role, Text, short};
use crate::working_directory::need;

/// Send the changes in a working copy to its draft
///
/// Examples:
///   confman push -m "raise the limit"
///   confman push -m "raise the limit" --publish
///
/// Sends all changed namespaces of the working copy together or not at all. Services go
/// on reading what is published until `confman publish`; --publish does that too. If the
/// draft moved since your last pull, it is refused with exit code 5: pull first.
///
/// Undo: `confman draft delete`; after publishing, `confman rollback`.
#[derive(Debug, clap::Args)]
#[command(verbatim_doc_comment)]
pub(crate) struct Args {
    /// Why, for whoever reads the history
    #[arg(long, short)]
    message: String,

    /// Publish the draft of each namespace afterwards
    #[arg(long)]
    publish: bool,

    /// Publish though a key that is set or changed is deprecated
    #[arg(long, requires = "publish")]
    acknowledge_deprecated: bool,
}

/// What `--json` prints.
#[derive(Serialize)]
struct Shown {
    namespaces: Vec<ShownNamespace>,
    #[serde(skip_serializing_if = "Option::is_none")]
    operation: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    index: Option<u64>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    published: Vec<Published>,
}

#[derive(Serialize)]
struct ShownNamespace {
    namespace: String,
    draft: String,
    commit: String,
    tree: String,
    changes: Vec<ShownChange>,
}

impl Args {
    pub(crate) fn run(self, cx: &Context) -> Result<Report, CliError> {
        let mut here = need()?;
        here.say_remarks(cx);
        let connection = cx.connect()?;
        let whoami = connection.wait(connection.client.whoami())?;
        let options = PushOptions {
            message: self.message,
            author: Person {
                principal: whoami.principal,
                name: whoami.name,
                email: String::new(),
            },
            at: local_commit::now(),
            namespaces: Vec::new(),
        };
        let progress = cx.ui.progress("pushing");
        let pushed = connection.wait(here.copy.push(&connection.client, &options));
        drop(progress);
        let pushed = pushed.map_err(|error| here.pointing(error))?;
        if let Some(answer) = &pushed.pushed {
            answer
                .warnings
                .iter()
                .for_each(|warning| cx.ui.warn(warning));
        }
        let mut shown = shown(&pushed);
        if self.publish {
            for namespace in &pushed.namespaces {
                let write = PublishWrite {
                    draft: namespace.draft.to_string(),
                    expected_head: Some(namespace.commit.to_string()),
                    keys: None,
                    message: None,
                    emergency: None,
                    acknowledge_deprecated: self.acknowledge_deprecated,
                };
                let published =
                    connection.wait(connection.client.publish(&namespace.namespace, &write));
                let published = published.map_err(|error| here.pointing(error))?;
                published
                    .warnings
                    .iter()
                    .for_each(|warning| cx.ui.warn(warning));
                shown.published.push(published);
            }
        }
        Ok(Report::one(shown, render))
    }
}

fn shown(pushed: &PushedAll) -> Shown {
    Shown {
        namespaces: pushed
            .namespaces
            .iter()
            .map(|namespace| ShownNamespace {
                namespace: namespace.namespace.to_string(),
                draft: namespace.draft.to_string(),
                commit: namespace.commit.to_string(),
                tree: namespace.tree.to_string(),
                changes: namespace.changes.iter().map(ShownChange::of).collect(),
            })
            .collect(),
        operation: pushed
            .pushed
            .as_ref()
            .map(|answer| answer.operation.clone()),
        index: pushed.pushed.as_ref().map(|answer| answer.index),
        published: Vec::new(),
    }
}

fn render(shown: &Shown) -> Text {
    let mut text = Text::new();
    if shown.namespaces.is_empty() {
        return Text::line("nothing is changed, so nothing was pushed");
    }
    for namespace in &shown.namespaces {
        text.plain(&format!(
            "pushed {}@draft/{}, now ",
            namespace.namespace, namespace.draft
        ));
        text.push(Role::Id, short(&namespace.commit)).end_line();
        for change in &namespace.changes {
            text.append(change.line());
        }
    }
    for published in &shown.published {
        text.append(render::publication::published(published));
    }
    if shown.published.is_empty() {
        text.faint("`confman publish` makes it what services read")
            .end_line();
    }
    text
}
