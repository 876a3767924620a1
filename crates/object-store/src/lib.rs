//! Bytes in, id out: canonical objects, trees, packs, proofs; verified on every read.
//!
//! An object is immutable and named by the BLAKE3 hash of its bytes under the context of its kind
//! ([`ObjectId::of`]). Everything else here is built from that: the codec that gives every object
//! exactly one byte string, the paged Patricia tree, the packs that carry objects between places,
//! and the backends that keep them.
//!
//! INVARIANT: no function returns bytes that do not hash to the id they were asked for by.
//! INVARIANT: this crate knows neither refs nor configuration; entry types and flags are opaque to it.

pub mod attestation;
pub mod backend;
mod chain;
pub mod codec;
pub mod commit;
pub mod encoding;
pub mod id;
pub mod meta;
pub mod object;
pub mod pack;
pub mod pack_dir;
pub mod record;
#[cfg(feature = "rocksdb")]
pub mod rocks;
pub mod store;
#[cfg(any(test, feature = "testing"))]
pub mod testing;
pub mod tree;

pub use attestation::Attestation;
pub use backend::{BackendError, MemoryBackend, ObjectBackend, Stored};
pub use codec::{DecodeError, EncodeError};
pub use commit::{Commit, Moment, Person};
pub use encoding::{Encoded, Encoding};
pub use id::{IdPrefix, ObjectId, ParseIdError};
pub use meta::Meta;
pub use object::{Kind, Object};
pub use pack_dir::{PackDir, PackDirError};
pub use record::Record;
pub use store::{ReadError, ReadObjects, Stage, Store};
