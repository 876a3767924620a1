//! Strong entity tags: what an answer is, and what a caller has seen.

use axum::http::{HeaderMap, HeaderName, HeaderValue, header};

use crate::error::ApiError;

/// What `If-Match` says the caller has seen.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum IfMatch {
    /// `*`: it must exist.
    Exists,
    /// It must be this.
    Tag(String),
}

/// The header value of a tag; the text is one of ours: hex digits, dots and words.
pub(crate) fn value(tag: &str) -> Option<HeaderValue> {
    HeaderValue::from_str(&format!("\"{tag}\"")).ok()
}

/// As [`value`], weak: of bytes that say the same and are others.
pub(crate) fn weak_value(tag: &str) -> Option<HeaderValue> {
    HeaderValue::from_str(&format!("W/\"{tag}\"")).ok()
}

/// Whether `If-None-Match` names this tag, so that the caller has this answer already.
pub(crate) fn is_known(headers: &HeaderMap, tag: &str) -> Result<bool, ApiError> {
    let name = header::IF_NONE_MATCH;
    let mut known = false;
    for value in headers.get_all(&name) {
        known |= tags(&name, value)?
            .iter()
            .any(|given| *given == "*" || unquoted(given) == Some(tag));
    }
    Ok(known)
}

/// What `If-Match` says.
pub(crate) fn if_match(headers: &HeaderMap) -> Result<Option<IfMatch>, ApiError> {
    let name = header::IF_MATCH;
    let mut given = Vec::new();
    for value in headers.get_all(&name) {
        given.extend(tags(&name, value)?);
    }
    match given.as_slice() {
        [] => Ok(None),
        ["*"] => Ok(Some(IfMatch::Exists)),
        [weak] if weak.starts_with("W/") => Err(ApiError::header(
            name.as_str(),
            "a weak tag never matches; send the strong one",
        )),
        [tag] => Ok(unquoted(tag).map(|tag| IfMatch::Tag(tag.to_owned()))),
        _ => Err(ApiError::header(
            name.as_str(),
            "give one tag: the state you have seen is one",
        )),
    }
}

/// Splits a list of tags. Ours contain no comma, so that one inside a tag is somebody else's.
fn tags<'v>(name: &HeaderName, value: &'v HeaderValue) -> Result<Vec<&'v str>, ApiError> {
    let wrong = || {
        ApiError::header(
            name.as_str(),
            "give `*` or tags in double quotes, as in `\"a1b2\"`",
        )
    };
    let text = value.to_str().map_err(|_| wrong())?;
    let tags: Vec<&str> = text.split(',').map(str::trim).collect();
    let good = tags
        .iter()
        .all(|tag| *tag == "*" || unquoted(tag).is_some());
    if good { Ok(tags) } else { Err(wrong()) }
}

/// The text of a tag, weak or strong.
fn unquoted(tag: &str) -> Option<&str> {
    let tag = tag.strip_prefix("W/").unwrap_or(tag);
    tag.strip_prefix('"')?
        .strip_suffix('"')
        .filter(|inside| !inside.contains('"'))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn headers(name: HeaderName, value: &'static str) -> HeaderMap {
        HeaderMap::from_iter([(name, HeaderValue::from_static(value))])
    }

    #[test]
    fn a_known_tag_is_found_in_any_list() {
        let known = |value| is_known(&headers(header::IF_NONE_MATCH, value), "abc");
        assert!(known("\"abc\"").unwrap());
        assert!(known("\"x\", W/\"abc\"").unwrap());
        assert!(known("*").unwrap());
        assert!(!known("\"ab\"").unwrap());
        assert!(!is_known(&HeaderMap::new(), "abc").unwrap());
        for broken in ["abc", "\"abc", "", "\"a\" \"b\""] {
            assert!(known(broken).is_err(), "{broken}");
        }
    }

    #[test]
    fn what_was_seen_is_one_strong_tag() {
        let seen = |value| if_match(&headers(header::IF_MATCH, value));
        assert_eq!(
            seen("\"abc\"").unwrap(),
            Some(IfMatch::Tag("abc".to_owned()))
        );
        assert_eq!(seen("*").unwrap(), Some(IfMatch::Exists));
        assert_eq!(if_match(&HeaderMap::new()).unwrap(), None);
        for refused in ["W/\"abc\"", "\"a\", \"b\"", "abc"] {
            assert!(seen(refused).is_err(), "{refused}");
        }
    }
}
