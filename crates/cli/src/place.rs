//! What a command is about: an address, or a part of one inside a working copy.

use std::str::FromStr;

use confman_model::{Address, DraftName, Key, Namespace, Revision};

use crate::error::{CliError, chain};

/// `NAMESPACE[@REV][:KEY]`, or in a working copy `[@REV][:KEY]` of its namespace.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub(crate) struct Place {
    /// The namespace, if one is named.
    pub(crate) namespace: Option<Namespace>,
    /// The revision, if one is named.
    pub(crate) revision: Option<Revision>,
    /// The key, if one is named.
    pub(crate) key: Option<Key>,
}

impl FromStr for Place {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let relative = text.starts_with(['@', ':']);
        if !relative && !text.starts_with('/') {
            return Err(format!(
                "`{}` is no address: they look like /teams/payments, /teams/payments@published~1:limits, and in a working copy @draft/NAME or :KEY",
                crate::text::escape(text)
            ));
        }
        let whole = if relative {
            format!("/{text}")
        } else {
            text.to_owned()
        };
        let address: Address = whole.parse().map_err(|error| match relative {
            // The slash that was put before it is not the user's.
            true => chain(&error).replacen("`/", "`", 1),
            false => chain(&error),
        })?;
        let names_revision = address_names_revision(text);
        Ok(Self {
            namespace: (!relative).then_some(address.namespace),
            revision: names_revision.then_some(address.revision),
            key: address.key,
        })
    }
}

/// Whether the text has an `@` before any `:`; neither can be part of a namespace.
fn address_names_revision(text: &str) -> bool {
    text.find(['@', ':'])
        .is_some_and(|at| text.get(at..).is_some_and(|rest| rest.starts_with('@')))
}

impl Place {
    /// The revision that is named in the address or by `--at`, not by both.
    pub(crate) fn revision_at(&self, at: Option<Revision>) -> Result<Option<Revision>, CliError> {
        match (&self.revision, at) {
            (Some(named), Some(at)) => Err(CliError::usage(format!(
                "both `@{named}` and --at {at} say as of when"
            ))
            .next("keep one of them")),
            (named, at) => Ok(at.or_else(|| named.clone())),
        }
    }

    /// The draft that the address names, for commands that write one.
    pub(crate) fn draft(&self) -> Result<Option<DraftName>, CliError> {
        match &self.revision {
            None => Ok(None),
            Some(Revision::Draft(draft)) => Ok(Some(draft.clone())),
            Some(revision) => Err(CliError::usage(format!(
                "only drafts can be written, `@{revision}` is none"
            ))
            .next("leave it out, or name a draft: @draft/NAME")),
        }
    }

    /// The key, which this command needs.
    pub(crate) fn need_key(&self, example: &str) -> Result<&Key, CliError> {
        self.key.as_ref().ok_or_else(|| {
            CliError::usage("this command is about one key, and none is named")
                .next(format!("name it after a colon: {example}"))
        })
    }

    /// Refuses a key where the command is about a whole namespace.
    pub(crate) fn no_key(&self, instead: &str) -> Result<(), CliError> {
        match &self.key {
            None => Ok(()),
            Some(key) => Err(CliError::usage(format!(
                "this command is about a whole namespace, not about key `{key}`"
            ))
            .next(instead)),
        }
    }

    /// Refuses a revision where the command has its own way to choose.
    pub(crate) fn no_revision(&self, instead: &str) -> Result<(), CliError> {
        match &self.revision {
            None => Ok(()),
            Some(revision) => Err(CliError::usage(format!(
                "`@{revision}` means nothing to this command"
            ))
            .next(instead)),
        }
    }
}

/// No namespace is named and none is at hand.
pub(crate) fn no_namespace() -> CliError {
    CliError::usage("no namespace is named")
        .because("this directory is no working copy, which would name one")
        .next("name it, as in /teams/payments, or `confman clone` it first")
}

/// Reads a name for clap, with everything that is wrong in one line.
pub(crate) fn name<T>(text: &str) -> Result<T, String>
where
    T: FromStr,
    T::Err: std::error::Error + 'static,
{
    text.parse().map_err(|error: T::Err| chain(&error))
}

/// Reads a revision for clap, with or without the `@` of an address.
pub(crate) fn revision(text: &str) -> Result<Revision, String> {
    name(text.strip_prefix('@').unwrap_or(text))
}

/// Reads a revision or a time for clap: what is no revision, or begins with a year, is a time.
pub(crate) fn moment(text: &str) -> Result<Revision, String> {
    let begins_with_year = text.len() > 4
        && text.bytes().take(4).all(|byte| byte.is_ascii_digit())
        && text.as_bytes().get(4) == Some(&b'-');
    let has_space = text.contains(char::is_whitespace);
    match (begins_with_year || has_space) && !text.starts_with('{') {
        true => name(&format!("{{{text}}}")),
        false => revision(text),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn show(text: &str) -> String {
        match text.parse::<Place>() {
            Err(error) => format!("error: {error}"),
            Ok(place) => format!(
                "{} | {} | {}",
                place.namespace.map_or("-".to_owned(), |it| it.to_string()),
                place.revision.map_or("-".to_owned(), |it| it.to_string()),
                place.key.map_or("-".to_owned(), |it| it.to_string()),
            ),
        }
    }

    #[test]
    fn addresses_and_parts_of_them() {
        let table = [
            "/",
            "/teams/payments",
            "/teams/payments@published",
            "/teams/payments@draft/x:a/b",
            "/teams/payments:stripe/api-version",
            "@published~2",
            ":limits",
            "@{2h ago}:limits",
            "/@#42",
        ];
        let lines: Vec<_> = table
            .iter()
            .map(|text| format!("{text} => {}", show(text)))
            .collect();
        insta::assert_snapshot!(lines.join("\n"), @"
        / => / | - | -
        /teams/payments => /teams/payments | - | -
        /teams/payments@published => /teams/payments | published | -
        /teams/payments@draft/x:a/b => /teams/payments | draft/x | a/b
        /teams/payments:stripe/api-version => /teams/payments | - | stripe/api-version
        @published~2 => - | published~2 | -
        :limits => - | - | limits
        @{2h ago}:limits => - | {2h ago} | limits
        /@#42 => / | #42 | -
        ");
    }

    #[test]
    fn times_need_no_braces_where_a_moment_is_meant() {
        let table = [
            ("2h ago", "{2h ago}"),
            ("2026-11-20", "{2026-11-20}"),
            ("2026-11-20T10:00Z", "{2026-11-20T10:00Z}"),
            ("{2026-11-20}", "{2026-11-20}"),
            ("published~3", "published~3"),
            ("@draft/x", "draft/x"),
            ("v2026", "v2026"),
            ("2026abcd", "2026abcd"),
        ];
        for (text, expected) in table {
            assert_eq!(moment(text).unwrap().to_string(), expected, "{text}");
        }
    }

    #[test]
    fn what_is_no_address_says_why() {
        let table = [
            "",
            "limits",
            "/Teams",
            "/teams/",
            "/teams//payments",
            "/teams@",
            "/teams@published~-1",
            "/teams@draft/UPPER",
            "/teams:",
            "/teams:../x",
            "/teams:a//b",
            "/teams:a b",
            "/te\x1b[2Jams",
            "@{never",
        ];
        let lines: Vec<_> = table
            .iter()
            .map(|text| format!("{text:?} => {}", show(text)))
            .collect();
        insta::assert_snapshot!(lines.join("\n"), @r#"
        "" => error: `` is no address: they look like /teams/payments, /teams/payments@published~1:limits, and in a working copy @draft/NAME or :KEY
        "limits" => error: `limits` is no address: they look like /teams/payments, /teams/payments@published~1:limits, and in a working copy @draft/NAME or :KEY
        "/Teams" => error: address `/Teams` has no valid namespace: segment 1 of namespace `/Teams` is not valid: `Teams` has `T` at character 1; allowed are a-z, 0-9, `.`, `_` and `-`
        "/teams/" => error: address `/teams/` has no valid namespace: namespace `/teams/` must not end with `/`
        "/teams//payments" => error: address `/teams//payments` has no valid namespace: segment 2 of namespace `/teams//payments` is not valid: it is empty
        "/teams@" => error: address `/teams@` has no valid revision after `@`: a revision cannot be empty; allowed are `published`, `published~N`, `draft/NAME`, a commit id, a tag, `#N` and `{TIME}`
        "/teams@published~-1" => error: address `/teams@published~-1` has no valid revision after `@`: revision `published~-1` needs a whole number below 2^64, without sign or leading zeros, after `published~`
        "/teams@draft/UPPER" => error: address `/teams@draft/UPPER` has no valid revision after `@`: revision `draft/UPPER` is not valid: the name of a draft is not valid: `UPPER` has `U` at character 1; allowed are a-z, 0-9, `.`, `_` and `-`
        "/teams:" => error: address `/teams:` has no valid key after `:`: a key cannot be empty
        "/teams:../x" => error: address `/teams:../x` has no valid key after `:`: segment 1 of key `../x` is `..`, which is reserved
        "/teams:a//b" => error: address `/teams:a//b` has no valid key after `:`: segment 2 of key `a//b` is empty; a key is `segment/segment` without a `/` at either end
        "/teams:a b" => error: address `/teams:a b` has no valid key after `:`: segment 1 of key `a b` has ` `; allowed are A-Z, a-z, 0-9, `.`, `_` and `-`
        "/te\u{1b}[2Jams" => error: address `/te\u{1b}[2Jams` has no valid namespace: segment 1 of namespace `/te\u{1b}[2Jams` is not valid: `te\u{1b}[2Jams` has `\u{1b}` at character 3; allowed are a-z, 0-9, `.`, `_` and `-`
        "@{never" => error: address `@{never` has no valid revision after `@`: revision `{never` must be one time between braces, as in `{2026-11-20T10:00Z}` or `{2h ago}`, of at most 64 bytes
        "#);
    }
}
