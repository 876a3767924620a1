//! TOML as JSON. Digits of floats are kept by reading them where they stand.

use confman_model::Json;
use confman_model::json::Number;
use toml::de::{DeTable, DeValue};

use super::{ForeignEntry, ForeignProblem, members};

/// Reads one table.
pub(super) fn read(text: &str) -> Result<Vec<ForeignEntry>, Vec<ForeignProblem>> {
    let table = DeTable::parse(text).map_err(|error| {
        let line = error
            .span()
            .and_then(|span| text.get(..span.start))
            .map(|before| before.matches('\n').count() + 1);
        vec![ForeignProblem {
            line,
            ..ForeignProblem::whole(format!("it is no TOML: {}", error.message()))
        }]
    })?;
    let mut problems = Vec::new();
    let mut found = Vec::new();
    for (key, value) in table.into_inner() {
        let key = key.into_inner().into_owned();
        match json(value.into_inner()) {
            Ok(json) => found.push((key, json)),
            Err(what) => problems.push(ForeignProblem::of_key(&key, what)),
        }
    }
    match problems.is_empty() {
        true => members(Json::Object(found), "table"),
        false => Err(problems),
    }
}

fn json(value: DeValue<'_>) -> Result<Json, String> {
    let number = |token: &str| {
        Number::parse(token)
            .map(Json::Number)
            .map_err(|_| "a number that is not finite cannot be a value".to_owned())
    };
    match value {
        DeValue::String(text) => Ok(Json::String(text.into_owned())),
        DeValue::Boolean(value) => Ok(Json::Bool(value)),
        DeValue::Integer(integer) => {
            let digits = integer.as_str().replace('_', "");
            match integer.radix() {
                10 => number(digits.trim_start_matches('+')),
                radix => u64::from_str_radix(&digits, radix)
                    .map_err(|_| "an integer is too large".to_owned())
                    .and_then(|integer| number(&integer.to_string())),
            }
        }
        DeValue::Float(float) => {
            let digits = float.as_str().replace('_', "");
            number(digits.trim_start_matches('+'))
        }
        DeValue::Datetime(datetime) => Ok(Json::String(datetime.to_string())),
        DeValue::Array(items) => {
            let items = items.into_iter().map(|item| json(item.into_inner()));
            items.collect::<Result<_, _>>().map(Json::Array)
        }
        DeValue::Table(table) => {
            let members = table.into_iter().map(|(name, value)| {
                let name = name.into_inner().into_owned();
                json(value.into_inner()).map(|value| (name, value))
            });
            members.collect::<Result<_, _>>().map(Json::Object)
        }
    }
}
