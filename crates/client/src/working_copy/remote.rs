//! Asking the server: heads and their objects into the mirror.

use confman_api::sync::FetchWrite;
use confman_model::{DraftName, Namespace};
use confman_object_store::{Kind, ObjectId};

use super::error::WorkingCopyError;
use super::inherited::unless_hidden;
use super::mirror::Mirror;
use super::{Progress, Report};
use crate::client::{Client, ClientError};

/// What a namespace's heads are, all of them in the mirror with their trees.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Heads {
    pub(super) published: Option<ObjectId>,
    pub(super) draft: Option<ObjectId>,
}

/// What to fetch.
#[derive(Debug)]
pub(super) struct Wanted<'w> {
    pub(super) namespace: &'w Namespace,
    pub(super) draft: &'w DraftName,
    /// Commits whose trees are in the mirror.
    pub(super) have: Vec<ObjectId>,
    pub(super) full_history: bool,
}

/// Fetches the heads of a namespace.
pub(super) async fn fetch(
    client: &Client,
    mirror: &Mirror,
    wanted: &Wanted<'_>,
    report: Report<'_>,
) -> Result<Heads, WorkingCopyError> {
    report(Progress::Fetching(wanted.namespace.clone()));
    let draft_revision = format!("draft/{}", wanted.draft);
    let mut write = FetchWrite {
        want: vec!["published".to_owned(), draft_revision.clone()],
        have: wanted.have.iter().map(ToString::to_string).collect(),
        depth: None,
        all_trees: wanted.full_history,
    };
    let mut pack = match client.fetch(wanted.namespace, &write).await {
        // There is no such draft; what is published may still be there.
        Err(error) if error.is_not_found() => {
            write.want.truncate(1);
            client.fetch(wanted.namespace, &write).await?
        }
        other => other?,
    };
    let total = pack.head.objects;
    let refs = std::mem::take(&mut pack.head.refs);
    let mirror_in = mirror.clone();
    let report_every = |objects: u64| {
        if objects.is_multiple_of(1024) || objects == total {
            report(Progress::Received { objects, total });
        }
    };
    mirror_in.receive(pack.reader()?, &report_every)?;

    let mut heads = Heads {
        published: None,
        draft: None,
    };
    for fetched in refs {
        let Some(commit) = fetched.commit else {
            continue;
        };
        let commit = accepted_head(mirror, wanted.namespace, &fetched.want, &commit)?;
        if fetched.want == draft_revision {
            heads.draft = Some(commit);
        } else if fetched.want == "published" {
            heads.published = Some(commit);
        } else {
            return Err(WorkingCopyError::Hostile(format!(
                "revision `{}`, which was not asked for",
                fetched.want
            )));
        }
    }
    Ok(heads)
}

/// The published head of a namespace with its tree, where it may be read: `None` where it may not,
/// `Some(None)` where nothing is published.
pub(super) async fn published(
    client: &Client,
    mirror: &Mirror,
    namespace: &Namespace,
    known: Option<ObjectId>,
) -> Result<Option<Option<ObjectId>>, WorkingCopyError> {
    let known = match known {
        Some(known) => mirror.commit_if_fetched(&known)?.map(|_| known.to_string()),
        None => None,
    };
    let want = "published";
    let write = FetchWrite {
        want: vec![want.to_owned()],
        have: known.into_iter().collect(),
        depth: Some(1),
        all_trees: false,
    };
    let Some(mut pack) = unless_hidden(client.fetch(namespace, &write).await)? else {
        return Ok(None);
    };
    let refs = std::mem::take(&mut pack.head.refs);
    mirror.receive(pack.reader()?, &|_| {})?;
    let head = refs.into_iter().find(|fetched| fetched.want == want);
    match head.and_then(|fetched| fetched.commit) {
        Some(commit) => accepted_head(mirror, namespace, want, &commit).map(|id| Some(Some(id))),
        None => Ok(Some(None)),
    }
}

/// A head that the server named, if it is whole and belongs where it is said to.
fn accepted_head(
    mirror: &Mirror,
    namespace: &Namespace,
    want: &str,
    text: &str,
) -> Result<ObjectId, WorkingCopyError> {
    let id: ObjectId = text.parse().map_err(|error| {
        WorkingCopyError::Hostile(format!("revision `{want}` is no commit id: {error}"))
    })?;
    let Some(commit) = mirror.commit_if_fetched(&id)? else {
        return Err(WorkingCopyError::Hostile(format!(
            "commit {id} of `{want}` is not in the pack"
        )));
    };
    if commit.namespace != namespace.as_str() {
        let reason = format!(
            "commit {id} of `{want}` belongs to `{}`, not to `{namespace}`",
            commit.namespace.escape_debug()
        );
        return Err(WorkingCopyError::Hostile(reason));
    }
    if !mirror.has(Kind::Page, &commit.tree)? {
        return Err(WorkingCopyError::Hostile(format!(
            "the tree of commit {id} of `{want}` is not in the pack"
        )));
    }
    Ok(id)
}

/// Fails where another cluster answers than the one that was cloned.
pub(super) async fn same_cluster(client: &Client, cluster: &str) -> Result<(), WorkingCopyError> {
    let actual = client.version().await?.cluster_id;
    if actual == cluster {
        return Ok(());
    }
    Err(WorkingCopyError::OtherCluster {
        expected: cluster.to_owned(),
        actual,
    })
}

/// The namespaces of a clone: the one asked for, and those below if wanted, outermost first.
pub(super) async fn namespaces(
    client: &Client,
    root: &Namespace,
    recursive: bool,
) -> Result<Vec<Namespace>, WorkingCopyError> {
    let mut found = vec![root.clone()];
    if recursive {
        for summary in client.namespaces(Some(root)).await? {
            let path: Namespace = summary.path.parse().map_err(|error| {
                WorkingCopyError::Client(ClientError::Protocol {
                    url: client.server_url().to_owned(),
                    reason: format!("a list of namespaces has one that is none: {error}"),
                })
            })?;
            if root.contains(&path) {
                found.push(path);
            }
        }
    }
    found.sort();
    found.dedup();
    Ok(found)
}
