//! Waiting on this machine for the answer of an issuer, while a person logs in with a browser.

use std::net::SocketAddr;
use std::time::Duration;

use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};

use crate::client::ClientError;

/// How long a person may take.
pub const LOGIN_SECONDS_MAX: u64 = 600;
/// Most bytes of what a browser sends that are looked at.
const REQUEST_BYTES_MAX: usize = 16 * 1024;
/// How long a browser may take to send it.
const REQUEST_SECONDS_MAX: u64 = 10;

/// Waits for a browser to come back, on the loopback address alone.
#[derive(Debug)]
pub struct LoginListener {
    listener: TcpListener,
    address: SocketAddr,
}

impl LoginListener {
    /// Begins to listen, on a port that is free.
    ///
    /// # Errors
    /// The system does not allow it.
    pub async fn bind() -> Result<Self, ClientError> {
        let failed = |source| ClientError::io("wait for a browser on this machine", source);
        let listener = TcpListener::bind(("127.0.0.1", 0)).await.map_err(failed)?;
        let address = listener.local_addr().map_err(failed)?;
        Ok(Self { listener, address })
    }

    /// Where the browser is to come back to.
    #[must_use]
    pub fn redirect_uri(&self) -> String {
        format!("http://{}/callback", self.address)
    }

    /// The code that the browser brings back with this state. Whatever else comes is turned away.
    ///
    /// # Errors
    /// The issuer refused, or nobody came in time.
    pub async fn code(self, state: &str) -> Result<String, ClientError> {
        let limit = Duration::from_secs(LOGIN_SECONDS_MAX);
        let waited = tokio::time::timeout(limit, self.wait(state)).await;
        waited.unwrap_or_else(|_| {
            Err(ClientError::Invalid(format!(
                "nobody came back from the login in {} minutes",
                LOGIN_SECONDS_MAX / 60
            )))
        })
    }

    async fn wait(&self, state: &str) -> Result<String, ClientError> {
        loop {
            let (stream, _) = self
                .listener
                .accept()
                .await
                .map_err(|source| ClientError::io("wait for a browser", source))?;
            let limit = Duration::from_secs(REQUEST_SECONDS_MAX);
            let served = tokio::time::timeout(limit, serve(stream, state)).await;
            if let Ok(Ok(Some(answer))) = served {
                return answer;
            }
        }
    }
}

/// What a browser brought back: a code, or why there is none.
type Answer = Result<String, ClientError>;

/// Reads one request and answers it; `None` where it is not the one that is waited for.
async fn serve(mut stream: TcpStream, state: &str) -> std::io::Result<Option<Answer>> {
    let mut bytes = Vec::new();
    let mut chunk = [0; 1024];
    while !bytes.windows(4).any(|window| window == b"\r\n\r\n") {
        let read = stream.read(&mut chunk).await?;
        if read == 0 || bytes.len() + read > REQUEST_BYTES_MAX {
            return Ok(None);
        }
        bytes.extend(chunk.iter().take(read));
    }
    let answer = read_answer(&bytes, state);
    let (status, text) = match &answer {
        None => ("404 Not Found", "There is nothing here."),
        Some(Ok(_)) => (
            "200 OK",
            "You are logged in. Close this page and go back to the terminal.",
        ),
        Some(Err(_)) => (
            "200 OK",
            "You are not logged in. Go back to the terminal, which says why.",
        ),
    };
    let response = format!(
        "HTTP/1.1 {status}\r\ncontent-type: text/plain; charset=utf-8\r\ncontent-length: {}\r\n\
         cache-control: no-store\r\nconnection: close\r\n\r\n{text}",
        text.len()
    );
    stream.write_all(response.as_bytes()).await?;
    stream.shutdown().await?;
    Ok(answer)
}

fn read_answer(request: &[u8], state: &str) -> Option<Answer> {
    let text = std::str::from_utf8(request).ok()?;
    let path = text.lines().next()?.strip_prefix("GET ")?;
    let path = path.split(' ').next()?;
    let url = reqwest::Url::parse(&format!("http://127.0.0.1{path}")).ok()?;
    let value = |name: &str| {
        let found = url.query_pairs().find(|(key, _)| key == name);
        found.map(|(_, value)| value.into_owned())
    };
    if url.path() != "/callback" || value("state").as_deref() != Some(state) {
        return None;
    }
    if let Some(code) = value("code") {
        return Some(Ok(code));
    }
    let reason = [value("error"), value("error_description")]
        .into_iter()
        .flatten()
        .collect::<Vec<_>>()
        .join(": ");
    let reason: String = reason
        .chars()
        .take(200)
        .flat_map(char::escape_debug)
        .collect();
    Some(Err(ClientError::Invalid(format!(
        "the issuer did not log you in: {reason}"
    ))))
}

#[cfg(test)]
mod tests {
    use super::*;

    async fn browse(listener: &LoginListener, path: &str) -> String {
        let mut stream = TcpStream::connect(listener.address).await.unwrap();
        let request = format!("GET {path} HTTP/1.1\r\nhost: x\r\n\r\n");
        stream.write_all(request.as_bytes()).await.unwrap();
        let mut answer = String::new();
        stream.read_to_string(&mut answer).await.unwrap();
        answer.lines().next().unwrap_or_default().to_owned()
    }

    #[tokio::test]
    async fn only_the_answer_with_the_state_is_taken() {
        let listener = LoginListener::bind().await.unwrap();
        assert!(listener.redirect_uri().starts_with("http://127.0.0.1:"));
        let browser = async {
            let mut seen = Vec::new();
            for path in [
                "/favicon.ico",
                "/callback?code=c&state=other",
                "/callback?code=a%20b&state=s",
            ] {
                seen.push(browse(&listener, path).await);
            }
            seen
        };
        let (code, seen) = tokio::join!(listener.wait("s"), browser);
        assert_eq!(code.unwrap(), "a b");
        assert_eq!(
            seen,
            [
                "HTTP/1.1 404 Not Found",
                "HTTP/1.1 404 Not Found",
                "HTTP/1.1 200 OK"
            ]
        );
    }

    #[tokio::test]
    async fn a_refusal_is_told() {
        let listener = LoginListener::bind().await.unwrap();
        let path = "/callback?error=access_denied&error_description=no%0Away&state=s";
        let (code, _) = tokio::join!(listener.wait("s"), browse(&listener, path));
        insta::assert_snapshot!(code.unwrap_err(), @"the issuer did not log you in: access_denied: no\\nway");
    }
}
