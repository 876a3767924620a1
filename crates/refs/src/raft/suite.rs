//! openraft's own suite, over the log and the state machine as they are used.

use std::path::Path;
use std::sync::{Arc, Mutex};
use std::thread::JoinHandle;

use arc_swap::ArcSwap;
use openraft::StorageError;
use openraft::storage::IOFlushed;
use openraft::testing::log::{StoreBuilder, Suite};

use super::log::Log;
use super::machine::Machine;
use super::{LogId, Types, record};
use crate::data::Data;
use crate::data::apply::Applier;
use crate::failure::Failure;
use crate::view::View;

/// Ends the writer and removes the directory.
struct Guard {
    log: Log,
    writer: Option<JoinHandle<()>>,
    _directory: tempfile::TempDir,
}

impl Drop for Guard {
    fn drop(&mut self) {
        self.log.shared.queue.close();
        self.writer.take().unwrap().join().unwrap();
    }
}

struct Builder;

fn open(path: &Path) -> (Log, JoinHandle<()>, Machine) {
    let failure = Arc::new(Failure::default());
    let (log, writer) = Log::open(&path.join("raft"), Arc::clone(&failure)).unwrap();
    let data = Arc::new(Data::open(&path.join("data"), 1 << 20, 1 << 20, failure).unwrap());
    let applier = Applier::load(data, Arc::new(ArcSwap::from_pointee(View::default()))).unwrap();
    (
        log,
        writer,
        Machine::new(Arc::new(Mutex::new(applier)), Arc::new(|_| {})),
    )
}

impl StoreBuilder<Types, Log, Machine, Guard> for Builder {
    async fn build(&self) -> Result<(Guard, Log, Machine), StorageError<Types>> {
        let directory = tempfile::tempdir().unwrap();
        let (log, writer, machine) = open(directory.path());
        Ok((
            Guard {
                log: log.clone(),
                writer: Some(writer),
                _directory: directory,
            },
            log,
            machine,
        ))
    }
}

#[test]
fn storage_suite_of_openraft_passes() {
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(2)
        .enable_all()
        .build()
        .unwrap();
    runtime.block_on(Suite::test_all(Builder)).unwrap();
}

#[test]
fn record_in_the_wrong_place_or_with_a_flipped_bit_is_found() {
    let entry = super::Entry {
        log_id: record::log_id(3, 1, 7),
        payload: openraft::EntryPayload::Blank,
    };
    let mut bytes = Vec::new();
    record::encode_entry(&entry, &mut bytes);
    assert_eq!(
        record::decode_entry(7, &bytes.clone().into()).unwrap(),
        entry
    );
    assert!(record::decode_entry(8, &bytes.clone().into()).is_err());
    for bit in 0..bytes.len() * 8 {
        let mut flipped = bytes.clone();
        flipped[bit / 8] ^= 1 << (bit % 8);
        assert!(
            record::decode_entry(7, &flipped.into()).is_err(),
            "bit {bit}"
        );
    }
}

/// A leader knows of commits before its own disk has the entries.
#[test]
fn log_on_disk_calls_nothing_committed_that_it_does_not_have() {
    use openraft::storage::RaftLogStorage;
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("raft");
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .unwrap();
    let committed_after_reopening = |committed: Option<LogId>| {
        let (mut log, writer) = Log::open(&path, Arc::new(Failure::default())).unwrap();
        runtime.block_on(async {
            log.save_committed(committed).await.unwrap();
            let vote = openraft::impls::Vote::new(9, 1);
            log.save_vote(&vote).await.unwrap();
        });
        log.shared.queue.close();
        writer.join().unwrap();
        drop(log);
        let (log, writer) = Log::open(&path, Arc::new(Failure::default())).unwrap();
        let committed = log.shared.lock().committed;
        log.shared.queue.close();
        writer.join().unwrap();
        committed
    };
    let entry = |index| super::Entry {
        log_id: record::log_id(3, 1, index),
        payload: openraft::EntryPayload::Blank,
    };
    assert_eq!(
        committed_after_reopening(Some(record::log_id(3, 1, 0))),
        None
    );
    let (mut log, writer) = Log::open(&path, Arc::new(Failure::default())).unwrap();
    runtime.block_on(async {
        log.append((0..3).map(entry), IOFlushed::noop())
            .await
            .unwrap()
    });
    log.shared.queue.close();
    writer.join().unwrap();
    drop(log);
    let id = |term, index| Some(record::log_id(term, 1, index));
    assert_eq!(committed_after_reopening(id(3, 1)), id(3, 1));
    assert_eq!(committed_after_reopening(id(3, 7)), id(3, 2));
    // The entries of another leader are not known to be the same.
    assert_eq!(committed_after_reopening(id(4, 8)), id(3, 2));
}
