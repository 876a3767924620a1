use confman_client::client::SearchQuery;
use confman_model::Namespace;

use crate::context::{Context, pages};
use crate::error::CliError;
use crate::place::name;
use crate::render;
use crate::report::{Report, output};

/// Find published entries by key, value and tag, in every namespace you may read
///
/// Examples:
///   confman search timeout                       # keys with this in them
///   confman search --tag pci
///   confman search url --value db.internal --under /teams
///   confman search --value vault:// --json --jq .key
///
/// All that is stated must hold. Finds what namespaces themselves have, not what they
/// inherit. Changes nothing.
#[derive(Debug, clap::Args)]
#[command(verbatim_doc_comment)]
pub(crate) struct Args {
    /// A part of the key
    #[arg(value_name = "TEXT", required_unless_present_any = ["tag", "value"])]
    key: Option<String>,

    /// A tag of the entry
    #[arg(long, value_name = "TAG")]
    tag: Option<String>,

    /// A part of the value's text
    #[arg(long, value_name = "TEXT")]
    value: Option<String>,

    /// Only at and below this namespace
    #[arg(long, value_name = "NAMESPACE", value_parser = name::<Namespace>)]
    under: Option<Namespace>,

    /// At most so many
    #[arg(long, short = 'n', value_name = "N")]
    limit: Option<usize>,
}

impl Args {
    pub(crate) fn run(self, cx: &Context) -> Result<Report, CliError> {
        let connection = cx.connect()?;
        let query = SearchQuery {
            prefix: self.under,
            tag: self.tag,
            key: self.key,
            value: self.value,
        };
        let found = pages(self.limit, move |cursor: Option<&str>| {
            let page = connection.wait(connection.client.search(&query, cursor))?;
            Ok((page.items, page.next))
        });
        let items = found.map(|entry| Ok(output(entry?, render::entry::found)));
        Ok(Report::stream(items).paged())
    }
}
