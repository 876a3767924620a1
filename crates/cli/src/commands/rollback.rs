use confman_api::commit::RollbackWrite;
use confman_client::client::CompareQuery;
use confman_model::{Key, Revision};

use crate::comparison;
use crate::context::Context;
use crate::error::CliError;
use crate::exit::Exit;
use crate::place::{Place, moment, name};
use crate::render;
use crate::render::diff::{Detail, summary};
use crate::report::Report;
use crate::text::short;
use crate::working_directory::namespace_or_here;

/// Publish the content of an earlier revision again
///
/// Examples:
///   confman rollback /teams/payments --to published~1
///   confman rollback /teams/payments --to "2h ago" -m "the new API breaks refunds"
///   confman rollback /teams/payments --to v2.1 --key limits/daily --yes
///
/// Shows what will change and asks. Publishes a new commit with the old content: nothing
/// is lost, and what was published in between stays in the history. What was shown is
/// what is published, or nothing, if somebody publishes meanwhile.
///
/// Undo: roll back again, `--to published~1`.
#[derive(Debug, clap::Args)]
#[command(verbatim_doc_comment)]
pub(crate) struct Args {
    /// NAMESPACE; in a working copy, its own if none is named
    #[arg(value_name = "NAMESPACE")]
    pub(crate) place: Option<Place>,

    /// The revision or time whose content is wanted
    #[arg(long, value_name = "REV", value_parser = moment)]
    to: Revision,

    /// Only this key; repeat for more
    #[arg(long = "key", value_name = "KEY", value_parser = name::<Key>)]
    keys: Vec<Key>,

    /// Why
    #[arg(long, short)]
    message: Option<String>,

    /// Go past freeze and guards for this reason; everybody will see it
    #[arg(long, value_name = "REASON")]
    emergency: Option<String>,
    /// Publish though a key that is set or changed is deprecated
    #[arg(long)]
    acknowledge_deprecated: bool,

    /// Do not ask
    #[arg(long, short)]
    yes: bool,
}

impl Args {
    pub(crate) fn run(self, cx: &Context) -> Result<Report, CliError> {
        let place = self.place.unwrap_or_default();
        place.no_key("name keys with --key")?;
        place.no_revision("name the wanted revision with --to")?;
        let namespace = namespace_or_here(place.namespace.as_ref())?;
        let connection = cx.connect()?;
        let query = CompareQuery {
            from: Revision::Published,
            to: self.to.clone(),
            from_namespace: None,
        };
        let compared = connection.wait(connection.client.compare(&namespace, &query))?;
        let Some(target) = compared.to.commit.clone() else {
            return Err(CliError::new(
                Exit::NotFound,
                format!("there is nothing in {namespace} at `{}`", self.to),
            ));
        };
        let mut changes = comparison::diffs(&compared)?;
        if !self.keys.is_empty() {
            changes.retain(|change| self.keys.contains(&change.key));
        }
        if changes.is_empty() {
            return Err(CliError::new(
                Exit::Conflict,
                format!("{namespace} already has the content of `{}`", self.to),
            )
            .because("rolling back would change nothing"));
        }
        if !self.yes {
            cx.ui
                .say(&render::diff::diffs(&changes, Detail::Semantic.into()));
        }
        let what = summary(changes.iter().map(|change| change.kind));
        let question = format!(
            "roll {namespace} back to {} ({}), {what}?",
            self.to,
            short(&target)
        );
        cx.ui.confirm(&question, self.yes)?;
        // The wanted revision as it was asked for tells more than the commit it is.
        let message = self
            .message
            .unwrap_or_else(|| format!("roll back to {} ({})", self.to, short(&target)));
        let write = RollbackWrite {
            to: target,
            keys: (!self.keys.is_empty())
                .then(|| self.keys.iter().map(ToString::to_string).collect()),
            expected_head: compared.from.commit,
            message: Some(message),
            emergency: self.emergency,
            acknowledge_deprecated: self.acknowledge_deprecated,
        };
        let published = connection.wait(connection.client.rollback(&namespace, &write))?;
        published
            .warnings
            .iter()
            .for_each(|warning| cx.ui.warn(warning));
        Ok(Report::one(published, render::publication::published))
    }
}
