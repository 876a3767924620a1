use clap::Subcommand;
use serde::Serialize;

use crate::context::Context;
use crate::error::CliError;
use crate::profile::Profiles;
use crate::render::columns;
use crate::report::Report;
use crate::settings::{Sourced, TokenPlace};
use crate::text::{Role, Text};

/// Show which server and identity are used, and why
///
/// Examples:
///   confman config show
///   confman config show --json
///
/// Flags win over the environment (CONFMAN_SERVER, CONFMAN_TOKEN, CONFMAN_TOKEN_FILE,
/// CONFMAN_PROFILE), that over the working copy, and the active profile comes last. The
/// token of a profile goes to the server of that profile only. Tokens are not shown.
#[derive(Debug, clap::Args)]
#[command(verbatim_doc_comment)]
pub(crate) struct Args {
    #[command(subcommand)]
    command: ConfigCommand,
}

#[derive(Debug, Subcommand)]
enum ConfigCommand {
    /// Show the server, where the token comes from, and the profiles there are
    Show,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Shown {
    server: Option<Sourced<String>>,
    token: Option<Sourced<String>>,
    profiles_file: String,
    active: Option<String>,
    profiles: Vec<ShownProfile>,
}

#[derive(Serialize)]
struct ShownProfile {
    name: String,
    server: String,
}

impl Args {
    pub(crate) fn run(self, cx: &Context) -> Result<Report, CliError> {
        let ConfigCommand::Show = self.command;
        let path = Profiles::path()?;
        let profiles = Profiles::load(&path)?;
        let settings = cx.settings()?;
        let token = settings.token.map(|token| Sourced {
            value: match token.value {
                TokenPlace::Inline(_) => "(not shown)".to_owned(),
                TokenPlace::File(path) => path.display().to_string(),
            },
            from: token.from,
        });
        let shown = Shown {
            server: settings.server,
            token,
            profiles_file: path.display().to_string(),
            active: profiles.active,
            profiles: profiles
                .profiles
                .into_iter()
                .map(|(name, profile)| ShownProfile {
                    name,
                    server: profile.server,
                })
                .collect(),
        };
        Ok(Report::one(shown, render))
    }
}

fn render(shown: &Shown) -> Text {
    let sourced = |what: &str, sourced: &Option<Sourced<String>>| {
        let (value, from) = match sourced {
            None => ("none".to_owned(), String::new()),
            Some(sourced) => (sourced.value.clone(), format!("by {}", sourced.from)),
        };
        vec![
            (Role::Faint, what.to_owned()),
            (Role::Plain, value),
            (Role::Faint, from),
        ]
    };
    let mut rows = vec![
        sourced("server", &shown.server),
        sourced("token", &shown.token),
        vec![
            (Role::Faint, "profiles".to_owned()),
            (Role::Plain, shown.profiles_file.clone()),
        ],
    ];
    for profile in &shown.profiles {
        let active = if shown.active.as_ref() == Some(&profile.name) {
            " (active)"
        } else {
            ""
        };
        rows.push(vec![
            (Role::Faint, String::new()),
            (Role::Plain, format!("{}{active}", profile.name)),
            (Role::Faint, profile.server.clone()),
        ]);
    }
    columns(&rows)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn everything_says_where_it_comes_from() {
        let shown = Shown {
            server: Some(Sourced {
                value: "http://127.0.0.1:7420".to_owned(),
                from: "the active profile `dev`".to_owned(),
            }),
            token: None,
            profiles_file: "/home/alice/.config/confman/profiles.toml".to_owned(),
            active: Some("dev".to_owned()),
            profiles: vec![
                ShownProfile {
                    name: "dev".to_owned(),
                    server: "http://127.0.0.1:7420".to_owned(),
                },
                ShownProfile {
                    name: "prod".to_owned(),
                    server: "https://config.company.com".to_owned(),
                },
            ],
        };
        insta::assert_snapshot!(render(&shown).to_plain(), @"
        server    http://127.0.0.1:7420                      by the active profile `dev`
        token     none
        profiles  /home/alice/.config/confman/profiles.toml
                  dev (active)                               http://127.0.0.1:7420
                  prod                                       https://config.company.com
        ");
    }
}
