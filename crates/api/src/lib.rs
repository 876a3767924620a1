//! The HTTP contract as types; the only JSON.
