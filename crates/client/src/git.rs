//! Histories from Git and back: `git fast-export` and `git fast-import` streams.

pub mod export;
pub mod import;
