//! Whether everything that must be there is there, and is what it claims to be.

use std::collections::BTreeMap;

use confman_object_store::Kind;

use crate::error::Error;
use crate::session::Session;

/// How far a check has come.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct FsckProgress {
    /// What is being checked.
    pub phase: &'static str,
    /// How many are done.
    pub done: u64,
}

/// What a check found.
#[derive(Clone, Debug, Default)]
pub struct FsckReport {
    /// Objects read and hashed, by kind.
    pub objects: BTreeMap<Kind, u64>,
    /// Of these, objects that no ref and no operation leads to.
    pub unreachable: u64,
    /// Operations of the chain that were checked.
    pub operations: u64,
    /// Rows of derived indexes that were compared.
    pub rows: u64,
    /// What is wrong; empty when all is well.
    pub problems: Vec<String>,
}

impl Session {
    /// Reads and hashes every object, follows every link, verifies the chain of operations, and makes
    /// the derived rows again to compare them. For an admin of `/`.
    ///
    /// # Errors
    /// [`Error::Denied`]; what is wrong with the store is in the report.
    pub fn fsck(&self, _progress: &mut dyn FnMut(FsckProgress)) -> Result<FsckReport, Error> { todo!() }
}
