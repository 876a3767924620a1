//! Laws of the tree, checked on trees of every shape, with pages of the format's size and smaller.

mod bounds;
mod fixtures;
mod hostile;
mod keys;
mod laws;
mod objects;
mod pages;
mod reference;

use super::*;
