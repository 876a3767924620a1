//! Whether this node has applied what the others have: the id of an operation is the hash of all before it.
//!
//! A node of which a majority of the voters says otherwise takes itself out of service for good: what it has
//! is not what was agreed on. It never judges another node, and never itself by the word of a minority.

use std::collections::BTreeMap;
use std::io;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use confman_object_store::{Kind, ObjectId};

use super::link::Link;
use crate::operation::Operation;
use crate::peer::{Lane, PeerAddress};
use crate::transfer::message::{Ask, Told};
use crate::transfer::receiving::Receiving;

/// How often the others are asked.
const AGREE_EVERY: Duration = Duration::from_secs(5);

/// Compares for as long as the node is open. `differs` is called once, with what differs.
pub(super) async fn run(
    link: Link,
    receiving: Arc<Receiving>,
    differs: impl FnOnce(String) + Send,
) {
    let mut tick = tokio::time::interval(AGREE_EVERY);
    tick.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
    loop {
        tick.tick().await;
        if link.metrics().running_state.is_err() || link.failure.get().is_some() {
            return;
        }
        if let Some(difference) = compare(&link, &receiving).await {
            differs(difference);
            return;
        }
    }
}

/// What differs, where a majority of the voters agrees on another operation than this node has.
async fn compare(link: &Link, receiving: &Arc<Receiving>) -> Option<String> {
    let view = link.view.load_full();
    let (sequence, own) = (view.sequence(), view.operation()?);
    let metrics = link.metrics();
    let membership = metrics.membership_config.membership().clone();
    let voters: Vec<u64> = membership.voter_ids().collect();
    let mut others: BTreeMap<ObjectId, Vec<PeerAddress>> = BTreeMap::new();
    for (id, node) in membership.nodes() {
        if *id == link.node_id || !voters.contains(id) || node.addr.is_empty() {
            continue;
        }
        let peer = PeerAddress {
            node_id: Some(*id),
            address: node.addr.as_str().into(),
        };
        // Who cannot be asked, or is not so far, says nothing.
        if let Ok(Some(theirs)) = place(receiving, &peer, sequence).await {
            others.entry(theirs).or_default().push(peer);
        }
    }
    others.remove(&own);
    let (_, against) = others
        .into_iter()
        .find(|(_, peers)| peers.len() * 2 > voters.len())?;
    let peer = against.first()?;
    let found = first_difference(receiving, peer, sequence).await;
    Some(match found {
        Ok(found) => found,
        Err(error) => format!(
            "operation {sequence} is not what a majority of the voters has; where it began could not be found out: {error}"
        ),
    })
}

async fn place(
    receiving: &Arc<Receiving>,
    peer: &PeerAddress,
    sequence: u64,
) -> io::Result<Option<ObjectId>> {
    match receiving
        .ask(peer, Lane::Request, &Ask::Place(sequence))
        .await?
    {
        Told::Place(place) => Ok(place.map(|(_, id)| id)),
        _ => Err(io::Error::other("it answered something else")),
    }
}

/// The first operation that differs, and the first ref in it that does. That of `last` differs.
async fn first_difference(
    receiving: &Arc<Receiving>,
    peer: &PeerAddress,
    last: u64,
) -> io::Result<String> {
    let own = |sequence: u64| {
        receiving
            .data
            .operation(sequence)
            .map_err(io::Error::other)?
            .ok_or_else(|| io::Error::other(format!("operation {sequence} is missing here")))
    };
    // Operations agree up to some number and differ from there on: each covers its parent.
    let (mut low, mut high) = (1, last);
    while low < high {
        let middle = low + (high - low) / 2;
        match place(receiving, peer, middle).await? == Some(own(middle)?.0) {
            true => low = middle + 1,
            false => high = middle,
        }
    }
    let (_, ours) = own(low)?;
    let theirs = match place(receiving, peer, low).await? {
        Some(id) => operation(receiving, peer, id).await?,
        None => {
            return Err(io::Error::other(format!(
                "the other node has no operation {low}"
            )));
        }
    };
    let what = first_ref(&ours, &theirs).map_or_else(
        || "not in its refs".to_owned(),
        |name| format!("first in ref `{name}`"),
    );
    Ok(format!(
        "operation {low} (log index {}) is not what a majority of the voters has: it differs {what}",
        ours.index
    ))
}

async fn operation(
    receiving: &Arc<Receiving>,
    peer: &PeerAddress,
    id: ObjectId,
) -> io::Result<Operation> {
    let ask = Ask::Objects(vec![(Kind::Operation, id)]);
    let Told::Objects(objects) = receiving.ask(peer, Lane::Request, &ask).await? else {
        return Err(io::Error::other("it answered something else"));
    };
    let bytes: Bytes = objects
        .into_iter()
        .next()
        .flatten()
        .filter(|bytes| ObjectId::of(Kind::Operation, bytes) == id)
        .ok_or_else(|| io::Error::other("it does not have its own operation"))?;
    Operation::decode(&bytes).map_err(io::Error::other)
}

/// The first ref, by name, that one moves and the other does not move alike.
fn first_ref(ours: &Operation, theirs: &Operation) -> Option<String> {
    let differing = |from: &Operation, other: &Operation| {
        let edit = from.edits.iter().find(|edit| !other.edits.contains(edit));
        edit.map(|edit| edit.name.as_str().to_owned())
    };
    let found = [differing(ours, theirs), differing(theirs, ours)];
    found.into_iter().flatten().min()
}
