//! JSON Pointers (RFC 6901): `/limits/0/name`.

use std::fmt;
use std::str::FromStr;

use thiserror::Error;

use crate::quoted::Quoted;

/// Names one part of a JSON value; the empty text names all of it.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub struct Pointer(String);

/// Why a piece of text is not a JSON Pointer.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum PointerError {
    /// The text is neither empty nor does it start with `/`.
    #[error("JSON pointer {} must be empty or start with `/`", Quoted(text))]
    NotAbsolute {
        /// The text as given.
        text: String,
    },
    /// A `~` is not followed by `0` or `1`.
    #[error(
        "JSON pointer {} has a `~` that is neither `~0` nor `~1`",
        Quoted(text)
    )]
    Tilde {
        /// The text as given.
        text: String,
    },
}

impl Pointer {
    /// The whole value.
    #[must_use]
    pub fn root() -> Self {
        Self::default()
    }

    /// The member called `name` of what this names.
    #[must_use]
    pub fn member(&self, name: &str) -> Self {
        Self(format!(
            "{}/{}",
            self.0,
            name.replace('~', "~0").replace('/', "~1")
        ))
    }

    /// The item at `index` of what this names.
    #[must_use]
    pub fn item(&self, index: usize) -> Self {
        Self(format!("{}/{index}", self.0))
    }

    /// The text form.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// Whether this names the whole value.
    #[must_use]
    pub fn is_root(&self) -> bool {
        self.0.is_empty()
    }

    /// The unescaped steps from the outside in.
    pub fn steps(&self) -> impl Iterator<Item = String> {
        self.0
            .split('/')
            .skip(1)
            .map(|step| step.replace("~1", "/").replace("~0", "~"))
    }
}

/// The index that a step of a pointer means in an array.
pub(super) fn index(step: &str) -> Option<usize> {
    let normal = step == "0" || !step.starts_with(['0', '+']);
    step.parse().ok().filter(|_| normal)
}

impl FromStr for Pointer {
    type Err = PointerError;

    fn from_str(text: &str) -> Result<Self, PointerError> {
        if !text.is_empty() && !text.starts_with('/') {
            return Err(PointerError::NotAbsolute {
                text: text.to_owned(),
            });
        }
        let escapes_hold = text
            .split('~')
            .skip(1)
            .all(|after| after.starts_with(['0', '1']));
        match escapes_hold {
            true => Ok(Self(text.to_owned())),
            false => Err(PointerError::Tilde {
                text: text.to_owned(),
            }),
        }
    }
}

impl fmt::Display for Pointer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

serde_as_text!(Pointer);

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn bad_pointers_say_why() {
        let bad = ["a", "/a~", "/a~2b"];
        let report: Vec<String> = bad
            .iter()
            .map(|text| text.parse::<Pointer>().unwrap_err().to_string())
            .collect();
        insta::assert_snapshot!(report.join("\n"), @"
        JSON pointer `a` must be empty or start with `/`
        JSON pointer `/a~` has a `~` that is neither `~0` nor `~1`
        JSON pointer `/a~2b` has a `~` that is neither `~0` nor `~1`
        ");
    }

    proptest! {
        #[test]
        fn names_survive_escaping(names in prop::collection::vec("[a~/01é ]{0,6}", 0..4)) {
            let pointer = names.iter().fold(Pointer::root(), |above, name| above.member(name));
            prop_assert_eq!(pointer.as_str().parse::<Pointer>().unwrap(), pointer.clone());
            prop_assert_eq!(pointer.steps().collect::<Vec<_>>(), names);
        }
    }
}
