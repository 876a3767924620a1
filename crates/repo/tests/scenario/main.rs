//! What people do, on a real node in a temporary directory with a clock that stands still.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "tests"
)]

mod audit;
mod cluster;
mod drafts;
mod effective;
mod gradual;
mod history;
mod identity;
mod lives;
mod model;
mod moments;
mod namespaces;
mod publishing;
mod requests;
mod review_bypass;
mod revisions;
mod scheduling;
mod schemas;
mod sync;
mod test_repo;
mod values;
