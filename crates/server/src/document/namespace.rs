//! Namespaces: changed, deleted, restored.

use confman_api::namespace::{
    DeletedNamespace, DocumentVersion, MovedNamespaces, NamespaceSummary, UpdatedNamespace,
};
use confman_repo::{self as repo, NamespaceInfo};

use super::time;

/// A namespace in a list.
pub(crate) fn summary(info: &NamespaceInfo) -> NamespaceSummary {
    NamespaceSummary {
        path: info.document.path.to_string(),
        display_name: info.document.display_name.clone(),
        owner: info.document.owner.clone(),
        published: info.published.map(|id| id.to_string()),
        keys: info.keys,
    }
}

/// A document that was changed.
pub(crate) fn updated(found: repo::UpdatedNamespace) -> UpdatedNamespace {
    UpdatedNamespace {
        document: found.info.document,
        commit: found.info.policy.to_string(),
        warnings: found.warnings,
    }
}

/// A version of a document.
pub(crate) fn version(found: repo::DocumentVersion) -> DocumentVersion {
    DocumentVersion {
        version: found.version,
        commit: found.commit.to_string(),
        at: time::utc(found.stamp.at_ms),
        by: found.stamp.by,
        message: found.message,
        document: found.document,
    }
}

/// What was deleted or restored.
pub(crate) fn moved(found: &repo::MovedNamespaces) -> MovedNamespaces {
    MovedNamespaces {
        deletion: found.deletion.clone(),
        namespaces: found.namespaces.iter().map(ToString::to_string).collect(),
        index: found.committed.index,
    }
}

/// A namespace that was deleted.
pub(crate) fn deleted(found: &repo::DeletedNamespace) -> DeletedNamespace {
    DeletedNamespace {
        path: found.namespace.to_string(),
        deletion: found.deletion.clone(),
        deleted_at: time::utc(found.deleted_ms),
        deleted_by: found.deleted_by.clone(),
        owner: found.document.owner.clone(),
        published: found.published.map(|id| id.to_string()),
    }
}
