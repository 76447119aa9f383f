//! Eight applies of one file at once: one of each afterwards, and none that reports a success which is none.

use std::collections::BTreeMap;
use std::process::{Command, Stdio};
use std::time::Duration;

use privnet_integration_tests::census::Census;
use privnet_integration_tests::command::privnet;
use privnet_integration_tests::stage::Stage;
use serde_json::Value;

use super::{both, orders};

const TOGETHER: usize = 8;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn eight_at_once_end_with_one_of_each() {
    let files = tempfile::tempdir().unwrap();
    // Nobody asks for a connection: who asks, and when, is not part of it.
    let file = orders().replace("cost-center: '4711'", "cost-center: '4711', sandbox-consumers: none");
    std::fs::write(files.path().join("azure.yaml"), file).unwrap();
    let mut census = Census::start("azure/census.py").unwrap();
    let command = |url: &str, line: &str| {
        let mut command: Command = privnet(files.path());
        command.args(line.split_whitespace()).env("PRIVNET_AZURE_RESOURCE_MANAGER_URL", url);
        command.env("PRIVNET_INSECURE_LOOPBACK_CREDENTIALS", "1");
        command
    };

    let alone = Stage::open(None).await.unwrap();
    let url = alone.url("azure");
    let output = tokio::task::block_in_place(|| command(&url, "apply --yes").output()).unwrap();
    assert!(output.status.success(), "{}", both(&output));
    let expected = census.take(&url).unwrap();

    let record = files.path().join("record.jsonl");
    let stage = Stage::open_with(None, |options| {
        options.record = Some(record.clone());
        options.latency = Duration::from_millis(20);
    })
    .await
    .unwrap();
    let url = stage.url("azure");
    let ends: Vec<(bool, String)> = tokio::task::block_in_place(|| {
        let applies: Vec<_> = (0..TOGETHER)
            .map(|_| {
                command(&url, "apply --yes --output json")
                    .stdout(Stdio::piped())
                    .stderr(Stdio::piped())
                    .spawn()
                    .unwrap()
            })
            .collect();
        std::thread::scope(|scope| {
            let waiting: Vec<_> = applies
                .into_iter()
                .map(|apply| {
                    let (url, command) = (&url, &command);
                    scope.spawn(move || {
                        let output = apply.wait_with_output().unwrap();
                        if output.status.success() {
                            // A success is one only if all is there at this moment.
                            let plan = command(url, "plan --detailed-exitcode").output().unwrap();
                            assert_eq!(plan.status.code(), Some(0), "a false success: {}", both(&plan));
                        }
                        (output.status.success(), both(&output))
                    })
                })
                .collect();
            waiting.into_iter().map(|one| one.join().unwrap()).collect()
        })
    });

    let conflicts = conflicts(&std::fs::read_to_string(&record).unwrap());
    let succeeded = ends.iter().filter(|(success, _)| *success).count();
    privnet_integration_tests::tell!(
        "{TOGETHER} applies at once: {succeeded} succeeded, {} reported a failure",
        TOGETHER - succeeded
    );
    println!("conflicts: {conflicts:#?}");
    assert!(succeeded > 0, "{}", ends[0].1);
    assert!(conflicts.values().sum::<usize>() >= TOGETHER, "they did not collide: {conflicts:#?}");
    assert_eq!(census.take(&url).unwrap(), expected, "one of each");

    let again = tokio::task::block_in_place(|| command(&url, "apply --yes").output()).unwrap();
    assert!(again.status.success(), "{}", both(&again));
    let empty = tokio::task::block_in_place(|| command(&url, "plan --detailed-exitcode").output()).unwrap();
    assert_eq!(empty.status.code(), Some(0), "{}", both(&empty));
    assert_eq!(census.take(&url).unwrap(), expected, "one of each, still");
}

/// How often a write met another one: a refusal that says so, or an operation that another one cancelled.
fn conflicts(record: &str) -> BTreeMap<String, usize> {
    let mut found: BTreeMap<String, usize> = BTreeMap::new();
    for line in record.lines().map(|line| serde_json::from_str::<Value>(line).unwrap()) {
        let path = line["path"].as_str().unwrap_or_default();
        let response = match &line["response"] {
            Value::String(text) => serde_json::from_str(text).unwrap_or(Value::Null),
            body => body.clone(),
        };
        let code = response["error"]["code"].as_str().unwrap_or_default();
        let kind = path.split('?').next().unwrap_or_default().rsplit('/').nth(1).unwrap_or_default();
        let met = match line["status"].as_u64() {
            Some(409 | 412 | 429) => {
                format!("{} {kind} answered {code}", line["method"].as_str().unwrap_or_default())
            }
            Some(200) if response["status"] == "Canceled" => format!("an operation ended with {code}"),
            _ => continue,
        };
        *found.entry(met).or_default() += 1;
    }
    found
}
