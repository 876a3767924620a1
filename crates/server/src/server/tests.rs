//! A server on a real port.

use std::time::Duration;

use confman_repo::refs::OpenError;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

use super::*;

fn options(data: &Path) -> ServeOptions {
    ServeOptions {
        listen: "127.0.0.1:0".to_owned(),
        ..ServeOptions::new(DataDirectory::At(data.to_owned()))
    }
}

/// Sends a request and reads until the server closes the connection.
async fn send(address: SocketAddr, request: &str) -> String {
    let mut stream = TcpStream::connect(address).await.unwrap();
    stream.write_all(request.as_bytes()).await.unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).await.unwrap();
    answer
}

fn get(path: &str, token: &str, more: &str) -> String {
    format!(
        "GET {path} HTTP/1.1\r\nhost: x\r\nconnection: close\r\nauthorization: Bearer {token}\r\n{more}\r\n"
    )
}

#[tokio::test]
async fn the_first_start_leaves_a_token_that_works_after_every_start() {
    let data = tempfile::tempdir().unwrap();
    let first = Server::start(&options(data.path())).await.unwrap();
    assert!(first.ready().first_start);
    assert!(first.ready().to_string().contains("admin.token"));
    let token = admin_token::read(data.path()).unwrap().unwrap();
    let answer = send(first.address(), &get("/v1/whoami", &token, "")).await;
    assert!(answer.starts_with("HTTP/1.1 200 OK"), "{answer}");
    first.stop().await.unwrap();

    let second = Server::start(&options(data.path())).await.unwrap();
    assert!(!second.ready().first_start);
    assert!(!second.ready().to_string().contains("admin.token"));
    let answer = send(second.address(), &get("/v1/whoami", &token, "")).await;
    assert!(answer.starts_with("HTTP/1.1 200 OK"), "{answer}");
    second.stop().await.unwrap();
}

#[tokio::test]
async fn a_token_file_that_a_crash_left_behind_is_used() {
    let data = tempfile::tempdir().unwrap();
    let token = Token::generate(PrincipalKind::User).unwrap();
    admin_token::create(data.path(), token.as_str()).unwrap();
    let server = Server::start(&options(data.path())).await.unwrap();
    let answer = send(server.address(), &get("/v1/whoami", token.as_str(), "")).await;
    assert!(answer.starts_with("HTTP/1.1 200 OK"), "{answer}");
    server.stop().await.unwrap();
}

#[tokio::test]
async fn a_second_server_on_the_same_data_or_address_does_not_start() {
    let data = tempfile::tempdir().unwrap();
    let server = Server::start(&options(data.path())).await.unwrap();
    let refused = Server::start(&options(data.path())).await.unwrap_err();
    assert!(
        matches!(&refused, ServeError::Open(OpenError::InUse { .. })),
        "{refused:?}"
    );
    let other = tempfile::tempdir().unwrap();
    let taken = ServeOptions {
        listen: server.address().to_string(),
        ..options(other.path())
    };
    let refused = Server::start(&taken).await.unwrap_err();
    assert!(matches!(&refused, ServeError::Listen { .. }), "{refused:?}");
    assert_eq!(std::fs::read_dir(other.path()).unwrap().count(), 0);
    server.stop().await.unwrap();
}

#[tokio::test]
async fn stopping_answers_who_waits_and_leaves_nothing_of_a_throw_away_store() {
    let options = ServeOptions {
        listen: "127.0.0.1:0".to_owned(),
        ..ServeOptions::new(DataDirectory::ThrowAway)
    };
    let server = Server::start(&options).await.unwrap();
    let (address, data) = (server.address(), server.ready().data.clone());
    let token = admin_token::read(&data).unwrap().unwrap();
    let known = send(address, &get("/v1/ns/-/config", &token, "")).await;
    let etag = known
        .lines()
        .find_map(|line| line.strip_prefix("etag: "))
        .unwrap();
    let known = format!("if-none-match: {etag}\r\n");
    let mut waiting = TcpStream::connect(address).await.unwrap();
    // The answer to the first request shows that the server has the connection; the second waits.
    let first = get("/healthz", &token, "").replace("connection: close\r\n", "");
    waiting.write_all(first.as_bytes()).await.unwrap();
    let mut buffer = [0; 4096];
    let count = waiting.read(&mut buffer).await.unwrap();
    assert!(buffer[..count].starts_with(b"HTTP/1.1 200 OK"));
    let wait = get(
        "/v1/ns/-/config",
        &token,
        &format!("{known}prefer: wait=300\r\n"),
    );
    waiting.write_all(wait.as_bytes()).await.unwrap();
    let stopped = tokio::spawn(server.stop());
    let mut answer = String::new();
    let read = waiting.read_to_string(&mut answer);
    tokio::time::timeout(Duration::from_secs(30), read)
        .await
        .unwrap()
        .unwrap();
    // A request that the server had not read yet may be lost with its connection; one that waits is not.
    assert!(
        answer.is_empty() || answer.starts_with("HTTP/1.1 304"),
        "{answer}"
    );
    stopped.await.unwrap().unwrap();
    assert!(TcpStream::connect(address).await.is_err());
    assert!(!data.exists());
}

#[tokio::test]
async fn a_stopped_store_can_be_checked_and_a_missing_one_cannot() {
    let data = tempfile::tempdir().unwrap();
    let server = Server::start(&options(data.path())).await.unwrap();
    server.stop().await.unwrap();
    let check = |directory: PathBuf| {
        tokio::task::spawn_blocking(move || {
            crate::fsck(&directory, crate::WrongRows::Tell, &mut |_| {})
        })
    };
    let report = check(data.path().to_owned()).await.unwrap().unwrap();
    assert!(report.problems.is_empty(), "{:?}", report.problems);
    let nowhere = data.path().join("nowhere");
    assert!(check(nowhere.clone()).await.unwrap().is_err());
    assert!(!nowhere.exists());
}
