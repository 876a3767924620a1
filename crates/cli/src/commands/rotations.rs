use confman_model::Namespace;

use crate::context::Context;
use crate::error::CliError;
use crate::place::name;
use crate::render;
use crate::report::{Report, output};

/// List the secrets that are to be replaced
///
/// Examples:
///   confman rotations
///   confman rotations /teams/payments --json
///
/// A schema says with `x-confman-rotation-days` after how many days a secret is to be
/// replaced. Listed are entries that have been published for longer, longest overdue first.
/// To replace one, put the new secret where it is kept and publish the reference to it.
#[derive(Debug, clap::Args)]
#[command(verbatim_doc_comment)]
pub(crate) struct Args {
    /// Only at and below this namespace
    #[arg(value_parser = name::<Namespace>)]
    prefix: Option<Namespace>,
}

impl Args {
    pub(crate) fn run(self, cx: &Context) -> Result<Report, CliError> {
        let connection = cx.connect()?;
        let due = connection.wait(connection.client.rotations(self.prefix.as_ref()))?;
        Ok(Report::stream(
            due.into_iter()
                .map(|due| Ok(output(due, render::schema::rotation))),
        ))
    }
}
