//! Many connections that ask the same again and again, and how fast they are answered.
//!
//! The same few lines speak to every server that is measured, so that what they cost is the same for all.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::{Duration, Instant};

use hdrhistogram::Histogram;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

use crate::Failure;

/// Connections at once.
pub const CONNECTIONS: usize = 64;

/// What is asked of whom.
#[derive(Clone, Debug)]
pub struct Asked {
    /// Where.
    pub address: SocketAddr,
    /// Whole requests, of which each connection sends one after the other.
    pub requests: Arc<[Vec<u8>]>,
    /// The status that every answer must have.
    pub status: u16,
}

/// What came of it.
#[derive(Clone, Copy, Debug)]
pub struct Answered {
    /// Answers a second.
    pub per_second: f64,
    /// The middle time of an answer.
    pub p50: Duration,
    /// The time that one of a hundred exceeds.
    pub p99: Duration,
}

impl Answered {
    /// For a table.
    pub fn text(&self) -> String {
        format!(
            "{:.0}/s, p50 {:.2} ms, p99 {:.2} ms",
            self.per_second,
            self.p50.as_secs_f64() * 1000.0,
            self.p99.as_secs_f64() * 1000.0
        )
    }
}

/// One thread for all clients, and one that waits.
pub fn runtime() -> std::io::Result<tokio::runtime::Runtime> {
    tokio::runtime::Builder::new_multi_thread()
        .worker_threads(1)
        .enable_all()
        .build()
}

/// Asks on [`CONNECTIONS`] connections for a while.
pub async fn ask(asked: &Asked, duration: Duration) -> Result<Answered, Failure> {
    ask_all(std::slice::from_ref(asked), duration).await
}

/// The same, with the connections spread over several who are asked.
pub async fn ask_all(asked: &[Asked], duration: Duration) -> Result<Answered, Failure> {
    let until = Instant::now() + duration;
    let begun = Instant::now();
    let connections: Vec<_> = (0..CONNECTIONS)
        .zip(asked.iter().cycle())
        .map(|(number, asked)| tokio::spawn(connection(asked.clone(), number, until)))
        .collect();
    let mut times = Histogram::<u64>::new(3)?;
    for connection in connections {
        times.add(connection.await??)?;
    }
    Ok(Answered {
        per_second: times.len() as f64 / begun.elapsed().as_secs_f64(),
        p50: Duration::from_micros(times.value_at_quantile(0.5)),
        p99: Duration::from_micros(times.value_at_quantile(0.99)),
    })
}

async fn connection(
    asked: Asked,
    number: usize,
    until: Instant,
) -> Result<Histogram<u64>, Failure> {
    let mut stream = TcpStream::connect(asked.address).await?;
    stream.set_nodelay(true)?;
    let mut times = Histogram::<u64>::new(3)?;
    let mut buffer = Vec::with_capacity(64 * 1024);
    let mut next = number;
    while Instant::now() < until {
        let request = asked
            .requests
            .get(next % asked.requests.len())
            .ok_or("nothing is asked")?;
        // Coprime with any number of requests that is used here.
        next += 7919;
        let begun = Instant::now();
        stream.write_all(request).await?;
        let status = answer(&mut stream, &mut buffer).await?;
        if status != asked.status {
            let text = String::from_utf8_lossy(&buffer).into_owned();
            return Err(format!("{status} instead of {}: {text}", asked.status).into());
        }
        times.record(u64::try_from(begun.elapsed().as_micros())?.max(1))?;
    }
    Ok(times)
}

/// Reads one answer and gives its status.
pub async fn answer(stream: &mut TcpStream, buffer: &mut Vec<u8>) -> Result<u16, Failure> {
    buffer.clear();
    loop {
        if stream.read_buf(buffer).await? == 0 {
            return Err("the connection ended".into());
        }
        let Some(head) = buffer.windows(4).position(|four| four == b"\r\n\r\n") else {
            continue;
        };
        let text = std::str::from_utf8(buffer.get(..head).unwrap_or_default())?;
        let status: u16 = text.get(9..12).ok_or("no status")?.parse()?;
        let length = text.lines().find_map(|line| {
            let (name, value) = line.split_once(':')?;
            name.eq_ignore_ascii_case("content-length")
                .then(|| value.trim().parse::<usize>().ok())?
        });
        let whole = head + 4 + length.unwrap_or(0);
        while buffer.len() < whole {
            if stream.read_buf(buffer).await? == 0 {
                return Err("the connection ended".into());
            }
        }
        return Ok(status);
    }
}
