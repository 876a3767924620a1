use clap::Subcommand;
use confman_api::commit::TagWrite;
use confman_model::{Namespace, TagName};

use crate::context::Context;
use crate::error::CliError;
use crate::place::{Place, name};
use crate::render;
use crate::report::{Report, output};
use crate::text::Text;
use crate::working_directory::namespace_or_here;

/// Give commits lasting names
///
/// Examples:
///   confman tag create /teams/payments before-migration
///   confman tag create /teams/payments@published~3 v2.1
///   confman get /teams/payments@v2.1:limits
///   confman tag delete /teams/payments v2.1
///
/// A tag names one commit of one namespace. Deleting it deletes the name only.
#[derive(Debug, clap::Args)]
#[command(verbatim_doc_comment)]
pub(crate) struct Args {
    #[command(subcommand)]
    command: TagCommand,
}

#[derive(Debug, Subcommand)]
enum TagCommand {
    /// List the tags of a namespace
    List {
        /// The namespace; in a working copy, its own if none is named
        #[arg(value_parser = name::<Namespace>)]
        namespace: Option<Namespace>,
    },
    /// Name a commit
    Create {
        /// NAMESPACE[@REV]; what is published now if no revision is named
        #[arg(value_name = "ADDRESS")]
        place: Place,
        /// The tag
        #[arg(value_parser = name::<TagName>)]
        tag: TagName,
    },
    /// Delete a tag; the commit stays
    Delete {
        /// The namespace
        #[arg(value_parser = name::<Namespace>)]
        namespace: Namespace,
        /// The tag
        #[arg(value_parser = name::<TagName>)]
        tag: TagName,
    },
}

impl Args {
    pub(crate) fn run(self, cx: &Context) -> Result<Report, CliError> {
        let connection = cx.connect()?;
        match self.command {
            TagCommand::List { namespace } => {
                let namespace = namespace_or_here(namespace.as_ref())?;
                let tags = connection.wait(connection.client.tags(&namespace))?;
                if cx.ui.json {
                    return Ok(Report::stream(
                        tags.into_iter().map(|tag| Ok(output(tag, |_| Text::new()))),
                    ));
                }
                Ok(Report::one(tags, |tags| render::publication::tags(tags)))
            }
            TagCommand::Create { place, tag } => {
                place.no_key("a tag names a commit of a whole namespace")?;
                let namespace = namespace_or_here(place.namespace.as_ref())?;
                let write = TagWrite {
                    revision: place.revision.unwrap_or_default().to_string(),
                };
                let made = connection.wait(connection.client.set_tag(&namespace, &tag, &write))?;
                Ok(Report::one(made, |tag| {
                    render::publication::tags(std::slice::from_ref(tag))
                }))
            }
            TagCommand::Delete { namespace, tag } => {
                let found = connection.wait(connection.client.tag(&namespace, &tag))?;
                connection.wait(connection.client.delete_tag(&namespace, &tag))?;
                cx.ui.note(&format!(
                    "deleted tag `{tag}` of {namespace}; it named {}",
                    found.commit
                ));
                Ok(Report::nothing())
            }
        }
    }
}
