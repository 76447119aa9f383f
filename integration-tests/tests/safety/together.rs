//! Eight applies of one file at once: one of each afterwards, and none that reports a success which is none.

use std::collections::BTreeMap;
use std::process::Command;

use privnet_integration_tests::command::privnet;
use privnet_integration_tests::together::{Together, exchanges};

use super::orders;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn eight_at_once_end_with_one_of_each() {
    let files = tempfile::tempdir().unwrap();
    std::fs::write(files.path().join("aws.yaml"), orders()).unwrap();
    let command = |url: &str, line: &str| {
        let mut command: Command = privnet(files.path());
        command.args(line.split_whitespace()).env("AWS_ENDPOINT_URL", url);
        command.env("AWS_ACCESS_KEY_ID", "AKIASANDBOX123456789").env("AWS_SECRET_ACCESS_KEY", "sandbox");
        command
    };
    let together = Together { cloud: "aws", census: "aws/census.py", command: &command, conflicts };
    together.end_with_one_of_each().await;
}

/// How often something was made that another was making too: a second call of the same creation, or an answer that says so.
fn conflicts(record: &str) -> BTreeMap<String, usize> {
    let mut created: BTreeMap<(String, String), usize> = BTreeMap::new();
    let mut found: BTreeMap<String, usize> = BTreeMap::new();
    for line in exchanges(record) {
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
