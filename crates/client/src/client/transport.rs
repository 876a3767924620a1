//! Sending one request: identity, retries, read-your-writes, and what an answer means.
//!
//! Several endpoints of one store are asked as one: requests stick to the endpoint that answered last,
//! and go to the next where it is away, until their time is over.
//!
//! INVARIANT: a request is sent again only if doing it twice is doing it once: it reads, or it
//! carries an idempotency key that the server remembers.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::time::Duration;

use bytes::Bytes;
use confman_api::HEADER_CLIENT;
use confman_api::problem::Problem;
use reqwest::{Method, Response, StatusCode, header};
use serde::de::DeserializeOwned;

use super::error::ClientError;

/// Longest delay between two attempts.
const RETRY_DELAY_MAX: Duration = Duration::from_secs(5);
/// First delay between two attempts; doubled each time.
const RETRY_DELAY_FIRST: Duration = Duration::from_millis(100);
/// Most bytes of an answer that is not a pack.
pub(crate) const ANSWER_BYTES_MAX: usize = 256 << 20;
/// How many times longer a write of many objects may take than a small request.
pub(crate) const SLOW_TIMEOUT_FACTOR: u32 = 20;
/// Most endpoints of one store.
pub const ENDPOINTS_MAX: usize = 16;
/// How long one of several endpoints may take to take a connection, before the next one is asked.
const CONNECT_TIMEOUT_OF_SEVERAL: Duration = Duration::from_secs(2);
/// How long one of several endpoints may take to answer a small request, before the next one is asked.
const ANSWER_TIMEOUT_OF_SEVERAL: Duration = Duration::from_secs(10);
/// What names a proxy of requests that are not over TLS.
const PROXY_VARIABLES: [&str; 4] = ["HTTP_PROXY", "http_proxy", "ALL_PROXY", "all_proxy"];
/// Bytes of randomness in an idempotency key.
const IDEMPOTENCY_KEY_BYTES: usize = 16;

/// How a client talks.
#[derive(Clone, Debug)]
pub struct ClientOptions {
    /// How long a small request may take; large transfers may take longer as long as they move.
    pub timeout: Duration,
    /// How often a request that failed in transit is sent again; where there are several endpoints, it is
    /// sent again as long as there is time, unless this is 0.
    pub retries: u32,
    /// Who we say we are.
    pub user_agent: String,
    /// Which of the readers we are, where something is published gradually: an id that stays, as that of a
    /// host or pod. Without one, what is published to all readers is what we get.
    pub client_id: Option<String>,
}

/// The connection to one store.
pub(crate) struct Transport {
    http: reqwest::Client,
    endpoints: Arc<Endpoints>,
    token: Option<header::HeaderValue>,
    options: ClientOptions,
    /// The highest log index that any answer carried.
    index: Arc<AtomicU64>,
}

/// Where one store answers.
struct Endpoints {
    /// As they were given, separated by commas.
    said: String,
    /// Each without a slash at its end; at least one.
    urls: Vec<String>,
    /// The one that answered last.
    last_good: AtomicUsize,
}

impl Endpoints {
    /// Reads one URL or several, separated by commas.
    fn parse(text: &str) -> Result<Self, ClientError> {
        let urls: Vec<String> = text
            .split(',')
            .map(str::trim)
            .filter(|url| !url.is_empty())
            .map(endpoint)
            .collect::<Result<_, _>>()?;
        if urls.is_empty() {
            // Says what is wrong with it.
            endpoint(text)?;
        }
        if urls.len() > ENDPOINTS_MAX {
            return Err(ClientError::Invalid(format!(
                "{} servers are named, at most {ENDPOINTS_MAX} are allowed",
                urls.len()
            )));
        }
        Ok(Self {
            said: urls.join(","),
            urls,
            last_good: AtomicUsize::new(0),
        })
    }

    /// Whether a connection may be one over TLS: to a server, or to a proxy on the way.
    fn need_certificates(&self) -> bool {
        let is_secure = |url: &String| !url.starts_with("http://");
        let may_be_proxied = |name: &&str| std::env::var_os(name).is_some();
        self.urls.iter().any(is_secure) || PROXY_VARIABLES.iter().any(may_be_proxied)
    }

    fn are_several(&self) -> bool {
        self.urls.len() > 1
    }

    /// The endpoint to ask now, and its place.
    fn current(&self) -> (usize, &str) {
        let place = self.last_good.load(Ordering::Relaxed);
        match self.urls.get(place) {
            Some(url) => (place, url),
            None => (0, &self.said),
        }
    }

    /// The one at this place did not answer well: the next one is asked, unless others found that out
    /// before.
    fn leave(&self, place: usize) {
        let next = (place + 1) % self.urls.len().max(1);
        // Somebody else has moved on already.
        let _ = self
            .last_good
            .compare_exchange(place, next, Ordering::Relaxed, Ordering::Relaxed);
    }
}

/// The URL of one server, without a slash at its end.
fn endpoint(url: &str) -> Result<String, ClientError> {
    let parsed = reqwest::Url::parse(url).map_err(|error| {
        ClientError::Invalid(format!("`{url}` is not the URL of a server: {error}"))
    })?;
    if !matches!(parsed.scheme(), "http" | "https") || parsed.host_str().is_none() {
        return Err(ClientError::Invalid(format!(
            "`{url}` is not the URL of a server; it begins with http:// or https:// and a host"
        )));
    }
    if parsed.query().is_some()
        || parsed.fragment().is_some()
        || !parsed.username().is_empty()
        || parsed.password().is_some()
    {
        return Err(ClientError::Invalid(
            "the URL of a server has no user, password, query or fragment".to_owned(),
        ));
    }
    Ok(url.trim_end_matches('/').to_owned())
}

/// A request before it is sent.
pub(crate) struct Request {
    pub(crate) method: Method,
    /// Path and query.
    pub(crate) path: String,
    pub(crate) accept: &'static str,
    /// Beside those that every request has.
    pub(crate) headers: Vec<(header::HeaderName, String)>,
    pub(crate) body: Option<(&'static str, Bytes)>,
    /// Whether it changes anything.
    pub(crate) write: bool,
    pub(crate) timeout_factor: u32,
    /// How much longer it may take because it asks the server to wait.
    pub(crate) patience: Duration,
    pub(crate) stream: bool,
    /// Whether 503 is an answer like any other, with a document of its own.
    pub(crate) unavailable_is_answer: bool,
    /// What a write takes the place of; `None`: whatever is there.
    pub(crate) seen: Option<Seen>,
}

/// What a write takes the place of.
#[derive(Clone, Debug)]
pub(crate) enum Seen {
    /// Nothing.
    Absent,
    /// This.
    At(String),
}

impl Request {
    /// A read.
    pub(crate) fn get(path: String) -> Self {
        Self {
            method: Method::GET,
            path,
            accept: "application/json",
            headers: Vec::new(),
            body: None,
            write: false,
            timeout_factor: 1,
            patience: Duration::ZERO,
            stream: false,
            unavailable_is_answer: false,
            seen: None,
        }
    }

    /// A write of a JSON body.
    pub(crate) fn write(method: Method, path: String, body: Option<Vec<u8>>) -> Self {
        let body = body.map(|bytes| ("application/json", Bytes::from(bytes)));
        Self {
            method,
            body,
            write: true,
            ..Self::get(path)
        }
    }
}

impl std::fmt::Debug for Transport {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Transport")
            .field("servers", &self.endpoints.said)
            .finish_non_exhaustive()
    }
}

impl Transport {
    pub(crate) fn new(
        url: &str,
        token: Option<&str>,
        options: ClientOptions,
    ) -> Result<Self, ClientError> {
        let endpoints = Endpoints::parse(url)?;
        let connect_timeout = match endpoints.are_several() {
            true => options.timeout.min(CONNECT_TIMEOUT_OF_SEVERAL),
            false => options.timeout,
        };
        let token = token.map(bearer).transpose()?;
        let mut always = header::HeaderMap::new();
        if let Some(client_id) = &options.client_id {
            let value = header::HeaderValue::from_str(client_id).map_err(|_| {
                let reason = "the id of the client has characters that are not visible ASCII";
                ClientError::Invalid(reason.to_owned())
            })?;
            always.insert(HEADER_CLIENT, value);
        }
        let mut http = reqwest::Client::builder();
        if !endpoints.need_certificates() {
            // Reading those of the system takes longer than a request, and none of them would be used.
            http = http.tls_certs_only([]);
        }
        let http = http
            .default_headers(always)
            .user_agent(options.user_agent.clone())
            .connect_timeout(connect_timeout)
            .redirect(reqwest::redirect::Policy::none())
            .build()
            .map_err(|error| {
                ClientError::Invalid(format!("cannot set up HTTP: {}", chain(&error)))
            })?;
        Ok(Self {
            http,
            endpoints: Arc::new(endpoints),
            token,
            options,
            index: Arc::default(),
        })
    }

    /// The same connections and identity with another index.
    pub(crate) fn sharing(&self, index: Arc<AtomicU64>) -> Self {
        Self {
            http: self.http.clone(),
            endpoints: Arc::clone(&self.endpoints),
            token: self.token.clone(),
            options: self.options.clone(),
            index,
        }
    }

    /// The servers as they were given.
    pub(crate) fn url(&self) -> &str {
        &self.endpoints.said
    }

    /// The highest log index that any answer carried.
    pub(crate) fn index(&self) -> u64 {
        self.index.load(Ordering::Relaxed)
    }

    /// How long nothing may arrive before a transfer counts as broken.
    pub(crate) fn idle_timeout(&self) -> Duration {
        self.options.timeout
    }

    /// Sends it, again where that is safe and may help, and gives an answer whose status is 2xx.
    pub(crate) async fn send(&self, request: &Request) -> Result<Response, ClientError> {
        let idempotency_key = if request.write {
            Some(random_key()?)
        } else {
            None
        };
        // However long one attempt may take, a store that is away is told of soon.
        let until =
            tokio::time::Instant::now() + self.options.timeout.saturating_add(request.patience);
        let mut attempt = 0;
        loop {
            let (place, _) = self.endpoints.current();
            let result = self.send_once(request, idempotency_key.as_deref()).await;
            if !may_help_again(&result, request) {
                return self.accept(result?).await;
            }
            self.endpoints.leave(place);
            let delay = self.delay(attempt);
            let is_last = match self.endpoints.are_several() && self.options.retries > 0 {
                true => tokio::time::Instant::now() + delay >= until,
                false => attempt >= self.options.retries,
            };
            if is_last {
                let response = result?;
                if request.unavailable_is_answer
                    && response.status() == StatusCode::SERVICE_UNAVAILABLE
                {
                    return Ok(response);
                }
                return self.accept(response).await;
            }
            tokio::time::sleep(delay).await;
            attempt += 1;
        }
    }

    /// How long a request may take that is answered at all.
    fn time_for(&self, request: &Request) -> Duration {
        self.options
            .timeout
            .saturating_mul(request.timeout_factor)
            .saturating_add(request.patience)
    }

    /// How long one attempt may take. Who did not answer may be stopped and still take connections.
    fn time_for_attempt(&self, request: &Request) -> Duration {
        let whole = self.time_for(request);
        if !self.endpoints.are_several() || self.options.retries == 0 {
            return whole;
        }
        let attempt = ANSWER_TIMEOUT_OF_SEVERAL
            .saturating_mul(request.timeout_factor)
            .saturating_add(request.patience);
        whole.min(attempt)
    }

    /// None before each endpoint was asked once.
    fn delay(&self, attempt: u32) -> Duration {
        let others = u32::try_from(self.endpoints.urls.len().saturating_sub(1)).unwrap_or_default();
        match attempt.checked_sub(others) {
            None => Duration::ZERO,
            Some(beyond) => delay(beyond),
        }
    }

    /// Sends it once and gives the answer whatever its status.
    pub(crate) async fn send_as_it_is(&self, request: &Request) -> Result<Response, ClientError> {
        let said = |name| {
            request
                .headers
                .iter()
                .any(|(header, _)| header.as_str() == name)
        };
        let idempotency_key = match request.write && !said(confman_api::HEADER_IDEMPOTENCY_KEY) {
            true => Some(random_key()?),
            false => None,
        };
        self.send_once(request, idempotency_key.as_deref()).await
    }

    async fn send_once(
        &self,
        request: &Request,
        idempotency_key: Option<&str>,
    ) -> Result<Response, ClientError> {
        let (_, endpoint) = self.endpoints.current();
        let url = format!("{endpoint}{}", request.path);
        let mut builder = self.http.request(request.method.clone(), url);
        if !request
            .headers
            .iter()
            .any(|(name, _)| *name == header::ACCEPT)
        {
            builder = builder.header(header::ACCEPT, request.accept);
        }
        if let Some(token) = &self.token {
            builder = builder.header(header::AUTHORIZATION, token.clone());
        }
        match &request.seen {
            None => {}
            Some(Seen::Absent) => builder = builder.header(header::IF_NONE_MATCH, "*"),
            Some(Seen::At(tag)) => builder = builder.header(header::IF_MATCH, format!("\"{tag}\"")),
        }
        if let Some(key) = idempotency_key {
            builder = builder.header(confman_api::HEADER_IDEMPOTENCY_KEY, key);
        }
        for (name, value) in &request.headers {
            builder = builder.header(name, value);
        }
        let index = self.index();
        if index > 0 {
            builder = builder.header(confman_api::HEADER_MIN_INDEX, index);
        }
        if let Some((media_type, body)) = &request.body {
            builder = builder
                .header(header::CONTENT_TYPE, *media_type)
                .body(body.clone());
        }
        let timeout = self.time_for_attempt(request);
        if !request.stream {
            builder = builder.timeout(timeout);
        }
        match tokio::time::timeout(timeout, builder.send()).await {
            Ok(Ok(response)) => {
                self.remember_index(&response);
                Ok(response)
            }
            Ok(Err(error)) => Err(self.transport_error(error)),
            Err(elapsed) => Err(ClientError::Unreachable {
                url: endpoint.to_owned(),
                source: Box::new(elapsed),
            }),
        }
    }

    /// The log index that an answer is not older than.
    pub(crate) fn index_of(response: &Response) -> Option<u64> {
        let value = response.headers().get(confman_api::HEADER_INDEX)?;
        value.to_str().ok()?.parse().ok()
    }

    fn remember_index(&self, response: &Response) {
        if let Some(index) = Self::index_of(response) {
            self.index.fetch_max(index, Ordering::Relaxed);
        }
    }

    /// Lets 2xx and 304 through and reads everything else as a problem.
    async fn accept(&self, response: Response) -> Result<Response, ClientError> {
        let status = response.status();
        if status.is_success() || status == StatusCode::NOT_MODIFIED {
            return Ok(response);
        }
        let is_problem = media_type(&response) == Some(confman_api::MEDIA_TYPE_PROBLEM.to_owned());
        let body = self.read(response).await?;
        match serde_json::from_slice::<Problem>(&body) {
            Ok(problem) if is_problem => Err(ClientError::Problem(Box::new(problem))),
            _ => Err(self.protocol(format!("status {status} came without a problem document"))),
        }
    }

    /// The whole body, up to [`ANSWER_BYTES_MAX`].
    pub(crate) async fn read(&self, mut response: Response) -> Result<Bytes, ClientError> {
        let mut body = Vec::new();
        while let Some(chunk) = response
            .chunk()
            .await
            .map_err(|error| self.transport_error(error))?
        {
            if body.len() + chunk.len() > ANSWER_BYTES_MAX {
                return Err(
                    self.protocol(format!("an answer has more than {ANSWER_BYTES_MAX} bytes"))
                );
            }
            body.extend_from_slice(&chunk);
        }
        Ok(Bytes::from(body))
    }

    /// Sends it and reads the answer as JSON.
    pub(crate) async fn json<T: DeserializeOwned>(
        &self,
        request: &Request,
    ) -> Result<T, ClientError> {
        let response = self.send(request).await?;
        let body = self.read(response).await?;
        serde_json::from_slice(&body).map_err(|error| {
            self.protocol(format!(
                "the answer to `{} {}` is not as agreed: {error}",
                request.method, request.path
            ))
        })
    }

    pub(crate) fn protocol(&self, reason: String) -> ClientError {
        ClientError::Protocol {
            url: self.endpoints.current().1.to_owned(),
            reason,
        }
    }

    pub(crate) fn transport_error(&self, error: reqwest::Error) -> ClientError {
        if error.is_builder() {
            return ClientError::Invalid(format!("the request cannot be built: {}", chain(&error)));
        }
        // The URL of the request is ours; what is left says what the network did.
        ClientError::Unreachable {
            url: self.endpoints.current().1.to_owned(),
            source: Box::new(error.without_url()),
        }
    }
}

/// Whether the same request, sent again perhaps to another endpoint, may get a better answer.
fn may_help_again(result: &Result<Response, ClientError>, request: &Request) -> bool {
    match result {
        Err(ClientError::Unreachable { .. }) => true,
        Ok(response) => match response.status() {
            StatusCode::SERVICE_UNAVAILABLE => !request.unavailable_is_answer,
            // The node is behind, or does not know what became of a write: the idempotency key makes it
            // one write, however often it is sent.
            StatusCode::GATEWAY_TIMEOUT | StatusCode::TOO_MANY_REQUESTS => true,
            _ => false,
        },
        Err(_) => false,
    }
}

/// The media type of an answer without its parameters.
fn media_type(response: &Response) -> Option<String> {
    let value = response
        .headers()
        .get(header::CONTENT_TYPE)?
        .to_str()
        .ok()?;
    Some(value.split(';').next()?.trim().to_ascii_lowercase())
}

/// The header that carries a token; marked so that no log shows it.
fn bearer(token: &str) -> Result<header::HeaderValue, ClientError> {
    let mut value = header::HeaderValue::from_str(&format!("Bearer {token}")).map_err(|_| {
        ClientError::Invalid(
            "the token has characters that a token never has; is it whole?".to_owned(),
        )
    })?;
    value.set_sensitive(true);
    Ok(value)
}

fn random_key() -> Result<String, ClientError> {
    let mut bytes = [0; IDEMPOTENCY_KEY_BYTES];
    getrandom::fill(&mut bytes).map_err(|error| {
        ClientError::Invalid(format!("the system gives no random numbers: {error}"))
    })?;
    Ok(data_encoding::HEXLOWER.encode(&bytes))
}

/// Doubles each time up to a limit, and is spread so that many clients do not come back at once.
fn delay(attempt: u32) -> Duration {
    let full = RETRY_DELAY_FIRST
        .saturating_mul(1 << attempt.min(10))
        .min(RETRY_DELAY_MAX);
    let mut byte = [0];
    let spread = match getrandom::fill(&mut byte) {
        Ok(()) => u32::from(byte[0]),
        Err(_) => 128,
    };
    full / 2 + full / 2 * spread / 255
}

/// An error with everything behind it, in one line.
pub(crate) fn chain(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut source = error.source();
    while let Some(inner) = source {
        text.push_str(": ");
        text.push_str(&inner.to_string());
        source = inner.source();
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    fn endpoints(text: &str) -> String {
        match Endpoints::parse(text) {
            Ok(endpoints) => format!("{:?}", endpoints.urls),
            Err(error) => error.to_string(),
        }
    }

    #[test]
    fn one_server_or_several_are_named() {
        insta::assert_snapshot!(endpoints("http://a:1/"), @r#"["http://a:1"]"#);
        insta::assert_snapshot!(endpoints("http://a:1, https://b,"), @r#"["http://a:1", "https://b"]"#);
        insta::assert_snapshot!(endpoints(","), @"`,` is not the URL of a server: relative URL without a base");
        insta::assert_snapshot!(endpoints("http://a,ftp://b"), @"`ftp://b` is not the URL of a server; it begins with http:// or https:// and a host");
        insta::assert_snapshot!(endpoints(&["http://a"; 17].join(",")), @"17 servers are named, at most 16 are allowed");
    }

    #[test]
    fn requests_stick_to_the_last_good_endpoint_and_move_on_together() {
        let endpoints = Endpoints::parse("http://a,http://b").unwrap();
        assert_eq!(endpoints.current(), (0, "http://a"));
        // Two requests failed at the same one.
        endpoints.leave(0);
        endpoints.leave(0);
        assert_eq!(endpoints.current(), (1, "http://b"));
        endpoints.leave(1);
        assert_eq!(endpoints.current(), (0, "http://a"));
    }

    #[test]
    fn each_endpoint_is_asked_at_once_before_anybody_waits() {
        let options = ClientOptions {
            timeout: Duration::from_secs(30),
            retries: 3,
            user_agent: "test".to_owned(),
            client_id: None,
        };
        let of = |servers: &str| Transport::new(servers, None, options.clone()).unwrap();
        let three = of("http://a,http://b,http://c");
        assert_eq!(three.delay(0), Duration::ZERO);
        assert_eq!(three.delay(1), Duration::ZERO);
        assert!(three.delay(2) >= RETRY_DELAY_FIRST / 2);
        assert!(of("http://a").delay(0) >= RETRY_DELAY_FIRST / 2);
    }
}
