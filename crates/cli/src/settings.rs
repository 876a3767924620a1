//! Which server, and who to be there: flags, environment, working copy and profiles in order.
//!
//! The order is `--server`, `--token-file` and `--profile`; then `CONFMAN_SERVER`, `CONFMAN_TOKEN`,
//! `CONFMAN_TOKEN_FILE` and `CONFMAN_PROFILE`; then what the working copy says; the active profile
//! last.
//!
//! INVARIANT: the token of a profile goes to the server of that profile and to no other.
//! INVARIANT: a token that is given without a server goes to no server that only a working copy names: a
//! directory may have come from anywhere.

use std::path::{Path, PathBuf};

use serde::Serialize;

use crate::error::CliError;
use crate::exit::Exit;
use crate::keyring;
use crate::profile::{Profile, Profiles};

/// What is said of a server that the working copy names.
const BY_WORKING_COPY: &str = "the working copy";
/// Most bytes of a file with a token.
const TOKEN_BYTES_MAX: usize = 4096;

/// What flags and environment say; empty text counts as nothing.
#[derive(Debug, Clone, Default)]
pub(crate) struct Chosen {
    /// URL of a server.
    pub(crate) server: Option<String>,
    /// A token itself; never from a flag.
    pub(crate) token: Option<String>,
    /// A file with a token.
    pub(crate) token_file: Option<PathBuf>,
    /// Name of a profile.
    pub(crate) profile: Option<String>,
}

impl Chosen {
    /// What the environment says.
    pub(crate) fn from_environment() -> Self {
        let text = |name| std::env::var(name).ok().filter(|text| !text.is_empty());
        Self {
            server: text("CONFMAN_SERVER"),
            token: text("CONFMAN_TOKEN"),
            token_file: text("CONFMAN_TOKEN_FILE").map(PathBuf::from),
            profile: text("CONFMAN_PROFILE"),
        }
    }
}

/// What somebody said, and where.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub(crate) struct Sourced<T> {
    /// What.
    pub(crate) value: T,
    /// Where, in words.
    pub(crate) from: String,
}

/// Where the token is.
#[derive(Clone, PartialEq, Eq)]
pub(crate) enum TokenPlace {
    /// Here.
    Inline(String),
    /// In this file.
    File(PathBuf),
    /// In the keyring, under this server.
    Keyring(String),
}

/// What a command talks to, and as whom.
#[derive(Clone, PartialEq, Eq)]
pub(crate) struct Settings {
    /// URL of the server.
    pub(crate) server: Option<Sourced<String>>,
    /// The token.
    pub(crate) token: Option<Sourced<TokenPlace>>,
    /// What gives a token that does not go to this server.
    pub(crate) withheld: Option<String>,
}

impl Settings {
    /// Chooses by the order above.
    pub(crate) fn resolve(
        flags: &Chosen,
        environment: &Chosen,
        working_copy: Option<&str>,
        profiles: &Profiles,
    ) -> Result<Self, CliError> {
        let flag_profile = named(flags, profiles, "--profile")?;
        let environment_profile = named(environment, profiles, "CONFMAN_PROFILE")?;
        let active_profile = match &profiles.active {
            None => None,
            Some(name) => Some((name.as_str(), "the active profile", profiles.get(name)?)),
        };

        let server = first([
            stated(flags.server.as_deref(), "--server"),
            of_profile(flag_profile),
            stated(environment.server.as_deref(), "CONFMAN_SERVER"),
            of_profile(environment_profile),
            stated(working_copy, BY_WORKING_COPY),
            of_profile(active_profile),
        ]);
        let Some(server) = server else {
            return Ok(Self {
                server: None,
                token: None,
                withheld: None,
            });
        };

        let is_meant = server.from != BY_WORKING_COPY
            || profiles
                .profiles
                .values()
                .any(|profile| same_server(&profile.server, &server.value));
        let same_server = profiles
            .profiles
            .iter()
            .map(|(name, profile)| (name.as_str(), "profile", profile));
        let of_flag = flags.token_file.clone();
        let of_flag = of_flag.map(|path| (TokenPlace::File(path), "--token-file".to_owned()));
        let inline = environment.token.clone();
        let inline = inline.map(|token| (TokenPlace::Inline(token), "CONFMAN_TOKEN".to_owned()));
        let in_file = environment.token_file.clone();
        let in_file = in_file.map(|path| (TokenPlace::File(path), "CONFMAN_TOKEN_FILE".to_owned()));
        let given = [&of_flag, &inline, &in_file].into_iter().flatten().next();
        if !is_meant && let Some((_, from)) = given {
            return Ok(Self {
                withheld: Some(from.clone()),
                server: Some(server),
                token: None,
            });
        }
        let mut candidates: Vec<_> = [
            of_flag,
            token_of(flag_profile, &server.value),
            inline,
            in_file,
            token_of(environment_profile, &server.value),
            token_of(active_profile, &server.value),
        ]
        .into();
        candidates.extend(same_server.map(|profile| token_of(Some(profile), &server.value)));
        let token = candidates
            .into_iter()
            .flatten()
            .next()
            .map(|(value, from)| Sourced { value, from });
        Ok(Self {
            server: Some(server),
            token,
            withheld: None,
        })
    }

    /// URL of the server, or what to do where there is none.
    pub(crate) fn server(&self) -> Result<&str, CliError> {
        self.server.as_ref().map(|server| server.value.as_str()).ok_or_else(|| {
            CliError::usage("no server is chosen")
                .because("neither --server, CONFMAN_SERVER, a working copy nor an active profile names one")
                .next("`confman login --server URL`, or `confman serve --dev` for one to try things out")
        })
    }

    /// The token itself.
    pub(crate) fn token(&self) -> Result<Option<String>, CliError> {
        if let (Some(from), Some(server)) = (&self.withheld, &self.server) {
            let server = &server.value;
            return Err(CliError::new(
                Exit::NotAllowed,
                format!("the token of {from} is not sent to {server}"),
            )
            .because("only this working copy names that server, and it may have come from anywhere")
            .next(format!(
                "if you mean that server: CONFMAN_SERVER={server}, or `confman login --server {server}`"
            )));
        }
        match &self.token {
            None => Ok(None),
            Some(Sourced {
                value: TokenPlace::Inline(token),
                from,
            }) => check_token(token, from).map(Some),
            Some(Sourced {
                value: TokenPlace::File(path),
                from,
            }) => read_token(path, from).map(Some),
            Some(Sourced {
                value: TokenPlace::Keyring(server),
                from,
            }) => check_token(&keyring::token(server)?, from).map(Some),
        }
    }
}

type NamedProfile<'a> = Option<(&'a str, &'a str, &'a Profile)>;

fn named<'a>(
    chosen: &'a Chosen,
    profiles: &'a Profiles,
    from: &'a str,
) -> Result<NamedProfile<'a>, CliError> {
    match &chosen.profile {
        None => Ok(None),
        Some(name) => Ok(Some((name, from, profiles.get(name)?))),
    }
}

fn stated(value: Option<&str>, from: &str) -> Option<Sourced<String>> {
    value.map(|value| Sourced {
        value: value.to_owned(),
        from: from.to_owned(),
    })
}

fn of_profile(profile: NamedProfile<'_>) -> Option<Sourced<String>> {
    profile.map(|(name, from, profile)| Sourced {
        value: profile.server.clone(),
        from: format!("{from} `{name}`"),
    })
}

fn first<T>(candidates: impl IntoIterator<Item = Option<T>>) -> Option<T> {
    candidates.into_iter().flatten().next()
}

/// The token of a profile, where it is for this server.
fn token_of(profile: NamedProfile<'_>, server: &str) -> Option<(TokenPlace, String)> {
    let (name, from, profile) = profile?;
    if !same_server(&profile.server, server) {
        return None;
    }
    let place = match (&profile.token, &profile.token_file) {
        (Some(token), _) => TokenPlace::Inline(token.clone()),
        (None, Some(path)) => TokenPlace::File(path.clone()),
        (None, None) if profile.in_keyring => TokenPlace::Keyring(profile.server.clone()),
        (None, None) => return None,
    };
    Some((place, format!("{from} `{name}`")))
}

/// Whether two URLs name one server; a `/` at the end makes no difference.
pub(crate) fn same_server(one: &str, other: &str) -> bool {
    one.trim_end_matches('/')
        .eq_ignore_ascii_case(other.trim_end_matches('/'))
}

fn read_token(path: &Path, from: &str) -> Result<String, CliError> {
    let what = || {
        format!(
            "cannot read the token in {}, given by {from}",
            path.display()
        )
    };
    let text = std::fs::read_to_string(path).map_err(|error| CliError::io(what(), &error))?;
    check_token(&text, &format!("{} ({from})", path.display()))
}

/// Takes a token as it is typed or read: without the line end, and with nothing that a header
/// could not carry. The token is not repeated in the error.
pub(crate) fn check_token(text: &str, from: &str) -> Result<String, CliError> {
    let token = text.trim();
    let wrong = if token.is_empty() {
        "it is empty".to_owned()
    } else if token.len() > TOKEN_BYTES_MAX {
        format!(
            "it has {} bytes, at most {TOKEN_BYTES_MAX} are allowed",
            token.len()
        )
    } else if !token.bytes().all(|byte| byte.is_ascii_graphic()) {
        "it has characters that a token cannot have".to_owned()
    } else {
        return Ok(token.to_owned());
    };
    Err(CliError::new(
        Exit::Invalid,
        format!("the token from {from} is not usable"),
    )
    .because(wrong))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn profile(server: &str, token: &str) -> Profile {
        Profile {
            server: server.to_owned(),
            token: Some(token.to_owned()),
            token_file: None,
            in_keyring: false,
        }
    }

    fn profiles() -> Profiles {
        let profiles = [
            ("dev".to_owned(), profile("http://dev", "t-dev")),
            ("prod".to_owned(), profile("https://prod/", "t-prod")),
        ];
        Profiles {
            active: Some("dev".to_owned()),
            profiles: profiles.into(),
        }
    }

    fn chosen(text: &str) -> Chosen {
        let mut chosen = Chosen::default();
        for word in text.split_whitespace() {
            let (name, value) = word.split_once('=').unwrap();
            let value = Some(value.to_owned());
            match name {
                "server" => chosen.server = value,
                "token" => chosen.token = value,
                "token-file" => chosen.token_file = value.map(PathBuf::from),
                "profile" => chosen.profile = value,
                _ => panic!("{name}"),
            }
        }
        chosen
    }

    fn resolved(flags: &str, environment: &str, working_copy: Option<&str>) -> String {
        match Settings::resolve(
            &chosen(flags),
            &chosen(environment),
            working_copy,
            &profiles(),
        ) {
            Err(error) => format!("{}: {}", error.exit.code(), error.what),
            Ok(settings) => {
                let server = settings.server.map_or("none".to_owned(), |server| {
                    format!("{} by {}", server.value, server.from)
                });
                let token =
                    settings
                        .token
                        .map_or("no token".to_owned(), |token| match token.value {
                            TokenPlace::Inline(text) => format!("{text} by {}", token.from),
                            TokenPlace::Keyring(server) => {
                                format!("keyring of {server} by {}", token.from)
                            }
                            TokenPlace::File(path) => {
                                format!("{} by {}", path.display(), token.from)
                            }
                        });
                let withheld = settings.withheld.map(|from| format!(", {from} withheld"));
                format!("{server}; {token}{}", withheld.unwrap_or_default())
            }
        }
    }

    #[test]
    fn flags_then_environment_then_working_copy_then_active_profile() {
        let table = [
            ("", "", None),
            ("", "", Some("https://prod")),
            ("", "", Some("http://elsewhere")),
            ("", "server=http://e", Some("https://prod")),
            ("", "profile=prod", Some("http://elsewhere")),
            ("", "token=t profile=prod", None),
            ("", "token=t token-file=/f", None),
            ("", "token=t", Some("http://elsewhere")),
            ("token-file=/flag", "", Some("http://elsewhere")),
            ("", "token=t", Some("https://prod")),
            (
                "",
                "token=t server=http://elsewhere",
                Some("http://elsewhere"),
            ),
            ("server=http://f", "server=http://e token=t", None),
            ("server=http://f", "", None),
            ("profile=prod", "server=http://e", None),
            ("profile=prod", "server=http://e token=t", None),
            ("profile=prod server=http://f", "", None),
            ("token-file=/flag", "token=t", None),
            ("profile=nope", "", None),
        ];
        let lines: Vec<_> = table
            .iter()
            .map(|(flags, environment, working_copy)| {
                let copy = working_copy.unwrap_or("-");
                format!(
                    "[{flags}] [{environment}] {copy} => {}",
                    resolved(flags, environment, *working_copy)
                )
            })
            .collect();
        insta::assert_snapshot!(lines.join("\n"), @"
        [] [] - => http://dev by the active profile `dev`; t-dev by the active profile `dev`
        [] [] https://prod => https://prod by the working copy; t-prod by profile `prod`
        [] [] http://elsewhere => http://elsewhere by the working copy; no token
        [] [server=http://e] https://prod => http://e by CONFMAN_SERVER; no token
        [] [profile=prod] http://elsewhere => https://prod/ by CONFMAN_PROFILE `prod`; t-prod by CONFMAN_PROFILE `prod`
        [] [token=t profile=prod] - => https://prod/ by CONFMAN_PROFILE `prod`; t by CONFMAN_TOKEN
        [] [token=t token-file=/f] - => http://dev by the active profile `dev`; t by CONFMAN_TOKEN
        [] [token=t] http://elsewhere => http://elsewhere by the working copy; no token, CONFMAN_TOKEN withheld
        [token-file=/flag] [] http://elsewhere => http://elsewhere by the working copy; no token, --token-file withheld
        [] [token=t] https://prod => https://prod by the working copy; t by CONFMAN_TOKEN
        [] [token=t server=http://elsewhere] http://elsewhere => http://elsewhere by CONFMAN_SERVER; t by CONFMAN_TOKEN
        [server=http://f] [server=http://e token=t] - => http://f by --server; t by CONFMAN_TOKEN
        [server=http://f] [] - => http://f by --server; no token
        [profile=prod] [server=http://e] - => https://prod/ by --profile `prod`; t-prod by --profile `prod`
        [profile=prod] [server=http://e token=t] - => https://prod/ by --profile `prod`; t-prod by --profile `prod`
        [profile=prod server=http://f] [] - => http://f by --server; no token
        [token-file=/flag] [token=t] - => http://dev by the active profile `dev`; /flag by --token-file
        [profile=nope] [] - => 3: there is no profile `nope`
        ");
    }

    #[test]
    fn without_anything_the_error_says_how_to_begin() {
        let settings = Settings::resolve(
            &Chosen::default(),
            &Chosen::default(),
            None,
            &Profiles::default(),
        )
        .unwrap();
        assert_eq!(settings.server().unwrap_err().exit, Exit::Usage);
    }

    #[test]
    fn tokens_are_trimmed_and_checked_and_not_repeated() {
        assert_eq!(check_token(" cfm_pat_x\n", "stdin").unwrap(), "cfm_pat_x");
        for bad in ["", "two words", "line\nbreak", "ümlaut"] {
            let error = check_token(bad, "stdin").unwrap_err();
            assert_eq!(error.exit, Exit::Invalid);
            assert!(bad.is_empty() || !error.to_text().to_plain().contains(bad));
        }
    }
}
