//! Prints one part of what a forwarder machine runs: `render PART LISTEN=ADDRESS-OR-NAME:PORT/ENGINE …`.
//!
//! The tests and the benchmark render through this, so that what they run is what a machine gets. Options before the maps:
//! `resolver=ADDRESS`, `drain=SECONDS`, `every=SECONDS`, `probers=CIDR`, `shared`.

use std::process::ExitCode;
use std::time::Duration;

use privnet_forwarder::{
    CloudLimit, Destination, Engine, Forwarder, Machine, PortMap, Rendered, Resolver, Settings, health_ports,
};

type Error = Box<dyn std::error::Error>;

fn main() -> ExitCode {
    let words: Vec<String> = std::env::args().skip(1).collect();
    match words.split_first().map(|(part, rest)| print(part, rest)) {
        Some(Ok(text)) => {
            use std::io::Write as _;
            let written = std::io::stdout().write_all(text.as_bytes());
            if written.is_ok() { ExitCode::SUCCESS } else { ExitCode::FAILURE }
        }
        Some(Err(error)) => fail(&error.to_string()),
        None => fail("say a part and port maps"),
    }
}

#[allow(clippy::print_stderr, reason = "a program says on standard error why it failed")]
fn fail(text: &str) -> ExitCode {
    eprintln!("render: {text}");
    ExitCode::FAILURE
}

fn print(part: &str, words: &[String]) -> Result<String, Error> {
    let rendered = forwarder(words)?.render();
    let text = match part {
        "ruleset" => rendered.ruleset,
        "agent" => rendered.agent,
        "config" => rendered.agent_config,
        "install" => rendered.install_script,
        "uninstall" => rendered.uninstall_script,
        "fingerprint" => rendered.fingerprint,
        "cloud-init" => rendered.user_data(CloudLimit::Aws)?.to_owned(),
        unit => unit_text(&rendered, unit)?,
    };
    Ok(text)
}

fn unit_text(rendered: &Rendered, name: &str) -> Result<String, Error> {
    let unit = rendered.units.iter().find(|unit| unit.name == name);
    unit.map(|unit| unit.text.clone()).ok_or_else(|| format!("no part `{name}`").into())
}

fn forwarder(words: &[String]) -> Result<Forwarder, Error> {
    let mut settings = Settings::default();
    let mut maps = Vec::new();
    for word in words {
        match word.split_once('=') {
            None if word == "shared" => settings.machine = Machine::Shared,
            Some(("resolver", address)) => settings.resolver = Resolver::Address(address.parse()?),
            Some(("drain", seconds)) => settings.drain = Duration::from_secs(seconds.parse()?),
            Some(("every", seconds)) => settings.check_every = Duration::from_secs(seconds.parse()?),
            Some(("probers", cidr)) => settings.probe_sources.push(cidr.parse()?),
            Some((listen, target)) => maps.push(map(listen.parse()?, target)?),
            None => return Err(format!("`{word}` is no option and no map").into()),
        }
    }
    let listens: Vec<u16> = maps.iter().map(|map| map.listen).collect();
    for (map, health_port) in maps.iter_mut().zip(health_ports(&listens)) {
        map.health_port = health_port;
    }
    Ok(Forwarder::new(maps, settings)?)
}

fn map(listen: u16, target: &str) -> Result<PortMap, Error> {
    let (place, engine) = target.split_once('/').unwrap_or((target, "other"));
    let (host, port) = place.rsplit_once(':').ok_or("a target is ADDRESS-OR-NAME:PORT/ENGINE")?;
    let destination = host.parse().map_or_else(|_| Destination::Name(host.to_owned()), Destination::Address);
    let engine = match engine {
        "postgres" => Engine::Postgres,
        "mysql" => Engine::Mysql,
        "sqlserver" => Engine::Sqlserver,
        "oracle" => Engine::Oracle,
        "other" => Engine::Other,
        other => return Err(format!("no engine `{other}`").into()),
    };
    Ok(PortMap { listen, destination, port: port.parse()?, engine, health_port: 0 })
}
