//! Opaque cursors: where a list goes on. Their content is nobody's business but the server's, and a
//! cursor of one list is refused by another.

use data_encoding::BASE64URL_NOPAD;

/// Longest cursor that is looked at.
const CURSOR_BYTES_MAX: usize = 1024;

/// The cursor of `list` after `position`.
pub(crate) fn encode(list: &str, position: &str) -> String {
    BASE64URL_NOPAD.encode(format!("{list} {position}").as_bytes())
}

/// The position in a cursor of `list`.
pub(crate) fn decode(list: &str, cursor: &str) -> Result<String, CursorError> {
    if cursor.len() > CURSOR_BYTES_MAX {
        return Err(CursorError);
    }
    let bytes = BASE64URL_NOPAD
        .decode(cursor.as_bytes())
        .map_err(|_| CursorError)?;
    let text = String::from_utf8(bytes).map_err(|_| CursorError)?;
    match text.split_once(' ') {
        Some((of, position)) if of == list => Ok(position.to_owned()),
        _ => Err(CursorError),
    }
}

/// A text that is not a cursor of this list.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("it is not a cursor of this list; begin again without one")]
pub(crate) struct CursorError;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_cursor_leads_back_to_its_position_in_its_list_only() {
        let cursor = encode("log", "teams payments/é");
        assert_eq!(decode("log", &cursor), Ok("teams payments/é".to_owned()));
        assert_eq!(decode("blame", &cursor), Err(CursorError));
        for forged in ["", "!", "bG9n", &"A".repeat(CURSOR_BYTES_MAX + 1)] {
            assert_eq!(decode("log", forged), Err(CursorError), "{forged}");
        }
    }
}
