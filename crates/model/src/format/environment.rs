//! Keys as names of environment variables.

use std::collections::BTreeMap;
use std::fmt;
use std::str::FromStr;

use data_encoding::BASE64;
use thiserror::Error;

use super::FormatProblem;
use crate::key::Key;
use crate::quoted::Quoted;
use crate::value::Value;

/// Most characters of a prefix.
const PREFIX_CHARS_MAX: usize = 64;

/// Names that decide which code a program runs. A value in configuration must not.
const CODE_NAMES: &[&str] = &[
    "BASH_ENV",
    "ENV",
    "IFS",
    "JAVA_TOOL_OPTIONS",
    "NODE_OPTIONS",
    "PATH",
    "PERL5OPT",
    "PYTHONHOME",
    "PYTHONPATH",
    "PYTHONSTARTUP",
    "RUBYOPT",
];
/// Beginnings of such names, and of those that Confman reads itself.
const CODE_PREFIXES: &[&str] = &["LD_", "DYLD_", "CONFMAN_"];

/// What stands before every name.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct EnvironmentPrefix(String);

/// Why a text cannot stand before a name.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
#[error(
    "{} cannot begin the name of an environment variable: it has 1 to {PREFIX_CHARS_MAX} of A-Z, a-z, 0-9 and `_`, and no digit first",
    Quoted(text)
)]
pub struct EnvironmentPrefixError {
    /// The text as given.
    pub text: String,
}

impl FromStr for EnvironmentPrefix {
    type Err = EnvironmentPrefixError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let is_name = text.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'_');
        let begins = text.bytes().next().is_some_and(|b| !b.is_ascii_digit());
        match is_name && begins && text.len() <= PREFIX_CHARS_MAX {
            true => Ok(Self(text.to_owned())),
            false => Err(EnvironmentPrefixError {
                text: text.to_owned(),
            }),
        }
    }
}

/// The name of the variable that holds a key: in upper case, with `_` for every character that a
/// name cannot have, and before a digit at the start. `stripe/api-version` → `STRIPE_API_VERSION`.
#[must_use]
pub fn env_name(key: &Key, prefix: &EnvironmentPrefix) -> String {
    let mut name = prefix.0.clone();
    for c in key.as_str().chars() {
        if name.is_empty() && c.is_ascii_digit() {
            name.push('_');
        }
        name.push(match c.is_ascii_alphanumeric() {
            true => c.to_ascii_uppercase(),
            false => '_',
        });
    }
    name
}

/// Environment variables, by name.
#[derive(Clone, Default, PartialEq, Eq)]
pub struct Environment {
    variables: BTreeMap<String, String>,
}

impl fmt::Debug for Environment {
    /// Writes names alone; values may be secrets.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_set().entries(self.variables.keys()).finish()
    }
}

impl Environment {
    /// Gives every key its name and every value its text.
    ///
    /// # Errors
    /// Two keys have one name, a name decides which code runs, or a value has a zero byte: all that
    /// is wrong.
    pub fn of(
        values: &[(Key, Value)],
        prefix: &EnvironmentPrefix,
    ) -> Result<Self, Vec<FormatProblem>> {
        let mut problems = Vec::new();
        let mut owners: BTreeMap<String, &Key> = BTreeMap::new();
        let mut variables = BTreeMap::new();
        for (key, value) in values {
            let mut refuse = |what: String| {
                problems.push(FormatProblem {
                    key: key.clone(),
                    pointer: None,
                    what,
                });
            };
            let name = env_name(key, prefix);
            if let Some(other) = owners.insert(name.clone(), key) {
                refuse(format!("it would be {name}, and so would key `{other}`"));
            }
            if decides_code(&name) {
                refuse(format!(
                    "it would be {name}, which decides what code runs and is not taken from configuration; use a prefix or leave the key out"
                ));
            }
            let text = text(value);
            if text.contains('\0') {
                refuse("its value has a zero byte, which no environment variable can hold".into());
            }
            variables.insert(name, text);
        }
        match problems.is_empty() {
            true => Ok(Self { variables }),
            false => Err(problems),
        }
    }

    /// Names and values in the order of the names.
    pub fn iter(&self) -> impl Iterator<Item = (&str, &str)> {
        self.variables
            .iter()
            .map(|(name, value)| (name.as_str(), value.as_str()))
    }

    /// Lines that a shell can read.
    #[must_use]
    pub fn to_shell(&self) -> String {
        self.lines(|value| format!("'{}'", value.replace('\'', r"'\''")))
    }

    /// Lines that readers of `.env` files agree on: double quotes, with `\n`, `\r`, `\"`, `\$` and
    /// `\\` escaped.
    #[must_use]
    pub fn to_dotenv(&self) -> String {
        self.lines(|value| {
            let mut quoted = String::from("\"");
            for c in value.chars() {
                match c {
                    '\n' => quoted.push_str("\\n"),
                    '\r' => quoted.push_str("\\r"),
                    '"' | '\\' | '$' => {
                        quoted.push('\\');
                        quoted.push(c);
                    }
                    c => quoted.push(c),
                }
            }
            quoted.push('"');
            quoted
        })
    }

    fn lines(&self, quote: impl Fn(&str) -> String) -> String {
        let mut out = String::new();
        for (name, value) in self.iter() {
            out.push_str(name);
            out.push('=');
            out.push_str(&quote(value));
            out.push('\n');
        }
        out
    }
}

/// The text of a value: JSON in its author's bytes, binary as base64.
pub(super) fn text(value: &Value) -> String {
    match value.as_str() {
        Some(text) => text.to_owned(),
        None => BASE64.encode(value.bytes()),
    }
}

fn decides_code(name: &str) -> bool {
    CODE_NAMES.contains(&name) || CODE_PREFIXES.iter().any(|prefix| name.starts_with(prefix))
}
