//! User input inside an error message: in backticks, escaped and cut, so that a message is one
//! readable line whatever was sent.

use std::fmt;

/// Characters of user input that an error message repeats.
const QUOTED_CHARS_MAX: usize = 80;

/// Shows text in backticks with control characters escaped, cut after [`QUOTED_CHARS_MAX`].
pub(crate) struct Quoted<'a>(pub(crate) &'a str);

impl fmt::Display for Quoted<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.0.is_empty() {
            return f.write_str("`` (empty)");
        }
        f.write_str("`")?;
        for (count, c) in self.0.chars().enumerate() {
            if count == QUOTED_CHARS_MAX {
                f.write_str("…")?;
                break;
            }
            match c {
                '\'' | '"' | '\\' => write!(f, "{c}")?,
                c => write!(f, "{}", c.escape_debug())?,
            }
        }
        f.write_str("`")
    }
}
