//! Deterministic simulation of a cluster: several nodes in one thread, in time that only moves when all of them
//! wait, with everything that is left to chance drawn from one seed. The same seed is the same simulation.
//!
//! What is real: openraft, the state machine with its database, and the encodings. What is simulated: the log's
//! disk ([`disk`]), the links ([`network`]), crashes and power cuts ([`host`]), and clients ([`client`]).
//!
//! `CONFMAN_SIMULATE_SEEDS` says how many seeds a run tries, `CONFMAN_SIMULATE_SEED` replays one aloud.

pub(crate) mod chance;
mod client;
mod disk;
pub(crate) mod host;
mod network;
mod run;
pub(crate) mod runtime;
mod tests;
mod world;
