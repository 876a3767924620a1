use confman_model::Revision;

use crate::context::Context;
use crate::error::CliError;
use crate::place::Place;
use crate::render;
use crate::report::Report;
use crate::working_directory::namespace_or_here;

/// Show why a key is what it is: the chain, what overrides what, the last change, who may change it
///
/// Examples:
///   confman explain /teams/payments:stripe/api-version
///   confman explain /teams/payments:limits --at "2h ago"
///   confman explain :limits                      # in a working copy: of its namespace
///
/// Changes nothing.
#[derive(Debug, clap::Args)]
#[command(verbatim_doc_comment)]
pub(crate) struct Args {
    /// NAMESPACE[@REV]:KEY
    #[arg(value_name = "ADDRESS")]
    pub(crate) place: Place,

    /// As of a revision or a time, as in `published~3`, `2026-11-20T10:00Z`, `2h ago`
    #[arg(long, value_name = "REV", value_parser = crate::place::moment)]
    at: Option<Revision>,
}

impl Args {
    pub(crate) fn run(self, cx: &Context) -> Result<Report, CliError> {
        let key = self
            .place
            .need_key("confman explain /teams/payments:limits")?
            .clone();
        let revision = self.place.revision_at(self.at)?;
        let namespace = namespace_or_here(self.place.namespace.as_ref())?;
        let connection = cx.connect()?;
        let found = connection.wait(connection.client.explain(
            &namespace,
            &key,
            revision.as_ref(),
        ))?;
        Ok(Report::one(found, render::explain::key).paged())
    }
}
