use clap::Subcommand;
use confman_api::identity::{Group, GroupDocument, GroupName};
use confman_model::Member;

use crate::context::{Connection, Context};
use crate::error::CliError;
use crate::place::name;
use crate::render;
use crate::report::{Report, output};
use crate::text::Text;

/// Create, change, list and delete groups of principals
///
/// Examples:
///   confman group create dev --member ann --member bob
///   confman group create everyone --member group:dev
///   confman group add dev cat
///   confman group remove dev bob
///   confman group list
///   confman group delete dev --yes
///
/// For admins of `/`. Where a role is granted, `group:dev` stands for everybody in the group
/// and in the groups inside it. Whoever is taken out loses what it had by it at once.
#[derive(Debug, clap::Args)]
#[command(verbatim_doc_comment)]
pub(crate) struct Args {
    #[command(subcommand)]
    command: GroupCommand,
}

#[derive(Debug, Subcommand)]
enum GroupCommand {
    /// Create a group
    Create {
        /// Its name: a-z, 0-9, `.`, `_` and `-`
        #[arg(value_parser = name::<GroupName>)]
        name: GroupName,
        /// What it is for
        #[arg(
            long,
            value_name = "TEXT",
            default_value = "",
            hide_default_value = true
        )]
        description: String,
        /// A principal, or `group:NAME`; repeat for more
        #[arg(long = "member", value_name = "WHO", value_parser = name::<Member>)]
        members: Vec<Member>,
    },
    /// List the groups
    List,
    /// Show a group
    Show {
        /// Its name
        #[arg(value_parser = name::<GroupName>)]
        name: GroupName,
    },
    /// Put somebody into a group
    Add {
        /// Its name
        #[arg(value_parser = name::<GroupName>)]
        name: GroupName,
        /// Principals, and other groups as `group:NAME`
        #[arg(required = true, value_name = "WHO", value_parser = name::<Member>)]
        members: Vec<Member>,
    },
    /// Take somebody out of a group
    Remove {
        /// Its name
        #[arg(value_parser = name::<GroupName>)]
        name: GroupName,
        /// Principals, and other groups as `group:NAME`
        #[arg(required = true, value_name = "WHO", value_parser = name::<Member>)]
        members: Vec<Member>,
    },
    /// Delete a group; what names it then names nobody
    Delete {
        /// Its name
        #[arg(value_parser = name::<GroupName>)]
        name: GroupName,
        /// Do not ask
        #[arg(long, short)]
        yes: bool,
    },
}

impl Args {
    pub(crate) fn run(self, cx: &Context) -> Result<Report, CliError> {
        let connection = cx.connect()?;
        let client = &connection.client;
        let found = match self.command {
            GroupCommand::Create {
                name,
                description,
                members,
            } => {
                let document = GroupDocument {
                    description,
                    members,
                };
                connection.wait(client.put_group(&name, &document, None))?
            }
            GroupCommand::List => {
                let groups = connection.wait(client.groups())?;
                if cx.ui.json {
                    return Ok(Report::stream(
                        groups
                            .into_iter()
                            .map(|group| Ok(output(group, |_| Text::new()))),
                    ));
                }
                return Ok(Report::one(groups, |all| render::identity::groups(all)).paged());
            }
            GroupCommand::Show { name } => connection.wait(client.group(&name))?,
            GroupCommand::Add { name, members } => {
                change(&connection, &name, |all: &mut Vec<Member>| {
                    for member in members {
                        if !all.contains(&member) {
                            all.push(member);
                        }
                    }
                })?
            }
            GroupCommand::Remove { name, members } => change(&connection, &name, |all| {
                all.retain(|member| !members.contains(member));
            })?,
            GroupCommand::Delete { name, yes } => {
                let found = connection.wait(client.group(&name))?;
                let members = crate::text::count(found.members.len(), "member");
                cx.ui
                    .confirm(&format!("delete group `{name}` with {members}?"), yes)?;
                connection.wait(client.delete_group(&name))?;
                cx.ui.note(&format!("deleted group `{name}`"));
                return Ok(Report::nothing());
            }
        };
        Ok(Report::one(found, render::identity::group))
    }
}

/// Changes the members of a group as it is now.
fn change(
    connection: &Connection,
    group: &GroupName,
    change: impl FnOnce(&mut Vec<Member>),
) -> Result<Group, CliError> {
    let found = connection.wait(connection.client.group(group))?;
    let members: Result<Vec<Member>, String> = found
        .members
        .iter()
        .map(|member| name::<Member>(member))
        .collect();
    let mut document = GroupDocument {
        description: found.description.clone(),
        members: members.map_err(CliError::invalid)?,
    };
    let before = document.members.clone();
    change(&mut document.members);
    if document.members == before {
        return Ok(found);
    }
    let record = Some(found.record.as_str());
    connection.wait(connection.client.put_group(group, &document, record))
}
