use confman_client::WorkingCopyError;
use confman_model::{Namespace, Revision};

use super::history::limit_of_page;
use crate::context::{Context, pages};
use crate::error::CliError;
use crate::local_commit;
use crate::place::Place;
use crate::render;
use crate::report::{Report, output};
use crate::working_directory::{find, namespace_or_here};

/// List the commits of a namespace, newest first
///
/// Examples:
///   confman log /teams/payments
///   confman log /teams/payments@draft/raise -n 3
///   confman log --oneline                        # in a working copy: what was fetched
///
/// Follows first parents. In a working copy it shows what was fetched, without a server.
/// `confman show` shows what a commit changed, `confman history` the versions of one key.
#[derive(Debug, clap::Args)]
#[command(verbatim_doc_comment)]
pub(crate) struct Args {
    /// NAMESPACE[@REV]; in a working copy, its own if none is named
    #[arg(value_name = "ADDRESS")]
    pub(crate) place: Option<Place>,

    /// At most so many commits
    #[arg(long, short = 'n', value_name = "N")]
    limit: Option<usize>,

    /// One line for each
    #[arg(long)]
    oneline: bool,
}

impl Args {
    pub(crate) fn run(self, cx: &Context) -> Result<Report, CliError> {
        let place = self.place.clone().unwrap_or_default();
        place.no_key("`confman history NAMESPACE:KEY` lists the versions of one key")?;
        let render = match self.oneline {
            true => render::commit::one_line,
            false => render::commit::full,
        };
        if place.namespace.is_none()
            && let Some(here) = find()?
        {
            match here.copy.log(
                &here.namespace,
                place.revision.as_ref(),
                self.limit.unwrap_or(usize::MAX),
            ) {
                Ok(commits) => {
                    let items = commits
                        .into_iter()
                        .map(move |logged| Ok(output(local_commit::document(&logged), render)));
                    return Ok(Report::stream(items).paged());
                }
                // What the mirror lacks the server may have.
                Err(WorkingCopyError::NotFetched { .. }) => {}
                Err(error) => return Err(error.into()),
            }
        }
        let namespace = namespace_or_here(place.namespace.as_ref())?;
        remote(cx, namespace, place.revision, self.limit, render)
    }
}

fn remote(
    cx: &Context,
    namespace: Namespace,
    revision: Option<Revision>,
    limit: Option<usize>,
    render: fn(&confman_api::commit::Commit) -> crate::text::Text,
) -> Result<Report, CliError> {
    let connection = cx.connect()?;
    let commits = pages(limit, move |cursor: Option<&str>| {
        let limit = limit_of_page(limit);
        let page = connection.wait(connection.client.log(
            &namespace,
            revision.as_ref(),
            limit,
            cursor,
        ))?;
        Ok((page.items, page.next))
    });
    Ok(Report::stream(commits.map(move |commit| Ok(output(commit?, render)))).paged())
}
