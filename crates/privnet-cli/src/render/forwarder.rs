//! What forwarder machines run.

use std::fmt::Write as _;

use privnet::forwarder::ServiceForwarder;

use super::{Paint, Style};

/// What the file alone does not tell: a load balancer goes on asking where it asks.
const HEALTH: &str =
    "#   a port that is served already keeps the health port that it has, which the file alone does not tell";

/// The parts, each under a heading with its place on the machine.
pub(crate) fn forwarder_text(forwarder: &ServiceForwarder, paint: Paint) -> String {
    let rendered = &forwarder.rendered;
    let title = format!("# {} ({})", forwarder.service, forwarder.cloud);
    let mut out = format!(
        "{} fingerprint {}\n",
        paint.on(Style::Bold, title),
        paint.on(Style::Dim, &rendered.fingerprint)
    );
    for map in &forwarder.maps {
        let (listen, to, port, health) = (map.listen, &map.to, map.port, map.health_port);
        let _ = writeln!(out, "#   {listen} → {to}:{port} {}, health on {health}", map.engine);
    }
    out.push_str(HEALTH);
    out.push('\n');
    let mut part = |place: &str, text: &str| {
        let heading = paint.on(Style::Bold, format!("## {place}"));
        let end = if text.ends_with('\n') { "" } else { "\n" };
        let _ = write!(out, "\n{heading}\n{text}{end}");
    };
    part("/etc/privnet-forwarder/rules.nft", &rendered.ruleset);
    part("/etc/sysctl.d/60-privnet-forwarder.conf", &rendered.sysctl);
    for unit in &rendered.units {
        part(&format!("/etc/systemd/system/{}", unit.name), &unit.text);
    }
    part("/etc/privnet-forwarder/config.json", &rendered.agent_config);
    part("/usr/local/lib/privnet-forwarder/agent.py", &rendered.agent);
    part("install script", &rendered.install_script);
    part("uninstall script", &rendered.uninstall_script);
    part("cloud-init", &rendered.cloud_init);
    out.push('\n');
    out
}
