mod change;
mod deletion;
mod explain;

use clap::Subcommand;
use confman_api::namespace::NamespaceDocument;
use confman_model::Namespace;
use confman_model::document::Roles;

use crate::context::{Context, pages};
use crate::error::CliError;
use crate::place::name;
use crate::render;
use crate::report::{Report, output};
use crate::working_directory::namespace_or_here;

/// Create, list, show, change, delete and restore namespaces
///
/// Examples:
///   confman ns create /teams/payments --owner payments-team@company.com
///   confman ns grant /teams/payments editor alice group:payments
///   confman ns set /teams/payments requireApproval=true minApprovers=2
///   confman ns show /teams/payments --effective     # with where each setting comes from
///   confman ns explain /teams/payments --principal alice --permission config:publish
///   confman ns delete /teams/payments --yes         # `confman ns restore` brings it back
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
        /// Those that were deleted and that you may restore
        #[arg(long)]
        deleted: bool,
    },
    /// Show the document of a namespace: owner, roles, settings
    Show {
        /// The namespace; in a working copy, its own if none is named
        #[arg(value_parser = name::<Namespace>)]
        namespace: Option<Namespace>,
        /// What holds, and which namespace says so: chain, settings, schemas, grants
        #[arg(long)]
        effective: bool,
        /// What held at a time, as in `2h ago`
        #[arg(long, value_name = "TIME", requires = "effective")]
        at: Option<String>,
        /// Every version of the document, newest first
        #[arg(long, conflicts_with = "effective")]
        history: bool,
    },
    Grant(change::Grant),
    Revoke(change::Revoke),
    Set(change::Set),
    Edit(change::Edit),
    Explain(explain::Explain),
    Delete(deletion::Delete),
    Restore(deletion::Restore),
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
            NsCommand::List {
                namespace,
                deleted: true,
            } => {
                let deleted =
                    connection.wait(connection.client.deleted_namespaces(namespace.as_ref()))?;
                if cx.ui.json {
                    return Ok(Report::stream(deleted.into_iter().map(|one| {
                        Ok(output(one, |one| {
                            render::namespace::deleted(std::slice::from_ref(one))
                        }))
                    })));
                }
                Ok(Report::one(deleted, |deleted| render::namespace::deleted(deleted)).paged())
            }
            NsCommand::List { namespace, .. } => {
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
            NsCommand::Show {
                namespace,
                effective,
                at,
                history,
            } => {
                let namespace = namespace_or_here(namespace.as_ref())?;
                if effective {
                    let found = connection.wait(
                        connection
                            .client
                            .effective_namespace(&namespace, at.as_deref()),
                    )?;
                    return Ok(Report::one(found, render::namespace::effective));
                }
                if history {
                    let versions = pages(None, move |cursor: Option<&str>| {
                        let page = connection
                            .wait(connection.client.document_history(&namespace, None, cursor))?;
                        Ok((page.items, page.next))
                    });
                    let shown =
                        versions.map(|version| Ok(output(version?, render::namespace::version)));
                    return Ok(Report::stream(shown).paged());
                }
                let document = connection.wait(connection.client.namespace(&namespace))?;
                Ok(Report::one(document, render::namespace::document))
            }
            NsCommand::Grant(grant) => grant.run(cx, &connection),
            NsCommand::Revoke(revoke) => revoke.run(cx, &connection),
            NsCommand::Set(set) => set.run(cx, &connection),
            NsCommand::Edit(edit) => edit.run(cx, &connection),
            NsCommand::Explain(explain) => explain.run(&connection),
            NsCommand::Delete(delete) => delete.run(cx, &connection),
            NsCommand::Restore(restore) => restore.run(&connection),
        }
    }
}
