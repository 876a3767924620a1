//! A request that a caller spells out: what `confman api` sends.

use bytes::Bytes;
use reqwest::{Method, header};

use super::transport::{Request, SLOW_TIMEOUT_FACTOR};
use super::{Client, ClientError};

/// A request spelled out.
#[derive(Clone, Debug)]
pub struct RawRequest {
    /// As in `GET`.
    pub method: String,
    /// Path and query, as in `/v1/whoami`.
    pub path: String,
    /// Beside those that every request has.
    pub headers: Vec<(String, String)>,
    /// Media type and bytes.
    pub body: Option<(&'static str, Bytes)>,
}

/// An answer, whatever its status.
#[derive(Clone, Debug)]
pub struct RawAnswer {
    /// The status.
    pub status: u16,
    /// In the order in which they came; names in lower case.
    pub headers: Vec<(String, String)>,
    /// The whole body.
    pub body: Bytes,
}

impl RawAnswer {
    /// The first header of this name.
    #[must_use]
    pub fn header(&self, name: &str) -> Option<&str> {
        let found = self.headers.iter().find(|(known, _)| known == name);
        found.map(|(_, value)| value.as_str())
    }
}

impl Client {
    /// Sends a request once, with the caller's identity, and gives the answer whatever it is.
    ///
    /// # Errors
    /// The request cannot be one, or the server cannot be reached.
    pub async fn raw(&self, raw: &RawRequest) -> Result<RawAnswer, ClientError> {
        let invalid = |what: String| ClientError::Invalid(what);
        if !raw.path.starts_with('/') {
            return Err(invalid(format!(
                "`{}` is not a path of the server; it begins with `/`, as in /v1/whoami",
                raw.path
            )));
        }
        let method = Method::from_bytes(raw.method.to_ascii_uppercase().as_bytes())
            .map_err(|_| invalid(format!("`{}` is not an HTTP method", raw.method)))?;
        let headers = raw
            .headers
            .iter()
            .map(|(name, value)| {
                header::HeaderName::from_bytes(name.as_bytes())
                    .map(|name| (name, value.clone()))
                    .map_err(|_| invalid(format!("`{name}` is not the name of a header")))
            })
            .collect::<Result<_, _>>()?;
        let request = Request {
            write: !method.is_safe(),
            method,
            headers,
            body: raw.body.clone(),
            timeout_factor: SLOW_TIMEOUT_FACTOR,
            ..Request::get(raw.path.clone())
        };
        let response = self.transport.send_as_it_is(&request).await?;
        let status = response.status().as_u16();
        let headers = response
            .headers()
            .iter()
            .map(|(name, value)| {
                let value = String::from_utf8_lossy(value.as_bytes()).into_owned();
                (name.as_str().to_owned(), value)
            })
            .collect();
        Ok(RawAnswer {
            status,
            headers,
            body: self.transport.read(response).await?,
        })
    }
}
