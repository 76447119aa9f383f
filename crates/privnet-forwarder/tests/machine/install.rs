//! Installing, installing again, taking off, starting again.

use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use privnet_forwarder::{Engine, Forwarder, Machine, Settings};

use crate::databases::{Postgres, Session, psql};
use crate::lab::{FIRST, Host, Lab, NAME, map, quick};
use crate::process::{attempt, eventually};

/// Rules as other people have them: of nft, and of both kinds of iptables.
const OTHERS: &str = "set -e
nft -f - <<'END'
table inet corp {
	set admins {
		type ipv4_addr
		elements = { 10.0.0.7, 10.0.0.9 }
	}
	chain input {
		type filter hook input priority filter - 5; policy accept;
		tcp dport 22 ip saddr @admins counter accept
	}
}
table ip privnet {
	chain nearly {
		type nat hook prerouting priority dstnat + 20; policy accept;
		tcp dport 9 dnat to 10.0.0.3:9
	}
}
END
iptables-nft -A INPUT -p tcp --dport 9999 -j DROP
iptables-nft -t nat -A PREROUTING -p tcp --dport 8080 -j REDIRECT --to-ports 80
iptables-nft -N CORP && iptables-nft -A FORWARD -j CORP && iptables-nft -A CORP -s 10.1.0.0/16 -j RETURN
iptables-legacy -t mangle -A FORWARD -p tcp --dport 4444 -j MARK --set-mark 7";

/// All rules but our table's, without their packet counts.
fn rules(lab: &Lab) -> String {
    let line = "nft -s list ruleset; iptables-nft-save 2>/dev/null | grep -v ^#; iptables-legacy-save | grep -v ^# | sed 's/ \\[[0-9:]*\\]//'";
    let all = lab.sh(Host::Forwarder, line);
    let Some(start) = all.find("table ip privnet_forwarder {") else { return all };
    let end = start + all[start..].find("\n}\n").expect("the table ends") + 3;
    format!("{}{}", &all[..start], &all[end..])
}

/// Each folder and file of the machine's configuration, the files with their sums, and whether it forwards.
fn files(lab: &Lab) -> String {
    lab.sh(
        Host::Forwarder,
        "find /etc /usr/local/lib /run /var/lib -type d -printf '%M %u %p\\n' | sort
find /etc /usr/local/lib /run /var/lib \\( -type f -o -type l \\) | sort | xargs -d '\\n' ls -ld --time-style=+ | sed 's/  */ /g'
find /etc /usr/local/lib /run /var/lib -type f | sort | xargs -d '\\n' sha256sum; cat /proc/sys/net/ipv4/ip_forward",
    )
}

#[test]
fn the_rules_of_others_stay_as_they_are() {
    let Some(mut lab) = Lab::build() else { return };
    let _postgres = Postgres::start(&lab, Host::First);
    lab.sh(Host::Forwarder, OTHERS);
    let (rules_before, files_before) = (rules(&lab), files(&lab));
    assert!(rules_before.contains("10.0.0.9") && rules_before.contains("--set-xmark 0x7"), "{rules_before}");
    let settings = Settings { machine: Machine::Shared, ..quick() };
    let rendered = lab.up(&[map(5432, FIRST, 5432, Engine::Postgres)], settings);
    assert_eq!(rules(&lab), rules_before, "after the installation");
    assert_eq!(psql(&lab, 5432, "SELECT who()").as_deref(), Ok("First"));
    let (listing, installed) =
        (lab.sh(Host::Forwarder, "nft -s list table ip privnet_forwarder"), files(&lab));
    lab.install(&rendered);
    assert_eq!(rules(&lab), rules_before, "after the second installation");
    assert_eq!(lab.sh(Host::Forwarder, "nft -s list table ip privnet_forwarder"), listing, "ours, not twice");
    assert_eq!(files(&lab), installed);
    lab.stop_agent();
    let uninstall = lab.write("uninstall.sh", &rendered.uninstall_script);
    for round in 1..=2 {
        let line = format!("sh {}", uninstall.display());
        lab.sh(Host::Forwarder, &line);
        assert_eq!(rules(&lab), rules_before, "after taking it off, time {round}");
        assert_eq!(files(&lab), files_before, "after taking it off, time {round}");
    }
    assert!(lab.try_sh(Host::Forwarder, "nft list table ip privnet_forwarder").is_err());
}

#[test]
fn installing_again_drops_no_connection() {
    let Some(mut lab) = Lab::build() else { return };
    let _postgres = Postgres::start(&lab, Host::First);
    lab.dns(&format!("{{\"addresses\": [\"{FIRST}\"], \"ttl\": 1}}"));
    let rendered = lab.up(&[map(5432, NAME, 5432, Engine::Postgres)], quick());
    let mut session = Session::open(&lab, 5432);
    assert_eq!(session.ask("SELECT who()").as_deref(), Some("First"));
    let stop = AtomicBool::new(false);
    let answers = std::thread::scope(|scope| {
        let (consumer, stop) = (&lab, &stop);
        let client = scope.spawn(move || {
            let mut answers = Vec::new();
            while !stop.load(Ordering::Relaxed) {
                answers.push(psql(consumer, 5432, "SELECT who()"));
            }
            answers
        });
        for _ in 0..5 {
            lab.install(&rendered);
        }
        stop.store(true, Ordering::Relaxed);
        client.join().expect("the client")
    });
    assert!(answers.len() >= 5 && answers.iter().all(Result::is_ok), "{answers:?}");
    assert_eq!(session.ask("SELECT who()").as_deref(), Some("First"), "the established session is there");
}

#[test]
fn a_reboot_brings_it_back() {
    let Some(mut lab) = Lab::build() else { return };
    let _postgres = Postgres::start(&lab, Host::First);
    lab.dns(&format!("{{\"addresses\": [\"{FIRST}\"], \"ttl\": 1}}"));
    let maps = [map(5432, FIRST, 5432, Engine::Postgres), map(6432, NAME, 5432, Engine::Postgres)];
    lab.up(&maps, quick());
    lab.stop_agent();
    // What does not outlive a reboot: rules, connections, sysctls, /run.
    lab.sh(
        Host::Forwarder,
        "nft flush ruleset; conntrack -F 2>/dev/null; sysctl -qw net.ipv4.ip_forward=0; rm -rf /run/*",
    );
    assert!(psql(&lab, 5432, "SELECT 1").is_err(), "nothing is forwarded now");
    // systemd-sysctl, then the services.
    lab.sh(Host::Forwarder, "sysctl -qp /etc/sysctl.d/60-privnet-forwarder.conf");
    lab.start_services();
    assert_eq!(psql(&lab, 5432, "SELECT who()").as_deref(), Ok("First"), "an address is forwarded at once");
    eventually(Duration::from_secs(10), "the name is forwarded again", || {
        psql(&lab, 6432, "SELECT who()").is_ok_and(|who| who == "First")
    });
    for map in &maps {
        eventually(Duration::from_secs(10), "healthy again", || lab.health(map.health_port).0 == 200);
    }
}

#[test]
fn a_port_that_the_machine_serves_is_not_taken() {
    let Some(lab) = Lab::build() else { return };
    let rendered =
        Forwarder::new(vec![map(5432, FIRST, 5432, Engine::Postgres)], quick()).expect("valid").render();
    let before = files(&lab);
    let mut command = lab.on(Host::Forwarder);
    command.args(["/usr/bin/python3", "-m", "http.server", "5432"]).stdout(std::process::Stdio::null());
    let _server = crate::process::Running::start(command.stderr(std::process::Stdio::null()), "KILL");
    eventually(Duration::from_secs(10), "the machine's own server runs", || {
        !lab.sh(Host::Forwarder, "ss -Hltn 'sport = :5432'").is_empty()
    });
    let script = lab.write("install.sh", &rendered.install_script);
    let refused = attempt(lab.on(Host::Forwarder).arg("sh").arg(script));
    assert!(!refused.status.success());
    let said = String::from_utf8_lossy(&refused.stderr);
    assert!(said.contains("itself serves port 5432") && said.contains("listen on another port"), "{said}");
    assert_eq!(files(&lab), before, "and nothing is installed");
}

#[test]
fn cloud_init_itself_writes_the_script_and_the_script_runs() {
    let Some(lab) = Lab::build() else { return };
    let (rules_before, files_before) = (rules(&lab), files(&lab));
    let rendered =
        Forwarder::new(vec![map(5432, FIRST, 5432, Engine::Postgres)], quick()).expect("valid").render();
    let user_data = lab.write("user-data", &rendered.cloud_init);
    // cloud-init's own modules, as at the first boot: no data source is needed to run them.
    let script = "import sys, logging, yaml
from cloudinit.config import cc_write_files
config = yaml.safe_load(open(sys.argv[1]))
cc_write_files.write_files('write_files', config['write_files'], 'root:root')
for words in config['runcmd']:
    print(*words)
";
    let commands =
        lab.sh(Host::Forwarder, &format!("/usr/bin/python3 -c \"{script}\" {}", user_data.display()));
    let written = lab.sh(Host::Forwarder, "cat /var/lib/privnet-forwarder/install.sh");
    assert!(written == rendered.install_script, "cloud-init wrote something else");
    lab.sh(Host::Forwarder, &commands);
    assert!(lab.map().contains("5432 : 10.77.2.2 . 5432"));
    // What cloud-init wrote goes with the rest.
    let uninstall = lab.write("uninstall.sh", &rendered.uninstall_script);
    lab.sh(Host::Forwarder, &format!("sh {}", uninstall.display()));
    assert_eq!((rules(&lab), files(&lab)), (rules_before, files_before));
}

/// cloud-init and the network wait for `network-pre.target`, and `sysinit.target` waits for cloud-init: a service that
/// loads rules before the network must not wait for `sysinit.target`, or systemd breaks the circle by leaving one of them out.
#[test]
fn the_units_make_no_circle_with_cloud_init_and_the_network() {
    let Some(lab) = Lab::build() else { return };
    let rendered =
        Forwarder::new(vec![map(5432, FIRST, 5432, Engine::Postgres)], quick()).expect("valid").render();
    lab.install(&rendered);
    lab.sh(
        Host::Forwarder,
        "rm -f /etc/cloud/cloud-init.disabled
systemctl enable -q nftables systemd-networkd systemd-networkd-wait-online 2>/dev/null
systemctl is-enabled nftables systemd-networkd cloud-init privnet-forwarder-rules privnet-forwarder",
    );
    let circles =
        "systemd-analyze verify --man=no multi-user.target cloud-init.target 2>&1 | grep Found || true";
    assert_eq!(lab.sh(Host::Forwarder, circles), "");
    // The control: with systemd's default dependencies there is one.
    lab.sh(
        Host::Forwarder,
        "sed -i /^DefaultDependencies/d /etc/systemd/system/privnet-forwarder-rules.service",
    );
    let found = lab.sh(Host::Forwarder, circles);
    assert!(found.contains("ordering cycle") && found.contains("privnet-forwarder-rules.service"), "{found}");
}
