//! Confman over HTTP.
