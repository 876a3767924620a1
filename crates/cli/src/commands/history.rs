use crate::context::{Context, pages};
use crate::error::CliError;
use crate::place::Place;
use crate::render;
use crate::report::{Report, output};
use crate::working_directory::namespace_or_here;

/// List the published versions of a key, newest first
///
/// Examples:
///   confman history /teams/payments:stripe/api-version
///   confman history /teams/payments:limits -n 5 --json
///
/// A removal is a version too. What looks like a secret by its name is masked; `confman get
/// --at` prints it. Changes nothing; `confman rollback --key KEY --to COMMIT` brings an old
/// version back.
#[derive(Debug, clap::Args)]
#[command(verbatim_doc_comment)]
pub(crate) struct Args {
    /// NAMESPACE:KEY
    #[arg(value_name = "ADDRESS")]
    pub(crate) place: Place,

    /// At most so many versions
    #[arg(long, short = 'n', value_name = "N")]
    limit: Option<usize>,
}

impl Args {
    pub(crate) fn run(self, cx: &Context) -> Result<Report, CliError> {
        let key = self
            .place
            .need_key("confman history /teams/payments:limits")?
            .clone();
        self.place
            .no_revision("the history of a key is that of its published versions")?;
        let namespace = namespace_or_here(self.place.namespace.as_ref())?;
        let connection = cx.connect()?;
        let limit = self.limit;
        let of = key.to_string();
        let versions = pages(limit, move |cursor: Option<&str>| {
            let page = connection.wait(connection.client.history(
                &namespace,
                &key,
                limit_of_page(limit),
                cursor,
            ))?;
            Ok((page.versions, page.next))
        });
        let items = versions.map(move |version| {
            let of = of.clone();
            Ok(output(version?, move |version| {
                render::history::version(&of, version)
            }))
        });
        Ok(Report::stream(items).paged())
    }
}

/// Items to ask for at once: no more than are wanted, and never more than the server gives anyway.
pub(super) fn limit_of_page(limit: Option<usize>) -> Option<usize> {
    limit.map(|limit| limit.clamp(1, PAGE_ITEMS_MAX))
}

/// Items of a page that are asked for at most.
const PAGE_ITEMS_MAX: usize = 100;
