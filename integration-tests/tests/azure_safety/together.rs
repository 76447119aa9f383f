//! Eight applies of one file at once: one of each afterwards, and none that reports a success which is none.

use std::collections::BTreeMap;
use std::process::Command;

use privnet_integration_tests::command::privnet;
use privnet_integration_tests::together::{Together, exchanges};

use super::orders;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn eight_at_once_end_with_one_of_each() {
    let files = tempfile::tempdir().unwrap();
    // Nobody asks for a connection: who asks, and when, is not part of it.
    let file = orders().replace("cost-center: '4711'", "cost-center: '4711', sandbox-consumers: none");
    std::fs::write(files.path().join("azure.yaml"), file).unwrap();
    let command = |url: &str, line: &str| {
        let mut command: Command = privnet(files.path());
        command.args(line.split_whitespace()).env("PRIVNET_AZURE_RESOURCE_MANAGER_URL", url);
        command.env("PRIVNET_INSECURE_LOOPBACK_CREDENTIALS", "1");
        command
    };
    let together = Together { cloud: "azure", census: "azure/census.py", command: &command, conflicts };
    together.end_with_one_of_each().await;
}

/// How often a write met another one: a refusal that says so, or an operation that another one cancelled.
fn conflicts(record: &str) -> BTreeMap<String, usize> {
    let mut found: BTreeMap<String, usize> = BTreeMap::new();
    for line in exchanges(record) {
        let path = line["path"].as_str().unwrap_or_default();
        let response = &line["response"];
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
