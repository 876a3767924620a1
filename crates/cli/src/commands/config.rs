use clap::Subcommand;
use serde::Serialize;

use crate::context::Context;
use crate::editor::VARIABLES;
use crate::error::CliError;
use crate::pager::PAGER_DEFAULT;
use crate::profile::Profiles;
use crate::reading::mirror_directory;
use crate::render::columns;
use crate::report::{Report, output};
use crate::settings::{Sourced, TokenPlace};
use crate::text::{Role, Text};

/// Show which server and identity are used, and why
///
/// Examples:
///   confman config show
///   confman config --show-origin                 # every setting, and what decides it
///   confman config show --json
///
/// Flags win over the environment (CONFMAN_SERVER, CONFMAN_TOKEN, CONFMAN_TOKEN_FILE,
/// CONFMAN_PROFILE), that over the working copy, and the active profile comes last. The
/// token of a profile goes to the server of that profile only. Tokens are not shown.
#[derive(Debug, clap::Args)]
#[command(verbatim_doc_comment)]
pub(crate) struct Args {
    /// Every setting of the command line, and what decides it
    #[arg(long)]
    show_origin: bool,

    #[command(subcommand)]
    command: Option<ConfigCommand>,
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
        let (None | Some(ConfigCommand::Show)) = self.command;
        if self.show_origin {
            return Ok(Report::stream(
                every_setting(cx)?
                    .into_iter()
                    .map(|setting| Ok(output(setting, render_setting))),
            ));
        }
        let path = Profiles::path()?;
        let profiles = Profiles::load(&path)?;
        let settings = cx.settings()?;
        let token = settings.token.map(|token| Sourced {
            value: match token.value {
                TokenPlace::Inline(_) => "(not shown)".to_owned(),
                TokenPlace::File(path) => path.display().to_string(),
                TokenPlace::Keyring(_) => "(in the keyring)".to_owned(),
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

/// A setting of the command line.
#[derive(Serialize)]
struct Setting {
    name: &'static str,
    value: Option<String>,
    /// What decides it, in words.
    origin: String,
}

/// Every setting, and what decides it: a flag, the environment, the working copy, a profile, or nothing.
fn every_setting(cx: &Context) -> Result<Vec<Setting>, CliError> {
    let settings = cx.settings()?;
    let path = Profiles::path()?;
    let active = Profiles::load(&path)?.active;
    let chosen = cx.flags().profile;
    let setting = |name, found: Option<(String, String)>, otherwise: &str| match found {
        Some((value, origin)) => Setting {
            name,
            value: Some(value),
            origin,
        },
        None => Setting {
            name,
            value: None,
            origin: otherwise.to_owned(),
        },
    };
    let variable = |names: &[&str]| {
        names.iter().find_map(|name| {
            let value = std::env::var(name).ok().filter(|value| !value.is_empty())?;
            Some((value, (*name).to_owned()))
        })
    };
    let default = |value: &str| Some((value.to_owned(), "the default".to_owned()));
    let server = settings.server.map(|server| (server.value, server.from));
    let token = settings.token.map(|token| match token.value {
        TokenPlace::Inline(_) => ("(not shown)".to_owned(), token.from),
        TokenPlace::File(file) => (file.display().to_string(), token.from),
        TokenPlace::Keyring(_) => ("(in the keyring)".to_owned(), token.from),
    });
    let profile = chosen
        .map(|name| (name, "--profile".to_owned()))
        .or_else(|| variable(&["CONFMAN_PROFILE"]))
        .or_else(|| active.map(|name| (name, path.display().to_string())));
    let color = match cx.ui.color_chosen() {
        Some(when) => Some((when.to_owned(), "--color".to_owned())),
        None => variable(&["NO_COLOR"])
            .map(|(_, name)| ("never".to_owned(), name))
            .or_else(|| default("on a terminal")),
    };
    Ok(vec![
        setting("server", server, "nothing names one"),
        setting("token", token, "nothing names one"),
        setting("profile", profile, "none is active"),
        setting("color", color, ""),
        setting(
            "pager",
            variable(&["CONFMAN_PAGER", "PAGER"]).or_else(|| default(PAGER_DEFAULT)),
            "",
        ),
        setting("editor", variable(&VARIABLES), "nothing names one"),
        setting(
            "mirror",
            variable(&["CONFMAN_MIRROR"])
                .or_else(|| default(&mirror_directory()?.display().to_string())),
            "there is no HOME",
        ),
    ])
}

fn render_setting(setting: &Setting) -> Text {
    let mut text = Text::new();
    text.push(Role::Heading, setting.name).plain(" = ");
    match &setting.value {
        Some(value) => text.plain(value),
        None => text.faint("none"),
    };
    text.faint(&format!("  ← {}", setting.origin)).end_line();
    text
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
