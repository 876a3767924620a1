//! The newest entries of the log in memory: those that are not on disk yet, and as many of the others
//! as fit, because applying and replicating read them next.

use std::collections::VecDeque;

use openraft::EntryPayload;

use super::Entry;

/// Memory for entries that are on disk already.
const TAIL_BYTES_MAX: usize = 16 << 20;
/// What an entry costs beyond its payload.
const ENTRY_BYTES: usize = 128;

/// A contiguous run of entries that ends with the log's last one.
#[derive(Debug, Default)]
pub(crate) struct Tail {
    entries: VecDeque<Entry>,
    bytes: usize,
    /// Entries before this index are on disk.
    flushed_end: u64,
}

/// What an entry counts for wherever bytes are limited.
pub(crate) fn weight(entry: &Entry) -> usize {
    match &entry.payload {
        EntryPayload::Normal(payload) => ENTRY_BYTES + payload.0.len(),
        EntryPayload::Blank | EntryPayload::Membership(_) => ENTRY_BYTES,
    }
}

impl Tail {
    /// Index of the oldest entry here.
    pub(crate) fn first(&self) -> Option<u64> {
        self.entries.front().map(|entry| entry.log_id.index)
    }

    /// Adds the log's next entry.
    pub(crate) fn push(&mut self, entry: Entry) {
        self.bytes += weight(&entry);
        self.entries.push_back(entry);
    }

    /// Entries up to `index` are on disk: forgets old ones beyond the memory allowed.
    pub(crate) fn flushed(&mut self, index: u64) {
        self.flushed_end = self.flushed_end.max(index + 1);
        while self.bytes > TAIL_BYTES_MAX
            && self.first().is_some_and(|first| first < self.flushed_end)
        {
            self.pop_front();
        }
    }

    /// Entries from `from` up to but without `end`, of those that are here.
    pub(crate) fn range(&self, from: u64, end: u64) -> Vec<Entry> {
        let Some(first) = self.first() else {
            return Vec::new();
        };
        let skip = usize::try_from(from.saturating_sub(first)).unwrap_or(usize::MAX);
        let take = usize::try_from(end.saturating_sub(from.max(first))).unwrap_or(usize::MAX);
        self.entries.iter().skip(skip).take(take).cloned().collect()
    }

    /// Removes entries after `index`.
    pub(crate) fn truncate_after(&mut self, index: Option<u64>) {
        while let Some(last) = self.entries.back()
            && index.is_none_or(|index| last.log_id.index > index)
        {
            self.bytes -= weight(last);
            self.entries.pop_back();
        }
    }

    /// After a truncation is on disk, what follows it is not.
    pub(crate) fn unflushed_after(&mut self, index: Option<u64>) {
        self.flushed_end = self.flushed_end.min(index.map_or(0, |index| index + 1));
    }

    /// Removes entries up to `index`.
    pub(crate) fn purge(&mut self, index: u64) {
        while self.first().is_some_and(|first| first <= index) {
            self.pop_front();
        }
    }

    fn pop_front(&mut self) {
        if let Some(entry) = self.entries.pop_front() {
            self.bytes -= weight(&entry);
        }
    }
}
