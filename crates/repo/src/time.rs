//! Times as people write them, and as documents have them.

use jiff::civil::{Date, DateTime};
use jiff::tz::TimeZone;
use jiff::{Span, Timestamp};

use crate::error::Error;

/// Reads a moment: RFC 3339, a date or a date with a time in UTC, or a span before now as in `2h ago`.
///
/// # Errors
/// [`Error::Invalid`] where the text is none of these.
pub fn parse(text: &str, now_ms: i64) -> Result<i64, Error> {
    let wrong = || {
        Error::invalid(
            format!(
                "time `{}`",
                text.chars().take(64).collect::<String>().escape_debug()
            ),
            "allowed are RFC 3339 as in `2026-11-20T10:00Z`, a date as in `2026-11-20`, and a span as in `2h ago`",
        )
    };
    if text == "now" {
        return Ok(now_ms);
    }
    if let Ok(timestamp) = text.parse::<Timestamp>() {
        return Ok(timestamp.as_millisecond());
    }
    let civil = text
        .parse::<DateTime>()
        .or_else(|_| text.parse::<Date>().map(|date| date.at(0, 0, 0, 0)));
    if let Ok(civil) = civil {
        return TimeZone::UTC
            .to_timestamp(civil)
            .map(Timestamp::as_millisecond)
            .map_err(|_| wrong());
    }
    let span: Span = match text.ends_with("ago") {
        true => text.parse().map_err(|_| wrong())?,
        false => return Err(wrong()),
    };
    let now = Timestamp::from_millisecond(now_ms).map_err(Error::bug)?;
    let moment = now
        .to_zoned_datetime(TimeZone::UTC)
        .checked_add(span)
        .map_err(|_| wrong())?;
    Ok(moment.timestamp().as_millisecond())
}

/// Writes a moment in RFC 3339, UTC, with milliseconds only where there are some.
#[must_use]
pub fn rfc3339(ms: i64) -> String {
    // A moment outside of the years that RFC 3339 has is shown at the nearest one that it has.
    let clamped = ms.clamp(
        Timestamp::MIN.as_millisecond() + 1,
        Timestamp::MAX.as_millisecond(),
    );
    Timestamp::from_millisecond(clamped)
        .unwrap_or_default()
        .to_string()
}

#[cfg(test)]
mod tests {
    use super::*;

    /// 2026-11-24T12:00:00Z.
    const NOW_MS: i64 = 1_795_521_600_000;

    fn check(text: &str) -> String {
        match parse(text, NOW_MS) {
            Ok(ms) => rfc3339(ms),
            Err(error) => error.to_string(),
        }
    }

    #[test]
    fn moments_are_read() {
        insta::assert_snapshot!(check("2026-11-20T10:00Z"), @"2026-11-20T10:00:00Z");
        insta::assert_snapshot!(check("2026-11-20T10:00:00.25+02:00"), @"2026-11-20T08:00:00.25Z");
        insta::assert_snapshot!(check("2026-11-20"), @"2026-11-20T00:00:00Z");
        insta::assert_snapshot!(check("2026-11-20T10:00"), @"2026-11-20T10:00:00Z");
        insta::assert_snapshot!(check("now"), @"2026-11-24T12:00:00Z");
        insta::assert_snapshot!(check("2h ago"), @"2026-11-24T10:00:00Z");
        insta::assert_snapshot!(check("1 month 2 days ago"), @"2026-10-22T12:00:00Z");
    }

    #[test]
    fn what_is_no_moment_is_refused() {
        insta::assert_snapshot!(check("tomorrow"), @"time `tomorrow` is not valid: allowed are RFC 3339 as in `2026-11-20T10:00Z`, a date as in `2026-11-20`, and a span as in `2h ago`");
        insta::assert_snapshot!(check("2h"), @"time `2h` is not valid: allowed are RFC 3339 as in `2026-11-20T10:00Z`, a date as in `2026-11-20`, and a span as in `2h ago`");
        insta::assert_snapshot!(check("9999999 years ago"), @"time `9999999 years ago` is not valid: allowed are RFC 3339 as in `2026-11-20T10:00Z`, a date as in `2026-11-20`, and a span as in `2h ago`");
        insta::assert_snapshot!(check("2026-02-30"), @"time `2026-02-30` is not valid: allowed are RFC 3339 as in `2026-11-20T10:00Z`, a date as in `2026-11-20`, and a span as in `2h ago`");
    }
}
