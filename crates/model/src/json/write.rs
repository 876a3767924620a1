//! JSON written out: compact, or indented by two spaces.

use super::Json;

impl Json {
    /// Writes JSON in one line without spaces, members in their order.
    #[must_use]
    pub fn to_compact(&self) -> String {
        let mut out = String::new();
        write(self, None, &mut out);
        out
    }

    /// Writes JSON with two spaces of indentation, members in their order.
    #[must_use]
    pub fn to_pretty(&self) -> String {
        let mut out = String::new();
        write(self, Some(0), &mut out);
        out
    }
}

/// Writes `json`; `depth` is how deep it is indented, or `None` for one line.
fn write(json: &Json, depth: Option<usize>, out: &mut String) {
    match json {
        Json::Null => out.push_str("null"),
        Json::Bool(value) => out.push_str(if *value { "true" } else { "false" }),
        Json::Number(number) => out.push_str(number.as_str()),
        Json::String(text) => out.push_str(&quote(text)),
        Json::Array(items) => write_list(('[', ']'), items, depth, out, |item, depth, out| {
            write(item, depth, out);
        }),
        Json::Object(members) => {
            write_list(
                ('{', '}'),
                members,
                depth,
                out,
                |(name, value), depth, out| {
                    out.push_str(&quote(name));
                    out.push_str(if depth.is_some() { ": " } else { ":" });
                    write(value, depth, out);
                },
            );
        }
    }
}

fn write_list<T>(
    (open, close): (char, char),
    list: &[T],
    depth: Option<usize>,
    out: &mut String,
    write_one: impl Fn(&T, Option<usize>, &mut String),
) {
    let inside = depth.map(|depth| depth + 1);
    out.push(open);
    for (index, one) in list.iter().enumerate() {
        if index > 0 {
            out.push(',');
        }
        start_line(inside, out);
        write_one(one, inside, out);
    }
    if !list.is_empty() {
        start_line(depth, out);
    }
    out.push(close);
}

fn start_line(depth: Option<usize>, out: &mut String) {
    if let Some(depth) = depth {
        out.push('\n');
        out.extend(std::iter::repeat_n("  ", depth));
    }
}

/// Writes `text` as a JSON string with its quotes.
#[must_use]
pub fn quote(text: &str) -> String {
    let mut out = String::with_capacity(text.len() + 2);
    out.push('"');
    for c in text.chars() {
        match c {
            '"' => out.push_str("\\\""),
            '\\' => out.push_str("\\\\"),
            '\n' => out.push_str("\\n"),
            '\r' => out.push_str("\\r"),
            '\t' => out.push_str("\\t"),
            // DEL is legal as it is, and written as an escape so that it can be seen.
            c if c < ' ' || c == '\u{7f}' => out.push_str(&format!("\\u{:04x}", u32::from(c))),
            c => out.push(c),
        }
    }
    out.push('"');
    out
}
