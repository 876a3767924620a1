//! Which keys of a document somebody wants.

use std::fmt;
use std::str::FromStr;

use confman_model::{Key, Value};

/// Most characters of a pattern.
const PATTERN_CHARS_MAX: usize = 255;

/// A pattern of keys: `*` stands for any characters but `/`, `**` for any at all, `?` for one
/// character that is not `/`; everything else for itself. A `/` at the end means everything below.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct KeyPattern {
    text: String,
    parts: Vec<Part>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Part {
    One(char),
    AnyOne,
    InSegment,
    Anything,
}

/// Why a text is not a pattern of keys.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("`{text}` is not a pattern of keys: {reason}")]
pub struct KeyPatternError {
    /// The text as given.
    pub text: String,
    /// What is wrong, in a clause.
    pub reason: &'static str,
}

impl FromStr for KeyPattern {
    type Err = KeyPatternError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let refuse = |reason| KeyPatternError {
            text: text.chars().take(PATTERN_CHARS_MAX).collect(),
            reason,
        };
        if text.is_empty() {
            return Err(refuse("it is empty"));
        }
        if text.len() > PATTERN_CHARS_MAX {
            return Err(refuse("it is longer than any key"));
        }
        let mut parts = Vec::new();
        let mut chars = text.chars().peekable();
        while let Some(c) = chars.next() {
            parts.push(match c {
                '*' if chars.next_if_eq(&'*').is_some() => Part::Anything,
                '*' => Part::InSegment,
                '?' => Part::AnyOne,
                c if c.is_ascii_alphanumeric() || matches!(c, '.' | '_' | '-' | '/') => {
                    Part::One(c)
                }
                _ => return Err(refuse("it has a character that no key has")),
            });
        }
        if text.ends_with('/') {
            parts.push(Part::Anything);
        }
        Ok(Self {
            text: text.to_owned(),
            parts,
        })
    }
}

impl fmt::Display for KeyPattern {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)
    }
}

impl KeyPattern {
    /// Whether a key is one of those meant. Time is the product of both lengths at most.
    #[must_use]
    pub fn matches(&self, key: &Key) -> bool {
        // Which positions of the pattern the text so far can have led to.
        let mut reached = vec![false; self.parts.len() + 1];
        set(&mut reached, 0);
        self.skip(&mut reached);
        for c in key.as_str().chars() {
            let mut next = vec![false; self.parts.len() + 1];
            for (at, part) in self.parts.iter().enumerate() {
                if !reached.get(at).copied().unwrap_or_default() {
                    continue;
                }
                match part {
                    Part::One(expected) if *expected == c => set(&mut next, at + 1),
                    Part::AnyOne if c != '/' => set(&mut next, at + 1),
                    Part::InSegment if c != '/' => set(&mut next, at),
                    Part::Anything => set(&mut next, at),
                    _ => {}
                }
            }
            self.skip(&mut next);
            reached = next;
        }
        reached.last().copied().unwrap_or_default()
    }

    /// Stars may stand for nothing.
    fn skip(&self, reached: &mut [bool]) {
        for (at, part) in self.parts.iter().enumerate() {
            let is_star = matches!(part, Part::InSegment | Part::Anything);
            if is_star && reached.get(at).copied().unwrap_or_default() {
                set(reached, at + 1);
            }
        }
    }
}

fn set(reached: &mut [bool], at: usize) {
    if let Some(place) = reached.get_mut(at) {
        *place = true;
    }
}

/// Which keys are wanted: those that one of `only` means (all where it is empty), without those
/// that one of `except` means.
#[derive(Clone, Debug, Default)]
pub struct Selection {
    /// Patterns of what is wanted.
    pub only: Vec<KeyPattern>,
    /// Patterns of what is not.
    pub except: Vec<KeyPattern>,
}

impl Selection {
    /// Whether a key is wanted.
    #[must_use]
    pub fn wants(&self, key: &Key) -> bool {
        let any = |patterns: &[KeyPattern]| patterns.iter().any(|pattern| pattern.matches(key));
        (self.only.is_empty() || any(&self.only)) && !any(&self.except)
    }

    /// The wanted ones of keys and values.
    #[must_use]
    pub fn of(&self, values: &[(Key, Value)]) -> Vec<(Key, Value)> {
        let wanted = values.iter().filter(|(key, _)| self.wants(key));
        wanted.cloned().collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn patterns_mean_what_they_say() {
        let table = [
            ("a/b", "a/b", true),
            ("a/b", "a/bc", false),
            ("a/*", "a/b", true),
            ("a/*", "a/b/c", false),
            ("a/**", "a/b/c", true),
            ("a/", "a/b/c", true),
            ("a/", "a", false),
            ("**", "a/b", true),
            ("*", "a/b", false),
            ("**/key", "x/y/key", true),
            ("a?c", "abc", true),
            ("a?c", "a/c", false),
            ("*-*-*", "a-b-c", true),
            ("*x", "aaaa", false),
        ];
        for (pattern, key, expected) in table {
            let pattern: KeyPattern = pattern.parse().unwrap();
            assert_eq!(
                pattern.matches(&key.parse().unwrap()),
                expected,
                "{pattern} {key}"
            );
        }
        for bad in ["", "a b", "[ab]", "ä"] {
            assert!(bad.parse::<KeyPattern>().is_err(), "{bad}");
        }
    }

    #[test]
    fn only_comes_first_and_except_takes_away() {
        let selection = Selection {
            only: vec!["db/".parse().unwrap()],
            except: vec!["db/admin/*".parse().unwrap()],
        };
        let wanted = ["db/url", "db/admin/password", "cache/url"]
            .map(|key| selection.wants(&key.parse().unwrap()));
        assert_eq!(wanted, [true, false, false]);
        assert!(Selection::default().wants(&"x".parse().unwrap()));
    }
}
