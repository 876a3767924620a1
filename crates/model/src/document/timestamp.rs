//! Times of RFC 3339 as text, read just far enough to refuse what is none and to compare two.

/// The seconds since 1970 of a time such as `2026-11-24T10:00:00Z`, fractions cut off.
pub(super) fn seconds(text: &str) -> Option<i64> {
    let year = number(text, 0, 4)?;
    let month = number(text, 5, 2).filter(|month| (1..=12).contains(month))?;
    let day = number(text, 8, 2).filter(|day| (1..=days_in_month(year, month)).contains(day))?;
    let hour = number(text, 11, 2).filter(|hour| *hour < 24)?;
    let minute = number(text, 14, 2).filter(|minute| *minute < 60)?;
    // A leap second is the 60th; it counts as the next one.
    let second = number(text, 17, 2).filter(|second| *second <= 60)?;
    let separators: String = [4, 7, 10, 13, 16]
        .iter()
        .filter_map(|at| text.get(*at..*at + 1))
        .collect();
    if !separators.eq_ignore_ascii_case("--T::") {
        return None;
    }
    let east = zone_minutes(without_fraction(text.get(19..)?)?)?;
    let time = (hour * 60 + minute - east) * 60 + second;
    Some(days_since_1970(year, month, day) * 86_400 + time)
}

fn without_fraction(text: &str) -> Option<&str> {
    let Some(fraction) = text.strip_prefix('.') else {
        return Some(text);
    };
    let zone = fraction.trim_start_matches(|c: char| c.is_ascii_digit());
    (zone.len() < fraction.len()).then_some(zone)
}

/// How many minutes a zone such as `Z` or `+01:00` is ahead of UTC.
fn zone_minutes(zone: &str) -> Option<i64> {
    let sign = match zone.get(..1)? {
        "Z" | "z" if zone.len() == 1 => return Some(0),
        "+" => 1,
        "-" => -1,
        _ => return None,
    };
    let hours = number(zone, 1, 2).filter(|hours| *hours < 24)?;
    let minutes = number(zone, 4, 2).filter(|minutes| *minutes < 60)?;
    let well_formed = zone.len() == 6 && zone.get(3..4) == Some(":");
    well_formed.then_some(sign * (hours * 60 + minutes))
}

fn number(text: &str, at: usize, digits: usize) -> Option<i64> {
    let part = text.get(at..at + digits)?;
    part.bytes()
        .all(|byte| byte.is_ascii_digit())
        .then(|| part.parse().ok())
        .flatten()
}

fn is_leap(year: i64) -> bool {
    year % 4 == 0 && (year % 100 != 0 || year % 400 == 0)
}

fn days_in_month(year: i64, month: i64) -> i64 {
    match month {
        2 if is_leap(year) => 29,
        2 => 28,
        4 | 6 | 9 | 11 => 30,
        _ => 31,
    }
}

/// Days of the Gregorian calendar, which the standard extends to year 0.
fn days_since_1970(year: i64, month: i64, day: i64) -> i64 {
    let before = |year: i64| {
        let past = year - 1;
        past * 365 + past.div_euclid(4) - past.div_euclid(100) + past.div_euclid(400)
    };
    let in_year: i64 = (1..month).map(|month| days_in_month(year, month)).sum();
    before(year) - before(1970) + in_year + day - 1
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_are_read_to_the_second() {
        for (text, expected) in [
            ("1970-01-01T00:00:00Z", 0),
            ("1969-12-31T23:59:59z", -1),
            ("2000-02-29t12:00:00.123456789+01:00", 951_822_000),
            ("2026-11-24T10:00:00-05:30", 1_795_534_200),
            ("2016-12-31T23:59:60Z", 1_483_228_800),
            ("0000-01-01T00:00:00Z", -62_167_219_200),
        ] {
            assert_eq!(seconds(text), Some(expected), "{text}");
        }
    }

    #[test]
    fn what_is_no_time_is_refused() {
        for text in [
            "",
            "2026-11-24",
            "2026-11-24T10:00Z",
            "2026-11-24 10:00:00Z",
            "2026-11-24T10:00:00",
            "2026-11-24T10:00:00.Z",
            "2026-11-24T10:00:00+0100",
            "2026-11-24T10:00:00+01:00x",
            "2026-13-01T00:00:00Z",
            "2026-02-29T00:00:00Z",
            "2026-11-24T24:00:00Z",
            "2026-11-24T10:60:00Z",
            "+026-11-24T10:00:00Z",
            "é026-11-24T10:00:00Z",
        ] {
            assert_eq!(seconds(text), None, "{text}");
        }
    }
}
