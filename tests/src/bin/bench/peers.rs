//! The servers that Confman's reading is measured beside.

use std::convert::Infallible;
use std::net::SocketAddr;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::sync::Arc;
use std::time::{Duration, Instant};

use axum::Router;
use axum::body::Body;
use axum::http::{HeaderMap, HeaderName, HeaderValue, Response, StatusCode, header};
use axum::routing::get;
use bytes::Bytes;

use crate::Failure;

/// The argument by which this program becomes the bare handler.
pub const BARE: &str = "--bare-axum";
/// How long a peer may take until it answers.
const START_TIME_MAX: Duration = Duration::from_secs(20);

/// A process that ends with this value.
#[derive(Debug)]
pub struct Peer {
    child: Child,
    /// Where it answers.
    pub address: SocketAddr,
}

impl Drop for Peer {
    fn drop(&mut self) {
        // A master that is killed outright leaves its workers behind.
        let pid = rustix::process::Pid::from_child(&self.child);
        let _ = rustix::process::kill_process(pid, rustix::process::Signal::TERM);
        let _ = self.child.wait();
    }
}

/// A handler of axum in a process of its own, that answers with an answer of Confman's: the same
/// bytes and the same headers, 304 to who has its tag.
pub fn bare(answer: &[u8]) -> Result<Peer, Failure> {
    let file = tempfile::NamedTempFile::new()?;
    std::fs::write(file.path(), answer)?;
    let address = free_address()?;
    let child = Command::new(std::env::current_exe()?)
        .arg(BARE)
        .arg(address.to_string())
        .arg(file.path())
        .stdin(Stdio::null())
        .spawn()?;
    let peer = Peer { child, address };
    wait_for(address)?;
    Ok(peer)
}

/// What this program does when it is called with [`BARE`]: never returns while all is well.
pub fn serve_bare(address: &str, file: &Path) -> Result<(), Failure> {
    let answer = std::fs::read(file)?;
    let end = answer
        .windows(4)
        .position(|four| four == b"\r\n\r\n")
        .ok_or("no head")?;
    let head = std::str::from_utf8(answer.get(..end).unwrap_or_default())?;
    let body = Bytes::copy_from_slice(answer.get(end + 4..).unwrap_or_default());
    let mut headers = HeaderMap::new();
    for line in head.lines().skip(1) {
        let (name, value) = line.split_once(": ").ok_or("no header")?;
        // hyper writes these itself.
        if !matches!(name, "date" | "content-length") {
            let name: HeaderName = name.parse()?;
            headers.insert(name, HeaderValue::from_str(value)?);
        }
    }
    let known = headers.get(header::ETAG).cloned();
    let shared = Arc::new((headers, body, known));
    let handler = move |asked: HeaderMap| {
        let shared = Arc::clone(&shared);
        async move {
            let (headers, body, known) = &*shared;
            let mut answer = Response::new(Body::from(body.clone()));
            answer.headers_mut().clone_from(headers);
            if asked.get(header::IF_NONE_MATCH).is_some()
                && asked.get(header::IF_NONE_MATCH) == known.as_ref()
            {
                *answer.status_mut() = StatusCode::NOT_MODIFIED;
                *answer.body_mut() = Body::empty();
            }
            Ok::<_, Infallible>(answer)
        }
    };
    let handler = move |asked: HeaderMap| {
        let answer = handler(asked);
        async move { answer.await.unwrap_or_default() }
    };
    let router = Router::new().route("/{*path}", get(handler));
    tokio::runtime::Builder::new_multi_thread()
        .enable_all()
        .build()?
        .block_on(async {
            let listener = tokio::net::TcpListener::bind(address).await?;
            axum::serve(listener, router).await?;
            Ok(())
        })
}

/// nginx with this file at `/document`, where it is installed.
pub fn nginx(directory: &Path, body: &[u8]) -> Result<Option<Peer>, Failure> {
    if Command::new("nginx").arg("-v").output().is_err() {
        return Ok(None);
    }
    let root = directory.join("root");
    std::fs::create_dir_all(&root)?;
    std::fs::write(root.join("document"), body)?;
    let address = free_address()?;
    let place = directory.display();
    let configuration = directory.join("nginx.conf");
    std::fs::write(
        &configuration,
        format!(
            "daemon off; master_process on; worker_processes auto; pid {place}/pid; error_log {place}/log;\n\
             events {{ worker_connections 4096; }}\n\
             http {{ access_log off; keepalive_requests 100000000; sendfile on; tcp_nodelay on; open_file_cache max=100;\n\
             client_body_temp_path {place}/a; proxy_temp_path {place}/b; fastcgi_temp_path {place}/c; uwsgi_temp_path {place}/d; scgi_temp_path {place}/e;\n\
             server {{ listen {address}; root {}; default_type application/json; }} }}\n",
            root.display()
        ),
    )?;
    // Its workers are another user, who must find the file.
    set_open(directory)?;
    let child = Command::new("nginx")
        .arg("-c")
        .arg(&configuration)
        .arg("-p")
        .arg(directory)
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn()?;
    let peer = Peer { child, address };
    wait_for(address)?;
    Ok(Some(peer))
}

fn set_open(directory: &Path) -> Result<(), Failure> {
    use std::os::unix::fs::PermissionsExt;
    std::fs::set_permissions(directory, std::fs::Permissions::from_mode(0o755))?;
    Ok(())
}

/// An empty etcd, where it is installed.
pub fn etcd(directory: &Path) -> Result<Option<Peer>, Failure> {
    if Command::new("etcd").arg("--version").output().is_err() {
        return Ok(None);
    }
    let (clients, peers) = (free_address()?, free_address()?);
    let child = Command::new("etcd")
        .args(["--log-level", "error", "--data-dir"])
        .arg(directory)
        .args(["--listen-client-urls", &format!("http://{clients}")])
        .args(["--advertise-client-urls", &format!("http://{clients}")])
        .args(["--listen-peer-urls", &format!("http://{peers}")])
        .args(["--initial-advertise-peer-urls", &format!("http://{peers}")])
        .args(["--initial-cluster", &format!("default=http://{peers}")])
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn()?;
    let peer = Peer {
        child,
        address: clients,
    };
    wait_for(clients)?;
    Ok(Some(peer))
}

/// An address that nobody uses now.
pub fn free_address() -> Result<SocketAddr, Failure> {
    Ok(std::net::TcpListener::bind("127.0.0.1:0")?.local_addr()?)
}

/// Waits until somebody listens.
fn wait_for(address: SocketAddr) -> Result<(), Failure> {
    let until = Instant::now() + START_TIME_MAX;
    loop {
        match std::net::TcpStream::connect(address) {
            Ok(_) => return Ok(()),
            Err(error) if Instant::now() > until => return Err(error.into()),
            Err(_) => std::thread::yield_now(),
        }
    }
}
