//! Every source of credentials leads in, over HTTPS with a CA of one's own and at another authority; and nothing that is written
//! holds a secret of theirs.

use std::path::{Path, PathBuf};
use std::time::Duration;

use privnet_integration_tests::command::privnet;
use privnet_integration_tests::stage::Stage;

use super::{both, orders};

const SECRET: &str = "CANARYazureCLIENTsecret0000000000000000";
const ASSERTION: &str = "CANARYfederatedTOKEN000000000000000000";

/// The variables of a source, by its name.
fn sources(stage: &Stage, folder: &Path) -> Vec<(&'static str, Vec<(&'static str, String)>)> {
    let known = |name: &str| {
        let variables = stage.running().variables("azure").iter();
        variables.into_iter().find(|(found, _)| found == name).map(|(_, value)| value.clone()).unwrap()
    };
    let token = folder.join("held/token");
    std::fs::create_dir_all(token.parent().unwrap()).unwrap();
    std::fs::write(&token, ASSERTION).unwrap();
    let client =
        [("AZURE_TENANT_ID", known("AZURE_TENANT_ID")), ("AZURE_CLIENT_ID", known("AZURE_CLIENT_ID"))];
    let with = |more: Vec<(&'static str, String)>| client.iter().cloned().chain(more).collect::<Vec<_>>();
    vec![
        ("environment", with(vec![("AZURE_CLIENT_SECRET", SECRET.to_owned())])),
        ("workload identity", with(vec![("AZURE_FEDERATED_TOKEN_FILE", token.display().to_string())])),
        (
            "managed identity",
            vec![
                ("IDENTITY_ENDPOINT", format!("{}/metadata/identity/oauth2/token", stage.url("azure"))),
                ("IDENTITY_HEADER", SECRET.to_owned()),
            ],
        ),
    ]
}

/// Every file under a folder whose bytes hold a canary, but those that hold the secrets in the first place.
fn told(folder: &Path) -> Vec<PathBuf> {
    let mut found = Vec::new();
    for path in std::fs::read_dir(folder).unwrap().flatten().map(|entry| entry.path()) {
        if path.is_dir() {
            if path.file_name().is_none_or(|name| name != "held") {
                found.extend(told(&path));
            }
        } else if String::from_utf8_lossy(&std::fs::read(&path).unwrap()).contains("CANARY") {
            found.push(path);
        }
    }
    found
}

/// The life of a service, with failures; each as talkative as can be.
const COMMANDS: [&str; 9] = [
    "plan --out plan.json",
    "apply --plan plan.json --yes --output json",
    "status --output json",
    "accept-pending --dry-run",
    "reject --yes --connection nobody",
    "handoff",
    "apply --plan azure.yaml --yes",
    "plan --detailed-exitcode",
    "destroy --yes --sever-connections",
];

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn each_source_leads_in_and_no_secret_is_written() {
    let folder = tempfile::tempdir().unwrap();
    let file = orders().replace("cost-center: '4711'", "sandbox-consumers: none");
    std::fs::write(folder.path().join("azure.yaml"), file).unwrap();
    let record = folder.path().join("record.jsonl");
    let stage = Stage::open_with(None, |options| options.record = Some(record.clone())).await.unwrap();
    let (https, ca) = stage.running().azure_https().expect("HTTPS is served");
    let run = |line: &str, url: &str, variables: &[(&str, String)]| {
        let mut command = privnet(folder.path());
        command.args(line.split_whitespace().chain(["-vvv", "--audit-log", "audit.jsonl"]));
        command.env("PRIVNET_AZURE_RESOURCE_MANAGER_URL", url).env("AZURE_AUTHORITY_HOST", url);
        // The metadata address is not on loopback: only the test that has it in a network of its own asks it.
        command.env("IDENTITY_ENDPOINT", "http://127.0.0.1:1").env("IDENTITY_HEADER", "none");
        command.env("SSL_CERT_FILE", ca).envs(variables.iter().cloned());
        tokio::task::block_in_place(|| command.output()).unwrap()
    };
    for (nth, (source, variables)) in sources(&stage, folder.path()).iter().enumerate() {
        // A whole life as a service principal; that the others lead in shows in a plan.
        let commands = if nth == 0 { &COMMANDS[..] } else { &["plan --detailed-exitcode"] };
        let mut succeeded = 0;
        for (step, line) in commands.iter().enumerate() {
            let output = run(line, https, variables);
            succeeded += usize::from(output.status.success() || output.status.code() == Some(2));
            let said = folder.path().join(format!("said-{nth}-{step}"));
            std::fs::write(said, format!("{line}\n{}", both(&output))).unwrap();
            if nth > 0 || step == 0 {
                assert!(
                    output.status.code().is_some_and(|code| code == 0 || code == 2),
                    "{source}: {}",
                    both(&output)
                );
            }
        }
        assert!(succeeded >= commands.len().saturating_sub(2), "{source}: {succeeded} of {}", commands.len());
    }
    // An authority that cannot be reached, and one that is no place for a secret, are told of without it, and soon: the sources
    // are asked once and not for each request.
    for (url, status) in [("https://127.0.0.1:1", 1), ("https://user:CANARYinURL@127.0.0.1:1", 1)] {
        let started = std::time::Instant::now();
        let output = run("plan", url, &sources(&stage, folder.path())[0].1);
        assert_eq!(output.status.code(), Some(status), "{}", both(&output));
        assert!(!both(&output).contains("CANARY"), "{}", both(&output));
        assert!(started.elapsed() < Duration::from_secs(90), "{:?}", started.elapsed());
    }
    assert!(
        std::fs::read_to_string(&record).unwrap().contains("privateLinkServices"),
        "the life was recorded"
    );
    assert_eq!(told(folder.path()), Vec::<PathBuf>::new());
    assert_eq!(told(stage.folder()), Vec::<PathBuf>::new());
}
