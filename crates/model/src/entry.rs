//! One entry: a value or a tombstone, and what is said about it.
//!
//! INVARIANT: the details of an [`Entry`] are within their limits.

use std::collections::BTreeSet;

use thiserror::Error;

use crate::quoted::Quoted;
use crate::value::Value;

/// Most bytes of a description.
pub const DESCRIPTION_BYTES_MAX: usize = 4096;
/// Most tags of an entry.
pub const ENTRY_TAGS_MAX: usize = 32;
/// Most bytes of one tag of an entry.
pub const ENTRY_TAG_BYTES_MAX: usize = 64;
/// Most bytes of a media type.
pub const MEDIA_TYPE_BYTES_MAX: usize = 255;

/// What an entry says its key is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum EntryValue {
    /// A value.
    Value(Value),
    /// A tombstone: the key has no value here, and hides an inherited one.
    Unset,
}

/// What is said about an entry beside its value. Checked when an [`Entry`] is made of it.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Details {
    /// What the entry is for; empty where nothing is said.
    pub description: String,
    /// Words to find it by.
    pub tags: BTreeSet<String>,
    /// What kind of bytes the value is, as in `image/png`.
    pub media_type: Option<String>,
}

impl Details {
    /// Whether nothing is said at all.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        *self == Self::default()
    }
}

/// A value or tombstone with its details.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Entry {
    value: EntryValue,
    details: Details,
}

/// Why details are not valid.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
#[error("{}", problems.join("; "))]
pub struct EntryError {
    /// Everything that is wrong, in clauses; at least one.
    pub problems: Vec<String>,
}

impl Entry {
    /// Checks the details and makes an entry.
    ///
    /// # Errors
    /// Reports everything that is wrong with the details.
    pub fn new(value: EntryValue, details: Details) -> Result<Self, EntryError> {
        let problems = problems(&value, &details);
        match problems.is_empty() {
            true => Ok(Self { value, details }),
            false => Err(EntryError { problems }),
        }
    }

    /// An entry of which nothing is said but its value.
    #[must_use]
    pub fn of(value: Value) -> Self {
        Self {
            value: EntryValue::Value(value),
            details: Details::default(),
        }
    }

    /// A tombstone.
    #[must_use]
    pub fn unset() -> Self {
        Self {
            value: EntryValue::Unset,
            details: Details::default(),
        }
    }

    /// The value or tombstone.
    #[must_use]
    pub fn entry_value(&self) -> &EntryValue {
        &self.value
    }

    /// The value, if this is no tombstone.
    #[must_use]
    pub fn value(&self) -> Option<&Value> {
        match &self.value {
            EntryValue::Value(value) => Some(value),
            EntryValue::Unset => None,
        }
    }

    /// Whether this is a tombstone.
    #[must_use]
    pub fn is_unset(&self) -> bool {
        matches!(self.value, EntryValue::Unset)
    }

    /// What is said about it.
    #[must_use]
    pub fn details(&self) -> &Details {
        &self.details
    }

    /// What it is for; empty where nothing is said.
    #[must_use]
    pub fn description(&self) -> &str {
        &self.details.description
    }

    /// Words to find it by.
    #[must_use]
    pub fn tags(&self) -> &BTreeSet<String> {
        &self.details.tags
    }

    /// What kind of bytes the value is.
    #[must_use]
    pub fn media_type(&self) -> Option<&str> {
        self.details.media_type.as_deref()
    }

    /// Takes it apart.
    #[must_use]
    pub fn into_parts(self) -> (EntryValue, Details) {
        (self.value, self.details)
    }
}

fn problems(value: &EntryValue, details: &Details) -> Vec<String> {
    let mut problems = Vec::new();
    let bytes = details.description.len();
    if bytes > DESCRIPTION_BYTES_MAX {
        problems.push(format!(
            "the description has {bytes} bytes, at most {DESCRIPTION_BYTES_MAX} are allowed"
        ));
    }
    let count = details.tags.len();
    if count > ENTRY_TAGS_MAX {
        problems.push(format!(
            "there are {count} tags, at most {ENTRY_TAGS_MAX} are allowed"
        ));
    }
    problems.extend(details.tags.iter().filter_map(|tag| tag_problem(tag)));
    if let Some(media_type) = &details.media_type {
        if *value == EntryValue::Unset {
            problems.push("a tombstone has no media type".to_owned());
        }
        problems.extend(media_type_problem(media_type));
    }
    problems
}

fn tag_problem(tag: &str) -> Option<String> {
    if tag.is_empty() {
        return Some("a tag cannot be empty".to_owned());
    }
    if tag.len() > ENTRY_TAG_BYTES_MAX {
        return Some(format!(
            "tag {} has {} bytes, at most {ENTRY_TAG_BYTES_MAX} are allowed",
            Quoted(tag),
            tag.len()
        ));
    }
    let bare = tag.trim() == tag && !tag.contains(char::is_control);
    (!bare).then(|| {
        format!(
            "tag {} has a control character, or white space at an end",
            Quoted(tag)
        )
    })
}

/// Checks `TYPE/SUBTYPE` and what may follow after `;`.
fn media_type_problem(media_type: &str) -> Option<String> {
    if media_type.len() > MEDIA_TYPE_BYTES_MAX {
        return Some(format!(
            "media type {} has {} bytes, at most {MEDIA_TYPE_BYTES_MAX} are allowed",
            Quoted(media_type),
            media_type.len()
        ));
    }
    let (essence, parameters) = match media_type.split_once(';') {
        Some((essence, parameters)) => (essence, parameters),
        None => (media_type, ""),
    };
    let name = |part: &str| {
        let allowed = |byte: u8| byte.is_ascii_alphanumeric() || b"!#$&-^_.+".contains(&byte);
        part.starts_with(|c: char| c.is_ascii_alphanumeric()) && part.bytes().all(allowed)
    };
    let well_formed = essence
        .split_once('/')
        .is_some_and(|(kind, sub)| name(kind) && name(sub))
        && parameters
            .bytes()
            .all(|byte| byte == b' ' || byte.is_ascii_graphic());
    (!well_formed).then(|| {
        format!(
            "media type {} is not `type/subtype`, as in `image/png`",
            Quoted(media_type)
        )
    })
}

#[cfg(test)]
mod tests {
    use insta::assert_snapshot;

    use super::*;
    use crate::entry_type::EntryType;
    use crate::value::ValueLimits;

    fn value() -> EntryValue {
        EntryValue::Value(Value::new(EntryType::Boolean, "true", &ValueLimits::default()).unwrap())
    }

    #[test]
    fn everything_wrong_with_the_details_is_reported_at_once() {
        let mut tags: BTreeSet<String> =
            (0..ENTRY_TAGS_MAX).map(|index| index.to_string()).collect();
        tags.extend([
            "".to_owned(),
            " a".to_owned(),
            "a\nb".to_owned(),
            "é".repeat(33),
        ]);
        let details = Details {
            description: "x".repeat(DESCRIPTION_BYTES_MAX + 1),
            tags,
            media_type: Some("text".to_owned()),
        };
        let error = Entry::new(EntryValue::Unset, details).unwrap_err();
        assert_snapshot!(error.problems.join("\n"), @r#"
        the description has 4097 bytes, at most 4096 are allowed
        there are 36 tags, at most 32 are allowed
        a tag cannot be empty
        tag ` a` has a control character, or white space at an end
        tag `a\nb` has a control character, or white space at an end
        tag `ééééééééééééééééééééééééééééééééé` has 66 bytes, at most 64 are allowed
        a tombstone has no media type
        media type `text` is not `type/subtype`, as in `image/png`
        "#);
    }

    #[test]
    fn details_at_their_limits_are_accepted() {
        let details = Details {
            description: "x".repeat(DESCRIPTION_BYTES_MAX),
            tags: (0..ENTRY_TAGS_MAX)
                .map(|index| format!("{index:064}"))
                .collect(),
            media_type: Some(format!("text/{}", "x".repeat(MEDIA_TYPE_BYTES_MAX - 5))),
        };
        assert_eq!(
            Entry::new(value(), details.clone()).unwrap().into_parts(),
            (value(), details)
        );
    }

    #[test]
    fn media_types_have_a_form() {
        let with = |media_type: &str| {
            let details = Details {
                media_type: Some(media_type.to_owned()),
                ..Details::default()
            };
            Entry::new(value(), details)
        };
        for good in [
            "image/png",
            "application/vnd.x+json",
            "text/plain; charset=utf-8",
        ] {
            assert!(with(good).is_ok(), "{good}");
        }
        let bad = [
            "",
            "/",
            "text/",
            "/plain",
            "text/plain/x",
            "te xt/plain",
            "text/plain;\n",
            "é/x",
        ];
        let report: Vec<String> = bad
            .iter()
            .map(|text| with(text).unwrap_err().to_string())
            .collect();
        assert_snapshot!(report.join("\n"), @r#"
        media type `` (empty) is not `type/subtype`, as in `image/png`
        media type `/` is not `type/subtype`, as in `image/png`
        media type `text/` is not `type/subtype`, as in `image/png`
        media type `/plain` is not `type/subtype`, as in `image/png`
        media type `text/plain/x` is not `type/subtype`, as in `image/png`
        media type `te xt/plain` is not `type/subtype`, as in `image/png`
        media type `text/plain;\n` is not `type/subtype`, as in `image/png`
        media type `é/x` is not `type/subtype`, as in `image/png`
        "#);
    }
}
