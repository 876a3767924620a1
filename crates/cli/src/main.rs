//! The confman command line.
fn main() {}
