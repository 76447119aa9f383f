//! Credentials with values that are easy to recognise: nothing that is written holds one.

use std::path::Path;

use privnet_integration_tests::command::privnet;
use privnet_integration_tests::stage::Stage;

use super::{Ground, both, ground};

/// Each is a secret that privnet can lay hands on.
const CANARIES: [(&str, &str); 6] = [
    ("AWS_SECRET_ACCESS_KEY", "CANARYenvSECRETkey0000000000000000000000"),
    ("AWS_SESSION_TOKEN", "CANARYenvSESSIONtoken000000000000000000"),
    ("AZURE_CLIENT_SECRET", "CANARYazureCLIENTsecret0000000000000000"),
    ("AZURE_PASSWORD", "CANARYazurePASSWORD00000000000000000000"),
    ("GOOGLE_OAUTH_ACCESS_TOKEN", "CANARYgoogleTOKEN0000000000000000000000"),
    ("CLOUDSDK_AUTH_ACCESS_TOKEN", "CANARYcloudsdkTOKEN00000000000000000000"),
];

const PROFILES: &str = "[default]
aws_access_key_id = AKIASANDBOX123456789
aws_secret_access_key = CANARYdefaultPROFILEkey000000000000000
[canary]
aws_access_key_id = AKIASANDBOX123456789
aws_secret_access_key = CANARYnamedPROFILEkey00000000000000000
aws_session_token = CANARYnamedPROFILEtoken000000000000000
";

/// The life of a service, with failures; each as talkative as can be.
const COMMANDS: [&str; 17] = [
    "validate",
    "plan --out plan.json",
    "plan --output json",
    "apply",
    "apply --plan plan.json --yes",
    "apply --yes --output json",
    "status",
    "status --output json",
    "accept-pending --dry-run --output json",
    "accept-pending --yes",
    "reject --yes --connection vpce-0123456789abcdef1",
    "handoff",
    "handoff --as fivetran-tf",
    "plan nobody.yaml",
    "apply --plan aws.yaml --yes",
    "destroy --yes",
    "destroy --yes --sever-connections --output json",
];

/// Every file under a folder whose bytes hold a canary.
fn told(folder: &Path) -> Vec<String> {
    let mut found = Vec::new();
    for entry in std::fs::read_dir(folder).unwrap().flatten() {
        let path = entry.path();
        if path.is_dir() {
            // What holds the secrets in the first place.
            if path.file_name().is_none_or(|name| name != ".aws") {
                found.extend(told(&path));
            }
        } else if String::from_utf8_lossy(&std::fs::read(&path).unwrap()).contains("CANARY") {
            found.push(path.display().to_string());
        }
    }
    found
}

/// Runs everything and keeps all that was said in the folder; returns how many commands succeeded.
fn life(ground: &Ground, flags: &str, variables: &[(String, String)]) -> usize {
    let mut succeeded = 0;
    for (nth, command) in COMMANDS.iter().enumerate() {
        let output = privnet(ground.path())
            .args(flags.split_whitespace().chain(command.split_whitespace()).chain(["-vvv"]))
            .envs(CANARIES)
            .envs(variables.iter().cloned())
            .output()
            .unwrap();
        succeeded += usize::from(output.status.success());
        ground.write(&format!("said/{nth}"), &format!("{command}\n{}", both(&output)));
        if command.contains("apply") {
            ground.pass(60);
        }
    }
    succeeded
}

#[test]
fn on_the_sandbox_no_secret_is_written() {
    let ground = ground();
    ground.write(".aws/credentials", PROFILES);
    let succeeded = life(&ground, "--sandbox", &[("AWS_PROFILE".to_owned(), "canary".to_owned())]);
    assert!(succeeded >= 11, "{succeeded} of {} commands succeeded", COMMANDS.len());
    assert_eq!(told(ground.path()), Vec::<String>::new());
}

/// Without `--sandbox` the credentials are really used, from the environment and from a profile, and every exchange is recorded.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn with_real_credentials_no_secret_is_written() {
    for profile in [None, Some("canary")] {
        let ground = ground();
        ground.write(".aws/credentials", PROFILES);
        let record = ground.at("record.jsonl");
        let stage = Stage::open_with(None, |options| options.record = Some(record.clone())).await.unwrap();
        let mut variables = vec![("AWS_ENDPOINT_URL".to_owned(), stage.url("aws"))];
        match profile {
            Some(profile) => {
                let text =
                    super::orders().replace("    region:", &format!("    profile: {profile}\n    region:"));
                ground.write("aws.yaml", &text);
            }
            None => variables.push(("AWS_ACCESS_KEY_ID".to_owned(), "AKIASANDBOX123456789".to_owned())),
        }
        let succeeded = tokio::task::block_in_place(|| life(&ground, "--audit-log audit.jsonl", &variables));
        assert!(succeeded >= 11, "{succeeded} of {} commands succeeded with {profile:?}", COMMANDS.len());
        let recorded = std::fs::read_to_string(&record).unwrap();
        assert!(recorded.contains("AcceptVpcEndpointConnections"), "the life was recorded");
        assert!(std::fs::read_to_string(ground.at("audit.jsonl")).unwrap().contains("accept"));
        assert_eq!(told(ground.path()), Vec::<String>::new());
        assert_eq!(told(stage.folder()), Vec::<String>::new());

        // A cloud that cannot be reached, and one that answers nonsense, are told of without them too.
        for url in ["http://127.0.0.1:1", "http://user:CANARYinURL@127.0.0.1:1"] {
            variables[0].1 = url.to_owned();
            let output = privnet(ground.path())
                .args(["plan", "-vvv"])
                .envs(CANARIES)
                .envs(variables.clone())
                .output()
                .unwrap();
            assert_eq!(output.status.code(), Some(1), "{}", both(&output));
            assert!(!both(&output).contains("CANARY"), "{}", both(&output));
        }
    }
}

/// What a profile's credential process writes before it fails may be anything, and is told nowhere.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_a_credential_process_says_is_not_written() {
    let ground = ground();
    let process = ground.at("process.sh");
    ground.write("process.sh", "echo CANARYstdout; echo CANARYstderr >&2; exit 3");
    let profile = format!("[profile process]\ncredential_process = sh {}\n", process.display());
    ground.write(".aws/config", &profile);
    let text = super::orders().replace("    region:", "    profile: process\n    region:");
    assert!(text.contains("profile: process"), "{text}");
    ground.write("aws.yaml", &text);
    let stage = Stage::open(None).await.unwrap();
    for line in ["plan", "plan -v", "plan -vv", "plan -vvv", "apply --yes --output json -vvv", "status -vvv"]
    {
        let output = privnet(ground.path())
            .args(line.split_whitespace())
            .env("AWS_ENDPOINT_URL", stage.url("aws"))
            .output()
            .unwrap();
        let said = both(&output);
        assert_eq!(output.status.code(), Some(1), "{line}: {said}");
        assert!(!said.contains("CANARY"), "{line}: {said}");
    }
}
