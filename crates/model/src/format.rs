//! Keys and values written in the formats that programs read.
//!
//! Every format is a pure function of an ordered list of keys and values, so that whoever has an
//! effective document (a server, a sidecar, a file of last resort) writes the same bytes.
//!
//! | format | what it is |
//! |---|---|
//! | `json` | one object, a key a line, values in their authors' bytes |
//! | `yaml` | one mapping in block style; strings in double quotes |
//! | `toml` | one table; objects are inline tables |
//! | `properties` | Java properties; JSON values as compact text |
//! | `env` | `NAME='value'` for a shell to read; names as in [`env_name`] |
//! | `dotenv` | `NAME="value"` for `.env` readers; names as in [`env_name`] |
//! | `flat` | `key#/pointer = scalar`, one line for every scalar in every value, for `grep` and `diff` |
//!
//! Binary values are base64. Numbers keep every digit.
//!
//! INVARIANT: what a format cannot say is an error that names the key, never a value left out.

mod environment;
mod lines;
mod tree;

use std::fmt;
use std::str::FromStr;

use thiserror::Error;

use crate::json::{self, Pointer};
use crate::key::Key;
use crate::quoted::Quoted;
use crate::value::Value;

pub use environment::{Environment, EnvironmentPrefix, EnvironmentPrefixError, env_name};

/// A format that programs read.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Format {
    /// One JSON object.
    Json,
    /// One YAML mapping.
    Yaml,
    /// One TOML table.
    Toml,
    /// Java properties.
    Properties,
    /// Lines for a shell.
    Env,
    /// Lines for readers of `.env` files.
    Dotenv,
    /// One line for every scalar.
    Flat,
}

/// No format has this name.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
#[error(
    "{} is not a format; allowed are json, yaml, toml, properties, env, dotenv and flat",
    Quoted(text)
)]
pub struct UnknownFormat {
    /// The text as given.
    pub text: String,
}

/// One thing that a format cannot say.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FormatProblem {
    /// The key.
    pub key: Key,
    /// The part of its value, where it is a part.
    pub pointer: Option<Pointer>,
    /// What is wrong, in a clause without a full stop. Never the value.
    pub what: String,
}

impl fmt::Display for FormatProblem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "key `{}`", self.key)?;
        if let Some(pointer) = &self.pointer {
            write!(f, " at {}", Quoted(pointer.as_str()))?;
        }
        write!(f, ": {}", self.what)
    }
}

/// Values that a format cannot say.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FormatError {
    /// The format.
    pub format: Format,
    /// Everything that is wrong; at least one.
    pub problems: Vec<FormatProblem>,
}

impl fmt::Display for FormatError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "not everything can be written as {}: ", self.format)?;
        for (index, problem) in self.problems.iter().enumerate() {
            let separator = if index > 0 { "; " } else { "" };
            write!(f, "{separator}{problem}")?;
        }
        Ok(())
    }
}

impl std::error::Error for FormatError {}

impl Format {
    /// All formats.
    pub const ALL: [Self; 7] = [
        Self::Json,
        Self::Yaml,
        Self::Toml,
        Self::Properties,
        Self::Env,
        Self::Dotenv,
        Self::Flat,
    ];

    /// The name, as in queries and on the command line.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Json => "json",
            Self::Yaml => "yaml",
            Self::Toml => "toml",
            Self::Properties => "properties",
            Self::Env => "env",
            Self::Dotenv => "dotenv",
            Self::Flat => "flat",
        }
    }

    /// The media type of what is written.
    #[must_use]
    pub fn media_type(self) -> &'static str {
        match self {
            Self::Json => "application/json",
            Self::Yaml => "application/yaml",
            Self::Toml => "application/toml",
            Self::Properties | Self::Env | Self::Dotenv | Self::Flat => "text/plain; charset=utf-8",
        }
    }

    /// Writes keys and values, which come in the order of the keys, without repetition.
    ///
    /// # Errors
    /// Names everything that the format cannot say.
    pub fn write(self, values: &[(Key, Value)]) -> Result<String, FormatError> {
        let written = match self {
            Self::Json => Ok(json_object(values)),
            Self::Yaml => Ok(tree::yaml(values)),
            Self::Toml => tree::toml(values),
            Self::Properties => Ok(lines::properties(values)),
            Self::Env => Environment::of(values, &EnvironmentPrefix::default())
                .map(|environment| environment.to_shell()),
            Self::Dotenv => Environment::of(values, &EnvironmentPrefix::default())
                .map(|environment| environment.to_dotenv()),
            Self::Flat => Ok(lines::flat(values)),
        };
        written.map_err(|problems| FormatError {
            format: self,
            problems,
        })
    }
}

impl fmt::Display for Format {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

impl FromStr for Format {
    type Err = UnknownFormat;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        Self::ALL
            .into_iter()
            .find(|format| format.name() == text)
            .ok_or_else(|| UnknownFormat {
                text: text.to_owned(),
            })
    }
}

fn json_object(values: &[(Key, Value)]) -> String {
    let mut out = String::from("{");
    for (index, (key, value)) in values.iter().enumerate() {
        out.push_str(if index == 0 { "\n  " } else { ",\n  " });
        out.push_str(&json::quote(key.as_str()));
        out.push_str(": ");
        out.push_str(&value.to_json());
    }
    out.push_str(if values.is_empty() { "}\n" } else { "\n}\n" });
    out
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::entry_type::EntryType;
    use crate::value::ValueLimits;

    fn values() -> Vec<(Key, Value)> {
        let table: &[(&str, EntryType, &[u8])] = &[
            ("a.b", EntryType::Boolean, b"true"),
            ("big", EntryType::Number, b"9223372036854775807"),
            ("exact", EntryType::Number, b"1.10"),
            (
                "limits",
                EntryType::Json,
                br#"{"daily": 100, "tiers": [1, {"x y": null}], "none": {}, "empty": []}"#,
            ),
            ("logo", EntryType::Binary, &[0, 1, 2]),
            ("stripe/api-version", EntryType::String, b"2025-01-01"),
            ("stripe/key", EntryType::SecretRef, b"vault://kv/stripe#key"),
            (
                "text",
                EntryType::String,
                "it's \"quoted\"\n\tü $HOME \\ \u{85}end ".as_bytes(),
            ),
        ];
        table
            .iter()
            .map(|(key, entry_type, bytes)| {
                let value = Value::new(*entry_type, *bytes, &ValueLimits::default()).unwrap();
                (key.parse().unwrap(), value)
            })
            .collect()
    }

    fn written(format: Format) -> String {
        match format.write(&values()) {
            Ok(text) => text,
            Err(error) => format!("ERROR {error}"),
        }
    }

    #[test]
    fn json_keeps_what_the_author_wrote() {
        insta::assert_snapshot!(written(Format::Json), @r#"
        {
          "a.b": true,
          "big": 9223372036854775807,
          "exact": 1.10,
          "limits": {"daily": 100, "tiers": [1, {"x y": null}], "none": {}, "empty": []},
          "logo": "AAEC",
          "stripe/api-version": "2025-01-01",
          "stripe/key": "vault://kv/stripe#key",
          "text": "it's \"quoted\"\n\tü $HOME \\ end "
        }
        "#);
    }

    #[test]
    fn yaml_is_in_blocks_and_strings_are_quoted() {
        insta::assert_snapshot!(written(Format::Yaml), @r#"
        a.b: true
        big: 9223372036854775807
        exact: 1.10
        limits:
          daily: 100
          tiers:
            - 1
            -
              "x y": null
          none: {}
          empty: []
        logo: "AAEC"
        stripe/api-version: "2025-01-01"
        stripe/key: "vault://kv/stripe#key"
        text: "it's \"quoted\"\n\tü $HOME \\ \u0085end "
        "#);
    }

    #[test]
    fn toml_has_no_null_and_says_where() {
        insta::assert_snapshot!(written(Format::Toml), @"ERROR not everything can be written as toml: key `limits` at `/tiers/1/x y`: TOML has no null");
        let mut values = values();
        values.retain(|(key, _)| key.as_str() != "limits");
        insta::assert_snapshot!(Format::Toml.write(&values).unwrap(), @r#"
        "a.b" = true
        big = 9223372036854775807
        exact = 1.10
        logo = "AAEC"
        "stripe/api-version" = "2025-01-01"
        "stripe/key" = "vault://kv/stripe#key"
        text = "it's \"quoted\"\n\tü $HOME \\ \u0085end "
        "#);
    }

    #[test]
    fn toml_refuses_integers_that_it_does_not_have() {
        let value = |token: &str| {
            let value = Value::new(EntryType::Number, token, &ValueLimits::default()).unwrap();
            Format::Toml.write(&[("k".parse().unwrap(), value)])
        };
        assert_eq!(
            value("9223372036854775807").unwrap(),
            "k = 9223372036854775807\n"
        );
        insta::assert_snapshot!(value("9223372036854775808").unwrap_err(), @"not everything can be written as toml: key `k`: TOML has no integer this large");
        assert_eq!(value("1e30").unwrap(), "k = 1e30\n");
    }

    #[test]
    fn lines_escape_what_their_readers_treat_specially() {
        insta::assert_snapshot!(written(Format::Properties), @r#"
        a.b=true
        big=9223372036854775807
        exact=1.10
        limits={"daily":100,"tiers":[1,{"x y":null}],"none":{},"empty":[]}
        logo=AAEC
        stripe/api-version=2025-01-01
        stripe/key=vault://kv/stripe#key
        text=it's "quoted"\n\t\u00fc $HOME \\ \u0085end
        "#);
        insta::assert_snapshot!(written(Format::Env), @r#"
        A_B='true'
        BIG='9223372036854775807'
        EXACT='1.10'
        LIMITS='{"daily": 100, "tiers": [1, {"x y": null}], "none": {}, "empty": []}'
        LOGO='AAEC'
        STRIPE_API_VERSION='2025-01-01'
        STRIPE_KEY='vault://kv/stripe#key'
        TEXT='it'\''s "quoted"
        	ü $HOME \ end '
        "#);
        insta::assert_snapshot!(written(Format::Dotenv), @r#"
        A_B="true"
        BIG="9223372036854775807"
        EXACT="1.10"
        LIMITS="{\"daily\": 100, \"tiers\": [1, {\"x y\": null}], \"none\": {}, \"empty\": []}"
        LOGO="AAEC"
        STRIPE_API_VERSION="2025-01-01"
        STRIPE_KEY="vault://kv/stripe#key"
        TEXT="it's \"quoted\"\n	ü \$HOME \\ end "
        "#);
        insta::assert_snapshot!(written(Format::Flat), @r#"
        a.b = true
        big = 9223372036854775807
        exact = 1.10
        limits#/daily = 100
        limits#/tiers/0 = 1
        limits#/tiers/1/x y = null
        limits#/none = {}
        limits#/empty = []
        logo = "AAEC"
        stripe/api-version = "2025-01-01"
        stripe/key = "vault://kv/stripe#key"
        text = "it's \"quoted\"\n\tü $HOME \\ end "
        "#);
    }

    #[test]
    fn keys_that_become_one_name_are_an_error_that_names_both() {
        let value = Value::new(EntryType::String, "x", &ValueLimits::default()).unwrap();
        let values: Vec<(Key, Value)> = ["a-b", "a/b", "c", "A.b"]
            .map(|key| (key.parse().unwrap(), value.clone()))
            .into();
        insta::assert_snapshot!(Format::Env.write(&values).unwrap_err(), @"not everything can be written as env: key `a/b`: it would be A_B, and so would key `a-b`; key `A.b`: it would be A_B, and so would key `a/b`");
    }

    #[test]
    fn names_of_formats_are_read_and_others_refused() {
        for format in Format::ALL {
            assert_eq!(format.name().parse(), Ok(format));
        }
        insta::assert_snapshot!("xml".parse::<Format>().unwrap_err(), @"`xml` is not a format; allowed are json, yaml, toml, properties, env, dotenv and flat");
    }
}
