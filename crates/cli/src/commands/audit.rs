use confman_model::Namespace;

use super::history::limit_of_page;
use crate::context::{Context, pages};
use crate::error::CliError;
use crate::place::name;
use crate::render;
use crate::report::{Report, output};

/// Show what happened, newest first: who did what, when, and how refs moved
///
/// Examples:
///   confman audit -n 20
///   confman audit /teams/payments
///   confman audit --json | jq -r 'select(.action == "rollback") | .actor'
///
/// Every change is an operation, and operations form a chain of hashes. Changes nothing.
#[derive(Debug, clap::Args)]
#[command(verbatim_doc_comment)]
pub(crate) struct Args {
    /// Only what was about this namespace or those below it
    #[arg(value_parser = name::<Namespace>)]
    namespace: Option<Namespace>,

    /// At most so many operations
    #[arg(long, short = 'n', value_name = "N")]
    limit: Option<usize>,
}

impl Args {
    pub(crate) fn run(self, cx: &Context) -> Result<Report, CliError> {
        let connection = cx.connect()?;
        // With a namespace, how many to look through is not known.
        let limit_of_page = match &self.namespace {
            None => limit_of_page(self.limit),
            Some(_) => None,
        };
        let operations = pages(None, move |cursor: Option<&str>| {
            let page = connection.wait(connection.client.operations(limit_of_page, cursor))?;
            Ok((page.items, page.next))
        });
        let wanted = self.namespace;
        let about = operations.filter(move |operation| match (&wanted, operation) {
            (Some(wanted), Ok(operation)) => {
                let about = operation
                    .namespace
                    .as_deref()
                    .and_then(|about| about.parse::<Namespace>().ok());
                about.is_some_and(|about| wanted.contains(&about))
            }
            _ => true,
        });
        let some = about.take(self.limit.unwrap_or(usize::MAX));
        Ok(
            Report::stream(some.map(|operation| Ok(output(operation?, render::operation::one))))
                .paged(),
        )
    }
}
