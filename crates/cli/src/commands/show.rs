use confman_api::commit::{Commit, EntryChange};
use confman_client::WorkingCopyError;
use confman_client::client::CompareQuery;
use confman_model::{EntryDiff, Key, Namespace, Revision};
use serde::Serialize;

use crate::comparison;
use crate::context::Context;
use crate::error::CliError;
use crate::local_commit;
use crate::place::Place;
use crate::render;
use crate::render::diff::{Detail, Secrets, View};
use crate::report::Report;
use crate::working_directory::{find, namespace_or_here};

/// Show a commit and what it changed, or everything about an entry
///
/// Examples:
///   confman show /teams/payments                 # what was published last
///   confman show /teams/payments@published~1 --stat
///   confman show /teams/payments:limits          # an entry: published and drafted value, tags
///   confman show @0123456789ab                   # in a working copy
///
/// Changes nothing.
#[derive(Debug, clap::Args)]
#[command(verbatim_doc_comment)]
pub(crate) struct Args {
    /// NAMESPACE[@REV][:KEY]; in a working copy, @REV or :KEY of its own
    #[arg(value_name = "ADDRESS")]
    pub(crate) place: Option<Place>,

    /// How much changed per key, and in all
    #[arg(long, conflicts_with = "name_only")]
    stat: bool,

    /// The changed keys alone
    #[arg(long)]
    name_only: bool,

    /// Show values that look like secrets by their names, instead of masking them
    #[arg(long)]
    reveal: bool,
}

/// What `--json` prints of a commit.
#[derive(Serialize)]
struct Shown {
    commit: Commit,
    changes: Vec<EntryChange>,
}

impl Args {
    pub(crate) fn run(self, cx: &Context) -> Result<Report, CliError> {
        let place = self.place.clone().unwrap_or_default();
        if let Some(key) = &place.key {
            return entry(cx, &place, key);
        }
        let detail = match (self.stat, self.name_only) {
            (true, _) => Detail::Stat,
            (_, true) => Detail::NameOnly,
            _ => Detail::Semantic,
        };
        let view = View {
            detail,
            secrets: Secrets::revealed(self.reveal),
        };
        if place.namespace.is_none()
            && let Some(here) = find()?
        {
            let revision = place.revision.clone().unwrap_or_default();
            match here.copy.show(&here.namespace, &revision) {
                Ok((logged, diffs)) => {
                    let changes = diffs
                        .iter()
                        .map(comparison::change_of)
                        .collect::<Result<_, _>>()?;
                    return Ok(report(
                        local_commit::document(&logged),
                        changes,
                        diffs,
                        view,
                    ));
                }
                // What the mirror lacks the server may have.
                Err(WorkingCopyError::NotFetched { .. }) => {}
                Err(error) => return Err(error.into()),
            }
        }
        let namespace = namespace_or_here(place.namespace.as_ref())?;
        remote(cx, &namespace, &place.revision.unwrap_or_default(), view)
    }
}

/// Everything about an entry.
fn entry(cx: &Context, place: &Place, key: &Key) -> Result<Report, CliError> {
    let namespace = namespace_or_here(place.namespace.as_ref())?;
    let draft = match &place.revision {
        None => None,
        Some(Revision::Draft(draft)) => Some(draft),
        Some(_) => {
            return Err(
                CliError::usage("an entry is shown as it is now").next(format!(
                    "`confman get {namespace}:{key} --at REV` prints an old value"
                )),
            );
        }
    };
    let connection = cx.connect()?;
    let entry = connection.wait(connection.client.entry(&namespace, key, draft))?;
    Ok(Report::one(entry, render::entry::whole))
}

fn remote(
    cx: &Context,
    namespace: &Namespace,
    revision: &Revision,
    view: View,
) -> Result<Report, CliError> {
    let connection = cx.connect()?;
    let commit = connection.wait(connection.client.commit(namespace, revision))?;
    let (changes, diffs) = match commit.parents.first() {
        Some(parent) => {
            let query = CompareQuery {
                from: Revision::Commit(parent.clone()),
                to: Revision::Commit(commit.id.clone()),
                from_namespace: None,
            };
            let compared = connection.wait(connection.client.compare(namespace, &query))?;
            let diffs = comparison::diffs(&compared)?;
            (compared.changes, diffs)
        }
        None => first_entries(&connection, namespace, &commit)?,
    };
    Ok(report(commit, changes, diffs, view))
}

/// What the first commit of a namespace added: all that is in it.
fn first_entries(
    connection: &crate::context::Connection,
    namespace: &Namespace,
    commit: &Commit,
) -> Result<(Vec<EntryChange>, Vec<EntryDiff>), CliError> {
    let query = confman_client::client::EntriesQuery {
        revision: Some(Revision::Commit(commit.id.clone())),
        ..confman_client::client::EntriesQuery::default()
    };
    let entries = crate::context::pages(None, |cursor: Option<&str>| {
        let page = connection.wait(connection.client.entries(namespace, &query, cursor))?;
        Ok((page.items, page.next))
    });
    let mut diffs = Vec::new();
    for entry in entries {
        let entry = entry?;
        let key: Key = entry
            .key
            .parse()
            .map_err(|_| CliError::bug(format!("the server sent key `{}`", entry.key)))?;
        diffs.extend(EntryDiff::between(
            &key,
            None,
            Some(&comparison::entry_of(&entry)?),
        ));
    }
    let changes = diffs
        .iter()
        .map(comparison::change_of)
        .collect::<Result<_, _>>()?;
    Ok((changes, diffs))
}

fn report(commit: Commit, changes: Vec<EntryChange>, diffs: Vec<EntryDiff>, view: View) -> Report {
    Report::one(Shown { commit, changes }, move |shown| {
        let mut text = render::commit::whole(&shown.commit);
        text.append(render::diff::diffs(&diffs, view));
        text
    })
    .paged()
}
