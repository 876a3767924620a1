use std::io::{self, BufRead as _, IsTerminal as _};
use std::path::{Path, PathBuf};

use crate::context::{Connection, Context};
use crate::error::CliError;
use crate::interrupt;
use crate::profile::{PROFILE_DEFAULT, Profile, Profiles};
use crate::report::Report;
use crate::settings::{Chosen, check_token};
use crate::text::Text;

/// Keep a server and a token in a profile, and use it from now on
///
/// Examples:
///   confman login --server https://config.company.com < token
///   confman login --server https://config.company.com --profile prod
///   confman login --server http://127.0.0.1:7420 --token-file data/admin.token
///
/// Reads the token from stdin, asks the server who it belongs to, and writes it to a file
/// that only you can read (`confman config show` names it). With --token-file the profile
/// keeps the path of the file and reads it at each use. The profile becomes the active one.
///
/// Undo: `confman logout`.
#[derive(Debug, clap::Args)]
#[command(verbatim_doc_comment)]
pub(crate) struct Args {}

impl Args {
    pub(crate) fn run(self, cx: &Context) -> Result<Report, CliError> {
        let flags = cx.flags();
        let environment = Chosen::from_environment();
        let path = Profiles::path()?;
        let mut profiles = Profiles::load(&path)?;
        let name = flags
            .profile
            .clone()
            .or(environment.profile)
            .unwrap_or_else(|| PROFILE_DEFAULT.to_owned());
        let known = profiles
            .profiles
            .get(&name)
            .map(|profile| profile.server.clone());
        let Some(server) = flags.server.or(environment.server).or(known) else {
            return Err(CliError::usage("no server is named").next("confman login --server URL"));
        };
        let profile = match flags.token_file {
            Some(file) => Profile {
                server,
                token: None,
                token_file: Some(absolute(&file)?),
            },
            None => Profile {
                token: Some(read_token(cx, &server)?),
                server,
                token_file: None,
            },
        };
        let token = match (&profile.token, &profile.token_file) {
            (Some(token), _) => token.clone(),
            (None, Some(file)) => {
                let text = std::fs::read_to_string(file).map_err(|error| {
                    CliError::io(
                        format!("cannot read the token in {}", file.display()),
                        &error,
                    )
                })?;
                check_token(&text, "--token-file")?
            }
            (None, None) => return Err(CliError::bug("a profile without a token")),
        };
        let connection = Connection::new(&profile.server, Some(&token))?;
        let whoami = connection.wait(connection.client.whoami())?;
        let server = profile.server.clone();
        profiles.profiles.insert(name.clone(), profile);
        profiles.active = Some(name.clone());
        profiles.save(&path)?;
        Ok(Report::one(whoami, move |whoami| {
            Text::line(&format!(
                "logged in to {server} as {}; profile `{name}` is active",
                whoami.principal
            ))
        }))
    }
}

fn absolute(file: &Path) -> Result<PathBuf, CliError> {
    std::path::absolute(file)
        .map_err(|error| CliError::io(format!("cannot find {}", file.display()), &error))
}

/// Reads the token from stdin; from a person without showing it.
fn read_token(cx: &Context, server: &str) -> Result<String, CliError> {
    let from_terminal = io::stdin().is_terminal();
    if from_terminal {
        if cx.ui.no_input {
            return Err(CliError::usage("no token is given")
                .next("give it on stdin: confman login … < FILE"));
        }
        cx.ui.note(&format!(
            "Paste the token for {server} and press Enter; it is not shown."
        ));
    }
    let _hidden = from_terminal.then(interrupt::HiddenInput::start);
    let mut line = String::new();
    interrupt::during(interrupt::Answer::Now, || {
        io::stdin().lock().read_line(&mut line)
    })
    .map_err(|error| CliError::io("cannot read the token from stdin", &error))?;
    check_token(&line, "stdin")
}
