//! Eight applies of one file at once: one of each afterwards, and none that reports a success which is none.

use std::collections::BTreeMap;
use std::process::Command;

use privnet_integration_tests::command::privnet;
use privnet_integration_tests::gcp::Called;
use privnet_integration_tests::together::{Together, exchanges};

use super::orders;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn eight_at_once_end_with_one_of_each() {
    let files = tempfile::tempdir().unwrap();
    std::fs::write(files.path().join("gcp.yaml"), orders()).unwrap();
    let command = |url: &str, line: &str| {
        let mut command: Command = privnet(files.path());
        command.args(line.split_whitespace()).env("PRIVNET_GCP_COMPUTE_URL", url);
        command.env("PRIVNET_INSECURE_LOOPBACK_CREDENTIALS", "1");
        command
    };
    let together = Together { cloud: "gcp", census: "gcp/census.py", command: &command, conflicts };
    together.end_with_one_of_each().await;
}

/// The reasons and codes of a write that met another one. A process by itself meets quotas, rates and what is not ready.
const MET: [&str; 6] = [
    "alreadyExists",
    "conditionNotMet",
    "resourceInUseByAnotherResource",
    "RESOURCE_ALREADY_EXISTS",
    "CONDITION_NOT_MET",
    "RESOURCE_IN_USE_BY_ANOTHER_RESOURCE",
];

/// How often a write met another one: an answer or an operation that says so, or the same thing made by two operations.
fn conflicts(record: &str) -> BTreeMap<String, usize> {
    let (mut found, mut made) = (BTreeMap::<String, usize>::new(), BTreeMap::<String, String>::new());
    for line in exchanges(record) {
        let (method, path) =
            (line["method"].as_str().unwrap_or_default(), line["path"].as_str().unwrap_or_default());
        let Some(called) = Called::of(method, path) else { continue };
        let response = &line["response"];
        let refused = response["error"]["errors"][0]["reason"].as_str();
        let failed = response["error"]["errors"][0]["code"].as_str();
        let met = match (line["status"].as_u64(), refused.or(failed)) {
            (Some(404), _) => continue,
            (_, Some(why)) if MET.contains(&why) => format!("{} answered {why}", called.method()),
            // A request that is sent again is answered with its operation.
            (_, None) if called.verb == "insert" => {
                let operation = response["name"].to_string();
                let first =
                    made.entry(response["targetLink"].to_string()).or_insert_with(|| operation.clone());
                if *first == operation {
                    continue;
                }
                format!("{} again", called.method())
            }
            _ => continue,
        };
        *found.entry(met).or_default() += 1;
    }
    found
}
