//! A managed identity as Azure's machines have it: the token comes from the fixed metadata address, in a network of this test's own.

use std::io::{BufRead as _, BufReader};
use std::path::Path;
use std::process::{Child, Command, Output, Stdio};

use privnet_integration_tests::command::{binary, privnet};
use privnet_integration_tests::tell;
use serde_json::Value;

use super::{both, orders};

/// Where every machine of Azure's asks who it is
/// (<https://learn.microsoft.com/azure/virtual-machines/instance-metadata-service>).
const ADDRESS: &str = "169.254.169.254";
const CLIENT: &str = "33333333-aaaa-bbbb-cccc-444444444444";

/// What the machine does: its only interface has the address, whose port 80 is the local Azure.
const MACHINE: &str = "set -e
ip link set lo up
ip addr add $ADDRESS/32 dev lo
nft add table ip metadata
nft add chain ip metadata out '{ type nat hook output priority -100 ; }'
nft add rule ip metadata out ip daddr $ADDRESS tcp dport 80 dnat to 127.0.0.1:4567
exec \"$PRIVNET\" sandbox serve --dir served --port 4566 --speed 300 --record record.jsonl";

/// A machine with a network of its own, gone with this value.
struct Machine {
    serving: Child,
    variables: Vec<(String, String)>,
    folder: tempfile::TempDir,
}

impl Machine {
    /// Starts it, or says that this computer cannot: then the test fails unless `PRIVNET_SKIP_NETNS=1`.
    fn start() -> Option<Self> {
        let able = Command::new("unshare").args(["--net", "nft", "list", "tables"]).output();
        if !able.as_ref().is_ok_and(|output| output.status.success()) {
            assert!(
                std::env::var("PRIVNET_SKIP_NETNS").is_ok_and(|value| value == "1"),
                "no network of its own: {able:?}\nPRIVNET_SKIP_NETNS=1 skips the tests with real packets"
            );
            tell!("*** SKIPPED, NOTHING PROVEN: a managed identity at {ADDRESS}: no network namespaces ***");
            return None;
        }
        let folder = tempfile::tempdir().unwrap();
        std::fs::write(folder.path().join("azure.yaml"), orders()).unwrap();
        let serving = Command::new("unshare")
            .args(["--net", "sh", "-c", MACHINE])
            .current_dir(folder.path())
            .env("ADDRESS", ADDRESS)
            .env("PRIVNET", binary())
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let mut machine = Self { serving, variables: Vec::new(), folder };
        let said = machine.serving.stdout.take().unwrap();
        for line in BufReader::new(said).lines().map_while(Result::ok) {
            if let Some((name, value)) = line.strip_prefix("export ").and_then(|line| line.split_once('=')) {
                machine.variables.push((name.to_owned(), value.to_owned()));
            }
            // The last that it says.
            if line.starts_with("# DNS") {
                return Some(machine);
            }
        }
        panic!("the machine did not start");
    }

    fn inside(&self, program: &Path) -> Command {
        let mut command = Command::new("nsenter");
        command.args(["--target", &self.serving.id().to_string(), "--net", "--"]).arg(program);
        command
    }

    /// The command on the machine: what it knows of Azure is where it is, not who it is itself.
    fn run(&self, line: &str, client: Option<&str>) -> Output {
        let known = |wanted: &str| {
            let found = self.variables.iter().find(|(name, _)| name == wanted);
            found.map(|(_, value)| value.clone()).unwrap()
        };
        let https = known("AZURE_AUTHORITY_HOST");
        let plain = privnet(self.folder.path());
        let mut command = self.inside(Path::new(plain.get_program()));
        command.current_dir(self.folder.path()).env_clear();
        command.envs(plain.get_envs().filter_map(|(name, value)| Some((name, value?))));
        command.env("PRIVNET_AZURE_RESOURCE_MANAGER_URL", &https).env("AZURE_AUTHORITY_HOST", &https);
        command.env("SSL_CERT_FILE", known("SSL_CERT_FILE"));
        command.envs(client.map(|client| ("AZURE_CLIENT_ID", client)));
        command.args(line.split_whitespace()).output().unwrap()
    }

    /// What was asked at the metadata address: path and query of each request for a token.
    fn asked(&self) -> Vec<String> {
        let record = std::fs::read_to_string(self.folder.path().join("record.jsonl")).unwrap();
        let exchanges = record.lines().map(|line| serde_json::from_str::<Value>(line).unwrap());
        let paths = exchanges.map(|exchange| exchange["path"].as_str().unwrap().to_owned());
        paths.filter(|path| path.starts_with("/metadata/identity/")).collect()
    }
}

impl Drop for Machine {
    fn drop(&mut self) {
        let _ = self.serving.kill();
        let _ = self.serving.wait();
    }
}

#[test]
fn a_machine_of_azures_needs_no_other_credentials() {
    let Some(machine) = Machine::start() else { return };
    let applied = machine.run("apply --yes", None);
    assert_eq!(applied.status.code(), Some(0), "{}", both(&applied));
    let asked = machine.asked();
    assert_eq!(asked.len(), 1, "one token does for a run: {asked:?}");
    assert!(asked[0].contains("api-version=") && asked[0].contains("resource=https"), "{asked:?}");
    assert!(!asked[0].contains("client_id"), "the machine's own identity: {asked:?}");

    let planned = machine.run("plan --detailed-exitcode", Some(CLIENT));
    assert_eq!(planned.status.code(), Some(0), "{}", both(&planned));
    let asked = machine.asked();
    assert_eq!(asked.len(), 2, "{asked:?}");
    assert!(asked[1].contains(&format!("client_id={CLIENT}")), "an identity that it was given: {asked:?}");

    // Elsewhere nobody answers there, and there is no other way in.
    let gone = machine.inside(Path::new("ip")).args(["addr", "del", ADDRESS, "dev", "lo"]).output().unwrap();
    assert!(gone.status.success(), "{}", both(&gone));
    let refused = machine.run("plan", None);
    assert_eq!(refused.status.code(), Some(1), "{}", both(&refused));
    assert!(both(&refused).contains("managed identity: "), "{}", both(&refused));
    assert_eq!(machine.asked().len(), 2);
}
