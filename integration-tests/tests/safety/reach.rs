//! `--sandbox` reaches the sandbox and nothing else, whatever the environment and the profiles say.

use std::net::{TcpListener, UdpSocket};
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use privnet_integration_tests::command::privnet;
use privnet_integration_tests::stage::Stage;

use super::{Ground, both, ground};

const PROXIES: [&str; 6] =
    ["HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY", "http_proxy", "https_proxy", "all_proxy"];

/// Listens on loopback, and counts who comes.
struct Trap {
    port: u16,
    caught: Arc<AtomicUsize>,
}

impl Trap {
    fn new() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let port = listener.local_addr().unwrap().port();
        let caught = Arc::new(AtomicUsize::new(0));
        let count = Arc::clone(&caught);
        std::thread::spawn(move || {
            for client in listener.incoming() {
                count.fetch_add(1, Ordering::SeqCst);
                drop(client);
            }
        });
        // A name server that somebody might ask, on the same port.
        if let Ok(socket) = UdpSocket::bind(("127.0.0.1", port)) {
            let count = Arc::clone(&caught);
            std::thread::spawn(move || {
                while socket.recv_from(&mut [0; 512]).is_ok() {
                    count.fetch_add(1, Ordering::SeqCst);
                }
            });
        }
        Self { port, caught }
    }

    fn url(&self) -> String {
        format!("http://127.0.0.1:{}", self.port)
    }

    fn caught(&self) -> usize {
        self.caught.load(Ordering::SeqCst)
    }

    /// Everything by which tools are led to a cloud, leading here.
    fn variables(&self, ground: &Ground) -> Vec<(String, String)> {
        let at = |name: &str| ground.at(name).display().to_string();
        let mut variables = vec![
            ("AWS_ACCESS_KEY_ID", "AKIAIOSFODNN7EXAMPLE".to_owned()),
            ("AWS_SECRET_ACCESS_KEY", "wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY".to_owned()),
            ("AWS_PROFILE", "prod".to_owned()),
            ("AWS_CONFIG_FILE", at("aws-config")),
            ("AWS_SHARED_CREDENTIALS_FILE", at("aws-credentials")),
            ("AWS_REGION", "eu-west-1".to_owned()),
            ("AWS_EC2_METADATA_DISABLED", "false".to_owned()),
            ("AWS_EC2_METADATA_SERVICE_ENDPOINT", self.url()),
            ("AWS_CONTAINER_CREDENTIALS_FULL_URI", format!("{}/credentials", self.url())),
            ("AWS_ROLE_ARN", "arn:aws:iam::123456789012:role/web".to_owned()),
            ("AWS_WEB_IDENTITY_TOKEN_FILE", at("aws-credentials")),
            ("AZURE_AUTHORITY_HOST", self.url()),
            ("PRIVNET_AZURE_RESOURCE_MANAGER_URL", self.url()),
            ("PRIVNET_GCP_COMPUTE_URL", self.url()),
            ("GOOGLE_APPLICATION_CREDENTIALS", at("google-credentials.json")),
            ("GCE_METADATA_HOST", format!("127.0.0.1:{}", self.port)),
            ("GOOGLE_OAUTH_ACCESS_TOKEN", "ya29.a0AfB_byEXAMPLE".to_owned()),
            ("GOOGLE_CLOUD_PROJECT", "acme-data".to_owned()),
            ("GOOGLE_CLOUD_QUOTA_PROJECT", "acme-data".to_owned()),
            ("CLOUDSDK_API_ENDPOINT_OVERRIDES_COMPUTE", format!("{}/compute/v1/", self.url())),
            ("PRIVNET_INSECURE_LOOPBACK_CREDENTIALS", "1".to_owned()),
        ];
        for name in ["AWS_ENDPOINT_URL", "AWS_ENDPOINT_URL_EC2", "AWS_ENDPOINT_URL_STS"] {
            variables.push((name, self.url()));
        }
        variables.push(("AWS_ENDPOINT_URL_ELASTIC_LOAD_BALANCING_V2", self.url()));
        variables.push(("GOOGLE_CLOUD_UNIVERSE_DOMAIN", "trap.example".to_owned()));
        for name in PROXIES {
            variables.push((name, self.url()));
        }
        variables.into_iter().map(|(name, value)| (name.to_owned(), value)).collect()
    }

    /// Profiles and credentials that lead here; one of them runs a program that would leave a mark.
    fn profiles(&self, ground: &Ground) {
        let (url, mark) = (self.url(), ground.at("mark").display().to_string());
        let config = format!(
            "[profile prod]\nregion = eu-west-1\nendpoint_url = {url}\nservices = trap\n\
             credential_process = touch {mark}\n\
             [services trap]\nec2 =\n  endpoint_url = {url}\nelastic_load_balancing_v2 =\n  endpoint_url = {url}\n\
             [default]\nendpoint_url = {url}\ncredential_process = touch {mark}\n"
        );
        ground.write("aws-config", &config);
        ground.write(".aws/config", &config);
        let user = serde_json::json!({
            "type": "authorized_user", "client_id": "x.apps.googleusercontent.com", "client_secret": "x",
            "refresh_token": "1//0gEXAMPLE", "token_uri": format!("{url}/token"),
        });
        ground.write("google-credentials.json", &user.to_string());
        ground.write(".config/gcloud/application_default_credentials.json", &user.to_string());
        ground.write(
            "aws-credentials",
            "[prod]\naws_access_key_id = AKIAIOSFODNN7EXAMPLE\naws_secret_access_key = x\n",
        );
    }
}

/// A file that names a profile and a role, and a name to be resolved by a server of its own.
fn file() -> String {
    super::orders()
        .replace("    region:", "    profile: prod\n    assume_role: { arn: 'arn:aws:iam::123456789012:role/deploy' }\n    region:")
        .replace("{ ips: [10.0.0.25] }", "{ dns: orders.cluster-abc.us-east-1.rds.amazonaws.com }")
        .replace("      ports:\n", "      resolver: 127.0.0.1\n      ports:\n")
}

#[test]
fn a_sandboxed_command_reaches_nothing_else() {
    let ground = ground();
    let trap = Trap::new();
    trap.profiles(&ground);
    ground.write("aws.yaml", &file());
    let variables = trap.variables(&ground);
    let run = |line: &str| {
        privnet(ground.path()).args(line.split_whitespace()).envs(variables.iter().cloned()).output().unwrap()
    };
    for (line, status) in [
        ("validate", 0),
        ("--sandbox plan --detailed-exitcode", 2),
        ("--sandbox apply --yes", 0),
        ("--sandbox status", 0),
        ("--sandbox accept-pending --watch --yes --timeout 10m", 0),
        ("--sandbox handoff", 0),
        ("--sandbox plan --detailed-exitcode", 0),
        ("sandbox world", 0),
        ("sandbox connect orders", 0),
        ("--sandbox destroy --yes", 3),
        ("--sandbox destroy --yes --sever-connections", 0),
        ("sandbox reset", 0),
    ] {
        let output = run(line);
        assert_eq!(output.status.code(), Some(status), "{line}: {}", both(&output));
        assert_eq!(trap.caught(), 0, "{line} came to the trap");
    }
    assert!(!ground.at("mark").exists(), "a profile's program was run");

    // The trap does catch: without the flag the same environment leads there.
    let caught = run("plan");
    assert_eq!(caught.status.code(), Some(1), "{}", both(&caught));
    assert!(trap.caught() > 0, "the trap catches nothing: {}", both(&caught));
}

/// What is meant for this machine is not sent to a proxy that is meant for others: it goes by plain HTTP, credentials among it.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_is_on_this_machine_is_not_asked_by_a_proxy() {
    let (ground, trap) = (ground(), Trap::new());
    let stage = Stage::open(None).await.unwrap();
    let output = privnet(ground.path())
        .args(["plan", "--detailed-exitcode"])
        .envs(PROXIES.map(|name| (name, trap.url())))
        .env("AWS_ENDPOINT_URL", stage.url("aws"))
        .env("AWS_ACCESS_KEY_ID", "AKIASANDBOX123456789")
        .env("AWS_SECRET_ACCESS_KEY", "sandbox")
        .output()
        .unwrap();
    assert_eq!((output.status.code(), trap.caught()), (Some(2), 0), "{}", both(&output));
}

/// A server that nobody here trusts: that is said with what may be done about it, and is no outage that passes.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_certificate_that_is_not_trusted_is_said_at_once() {
    // Azure's server is asked for AWS: no record of that says anything.
    let (ground, stage) = (ground(), Stage::open_unrecorded(None).await.unwrap());
    let (url, authority) = stage.running().https("azure").unwrap();
    let run = |trusted: &Path| {
        let mut command = privnet(ground.path());
        command
            .arg("plan")
            .env("SSL_CERT_FILE", trusted)
            .env_remove("SSL_CERT_DIR")
            .env("AWS_ENDPOINT_URL", url);
        command.env("AWS_ACCESS_KEY_ID", "AKIASANDBOX123456789").env("AWS_SECRET_ACCESS_KEY", "sandbox");
        both(&tokio::task::block_in_place(|| command.output()).unwrap())
    };
    let other = Stage::open_unrecorded(None).await.unwrap();
    let refused = run(other.running().https("azure").unwrap().1);
    assert!(refused.contains("the server is not trusted") && refused.contains("SSL_CERT_FILE"), "{refused}");
    let empty = run(&ground.at("aws.yaml"));
    assert!(empty.contains("in which there is no certificate"), "{empty}");
    // With its authority's certificate the same server is spoken to, which is none of AWS's.
    let trusted = run(authority);
    assert!(!trusted.contains("not trusted"), "{trusted}");
}

/// A whole life, and what each command comes to.
const LIFE: [(&str, i32); 8] = [
    ("--sandbox plan --detailed-exitcode", 2),
    ("--sandbox apply --yes", 0),
    ("--sandbox status", 0),
    ("--sandbox accept-pending --watch --yes --timeout 10m", 0),
    ("--sandbox handoff", 0),
    ("--sandbox plan --detailed-exitcode", 0),
    ("--sandbox destroy --yes", 3),
    ("--sandbox destroy --yes --sever-connections", 0),
];

/// A folder with an example as its only file, and a trap that all profiles in it lead to.
fn with_example(name: &str) -> (Ground, Trap) {
    let ground = ground();
    let trap = Trap::new();
    trap.profiles(&ground);
    std::fs::remove_file(ground.at("aws.yaml")).unwrap();
    let file = privnet_integration_tests::census::here().join("../examples").join(name);
    ground.write(name, &std::fs::read_to_string(file).unwrap());
    (ground, trap)
}

/// The official Google client takes proxies from the environment and cannot be told not to: the command shuts them out before.
#[test]
fn a_sandboxed_command_on_gcp_reaches_nothing_else() {
    let (ground, trap) = with_example("gcp.yaml");
    let variables = trap.variables(&ground);
    let run = |line: &str, without: &[&str]| {
        let given = variables.iter().filter(|(name, _)| !without.contains(&name.as_str())).cloned();
        privnet(ground.path()).args(line.split_whitespace()).envs(given).output().unwrap()
    };
    for (line, status) in LIFE {
        let output = run(line, &[]);
        assert_eq!(output.status.code(), Some(status), "{line}: {}", both(&output));
        assert_eq!(trap.caught(), 0, "{line} came to the trap");
    }
    // Without the flag the same environment leads there: by its URL, and not past a proxy that would be meant for others.
    let proxied = run("plan", &["GOOGLE_CLOUD_UNIVERSE_DOMAIN"]);
    assert!(both(&proxied).contains("NO_PROXY"), "{}", both(&proxied));
    assert_eq!((proxied.status.code(), trap.caught()), (Some(1), 0), "{}", both(&proxied));
    let caught = run("plan", &[&PROXIES[..], &["GOOGLE_CLOUD_UNIVERSE_DOMAIN"]].concat());
    assert_eq!(caught.status.code(), Some(1), "{}", both(&caught));
    assert!(trap.caught() > 0, "the trap catches nothing: {}", both(&caught));
}

/// On Azure a token may also come from a program: the login of the Azure CLI, whose place a script takes that leaves a mark.
#[test]
fn a_sandboxed_command_on_azure_reaches_nothing_else() {
    use std::os::unix::fs::PermissionsExt as _;
    let (ground, trap) = with_example("azure.yaml");
    let mark = ground.at("mark");
    ground.write("bin/az", &format!("#!/bin/sh\ntouch {}\nexit 1\n", mark.display()));
    std::fs::set_permissions(ground.at("bin/az"), std::fs::Permissions::from_mode(0o755)).unwrap();
    let path = format!("{}:{}", ground.at("bin").display(), std::env::var("PATH").unwrap_or_default());
    let mut variables = trap.variables(&ground);
    for (name, value) in [
        ("PATH", path.as_str()),
        ("AZURE_TENANT_ID", "99999999-8888-7777-6666-555555555555"),
        ("AZURE_CLIENT_ID", "88888888-7777-6666-5555-444444444444"),
        ("AZURE_CLIENT_SECRET", "a-secret"),
        ("IDENTITY_ENDPOINT", &trap.url()),
        ("IDENTITY_HEADER", "a-header"),
        ("AZURE_POD_IDENTITY_AUTHORITY_HOST", &trap.url()),
    ] {
        variables.push((name.to_owned(), value.to_owned()));
    }
    let run = |line: &str, without: &[&str]| {
        let given = variables.iter().filter(|(name, _)| !without.contains(&name.as_str())).cloned();
        privnet(ground.path()).args(line.split_whitespace()).envs(given).output().unwrap()
    };
    for (line, status) in LIFE {
        let output = run(line, &[]);
        assert_eq!(output.status.code(), Some(status), "{line}: {}", both(&output));
        assert_eq!(trap.caught(), 0, "{line} came to the trap");
    }
    assert!(!mark.exists(), "the Azure CLI was asked for a token");
    // Without the flag the same environment is read: its URL of plain HTTP is refused, its managed identity is asked, and the Azure CLI.
    let token = "PRIVNET_INSECURE_LOOPBACK_CREDENTIALS";
    let plain = run("plan", &[token]);
    assert!(both(&plain).contains("PRIVNET_AZURE_RESOURCE_MANAGER_URL"), "{}", both(&plain));
    assert_eq!((plain.status.code(), trap.caught()), (Some(1), 0), "{}", both(&plain));
    let others = ["AZURE_AUTHORITY_HOST", "PRIVNET_AZURE_RESOURCE_MANAGER_URL", "AZURE_CLIENT_SECRET", token];
    let asked = run("plan", &others);
    assert_eq!(asked.status.code(), Some(1), "{}", both(&asked));
    assert!(trap.caught() > 0 && mark.exists(), "the trap catches nothing: {}", both(&asked));
}

/// A key that cannot be used is named by its file, never by what is in it, and is not sent anywhere.
#[test]
fn a_google_key_is_not_told() {
    let (ground, trap) = with_example("gcp.yaml");
    let canary = "Q0FOQVJZLWluLWEtcHJpdmF0ZS1rZXk";
    let key = serde_json::json!({
        "type": "service_account", "client_email": "p@acme-data.iam.gserviceaccount.com", "private_key_id": "k",
        "private_key": format!("-----BEGIN PRIVATE KEY-----\n{canary}\n-----END PRIVATE KEY-----\n"),
        "token_uri": format!("{}/token", trap.url()), "project_id": "acme-data",
    });
    ground.write("key.json", &key.to_string());
    for line in ["plan", "plan -vvv", "plan --output json", "status -vv"] {
        let output = privnet(ground.path())
            .args(line.split_whitespace())
            .env("GOOGLE_APPLICATION_CREDENTIALS", ground.at("key.json"))
            .output()
            .unwrap();
        assert_eq!(output.status.code(), Some(1), "{line}: {}", both(&output));
        let said = both(&output);
        assert!(said.contains("credentials"), "{line}: {said}");
        assert!(!said.contains(canary) && !said.contains("Q0FOQVJZ"), "{line} tells the key: {said}");
    }
    assert_eq!(trap.caught(), 0);
}
