//! Reading and writing the fixed layouts of `docs/FORMAT-refs.md`.
//!
//! INVARIANT: nothing is allocated by a length that was read before it is known to be there.

use bytes::Bytes;
use confman_object_store::{DecodeError, Kind, ObjectId};

use crate::name::RefName;
use crate::transaction::Target;

/// Reads a layout front to back.
pub(crate) struct Cursor<'a> {
    whole: &'a Bytes,
    at: usize,
    kind: &'static str,
}

impl<'a> Cursor<'a> {
    /// Begins at the first byte. `kind` is what errors call it.
    pub(crate) const fn new(whole: &'a Bytes, kind: &'static str) -> Self {
        Self { whole, at: 0, kind }
    }

    /// An error at the byte before the cursor's next.
    pub(crate) fn wrong(&self, reason: impl Into<String>) -> DecodeError {
        DecodeError {
            kind: self.kind,
            offset: self.at,
            reason: reason.into(),
        }
    }

    pub(crate) const fn offset(&self) -> usize {
        self.at
    }

    pub(crate) fn remaining(&self) -> usize {
        self.whole.len().saturating_sub(self.at)
    }

    pub(crate) fn slice(&mut self, length: usize) -> Result<&'a [u8], DecodeError> {
        let end = self.at.checked_add(length);
        match end.and_then(|end| self.whole.get(self.at..end)) {
            Some(slice) => {
                self.at += length;
                Ok(slice)
            }
            None => Err(self.wrong(format!(
                "{length} bytes should follow, {} do",
                self.remaining()
            ))),
        }
    }

    /// The same, sharing the buffer.
    pub(crate) fn shared(&mut self, length: usize) -> Result<Bytes, DecodeError> {
        let from = self.at;
        self.slice(length)?;
        Ok(self.whole.slice(from..self.at))
    }

    pub(crate) fn array<const N: usize>(&mut self) -> Result<[u8; N], DecodeError> {
        let slice = self.slice(N)?;
        <[u8; N]>::try_from(slice).map_err(|_| self.wrong("too short"))
    }

    pub(crate) fn u8(&mut self) -> Result<u8, DecodeError> {
        self.array::<1>().map(|[byte]| byte)
    }

    pub(crate) fn u16(&mut self) -> Result<u16, DecodeError> {
        self.array().map(u16::from_le_bytes)
    }

    pub(crate) fn u32(&mut self) -> Result<u32, DecodeError> {
        self.array().map(u32::from_le_bytes)
    }

    pub(crate) fn u64(&mut self) -> Result<u64, DecodeError> {
        self.array().map(u64::from_le_bytes)
    }

    pub(crate) fn i64(&mut self) -> Result<i64, DecodeError> {
        self.array().map(i64::from_le_bytes)
    }

    pub(crate) fn id(&mut self) -> Result<ObjectId, DecodeError> {
        self.array().map(ObjectId::from_bytes)
    }

    /// A byte that says whether something follows.
    pub(crate) fn flag(&mut self) -> Result<bool, DecodeError> {
        match self.u8()? {
            0 => Ok(false),
            1 => Ok(true),
            other => Err(self.wrong(format!("a flag is 0 or 1, this is {other}"))),
        }
    }

    /// A count of things of at least `each` bytes, so that a vector of them can be reserved.
    pub(crate) fn count(&mut self, each: usize) -> Result<usize, DecodeError> {
        let count = self.u32()? as usize;
        if count.saturating_mul(each) > self.remaining() {
            return Err(self.wrong(format!(
                "{count} items cannot be in {} bytes",
                self.remaining()
            )));
        }
        Ok(count)
    }

    pub(crate) fn text(&mut self, length: usize) -> Result<&'a str, DecodeError> {
        let slice = self.slice(length)?;
        std::str::from_utf8(slice).map_err(|_| self.wrong("not UTF-8"))
    }

    pub(crate) fn name(&mut self) -> Result<RefName, DecodeError> {
        let length = usize::from(self.u8()?);
        let text = self.text(length)?;
        RefName::new(text).map_err(|error| self.wrong(error.to_string()))
    }

    /// A target; kind 0 stands for none.
    pub(crate) fn target(&mut self) -> Result<Option<Target>, DecodeError> {
        let number = self.u8()?;
        if number == 0 {
            return Ok(None);
        }
        let Some(kind) = Kind::from_number(number) else {
            return Err(self.wrong(format!("{number} is not the number of a kind")));
        };
        Ok(Some(Target {
            kind,
            id: self.id()?,
        }))
    }

    /// Nothing may follow.
    pub(crate) fn end(&self) -> Result<(), DecodeError> {
        match self.remaining() {
            0 => Ok(()),
            more => Err(self.wrong(format!("nothing should follow, {more} bytes do"))),
        }
    }
}

/// Appends what [`Cursor::name`] reads.
pub(crate) fn put_name(out: &mut Vec<u8>, name: &RefName) {
    let text = name.as_str().as_bytes();
    debug_assert!(
        u8::try_from(text.len()).is_ok(),
        "names have at most 255 bytes"
    );
    out.push(text.len() as u8);
    out.extend_from_slice(text);
}

/// Appends what [`Cursor::target`] reads.
pub(crate) fn put_target(out: &mut Vec<u8>, target: Option<Target>) {
    match target {
        None => out.push(0),
        Some(target) => {
            out.push(target.kind as u8);
            out.extend_from_slice(target.id.as_bytes());
        }
    }
}

/// Appends a length as [`Cursor::u32`] reads it.
pub(crate) fn put_length(out: &mut Vec<u8>, length: usize) {
    debug_assert!(
        u32::try_from(length).is_ok(),
        "checked against a limit before"
    );
    out.extend_from_slice(&(length as u32).to_le_bytes());
}
