//! A node in a directory that goes away, and short ways to make transactions.

#![allow(dead_code, reason = "each test file uses its own part")]

use std::path::Path;

use confman_object_store::{Encoded, Kind, Object};
use confman_refs::{
    Committed, Expect, IndexRow, Node, NodeOptions, OpenError, RefEdit, RefName, RequestId, Target,
    TransactError, Transaction,
};

pub fn options(directory: &Path) -> NodeOptions {
    NodeOptions {
        directory: directory.to_owned(),
        cache_bytes: 4 << 20,
        block_cache_bytes: 4 << 20,
        peers: None,
    }
}

pub fn try_open(directory: &Path) -> Result<Node, OpenError> {
    Node::open(&options(directory))
}

#[track_caller]
pub fn open(directory: &Path) -> Node {
    try_open(directory).unwrap()
}

pub fn name(text: &str) -> RefName {
    RefName::new(text).unwrap()
}

/// A blob with this text, and the target that names it.
pub fn blob(text: impl Into<Vec<u8>>) -> (Encoded, Target) {
    let object = Object::new(Kind::Blob, text.into());
    let target = Target {
        kind: object.kind(),
        id: object.id(),
    };
    (Encoded::new(&object), target)
}

/// A transaction that does nothing yet.
pub fn empty(request: u64) -> Transaction {
    let mut id = [0; 16];
    id[..8].copy_from_slice(&request.to_le_bytes());
    Transaction {
        request: RequestId(id),
        edits: Vec::new(),
        reads: Vec::new(),
        objects: Vec::new(),
        rows: Vec::new(),
        actor: "tester".to_owned(),
        action: "test".to_owned(),
        detail: String::new(),
        time_ms: 1_000 + i64::try_from(request).unwrap(),
    }
}

/// A transaction that sets one ref to a new blob.
pub fn setting(request: u64, ref_name: &str, expect: Expect, text: &str) -> (Transaction, Target) {
    let (object, target) = blob(text);
    let mut transaction = empty(request);
    transaction.objects.push(object);
    transaction.edits.push(RefEdit {
        name: name(ref_name),
        expect,
        new: Some(target),
    });
    (transaction, target)
}

/// Text of a length that does not compress.
pub fn noise(number: u64, length: usize) -> String {
    let mut bytes = vec![0; length];
    blake3::Hasher::new()
        .update(&number.to_le_bytes())
        .finalize_xof()
        .fill(&mut bytes);
    let letters = bytes.iter().map(|byte| char::from(byte % 64 + 48));
    letters.collect()
}

pub fn row(table: u8, prefix: &str, suffix: &str, value: &str) -> IndexRow {
    IndexRow {
        table,
        prefix: prefix.into(),
        suffix: suffix.into(),
        value: value.into(),
    }
}

/// Sets a ref from whatever it is now.
pub fn set(
    node: &Node,
    request: u64,
    ref_name: &str,
    text: &str,
) -> Result<Committed, TransactError> {
    let expect = Expect::from_seen(node.view().get(ref_name));
    node.transact(setting(request, ref_name, expect, text).0)
}
