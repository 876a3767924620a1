//! Calling peers: one connection for each lane, opened when it is needed, kept, and given time when it cannot
//! be opened.

use std::collections::HashMap;
use std::io;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use bytes::Bytes;
use confman_repo::refs::Transport;
use confman_repo::refs::peer::{CallError, Lane, PeerAddress, PeerIdentity};
use futures::future::BoxFuture;
use rustls::pki_types::ServerName;
use socket2::{SockRef, TcpKeepalive};
use tokio::io::BufReader;
use tokio::net::TcpStream;
use tokio::sync::{mpsc, oneshot};
use tokio_rustls::TlsConnector;

use super::frame::{Frame, read_frame, read_welcome, write_frames, write_hello};
use super::{HANDSHAKE_WITHIN, Shared};

/// Most requests that wait to be written to one connection.
const REQUESTS_MAX: usize = 256;
/// First pause after a connection could not be opened; it doubles.
const PAUSE_FIRST: Duration = Duration::from_millis(50);
/// Longest pause.
const PAUSE_MAX: Duration = Duration::from_secs(2);
/// Doublings after which the pause is the longest.
const DOUBLINGS_MAX: u32 = 6;
/// After how much silence of a connection the system asks whether the peer is still there.
const ALIVE_AFTER: Duration = Duration::from_secs(10);

/// A connection that is open.
#[derive(Debug)]
struct Connection {
    requests: mpsc::Sender<Frame>,
    waiting: Arc<Mutex<Waiting>>,
    next: AtomicU64,
}

/// Calls that wait for their answers.
#[derive(Debug, Default)]
struct Waiting {
    calls: HashMap<u64, oneshot::Sender<Bytes>>,
    /// Why the connection is no more.
    lost: Option<String>,
}

/// What is known of the way to a peer in a lane.
#[derive(Debug, Default)]
struct Way {
    connection: tokio::sync::Mutex<Option<Arc<Connection>>>,
    failed: Mutex<Option<Failed>>,
}

/// The last attempts to open it.
#[derive(Debug)]
struct Failed {
    error: CallError,
    times: u32,
    until: Instant,
}

type Ways = Arc<Mutex<HashMap<(PeerAddress, Lane), Arc<Way>>>>;

/// Calls over mutual TLS.
#[derive(Debug)]
pub(super) struct TlsTransport {
    shared: Arc<Shared>,
    runtime: tokio::runtime::Handle,
    ways: Ways,
    carried: [Arc<AtomicU64>; Lane::ALL.len()],
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

impl TlsTransport {
    pub(super) fn new(shared: Arc<Shared>, runtime: tokio::runtime::Handle) -> Self {
        Self {
            shared,
            runtime,
            ways: Arc::default(),
            carried: std::array::from_fn(|_| Arc::default()),
        }
    }

    fn carried_in(&self, lane: Lane) -> &Arc<AtomicU64> {
        let [control, log, bulk, request] = &self.carried;
        match lane {
            Lane::Control => control,
            Lane::Log => log,
            Lane::Bulk => bulk,
            Lane::Request => request,
        }
    }
}

impl Transport for TlsTransport {
    fn call(
        &self,
        peer: &PeerAddress,
        lane: Lane,
        request: Bytes,
        within: Duration,
    ) -> BoxFuture<'static, Result<Bytes, CallError>> {
        let way = Arc::clone(lock(&self.ways).entry((peer.clone(), lane)).or_default());
        let (shared, peer) = (Arc::clone(&self.shared), peer.clone());
        let carried = Arc::clone(self.carried_in(lane));
        let asked = request.len();
        let called = self.runtime.spawn(async move {
            let answer = tokio::time::timeout(within, call(&shared, &way, &peer, lane, request))
                .await
                .unwrap_or(Err(CallError::TimedOut(within)))?;
            carried.fetch_add((asked + answer.len()) as u64, Ordering::Relaxed);
            Ok(answer)
        });
        Box::pin(async move {
            called
                .await
                .unwrap_or_else(|_| Err(CallError::Unreachable("the node is stopping".to_owned())))
        })
    }

    fn introduce(&self, identity: &PeerIdentity) {
        self.shared.identity.store(Some(Arc::new(identity.clone())));
        // Connections that were opened under another name are not used any more.
        lock(&self.ways).clear();
    }

    fn carried(&self, lane: Lane) -> u64 {
        self.carried_in(lane).load(Ordering::Relaxed)
    }
}

async fn call(
    shared: &Arc<Shared>,
    way: &Arc<Way>,
    peer: &PeerAddress,
    lane: Lane,
    request: Bytes,
) -> Result<Bytes, CallError> {
    let connection = match ready(way) {
        Some(connection) => connection,
        None => {
            // Opening goes on when who asked gives up: a heartbeat waits for less than a handshake takes.
            let (shared, way, peer) = (Arc::clone(shared), Arc::clone(way), peer.clone());
            tokio::spawn(async move { open(&shared, &way, &peer, lane).await })
                .await
                .unwrap_or_else(|error| Err(CallError::Unreachable(error.to_string())))?
        }
    };
    let id = connection.next.fetch_add(1, Ordering::Relaxed);
    let (sender, answer) = oneshot::channel();
    {
        let mut waiting = lock(&connection.waiting);
        if let Some(reason) = &waiting.lost {
            return Err(CallError::Unreachable(reason.clone()));
        }
        waiting.calls.insert(id, sender);
    }
    let registered = Registered {
        connection: &connection,
        id,
    };
    let frame = Frame {
        call: id,
        message: request,
    };
    if connection.requests.send(frame).await.is_err() {
        return Err(CallError::Unreachable("the connection was lost".to_owned()));
    }
    let answer = answer.await;
    drop(registered);
    answer.map_err(|_| {
        let reason = lock(&connection.waiting).lost.clone();
        CallError::Lost(reason.unwrap_or_else(|| "it was closed".to_owned()))
    })
}

/// Forgets the call when it is given up.
struct Registered<'a> {
    connection: &'a Connection,
    id: u64,
}

impl Drop for Registered<'_> {
    fn drop(&mut self) {
        lock(&self.connection.waiting).calls.remove(&self.id);
    }
}

/// The connection of a way that can be used at once.
fn ready(way: &Way) -> Option<Arc<Connection>> {
    let place = way.connection.try_lock().ok()?;
    let connection = place.as_ref()?;
    let lost = lock(&connection.waiting).lost.is_some();
    (!lost).then(|| Arc::clone(connection))
}

/// The connection of a way, opened where there is none. Who comes meanwhile waits for it.
async fn open(
    shared: &Arc<Shared>,
    way: &Way,
    peer: &PeerAddress,
    lane: Lane,
) -> Result<Arc<Connection>, CallError> {
    let mut place = way.connection.lock().await;
    if let Some(connection) = place.as_ref() {
        if lock(&connection.waiting).lost.is_none() {
            return Ok(Arc::clone(connection));
        }
        *place = None;
    }
    if let Some(failed) = lock(&way.failed).as_ref()
        && Instant::now() < failed.until
    {
        return Err(failed.error.clone());
    }
    match connect(shared, peer, lane).await {
        Ok(connection) => {
            *lock(&way.failed) = None;
            let connection = Arc::new(connection);
            *place = Some(Arc::clone(&connection));
            Ok(connection)
        }
        Err(error) => {
            let mut failed = lock(&way.failed);
            let times = failed.as_ref().map_or(0, |failed| failed.times);
            if times == 0 || matches!(error, CallError::Refused(_)) {
                tracing::warn!(
                    address = %peer.address,
                    "the peer at {} cannot be called: {error}",
                    peer.address
                );
            }
            *failed = Some(Failed {
                error: error.clone(),
                times: times.saturating_add(1),
                until: Instant::now() + pause(times),
            });
            Err(error)
        }
    }
}

/// Between half of the pause and the whole, so that nodes do not all come back at once.
fn pause(times: u32) -> Duration {
    let whole = (PAUSE_FIRST * (1 << times.min(DOUBLINGS_MAX))).min(PAUSE_MAX);
    let mut random = [0; 1];
    // Without randomness it is the whole one, which is right too.
    let part = match getrandom::fill(&mut random) {
        Ok(()) => u32::from(u8::from_le_bytes(random)),
        Err(_) => 255,
    };
    whole / 2 + whole / 2 * part / 255
}

async fn connect(
    shared: &Arc<Shared>,
    peer: &PeerAddress,
    lane: Lane,
) -> Result<Connection, CallError> {
    let unreachable = |error: io::Error| CallError::Unreachable(error.to_string());
    let opening = async {
        let stream = TcpStream::connect(peer.address.as_ref())
            .await
            .map_err(unreachable)?;
        keep_alive(&stream).map_err(unreachable)?;
        let connector = TlsConnector::from(shared.certificates.current().client);
        let stream = connector
            .connect(server_name(&peer.address)?, stream)
            .await
            .map_err(|error| CallError::Refused(format!("TLS: {error}")))?;
        let mut stream = BufReader::new(stream);
        let own = shared.identity();
        write_hello(&mut stream, lane, &own)
            .await
            .map_err(unreachable)?;
        // A peer that does not accept the certificate says so here.
        let (theirs, refused) = read_welcome(&mut stream)
            .await
            .map_err(|error| CallError::Refused(error.to_string()))?;
        if let Some(reason) = refused {
            return Err(CallError::Refused(format!(
                "it says of this node: {reason}"
            )));
        }
        own.check_called(peer.node_id, &theirs)
            .map_err(|mismatch| CallError::Refused(mismatch.to_string()))?;
        Ok(stream)
    };
    let stream = tokio::time::timeout(HANDSHAKE_WITHIN, opening)
        .await
        .unwrap_or(Err(CallError::TimedOut(HANDSHAKE_WITHIN)))?;
    Ok(run(stream))
}

/// What the certificate must name: the host of the address.
fn server_name(address: &str) -> Result<ServerName<'static>, CallError> {
    let host = address.rsplit_once(':').map_or(address, |(host, _)| host);
    let host = host.trim_start_matches('[').trim_end_matches(']');
    ServerName::try_from(host.to_owned())
        .map_err(|_| CallError::Unreachable(format!("`{host}` is not the name of a host")))
}

/// Nothing is held back to fill packets, and a peer that vanished is found out.
pub(super) fn keep_alive(stream: &TcpStream) -> io::Result<()> {
    stream.set_nodelay(true)?;
    let keep_alive = TcpKeepalive::new()
        .with_time(ALIVE_AFTER)
        .with_interval(ALIVE_AFTER);
    SockRef::from(stream).set_tcp_keepalive(&keep_alive)
}

/// Writes requests and reads answers until the connection ends, then says so to who waits.
fn run<S>(stream: S) -> Connection
where
    S: tokio::io::AsyncRead + tokio::io::AsyncWrite + Unpin + Send + 'static,
{
    let (mut input, mut output) = tokio::io::split(stream);
    let (requests, mut queue) = mpsc::channel::<Frame>(REQUESTS_MAX);
    let waiting = Arc::new(Mutex::new(Waiting::default()));
    let calls = Arc::clone(&waiting);
    tokio::spawn(async move {
        let writing = write_frames(&mut output, &mut queue);
        let reading = async {
            while let Some(frame) = read_frame(&mut input).await? {
                if let Some(sender) = lock(&calls).calls.remove(&frame.call) {
                    // It may have been given up just now.
                    let _ = sender.send(frame.message);
                }
            }
            Ok::<_, io::Error>(())
        };
        let ended = tokio::select! {
            ended = writing => ended,
            ended = reading => ended,
        };
        let reason = match ended {
            Ok(()) => "it was closed".to_owned(),
            Err(error) => error.to_string(),
        };
        let mut waiting = lock(&calls);
        waiting.lost = Some(reason);
        // Their senders go, and so they learn of it.
        waiting.calls.clear();
    });
    Connection {
        requests,
        waiting,
        next: AtomicU64::new(0),
    }
}
