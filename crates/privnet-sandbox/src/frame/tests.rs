//! The frame over real sockets, with a cloud that only counts.

use std::io::{Read, Write};
use std::net::TcpStream;
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::{Duration, Instant};

use jiff::Timestamp;
use serde_json::{Value, json};

use super::*;

/// Counts what had an effect, and echoes.
#[derive(Debug, Default)]
struct Echo {
    effects: AtomicU32,
}

impl CloudServer for Echo {
    fn cloud(&self) -> &'static str {
        "gcp"
    }
    fn action(&self, exchange: &Exchange) -> String {
        format!("{} {}", exchange.method, exchange.path.trim_start_matches('/'))
    }
    fn is_read(&self, exchange: &Exchange) -> bool {
        exchange.method == "GET"
    }
    fn answer(&self, exchange: &Exchange, moment: Moment) -> Answer {
        self.effects.fetch_add(1, Ordering::SeqCst);
        Answer::json(
            200,
            &json!({"body": exchange.text(), "stale": moment.stale, "base": exchange.base_url()}),
        )
    }
    fn failure(&self, _: &Exchange, failure: &Failure) -> Answer {
        Answer::json(503, &json!({"failure": format!("{failure:?}")}))
    }
    fn describe_world(&self, _: Timestamp) -> Value {
        Value::Null
    }
    fn knows(&self, _: &str, _: Timestamp) -> Option<KnownBy> {
        None
    }
    fn connect(&self, _: &str, _: Option<&str>, _: Timestamp) -> Result<Value, String> {
        Err("an echo has no services".to_owned())
    }
    fn variables(&self, url: &str) -> Vec<(String, String)> {
        vec![("ECHO_URL".to_owned(), url.to_owned())]
    }
}

struct Served {
    running: Running,
    echo: Arc<Echo>,
    dir: tempfile::TempDir,
}

impl Served {
    async fn start(change: impl FnOnce(&mut Options)) -> Self {
        let dir = tempfile::tempdir().unwrap();
        let mut options = Options::new(dir.path());
        options.record = Some(dir.path().join("record"));
        change(&mut options);
        let echo = Arc::new(Echo::default());
        let cloud: Arc<dyn CloudServer> = echo.clone();
        let running = serve(&[cloud], &options).await.unwrap();
        Self { running, echo, dir }
    }

    /// What comes back for one request over a connection of its own; empty when it was closed without an answer.
    async fn send(&self, method: &str, path: &str) -> String {
        let address = self.running.url("gcp").unwrap().trim_start_matches("http://").to_owned();
        let request = format!(
            "{method} /{path} HTTP/1.1\r\nhost: {address}\r\nconnection: close\r\ncontent-length: 2\r\n\r\nhi"
        );
        tokio::task::spawn_blocking(move || {
            let mut stream = TcpStream::connect(address).unwrap();
            stream.write_all(request.as_bytes()).unwrap();
            let mut answer = String::new();
            // A reset by the peer is an answer that never came, like an orderly end.
            let _ = stream.read_to_string(&mut answer);
            answer
        })
        .await
        .unwrap()
    }

    fn effects(&self) -> u32 {
        self.echo.effects.load(Ordering::SeqCst)
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn each_fault_fails_in_its_way() {
    let faults = ["lost", "reset", "fail", "throttle", "code=quotaExceeded"];
    let served = Served::start(|options| {
        options.faults = faults.iter().map(|mode| format!("gcp:POST {mode}:1:{mode}")).collect();
    })
    .await;
    assert_eq!((served.send("POST", "lost").await.as_str(), served.effects()), ("", 1));
    assert_eq!((served.send("POST", "reset").await.as_str(), served.effects()), ("", 1));
    for (path, words) in
        [("fail", "Internal"), ("throttle", "Throttled"), ("code=quotaExceeded", "quotaExceeded")]
    {
        let answer = served.send("POST", path).await;
        assert!(answer.starts_with("HTTP/1.1 503") && answer.contains(words), "{answer}");
    }
    assert_eq!(served.effects(), 1);
    assert!(served.send("POST", "lost").await.contains("\"body\":\"hi\""), "the second call is well");
    let record = std::fs::read_to_string(served.dir.path().join("record")).unwrap();
    let lines: Vec<Value> = record.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    assert_eq!(lines.len(), 6, "every call is recorded, answered or not");
    assert!(lines[0]["status"].is_null() && lines[5]["status"] == 200);
}

#[tokio::test(flavor = "multi_thread")]
async fn only_reads_are_stale_and_faults_come_at_any_time() {
    let served = Served::start(|_| ()).await;
    served.running.faults().add("gcp:*:*:stale".parse().unwrap());
    assert!(served.send("GET", "x").await.contains("\"stale\":true"));
    assert!(served.send("POST", "x").await.contains("\"stale\":false"));
    served.running.faults().clear();
    assert!(served.send("GET", "x").await.contains("\"stale\":false"));
}

#[tokio::test(flavor = "multi_thread")]
async fn latency_is_added_to_each_call_and_calls_do_not_wait_for_each_other() {
    let served = Served::start(|options| options.latency = Duration::from_millis(400)).await;
    let start = Instant::now();
    tokio::join!(served.send("GET", "a"), served.send("GET", "b"), served.send("GET", "c"));
    let taken = start.elapsed();
    assert!(taken >= Duration::from_millis(400) && taken < Duration::from_millis(1150), "{taken:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn it_listens_on_loopback_and_stops_when_told() {
    let served = Served::start(|_| ()).await;
    let url = served.running.url("gcp").unwrap().to_owned();
    assert!(url.starts_with("http://127.0.0.1:") && served.running.dns().ip().is_loopback());
    assert!(served.running.url("aws").is_none());
    let loopback = "127.0.0.1,localhost";
    let wanted = [("ECHO_URL", url.as_str()), ("NO_PROXY", loopback), ("no_proxy", loopback)];
    assert_eq!(
        served.running.variables("gcp"),
        wanted.map(|(name, value)| (name.to_owned(), value.to_owned()))
    );
    assert!(served.send("GET", "x").await.contains(&format!("\"base\":\"{url}\"")));
    tokio::time::timeout(Duration::from_secs(5), served.running.shutdown()).await.unwrap();
    assert!(TcpStream::connect(url.trim_start_matches("http://")).is_err());
}
