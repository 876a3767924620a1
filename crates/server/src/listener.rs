//! Connections: accepted, bounded in number, time and headers, and drained at the end.
//!
//! axum's own `serve` has no time limit for the head of a request, so that a few hundred silent
//! connections could hold a server; this loop sets one.

use std::convert::Infallible;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use axum::body::Body;
use axum::http::Request;
use hyper::body::Incoming;
use hyper::server::conn::{http1, http2};
use hyper::service::service_fn;
use hyper_util::rt::{TokioExecutor, TokioIo, TokioTimer};
use hyper_util::server::graceful::{GracefulShutdown, Watcher};
use socket2::{SockRef, TcpKeepalive};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio_util::sync::CancellationToken;

use crate::app::App;
use crate::dispatch;
use crate::metrics::Counted;

/// Most connections at once; more wait in the kernel's queue. Most of them are of watchers, which are
/// silent.
pub const CONNECTIONS_MAX: usize = 65_536;
/// How long the head of a request may take to arrive, and a kept connection may be silent.
pub const HEAD_SECONDS_MAX: u64 = 30;
/// Most requests at once on one HTTP/2 connection.
pub const STREAMS_PER_CONNECTION_MAX: u32 = 256;
/// Most bytes in the head of a request.
pub const HEAD_BYTES_MAX: usize = 64 * 1024;
/// How long requests may go on after the server was told to stop.
pub const DRAIN_SECONDS_MAX: u64 = 15;
/// How long what was sent may wait for the client to take it, before the connection is given up.
pub const TAKE_SECONDS_MAX: u64 = 60;
/// After how much silence of a connection the system asks whether the client is still there.
const ALIVE_AFTER: Duration = Duration::from_secs(60);
/// What HTTP/2 without TLS begins with (RFC 9113, section 3.4), and no method of HTTP/1.1 does. Whoever speaks it
/// sends this in one piece.
const HTTP2_BEGINS: &[u8] = b"PRI";
/// Pause after the system refused a connection (no file descriptors left), so as not to spin.
const ACCEPT_PAUSE: Duration = Duration::from_millis(50);

/// The other end of a connection.
#[derive(Clone, Copy, Debug)]
struct Peer(SocketAddr);

/// Address of the client that a request came from; `None` where it came over no network.
pub(crate) fn peer<B>(request: &Request<B>) -> Option<String> {
    let peer = request.extensions().get::<Peer>();
    peer.map(|Peer(address)| address.ip().to_canonical().to_string())
}

/// Serves until `stop` is cancelled, then lets requests finish for [`DRAIN_SECONDS_MAX`].
pub(crate) async fn run(listener: TcpListener, app: App, stop: CancellationToken) {
    let places = Arc::new(Semaphore::new(CONNECTIONS_MAX));
    let graceful = GracefulShutdown::new();
    let speaking = Arc::new(Speaking::new());
    loop {
        let accepted = tokio::select! {
            () = stop.cancelled() => break,
            accepted = accept(&listener, &places) => accepted,
        };
        let Some((stream, peer, place)) = accepted else {
            tokio::time::sleep(ACCEPT_PAUSE).await;
            continue;
        };
        let counted = Counted::connection(app.metrics());
        let (speaking, app, stop) = (Arc::clone(&speaking), app.clone(), stop.clone());
        let watcher = graceful.watcher();
        tokio::spawn(async move {
            if let Err(error) = speaking.speak(stream, peer, app, watcher, stop).await {
                // Clients vanish all the time; it is not worth more than a trace.
                tracing::debug!(%peer, "connection from {peer} ended: {error}");
            }
            drop((place, counted));
        });
    }
    drop(listener);
    let limit = Duration::from_secs(DRAIN_SECONDS_MAX);
    if tokio::time::timeout(limit, graceful.shutdown())
        .await
        .is_err()
    {
        tracing::warn!("requests were still running after {DRAIN_SECONDS_MAX} s and were cut off");
    }
}

/// How the two versions of HTTP are spoken.
struct Speaking {
    http1: http1::Builder,
    http2: http2::Builder<TokioExecutor>,
}

impl Speaking {
    fn new() -> Self {
        let silence = Duration::from_secs(HEAD_SECONDS_MAX);
        let mut http1 = http1::Builder::new();
        http1
            .timer(TokioTimer::new())
            .header_read_timeout(silence)
            .max_buf_size(HEAD_BYTES_MAX)
            .half_close(false);
        let mut http2 = http2::Builder::new(TokioExecutor::new());
        http2
            .timer(TokioTimer::new())
            .keep_alive_interval(silence)
            .max_header_list_size(u32::try_from(HEAD_BYTES_MAX).unwrap_or(u32::MAX))
            .max_concurrent_streams(STREAMS_PER_CONNECTION_MAX);
        Self { http1, http2 }
    }

    /// Answers what comes on a connection until it ends.
    async fn speak(
        &self,
        stream: TcpStream,
        peer: SocketAddr,
        app: App,
        watcher: Watcher,
        stop: CancellationToken,
    ) -> Result<(), hyper::Error> {
        let Some(is_http2) = is_http2(&stream, &stop).await else {
            return Ok(());
        };
        let service = service_fn(move |mut request: Request<Incoming>| {
            request.extensions_mut().insert(Peer(peer));
            let answer = dispatch::handle(app.clone(), request.map(Body::new));
            async move { Ok::<_, Infallible>(answer.await) }
        });
        let stream = TokioIo::new(stream);
        match is_http2 {
            false => {
                watcher
                    .watch(self.http1.serve_connection(stream, service))
                    .await
            }
            // On the heap, so that the many connections of HTTP/1.1 do not keep room for it.
            true => Box::pin(watcher.watch(self.http2.serve_connection(stream, service))).await,
        }
    }
}

/// Whether a connection begins as HTTP/2 does; `None` where nothing comes in time or before the server stops. What came
/// is left where it is: hyper then reads a whole head at once into one buffer, where a few bytes that were
/// read before it would make it double the buffer that each connection keeps.
async fn is_http2(stream: &TcpStream, stop: &CancellationToken) -> Option<bool> {
    let mut begins = [0; HTTP2_BEGINS.len()];
    let looked = tokio::time::timeout(
        Duration::from_secs(HEAD_SECONDS_MAX),
        stream.peek(&mut begins),
    );
    tokio::select! {
        () = stop.cancelled() => None,
        looked = looked => match looked {
            Ok(Ok(1..)) => Some(begins == *HTTP2_BEGINS),
            _ => None,
        },
    }
}

/// Waits for a place, then for a connection; `None` where the system refused one.
async fn accept(
    listener: &TcpListener,
    places: &Arc<Semaphore>,
) -> Option<(TcpStream, SocketAddr, OwnedSemaphorePermit)> {
    let place = Arc::clone(places).acquire_owned().await.ok()?;
    match listener.accept().await {
        Ok((stream, peer)) => {
            // Answers are written whole; waiting to fill packets only delays them.
            let _ = stream.set_nodelay(true);
            // A client that vanished without a word, or that takes nothing, must not hold memory.
            let socket = SockRef::from(&stream);
            let _ = socket.set_tcp_user_timeout(Some(Duration::from_secs(TAKE_SECONDS_MAX)));
            let _ = socket.set_tcp_keepalive(&TcpKeepalive::new().with_time(ALIVE_AFTER));
            Some((stream, peer, place))
        }
        Err(error) => {
            tracing::warn!("could not accept a connection: {error}");
            None
        }
    }
}
