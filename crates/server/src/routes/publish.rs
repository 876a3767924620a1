//! Publishing a draft, and publishing an earlier state again.

use std::collections::BTreeSet;

use confman_api::commit::{PublishWrite, RollbackWrite};
use confman_repo::model::{Key, Namespace};
use confman_repo::{Error, Problem, Publish, Published, Rollback};

use crate::body::DOCUMENT_BYTES_MAX;
use crate::body::VALUES_BYTES_MAX;
use crate::call::Call;
use crate::document::draft;
use crate::error::{ApiError, chain};
use crate::reply::Reply;

/// `POST …/publish`
pub(crate) async fn publish(mut call: Call, namespace: Namespace) -> Result<Reply, ApiError> {
    call.no_query()?;
    let write: PublishWrite = call.json(VALUES_BYTES_MAX).await?;
    let expected_head = call.seen_head_or(write.expected_head.as_deref())?;
    let draft = named("the publish", "/draft", &write.draft)?;
    let keys = keys("the publish", write.keys.as_deref())?;
    let publish = Publish {
        draft,
        expected_head,
        keys,
        message: write.message,
        emergency: write.emergency,
        acknowledge_deprecated: write.acknowledge_deprecated,
    };
    call.change(move |session| reply(&session.publish(&namespace, &publish)?))
        .await
}

/// `POST …/rollback`
pub(crate) async fn rollback(mut call: Call, namespace: Namespace) -> Result<Reply, ApiError> {
    call.no_query()?;
    let write: RollbackWrite = call.json(DOCUMENT_BYTES_MAX).await?;
    let expected_head = call.seen_head_or(write.expected_head.as_deref())?;
    let to = named("the roll back", "/to", &write.to)?;
    let keys = keys("the roll back", write.keys.as_deref())?;
    let rollback = Rollback {
        to,
        keys,
        expected_head,
        message: write.message,
        emergency: write.emergency,
        acknowledge_deprecated: write.acknowledge_deprecated,
    };
    call.change(move |session| reply(&session.rollback(&namespace, &rollback)?))
        .await
}

fn reply(done: &Published) -> Result<Reply, ApiError> {
    let reply = Reply::json(&draft::published(done))?;
    Ok(reply.index(done.committed.index).commit(Some(done.commit)))
}

/// Reads a name in a body.
pub(crate) fn named<T: std::str::FromStr<Err: std::error::Error>>(
    what: &str,
    pointer: &str,
    text: &str,
) -> Result<T, Error> {
    text.parse().map_err(|error| {
        let problem = Problem {
            pointer: Some(pointer.to_owned()),
            ..Problem::new(chain(&error))
        };
        Error::Invalid {
            what: what.to_owned(),
            problems: vec![problem],
        }
    })
}

/// Reads the keys in a body.
pub(super) fn keys(what: &str, texts: Option<&[String]>) -> Result<Option<BTreeSet<Key>>, Error> {
    let Some(texts) = texts else { return Ok(None) };
    let mut keys = BTreeSet::new();
    let mut problems = Vec::new();
    for (at, text) in texts.iter().enumerate() {
        match text.parse::<Key>() {
            Ok(key) => {
                keys.insert(key);
            }
            Err(error) => {
                problems.push(Problem {
                    pointer: Some(format!("/keys/{at}")),
                    ..Problem::new(chain(&error))
                });
            }
        }
    }
    if problems.is_empty() {
        return Ok(Some(keys));
    }
    Err(Error::Invalid {
        what: what.to_owned(),
        problems,
    })
}
