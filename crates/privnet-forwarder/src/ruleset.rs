//! The nftables ruleset: a table of our own, replaced whole in one transaction.

use std::fmt::Write as _;
use std::net::IpAddr;

use crate::forwarder::{Destination, Forwarder, Machine};

/// The table, with its family.
pub const TABLE: &str = "ip privnet_forwarder";

/// The one bit of the connection mark by which a forwarded connection is known. It is added to the mark and nothing else is changed, so that
/// others can go on using the rest.
pub const CONNECTION_MARK: u32 = 0x0800_0000;

/// The whole file. Lines that begin with `#fast` are for kernels with flow tables: the agent uncomments them, and loads the file as it stands
/// where the kernel refuses them.
///
/// Only addresses are in the map here; names are added by the agent once they are resolved. The `ports` set and the `targets` map always hold
/// the same ports: a connection is marked and counted exactly when it is translated.
pub(crate) fn render(forwarder: &Forwarder) -> String {
    let maps = forwarder.ports.iter().filter_map(|map| match &map.destination {
        Destination::Address(IpAddr::V4(address)) => Some((map.listen, format!("{address} . {}", map.port))),
        Destination::Address(IpAddr::V6(_)) | Destination::Name(_) => None,
    });
    let maps: Vec<(u16, String)> = maps.collect();
    let targets = elements(maps.iter().map(|(listen, to)| format!("{listen} : {to}")));
    let ports = elements(maps.iter().map(|(listen, _)| listen.to_string()));
    let health = elements(forwarder.ports.iter().map(|map| map.health_port.to_string()));
    let (own, policy, redirect) = match forwarder.settings.machine {
        // A pass-through load balancer delivers packets for its own address: nothing here may ask for ours.
        Machine::Dedicated => ("", "drop", "\n\t\tfib daddr type != local tcp dport @health redirect"),
        Machine::Shared => ("\n\t\tfib daddr type != local return", "accept", ""),
    };
    let mark = format!("{CONNECTION_MARK:#x}");
    format!(
        "table {TABLE}
delete table {TABLE}
table {TABLE} {{
	map targets {{
		type inet_service : ipv4_addr . inet_service{targets}
	}}
	set ports {{
		type inet_service{ports}
	}}
	set health {{
		type inet_service{health}
	}}
{probers}	counter came {{ }}
	counter left {{ }}
#fast	flowtable fast {{
#fast		hook ingress priority 0
#fast		devices = {{ DEVICES }}
#fast	}}
	chain prerouting {{
		type nat hook prerouting priority dstnat; policy accept;
		iifname \"lo\" return{own}{redirect}
		tcp dport @ports ct mark set ct mark or {mark} counter name came dnat ip to tcp dport map @targets
	}}
	chain postrouting {{
		type nat hook postrouting priority srcnat; policy accept;
		ct status dnat ct mark and {mark} == {mark} counter name left masquerade
	}}
	chain forward {{
		type filter hook forward priority filter; policy {policy};
		ct mark and {mark} != {mark} return
		tcp flags syn tcp option maxseg size set rt mtu
#fast		ct state established ct status dnat flow add @fast
		ct state established,related accept
		ct state new ct status dnat accept
	}}
{input}}}
",
        probers = probers(forwarder),
        input = input(forwarder),
    )
}

/// Who may ask the health ports, where that is limited.
fn probers(forwarder: &Forwarder) -> String {
    if forwarder.settings.probe_sources.is_empty() {
        return String::new();
    }
    let sources = elements(forwarder.settings.probe_sources.iter().map(ToString::to_string));
    format!("\tset probers {{\n\t\ttype ipv4_addr\n\t\tflags interval{sources}\n\t}}\n")
}

fn input(forwarder: &Forwarder) -> String {
    if forwarder.settings.probe_sources.is_empty() {
        return String::new();
    }
    "\tchain input {
		type filter hook input priority filter; policy accept;
		iifname != \"lo\" tcp dport @health ip saddr != @probers drop
	}
"
    .into()
}

/// The `elements` line of a set or map, with its newline before it; nothing for an empty one, which nft would refuse.
fn elements(items: impl Iterator<Item = String>) -> String {
    let mut line = String::new();
    for (index, item) in items.enumerate() {
        let before = if index == 0 { "\n\t\telements = { " } else { ", " };
        let _ = write!(line, "{before}{item}");
    }
    if !line.is_empty() {
        line.push_str(" }");
    }
    line
}
