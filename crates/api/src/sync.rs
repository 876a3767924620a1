//! Fetch and push: what goes with the packs.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// Asks for a pack. `POST …/fetch`; the answer is [`Fetched`] as one line of JSON, then the pack.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct FetchWrite {
    /// Revisions wanted: `published`, `draft/NAME`, `published~N`, a commit, ….
    pub want: Vec<String>,
    /// Commits the caller has whole (their trees and values).
    #[serde(default)]
    pub have: Vec<String>,
    /// `1`: only the wanted commits and their trees; `N`: N commits along first parents; absent: all
    /// of the history as commits, with trees and values of the wanted ones only.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub depth: Option<u64>,
    /// Trees and values of every commit, not only of those wanted.
    #[serde(skip_serializing_if = "std::ops::Not::not", default)]
    pub all_trees: bool,
}

/// First line of the answer to a fetch.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Fetched {
    /// What each wanted revision is.
    pub refs: Vec<FetchedRef>,
    /// Log index it was read at.
    pub index: u64,
    /// Objects in the pack, for a progress bar.
    pub objects: u64,
}

/// A wanted revision.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct FetchedRef {
    /// As asked.
    pub want: String,
    /// The commit; absent where there is nothing yet (an unpublished namespace).
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub commit: Option<String>,
    /// Root of its tree.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub tree: Option<String>,
}

/// Begins the body of `POST …/push`: one line of JSON, then the pack (self-contained: a dictionary
/// must be in the pack itself).
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct PushWrite {
    /// Refs to move, together or not at all.
    pub edits: Vec<PushEdit>,
    /// For an import that goes on: what to remember with it, see [`ImportMark`].
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub import: Option<ImportMark>,
    /// For the audit log.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub message: Option<String>,
}

/// A ref to move by a push. The new commit must follow from the old one along first parents (for
/// `published`), every commit's tree must be canonical and every entry valid.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct PushEdit {
    /// The namespace: that of the URL or one below it.
    pub namespace: String,
    /// `published` (by somebody who may import) or `draft/NAME`.
    #[serde(rename = "ref")]
    pub ref_name: String,
    /// The commit it has; absent: it must not exist.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub expect: Option<String>,
    /// The commit it gets.
    pub new: String,
}

/// How far an import has come. Kept under a ref of the namespace; keeps the named commits alive.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct ImportMark {
    /// Record id of the mark that the caller has seen; absent: there must be none.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub expect: Option<String>,
    /// Identity of the last commit of the source that is in.
    pub source: String,
    /// Commits of the source that are in.
    pub commits: u64,
    /// Imported commits that no ref leads to yet: `(namespace, commit)`.
    pub tips: Vec<ImportTip>,
}

/// An imported commit that no ref leads to yet.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct ImportTip {
    /// Its namespace.
    pub namespace: String,
    /// Its id.
    pub commit: String,
}

/// What a push did.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Pushed {
    /// The operation.
    pub operation: String,
    /// Log index.
    pub index: u64,
    /// Objects that were new.
    pub objects: u64,
    /// Record id of the import mark, if one was sent.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub import_mark: Option<String>,
    /// What is allowed but worth knowing.
    #[serde(skip_serializing_if = "Vec::is_empty", default)]
    pub warnings: Vec<String>,
}

/// `GET …/import`: the mark and its record id; 404 where there is none.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct ImportState {
    /// Record id.
    pub id: String,
    /// The mark; its `expect` is absent.
    pub mark: ImportMark,
}
