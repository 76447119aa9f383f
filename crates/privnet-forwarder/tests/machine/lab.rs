//! Four machines: network namespaces, joined by virtual cables.
//!
//! ```text
//! consumer 10.77.1.2 ── 10.77.1.1 forwarder 10.77.2.1 ── 10.77.2.2 first database host (also the DNS server)
//!                                           10.77.3.1 ── 10.77.3.2 second database host
//! ```
//!
//! The forwarder has folders of its own over `/etc`, `/run`, `/usr/local/lib` and `/var/lib`, so that the rendered scripts run as they are and
//! this machine keeps its files.

use std::io::{BufRead as _, BufReader, Write as _};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use privnet_forwarder::{
    Destination, Engine, Forwarder, PortMap, Rendered, Resolver, Settings, health_ports,
};
use tempfile::TempDir;

use crate::process::{Running, attempt, eventually, output};

pub(crate) const FORWARDER: &str = "10.77.1.1";
pub(crate) const FIRST: &str = "10.77.2.2";
pub(crate) const SECOND: &str = "10.77.3.2";
/// The name that the lab's DNS server knows.
pub(crate) const NAME: &str = "db.corp.example";

/// A machine of the lab.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Host {
    Consumer,
    Forwarder,
    First,
    Second,
}

const HOSTS: [Host; 4] = [Host::Consumer, Host::Forwarder, Host::First, Host::Second];

/// The machines. They are gone when this is dropped.
pub(crate) struct Lab {
    prefix: String,
    folder: TempDir,
    // Ends before the namespaces do.
    dns: Option<Running>,
    agent: Option<Running>,
    holder: Option<Running>,
    holder_pid: String,
}

impl Lab {
    /// Builds the machines, or says that this one cannot hold them: then the test fails unless `PRIVNET_SKIP_NETNS=1`.
    pub(crate) fn build() -> Option<Self> {
        if let Err(why) = able() {
            assert!(
                std::env::var("PRIVNET_SKIP_NETNS").is_ok_and(|value| value == "1"),
                "{why}\nPRIVNET_SKIP_NETNS=1 skips the tests with real packets"
            );
            // Past the capture of the test harness: a test that proves nothing must be seen.
            let name = std::thread::current().name().unwrap_or("a test").to_owned();
            let _ = writeln!(std::io::stderr(), "\n*** SKIPPED, NOTHING PROVEN: {name}: {why} ***");
            return None;
        }
        static COUNT: AtomicU32 = AtomicU32::new(0);
        remove_leftovers();
        let prefix = format!("pnf-{}-{}-", std::process::id(), COUNT.fetch_add(1, Ordering::Relaxed));
        let folder = tempfile::Builder::new().prefix("pnf-").tempdir().expect("a folder");
        output(Command::new("chmod").arg("755").arg(folder.path()));
        let holder_pid = String::new();
        let mut lab = Self { prefix, folder, dns: None, agent: None, holder: None, holder_pid };
        lab.wire();
        lab.hold_forwarder();
        Some(lab)
    }

    fn namespace(&self, host: Host) -> String {
        format!("{}{}", self.prefix, format!("{host:?}").to_lowercase())
    }

    fn wire(&self) {
        for host in HOSTS {
            output(Command::new("ip").args(["netns", "add", &self.namespace(host)]));
            output(self.outside(host).args(["ip", "link", "set", "lo", "up"]));
        }
        for (index, host) in [Host::Consumer, Host::First, Host::Second].into_iter().enumerate() {
            let (here, there) = (self.namespace(Host::Forwarder), self.namespace(host));
            let (net, cable) = (index + 1, format!("eth{index}"));
            let cables =
                ["ip", "link", "add", &cable, "type", "veth", "peer", "name", "eth0", "netns", &there];
            output(Command::new("ip").args(["netns", "exec", &here]).args(cables));
            let ours = format!("ip addr add 10.77.{net}.1/24 dev {cable} && ip link set {cable} up");
            output(self.outside(Host::Forwarder).args(["sh", "-c", &ours]));
            let theirs = format!("ip addr add 10.77.{net}.2/24 dev eth0 && ip link set eth0 up");
            output(self.outside(host).args(["sh", "-c", &theirs]));
        }
        // The consumer and the databases know no way to each other but a default route, as in a cloud.
        output(self.outside(Host::Consumer).args(["ip", "route", "add", "default", "via", FORWARDER]));
    }

    /// A process that keeps the forwarder's file system.
    fn hold_forwarder(&mut self) {
        let script = "set -e
mkdir etc && cp -a /etc/. etc/ && rm -f etc/resolv.conf && echo nameserver 10.77.2.2 >etc/resolv.conf
mount --bind etc /etc
mount -t tmpfs none /run
mount -t tmpfs none /usr/local/lib
mount -t tmpfs none /var/lib
echo $$
exec sleep 3600";
        let mut command = self.outside(Host::Forwarder);
        command.args(["unshare", "--mount", "--propagation", "private", "sh", "-c", script]);
        command.current_dir(self.folder.path()).stdout(Stdio::piped());
        let mut holder = Running::start(&mut command, "KILL");
        BufReader::new(holder.stdout()).read_line(&mut self.holder_pid).expect("the holder speaks");
        self.holder_pid = self.holder_pid.trim().to_owned();
        assert!(!self.holder_pid.is_empty(), "the forwarder's file system could not be made");
        self.holder = Some(holder);
    }

    /// A command in a host's network, with this machine's files.
    fn outside(&self, host: Host) -> Command {
        let mut command = Command::new("ip");
        command.args(["netns", "exec", &self.namespace(host)]).current_dir(self.folder.path());
        command
    }

    /// A command on a host.
    pub(crate) fn on(&self, host: Host) -> Command {
        if host != Host::Forwarder {
            return self.outside(host);
        }
        let mut command = Command::new("nsenter");
        command.args(["--target", &self.holder_pid, "--mount", "--net", "--"]);
        command
    }

    /// Runs a line of shell on a host; it must succeed.
    pub(crate) fn sh(&self, host: Host, line: &str) -> String {
        output(self.on(host).args(["sh", "-c", line]))
    }

    /// Whether a line of shell succeeds on a host.
    pub(crate) fn try_sh(&self, host: Host, line: &str) -> Result<String, String> {
        let output = attempt(self.on(host).args(["sh", "-c", line]));
        let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
        let all = text(&output.stdout) + &text(&output.stderr);
        if output.status.success() { Ok(all) } else { Err(all) }
    }

    /// A folder that every host sees.
    pub(crate) fn folder(&self) -> &Path {
        self.folder.path()
    }

    /// Writes a file into the lab's folder.
    pub(crate) fn write(&self, name: &str, text: &str) -> PathBuf {
        let path = self.folder.path().join(name);
        // A reader sees the old text or the new one.
        let fresh = path.with_extension("new");
        std::fs::write(&fresh, text).expect("the folder can be written");
        std::fs::rename(&fresh, &path).expect("the folder can be written");
        path
    }

    /// Runs the install script on the forwarder.
    pub(crate) fn install(&self, rendered: &Rendered) {
        let script = self.write("install.sh", &rendered.install_script);
        output(self.on(Host::Forwarder).arg("sh").arg(script));
    }

    /// What the services start after the machine was started: the enabled units' own commands, in their order.
    pub(crate) fn start_services(&mut self) {
        // As systemd does for `RuntimeDirectory=`.
        self.sh(Host::Forwarder, "mkdir -p /run/privnet-forwarder");
        let load = self.enabled("privnet-forwarder-rules.service", "ExecStart");
        self.sh(Host::Forwarder, &load);
        self.agent = None;
        let log = self.folder.path().join("agent.log");
        let log = std::fs::File::options().create(true).append(true).open(log).expect("the agent's log");
        let run = self.enabled("privnet-forwarder.service", "ExecStart");
        // As systemd does for `CapabilityBoundingSet=` and `NoNewPrivileges=`: the agent has to do with so little.
        let allowed = self.enabled("privnet-forwarder.service", "CapabilityBoundingSet").to_lowercase();
        let allowed = allowed.replace("cap_", "+").replace(' ', ",");
        let mut command = self.on(Host::Forwarder);
        command.args(["setpriv", "--no-new-privs", "--bounding-set", &format!("-all,{allowed}")]);
        command.args(run.split(' ')).stdout(log.try_clone().expect("the agent's log")).stderr(log);
        self.agent = Some(Running::start(&mut command, "TERM"));
    }

    /// A setting of a unit that starts at boot.
    fn enabled(&self, unit: &str, key: &str) -> String {
        let wants = "/etc/systemd/system/multi-user.target.wants";
        let line = self.sh(Host::Forwarder, &format!("grep ^{key}= {wants}/{unit}"));
        line.trim()[key.len() + 1..].to_owned()
    }

    /// Installs, starts the services, and waits until every map is healthy.
    pub(crate) fn up(&mut self, maps: &[PortMap], settings: Settings) -> Rendered {
        let rendered = Forwarder::new(maps.to_vec(), settings).expect("valid").render();
        self.install(&rendered);
        self.start_services();
        for map in maps {
            let what = format!("health port {} answers 200", map.health_port);
            eventually(Duration::from_secs(20), &what, || self.health(map.health_port).0 == 200);
        }
        rendered
    }

    pub(crate) fn agent(&self) -> &Running {
        self.agent.as_ref().expect("the agent runs")
    }

    pub(crate) fn stop_agent(&mut self) {
        self.agent = None;
    }

    pub(crate) fn agent_log(&self) -> String {
        std::fs::read_to_string(self.folder.path().join("agent.log")).unwrap_or_default()
    }

    /// A health port's answer, as the load balancer gets it: status and text; status 0 when there is none.
    pub(crate) fn health(&self, port: u16) -> (u16, String) {
        let line = format!("curl -sS -m 3 -w '\\n%{{http_code}}' http://{FORWARDER}:{port}/ 2>&1 || true");
        let text = self.sh(Host::Consumer, &line);
        let (body, status) = text.trim_end().rsplit_once('\n').unwrap_or((&text, "0"));
        (status.parse().unwrap_or(0), body.trim().to_owned())
    }

    /// What the lab's DNS server answers from now on: JSON, see `dns.py`.
    pub(crate) fn dns(&mut self, answer: &str) {
        self.write("zone.json", answer);
        if self.dns.is_none() {
            let script = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/machine/dns.py");
            let mut command = self.on(Host::First);
            command.args(["/usr/bin/python3", script, FIRST, "zone.json"]).stdout(Stdio::piped());
            let mut dns = Running::start(&mut command, "KILL");
            let mut line = String::new();
            BufReader::new(dns.stdout()).read_line(&mut line).expect("the DNS server speaks");
            assert_eq!(line.trim(), "ready");
            self.dns = Some(dns);
        }
    }

    /// How many questions the DNS server was asked.
    pub(crate) fn questions(&self) -> usize {
        std::fs::read_to_string(self.folder.path().join("served")).unwrap_or_default().lines().count()
    }

    /// The forwarder's map, as the kernel has it.
    pub(crate) fn map(&self) -> String {
        self.sh(Host::Forwarder, "nft list map ip privnet_forwarder targets")
    }
}

impl Drop for Lab {
    fn drop(&mut self) {
        if std::thread::panicking() {
            let _ = writeln!(std::io::stderr(), "the agent said:\n{}", self.agent_log());
        }
        self.agent = None;
        self.dns = None;
        self.holder = None;
        for host in HOSTS {
            remove(&self.namespace(host));
        }
    }
}

/// A map with the health port that its listening port gets.
pub(crate) fn map(listen: u16, to: &str, port: u16, engine: Engine) -> PortMap {
    let destination = to.parse().map_or_else(|_| Destination::Name(to.to_owned()), Destination::Address);
    PortMap { listen, destination, port, engine, health_port: health_ports(&[listen])[0] }
}

/// Settings for tests: a check every second, a short drain, the lab's own DNS server.
pub(crate) fn quick() -> Settings {
    let resolver = Resolver::Address(FIRST.parse().expect("an address"));
    Settings {
        resolver,
        drain: Duration::from_secs(6),
        check_every: Duration::from_secs(1),
        ..Settings::default()
    }
}

/// Whether this machine can hold a lab.
fn able() -> Result<(), String> {
    if output(Command::new("id").arg("-u")).trim() != "0" {
        return Err("network namespaces need root".into());
    }
    let tools =
        "for tool in ip nft nsenter unshare curl setpriv iptables-nft conntrack psql mariadb mariadbd; do
command -v $tool >/dev/null || { echo $tool; exit 1; }; done; ls -d /usr/lib/postgresql/*/bin";
    let found = attempt(Command::new("sh").args(["-c", tools]));
    if !found.status.success() {
        let missing = String::from_utf8_lossy(&found.stdout).trim().to_owned();
        return Err(format!("{missing} is missing here: run integration-tests/forwarder/setup.sh"));
    }
    let name = format!("pnf-{}-able", std::process::id());
    let table =
        "nft add table ip able && nft 'add chain ip able nat { type nat hook prerouting priority dstnat; }'";
    let line = format!("ip netns add {name} && ip netns exec {name} sh -c \"{table}\"");
    // Several tests ask at once.
    static ASKED: std::sync::Mutex<()> = std::sync::Mutex::new(());
    let _one = ASKED.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
    let tried = attempt(Command::new("sh").args(["-c", &line]));
    remove(&name);
    if tried.status.success() {
        return Ok(());
    }
    Err(format!(
        "no network namespaces with nftables here: {}",
        String::from_utf8_lossy(&tried.stderr).trim()
    ))
}

/// Removes a namespace and what still runs in it.
fn remove(name: &str) {
    let line = format!("for pid in $(ip netns pids {name}); do kill -9 $pid; done; ip netns del {name}");
    let _ = attempt(Command::new("sh").args(["-c", &line]));
}

/// Removes what test programs left that were killed.
fn remove_leftovers() {
    let names = attempt(Command::new("ip").args(["netns", "list"]));
    for name in String::from_utf8_lossy(&names.stdout).lines().filter_map(|line| line.split(' ').next()) {
        let owner = name.strip_prefix("pnf-").and_then(|rest| rest.split('-').next());
        if owner.is_some_and(|pid| !Path::new("/proc").join(pid).exists()) {
            remove(name);
        }
    }
}
