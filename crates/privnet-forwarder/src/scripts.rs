//! The scripts that install a forwarder on a machine and take it off again.

use std::fmt::Write as _;

use crate::forwarder::Forwarder;
use crate::render::Unit;
use crate::ruleset::TABLE;

/// Where the agent lies.
pub(crate) const AGENT_PATH: &str = "/usr/local/lib/privnet-forwarder/agent.py";
/// The folder of the rules and the agent's configuration.
pub(crate) const CONFIG_DIR: &str = "/etc/privnet-forwarder";
/// Where cloud-init puts the install script.
pub(crate) const USER_DATA_DIR: &str = "/var/lib/privnet-forwarder";
/// The agent's folder under `/run`.
pub(crate) const STATE_DIR_NAME: &str = "privnet-forwarder";
const SYSCTL_PATH: &str = "/etc/sysctl.d/60-privnet-forwarder.conf";
const UNIT_DIR: &str = "/etc/systemd/system";
/// Ends each file in the script; no rendered file holds such a line.
const END: &str = "PRIVNET_END";

/// What the install script puts on the machine.
pub(crate) struct Files<'a> {
    pub(crate) ruleset: &'a str,
    pub(crate) sysctl: &'a str,
    pub(crate) units: &'a [Unit],
    pub(crate) agent: &'a str,
    pub(crate) agent_config: &'a str,
    pub(crate) fingerprint: &'a str,
}

impl Files<'_> {
    /// Each file with its place, in the order in which they are written.
    fn placed(&self) -> Vec<(String, &str)> {
        let mut placed = vec![
            (format!("{CONFIG_DIR}/rules.nft"), self.ruleset),
            (format!("{CONFIG_DIR}/config.json"), self.agent_config),
            (AGENT_PATH.to_owned(), self.agent),
            (SYSCTL_PATH.to_owned(), self.sysctl),
        ];
        placed
            .extend(self.units.iter().map(|unit| (format!("{UNIT_DIR}/{}", unit.name), unit.text.as_str())));
        placed
    }
}

/// Puts the files in place, loads the rules, starts the services. It can be run again at any time: what is the same stays, the table is
/// replaced in one transaction, and names keep the addresses that they have.
pub(crate) fn install(forwarder: &Forwarder, files: &Files<'_>) -> String {
    let listens: Vec<String> = forwarder
        .ports
        .iter()
        .filter(|map| !(map.listen == 22 && forwarder.settings.take_ssh_port))
        .map(|map| map.listen.to_string())
        .collect();
    let units = unit_names(files.units);
    let mut script = format!(
        r#"#!/bin/sh
# privnet forwarder {fingerprint}. Can be run again.
set -eu
umask 022
die() {{ echo "privnet-forwarder: $*" >&2; exit 1; }}
[ "$(id -u)" = 0 ] || die "run this as root"
for tool in nft python3 ss sysctl systemctl; do
command -v $tool >/dev/null || die "this image has no $tool, and nothing is installed at boot: choose an image that holds it"
done
python3 -c 'import sys; sys.exit(sys.version_info < (3, 9))' || die "python3 is older than 3.9: choose a newer image"
for port in {listens}; do
if ss -Hltn "sport = :$port" | awk '{{print $4}}' | grep -Evq '^(127\.|\[::1\])'; then
die "this machine itself serves port $port: stop that service, or listen on another port"
fi
done
put() {{
mkdir -p "${{1%/*}}"
cat >"$1.new"
mv "$1.new" "$1"
}}
before={CONFIG_DIR}/ip_forward.before
[ -e $before ] || cat /proc/sys/net/ipv4/ip_forward | put $before
"#,
        fingerprint = files.fingerprint,
        listens = listens.join(" "),
    );
    for (path, text) in files.placed() {
        let _ = writeln!(script, "{}{text}{END}", beginning_of(&path));
    }
    let _ = write!(
        script,
        "sysctl -q -p {SYSCTL_PATH}
systemctl enable -q {units}
if [ -d /run/systemd/system ]; then
systemctl daemon-reload
systemctl restart {units}
else
python3 {AGENT_PATH} load
echo 'privnet-forwarder: systemd is not running here: the rules are loaded, the agent starts at boot'
fi
"
    );
    script
}

/// What the script has before a file's text.
fn beginning_of(path: &str) -> String {
    format!("put {path} <<'{END}'\n")
}

/// The agent's configuration in an install script.
pub(crate) fn agent_config_of(script: &str) -> Option<&str> {
    let (_, from) = script.split_once(&beginning_of(&format!("{CONFIG_DIR}/config.json")))?;
    from.split_once(&format!("\n{END}\n")).map(|(text, _)| text)
}

/// Takes off what [`install`] put there, and nothing else. Connections that are established go on until they end.
pub(crate) fn uninstall(units: &[Unit]) -> String {
    let names = unit_names(units);
    let paths: Vec<String> = units.iter().map(|unit| format!("{UNIT_DIR}/{}", unit.name)).collect();
    format!(
        r#"#!/bin/sh
# Takes a privnet forwarder off this machine. Can be run again.
set -eu
[ "$(id -u)" = 0 ] || {{ echo "privnet-forwarder: run this as root" >&2; exit 1; }}
if [ -e {UNIT_DIR}/privnet-forwarder.service ]; then
[ ! -d /run/systemd/system ] || systemctl stop {names}
systemctl disable -q {names}
fi
if nft list table {TABLE} >/dev/null 2>&1; then nft delete table {TABLE}; fi
if [ -e {CONFIG_DIR}/ip_forward.before ]; then
sysctl -q -w net.ipv4.ip_forward="$(cat {CONFIG_DIR}/ip_forward.before)"
fi
rm -f {paths} {SYSCTL_PATH}
rm -rf {CONFIG_DIR} {agent_dir} {USER_DATA_DIR} /run/{STATE_DIR_NAME}
[ ! -d /run/systemd/system ] || systemctl daemon-reload
"#,
        paths = paths.join(" "),
        agent_dir = AGENT_PATH.trim_end_matches("/agent.py"),
    )
}

fn unit_names(units: &[Unit]) -> String {
    units.iter().map(|unit| unit.name).collect::<Vec<_>>().join(" ")
}
