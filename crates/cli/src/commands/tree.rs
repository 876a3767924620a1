use confman_model::Namespace;

use crate::context::Context;
use crate::error::CliError;
use crate::place::name;
use crate::render;
use crate::report::{Report, output};

/// Show namespaces below one another
///
/// Examples:
///   confman tree
///   confman tree /teams
///
/// Each with how many keys of its own it has published. Changes nothing.
#[derive(Debug, clap::Args)]
#[command(verbatim_doc_comment)]
pub(crate) struct Args {
    /// Only this namespace and those below it
    #[arg(value_parser = name::<Namespace>)]
    namespace: Option<Namespace>,
}

impl Args {
    pub(crate) fn run(self, cx: &Context) -> Result<Report, CliError> {
        let connection = cx.connect()?;
        let namespaces = connection.wait(connection.client.namespaces(self.namespace.as_ref()))?;
        if cx.ui.json {
            return Ok(Report::stream(namespaces.into_iter().map(|namespace| {
                Ok(output(namespace, |namespace| {
                    render::namespace::list(std::slice::from_ref(namespace))
                }))
            })));
        }
        Ok(Report::one(namespaces, |namespaces| render::namespace::tree(namespaces)).paged())
    }
}
