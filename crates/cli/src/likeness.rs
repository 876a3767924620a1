//! "Did you mean …?": the names that are most like one that there is not.

/// How alike two names must be to be taken for each other, from 0 to 1.
const LIKENESS_MIN: f64 = 0.7;

/// The name that is most like `wanted`, if any is like it at all.
pub(crate) fn closest<'n>(
    wanted: &str,
    names: impl IntoIterator<Item = &'n str>,
) -> Option<&'n str> {
    let alike = names.into_iter().filter(|name| *name != wanted);
    let measured = alike.map(|name| (likeness(wanted, name), name));
    let best = measured.max_by(|(one, _), (other, _)| one.total_cmp(other))?;
    (best.0 >= LIKENESS_MIN).then_some(best.1)
}

/// Names that differ in a few characters are alike, and those of which one ends with the other.
fn likeness(wanted: &str, name: &str) -> f64 {
    let (wanted, name) = (wanted.to_ascii_lowercase(), name.to_ascii_lowercase());
    let is_end_of = |end: &str, whole: &str| {
        let rest = whole.strip_suffix(end);
        rest.is_some_and(|rest| rest.is_empty() || rest.ends_with('/') || end.starts_with('/'))
    };
    let by_letters = strsim::normalized_damerau_levenshtein(&wanted, &name);
    match is_end_of(&wanted, &name) || is_end_of(&name, &wanted) {
        true => by_letters.max(LIKENESS_MIN),
        false => by_letters,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn slips_are_recognised_and_other_names_are_not() {
        let names = [
            "/teams",
            "/teams/payments",
            "/teams/refunds",
            "limits/daily",
            "timeout-ms",
        ];
        let table = [
            ("/teams/paymnets", Some("/teams/payments")),
            ("/payments", Some("/teams/payments")),
            ("limits/Dayly", Some("limits/daily")),
            ("daily", Some("limits/daily")),
            ("timeout_ms", Some("timeout-ms")),
            ("/billing", None),
            ("colour", None),
        ];
        for (wanted, meant) in table {
            assert_eq!(closest(wanted, names), meant, "{wanted}");
        }
    }
}
