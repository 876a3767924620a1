//! `--jq`: what is printed as JSON goes through a filter in the language of jq first.
//!
//! Numbers keep their digits, and a text comes out as it is, without quotes, as `jq -r` has it.

use jaq_core::data::JustLut;
use jaq_core::load::{Arena, File, Loader};
use jaq_core::{Compiler, Ctx, Vars, unwrap_valr};
use jaq_json::{Val, read};

use crate::error::CliError;

type Program = jaq_core::compile::Filter<jaq_core::Native<JustLut<Val>>>;

/// A filter that is understood.
pub(crate) struct Filter(Program);

impl std::fmt::Debug for Filter {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Filter").finish_non_exhaustive()
    }
}

impl Filter {
    /// Reads a filter.
    pub(crate) fn parse(text: &str) -> Result<Self, CliError> {
        let not_valid = |why: String| {
            CliError::usage(format!("`{text}` is no filter of jq"))
                .because(why)
                .next("it is like `.key` or `.changes[] | select(.kind == \"added\") | .key`")
        };
        let definitions = jaq_core::defs()
            .chain(jaq_std::defs())
            .chain(jaq_json::defs());
        let functions = jaq_core::funs()
            .chain(jaq_std::funs())
            .chain(jaq_json::funs());
        let arena = Arena::default();
        let program = File {
            code: text,
            path: (),
        };
        let modules = Loader::new(definitions)
            .load(&arena, program)
            .map_err(|errors| not_valid(load_problem(text, &errors)))?;
        let filter = Compiler::default()
            .with_funs(functions)
            .compile(modules)
            .map_err(|errors| not_valid(compile_problem(text, &errors)))?;
        Ok(Self(filter))
    }

    /// What the filter makes of a document: lines.
    pub(crate) fn apply(&self, json: &[u8]) -> Result<Vec<Vec<u8>>, CliError> {
        let input = read::parse_single(json)
            .map_err(|error| CliError::invalid("--jq needs JSON").because(error.to_string()))?;
        let context = Ctx::<JustLut<Val>>::new(&self.0.lut, Vars::new([]));
        let mut lines = Vec::new();
        for found in self.0.id.run((context, input)).map(unwrap_valr) {
            let value = found.map_err(|error| {
                CliError::invalid("the filter cannot be applied").because(error.to_string())
            })?;
            lines.push(match value {
                Val::TStr(text) => text.to_vec(),
                value => value.to_string().into_bytes(),
            });
        }
        Ok(lines)
    }
}

/// Where a piece of the text stands: its first character, from 1.
fn column(text: &str, piece: &str) -> usize {
    let offset = (piece.as_ptr() as usize).saturating_sub(text.as_ptr() as usize);
    let before = text.get(..offset).unwrap_or_default();
    before.chars().count() + 1
}

fn load_problem(text: &str, errors: &jaq_core::load::Errors<&str, ()>) -> String {
    use jaq_core::load::Error;
    let said = errors.iter().flat_map(|(_, error)| match error {
        Error::Io(errors) => errors.iter().map(|(_, what)| what.clone()).collect(),
        Error::Lex(errors) => {
            let said = errors.iter().map(|(expected, rest)| {
                format!(
                    "expected {} at character {}",
                    expected.as_str(),
                    column(text, rest)
                )
            });
            said.collect::<Vec<_>>()
        }
        Error::Parse(errors) => {
            let said = errors.iter().map(|(expected, rest)| {
                format!(
                    "expected {} at character {}",
                    expected.as_str(),
                    column(text, rest)
                )
            });
            said.collect()
        }
    });
    said.collect::<Vec<_>>().join("; ")
}

fn compile_problem(text: &str, errors: &jaq_core::compile::Errors<&str, ()>) -> String {
    let said = errors
        .iter()
        .flat_map(|(_, errors)| errors)
        .map(|(name, undefined)| {
            format!(
                "there is no {} `{name}` at character {}",
                undefined.as_str(),
                column(text, name)
            )
        });
    said.collect::<Vec<_>>().join("; ")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn filtered(filter: &str, json: &str) -> String {
        let lines = Filter::parse(filter).and_then(|filter| filter.apply(json.as_bytes()));
        match lines {
            Ok(lines) => lines
                .iter()
                .map(|line| String::from_utf8_lossy(line).into_owned())
                .collect::<Vec<_>>()
                .join("\n"),
            Err(error) => error.to_text().to_plain().trim_end().to_owned(),
        }
    }

    #[test]
    fn documents_are_filtered_with_their_digits() {
        let json = r#"{"a": 1.10, "b": 18446744073709551617, "c": ["x\ty", null, {"d": true}]}"#;
        insta::assert_snapshot!(filtered(".a, .b, .c[]", json), @r#"
        1.10
        18446744073709551617
        x	y
        null
        {"d":true}
        "#);
        insta::assert_snapshot!(filtered(".c | map(type) | join(\",\")", json), @"string,null,object");
        insta::assert_snapshot!(filtered(".c[] | select(. == 7)", json), @"");
    }

    #[test]
    fn what_is_no_filter_says_where() {
        insta::assert_snapshot!(filtered(".a |", "{}"), @r#"
        error: `.a |` is no filter of jq
          why: expected term at character 5
          try: it is like `.key` or `.changes[] | select(.kind == "added") | .key`
        "#);
        insta::assert_snapshot!(filtered(".a[", "{}"), @r#"
        error: `.a[` is no filter of jq
          why: expected closing bracket at character 4
          try: it is like `.key` or `.changes[] | select(.kind == "added") | .key`
        "#);
        insta::assert_snapshot!(filtered(".a | frobnicate", "{}"), @r#"
        error: `.a | frobnicate` is no filter of jq
          why: there is no filter `frobnicate` at character 6
          try: it is like `.key` or `.changes[] | select(.kind == "added") | .key`
        "#);
        insta::assert_snapshot!(filtered(".a.b", r#"{"a": 1}"#), @r#"
        error: the filter cannot be applied
          why: cannot index 1 with "b"
        "#);
    }
}
