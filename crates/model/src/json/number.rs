//! JSON numbers, digit for digit, and their exact decimal meaning.
//!
//! INVARIANT: nothing here allocates more than the token is long, whatever its exponent says.

use std::cmp::Ordering;
use std::fmt;

use crate::quoted::Quoted;

/// Most characters of a number.
pub const NUMBER_CHARS_MAX: usize = 1024;
/// Most digits of an exponent, leading zeros aside; so exponents always fit 64 bits.
pub const EXPONENT_DIGITS_MAX: usize = 18;

/// A JSON number as it was written.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Number(Box<str>);

/// The exact value of a number: `digits` × 10^`exponent`, in one normal form.
///
/// INVARIANT: `digits` has no zero at either end; it is empty for zero, which is not negative and
/// has exponent 0.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Decimal {
    negative: bool,
    digits: Box<str>,
    exponent: i64,
}

/// The parts of a number token.
struct Parts<'t> {
    negative: bool,
    whole: &'t str,
    fraction: &'t str,
    exponent: i64,
}

impl Number {
    /// Reads one number token without anything around it.
    ///
    /// # Errors
    /// Says what is wrong with it, in a clause.
    pub fn parse(token: &str) -> Result<Self, String> {
        if token.len() > NUMBER_CHARS_MAX {
            let chars = token.len();
            return Err(format!(
                "a number of {chars} characters is too long, at most {NUMBER_CHARS_MAX} are allowed"
            ));
        }
        split(token)?;
        let double: f64 = token.parse().map_err(|_| not_a_number(token))?;
        if !double.is_finite() {
            return Err(format!(
                "{} is beyond what a double can hold, about 1.8e308",
                Quoted(token)
            ));
        }
        Ok(Self(Box::from(token)))
    }

    /// The token as written.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// The exact value.
    #[must_use]
    pub fn decimal(&self) -> Decimal {
        // The token was accepted, so it splits.
        split(&self.0).map_or_else(|_| Decimal::zero(), |parts| Decimal::of(&parts))
    }

    /// Whether a reader that uses doubles keeps this value. A number written as an integer must be
    /// held exactly; of one with a point or exponent, which says "about", the shortest form of the
    /// double must give the same number back.
    #[must_use]
    pub fn fits_double(&self) -> bool {
        let exact = self.decimal();
        let Ok(double) = self.0.parse::<f64>() else {
            return false;
        };
        let integer = !self.0.contains(['.', 'e', 'E']);
        let held = if integer {
            format!("{double:.0}")
        } else {
            format!("{double:e}")
        };
        split(&held).is_ok_and(|parts| Decimal::of(&parts) == exact)
    }
}

impl fmt::Display for Number {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl Decimal {
    fn zero() -> Self {
        Self {
            negative: false,
            digits: Box::from(""),
            exponent: 0,
        }
    }

    fn of(parts: &Parts<'_>) -> Self {
        let written = format!("{}{}", parts.whole, parts.fraction);
        let significant = written.trim_start_matches('0');
        let digits = significant.trim_end_matches('0');
        if digits.is_empty() {
            return Self::zero();
        }
        // Both counts are bounded by the length of the token, the exponent by its digits.
        let shift = significant.len() as i64 - digits.len() as i64 - parts.fraction.len() as i64;
        Self {
            negative: parts.negative,
            digits: Box::from(digits),
            exponent: parts.exponent + shift,
        }
    }

    /// The power of ten just above the first digit.
    fn magnitude(&self) -> i64 {
        self.exponent + self.digits.len() as i64
    }
}

impl Ord for Decimal {
    fn cmp(&self, other: &Self) -> Ordering {
        let sign = |decimal: &Self| match (decimal.digits.is_empty(), decimal.negative) {
            (true, _) => 0,
            (false, true) => -1,
            (false, false) => 1,
        };
        let by_sign = sign(self).cmp(&sign(other));
        if by_sign != Ordering::Equal || self.digits.is_empty() {
            return by_sign;
        }
        // Digits have no zero at the end, so their order as text is their order as fractions.
        let by_size = self
            .magnitude()
            .cmp(&other.magnitude())
            .then_with(|| self.digits.cmp(&other.digits));
        if self.negative {
            by_size.reverse()
        } else {
            by_size
        }
    }
}

impl PartialOrd for Decimal {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl fmt::Display for Decimal {
    /// Writes the normal form: sign, digits, and the exponent unless it is 0.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let sign = if self.negative { "-" } else { "" };
        let digits = if self.digits.is_empty() {
            "0"
        } else {
            &self.digits
        };
        write!(f, "{sign}{digits}")?;
        if self.exponent != 0 {
            write!(f, "e{}", self.exponent)?;
        }
        Ok(())
    }
}

/// Takes a token apart by the grammar of RFC 8259, section 6.
fn split(token: &str) -> Result<Parts<'_>, String> {
    let (negative, rest) = match token.strip_prefix('-') {
        Some(rest) => (true, rest),
        None => (false, token),
    };
    if rest.starts_with('+') {
        return Err(format!("{} has a plus sign; leave it out", Quoted(token)));
    }
    let (whole, rest) = digits(rest);
    if whole.is_empty() {
        return Err(match rest.starts_with('.') {
            true => format!("{} needs a digit before the point", Quoted(token)),
            false => not_a_number(token),
        });
    }
    if whole.len() > 1 && whole.starts_with('0') {
        return Err(format!(
            "{} has a leading zero; leave it out",
            Quoted(token)
        ));
    }
    let (fraction, rest) = match rest.strip_prefix('.') {
        None => ("", rest),
        Some(rest) => {
            let (fraction, rest) = digits(rest);
            if fraction.is_empty() {
                return Err(format!("{} needs a digit after the point", Quoted(token)));
            }
            (fraction, rest)
        }
    };
    let exponent = match rest.strip_prefix(['e', 'E']) {
        None if rest.is_empty() => 0,
        None => return Err(not_a_number(token)),
        Some(rest) => exponent(token, rest)?,
    };
    Ok(Parts {
        negative,
        whole,
        fraction,
        exponent,
    })
}

fn exponent(token: &str, text: &str) -> Result<i64, String> {
    let unsigned = text.strip_prefix(['+', '-']).unwrap_or(text);
    let (digits, rest) = digits(unsigned);
    if digits.is_empty() {
        return Err(format!("{} needs a digit in the exponent", Quoted(token)));
    }
    if !rest.is_empty() {
        return Err(not_a_number(token));
    }
    let significant = digits.trim_start_matches('0');
    if significant.len() > EXPONENT_DIGITS_MAX {
        return Err(format!(
            "{} has an exponent of {} digits, at most {EXPONENT_DIGITS_MAX} are allowed",
            Quoted(token),
            significant.len()
        ));
    }
    let size: i64 = significant.parse().unwrap_or(0);
    Ok(if text.starts_with('-') { -size } else { size })
}

/// Splits off the digits at the start.
fn digits(text: &str) -> (&str, &str) {
    let end = text
        .find(|c: char| !c.is_ascii_digit())
        .unwrap_or(text.len());
    text.split_at(end)
}

fn not_a_number(token: &str) -> String {
    format!("{} is not a JSON number", Quoted(token))
}

#[cfg(test)]
mod tests {
    use insta::assert_snapshot;
    use proptest::prelude::*;

    use super::*;

    fn decimal(token: &str) -> Decimal {
        Number::parse(token).unwrap().decimal()
    }

    #[test]
    fn what_is_no_number_says_why() {
        let long = "1".repeat(NUMBER_CHARS_MAX + 1);
        let bad = [
            "",
            "-",
            "+1",
            "01",
            "-01",
            ".5",
            "-.5",
            "1.",
            "1e",
            "1e+",
            "1.e5",
            "0x10",
            "1_000",
            "NaN",
            "Infinity",
            "-Infinity",
            " 1",
            "1 ",
            "1,5",
            "1e400",
            "-1e309",
            "1e1000000000000000000",
            "٣",
            &long,
        ];
        let report: Vec<String> = bad
            .iter()
            .map(|token| Number::parse(token).unwrap_err())
            .collect();
        assert_snapshot!(report.join("\n"), @"
        `` (empty) is not a JSON number
        `-` is not a JSON number
        `+1` has a plus sign; leave it out
        `01` has a leading zero; leave it out
        `-01` has a leading zero; leave it out
        `.5` needs a digit before the point
        `-.5` needs a digit before the point
        `1.` needs a digit after the point
        `1e` needs a digit in the exponent
        `1e+` needs a digit in the exponent
        `1.e5` needs a digit after the point
        `0x10` is not a JSON number
        `1_000` is not a JSON number
        `NaN` is not a JSON number
        `Infinity` is not a JSON number
        `-Infinity` is not a JSON number
        ` 1` is not a JSON number
        `1 ` is not a JSON number
        `1,5` is not a JSON number
        `1e400` is beyond what a double can hold, about 1.8e308
        `-1e309` is beyond what a double can hold, about 1.8e308
        `1e1000000000000000000` has an exponent of 19 digits, at most 18 are allowed
        `٣` is not a JSON number
        a number of 1025 characters is too long, at most 1024 are allowed
        ");
    }

    #[test]
    fn a_number_of_the_longest_length_is_accepted() {
        let token = format!("0.{}", "1".repeat(NUMBER_CHARS_MAX - 2));
        assert_eq!(Number::parse(&token).unwrap().as_str(), token);
    }

    #[test]
    fn equal_values_have_one_normal_form() {
        for (token, normal) in [
            ("0", "0"),
            ("-0", "0"),
            ("0.000", "0"),
            ("0e999999999999999999", "0"),
            ("1", "1"),
            ("1.0", "1"),
            ("1e0", "1"),
            ("10", "1e1"),
            ("1E+1", "1e1"),
            ("-12.50", "-125e-1"),
            ("0.001", "1e-3"),
            ("9007199254740993", "9007199254740993"),
            ("1e-999999999", "1e-999999999"),
        ] {
            assert_eq!(decimal(token).to_string(), normal, "{token}");
        }
    }

    #[test]
    fn a_double_holds_some_numbers_and_not_others() {
        for token in [
            "0",
            "-0",
            "0.1",
            "1.5e300",
            "9007199254740992",
            "9223372036854775808",
            "1e23",
        ] {
            assert!(Number::parse(token).unwrap().fits_double(), "{token}");
        }
        for token in [
            "9007199254740993",
            "9007199254740993.0",
            "99999999999999999999999",
            "0.1234567890123456789",
            "1e-400",
        ] {
            assert!(!Number::parse(token).unwrap().fits_double(), "{token}");
        }
    }

    proptest! {
        #[test]
        fn order_and_equality_agree_with_integers(
            a in -1_000_000_i64..1_000_000,
            b in -1_000_000_i64..1_000_000,
            zeros in 0_usize..20,
        ) {
            let shifted = format!("{b}{}e-{zeros}", "0".repeat(if b == 0 { 0 } else { zeros }));
            prop_assert_eq!(decimal(&a.to_string()).cmp(&decimal(&shifted)), a.cmp(&b));
        }

        #[test]
        fn order_agrees_with_doubles(a in any::<f64>(), b in any::<f64>()) {
            prop_assume!(a.is_finite() && b.is_finite());
            let (left, right) = (decimal(&format!("{a:e}")), decimal(&format!("{b}")));
            prop_assert_eq!(left.partial_cmp(&right), a.partial_cmp(&b));
        }

        #[test]
        fn the_normal_form_reads_as_the_same_value(token in "-?(0|[1-9][0-9]{0,12})(\\.[0-9]{1,8})?([eE][+-]?[0-9]{1,2})?") {
            let value = decimal(&token);
            prop_assert_eq!(decimal(&value.to_string()), value);
        }
    }
}
