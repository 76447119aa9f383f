//! The systemd unit of the examples, as systemd itself reads it.

use std::path::Path;
use std::process::Command;

use privnet_integration_tests::command::binary;

/// Below 2.0 `systemd-analyze security` says OK; what is left over is the network, which a watch is about.
const MOST_EXPOSED: &str = "20";

#[test]
fn the_unit_is_right_and_hardened() {
    if let Err(error) = Command::new("systemd-analyze").arg("--version").output() {
        let text = format!("systemd-analyze: {error}: run integration-tests/forwarder/setup.sh");
        assert!(std::env::var("PRIVNET_SKIP_NETNS").is_ok_and(|value| value == "1"), "{text}");
        privnet_integration_tests::tell!("\n*** SKIPPED, NOTHING PROVEN: {text} ***");
        return;
    }
    let unit = Path::new(env!("CARGO_MANIFEST_DIR")).join("../examples/systemd/privnet-watch.service");
    let text = std::fs::read_to_string(&unit).unwrap();
    assert!(text.contains("ExecStart=/usr/local/bin/privnet "), "{text}");
    let folder = tempfile::tempdir().unwrap();
    let copy = folder.path().join("privnet-watch.service");
    let here = binary().display().to_string();
    // With what it proposes in comments, and as it stands.
    let proposed =
        text.replace("\n#LoadCredential=", "\nLoadCredential=").replace("\n#Environment=", "\nEnvironment=");
    assert_eq!(proposed.len(), text.len() - 2, "two lines are proposed");
    for unit in [&proposed, &text] {
        std::fs::write(&copy, unit.replace("/usr/local/bin/privnet", &here)).unwrap();
        let verified =
            Command::new("systemd-analyze").args(["verify", "--man=no"]).arg(&copy).output().unwrap();
        let said = String::from_utf8_lossy(&verified.stderr).into_owned();
        let about_it: Vec<_> = said.lines().filter(|line| line.contains("privnet-watch.service")).collect();
        assert!(verified.status.success() && about_it.is_empty(), "{said}");
    }
    let hardened = Command::new("systemd-analyze")
        .args(["security", "--offline=true", "--threshold", MOST_EXPOSED])
        .arg(&copy)
        .output()
        .unwrap();
    let (table, said) =
        (String::from_utf8_lossy(&hardened.stdout), String::from_utf8_lossy(&hardened.stderr));
    assert!(hardened.status.success(), "{table}{said}");

    // The command line that it starts is one that the command takes.
    let line = text.lines().find_map(|line| line.strip_prefix("ExecStart=/usr/local/bin/privnet ")).unwrap();
    let line = line.replace("watch ", "watch --help ");
    let helped = Command::new(binary()).args(line.split_whitespace()).output().unwrap();
    assert!(helped.status.success(), "{}", String::from_utf8_lossy(&helped.stderr));
}
