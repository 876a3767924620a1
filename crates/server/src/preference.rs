//! What the headers of a request ask for beside its method and path: who the caller is, how fresh
//! the answer must be, how long to wait, in which form, and which write it is a repetition of.

use std::time::Duration;

use axum::http::{HeaderMap, HeaderName, HeaderValue, header};
use confman_api::{HEADER_CLIENT, HEADER_IDEMPOTENCY_KEY, HEADER_MIN_INDEX};
use confman_repo::policy::request::CLIENT_BYTES_MAX;

use crate::error::{ApiError, Code};

/// Longest wait for a change, in seconds. A larger wish is cut to it.
pub const WAIT_SECONDS_MAX: u64 = 300;
/// Longest idempotency key.
pub const IDEMPOTENCY_KEY_BYTES_MAX: usize = 128;

/// The token of `Authorization: Bearer …`.
pub(crate) fn bearer(headers: &HeaderMap) -> Result<&str, ApiError> {
    let Some(value) = headers.get(header::AUTHORIZATION) else {
        return Err(no_token());
    };
    let text = value.to_str().unwrap_or_default();
    match text.split_once(' ') {
        Some((scheme, token)) if scheme.eq_ignore_ascii_case("bearer") => Ok(token.trim()),
        _ => Err(unauthenticated(
            "Bearer realm=\"confman\"",
            "the only authentication is `Authorization: Bearer cfm_pat_…`",
        )),
    }
}

/// The answer to whoever sends no token where one is needed.
pub(crate) fn no_token() -> ApiError {
    unauthenticated(
        "Bearer realm=\"confman\"",
        "send a token: `Authorization: Bearer cfm_pat_…`",
    )
}

/// The answer to a token that is not known.
pub(crate) fn unknown_token() -> ApiError {
    unauthenticated(
        "Bearer realm=\"confman\", error=\"invalid_token\"",
        "the token is not known here, has expired or was revoked",
    )
}

fn unauthenticated(challenge: &'static str, detail: &str) -> ApiError {
    ApiError::new(Code::Unauthenticated, detail).with(
        header::WWW_AUTHENTICATE,
        HeaderValue::from_static(challenge),
    )
}

/// The index that the node must have applied.
pub(crate) fn min_index(headers: &HeaderMap) -> Result<Option<u64>, ApiError> {
    let Some(value) = headers.get(HEADER_MIN_INDEX) else {
        return Ok(None);
    };
    let index = value.to_str().ok().and_then(|text| text.parse().ok());
    index
        .map(Some)
        .ok_or_else(|| ApiError::header(HEADER_MIN_INDEX, "it is a number, as in `Confman-Index`"))
}

/// How long to wait for a change: `Prefer: wait=30`. Other preferences are not ours.
pub(crate) fn wait(headers: &HeaderMap) -> Result<Option<Duration>, ApiError> {
    let name = HeaderName::from_static("prefer");
    for value in headers.get_all(&name) {
        let text = value.to_str().unwrap_or_default();
        for preference in text.split([',', ';']) {
            let (key, value) = preference.split_once('=').unwrap_or((preference, ""));
            if !key.trim().eq_ignore_ascii_case("wait") {
                continue;
            }
            let seconds: u64 = value.trim().trim_matches('"').parse().map_err(|_| {
                ApiError::header("prefer", "`wait` is a number of seconds, as in `wait=30`")
            })?;
            return Ok(Some(Duration::from_secs(seconds.min(WAIT_SECONDS_MAX))));
        }
    }
    Ok(None)
}

/// Who reads, for what is published gradually.
pub(crate) fn client(headers: &HeaderMap) -> Result<Option<&str>, ApiError> {
    let Some(value) = headers.get(HEADER_CLIENT) else {
        return Ok(None);
    };
    let text = value.to_str().unwrap_or_default();
    match (1..=CLIENT_BYTES_MAX).contains(&text.len()) {
        true => Ok(Some(text)),
        false => Err(ApiError::header(
            HEADER_CLIENT,
            &format!("it is 1 to {CLIENT_BYTES_MAX} visible characters of ASCII"),
        )),
    }
}

/// The name that the caller gave a write.
pub(crate) fn idempotency_key(headers: &HeaderMap) -> Result<Option<String>, ApiError> {
    let Some(value) = headers.get(HEADER_IDEMPOTENCY_KEY) else {
        return Ok(None);
    };
    let text = value.to_str().unwrap_or_default();
    let printable = text
        .bytes()
        .all(|byte| byte.is_ascii_graphic() || byte == b' ');
    if text.is_empty() || text.len() > IDEMPOTENCY_KEY_BYTES_MAX || !printable {
        let detail = format!("it has 1 to {IDEMPOTENCY_KEY_BYTES_MAX} printable ASCII characters");
        return Err(ApiError::header(HEADER_IDEMPOTENCY_KEY, &detail));
    }
    Ok(Some(text.to_owned()))
}

/// The media type among `offered` that `Accept` likes best; the first where it does not care.
pub(crate) fn accepted(
    headers: &HeaderMap,
    offered: &[&'static str],
) -> Result<&'static str, ApiError> {
    let first = offered.first().copied().unwrap_or_default();
    let mut ranges = Vec::new();
    for value in headers.get_all(header::ACCEPT) {
        let text = value
            .to_str()
            .map_err(|_| ApiError::header("accept", "it is not ASCII"))?;
        ranges.extend(text.split(',').map(range));
    }
    if ranges.is_empty() {
        return Ok(first);
    }
    let mut best: Option<(u16, &'static str)> = None;
    for media_type in offered {
        let quality = quality(&ranges, media_type);
        if quality > 0 && best.is_none_or(|(highest, _)| quality > highest) {
            best = Some((quality, media_type));
        }
    }
    best.map(|(_, media_type)| media_type).ok_or_else(|| {
        let detail = format!("the answer is {}", offered.join(" or "));
        ApiError::new(Code::NotAcceptable, detail)
    })
}

/// A media range and its quality in thousandths.
pub(crate) fn range(text: &str) -> (String, u16) {
    let mut parameters = text.split(';').map(str::trim);
    let name = parameters.next().unwrap_or_default().to_ascii_lowercase();
    let quality = parameters
        .find_map(|parameter| parameter.strip_prefix("q="))
        .map_or(Some(1000), thousandths)
        .unwrap_or(0);
    (name, quality)
}

/// Reads `1`, `0.5` and the like without floating point.
fn thousandths(text: &str) -> Option<u16> {
    let (whole, fraction) = text.split_once('.').unwrap_or((text, ""));
    let digits: String = fraction.chars().chain("000".chars()).take(3).collect();
    let whole: u16 = whole.parse().ok().filter(|whole| *whole <= 1)?;
    let fraction: u16 = digits.parse().ok()?;
    Some((whole * 1000 + fraction).min(1000))
}

/// The quality of the most exact range that covers a media type.
fn quality(ranges: &[(String, u16)], media_type: &str) -> u16 {
    let kind = media_type.split('/').next().unwrap_or_default();
    let exact = |range: &str| match range {
        "*/*" => Some(0),
        range if range == media_type => Some(2),
        range if range.strip_suffix("/*") == Some(kind) => Some(1),
        _ => None,
    };
    ranges
        .iter()
        .filter_map(|(range, quality)| Some((exact(range)?, *quality)))
        .max_by_key(|(exactness, _)| *exactness)
        .map_or(0, |(_, quality)| quality)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn with(name: &'static str, value: &'static str) -> HeaderMap {
        HeaderMap::from_iter([(
            HeaderName::from_static(name),
            HeaderValue::from_static(value),
        )])
    }

    #[test]
    fn the_form_that_is_liked_best_is_given() {
        let offered = ["application/json", "text/plain", "application/octet-stream"];
        let given = |accept| accepted(&with("accept", accept), &offered).ok();
        for (accept, expected) in [
            ("*/*", Some("application/json")),
            ("text/plain", Some("text/plain")),
            (
                "text/*;q=0.5, application/octet-stream;q=0.4",
                Some("text/plain"),
            ),
            ("application/json;q=0, */*", Some("text/plain")),
            ("text/html, */*;q=0.1", Some("application/json")),
            ("text/html", None),
        ] {
            assert_eq!(given(accept), expected, "{accept}");
        }
        assert_eq!(
            accepted(&HeaderMap::new(), &offered).ok(),
            Some("application/json")
        );
    }

    #[test]
    fn waits_are_bounded_and_must_be_numbers() {
        let seconds =
            |value| wait(&with("prefer", value)).map(|wait| wait.map(|wait| wait.as_secs()));
        assert_eq!(seconds("wait=30").unwrap(), Some(30));
        assert_eq!(seconds("respond-async, WAIT=5").unwrap(), Some(5));
        assert_eq!(seconds("wait=99999").unwrap(), Some(WAIT_SECONDS_MAX));
        assert_eq!(seconds("return=minimal").unwrap(), None);
        assert_eq!(seconds("wait=soon").unwrap_err().code, Code::InvalidHeader);
    }

    #[test]
    fn other_headers_are_read_strictly() {
        assert_eq!(min_index(&with("confman-min-index", "7")).unwrap(), Some(7));
        assert!(min_index(&with("confman-min-index", "-7")).is_err());
        assert_eq!(
            idempotency_key(&with("idempotency-key", "a b"))
                .unwrap()
                .as_deref(),
            Some("a b")
        );
        assert!(idempotency_key(&with("idempotency-key", "")).is_err());
        assert_eq!(bearer(&with("authorization", "bearer x")).unwrap(), "x");
        assert_eq!(
            bearer(&with("authorization", "Basic eDp5"))
                .unwrap_err()
                .code,
            Code::Unauthenticated
        );
        assert_eq!(
            bearer(&HeaderMap::new()).unwrap_err().code,
            Code::Unauthenticated
        );
    }
}
