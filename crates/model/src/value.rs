//! What an entry holds: a type and bytes that are valid for it.
//!
//! INVARIANT: the bytes of a [`Value`] are exactly its author's, and valid for its type.

use std::fmt;
use std::sync::Arc;

use data_encoding::{BASE64, DecodeKind};
use thiserror::Error;

use crate::entry_type::EntryType;
use crate::json::parse::{not_utf8, place};
use crate::json::{self, Document, Json, Number, Pointer};
use crate::quoted::Quoted;

/// Most bytes of a value where no setting says otherwise.
pub const VALUE_BYTES_MAX_DEFAULT: usize = 1024 * 1024;
/// Most bytes of a value that a setting can allow.
pub const VALUE_BYTES_CEILING: usize = 16 * 1024 * 1024;
/// Most bytes of the URI of a secret.
pub const SECRET_REF_BYTES_MAX: usize = 2048;
/// Schemes of secret references that are always known.
pub const SECRET_SCHEMES_DEFAULT: [&str; 3] = ["keyvault", "vault", "env"];

/// A type and bytes that are valid for it. Cheap to clone.
#[derive(Clone, PartialEq, Eq, Hash)]
pub struct Value {
    entry_type: EntryType,
    bytes: Arc<[u8]>,
}

/// What a store accepts beyond what every value must be.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ValueLimits {
    /// Most bytes of a value; beyond [`VALUE_BYTES_CEILING`] it has no effect.
    pub value_bytes_max: usize,
    /// Schemes a secret reference may have, without `://`.
    pub secret_schemes: Vec<String>,
}

impl Default for ValueLimits {
    fn default() -> Self {
        Self {
            value_bytes_max: VALUE_BYTES_MAX_DEFAULT,
            secret_schemes: SECRET_SCHEMES_DEFAULT.map(str::to_owned).to_vec(),
        }
    }
}

/// One thing that is wrong with, or odd about, a text, and where.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Problem {
    /// The part of the JSON value it concerns, where there is one.
    pub pointer: Option<Pointer>,
    /// The line, counted from 1.
    pub line: usize,
    /// The character in the line, counted from 1.
    pub column: usize,
    /// The byte, counted from 0.
    pub offset: usize,
    /// What is wrong, in a clause without a full stop.
    pub what: String,
}

impl Problem {
    /// A problem with a text as a whole.
    #[must_use]
    pub fn whole(what: impl Into<String>) -> Self {
        Self {
            pointer: None,
            line: 1,
            column: 1,
            offset: 0,
            what: what.into(),
        }
    }

    /// A problem at a byte of `text`.
    #[must_use]
    pub fn at(text: &str, offset: usize, what: impl Into<String>) -> Self {
        let (line, column) = place(text, offset);
        Self {
            pointer: None,
            line,
            column,
            offset,
            what: what.into(),
        }
    }
}

impl fmt::Display for Problem {
    /// Writes place and problem; the very start of a text needs no place.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.offset > 0 {
            write!(f, "line {}, column {}", self.line, self.column)?;
        }
        match &self.pointer {
            Some(pointer) if self.offset > 0 => write!(f, " (at {}): ", Quoted(pointer.as_str()))?,
            Some(pointer) => write!(f, "at {}: ", Quoted(pointer.as_str()))?,
            None if self.offset > 0 => f.write_str(": ")?,
            None => {}
        }
        f.write_str(&self.what)
    }
}

/// Why bytes are not a value of a type.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub struct ValueError {
    /// The type that was asked for.
    pub entry_type: EntryType,
    /// Everything that is wrong; at least one.
    pub problems: Vec<Problem>,
}

impl fmt::Display for ValueError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "not a valid value of type {}: ", self.entry_type)?;
        for (index, problem) in self.problems.iter().enumerate() {
            let separator = if index > 0 { "; " } else { "" };
            write!(f, "{separator}{problem}")?;
        }
        Ok(())
    }
}

impl Value {
    /// Checks bytes that come from outside.
    ///
    /// # Errors
    /// Reports everything that is wrong with them.
    pub fn new(
        entry_type: EntryType,
        bytes: impl Into<Vec<u8>>,
        limits: &ValueLimits,
    ) -> Result<Self, ValueError> {
        let bytes = bytes.into();
        match check(entry_type, &bytes, limits) {
            Ok(()) => Ok(Self {
                entry_type,
                bytes: Arc::from(bytes),
            }),
            Err(problems) => Err(ValueError {
                entry_type,
                problems,
            }),
        }
    }

    /// Takes bytes that [`Value::new`] accepted once and whose hash was verified since: only what
    /// costs one pass (UTF-8) is checked again.
    ///
    /// # Errors
    /// Fails where a type of text is not UTF-8.
    pub fn from_stored(
        entry_type: EntryType,
        bytes: impl Into<Arc<[u8]>>,
    ) -> Result<Self, ValueError> {
        let bytes = bytes.into();
        if entry_type.is_text() {
            utf8(&bytes).map_err(|problems| ValueError {
                entry_type,
                problems,
            })?;
        }
        Ok(Self { entry_type, bytes })
    }

    /// Reads a value from its JSON form: a string for text, base64 for binary, the JSON itself for
    /// numbers, booleans and JSON. Of JSON, `json_text` is kept exactly; around numbers and
    /// booleans, white space is left out.
    ///
    /// # Errors
    /// Reports everything that is wrong with it.
    pub fn from_json(
        entry_type: EntryType,
        json_text: &str,
        limits: &ValueLimits,
    ) -> Result<Self, ValueError> {
        let text = match entry_type {
            EntryType::Json => return Self::new(entry_type, json_text, limits),
            EntryType::Number | EntryType::Boolean => {
                let token = json_text.trim_matches([' ', '\t', '\n', '\r']);
                return Self::new(entry_type, token, limits);
            }
            EntryType::String | EntryType::SecretRef | EntryType::Binary => json_string(json_text)
                .map_err(|problems| ValueError {
                    entry_type,
                    problems,
                })?,
        };
        if entry_type != EntryType::Binary {
            return Self::new(entry_type, text, limits);
        }
        match base64(&text) {
            Ok(bytes) => Self::new(entry_type, bytes, limits),
            Err(what) => {
                let problems = vec![Problem::whole(what)];
                Err(ValueError {
                    entry_type,
                    problems,
                })
            }
        }
    }

    /// The type a JSON text most naturally has. `null` and what is no JSON fall to a type that then
    /// refuses it with the reason.
    #[must_use]
    pub fn infer(json_text: &str) -> EntryType {
        match json_text.trim_start().chars().next() {
            Some('"') => EntryType::String,
            Some('t' | 'f') => EntryType::Boolean,
            Some('0'..='9' | '-' | '+' | '.') => EntryType::Number,
            _ => EntryType::Json,
        }
    }

    /// Writes the JSON form that [`Value::from_json`] reads.
    #[must_use]
    pub fn to_json(&self) -> String {
        match self.entry_type {
            EntryType::Binary => json::quote(&BASE64.encode(&self.bytes)),
            EntryType::String | EntryType::SecretRef => json::quote(self.text()),
            EntryType::Number | EntryType::Boolean | EntryType::Json => self.text().to_owned(),
        }
    }

    /// The type.
    #[must_use]
    pub fn entry_type(&self) -> EntryType {
        self.entry_type
    }

    /// The author's bytes.
    #[must_use]
    pub fn bytes(&self) -> &[u8] {
        &self.bytes
    }

    /// The author's bytes, shared.
    #[must_use]
    pub fn shared_bytes(&self) -> Arc<[u8]> {
        Arc::clone(&self.bytes)
    }

    /// The text of a value that is not binary.
    #[must_use]
    pub fn as_str(&self) -> Option<&str> {
        self.entry_type.is_text().then(|| self.text())
    }

    /// The text of a value that is not binary; every such value is UTF-8.
    fn text(&self) -> &str {
        std::str::from_utf8(&self.bytes).unwrap_or_default()
    }

    /// The tree of a value of type `json`.
    #[must_use]
    pub fn as_json(&self) -> Option<Json> {
        match self.entry_type {
            EntryType::Json => Json::parse(&self.bytes).ok(),
            _ => None,
        }
    }

    /// What is accepted but worth knowing: numbers that a double does not hold exactly.
    #[must_use]
    pub fn warnings(&self) -> Vec<Problem> {
        let inexact = |number: &Number| {
            format!(
                "a double does not hold {} exactly; a reader that uses doubles gets another number",
                Quoted(number.as_str())
            )
        };
        match self.entry_type {
            EntryType::Number => match Number::parse(self.text()) {
                Ok(number) if !number.fits_double() => vec![Problem::whole(inexact(&number))],
                _ => Vec::new(),
            },
            EntryType::Json => {
                let Ok(document) = Document::parse(&self.bytes) else {
                    return Vec::new();
                };
                let unsafe_numbers = document
                    .numbers()
                    .into_iter()
                    .filter(|(_, _, number)| !number.fits_double());
                unsafe_numbers
                    .map(|(pointer, offset, number)| Problem {
                        pointer: Some(pointer),
                        ..Problem::at(document.text(), offset, inexact(number))
                    })
                    .collect()
            }
            _ => Vec::new(),
        }
    }

    /// Whether both have one type and mean the same.
    #[must_use]
    pub fn same_meaning(&self, other: &Self) -> bool {
        self == other
            || (self.entry_type == other.entry_type
                && matches!(self.entry_type, EntryType::Number | EntryType::Json)
                && self.semantic_bytes() == other.semantic_bytes())
    }

    /// Bytes that are equal exactly where [`Value::same_meaning`] holds: the number of the type,
    /// then the semantic bytes of a number or of JSON, or else the value's own bytes.
    #[must_use]
    pub fn semantic_bytes(&self) -> Vec<u8> {
        let mut out = vec![self.entry_type.number()];
        match self.entry_type {
            EntryType::Number | EntryType::Json => match Json::parse(&self.bytes) {
                Ok(json) => out.extend(json::semantic_bytes(&json)),
                Err(_) => out.extend_from_slice(&self.bytes),
            },
            _ => out.extend_from_slice(&self.bytes),
        }
        out
    }
}

impl fmt::Debug for Value {
    /// Writes type and size. The bytes may be nobody's business and do not belong in logs.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Value({}, {} bytes)", self.entry_type, self.bytes.len())
    }
}

fn check(entry_type: EntryType, bytes: &[u8], limits: &ValueLimits) -> Result<(), Vec<Problem>> {
    let bytes_max = limits.value_bytes_max.min(VALUE_BYTES_CEILING);
    if bytes.len() > bytes_max {
        let what = format!(
            "it has {} bytes, at most {bytes_max} are allowed",
            bytes.len()
        );
        return Err(vec![Problem::whole(what)]);
    }
    match entry_type {
        EntryType::Binary => Ok(()),
        EntryType::String => utf8(bytes).map(|_| ()),
        EntryType::Number => match Number::parse(utf8(bytes)?) {
            Ok(_) => Ok(()),
            Err(what) => Err(vec![Problem::whole(what)]),
        },
        EntryType::Boolean => match utf8(bytes)? {
            "true" | "false" => Ok(()),
            other => {
                let what = format!("{} is neither `true` nor `false`", Quoted(other));
                Err(vec![Problem::whole(what)])
            }
        },
        EntryType::Json => match Json::parse(bytes)? {
            Json::Object(_) | Json::Array(_) => Ok(()),
            Json::Null => Err(vec![Problem::whole(
                "`null` is neither an object nor an array; to have no value, unset the key",
            )]),
            other => {
                let kind = Value::infer(&other.to_compact());
                let what = format!("it is neither an object nor an array; use type {kind}");
                Err(vec![Problem::whole(what)])
            }
        },
        EntryType::SecretRef => secret_ref(utf8(bytes)?, limits),
    }
}

fn utf8(bytes: &[u8]) -> Result<&str, Vec<Problem>> {
    std::str::from_utf8(bytes).map_err(|error| vec![not_utf8(bytes, error.valid_up_to())])
}

fn json_string(json_text: &str) -> Result<String, Vec<Problem>> {
    match Json::parse(json_text.as_bytes())? {
        Json::String(text) => Ok(text),
        _ => Err(vec![Problem::whole(
            "in JSON it must be a string, in double quotes",
        )]),
    }
}

/// Decodes base64 in its only normal form.
fn base64(text: &str) -> Result<Vec<u8>, String> {
    // The decoder takes several padded texts in a row; one value is one of them.
    let padding = text.trim_end_matches('=').find('=');
    let broken = match (padding, BASE64.decode(text.as_bytes())) {
        (None, Ok(bytes)) => return Ok(bytes),
        (Some(offset), _) => offset,
        (None, Err(error)) if error.kind == DecodeKind::Length => {
            return Err(format!(
                "base64 (RFC 4648) comes in groups of 4 characters, filled up with `=`; there are {}",
                text.len()
            ));
        }
        (None, Err(error)) => error.position,
    };
    Err(format!(
        "character {} breaks the base64 (RFC 4648 with padding)",
        broken + 1
    ))
}

/// Checks `SCHEME://REST` and reports all that is wrong with it.
fn secret_ref(uri: &str, limits: &ValueLimits) -> Result<(), Vec<Problem>> {
    let mut problems = Vec::new();
    if uri.len() > SECRET_REF_BYTES_MAX {
        problems.push(Problem::whole(format!(
            "the reference has {} bytes, at most {SECRET_REF_BYTES_MAX} are allowed",
            uri.len()
        )));
    }
    match uri.split_once("://") {
        Some((scheme, rest)) => {
            if !limits
                .secret_schemes
                .iter()
                .any(|allowed| allowed == scheme)
            {
                problems.push(Problem::whole(format!(
                    "scheme {} is not allowed; allowed are {}",
                    Quoted(scheme),
                    limits.secret_schemes.join(", ")
                )));
            }
            if rest.is_empty() {
                problems.push(Problem::at(uri, uri.len(), "there is nothing after `://`"));
            }
        }
        None => problems.push(Problem::whole(format!(
            "a secret reference is `SCHEME://PLACE`, with a scheme of {}",
            limits.secret_schemes.join(", ")
        ))),
    }
    if let Some((offset, c)) = uri
        .char_indices()
        .find(|(_, c)| c.is_whitespace() || c.is_control())
    {
        let what = format!(
            "{} cannot stand in a secret reference",
            Quoted(&c.to_string())
        );
        problems.push(Problem::at(uri, offset, what));
    }
    if problems.is_empty() {
        Ok(())
    } else {
        Err(problems)
    }
}

#[cfg(test)]
mod tests {
    use insta::assert_snapshot;
    use proptest::prelude::*;

    use super::*;
    use crate::json::arbitrary;

    #[must_use]
    fn refused(entry_type: EntryType, values: &[&[u8]]) -> String {
        let limits = ValueLimits::default();
        let refuse = |bytes: &&[u8]| {
            Value::new(entry_type, *bytes, &limits)
                .unwrap_err()
                .to_string()
        };
        values.iter().map(refuse).collect::<Vec<_>>().join("\n")
    }

    #[must_use]
    fn refused_json(entry_type: EntryType, texts: &[&str]) -> String {
        let limits = ValueLimits::default();
        let refuse = |text: &&str| {
            Value::from_json(entry_type, text, &limits)
                .unwrap_err()
                .to_string()
        };
        texts.iter().map(refuse).collect::<Vec<_>>().join("\n")
    }

    fn value(entry_type: EntryType, text: &str) -> Value {
        Value::new(entry_type, text, &ValueLimits::default()).unwrap()
    }

    #[test]
    fn bad_strings_say_why() {
        assert_snapshot!(refused(EntryType::String, &[b"a\nb\xffc", b"\xed\xa0\x80"]), @"
        not a valid value of type string: line 2, column 2: byte 0xff is not UTF-8
        not a valid value of type string: byte 0xed is not UTF-8
        ");
    }

    #[test]
    fn bad_numbers_say_why() {
        assert_snapshot!(refused(EntryType::Number, &[b"", b"1 ", b"01", b"1e999", b"\"1\"", b"1\n", b"\xff"]), @r#"
        not a valid value of type number: `` (empty) is not a JSON number
        not a valid value of type number: `1 ` is not a JSON number
        not a valid value of type number: `01` has a leading zero; leave it out
        not a valid value of type number: `1e999` is beyond what a double can hold, about 1.8e308
        not a valid value of type number: `"1"` is not a JSON number
        not a valid value of type number: `1\n` is not a JSON number
        not a valid value of type number: byte 0xff is not UTF-8
        "#);
    }

    #[test]
    fn bad_booleans_say_why() {
        assert_snapshot!(refused(EntryType::Boolean, &[b"", b"True", b"1", b"true\n"]), @r#"
        not a valid value of type boolean: `` (empty) is neither `true` nor `false`
        not a valid value of type boolean: `True` is neither `true` nor `false`
        not a valid value of type boolean: `1` is neither `true` nor `false`
        not a valid value of type boolean: `true\n` is neither `true` nor `false`
        "#);
    }

    #[test]
    fn bad_json_says_why() {
        assert_snapshot!(refused(EntryType::Json, &[b"", b"null", b"1", b"\"a\"", b"true", b"{\"a\":1,\n\"a\":02}"]), @"
        not a valid value of type json: there is no JSON value
        not a valid value of type json: `null` is neither an object nor an array; to have no value, unset the key
        not a valid value of type json: it is neither an object nor an array; use type number
        not a valid value of type json: it is neither an object nor an array; use type string
        not a valid value of type json: it is neither an object nor an array; use type boolean
        not a valid value of type json: line 2, column 1 (at `/a`): key `a` is there already, at line 1, column 2; line 2, column 5 (at `/a`): `02` has a leading zero; leave it out
        ");
    }

    #[test]
    fn bad_secret_references_say_everything_at_once() {
        assert_snapshot!(refused(EntryType::SecretRef, &[b"", b"PASSWORD", b"env://", b"ENV://A", b"http://x y\n", b"vault://a\x00b"]), @r#"
        not a valid value of type secret-ref: a secret reference is `SCHEME://PLACE`, with a scheme of keyvault, vault, env
        not a valid value of type secret-ref: a secret reference is `SCHEME://PLACE`, with a scheme of keyvault, vault, env
        not a valid value of type secret-ref: line 1, column 7: there is nothing after `://`
        not a valid value of type secret-ref: scheme `ENV` is not allowed; allowed are keyvault, vault, env
        not a valid value of type secret-ref: scheme `http` is not allowed; allowed are keyvault, vault, env; line 1, column 9: ` ` cannot stand in a secret reference
        not a valid value of type secret-ref: line 1, column 10: `\0` cannot stand in a secret reference
        "#);
        let long = format!("env://{}", "A".repeat(SECRET_REF_BYTES_MAX));
        assert_snapshot!(refused(EntryType::SecretRef, &[long.as_bytes()]), @"not a valid value of type secret-ref: the reference has 2054 bytes, at most 2048 are allowed");
    }

    #[test]
    fn a_server_may_allow_more_schemes() {
        let limits = ValueLimits {
            secret_schemes: vec!["op".to_owned()],
            ..ValueLimits::default()
        };
        assert!(Value::new(EntryType::SecretRef, "op://vault/item", &limits).is_ok());
        assert!(Value::new(EntryType::SecretRef, "env://A", &limits).is_err());
    }

    #[test]
    fn size_is_limited_at_the_limit() {
        let limits = ValueLimits {
            value_bytes_max: 4,
            ..ValueLimits::default()
        };
        assert!(Value::new(EntryType::Binary, [0; 4], &limits).is_ok());
        let error = Value::new(EntryType::Binary, [0; 5], &limits).unwrap_err();
        assert_snapshot!(error, @"not a valid value of type binary: it has 5 bytes, at most 4 are allowed");
        let generous = ValueLimits {
            value_bytes_max: usize::MAX,
            ..ValueLimits::default()
        };
        let error = Value::new(
            EntryType::Binary,
            vec![0; VALUE_BYTES_CEILING + 1],
            &generous,
        );
        assert_snapshot!(error.unwrap_err(), @"not a valid value of type binary: it has 16777217 bytes, at most 16777216 are allowed");
    }

    #[test]
    fn the_wrong_json_form_says_why() {
        assert_snapshot!(refused_json(EntryType::String, &["1", "{}", "\"a", "\"\\ud800\""]), @r#"
        not a valid value of type string: in JSON it must be a string, in double quotes
        not a valid value of type string: in JSON it must be a string, in double quotes
        not a valid value of type string: the string that starts here is never closed
        not a valid value of type string: line 1, column 2: `\ud800` is half of a surrogate pair without the other half
        "#);
        assert_snapshot!(refused_json(EntryType::Number, &["\"1\"", "null"]), @r#"
        not a valid value of type number: `"1"` is not a JSON number
        not a valid value of type number: `null` is not a JSON number
        "#);
        assert_snapshot!(refused_json(EntryType::Binary, &["\"a\"", "\"YQ\"", "\"YQ==YQ==\"", "\"Y Q=\"", "1"]), @"
        not a valid value of type binary: base64 (RFC 4648) comes in groups of 4 characters, filled up with `=`; there are 1
        not a valid value of type binary: base64 (RFC 4648) comes in groups of 4 characters, filled up with `=`; there are 2
        not a valid value of type binary: character 3 breaks the base64 (RFC 4648 with padding)
        not a valid value of type binary: character 2 breaks the base64 (RFC 4648 with padding)
        not a valid value of type binary: in JSON it must be a string, in double quotes
        ");
        assert_snapshot!(refused_json(EntryType::Json, &["null", "1"]), @"
        not a valid value of type json: `null` is neither an object nor an array; to have no value, unset the key
        not a valid value of type json: it is neither an object nor an array; use type number
        ");
    }

    #[test]
    fn numbers_that_a_double_changes_are_warned_about() {
        let warnings = |value: Value| {
            value
                .warnings()
                .iter()
                .map(ToString::to_string)
                .collect::<Vec<_>>()
                .join("\n")
        };
        assert_snapshot!(warnings(value(EntryType::Number, "9007199254740993")), @"a double does not hold `9007199254740993` exactly; a reader that uses doubles gets another number");
        assert_snapshot!(warnings(value(EntryType::Json, "{\n \"a/b\": [0.1, 18446744073709551617, 9223372036854775808]}")), @"line 2, column 15 (at `/a~1b/1`): a double does not hold `18446744073709551617` exactly; a reader that uses doubles gets another number");
        assert!(
            value(EntryType::String, "9007199254740993")
                .warnings()
                .is_empty()
        );
    }

    #[test]
    fn the_type_of_a_json_text_is_the_natural_one() {
        for (text, expected) in [
            ("\"a\"", EntryType::String),
            (" \n-1.5", EntryType::Number),
            ("true", EntryType::Boolean),
            ("false", EntryType::Boolean),
            ("{}", EntryType::Json),
            ("[]", EntryType::Json),
            ("null", EntryType::Json),
            ("", EntryType::Json),
        ] {
            assert_eq!(Value::infer(text), expected, "{text}");
        }
    }

    #[test]
    fn meaning_depends_on_the_type() {
        let same =
            |a: EntryType, x: &str, b: EntryType, y: &str| value(a, x).same_meaning(&value(b, y));
        assert!(same(EntryType::Number, "1", EntryType::Number, "1.0"));
        assert!(same(
            EntryType::Json,
            "{\"a\":1,\"b\":2}",
            EntryType::Json,
            "{\"b\":2, \"a\":1}"
        ));
        assert!(!same(EntryType::String, "1", EntryType::String, "1.0"));
        assert!(!same(EntryType::String, "1", EntryType::Number, "1"));
        assert!(!same(EntryType::String, "true", EntryType::Boolean, "true"));
    }

    #[test]
    fn debug_output_does_not_show_the_value() {
        assert_eq!(
            format!("{:?}", value(EntryType::String, "hunter2")),
            "Value(string, 7 bytes)"
        );
    }

    #[test]
    fn stored_text_must_be_utf8() {
        assert!(Value::from_stored(EntryType::Binary, vec![0xff]).is_ok());
        assert!(Value::from_stored(EntryType::Json, vec![0xff]).is_err());
    }

    fn any_value() -> impl Strategy<Value = Value> {
        prop_oneof![
            any::<String>().prop_map(|text| value(EntryType::String, &text)),
            arbitrary::number().prop_map(|number| value(EntryType::Number, number.as_str())),
            any::<bool>().prop_map(|flag| value(EntryType::Boolean, &flag.to_string())),
            arbitrary::object().prop_map(|json| value(EntryType::Json, &json.to_pretty())),
            prop::collection::vec(any::<u8>(), 0..40).prop_map(|bytes| Value::new(
                EntryType::Binary,
                bytes,
                &ValueLimits::default()
            )
            .unwrap()),
            "[a-z/#]{1,10}"
                .prop_map(|rest| value(EntryType::SecretRef, &format!("vault://{rest}"))),
        ]
    }

    proptest! {
        #[test]
        fn the_json_form_reads_back(value in any_value()) {
            let limits = ValueLimits::default();
            let json_text = value.to_json();
            prop_assert_eq!(Value::from_json(value.entry_type(), &json_text, &limits), Ok(value.clone()));
            let inferred = Value::infer(&json_text);
            let expected = match value.entry_type() {
                EntryType::Binary | EntryType::SecretRef => EntryType::String,
                other => other,
            };
            prop_assert_eq!(inferred, expected);
        }

        #[test]
        fn what_was_accepted_is_accepted_from_the_store(value in any_value()) {
            prop_assert_eq!(Value::from_stored(value.entry_type(), value.shared_bytes()), Ok(value));
        }

        #[test]
        fn meaning_is_equality_of_semantic_bytes(a in any_value(), b in any_value()) {
            prop_assert_eq!(a.same_meaning(&b), a.semantic_bytes() == b.semantic_bytes());
        }
    }
}
