//! Bearer tokens: `cfm_pat_` for people and `cfm_svc_` for programs, 43 digits of 256 random bits, 6
//! digits of their CRC-32.
//!
//! The check digits let a scanner tell a leaked token from a random word, and a typing error from a
//! token that was revoked.

mod issued;

use std::fmt;

use confman_model::PrincipalKind;

use crate::error::Error;
use crate::evaluation::fill_random;

pub(crate) use issued::TokenRecord;
pub use issued::{NewToken, TOKEN_NAME_BYTES_MAX, TOKENS_OF_PRINCIPAL_MAX, TokenInfo};

/// What the token of a person begins with.
pub const TOKEN_PREFIX_USER: &str = "cfm_pat_";
/// What the token of a program begins with.
pub const TOKEN_PREFIX_SERVICE: &str = "cfm_svc_";
/// What a token begins with that lets nodes into the cluster.
pub const TOKEN_PREFIX_JOIN: &str = "cfm_join_";
/// Digits of the random bits, in base 62.
const RANDOM_DIGITS: usize = 43;
/// Digits of the check, in base 62.
const CHECK_DIGITS: usize = 6;
/// Digits of the hash that a token's ref is named by.
const HASH_DIGITS: usize = 16;
/// Context of a token's hash.
const HASH_CONTEXT: &str = "confman 2026 token v1";

const ALPHABET: [u8; 62] = *b"0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz";

/// A token in the clear. Only its hash is ever stored, and it is never logged.
#[derive(Clone)]
pub struct Token(String);

impl fmt::Debug for Token {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Token(…)")
    }
}

impl Token {
    /// A new token from the system's random numbers.
    ///
    /// # Errors
    /// The system has none.
    pub fn generate(kind: PrincipalKind) -> Result<Self, Error> {
        Self::new(match kind {
            PrincipalKind::User => TOKEN_PREFIX_USER,
            PrincipalKind::Service => TOKEN_PREFIX_SERVICE,
        })
    }

    /// A new token that lets nodes into the cluster, and is of no use as anything else.
    pub(crate) fn generate_join() -> Result<Self, Error> {
        Self::new(TOKEN_PREFIX_JOIN)
    }

    fn new(prefix: &str) -> Result<Self, Error> {
        let mut bits = [0; 32];
        fill_random(&mut bits)?;
        let random = base62(&bits, RANDOM_DIGITS);
        let check = base62(&crc32(random.as_bytes()).to_be_bytes(), CHECK_DIGITS);
        Ok(Self(format!("{prefix}{random}{check}")))
    }

    /// Takes the text of a token.
    ///
    /// # Errors
    /// [`Error::Unauthenticated`] where it has not the form of one.
    pub fn parse(text: &str) -> Result<Self, Error> {
        let digits = text
            .strip_prefix(TOKEN_PREFIX_USER)
            .or_else(|| text.strip_prefix(TOKEN_PREFIX_SERVICE));
        Self::checked(text, digits)
    }

    /// Takes the text of a token that lets nodes in.
    pub(crate) fn parse_join(text: &str) -> Result<Self, Error> {
        Self::checked(text, text.strip_prefix(TOKEN_PREFIX_JOIN))
    }

    fn checked(text: &str, digits: Option<&str>) -> Result<Self, Error> {
        let digits = digits.ok_or(Error::Unauthenticated)?;
        let well_formed = digits.len() == RANDOM_DIGITS + CHECK_DIGITS
            && digits.bytes().all(|b| ALPHABET.contains(&b));
        if !well_formed {
            return Err(Error::Unauthenticated);
        }
        let (random, check) = digits.split_at(RANDOM_DIGITS);
        if check != base62(&crc32(random.as_bytes()).to_be_bytes(), CHECK_DIGITS) {
            return Err(Error::Unauthenticated);
        }
        Ok(Self(text.to_owned()))
    }

    /// The text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// What is stored of it.
    pub(crate) fn hash(&self) -> [u8; 32] {
        blake3::derive_key(HASH_CONTEXT, self.0.as_bytes())
    }

    /// What its ref is named by.
    pub(crate) fn digits(&self) -> String {
        let mut digits = data_encoding::HEXLOWER.encode(&self.hash());
        digits.truncate(HASH_DIGITS);
        digits
    }
}

/// A big-endian number in base 62, padded with zeros to `digits`.
fn base62(number: &[u8], digits: usize) -> String {
    let mut number = number.to_vec();
    let mut text = vec![b'0'; digits];
    for place in text.iter_mut().rev() {
        let mut remainder = 0_u32;
        for byte in &mut number {
            let value = remainder * 256 + u32::from(*byte);
            *byte = u8::try_from(value / 62).unwrap_or_default();
            remainder = value % 62;
        }
        *place = ALPHABET.get(remainder as usize).copied().unwrap_or(b'0');
    }
    String::from_utf8(text).unwrap_or_default()
}

/// CRC-32 as in Ethernet and zip.
fn crc32(bytes: &[u8]) -> u32 {
    const POLYNOMIAL: u32 = 0xedb8_8320;
    let mut crc = u32::MAX;
    for byte in bytes {
        crc ^= u32::from(*byte);
        for _ in 0..8 {
            crc = (crc >> 1) ^ if crc & 1 == 1 { POLYNOMIAL } else { 0 };
        }
    }
    !crc
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_check_is_the_usual_one() {
        assert_eq!(crc32(b"123456789"), 0xcbf4_3926);
        assert_eq!(base62(&[0xff; 32], 43).len(), 43);
        assert_eq!(base62(&[0, 61], 3), "00z");
        assert_eq!(base62(&[1, 0], 3), "048");
    }

    #[test]
    fn a_new_token_is_accepted_and_no_digit_can_change() {
        let token = Token::generate(PrincipalKind::User).unwrap();
        assert!(Token::parse(token.as_str()).is_ok());
        assert_eq!(
            token.as_str().len(),
            TOKEN_PREFIX_USER.len() + RANDOM_DIGITS + CHECK_DIGITS
        );
        for at in 0..token.as_str().len() {
            let mut changed = token.as_str().as_bytes().to_vec();
            changed[at] = if changed[at] == b'x' { b'y' } else { b'x' };
            let changed = String::from_utf8(changed).unwrap();
            assert!(
                matches!(Token::parse(&changed), Err(Error::Unauthenticated)),
                "{at}"
            );
        }
        for wrong in [
            "",
            "cfm_pat_",
            "cfm_pat_ü",
            &token.as_str()[1..],
            &format!("{}0", token.as_str()),
        ] {
            assert!(matches!(Token::parse(wrong), Err(Error::Unauthenticated)));
        }
    }

    #[test]
    fn a_token_does_not_show_in_debug_output() {
        insta::assert_snapshot!(format!("{:?}", Token::generate(PrincipalKind::User).unwrap()), @"Token(…)");
    }
}
