//! Histories from Git and back: `git fast-export` and `git fast-import` streams.

mod assembly;
mod content;
pub mod export;
pub mod import;
mod place;
pub mod sidecar;
pub mod stream;
mod workshop;
