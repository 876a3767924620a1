//! Encodings of bodies: which one a caller takes, and how it is made.

use std::io::Write;

use axum::http::{HeaderMap, header};
use bytes::Bytes;

use crate::error::ApiError;
use crate::preference;

/// A body that is shorter is sent as it is: there is nothing to gain.
pub const ENCODED_BYTES_MIN: usize = 1024;
/// How hard zstd tries. It is done once for each state of a document.
const ZSTD_LEVEL: i32 = 9;
/// How hard gzip tries.
const GZIP_LEVEL: u32 = 6;

/// An encoding of a body.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Encoding {
    /// As it is.
    Identity,
    /// gzip.
    Gzip,
    /// Zstandard.
    Zstd,
}

impl Encoding {
    /// The encodings but the first, best first.
    const OFFERED: [(&'static str, Self); 2] = [("zstd", Self::Zstd), ("gzip", Self::Gzip)];

    /// What `Accept-Encoding` likes best; what it likes equally, the smaller one. A body as it is, is
    /// always an answer.
    pub(crate) fn accepted(headers: &HeaderMap) -> Self {
        let Some(value) = headers.get(header::ACCEPT_ENCODING) else {
            return Self::Identity;
        };
        let text = value.to_str().unwrap_or_default();
        let quality = |name: &str| {
            let mut any = None;
            for (range, quality) in text.split(',').map(preference::range) {
                if range == name {
                    return quality;
                }
                if range == "*" {
                    any = Some(quality);
                }
            }
            any.unwrap_or(0)
        };
        let mut best = (Self::Identity, 0);
        for (name, encoding) in Self::OFFERED {
            let quality = quality(name);
            if quality > best.1 {
                best = (encoding, quality);
            }
        }
        best.0
    }

    /// The word in `Content-Encoding`.
    pub(crate) const fn name(self) -> Option<&'static str> {
        match self {
            Self::Identity => None,
            Self::Gzip => Some("gzip"),
            Self::Zstd => Some("zstd"),
        }
    }

    /// Encodes a body.
    pub(crate) fn encode(self, body: &Bytes) -> Result<Bytes, ApiError> {
        let failed = |error: std::io::Error| {
            ApiError::internal(format!("a body could not be compressed: {error}"))
        };
        match self {
            Self::Identity => Ok(body.clone()),
            Self::Gzip => {
                let level = flate2::Compression::new(GZIP_LEVEL);
                let mut encoder = flate2::write::GzEncoder::new(Vec::new(), level);
                encoder.write_all(body).map_err(failed)?;
                encoder.finish().map(Bytes::from).map_err(failed)
            }
            Self::Zstd => zstd::bulk::compress(body, ZSTD_LEVEL)
                .map(Bytes::from)
                .map_err(failed),
        }
    }
}

#[cfg(test)]
mod tests {
    use axum::http::HeaderValue;

    use super::*;

    #[test]
    fn the_smallest_of_what_is_liked_best_is_taken() {
        let taken = |accepts: &'static str| {
            let headers = HeaderMap::from_iter([(
                header::ACCEPT_ENCODING,
                HeaderValue::from_static(accepts),
            )]);
            Encoding::accepted(&headers).name().unwrap_or("identity")
        };
        for (accepts, expected) in [
            ("gzip, deflate, br, zstd", "zstd"),
            ("gzip", "gzip"),
            ("gzip;q=1, zstd;q=0.5", "gzip"),
            ("zstd;q=0, gzip;q=0", "identity"),
            ("*", "zstd"),
            ("*;q=0.5, zstd;q=0", "gzip"),
            ("br", "identity"),
            ("", "identity"),
        ] {
            assert_eq!(taken(accepts), expected, "{accepts}");
        }
        assert_eq!(Encoding::accepted(&HeaderMap::new()), Encoding::Identity);
    }

    #[test]
    fn every_encoding_can_be_undone() {
        let body = Bytes::from("configuration ".repeat(200));
        let gzip = Encoding::Gzip.encode(&body).unwrap();
        let mut read = Vec::new();
        std::io::Read::read_to_end(&mut flate2::read::GzDecoder::new(&*gzip), &mut read).unwrap();
        assert_eq!(read, body);
        let zstd = Encoding::Zstd.encode(&body).unwrap();
        assert_eq!(zstd::bulk::decompress(&zstd, body.len()).unwrap(), body);
        assert_eq!(Encoding::Identity.encode(&body).unwrap(), body);
    }
}
