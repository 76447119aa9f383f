//! Every source of application default credentials leads in, over HTTPS with a CA of one's own; the audit log knows who called; and
//! nothing that is written holds a secret of theirs.

use std::path::{Path, PathBuf};
use std::process::{Command, Output};
use std::time::Duration;

use privnet_integration_tests::census::python;
use privnet_integration_tests::command::privnet;
use privnet_integration_tests::stage::Stage;
use privnet_sandbox::frame::Fault;
use serde_json::{Value, json};

use super::{both, machine};

const ACCOUNT: &str = "privnet@acme-data.iam.gserviceaccount.com";
const POOL: &str =
    "//iam.googleapis.com/projects/1/locations/global/workloadIdentityPools/ci/providers/runner";
/// What other tools take from the environment, and privnet must not tell either.
const TOKENS: [(&str, &str); 2] = [
    ("GOOGLE_OAUTH_ACCESS_TOKEN", "CANARYgoogleTOKEN0000000000000000000000"),
    ("CLOUDSDK_AUTH_ACCESS_TOKEN", "CANARYcloudsdkTOKEN00000000000000000000"),
];

/// A key such as Google gives out.
fn private_key() -> String {
    let script = "from cryptography.hazmat.primitives import serialization as s
from cryptography.hazmat.primitives.asymmetric import rsa
key = rsa.generate_private_key(public_exponent=65537, key_size=2048)
print(key.private_bytes(s.Encoding.PEM, s.PrivateFormat.PKCS8, s.NoEncryption()).decode())";
    let made = Command::new(python().unwrap()).args(["-c", script]).output().unwrap();
    assert!(made.status.success(), "{}", both(&made));
    String::from_utf8(made.stdout).unwrap()
}

/// A source of credentials.
struct Source {
    variables: Vec<(&'static str, String)>,
    /// As whom it calls.
    caller: String,
}

/// All sources; what is secret lies in `held`. Returns the lines of the private key too.
fn sources(stage: &Stage, folder: &Path) -> (Vec<Source>, Vec<String>) {
    let held = folder.join("held");
    let write = |name: &str, text: &str| {
        let path = held.join(name);
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(&path, text).unwrap();
        path.display().to_string()
    };
    let (https, _) = stage.running().https("gcp").expect("HTTPS is served");
    let key = private_key();
    let lines: Vec<String> =
        key.lines().filter(|line| line.len() > 40 && !line.contains("KEY")).map(str::to_owned).collect();
    assert!(lines.len() > 10, "the key's lines");
    let account = json!({ "type": "service_account", "client_email": ACCOUNT, "private_key_id": "1",
        "private_key": key, "project_id": "acme-data", "token_uri": format!("{https}/token") });
    let user = json!({ "type": "authorized_user", "client_id": "sandbox.apps.googleusercontent.com",
        "client_secret": "CANARYuserCLIENTsecret00000000000000000", "refresh_token": "CANARYuserREFRESHtoken00000000000000000",
        "token_uri": format!("{https}/token") });
    let token = write("subject", "CANARYsubjectTOKEN0000000000000000000000");
    let federated = json!({ "type": "external_account", "audience": POOL,
        "subject_token_type": "urn:ietf:params:oauth:token-type:jwt", "token_url": format!("{https}/v1/token"),
        "credential_source": { "file": token } });
    let named = |path: String, caller: &str| Source {
        variables: vec![("GOOGLE_APPLICATION_CREDENTIALS", path)],
        caller: caller.to_owned(),
    };
    // As `gcloud auth application-default login` leaves it, in the home folder.
    write("home/.config/gcloud/application_default_credentials.json", &user.to_string());
    let home = Source {
        variables: vec![("HOME", held.join("home").display().to_string())],
        caller: "ada@acme.example".to_owned(),
    };
    let machine = Source {
        variables: vec![("GCE_METADATA_HOST", stage.url("gcp").replace("http://", ""))],
        caller: "forwarders@acme-data.iam.gserviceaccount.com".to_owned(),
    };
    let all = vec![
        named(write("key.json", &account.to_string()), ACCOUNT),
        home,
        machine,
        named(write("federated.json", &federated.to_string()), &format!("an identity of {POOL}")),
    ];
    (all, lines)
}

/// Every file under a folder whose bytes hold a secret, but those that hold them in the first place.
fn told(folder: &Path, key: &[String]) -> Vec<PathBuf> {
    let mut found = Vec::new();
    for path in std::fs::read_dir(folder).unwrap().flatten().map(|entry| entry.path()) {
        if path.is_dir() {
            if path.file_name().is_none_or(|name| name != "held") {
                found.extend(told(&path, key));
            }
            continue;
        }
        let text = String::from_utf8_lossy(&std::fs::read(&path).unwrap()).into_owned();
        let is_token = text.contains("ya29.sandbox-") || text.contains("CANARY");
        if is_token || key.iter().any(|line| text.contains(line.as_str())) {
            found.push(path);
        }
    }
    found
}

/// The life of a service, with failures; each as talkative as can be.
const COMMANDS: [&str; 10] = [
    "plan --out plan.json",
    "apply --plan plan.json --yes --output json",
    "status --output json",
    "accept-pending --dry-run",
    "reject --yes --connection nobody",
    "handoff",
    "apply --plan gcp.yaml --yes",
    "plan --detailed-exitcode",
    "destroy --yes --sever-connections",
    "apply --yes",
];

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn each_source_leads_in_is_known_and_no_secret_is_written() {
    let folder = tempfile::tempdir().unwrap();
    std::fs::write(folder.path().join("gcp.yaml"), machine()).unwrap();
    let record = folder.path().join("record.jsonl");
    let stage = Stage::open_with(None, |options| options.record = Some(record.clone())).await.unwrap();
    stage.running().hold_requests().unwrap();
    let (https, ca) = stage.running().https("gcp").expect("HTTPS is served");
    let (sources, key) = sources(&stage, folder.path());
    let run = |line: &str, url: &str, variables: &[(&str, String)]| -> Output {
        let mut command = privnet(folder.path());
        command.args(line.split_whitespace().chain(["-vvv", "--audit-log", "audit.jsonl"]));
        command.env("PRIVNET_GCP_COMPUTE_URL", url).env("SSL_CERT_FILE", ca).envs(TOKENS);
        // The official library takes proxies and mutual TLS from the environment, and this machine's is not the test's.
        command.envs(variables.iter().cloned());
        tokio::task::block_in_place(|| command.output()).unwrap()
    };
    let mut said = 0;
    let mut keep = |line: &str, output: &Output| {
        said += 1;
        std::fs::write(folder.path().join(format!("said-{said}")), format!("{line}\n{}", both(output)))
            .unwrap();
    };
    let mut succeeded = 0;
    for line in COMMANDS {
        let output = run(line, https, &sources[0].variables);
        succeeded += usize::from(output.status.success());
        keep(line, &output);
        assert!(line != "plan --out plan.json" || output.status.success(), "{}", both(&output));
    }
    assert_eq!(succeeded, COMMANDS.len() - 2, "a connection of nobody, and a file that is no plan");

    let caller = |output: &Output| {
        assert!(output.status.success(), "{}", both(output));
        let log = std::fs::read_to_string(folder.path().join("audit.jsonl")).unwrap();
        let last: Value = serde_json::from_str(log.lines().last().unwrap()).unwrap();
        last["caller"].as_str().unwrap().to_owned()
    };
    let turn_away = |variables: &[(&str, String)]| {
        let mut asks = privnet(folder.path());
        asks.args(["sandbox", "connect", "orders", "--as", "acme-reader", "--output", "json"]);
        let asked =
            tokio::task::block_in_place(|| asks.env("PRIVNET_SANDBOX_DIR", stage.folder()).output()).unwrap();
        let asked: Value = serde_json::from_slice(&asked.stdout).unwrap();
        let line = format!("reject --yes --connection {}", asked["connection"].as_str().unwrap());
        run(&line, https, variables)
    };
    for source in &sources {
        let output = turn_away(&source.variables);
        keep("reject", &output);
        assert_eq!(caller(&output), source.caller);
    }
    // Not to learn it fails nothing.
    let lost: Fault = "gcp:POST /tokeninfo:1:lost".parse().unwrap();
    stage.running().faults().add(lost);
    assert_eq!(caller(&turn_away(&sources[1].variables)), "unknown");

    // A cloud that cannot be reached, and one that is no place for a secret, are told of without it, and soon.
    for (url, status) in [("https://127.0.0.1:1", 1), ("https://user:CANARYinURL@127.0.0.1:1", 1)] {
        let started = std::time::Instant::now();
        let output = run("plan", url, &sources[0].variables);
        keep(url.split('@').next_back().unwrap(), &output);
        assert_eq!(output.status.code(), Some(status), "{}", both(&output));
        assert!(started.elapsed() < Duration::from_secs(90), "{:?}", started.elapsed());
    }
    let recorded = std::fs::read_to_string(&record).unwrap();
    assert!(
        recorded.contains("serviceAttachments") && recorded.contains("/v1/token"),
        "the life was recorded"
    );
    assert_eq!(told(folder.path(), &key), Vec::<PathBuf>::new());
    assert_eq!(told(stage.folder(), &key), Vec::<PathBuf>::new());
}
