//! Rows of derived indexes, written with the operation that causes them.
//!
//! What they mean is the proposer's business. A row's place is `table, prefix, newest operation
//! first, suffix`, so that one prefix scan gives the history of a thing, newest first.

/// A row of a derived index.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct IndexRow {
    /// The proposer's number of the table, 0–127.
    pub table: u8,
    /// What the row is about; no prefix in a table may begin with another one.
    pub prefix: Vec<u8>,
    /// Orders rows of one operation with the same prefix, ascending.
    pub suffix: Vec<u8>,
    /// The proposer's bytes.
    pub value: Vec<u8>,
}

/// A row as read back.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StoredRow {
    /// Log index of the operation that wrote it.
    pub index: u64,
    /// As written.
    pub prefix: Vec<u8>,
    /// As written.
    pub suffix: Vec<u8>,
    /// As written.
    pub value: Vec<u8>,
}

/// Which rows of a table to read.
#[derive(Clone, Debug)]
pub struct RowRange {
    /// The table.
    pub table: u8,
    /// Rows with exactly this prefix.
    pub prefix: Vec<u8>,
    /// Only rows after this place (an index and suffix that an earlier call ended with).
    pub after: Option<(u64, Vec<u8>)>,
    /// Only rows of operations up to this index.
    pub index_max: u64,
    /// At most so many.
    pub limit: usize,
}
