//! Values that a person typed, piped or edited.

use confman_model::value::VALUE_BYTES_CEILING;
use confman_model::{EntryType, Key, Value, ValueLimits};

use crate::error::{CliError, problem_item};

/// The value that these bytes are, with everything that is wrong with it.
pub(crate) fn read_value(
    key: &Key,
    entry_type: EntryType,
    bytes: &[u8],
) -> Result<Value, CliError> {
    let bytes = match entry_type {
        EntryType::String | EntryType::Binary => bytes,
        EntryType::Json | EntryType::Number | EntryType::Boolean | EntryType::SecretRef => {
            bytes.trim_ascii()
        }
    };
    let mut limits = ValueLimits {
        value_bytes_max: VALUE_BYTES_CEILING,
        ..ValueLimits::default()
    };
    // Which schemes are allowed here the server knows.
    if let Some((scheme, _)) = String::from_utf8_lossy(bytes).split_once("://") {
        limits.secret_schemes.push(scheme.to_owned());
    }
    Value::new(entry_type, bytes.to_vec(), &limits).map_err(|error| CliError {
        items: error
            .problems
            .iter()
            .map(|problem| problem_item(key.as_str(), problem))
            .collect(),
        ..CliError::invalid(format!("the value is no valid {entry_type}"))
    })
}
