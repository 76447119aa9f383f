//! The systemd units and the sysctl file.

use crate::render::Unit;
use crate::scripts::{AGENT_PATH, STATE_DIR_NAME};

/// Forwarding is switched on at boot by `systemd-sysctl`.
pub(crate) const SYSCTL: &str = "net.ipv4.ip_forward = 1\n";

/// Loads the rules at boot. It must come after what flushes rulesets (Debian's `nftables.service` does) and before the network is up; so it cannot
/// have the default dependencies: cloud-init waits for the network before `sysinit.target`, and the two would wait for each other.
fn rules() -> Unit {
    let text = format!(
        "[Unit]
Description=privnet forwarder: rules
DefaultDependencies=no
After=local-fs.target systemd-sysctl.service nftables.service ufw.service
Wants=network-pre.target
Before=network-pre.target shutdown.target
Conflicts=shutdown.target

[Service]
Type=oneshot
RemainAfterExit=yes
ExecStart=/usr/bin/python3 {AGENT_PATH} load
RuntimeDirectory={STATE_DIR_NAME}
RuntimeDirectoryPreserve=yes

[Install]
WantedBy=multi-user.target
"
    );
    Unit { name: "privnet-forwarder-rules.service", text }
}

/// The agent. The watchdog ends it when it is stuck; it can administer the network and bind low ports, and nothing else.
fn agent() -> Unit {
    let text = format!(
        "[Unit]
Description=privnet forwarder: names and health
Wants=network-online.target privnet-forwarder-rules.service
After=network-online.target privnet-forwarder-rules.service
StartLimitIntervalSec=0

[Service]
Type=notify
ExecStart=/usr/bin/python3 {AGENT_PATH} run
Restart=always
RestartSec=2
WatchdogSec=90
RuntimeDirectory={STATE_DIR_NAME}
RuntimeDirectoryPreserve=yes
CapabilityBoundingSet=CAP_NET_ADMIN CAP_NET_BIND_SERVICE
NoNewPrivileges=yes
PrivateTmp=yes
ProtectHome=yes
ProtectSystem=strict
RestrictAddressFamilies=AF_INET AF_INET6 AF_NETLINK AF_UNIX

[Install]
WantedBy=multi-user.target
"
    );
    Unit { name: "privnet-forwarder.service", text }
}

/// Both, in the order in which they start.
pub(crate) fn render() -> Vec<Unit> {
    vec![rules(), agent()]
}
