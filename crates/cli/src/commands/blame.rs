use confman_api::entry::Blame;

use crate::context::Context;
use crate::error::CliError;
use crate::exit::Exit;
use crate::local_commit;
use crate::place::Place;
use crate::render;
use crate::report::{Report, output};
use crate::working_directory::{Here, find, namespace_or_here};

/// Show who last changed each published key, when and why
///
/// Examples:
///   confman blame /teams/payments
///   confman blame /teams/payments:limits
///   confman blame /teams/payments --prefix stripe/
///
/// In a working copy, what was fetched tells where no server answers; the version, which only
/// the server knows, is 0 then. Changes nothing.
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
        let asked = connection.wait(connection.client.blame(&namespace, prefix.as_deref()));
        let mut blames = match (asked, find()?) {
            (Err(away), Some(here))
                if away.exit == Exit::Unreachable && place.namespace.is_none() =>
            {
                cx.ui
                    .warn(&format!("{}; this is what was fetched", away.what));
                fetched(&here, prefix.as_deref().unwrap_or_default())?
            }
            (asked, _) => asked?,
        };
        if let Some(key) = &place.key {
            blames.retain(|blame| blame.key == key.as_str());
            if blames.is_empty() {
                return Err(CliError::new(
                    Exit::NotFound,
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

/// What the mirror of a working copy tells of keys that begin with a prefix.
fn fetched(here: &Here, prefix: &str) -> Result<Vec<Blame>, CliError> {
    let blamed = here.copy.blame(&here.namespace, &[])?.into_iter();
    let blamed = blamed.filter(|blamed| blamed.key.as_str().starts_with(prefix));
    let blames = blamed.map(|blamed| {
        let by = blamed.by.as_ref().map(local_commit::document);
        let message = by
            .as_ref()
            .map(|by| by.message.as_str())
            .unwrap_or_default();
        Blame {
            key: blamed.key.to_string(),
            version: 0,
            message: message.lines().next().unwrap_or_default().to_owned(),
            commit: by.as_ref().map(|by| by.id.clone()).unwrap_or_default(),
            author: by.as_ref().map_or_else(
                || "(not fetched)".to_owned(),
                |by| by.author.principal.clone(),
            ),
            at: by
                .as_ref()
                .map(|by| by.authored_at.clone())
                .unwrap_or_default(),
            publish_request_id: by.and_then(|by| by.publish_request_id),
            approved_by: Vec::new(),
        }
    });
    Ok(blames.collect())
}
