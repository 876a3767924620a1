use clap::Subcommand;
use confman_api::namespace::NamespaceDocument;
use confman_model::Namespace;
use confman_model::document::Roles;

use crate::context::Context;
use crate::error::CliError;
use crate::place::name;
use crate::render;
use crate::report::{Report, output};
use crate::working_directory::namespace_or_here;

/// Create, list and show namespaces
///
/// Examples:
///   confman ns create /teams/payments --owner payments-team@company.com
///   confman ns create /sandbox --no-inherit --editor everybody
///   confman ns list /teams
///   confman ns show /teams/payments
///
/// A namespace inherits values, roles and settings from the one above it, unless it is
/// made with --no-inherit.
#[derive(Debug, clap::Args)]
#[command(verbatim_doc_comment)]
pub(crate) struct Args {
    #[command(subcommand)]
    command: NsCommand,
}

#[derive(Debug, Subcommand)]
enum NsCommand {
    /// Create a namespace; the one above it must exist
    Create(Create),
    /// List the namespaces you may read
    List {
        /// Only this one and those below it
        #[arg(value_parser = name::<Namespace>)]
        namespace: Option<Namespace>,
    },
    /// Show the document of a namespace: owner, roles, settings
    Show {
        /// The namespace; in a working copy, its own if none is named
        #[arg(value_parser = name::<Namespace>)]
        namespace: Option<Namespace>,
    },
}

#[derive(Debug, clap::Args)]
struct Create {
    /// Its path, as in /teams/payments
    #[arg(value_parser = name::<Namespace>)]
    namespace: Namespace,
    /// Its name for people
    #[arg(
        long,
        value_name = "TEXT",
        default_value = "",
        hide_default_value = true
    )]
    display_name: String,
    /// What it is for
    #[arg(
        long,
        value_name = "TEXT",
        default_value = "",
        hide_default_value = true
    )]
    description: String,
    /// Who answers for it
    #[arg(
        long,
        value_name = "WHO",
        default_value = "",
        hide_default_value = true
    )]
    owner: String,
    /// Take nothing from the namespace above: no values, roles or settings
    #[arg(long)]
    no_inherit: bool,
    /// Who may do everything here; repeat for more
    #[arg(long, value_name = "WHO")]
    admin: Vec<String>,
    /// Who may approve, publish and roll back
    #[arg(long, value_name = "WHO")]
    publisher: Vec<String>,
    /// Who may write drafts
    #[arg(long, value_name = "WHO")]
    editor: Vec<String>,
    /// Who may read what is published
    #[arg(long, value_name = "WHO")]
    viewer: Vec<String>,
}

impl Create {
    fn document(self) -> NamespaceDocument {
        NamespaceDocument {
            display_name: self.display_name,
            description: self.description,
            owner: self.owner,
            inherit: !self.no_inherit,
            roles: Roles {
                admin: self.admin,
                publisher: self.publisher,
                editor: self.editor,
                viewer: self.viewer,
            },
            ..NamespaceDocument::new(self.namespace)
        }
    }
}

impl Args {
    pub(crate) fn run(self, cx: &Context) -> Result<Report, CliError> {
        let connection = cx.connect()?;
        match self.command {
            NsCommand::Create(create) => {
                let document = create.document();
                let made = connection.wait(connection.client.create_namespace(&document))?;
                Ok(Report::one(made, render::namespace::document))
            }
            NsCommand::List { namespace } => {
                let namespaces =
                    connection.wait(connection.client.namespaces(namespace.as_ref()))?;
                if cx.ui.json {
                    return Ok(Report::stream(namespaces.into_iter().map(|namespace| {
                        Ok(output(namespace, |namespace| {
                            render::namespace::list(std::slice::from_ref(namespace))
                        }))
                    })));
                }
                Ok(
                    Report::one(namespaces, |namespaces| render::namespace::list(namespaces))
                        .paged(),
                )
            }
            NsCommand::Show { namespace } => {
                let namespace = namespace_or_here(namespace.as_ref())?;
                let document = connection.wait(connection.client.namespace(&namespace))?;
                Ok(Report::one(document, render::namespace::document))
            }
        }
    }
}
