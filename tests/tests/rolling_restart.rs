//! A rolling restart of three real nodes under a given rate of requests, which are sent when their time has come,
//! however long others take: none of them fails. `make rolling ROUNDS=10` is the long run.

#![allow(
    clippy::expect_used,
    clippy::panic,
    clippy::print_stderr,
    clippy::unwrap_used,
    reason = "helpers of tests are not tests to the lint"
)]

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use confman_client::{Client, ClientError, ClientOptions};
use confman_tests::Cluster;
use confman_tests::cluster::eventually;
use hdrhistogram::Histogram;
use serde_json::json;
use tokio::runtime::Runtime;

/// How often every node is restarted; without it, once.
const ROUNDS: &str = "CONFMAN_ROLLING_ROUNDS";
const READS_PER_SECOND: u32 = 500;
const PUBLISHES_PER_SECOND: u32 = 50;
/// Namespaces that are read and published.
const NAMESPACES: u32 = 5;
/// Requests go on for so long before the first restart, between two of them, and after the last.
const CALM: Duration = Duration::from_secs(1);
/// A request that was begun so much after its time was not sent at the given rate: the machine is too busy.
const LATE: Duration = Duration::from_millis(500);
/// So many of a thousand requests may be.
const LATE_MAX: u32 = 10;

/// What has become of the requests of one kind.
#[derive(Debug)]
struct Sent {
    what: &'static str,
    rate: u32,
    /// From the moment at which a request was to be sent until it was answered, in microseconds.
    times: Histogram<u64>,
    late: u32,
    failed: Vec<String>,
}

impl Sent {
    /// What is wrong with it.
    fn problems(&self) -> Vec<String> {
        let mut problems: Vec<String> = self
            .failed
            .iter()
            .map(|reason| format!("one of the {} failed: {reason}", self.what))
            .collect();
        let sent = self.times.len() + self.failed.len() as u64;
        if u64::from(self.late) * 1000 > sent * u64::from(LATE_MAX) {
            problems.push(format!(
                "the machine could not send {} {} a second: {} of {sent} were begun more than {LATE:?} late",
                self.rate, self.what, self.late
            ));
        }
        problems
    }
}

impl std::fmt::Display for Sent {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let ms = |micros: u64| Duration::from_micros(micros).as_secs_f64() * 1000.0;
        write!(
            f,
            "{} {} at {}/s, {} failed, {} begun late; p50 {:.1} ms, p99 {:.1} ms, slowest {:.1} ms",
            self.times.len() + self.failed.len() as u64,
            self.what,
            self.rate,
            self.failed.len(),
            self.late,
            ms(self.times.value_at_quantile(0.5)),
            ms(self.times.value_at_quantile(0.99)),
            ms(self.times.max()),
        )
    }
}

/// Sends a request whenever its time has come, until it is told to stop, and waits for all answers.
async fn send<F, T>(what: &'static str, rate: u32, stop: Arc<AtomicBool>, request: F) -> Sent
where
    F: Fn(u32) -> T,
    T: Future<Output = Result<(), ClientError>> + Send + 'static,
{
    let begun = tokio::time::Instant::now();
    let (mut running, mut late) = (Vec::new(), 0);
    for number in 0.. {
        let due = begun + Duration::from_secs(1) * number / rate;
        tokio::time::sleep_until(due).await;
        if stop.load(Ordering::Relaxed) {
            break;
        }
        late += u32::from(due.elapsed() > LATE);
        let answer = request(number);
        running.push(tokio::spawn(async move { (answer.await, due.elapsed()) }));
    }
    let mut sent = Sent {
        what,
        rate,
        times: Histogram::new(3).unwrap(),
        late,
        failed: Vec::new(),
    };
    for request in running {
        match request.await.unwrap() {
            (Ok(()), took) => sent.times.record(took.as_micros() as u64).unwrap(),
            (Err(error), took) => sent.failed.push(format!("{error:?}, after {took:?}")),
        }
    }
    sent
}

fn namespace(number: u32) -> String {
    format!("/team-{}", number % NAMESPACES)
}

#[test]
fn a_rolling_restart_under_a_given_rate_fails_no_request() {
    let rounds = std::env::var(ROUNDS).map_or(1, |rounds| rounds.parse().unwrap());
    let mut cluster = Cluster::of(&["b", "c"]);
    for number in 0..NAMESPACES {
        let name = namespace(number);
        cluster.admin.does(&["ns", "create", &name]);
        cluster.publish(&format!("{name}:k"), "0");
    }
    let runtime = Runtime::new().unwrap();
    let stop = Arc::new(AtomicBool::new(false));
    let (reader, publisher) = (client(&cluster), client(&cluster));
    let reading = runtime.spawn(send("reads", READS_PER_SECOND, Arc::clone(&stop), {
        move |number| {
            let client = Arc::clone(&reader);
            async move { read(&client, number).await }
        }
    }));
    let publishing = runtime.spawn(send(
        "publishes",
        PUBLISHES_PER_SECOND,
        Arc::clone(&stop),
        {
            let client = Arc::clone(&publisher);
            move |number| {
                let client = Arc::clone(&client);
                async move { publish(&client, number).await }
            }
        },
    ));
    calm();
    for _ in 0..rounds {
        for name in ["a", "b", "c"] {
            assert!(cluster.take(name).stop().success());
            cluster.restart(name).unwrap();
            cluster.wait_until_ready(name);
            calm();
        }
    }
    stop.store(true, Ordering::Relaxed);
    let (reads, publishes) = runtime.block_on(async { (reading.await, publishing.await) });
    let (reads, publishes) = (reads.unwrap(), publishes.unwrap());
    eprintln!("{reads}\n{publishes}");
    assert_eq!(
        runtime.block_on(published(&publisher)),
        publishes.times.len()
    );
    let problems = [reads.problems(), publishes.problems()].concat();
    assert!(problems.is_empty(), "{problems:#?}\n{reads}\n{publishes}");
}

/// Lets requests go on for a while.
fn calm() {
    let until = Instant::now() + CALM;
    eventually("time passes", || Instant::now() >= until);
}

/// A client that knows all nodes.
fn client(cluster: &Cluster) -> Arc<Client> {
    let options = ClientOptions {
        timeout: Duration::from_secs(30),
        retries: 3,
        user_agent: "test".to_owned(),
        client_id: None,
    };
    let client = Client::new(&cluster.urls(), Some(cluster.admin.token()), options);
    Arc::new(client.unwrap())
}

async fn read(client: &Client, number: u32) -> Result<(), ClientError> {
    let namespace = namespace(number).parse().unwrap();
    client.effective_values(&namespace, None).await.map(drop)
}

/// Publishes a key of its own by a draft of its own: what fails, failed for want of a node.
async fn publish(client: &Client, number: u32) -> Result<(), ClientError> {
    let namespace = namespace(number).parse().unwrap();
    let changes = json!({
        "changes": { format!("of-{number}"): { "value": number } },
        "publish": true,
        "message": "under load",
    });
    let changes = serde_json::from_value(changes).unwrap();
    let draft = format!("load-{number}").parse().unwrap();
    client
        .change_and_publish(&namespace, &draft, &changes)
        .await
        .map(drop)
}

/// How many of these keys there are: what was acknowledged is there.
async fn published(client: &Client) -> u64 {
    let mut count = 0;
    for number in 0..NAMESPACES {
        let namespace = namespace(number).parse().unwrap();
        let values = client.effective_values(&namespace, None).await.unwrap();
        count += values.get().matches("\"of-").count() as u64;
    }
    count
}
