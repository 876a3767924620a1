//! Effective documents as bodies: each format in each encoding, made once and kept with the compiled
//! document.

use std::sync::OnceLock;

use axum::http::HeaderValue;
use bytes::Bytes;
use confman_api::problem::ProblemItem;
use confman_repo::model::format::FormatError;
use confman_repo::model::{Format, Key};
use confman_repo::{CompiledDocument, CompiledEntry};

use crate::encoding::{ENCODED_BYTES_MIN, Encoding};
use crate::error::{ApiError, Code};
use crate::etag;

/// Quotes, colon and comma around a key and a string.
const PUNCTUATION_BYTES: usize = 6;

/// Most warnings about deprecated keys in one answer.
pub const WARNINGS_MAX: usize = 16;
/// Most characters of what a schema says about a deprecated key that a warning repeats.
const WARNING_CHARS_MAX: usize = 200;

/// The warning about a deprecated key.
pub(crate) fn deprecation(key: &Key, instead: Option<&str>) -> Option<HeaderValue> {
    let said: String = instead
        .unwrap_or_default()
        .chars()
        .take(WARNING_CHARS_MAX)
        .collect();
    // Headers are ASCII, and the text stands in quotes.
    let said: String = said
        .chars()
        .map(|c| match c {
            '"' | '\\' => '\'',
            ' '..='~' => c,
            _ => '?',
        })
        .collect();
    let colon = if said.is_empty() { "" } else { ": " };
    HeaderValue::from_str(&format!("299 confman \"{key} is deprecated{colon}{said}\"")).ok()
}

/// The bodies of a document, by format.
#[derive(Debug, Default)]
struct Rendered([OnceLock<Form>; Format::ALL.len()]);

/// A document in one format.
#[derive(Debug)]
pub(crate) struct Form {
    /// The tag of the body as it is.
    strong: Option<HeaderValue>,
    /// The tag of any other encoding.
    weak: Option<HeaderValue>,
    /// The commit of the namespace itself.
    pub(crate) commit: Option<HeaderValue>,
    /// A warning for each deprecated key, up to [`WARNINGS_MAX`].
    pub(crate) warnings: Vec<HeaderValue>,
    identity: Bytes,
    gzip: OnceLock<Bytes>,
    zstd: OnceLock<Bytes>,
}

/// The text of a document's tag in a format: its basis, and a word where the format is not the first.
pub(crate) fn tag(document: &CompiledDocument, format: Format) -> String {
    form_tag(&document.basis.to_string(), format)
}

/// As [`tag`], of a basis.
pub(crate) fn form_tag(basis: &str, format: Format) -> String {
    match format {
        Format::Json => basis.to_owned(),
        other => format!("{basis}.{other}"),
    }
}

/// A document in a format, if it was made already. Does not block.
pub(crate) fn ready(document: &CompiledDocument, format: Format) -> Option<&Form> {
    let Rendered(forms) = document.attachment()?;
    forms.get(format as usize)?.get()
}

/// A document in a format, made now if it was not before. May take long for a large one.
pub(crate) fn form(document: &CompiledDocument, format: Format) -> Result<&Form, ApiError> {
    let rendered = document.attached(|_| (Rendered::default(), size_of::<Rendered>()));
    let place = rendered
        .and_then(|Rendered(forms)| forms.get(format as usize))
        .ok_or_else(|| ApiError::internal("a document is kept with something else"))?;
    if let Some(form) = place.get() {
        return Ok(form);
    }
    let form = Form::new(document, format)?;
    let bytes = form.identity.len();
    Ok(place.get_or_init(|| {
        document.charge(bytes);
        form
    }))
}

/// Entries in a format.
pub(crate) fn text(entries: &[CompiledEntry], format: Format) -> Result<String, ApiError> {
    if format == Format::Json {
        return Ok(json_object(entries));
    }
    let values: Vec<_> = entries
        .iter()
        .map(|entry| (entry.key.clone(), entry.value.clone()))
        .collect();
    format.write(&values).map_err(|error| inexpressible(&error))
}

/// One JSON object without white space between keys and values: most readers are programs.
fn json_object(entries: &[CompiledEntry]) -> String {
    let bytes: usize = entries
        .iter()
        .map(|entry| entry.key.as_str().len() + entry.value.bytes().len() + PUNCTUATION_BYTES)
        .sum();
    let mut out = String::with_capacity(bytes);
    out.push('{');
    for entry in entries {
        if out.len() > 1 {
            out.push(',');
        }
        // A key has no character that JSON escapes.
        out.push('"');
        out.push_str(entry.key.as_str());
        out.push_str("\":");
        out.push_str(&entry.value.to_json());
    }
    out.push('}');
    out
}

/// What a format cannot say, as a problem that lists every key.
fn inexpressible(error: &FormatError) -> ApiError {
    let items = error.problems.iter().map(|problem| ProblemItem {
        detail: format!("{} cannot express {problem}", error.format),
        key: Some(problem.key.to_string()),
        pointer: problem.pointer.as_ref().map(ToString::to_string),
        ..ProblemItem::default()
    });
    ApiError::listed(Code::Inexpressible, items.collect())
}

impl Form {
    fn new(document: &CompiledDocument, format: Format) -> Result<Self, ApiError> {
        let text = text(&document.entries, format)?;
        let tag = tag(document, format);
        let commit = document.commit().map(|commit| commit.to_string());
        Ok(Self {
            strong: etag::value(&tag),
            weak: etag::weak_value(&tag),
            commit: commit.and_then(|commit| HeaderValue::from_str(&commit).ok()),
            warnings: document
                .deprecated
                .iter()
                .take(WARNINGS_MAX)
                .filter_map(|(key, instead)| deprecation(key, instead.as_deref()))
                .collect(),
            identity: Bytes::from(text),
            gzip: OnceLock::new(),
            zstd: OnceLock::new(),
        })
    }

    /// The encoding that is used where this one is wanted.
    pub(crate) fn encoding(&self, wanted: Encoding) -> Encoding {
        if self.identity.len() < ENCODED_BYTES_MIN {
            return Encoding::Identity;
        }
        wanted
    }

    /// The body in an encoding, if it was made already.
    pub(crate) fn ready(&self, encoding: Encoding) -> Option<&Bytes> {
        self.place(encoding)
            .map_or(Some(&self.identity), OnceLock::get)
    }

    /// The body in an encoding, made now if it was not before.
    pub(crate) fn body(
        &self,
        document: &CompiledDocument,
        encoding: Encoding,
    ) -> Result<&Bytes, ApiError> {
        let Some(place) = self.place(encoding) else {
            return Ok(&self.identity);
        };
        if let Some(body) = place.get() {
            return Ok(body);
        }
        let body = encoding.encode(&self.identity)?;
        Ok(place.get_or_init(|| {
            document.charge(body.len());
            body
        }))
    }

    /// The tag of the body in an encoding: weak where it is not the body as it is, because the bytes
    /// are other ones.
    pub(crate) fn etag(&self, encoding: Encoding) -> Option<&HeaderValue> {
        match encoding {
            Encoding::Identity => self.strong.as_ref(),
            Encoding::Gzip | Encoding::Zstd => self.weak.as_ref(),
        }
    }

    fn place(&self, encoding: Encoding) -> Option<&OnceLock<Bytes>> {
        match encoding {
            Encoding::Identity => None,
            Encoding::Gzip => Some(&self.gzip),
            Encoding::Zstd => Some(&self.zstd),
        }
    }
}
