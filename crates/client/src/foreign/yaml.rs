//! YAML as JSON with the author's digits.
//!
//! Scalars without quotes are read by the core schema of YAML 1.2. `yes`, `on` and dates are texts, as
//! there. Merge keys and tags are not taken.

use std::borrow::Cow;
use std::collections::BTreeMap;

use confman_model::Json;
use confman_model::json::{JSON_DEPTH_MAX, Number};
use granit_parser::{Event, Parser, ScalarStyle};

use super::{ForeignProblem, YAML_NODES_MAX};

/// A list or mapping that is not at its end yet.
enum Open {
    List(Vec<Json>),
    Mapping(Vec<(String, Json)>, Option<String>),
}

/// What was read so far.
#[derive(Default)]
struct Reader {
    open: Vec<(Open, usize)>,
    anchors: BTreeMap<usize, Json>,
    nodes: usize,
    documents: usize,
    root: Option<Json>,
}

/// Reads one document.
pub(super) fn read(text: &str) -> Result<Json, Vec<ForeignProblem>> {
    let mut reader = Reader::default();
    for next in Parser::new_from_str(text) {
        let (event, span) = next.map_err(|error| {
            let at = error.marker();
            vec![ForeignProblem {
                key: None,
                line: Some(at.line()),
                column: Some(at.col() + 1),
                what: format!("it is no YAML: {}", error.info()),
            }]
        })?;
        reader.take(event).map_err(|what| {
            let start = span.start;
            vec![ForeignProblem {
                key: reader.key(),
                line: Some(start.line()),
                column: Some(start.col() + 1),
                what,
            }]
        })?;
    }
    Ok(reader.root.unwrap_or(Json::Null))
}

impl Reader {
    /// The key at the top that is being read.
    fn key(&self) -> Option<String> {
        match self.open.first() {
            Some((Open::Mapping(_, key), _)) => key.clone(),
            _ => None,
        }
    }

    fn take(&mut self, event: Event<'_>) -> Result<(), String> {
        match event {
            Event::DocumentStart(..) => {
                self.documents += 1;
                match self.documents {
                    1 => Ok(()),
                    _ => Err("it has several documents; import one at a time".to_owned()),
                }
            }
            Event::Scalar(text, style, anchor, tag) => {
                let json = match tag {
                    None => scalar(text, style)?,
                    Some(_) => return Err("it has a tag, which is not taken".to_owned()),
                };
                self.put(json, anchor)
            }
            Event::SequenceStart(_, anchor, None) => self.begin(Open::List(Vec::new()), anchor),
            Event::MappingStart(_, anchor, None) => {
                self.begin(Open::Mapping(Vec::new(), None), anchor)
            }
            Event::SequenceStart(..) | Event::MappingStart(..) => {
                Err("it has a tag, which is not taken".to_owned())
            }
            Event::SequenceEnd | Event::MappingEnd => {
                let (json, anchor) = match self.open.pop() {
                    Some((Open::List(items), anchor)) => (Json::Array(items), anchor),
                    Some((Open::Mapping(members, _), anchor)) => (Json::Object(members), anchor),
                    None => return Err("it ends what did not begin".to_owned()),
                };
                self.put(json, anchor)
            }
            Event::Alias(anchor) => {
                let json = self
                    .anchors
                    .get(&anchor)
                    .cloned()
                    .ok_or("an alias refers to itself, or to nothing")?;
                self.count(size(&json))?;
                self.put(json, 0)
            }
            _ => Ok(()),
        }
    }

    fn begin(&mut self, open: Open, anchor: usize) -> Result<(), String> {
        if self.open.len() >= JSON_DEPTH_MAX {
            return Err(format!("it is nested more than {JSON_DEPTH_MAX} deep"));
        }
        if let Some((Open::Mapping(_, None), _)) = self.open.last() {
            return Err("a name of a mapping is a list or mapping itself".to_owned());
        }
        self.open.push((open, anchor));
        Ok(())
    }

    fn count(&mut self, nodes: usize) -> Result<(), String> {
        self.nodes = self.nodes.saturating_add(nodes);
        match self.nodes > YAML_NODES_MAX {
            true => Err(format!("it has more than {YAML_NODES_MAX} values")),
            false => Ok(()),
        }
    }

    /// Puts a value where it belongs: a name or value of a mapping, an item, or the whole.
    fn put(&mut self, json: Json, anchor: usize) -> Result<(), String> {
        self.count(1)?;
        if anchor > 0 {
            self.anchors.insert(anchor, json.clone());
        }
        match self.open.last_mut() {
            None => self.root = Some(json),
            Some((Open::List(items), _)) => items.push(json),
            Some((Open::Mapping(members, name), _)) => match name.take() {
                Some(name) => members.push((name, json)),
                None => {
                    let new = match json {
                        Json::String(text) => text,
                        Json::Array(_) | Json::Object(_) => {
                            return Err("a name of a mapping is a list or mapping itself".into());
                        }
                        scalar => scalar.to_compact(),
                    };
                    if new == "<<" {
                        return Err("it has a merge key, which is not taken".to_owned());
                    }
                    if members.iter().any(|(known, _)| *known == new) {
                        return Err(format!("`{new}` is there twice"));
                    }
                    *name = Some(new);
                }
            },
        }
        Ok(())
    }
}

fn size(json: &Json) -> usize {
    match json {
        Json::Array(items) => 1 + items.iter().map(size).sum::<usize>(),
        Json::Object(members) => 1 + members.iter().map(|(_, value)| size(value)).sum::<usize>(),
        _ => 1,
    }
}

fn scalar(text: Cow<'_, str>, style: ScalarStyle) -> Result<Json, String> {
    if style != ScalarStyle::Plain {
        return Ok(Json::String(text.into_owned()));
    }
    match text.as_ref() {
        "" | "~" | "null" | "Null" | "NULL" => return Ok(Json::Null),
        "true" | "True" | "TRUE" => return Ok(Json::Bool(true)),
        "false" | "False" | "FALSE" => return Ok(Json::Bool(false)),
        _ => {}
    }
    let unsigned = text.trim_start_matches(['-', '+']);
    if matches!(unsigned, ".inf" | ".Inf" | ".INF")
        || matches!(text.as_ref(), ".nan" | ".NaN" | ".NAN")
    {
        return Err("a number that is not finite cannot be a value".to_owned());
    }
    if let Some(digits) = text.strip_prefix("0x") {
        return Ok(radix(digits, 16).unwrap_or(Json::String(text.into_owned())));
    }
    if let Some(digits) = text.strip_prefix("0o") {
        return Ok(radix(digits, 8).unwrap_or(Json::String(text.into_owned())));
    }
    Ok(decimal(&text).unwrap_or_else(|| Json::String(text.into_owned())))
}

fn radix(digits: &str, radix: u32) -> Option<Json> {
    let number = u64::from_str_radix(digits, radix).ok()?;
    Number::parse(&number.to_string()).ok().map(Json::Number)
}

/// A number of the core schema, in the digits of its author and the form of JSON: `+3` is 3, `.5` is
/// 0.5, `007` is 7.
fn decimal(text: &str) -> Option<Json> {
    if !text.bytes().any(|b| b.is_ascii_digit()) {
        return None;
    }
    let is_number = |text: &str| {
        text.bytes()
            .all(|b| b.is_ascii_digit() || matches!(b, b'.' | b'e' | b'E' | b'+' | b'-'))
    };
    if !is_number(text) {
        return None;
    }
    if let Ok(number) = Number::parse(text) {
        return Some(Json::Number(number));
    }
    let (sign, rest) = match text.split_at_checked(1)? {
        ("-", rest) => ("-", rest),
        ("+", rest) => ("", rest),
        _ => ("", text),
    };
    let (mantissa, exponent) = match rest.find(['e', 'E']) {
        Some(at) => rest.split_at_checked(at)?,
        None => (rest, ""),
    };
    let (whole, fraction) = mantissa.split_once('.').unwrap_or((mantissa, ""));
    let whole = match whole.trim_start_matches('0') {
        "" => "0",
        digits => digits,
    };
    let fraction = match fraction {
        "" => String::new(),
        digits => format!(".{digits}"),
    };
    let token = format!("{sign}{whole}{fraction}{exponent}");
    Number::parse(&token).ok().map(Json::Number)
}
