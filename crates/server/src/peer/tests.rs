//! Nodes in one process that meet over real connections.

use std::sync::Arc;
use std::time::{Duration, Instant};

use bytes::Bytes;
use confman_repo::refs::peer::{CallError, Lane, PROTOCOL_MAX, PeerAddress};
use confman_repo::refs::{Begin, Node, NodeOptions, PeerOptions, Tuning};

use super::authority::{CA_CERTIFICATE, make_authority, make_node};
use super::{PeerServeOptions, Peers};

const WITHIN: Duration = Duration::from_secs(30);

struct Authority(tempfile::TempDir);

impl Authority {
    fn new() -> Self {
        let directory = tempfile::tempdir().unwrap();
        make_authority(directory.path()).unwrap();
        Self(directory)
    }

    fn options(&self, name: &str) -> PeerServeOptions {
        let files = make_node(self.0.path(), &[name.to_owned(), "127.0.0.1".to_owned()]).unwrap();
        PeerServeOptions {
            listen: "127.0.0.1:0".to_owned(),
            address: None,
            ca: self.0.path().join(CA_CERTIFICATE),
            certificate: files.certificate,
            key: files.key,
        }
    }
}

struct Member {
    node: Arc<Node>,
    peers: Peers,
    _directory: tempfile::TempDir,
}

fn member(options: &PeerServeOptions, begin: Begin) -> Member {
    let directory = tempfile::tempdir().unwrap();
    let peers = Peers::start(options).unwrap();
    let node = Node::open(&NodeOptions {
        directory: directory.path().to_owned(),
        cache_bytes: 1 << 20,
        block_cache_bytes: 1 << 20,
        peers: Some(PeerOptions {
            address: peers.address().to_owned(),
            transport: peers.transport(),
            begin,
            tuning: Tuning::default(),
            replica: false,
            protocol_max: PROTOCOL_MAX,
        }),
    })
    .unwrap();
    let node = Arc::new(node);
    peers.attach(&node);
    Member {
        node,
        peers,
        _directory: directory,
    }
}

fn joined(first: &Member, node_id: u64) -> Begin {
    let identity = first.node.identity();
    Begin::Joined {
        cluster_id: identity.cluster_id,
        node_id,
        incarnation: identity.incarnation,
    }
}

fn at(member: &Member, node_id: u64) -> PeerAddress {
    PeerAddress {
        node_id: Some(node_id),
        address: member.peers.address().into(),
    }
}

/// Calls with a message that is none: whoever answers says so.
fn call(from: &Member, to: &PeerAddress) -> Result<Bytes, CallError> {
    let transport = from.peers.transport();
    let message = Bytes::from_static(b"?");
    futures::executor::block_on(transport.call(to, Lane::Control, message, WITHIN))
}

#[test]
fn members_with_certificates_of_one_authority_talk() {
    let authority = Authority::new();
    let first = member(&authority.options("one"), Begin::Alone);
    let second = member(&authority.options("two"), joined(&first, 2));
    assert!(call(&second, &at(&first, 1)).is_ok());
    assert!(call(&first, &at(&second, 2)).is_ok());
    // Many at once, over one connection.
    let answers = std::thread::scope(|scope| {
        let calls: Vec<_> = (0..32)
            .map(|_| scope.spawn(|| call(&second, &at(&first, 1)).is_ok()))
            .collect();
        calls
            .into_iter()
            .map(|call| call.join().unwrap())
            .filter(|ok| *ok)
            .count()
    });
    assert_eq!(answers, 32);
}

#[test]
fn stranger_to_the_cluster_is_refused_with_a_reason_on_its_side() {
    let authority = Authority::new();
    let first = member(&authority.options("one"), Begin::Alone);
    let other = member(
        &authority.options("two"),
        Begin::Joined {
            cluster_id: [7; 16],
            node_id: 2,
            incarnation: 1,
        },
    );
    let error = call(&other, &at(&first, 1)).unwrap_err();
    let CallError::Refused(reason) = &error else {
        panic!("{error}")
    };
    assert!(
        reason.starts_with("it says of this node: it is of cluster 0707"),
        "{reason}"
    );
    let wrong = member(&authority.options("three"), joined(&first, 3));
    let error = call(&wrong, &at(&first, 9)).unwrap_err();
    insta::assert_snapshot!(error, @"refused: it is node 1, not node 9");
}

#[test]
fn certificate_of_another_authority_is_refused() {
    let (ours, theirs) = (Authority::new(), Authority::new());
    let first = member(&ours.options("one"), Begin::Alone);
    let second = member(&theirs.options("two"), joined(&first, 2));
    let error = call(&second, &at(&first, 1)).unwrap_err();
    assert!(matches!(error, CallError::Refused(_)), "{error}");
    // A client that trusts our server and has a certificate of its own authority.
    let mut mixed = theirs.options("three");
    mixed.ca = ours.0.path().join(CA_CERTIFICATE);
    let third = member(&mixed, joined(&first, 3));
    let error = call(&third, &at(&first, 1)).unwrap_err();
    assert!(matches!(error, CallError::Refused(_)), "{error}");
}

#[test]
fn peer_that_is_not_there_is_unreachable_and_is_found_when_it_comes() {
    let authority = Authority::new();
    let first = member(&authority.options("one"), Begin::Alone);
    let second = member(&authority.options("two"), joined(&first, 2));
    let place = second.peers.address().to_owned();
    drop(second);
    let to = PeerAddress {
        node_id: Some(2),
        address: place.as_str().into(),
    };
    assert!(matches!(call(&first, &to), Err(CallError::Unreachable(_))));
    let mut options = authority.options("three");
    options.listen = place;
    let _third = member(&options, joined(&first, 2));
    let until = Instant::now() + WITHIN;
    while call(&first, &to).is_err() {
        assert!(Instant::now() < until, "it is back and was not found");
        std::thread::park_timeout(Duration::from_millis(20));
    }
}

#[test]
fn certificates_that_change_are_used_without_a_restart() {
    let authority = Authority::new();
    let options = authority.options("one");
    let first = member(&options, Begin::Alone);
    let next = Authority::new();
    let renewed = next.options("two");
    let second = member(&renewed, joined(&first, 2));
    assert!(call(&second, &at(&first, 1)).is_err());
    for (from, to) in [
        (&renewed.ca, &options.ca),
        (&next.options("one").certificate, &options.certificate),
        (&next.0.path().join("one.key"), &options.key),
    ] {
        std::fs::copy(from, to).unwrap();
    }
    let until = Instant::now() + WITHIN;
    while call(&second, &at(&first, 1)).is_err() {
        assert!(Instant::now() < until, "new certificates are not used");
        std::thread::park_timeout(Duration::from_millis(50));
    }
}

#[test]
fn certificates_that_cannot_be_used_are_told_by_file() {
    let authority = Authority::new();
    let mut options = authority.options("one");
    options.key = authority.0.path().join("nowhere.key");
    let error = Peers::start(&options).unwrap_err();
    let source = std::error::Error::source(&error).unwrap().to_string();
    assert!(
        source.starts_with("cannot read the node's key in `"),
        "{source}"
    );
}
