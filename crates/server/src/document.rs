//! The contract's documents, made of what `repo` answers, and back for what is written.

pub(crate) mod cluster;
pub(crate) mod commit;
pub(crate) mod draft;
pub(crate) mod entry;
pub(crate) mod explain;
pub(crate) mod history;
pub(crate) mod identity;
pub(crate) mod namespace;
pub(crate) mod operation;
pub(crate) mod request;
pub(crate) mod schema;
pub(crate) mod sync;
pub(crate) mod time;

/// The public name of a publish request.
pub(crate) fn request_id(number: Option<u64>) -> Option<String> {
    number.map(|number| format!("pr-{number}"))
}
