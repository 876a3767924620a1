//! Moments as RFC 3339.

use confman_repo::objects::Moment;
use jiff::Timestamp;
use jiff::tz::Offset;

/// A moment in UTC. What no calendar of four digits can say is moved to its nearest end.
pub(crate) fn utc(ms: i64) -> String {
    timestamp(ms).to_string()
}

/// A moment in the time zone it was told in.
pub(crate) fn local(moment: Moment) -> String {
    let seconds = i32::from(moment.offset_minutes) * 60;
    match Offset::from_seconds(seconds) {
        Ok(offset) if seconds != 0 => timestamp(moment.ms).display_with_offset(offset).to_string(),
        _ => utc(moment.ms),
    }
}

fn timestamp(ms: i64) -> Timestamp {
    let nearest = if ms < 0 {
        Timestamp::MIN
    } else {
        Timestamp::MAX
    };
    Timestamp::from_millisecond(ms).unwrap_or(nearest)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn moments_keep_their_offset() {
        assert_eq!(utc(1_795_000_000_123), "2026-11-18T11:06:40.123Z");
        assert_eq!(
            local(Moment {
                ms: 1_795_000_000_000,
                offset_minutes: 90
            }),
            "2026-11-18T12:36:40+01:30"
        );
        assert_eq!(
            local(Moment {
                ms: 0,
                offset_minutes: 0
            }),
            "1970-01-01T00:00:00Z"
        );
        assert!(utc(i64::MAX).starts_with("9999-12-30"));
    }
}
