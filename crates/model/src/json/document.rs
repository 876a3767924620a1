//! JSON text together with where each part of it stands.

use std::ops::Range;

use super::{Json, Pointer};
use crate::value::Problem;

/// A JSON text that was read strictly, and where its parts are.
#[derive(Debug, Clone)]
pub struct Document<'t> {
    text: &'t str,
}

impl<'t> Document<'t> {
    /// Reads JSON text strictly.
    ///
    /// # Errors
    /// Reports every problem it can tell apart.
    pub fn parse(text: &'t [u8]) -> Result<Self, Vec<Problem>> {
        todo!()
    }

    /// The text.
    #[must_use]
    pub fn text(&self) -> &'t str {
        self.text
    }

    /// The value without positions.
    #[must_use]
    pub fn to_json(&self) -> Json {
        todo!()
    }

    /// The bytes of the text that hold the part `pointer` names.
    #[must_use]
    pub fn locate(&self, pointer: &Pointer) -> Option<Range<usize>> {
        todo!()
    }
}
