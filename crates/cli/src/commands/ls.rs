use confman_client::client::EntriesQuery;
use confman_model::Revision;

use crate::context::{Context, pages};
use crate::error::CliError;
use crate::place::Place;
use crate::render;
use crate::report::{Report, output};
use crate::working_directory::namespace_or_here;

/// List the keys of a namespace with their values
///
/// Examples:
///   confman ls /teams/payments
///   confman ls /teams/payments --own --prefix stripe/
///   confman ls /teams/payments --at "2 days ago" --name-only
///   confman ls /teams/payments@draft/raise
///
/// Lists what a service would read: the namespace's own keys and those it inherits, each
/// with where it comes from. With --own, and for drafts, only what the namespace itself
/// has, tombstones (unset keys) among it. Changes nothing.
#[derive(Debug, clap::Args)]
#[command(verbatim_doc_comment)]
pub(crate) struct Args {
    /// NAMESPACE[@REV]; in a working copy, its own if none is named
    #[arg(value_name = "ADDRESS")]
    pub(crate) place: Option<Place>,

    /// As of a revision or a time
    #[arg(long, value_name = "REV", value_parser = crate::place::moment)]
    at: Option<Revision>,

    /// Only what the namespace itself has, not what it inherits
    #[arg(long)]
    own: bool,

    /// Only keys that begin with this
    #[arg(long, value_name = "TEXT")]
    prefix: Option<String>,

    /// The keys alone
    #[arg(long)]
    name_only: bool,
}

impl Args {
    pub(crate) fn run(self, cx: &Context) -> Result<Report, CliError> {
        let place = self.place.clone().unwrap_or_default();
        place.no_key("`confman get` prints one value; --prefix lists several")?;
        let revision = place.revision_at(self.at.clone())?;
        let namespace = namespace_or_here(place.namespace.as_ref())?;
        let connection = cx.connect()?;
        let is_draft = matches!(revision, Some(Revision::Draft(_)));
        let name_only = self.name_only;
        let path = namespace.to_string();
        let render = move |entry: &confman_api::entry::TreeEntry| match name_only {
            true => render::entry::name(entry),
            false => render::entry::line(entry, &path),
        };
        if self.own || is_draft {
            let query = EntriesQuery {
                revision,
                prefix: self.prefix,
                without_values: self.name_only && !cx.ui.json,
                limit: None,
            };
            let entries = pages(None, move |cursor: Option<&str>| {
                let page =
                    connection.wait(connection.client.entries(&namespace, &query, cursor))?;
                Ok((page.items, page.next))
            });
            let items = entries.map(move |entry| Ok(output(entry?, render.clone())));
            return Ok(Report::stream(items).paged());
        }
        let document = connection.wait(
            connection
                .client
                .effective_document(&namespace, revision.as_ref()),
        )?;
        let prefix = self.prefix.unwrap_or_default();
        let items = document
            .entries
            .into_iter()
            .filter(move |entry| entry.key.starts_with(&prefix))
            .map(move |entry| Ok(output(entry, render.clone())));
        Ok(Report::stream(items).paged())
    }
}
