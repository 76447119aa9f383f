//! What is rendered, looked at with the tools of those who will read it: Python, cloud-init, systemd, the shell.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    reason = "a test ends where something is not as it should be"
)]

use std::io::Write as _;
use std::path::Path;
use std::process::{Command, Output};

use privnet_forwarder::{
    CloudLimit, Destination, Engine, Forwarder, Machine, PortMap, RenderError, Rendered, Resolver, Settings,
    health_ports,
};

const AGENT: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/agent/privnet_forwarder.py");
const ENGINES: [Engine; 5] =
    [Engine::Postgres, Engine::Mysql, Engine::Sqlserver, Engine::Oracle, Engine::Other];

/// Maps of every engine, by turns to addresses and to names of a length that is common on RDS.
fn maps(count: u16) -> Vec<PortMap> {
    let listens: Vec<u16> = (0..count).map(|index| 5000 + index).collect();
    let health = health_ports(&listens);
    let name = |index| format!("orders-{index}.cluster-cabcdefghijk.us-east-1.rds.amazonaws.com");
    let one = |index: u16| PortMap {
        listen: 5000 + index,
        destination: if index.is_multiple_of(2) {
            Destination::Name(name(index))
        } else {
            Destination::Address("172.16.200.100".parse().unwrap())
        },
        port: 5432,
        engine: ENGINES[usize::from(index % 5)],
        health_port: health[usize::from(index)],
    };
    (0..count).map(one).collect()
}

fn render(count: u16, settings: Settings) -> Rendered {
    Forwarder::new(maps(count), settings).expect("valid").render()
}

/// Every setting away from its default.
fn unusual() -> Settings {
    Settings {
        resolver: Resolver::Servers(vec!["10.0.0.2".parse().unwrap(), "10.0.0.3".parse().unwrap()]),
        machine: Machine::Shared,
        probe_sources: vec!["35.191.0.0/16".parse().unwrap(), "130.211.0.0/22".parse().unwrap()],
        take_ssh_port: true,
        ..Settings::default()
    }
}

/// Runs a program that must be here, or says loudly that its part is unproven where skipping is allowed.
fn run(command: &mut Command) -> Option<Output> {
    match command.output() {
        Ok(output) => Some(output),
        Err(error) => {
            let text = format!("{command:?}: {error}: run integration-tests/forwarder/setup.sh");
            assert!(std::env::var("PRIVNET_SKIP_NETNS").is_ok_and(|value| value == "1"), "{text}");
            let _ = writeln!(std::io::stderr(), "\n*** SKIPPED, NOTHING PROVEN: {text} ***");
            None
        }
    }
}

fn succeeds(command: &mut Command) -> String {
    let Some(output) = run(command) else { return String::new() };
    let text =
        format!("{}{}", String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
    assert!(output.status.success(), "{command:?}:\n{text}");
    text
}

#[test]
fn the_agents_own_tests_pass() {
    let mut interpreters = vec!["python3"];
    // Development machines put another Python first; machines of the clouds have the distribution's.
    if Path::new("/usr/bin/python3").exists() {
        interpreters.push("/usr/bin/python3");
    }
    for python in interpreters {
        let tests = concat!(env!("CARGO_MANIFEST_DIR"), "/agent/test_privnet_forwarder.py");
        let said = succeeds(Command::new(python).args(["-B", "-W", "error::SyntaxWarning", tests]));
        assert!(said.contains("OK"), "{python}: {said}");
    }
}

/// Ubuntu 22.04 has Python 3.10, Debian 12 has 3.11, Debian 11 had 3.9; modules are the standard library's.
#[test]
fn the_agent_needs_an_old_python_and_nothing_else() {
    let script = "import ast, sys
tree = ast.parse(open(sys.argv[1]).read(), feature_version=(3, 9))
names = {alias.name for node in ast.walk(tree) if isinstance(node, ast.Import) for alias in node.names}
assert not any(isinstance(node, ast.ImportFrom) for node in ast.walk(tree))
assert names and all(name.split('.')[0] in sys.stdlib_module_names for name in names), names
";
    succeeds(Command::new("python3").args(["-c", script, AGENT]));
    assert_eq!(render(1, Settings::default()).agent, std::fs::read_to_string(AGENT).unwrap());
}

/// An NLB has at most 50 listeners (ELB quotas); the other clouds' services have fewer ports.
#[test]
fn user_data_fits_every_cloud() {
    for settings in [Settings::default(), unusual()] {
        let rendered = render(50, settings);
        for cloud in [CloudLimit::Aws, CloudLimit::Azure, CloudLimit::Gcp] {
            let text = rendered.user_data(cloud).expect("fits");
            assert!(text.len() <= cloud.bytes() && text.starts_with("#cloud-config\n"));
        }
    }
    let Err(RenderError::TooLarge { cloud: "AWS", size, limit: 16_384 }) =
        render(3000, Settings::default()).user_data(CloudLimit::Aws).map(str::len)
    else {
        panic!("3000 ports do not fit")
    };
    assert!(size > 16_384);
}

#[test]
fn cloud_init_accepts_the_user_data() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("user-data");
    let rendered = render(4, unusual());
    std::fs::write(&path, &rendered.cloud_init).unwrap();
    let said = succeeds(Command::new("cloud-init").args(["schema", "--config-file"]).arg(&path));
    assert!(said.is_empty() || said.contains("Valid"), "{said}");
    // The control: the same tool does find fault.
    std::fs::write(&path, rendered.cloud_init.replace("encoding: gz+b64", "encoding: rot13")).unwrap();
    if let Some(output) = run(Command::new("cloud-init").args(["schema", "--config-file"]).arg(&path)) {
        assert!(!output.status.success(), "a wrong encoding passes");
    }
}

#[test]
fn the_user_data_holds_the_install_script_whole() {
    let rendered = render(4, unusual());
    let content = rendered.cloud_init.lines().find_map(|line| line.trim().strip_prefix("content: ")).unwrap();
    let script = "import base64, gzip, sys
sys.stdout.write(gzip.decompress(base64.b64decode(sys.argv[1], validate=True)).decode())";
    let unpacked = succeeds(Command::new("python3").args(["-c", script, content]));
    assert!(unpacked == rendered.install_script);
    for part in [&rendered.ruleset, &rendered.agent, &rendered.agent_config, &rendered.sysctl] {
        assert!(rendered.install_script.contains(part.as_str()));
    }
    assert!(rendered.units.iter().all(|unit| rendered.install_script.contains(&unit.text)));
}

#[test]
fn systemd_accepts_the_units() {
    let folder = tempfile::tempdir().unwrap();
    let rendered = render(1, Settings::default());
    let write = |name: &str, text: &str| {
        let path = folder.path().join(name);
        std::fs::write(&path, text).unwrap();
        path
    };
    let units: Vec<_> = rendered.units.iter().map(|unit| write(unit.name, &unit.text)).collect();
    let Some(output) = run(Command::new("systemd-analyze").args(["verify", "--man=no"]).args(&units)) else {
        return;
    };
    let said = String::from_utf8_lossy(&output.stderr);
    let ours: Vec<&str> = said.lines().filter(|line| line.contains("privnet-forwarder")).collect();
    assert!(ours.is_empty(), "{ours:?}");
    // The control: the same tool does find fault.
    let wrong = write("privnet-forwarder.service", &rendered.units[1].text.replace("Restart=", "Restrat="));
    let output = run(Command::new("systemd-analyze").args(["verify", "--man=no"]).arg(wrong)).unwrap();
    assert!(String::from_utf8_lossy(&output.stderr).contains("Restrat"), "a wrong key passes");
}

#[test]
fn the_shell_can_read_the_scripts() {
    let folder = tempfile::tempdir().unwrap();
    for settings in [Settings::default(), unusual()] {
        let rendered = render(3, settings);
        for script in [&rendered.install_script, &rendered.uninstall_script] {
            let path = folder.path().join("script");
            std::fs::write(&path, script).unwrap();
            succeeds(Command::new("sh").arg("-n").arg(&path));
        }
        assert_eq!(
            rendered.install_script.matches("\nPRIVNET_END\n").count(),
            6,
            "six files, each ended once"
        );
    }
}

/// Nothing is installed at boot, so an image that lacks something says what, on the console, before anything is changed.
#[test]
fn an_image_that_lacks_something_says_so_and_nothing_is_done() {
    use std::os::unix::fs::PermissionsExt as _;
    let folder = tempfile::tempdir().unwrap();
    let script = folder.path().join("install.sh");
    std::fs::write(&script, render(1, Settings::default()).install_script).unwrap();
    let tools = ["nft", "python3", "ss", "sysctl", "systemctl"];
    for missing in tools {
        // Nothing else is to be found there: a script that went on could neither write nor load anything.
        let bin = folder.path().join(format!("without-{missing}"));
        std::fs::create_dir(&bin).unwrap();
        let there = tools.into_iter().filter(|tool| *tool != missing).map(|tool| (tool, "exit 3"));
        for (name, does) in there.chain([("id", "echo 0")]) {
            std::fs::write(bin.join(name), format!("#!/bin/sh\n{does}\n")).unwrap();
            std::fs::set_permissions(bin.join(name), std::fs::Permissions::from_mode(0o755)).unwrap();
        }
        let output = Command::new("/bin/sh").arg(&script).env("PATH", &bin).output().unwrap();
        let said = String::from_utf8_lossy(&output.stderr);
        assert_eq!(output.status.code(), Some(1), "{missing}: {said}");
        let expected =
            format!("privnet-forwarder: this image has no {missing}, and nothing is installed at boot");
        assert!(said.starts_with(&expected), "{said}");
    }
}

#[test]
fn the_fingerprint_is_of_the_meaning() {
    let of =
        |maps: Vec<PortMap>, settings| Forwarder::new(maps, settings).expect("valid").render().fingerprint;
    let base = of(maps(2), Settings::default());
    assert_eq!(base.len(), 16);
    // Pinned: a release that changes it replaces everybody's forwarder machines, and raises `RENDERING` on purpose.
    assert_eq!(base, "3e43c7c4e18713ab");
    let mut reversed = maps(2);
    reversed.reverse();
    assert_eq!(of(reversed, Settings::default()), base);
    let mut others = vec![of(maps(3), Settings::default()), of(maps(2), unusual())];
    for change in 0..3 {
        let mut changed = maps(2);
        match change {
            0 => changed[0].port = 5433,
            1 => changed[0].engine = Engine::Mysql,
            _ => changed[0].health_port = 29_999,
        }
        others.push(of(changed, Settings::default()));
    }
    let drain = std::time::Duration::from_secs(60);
    others.push(of(maps(2), Settings { drain, ..Settings::default() }));
    others.push(of(maps(2), Settings { take_ssh_port: true, ..Settings::default() }));
    others.push(of(maps(2), Settings { machine: Machine::Shared, ..Settings::default() }));
    others.push(base);
    others.sort();
    others.dedup();
    assert_eq!(others.len(), 9, "each difference has a fingerprint of its own");
}

/// The mistakes of the scripts that this replaces.
#[test]
fn nothing_of_others_is_flushed_and_nothing_is_downloaded() {
    for settings in [Settings::default(), unusual()] {
        let rendered = render(5, settings);
        let all = format!("{}{}", rendered.install_script, rendered.uninstall_script);
        for word in [
            "flush ruleset",
            "flush table",
            "flush chain",
            "iptables",
            "apt-get",
            "curl",
            "wget",
            "pip ",
            "$(hostname",
        ] {
            assert!(!all.contains(word), "{word}");
        }
        let tables = rendered.ruleset.lines().filter(|line| line.contains("table "));
        assert!(
            tables
                .filter(|line| !line.contains("flowtable"))
                .all(|line| line.contains("ip privnet_forwarder"))
        );
        assert!(
            !rendered.ruleset.lines().any(|line| line.trim() == "masquerade"),
            "never without a condition"
        );
    }
}
