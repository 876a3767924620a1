//! Laws of the tree, checked on trees of every shape, with pages of the format's size and smaller.

mod keys;
mod laws;
mod objects;
mod reference;

use super::*;
