//! What follows `?` in a URL, read as strictly as the path: a parameter that is not known, is given
//! twice or is not valid is an error, and all such errors are reported at once.

use std::fmt::Display;
use std::str::FromStr;

use confman_api::problem::ProblemItem;

use crate::error::{ApiError, Code, chain};
use crate::url::hex_byte;

/// Longest query string.
pub(crate) const QUERY_BYTES_MAX: usize = 8 * 1024;

/// The parameters of a request. Take each, then call [`Query::finish`] before using them.
#[derive(Debug, Default)]
pub(crate) struct Query {
    pairs: Vec<(String, String)>,
    wrong: Vec<ProblemItem>,
}

impl Query {
    /// Splits and decodes a query string of which only the `allowed` parameters may be there.
    pub(crate) fn parse(raw: Option<&str>, allowed: &[&str]) -> Self {
        let mut query = Self::default();
        let raw = raw.unwrap_or_default();
        if raw.len() > QUERY_BYTES_MAX {
            query.refuse(format!(
                "the query has {} bytes, at most {QUERY_BYTES_MAX} are allowed",
                raw.len()
            ));
            return query;
        }
        for pair in raw.split('&').filter(|pair| !pair.is_empty()) {
            let (name, value) = pair.split_once('=').unwrap_or((pair, ""));
            let (Some(name), Some(value)) = (decode(name), decode(value)) else {
                query.refuse(format!(
                    "the query parameter `{}` is not valid UTF-8 in %-escapes",
                    printable(name)
                ));
                continue;
            };
            if !allowed.contains(&name.as_str()) {
                query.refuse(unknown(&name, allowed));
            } else if query.pairs.iter().any(|(known, _)| *known == name) {
                query.refuse(format!("the query parameter `{name}` is given twice"));
            } else {
                query.pairs.push((name, value));
            }
        }
        query
    }

    /// The text of a parameter.
    pub(crate) fn text(&self, name: &str) -> Option<&str> {
        self.pairs
            .iter()
            .find(|(known, _)| known == name)
            .map(|(_, value)| value.as_str())
    }

    /// A parameter as a `T`.
    pub(crate) fn parsed<T: FromStr<Err: std::error::Error>>(&mut self, name: &str) -> Option<T> {
        match self.text(name)?.parse() {
            Ok(value) => Some(value),
            Err(error) => {
                let wrong = format!(
                    "the query parameter `{name}` is not valid: {}",
                    chain(&error)
                );
                self.refuse(wrong);
                None
            }
        }
    }

    /// A parameter that must be there, as a `T`.
    pub(crate) fn required<T: FromStr<Err: std::error::Error>>(&mut self, name: &str) -> Option<T> {
        if self.text(name).is_none() {
            self.refuse(format!("the query parameter `{name}` is required"));
        }
        self.parsed(name)
    }

    /// A number from 1 to `max`, or `default`.
    pub(crate) fn count(&mut self, name: &str, default: usize, max: usize) -> usize {
        let Some(text) = self.text(name) else {
            return default;
        };
        match text.parse() {
            Ok(count) if (1..=max).contains(&count) => count,
            _ => {
                self.refuse(format!(
                    "the query parameter `{name}` must be a number from 1 to {max}, not `{}`",
                    printable(text)
                ));
                default
            }
        }
    }

    /// `true` or `false`, or `default`.
    pub(crate) fn flag(&mut self, name: &str, default: bool) -> bool {
        match self.text(name) {
            None => default,
            Some("true") => true,
            Some("false") => false,
            Some(other) => {
                let wrong = format!(
                    "the query parameter `{name}` must be `true` or `false`, not `{}`",
                    printable(other)
                );
                self.refuse(wrong);
                default
            }
        }
    }

    /// Notes something that is wrong.
    pub(crate) fn refuse(&mut self, wrong: impl Display) {
        self.wrong.push(ProblemItem {
            detail: wrong.to_string(),
            ..ProblemItem::default()
        });
    }

    /// Fails where anything was wrong.
    pub(crate) fn finish(&mut self) -> Result<(), ApiError> {
        if self.wrong.is_empty() {
            return Ok(());
        }
        Err(ApiError::listed(
            Code::InvalidQuery,
            std::mem::take(&mut self.wrong),
        ))
    }
}

fn unknown(name: &str, allowed: &[&str]) -> String {
    let name = printable(name);
    if allowed.is_empty() {
        return format!("there is no query parameter `{name}` here, nor any other");
    }
    format!(
        "there is no query parameter `{name}` here; there are {}",
        allowed.join(", ")
    )
}

/// Decodes `+` and %-escapes; `None` where an escape or the UTF-8 is broken.
fn decode(raw: &str) -> Option<String> {
    let mut bytes = Vec::with_capacity(raw.len());
    let mut rest = raw.as_bytes();
    while let Some((&first, tail)) = rest.split_first() {
        rest = tail;
        match first {
            b'+' => bytes.push(b' '),
            b'%' => {
                let (escape, tail) = rest.split_at_checked(2)?;
                bytes.push(hex_byte(escape)?);
                rest = tail;
            }
            byte => bytes.push(byte),
        }
    }
    String::from_utf8(bytes).ok()
}

/// Input that is repeated in a message: short, and on one line.
fn printable(text: &str) -> String {
    text.chars().take(60).flat_map(char::escape_debug).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn everything_wrong_is_reported_at_once() {
        let mut query = Query::parse(
            Some("limit=0&rev=published~x&values=yes&colour=red&limit=3&%ff=1&message=a+b%20c"),
            &["limit", "rev", "values", "message"],
        );
        assert_eq!(query.text("message"), Some("a b c"));
        let _ = query.count("limit", 10, 100);
        let _ = query.parsed::<confman_repo::model::Revision>("rev");
        let _ = query.flag("values", true);
        let error = query.finish().unwrap_err();
        let lines: Vec<&str> = error
            .errors
            .iter()
            .map(|item| item.detail.as_str())
            .collect();
        insta::assert_snapshot!(lines.join("\n"), @r"
        there is no query parameter `colour` here; there are limit, rev, values, message
        the query parameter `limit` is given twice
        the query parameter `%ff` is not valid UTF-8 in %-escapes
        the query parameter `limit` must be a number from 1 to 100, not `0`
        the query parameter `rev` is not valid: revision `published~x` needs a whole number below 2^64, without sign or leading zeros, after `published~`
        the query parameter `values` must be `true` or `false`, not `yes`
        ");
    }

    #[test]
    fn absent_parameters_have_their_defaults() {
        let mut query = Query::parse(None, &["limit"]);
        assert_eq!(query.count("limit", 10, 100), 10);
        assert!(query.flag("limit", true));
        assert!(query.finish().is_ok());
    }
}
