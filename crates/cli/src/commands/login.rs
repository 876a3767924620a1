use std::io::{self, BufRead as _, IsTerminal as _};
use std::path::{Path, PathBuf};

use clap::ValueEnum;
use confman_api::identity::{IssuerName, LoginAnswer};
use confman_client::LoginListener;

use crate::browser;
use crate::context::{Connection, Context};
use crate::error::CliError;
use crate::interrupt;
use crate::keyring;
use crate::place::name;
use crate::profile::{PROFILE_DEFAULT, Profile, Profiles};
use crate::render;
use crate::report::Report;
use crate::settings::{Chosen, check_token};
use crate::text::Text;

/// Keep a server and a token in a profile, and use it from now on
///
/// Examples:
///   confman login --server https://config.company.com < token
///   confman login --server https://config.company.com --profile prod
///   confman login --server http://127.0.0.1:7420 --token-file data/admin.token
///   confman login --server https://config.company.com --oidc corp
///
/// Reads the token from stdin, asks the server who it belongs to, and keeps it in your keyring
/// (by `secret-tool`, or `security` on macOS) where there is one that works, otherwise in a file
/// that only you can read (`confman config show` says which). With --token-file the profile
/// keeps the path of the file and reads it at each use. With --oidc the page of an issuer that
/// the server trusts opens in your browser, and the token is one that lives for a while. The
/// profile becomes the active one.
///
/// Undo: `confman logout`.
#[derive(Debug, clap::Args)]
#[command(verbatim_doc_comment)]
pub(crate) struct Args {
    /// Read the token from stdin, which is what happens anyway where nothing else is said
    #[arg(long, conflicts_with = "oidc")]
    token_stdin: bool,
    /// Log in with a browser, by this issuer
    #[arg(long, value_name = "ISSUER", value_parser = name::<IssuerName>)]
    oidc: Option<IssuerName>,
    /// Only print where to go; open no browser
    #[arg(long, requires = "oidc")]
    no_browser: bool,
    /// Keep the token in the keyring where there is one, or always in the file of profiles
    #[arg(
        long,
        value_name = "WHEN",
        default_value = "auto",
        conflicts_with = "token_file"
    )]
    keyring: KeyringWhen,
}

/// Whether the keyring keeps the token.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum KeyringWhen {
    /// Where there is one that works
    Auto,
    /// Never
    Never,
}

impl KeyringWhen {
    /// The profile with its token in the keyring, where that can be.
    fn keep(self, cx: &Context, profile: Profile) -> Profile {
        let token = profile.token.as_deref().filter(|_| self == Self::Auto);
        match token.is_some_and(|token| keyring::keep(&profile.server, token)) {
            true => {
                cx.ui.note("the token is in your keyring");
                Profile {
                    token: None,
                    in_keyring: true,
                    ..profile
                }
            }
            false => profile,
        }
    }
}

impl Args {
    pub(crate) fn run(self, cx: &Context) -> Result<Report, CliError> {
        let flags = cx.flags();
        let environment = Chosen::from_environment();
        let path = Profiles::path()?;
        let mut profiles = Profiles::load(&path)?;
        let profile_name = flags
            .profile
            .clone()
            .or(environment.profile)
            .unwrap_or_else(|| PROFILE_DEFAULT.to_owned());
        let known = profiles
            .profiles
            .get(&profile_name)
            .map(|profile| profile.server.clone());
        let Some(server) = flags.server.or(environment.server).or(known) else {
            return Err(CliError::usage("no server is named").next("confman login --server URL"));
        };
        let file = flags.token_file.filter(|_| !self.token_stdin);
        let profile = match (self.oidc, file) {
            (Some(issuer), _) => Profile {
                token: Some(by_browser(cx, &server, &issuer, !self.no_browser)?),
                server,
                token_file: None,
                in_keyring: false,
            },
            (None, Some(file)) => Profile {
                server,
                token: None,
                token_file: Some(absolute(&file)?),
                in_keyring: false,
            },
            (None, None) => Profile {
                token: Some(read_token(cx, &server)?),
                server,
                token_file: None,
                in_keyring: false,
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
        let profile = self.keyring.keep(cx, profile);
        profiles.profiles.insert(profile_name.clone(), profile);
        profiles.active = Some(profile_name.clone());
        profiles.save(&path)?;
        Ok(Report::one(whoami, move |whoami| {
            Text::line(&format!(
                "logged in to {server} as {}; profile `{profile_name}` is active",
                whoami.principal
            ))
        }))
    }
}

fn absolute(file: &Path) -> Result<PathBuf, CliError> {
    std::path::absolute(file)
        .map_err(|error| CliError::io(format!("cannot find {}", file.display()), &error))
}

/// Lets a person log in at an issuer and gives the token that the server makes then.
fn by_browser(
    cx: &Context,
    server: &str,
    issuer: &IssuerName,
    open: bool,
) -> Result<String, CliError> {
    let connection = Connection::new(server, None)?;
    let client = &connection.client;
    let made = connection.wait(async {
        let listener = LoginListener::bind().await?;
        let begun = client.begin_login(issuer, &listener.redirect_uri()).await?;
        cx.ui.note("Log in here, in a browser on this machine:");
        cx.ui.note(&begun.authorization_url);
        if open {
            browser::open(&begun.authorization_url);
        }
        let answer = LoginAnswer {
            code: listener.code(&begun.state).await?,
            state: begun.state,
            binding: begun.binding,
        };
        client.finish_login(issuer, &answer).await
    })?;
    cx.ui.say(&render::identity::token_made(&made.token));
    Ok(made.secret)
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
