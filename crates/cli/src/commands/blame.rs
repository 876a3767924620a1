use confman_api::entry::Blame;

use crate::context::Context;
use crate::error::CliError;
use crate::place::Place;
use crate::render;
use crate::report::{Report, output};
use crate::working_directory::namespace_or_here;

/// Show who last changed each published key, when and why
///
/// Examples:
///   confman blame /teams/payments
///   confman blame /teams/payments:limits
///   confman blame /teams/payments --prefix stripe/
///
/// Changes nothing.
#[derive(Debug, clap::Args)]
#[command(verbatim_doc_comment)]
pub(crate) struct Args {
    /// NAMESPACE[:KEY]; in a working copy, its own if none is named
    #[arg(value_name = "ADDRESS")]
    pub(crate) place: Option<Place>,

    /// Only keys that begin with this
    #[arg(long, value_name = "TEXT")]
    prefix: Option<String>,
}

impl Args {
    pub(crate) fn run(self, cx: &Context) -> Result<Report, CliError> {
        let place = self.place.unwrap_or_default();
        place.no_revision("blame is about what is published now")?;
        let namespace = namespace_or_here(place.namespace.as_ref())?;
        let connection = cx.connect()?;
        let prefix = place.key.as_ref().map(ToString::to_string).or(self.prefix);
        let mut blames = connection.wait(connection.client.blame(&namespace, prefix.as_deref()))?;
        if let Some(key) = &place.key {
            blames.retain(|blame| blame.key == key.as_str());
            if blames.is_empty() {
                return Err(CliError::new(
                    crate::exit::Exit::NotFound,
                    format!("{namespace} itself has published no key `{key}`"),
                )
                .next(format!(
                    "`confman get {namespace}:{key} --origin` says where it would be inherited from"
                )));
            }
        }
        if cx.ui.json {
            let one = |blame: &Blame| render::blame::rows(std::slice::from_ref(blame));
            return Ok(Report::stream(
                blames.into_iter().map(move |blame| Ok(output(blame, one))),
            ));
        }
        Ok(Report::one(blames, |blames| render::blame::rows(blames)).paged())
    }
}
