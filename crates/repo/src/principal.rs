//! Principals and their tokens.

use confman_refs::Committed;

use crate::error::Error;
use crate::session::Session;
use crate::token::Token;

impl Session {
    /// Makes a principal, for an admin of `/`.
    ///
    /// # Errors
    /// [`Error::Exists`], [`Error::Denied`], [`Error::Invalid`].
    pub fn create_principal(&self, _name: &str, _display_name: &str) -> Result<Committed, Error> { todo!() }

    /// Makes a token for a principal: its own, or anybody's for an admin of `/`.
    ///
    /// # Errors
    /// [`Error::NotFound`], [`Error::Denied`].
    pub fn create_token(&self, _principal: &str) -> Result<(Token, Committed), Error> { todo!() }
}
