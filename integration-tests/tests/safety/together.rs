//! Eight applies of one file at once: one of each afterwards, and none that reports a success which is none.

use std::collections::BTreeMap;
use std::process::Command;
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
    std::fs::write(files.path().join("aws.yaml"), orders()).unwrap();
    let mut census = Census::start("aws/census.py").unwrap();
    let command = |url: &str, line: &str| {
        let mut command: Command = privnet(files.path());
        command.args(line.split_whitespace()).env("AWS_ENDPOINT_URL", url);
        command.env("AWS_ACCESS_KEY_ID", "AKIASANDBOX123456789").env("AWS_SECRET_ACCESS_KEY", "sandbox");
        command
    };

    let alone = Stage::open(None).await.unwrap();
    let url = alone.url("aws");
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
    let url = stage.url("aws");
    let ends: Vec<(bool, String)> = tokio::task::block_in_place(|| {
        let applies: Vec<_> = (0..TOGETHER)
            .map(|_| {
                command(&url, "apply --yes --output json")
                    .stdout(std::process::Stdio::piped())
                    .stderr(std::process::Stdio::piped())
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

/// How often something was made that another was making too: a second call of the same creation, or an answer that says so.
fn conflicts(record: &str) -> BTreeMap<String, usize> {
    let mut created: BTreeMap<(String, String), usize> = BTreeMap::new();
    let mut found: BTreeMap<String, usize> = BTreeMap::new();
    for line in record.lines().map(|line| serde_json::from_str::<Value>(line).unwrap()) {
        let action = line["action"].as_str().unwrap_or_default().to_owned();
        let response = line["response"].as_str().unwrap_or_default();
        if line["status"].as_u64().is_some_and(|status| status >= 400) {
            let code =
                response.split("<Code>").nth(1).and_then(|rest| rest.split('<').next()).unwrap_or_default();
            *found.entry(format!("{action} answered {code}")).or_default() += 1;
        } else if action.starts_with("Create") && action != "CreateTags" {
            let body = line["body"].as_str().unwrap_or_default().to_owned();
            let times = created.entry((action.clone(), body)).or_default();
            *times += 1;
            if *times > 1 {
                *found.entry(format!("{action} again")).or_default() += 1;
            }
        }
    }
    found
}
