//! What a working copy knows about itself: `.confman/state.json`.

use std::path::{Path, PathBuf};

use confman_model::{DraftName, Namespace};
use confman_object_store::ObjectId;
use serde::{Deserialize, Serialize};

use super::error::WorkingCopyError;
use super::place::directory;
use super::{PRIVATE_DIRECTORY, Placed};

/// The version of everything in `.confman/`, and of the meaning of the files outside of it.
pub const FORMAT: u32 = 1;
/// Name of the file in `.confman/`.
pub(super) const STATE_FILE: &str = "state.json";
/// Largest private JSON file that is read.
const STATE_BYTES_MAX: u64 = 256 << 20;

/// The whole of the file.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub(super) struct State {
    pub(super) format: u32,
    /// URL of the server.
    pub(super) server: String,
    /// Identity of its cluster.
    pub(super) cluster: String,
    /// The draft that `push` writes.
    pub(super) draft: DraftName,
    /// The namespace whose directory is the root.
    pub(super) root: Namespace,
    /// Whether namespaces that appear below are cloned by a pull.
    pub(super) recursive: bool,
    /// Whether trees and values of all of the history are fetched.
    pub(super) full_history: bool,
    pub(super) namespaces: Vec<NamespaceState>,
}

/// One namespace.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub(super) struct NamespaceState {
    pub(super) path: Namespace,
    /// The commit that the files came from.
    #[serde(with = "hex", default, skip_serializing_if = "Option::is_none")]
    pub(super) base: Option<ObjectId>,
    /// Whether `base` is the head of the draft.
    pub(super) on_draft: bool,
    /// The published commit that the draft began from, or `base` itself: where its changes are counted from.
    #[serde(with = "hex", default, skip_serializing_if = "Option::is_none")]
    pub(super) line: Option<ObjectId>,
    /// The published head that was fetched last.
    #[serde(with = "hex", default, skip_serializing_if = "Option::is_none")]
    pub(super) published: Option<ObjectId>,
}

mod hex {
    use confman_object_store::ObjectId;
    use serde::{Deserialize, Deserializer, Serializer};

    #[expect(
        clippy::ref_option,
        reason = "serde calls it with a reference to the field"
    )]
    pub(super) fn serialize<S: Serializer>(
        id: &Option<ObjectId>,
        serializer: S,
    ) -> Result<S::Ok, S::Error> {
        match id {
            Some(id) => serializer.collect_str(id),
            None => serializer.serialize_none(),
        }
    }

    pub(super) fn deserialize<'de, D: Deserializer<'de>>(
        deserializer: D,
    ) -> Result<Option<ObjectId>, D::Error> {
        let text = Option::<String>::deserialize(deserializer)?;
        text.map(|text| text.parse().map_err(serde::de::Error::custom))
            .transpose()
    }
}

impl State {
    /// Reads the state of the working copy at `root`.
    pub(super) fn read(root: &Path) -> Result<Self, WorkingCopyError> {
        let path = root.join(PRIVATE_DIRECTORY).join(STATE_FILE);
        let text =
            read_private(&path)?.ok_or_else(|| WorkingCopyError::NotFound(root.to_path_buf()))?;
        Self::parse(&path, &text)
    }

    /// Reads the text of the file at `path`, which is only used to say where something is wrong.
    pub(super) fn parse(path: &Path, text: &[u8]) -> Result<Self, WorkingCopyError> {
        let damaged = |reason: String| WorkingCopyError::Damaged {
            file: path.to_path_buf(),
            reason,
        };
        check_format(path, text)?;
        let state: Self =
            serde_json::from_slice(text).map_err(|error| damaged(error.to_string()))?;
        if state
            .namespaces
            .iter()
            .any(|namespace| !state.root.contains(&namespace.path))
        {
            return Err(damaged(
                "it has a namespace that is not below its root".to_owned(),
            ));
        }
        Ok(state)
    }

    /// The text of the file.
    pub(super) fn to_text(&self) -> String {
        // A plain document of texts and numbers has a JSON text.
        serde_json::to_string_pretty(self).unwrap_or_default() + "\n"
    }

    pub(super) fn namespace(&self, path: &Namespace) -> Result<&NamespaceState, WorkingCopyError> {
        self.namespaces
            .iter()
            .find(|namespace| namespace.path == *path)
            .ok_or_else(|| WorkingCopyError::NoSuchNamespace(path.clone()))
    }

    /// The directory of a namespace, relative to the root.
    pub(super) fn directory(&self, path: &Namespace) -> PathBuf {
        directory(&self.root, path)
    }

    pub(super) fn placed(&self, namespace: &NamespaceState) -> Placed {
        Placed {
            namespace: namespace.path.clone(),
            directory: self.directory(&namespace.path),
            base: namespace.base,
            on_draft: namespace.on_draft,
            published: namespace.published,
        }
    }
}

/// The part of a private file that every version has.
#[derive(Deserialize)]
struct Format {
    format: u32,
}

/// Refuses a private file of a newer version, whatever else is in it.
pub(super) fn check_format(path: &Path, text: &[u8]) -> Result<(), WorkingCopyError> {
    let Format { format } =
        serde_json::from_slice(text).map_err(|error| WorkingCopyError::Damaged {
            file: path.to_path_buf(),
            reason: error.to_string(),
        })?;
    if format > FORMAT {
        return Err(WorkingCopyError::NewerFormat {
            found: format,
            known: FORMAT,
        });
    }
    Ok(())
}

/// Reads a private file; `None` where there is none.
pub(super) fn read_private(path: &Path) -> Result<Option<Vec<u8>>, WorkingCopyError> {
    let size = match std::fs::metadata(path) {
        Ok(metadata) => metadata.len(),
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(None),
        Err(error) => return Err(WorkingCopyError::io("read", path, error)),
    };
    if size > STATE_BYTES_MAX {
        let reason = format!("it has {size} bytes, at most {STATE_BYTES_MAX} are expected");
        return Err(WorkingCopyError::Damaged {
            file: path.to_path_buf(),
            reason,
        });
    }
    std::fs::read(path)
        .map(Some)
        .map_err(|error| WorkingCopyError::io("read", path, error))
}
