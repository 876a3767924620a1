//! A node that does not have what was agreed on says so and serves no more.

#![allow(
    clippy::unwrap_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "helpers of tests are not tests to the lint"
)]

#[path = "harness/cluster.rs"]
mod cluster;
#[path = "harness/node_directory.rs"]
mod harness;

use std::time::Duration;

use cluster::{Cluster, tuning};
use confman_refs::OpenError;

#[test]
fn node_that_differs_takes_itself_out_and_the_others_go_on() {
    let mut cluster = Cluster::of(3, tuning());
    cluster.set("a", "one");
    cluster.set("b", "one");
    let astray = cluster.lead_a_follower_astray();
    let node = cluster.node(astray).clone();
    let reason = node.status().failed.unwrap();
    assert!(
        reason.starts_with("the node differs from its cluster: operation 3 "),
        "{reason}"
    );
    assert!(node.linearize(Duration::from_millis(10)).is_err());
    drop(node);
    let directory = cluster.directory(astray).to_owned();
    cluster.stop(astray);
    cluster.set("d", "one");
    cluster.assert_equal();
    for node in cluster.nodes.values() {
        assert_eq!(node.status().failed, None);
    }
    assert!(matches!(
        harness::try_open(&directory),
        Err(OpenError::Differs { .. })
    ));
}
