//! Taking calls of peers.

use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use confman_repo::refs::Node;
use confman_repo::refs::peer::PeerIdentity;
use tokio::io::BufReader;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{Semaphore, mpsc};
use tokio_rustls::TlsAcceptor;

use super::frame::{Frame, read_frame, read_hello, write_frames, write_welcome};
use super::{HANDSHAKE_WITHIN, Shared};

/// Most connections of peers at once: far more than a cluster has.
const CONNECTIONS_MAX: usize = 1024;
/// Most calls of one connection that are being answered at once; further ones wait in it.
const CALLS_MAX: usize = 256;
/// Pause after the system refused a connection, so as not to spin.
const ACCEPT_PAUSE: Duration = Duration::from_millis(50);

/// Takes connections for as long as its runtime lives.
pub(super) async fn run(listener: TcpListener, shared: Arc<Shared>) {
    let places = Arc::new(Semaphore::new(CONNECTIONS_MAX));
    loop {
        let Ok(place) = Arc::clone(&places).acquire_owned().await else {
            return;
        };
        let Ok((stream, address)) = listener.accept().await else {
            tokio::time::sleep(ACCEPT_PAUSE).await;
            continue;
        };
        let shared = Arc::clone(&shared);
        tokio::spawn(async move {
            if let Err(error) = take(stream, address, &shared).await {
                tracing::warn!(%address, "connection of a peer from {address} ended: {error}");
            }
            drop(place);
        });
    }
}

async fn take(stream: TcpStream, address: SocketAddr, shared: &Arc<Shared>) -> io::Result<()> {
    super::calling::keep_alive(&stream)?;
    let acceptor = TlsAcceptor::from(shared.certificates.current().server);
    let greeted = async {
        let mut stream = BufReader::new(acceptor.accept(stream).await?);
        let (_, caller) = read_hello(&mut stream).await?;
        let answered = introduce(&mut stream, &caller, shared).await?;
        Ok::<_, io::Error>((stream, caller, answered))
    };
    let (stream, caller, node) = tokio::time::timeout(HANDSHAKE_WITHIN, greeted)
        .await
        .map_err(|_| io::Error::from(io::ErrorKind::TimedOut))??;
    match node {
        Ok(node) => {
            // It is asked for at each call: one that is kept here could never be closed.
            drop(node);
            answer(stream, caller, shared).await
        }
        Err(reason) => {
            tracing::warn!(
                %address,
                node = caller.node_id,
                "node {} at {address} was refused: {reason}",
                caller.node_id
            );
            Ok(())
        }
    }
}

/// Tells the caller who is here and whether it is talked to; gives the node, or why not.
async fn introduce(
    stream: &mut (impl tokio::io::AsyncWrite + Unpin),
    caller: &PeerIdentity,
    shared: &Shared,
) -> io::Result<Result<Arc<Node>, String>> {
    let Some(node) = shared.node() else {
        let reason = "the node is starting".to_owned();
        write_welcome(stream, &shared.identity(), Some(&reason)).await?;
        return Ok(Err(reason));
    };
    let refused = node.identity().check(caller).err().map(|e| e.to_string());
    write_welcome(stream, node.identity(), refused.as_deref()).await?;
    Ok(match refused {
        None => Ok(node),
        Some(reason) => Err(reason),
    })
}

/// Answers calls until the connection or the node ends.
async fn answer<S>(stream: S, caller: PeerIdentity, shared: &Arc<Shared>) -> io::Result<()>
where
    S: tokio::io::AsyncRead + tokio::io::AsyncWrite + Unpin + Send + 'static,
{
    let (mut input, mut output) = tokio::io::split(stream);
    let (sender, mut answers) = mpsc::channel::<Frame>(CALLS_MAX);
    let writing = tokio::spawn(async move { write_frames(&mut output, &mut answers).await });
    let places = Arc::new(Semaphore::new(CALLS_MAX));
    while let Some(Frame { call, message }) = read_frame(&mut input).await? {
        let Some(node) = shared.node() else { break };
        let Ok(place) = Arc::clone(&places).acquire_owned().await else {
            break;
        };
        let answer = node.answer_peer(&caller, message);
        drop(node);
        let sender = sender.clone();
        tokio::spawn(async move {
            let frame = Frame {
                call,
                message: answer.await,
            };
            // The caller may have gone.
            let _ = sender.send(frame).await;
            drop(place);
        });
        if writing.is_finished() {
            break;
        }
    }
    drop(sender);
    writing.await.map_err(io::Error::other)?
}
