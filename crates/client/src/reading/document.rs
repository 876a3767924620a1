//! An effective document: keys, values, and which state of the store they are.

use std::fmt::Display;
use std::str::FromStr;

use bytes::Bytes;
use confman_api::entry::{EffectiveDocument, TreeEntry};
use confman_model::value::VALUE_BYTES_CEILING;
use confman_model::{EntryType, Key, Namespace, Value, ValueLimits};
use serde::de::DeserializeOwned;

/// An effective document.
#[derive(Clone, Debug)]
pub struct Document {
    pub(super) namespace: Namespace,
    pub(super) cluster_id: String,
    pub(super) server: String,
    pub(super) etag: String,
    pub(super) basis: String,
    pub(super) index: u64,
    pub(super) filtered: bool,
    pub(super) body: Bytes,
    /// In the order of the keys.
    values: Vec<(Key, Value)>,
    /// As they came, in the same order.
    entries: Vec<TreeEntry>,
}

/// Why a document gives no value of a kind for a key.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum GetError {
    /// It has no such key.
    #[error("{namespace} has no key `{key}`")]
    NoSuchKey {
        /// The namespace.
        namespace: Namespace,
        /// The key as given.
        key: String,
    },
    /// The value is of another kind.
    #[error("key `{key}` of {namespace} is of type {actual}, not {wanted}")]
    OtherType {
        /// The namespace.
        namespace: Namespace,
        /// The key.
        key: String,
        /// What was asked for.
        wanted: &'static str,
        /// What it is.
        actual: EntryType,
    },
    /// The value does not fit. The value is not repeated.
    #[error("the value of key `{key}` of {namespace} does not fit: {reason}")]
    NotFitting {
        /// The namespace.
        namespace: Namespace,
        /// The key.
        key: String,
        /// What the reader said.
        reason: String,
    },
}

/// What names a document beside its content.
#[derive(Clone, Debug)]
pub(super) struct Identity {
    pub(super) namespace: Namespace,
    pub(super) cluster_id: String,
    pub(super) server: String,
    pub(super) etag: String,
    pub(super) index: u64,
    pub(super) filtered: bool,
}

impl Document {
    /// Reads `GET …/config?origin=true`.
    ///
    /// # Errors
    /// Says what is not as agreed.
    pub(super) fn read(identity: Identity, body: Bytes) -> Result<Self, String> {
        let document: EffectiveDocument = serde_json::from_slice(&body)
            .map_err(|error| format!("the document is not as agreed: {error}"))?;
        if document.namespace != identity.namespace.as_str() {
            return Err(format!(
                "the document is of `{}`, not of {}",
                document.namespace, identity.namespace
            ));
        }
        let mut both = Vec::with_capacity(document.entries.len());
        for entry in document.entries {
            let read = read_entry(&entry).map_err(|reason| {
                format!("its entry `{}` is not as agreed: {reason}", entry.key)
            })?;
            both.push((read, entry));
        }
        both.sort_by(|((one, _), _), ((other, _), _)| one.cmp(other));
        let (values, entries): (Vec<(Key, Value)>, Vec<TreeEntry>) = both.into_iter().unzip();
        if let Some([(key, _), _]) = values
            .array_windows()
            .find(|[(one, _), (other, _)]| one == other)
        {
            return Err(format!("it has key `{key}` twice"));
        }
        Ok(Self {
            namespace: identity.namespace,
            cluster_id: identity.cluster_id,
            server: identity.server,
            etag: identity.etag,
            basis: document.basis,
            index: identity.index,
            filtered: identity.filtered,
            body,
            values,
            entries,
        })
    }

    /// The namespace.
    #[must_use]
    pub fn namespace(&self) -> &Namespace {
        &self.namespace
    }

    /// Hash of the ordered commits behind it.
    #[must_use]
    pub fn basis(&self) -> &str {
        &self.basis
    }

    /// What the server calls this state in `ETag`, with its quotes.
    #[must_use]
    pub fn etag(&self) -> &str {
        &self.etag
    }

    /// The log index that it is not older than.
    #[must_use]
    pub fn index(&self) -> u64 {
        self.index
    }

    /// Identity of the store.
    #[must_use]
    pub fn cluster_id(&self) -> &str {
        &self.cluster_id
    }

    /// The server that gave it.
    #[must_use]
    pub fn server(&self) -> &str {
        &self.server
    }

    /// Whether something is left out that the token may not see.
    #[must_use]
    pub fn is_filtered(&self) -> bool {
        self.filtered
    }

    /// Keys and values, in the order of the keys.
    #[must_use]
    pub fn values(&self) -> &[(Key, Value)] {
        &self.values
    }

    /// Keys and values with where each comes from, in the order of the keys.
    #[must_use]
    pub fn entries(&self) -> &[TreeEntry] {
        &self.entries
    }

    /// `GET …/config?origin=true`, byte for byte as it came.
    #[must_use]
    pub fn body(&self) -> &Bytes {
        &self.body
    }

    /// The value of a key.
    ///
    /// # Errors
    /// There is no such key.
    pub fn get(&self, key: &str) -> Result<&Value, GetError> {
        self.find(key).map(|(_, value)| value)
    }

    /// The entry of a key, with where it comes from.
    ///
    /// # Errors
    /// There is no such key.
    pub fn entry(&self, key: &str) -> Result<&TreeEntry, GetError> {
        match self.place(key).and_then(|at| self.entries.get(at)) {
            Some(entry) => Ok(entry),
            None => Err(self.no_such_key(key)),
        }
    }

    /// The text of a key of type string. A reference to a secret is none; it must be resolved.
    ///
    /// # Errors
    /// There is no such key, or it is of another type.
    pub fn string(&self, key: &str) -> Result<&str, GetError> {
        self.text_of(key, EntryType::String, "string")
    }

    /// The boolean of a key.
    ///
    /// # Errors
    /// There is no such key, or it is of another type.
    pub fn boolean(&self, key: &str) -> Result<bool, GetError> {
        Ok(self.text_of(key, EntryType::Boolean, "boolean")? == "true")
    }

    /// The number of a key, read from its digits as the type that the caller wants: `i64`, `f64`, a
    /// decimal. What does not fit is an error.
    ///
    /// # Errors
    /// There is no such key, it is of another type, or does not fit.
    pub fn parsed<T>(&self, key: &str) -> Result<T, GetError>
    where
        T: FromStr,
        T::Err: Display,
    {
        let text = self.text_of(key, EntryType::Number, "number")?;
        text.parse()
            .map_err(|error: T::Err| self.not_fitting(key, error.to_string()))
    }

    /// The JSON of a key, as a type that the caller wants.
    ///
    /// # Errors
    /// There is no such key, it is of another type, or does not fit.
    pub fn json<T: DeserializeOwned>(&self, key: &str) -> Result<T, GetError> {
        let text = self.text_of(key, EntryType::Json, "json")?;
        serde_json::from_str(text).map_err(|error| {
            // The library's text may repeat parts of the value; where and of what sort is enough.
            let reason = format!(
                "{:?} at line {}, column {}",
                error.classify(),
                error.line(),
                error.column()
            );
            self.not_fitting(key, reason)
        })
    }

    /// The bytes of a key of any type.
    ///
    /// # Errors
    /// There is no such key.
    pub fn bytes(&self, key: &str) -> Result<&[u8], GetError> {
        Ok(self.get(key)?.bytes())
    }

    fn text_of(
        &self,
        key: &str,
        entry_type: EntryType,
        wanted: &'static str,
    ) -> Result<&str, GetError> {
        let (key, value) = self.find(key)?;
        match value.as_str() {
            Some(text) if value.entry_type() == entry_type => Ok(text),
            _ => Err(GetError::OtherType {
                namespace: self.namespace.clone(),
                key: key.to_string(),
                wanted,
                actual: value.entry_type(),
            }),
        }
    }

    fn place(&self, key: &str) -> Option<usize> {
        self.values
            .binary_search_by(|(known, _)| known.as_str().cmp(key))
            .ok()
    }

    fn find(&self, key: &str) -> Result<&(Key, Value), GetError> {
        self.place(key)
            .and_then(|at| self.values.get(at))
            .ok_or_else(|| self.no_such_key(key))
    }

    fn no_such_key(&self, key: &str) -> GetError {
        GetError::NoSuchKey {
            namespace: self.namespace.clone(),
            key: key.to_owned(),
        }
    }

    fn not_fitting(&self, key: &str, reason: String) -> GetError {
        GetError::NotFitting {
            namespace: self.namespace.clone(),
            key: key.to_owned(),
            reason,
        }
    }
}

/// A key and value. What a server says is taken even where this version would not accept it as
/// input: limits and schemes of secrets are the server's business.
fn read_entry(entry: &TreeEntry) -> Result<(Key, Value), String> {
    let key: Key = entry
        .key
        .parse()
        .map_err(|error: confman_model::KeyError| error.to_string())?;
    let entry_type: EntryType = entry
        .entry_type
        .as_deref()
        .ok_or("it has no type")?
        .parse()
        .map_err(|error: confman_model::entry_type::EntryTypeError| error.to_string())?;
    let value = entry.value.as_deref().ok_or("it has no value")?;
    let mut limits = ValueLimits {
        value_bytes_max: VALUE_BYTES_CEILING,
        ..ValueLimits::default()
    };
    if entry_type == EntryType::SecretRef
        && let Ok(uri) = serde_json::from_str::<String>(value.get())
        && let Some((scheme, _)) = uri.split_once("://")
    {
        limits.secret_schemes.push(scheme.to_owned());
    }
    let value = Value::from_json(entry_type, value.get(), &limits).map_err(|error| {
        let problems: Vec<String> = error.problems.iter().map(ToString::to_string).collect();
        problems.join("; ")
    })?;
    Ok((key, value))
}

#[cfg(test)]
pub(crate) mod tests {
    use super::*;

    /// A document of `/teams/payments` from a list of entries.
    pub(crate) fn document(entries: &str, index: u64) -> Document {
        let body = format!(
            r#"{{"namespace":"/teams/payments","basis":"b{index}","entries":[{entries}]}}"#
        );
        let identity = Identity {
            namespace: "/teams/payments".parse().unwrap(),
            cluster_id: "c1".to_owned(),
            server: "http://127.0.0.1:1".to_owned(),
            etag: format!("\"b{index}\""),
            index,
            filtered: false,
        };
        Document::read(identity, Bytes::from(body)).unwrap()
    }

    const ENTRIES: &str = r#"
        {"key":"limits","type":"json","value":{"daily": 100},"size":14},
        {"key":"flag","type":"boolean","value":true,"size":4},
        {"key":"ratio","type":"number","value":0.10,"size":4},
        {"key":"key","type":"secret-ref","value":"corp://a/b","size":10},
        {"key":"logo","type":"binary","value":"AAEC","size":3},
        {"key":"name","type":"string","value":"x","size":1}"#;

    #[test]
    fn typed_getters_give_what_is_there_and_say_what_is_not() {
        let document = document(ENTRIES, 7);
        assert_eq!(document.string("name").unwrap(), "x");
        assert!(document.boolean("flag").unwrap());
        assert!((document.parsed::<f64>("ratio").unwrap() - 0.1).abs() < f64::EPSILON);
        assert_eq!(document.get("ratio").unwrap().as_str(), Some("0.10"));
        assert_eq!(document.bytes("logo").unwrap(), [0, 1, 2]);
        let limits: std::collections::BTreeMap<String, u32> = document.json("limits").unwrap();
        assert_eq!(limits["daily"], 100);
        let errors = [
            document.string("nope").unwrap_err(),
            document.string("key").unwrap_err(),
            document.parsed::<i64>("ratio").unwrap_err(),
            document.json::<Vec<u8>>("limits").unwrap_err(),
        ]
        .map(|error| error.to_string());
        insta::assert_snapshot!(errors.join("\n"), @"
        /teams/payments has no key `nope`
        key `key` of /teams/payments is of type secret-ref, not string
        the value of key `ratio` of /teams/payments does not fit: invalid digit found in string
        the value of key `limits` of /teams/payments does not fit: Data at line 1, column 0
        ");
    }

    #[test]
    fn documents_that_are_not_as_agreed_are_refused() {
        let identity = Identity {
            namespace: "/a".parse().unwrap(),
            cluster_id: String::new(),
            server: String::new(),
            etag: String::new(),
            index: 0,
            filtered: false,
        };
        let said = [
            r#"{}"#,
            r#"{"namespace":"/b","basis":"x","entries":[]}"#,
            r#"{"namespace":"/a","basis":"x","entries":[{"key":"k","type":"number","value":"x","size":1}]}"#,
            r#"{"namespace":"/a","basis":"x","entries":[{"key":"k","type":"string","size":1}]}"#,
            r#"{"namespace":"/a","basis":"x","entries":[{"key":"k","type":"boolean","value":true,"size":1},{"key":"k","type":"boolean","value":true,"size":1}]}"#,
            r#"{"namespace":"/a","basis":"x","entries":[{"key":"../k","type":"boolean","value":true,"size":1}]}"#,
        ]
        .map(|body| Document::read(identity.clone(), Bytes::from(body)).unwrap_err());
        insta::assert_snapshot!(said.join("\n"), @r#"
        the document is not as agreed: missing field `namespace` at line 1 column 2
        the document is of `/b`, not of /a
        its entry `k` is not as agreed: `"x"` is not a JSON number
        its entry `k` is not as agreed: it has no value
        it has key `k` twice
        its entry `../k` is not as agreed: segment 1 of key `../k` is `..`, which is reserved
        "#);
    }
}
