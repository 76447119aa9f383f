//! `privnet render forwarder`: what the forwarder machines would run; no network.

use std::path::Path;

use privnet::forwarder::{CannotRender, ServiceForwarder, forwarder_of};
use serde_json::{Value, json};

use crate::args::Which;
use crate::exit::Exit;
use crate::failure::Failure;
use crate::files;
use crate::output::Output;
use crate::render::forwarder_text;

pub(crate) fn run(which: &Which, output: Output) -> Result<Exit, Failure> {
    let tell = |text: &str| output.remark(text);
    let sources = files::read(&files::find(which, "render forwarder", Path::new("."), tell)?)?;
    let specs = files::decode_or_fail(&sources)?;
    files::check_services(which, &specs)?;
    let asked = |name: &str| which.services.is_empty() || which.services.iter().any(|asked| asked == name);
    let services =
        specs.iter().flat_map(|spec| &spec.services).filter(|service| asked(service.name.as_str()));
    let forwarders: Vec<ServiceForwarder> = services
        .filter_map(|service| forwarder_of(service).transpose())
        .collect::<Result<_, CannotRender>>()
        .map_err(|error| Failure::file(error.to_string()).because(&error.why))?;
    output.result(
        |paint| forwarders.iter().map(|forwarder| forwarder_text(forwarder, paint)).collect(),
        || json!({"services": forwarders.iter().map(object).collect::<Vec<_>>()}),
    );
    if forwarders.is_empty() && !output.is_json() {
        output.remark("no port of these services leads to a forwarder (`to: { forwarder: … }`)");
    }
    Ok(Exit::Done)
}

fn object(forwarder: &ServiceForwarder) -> Value {
    let rendered = &forwarder.rendered;
    let units = rendered.units.iter().map(|unit| json!({"name": unit.name, "text": unit.text}));
    json!({
        "name": forwarder.service,
        "cloud": forwarder.cloud,
        "maps": forwarder.maps,
        "fingerprint": rendered.fingerprint,
        "ruleset": rendered.ruleset,
        "sysctl": rendered.sysctl,
        "units": units.collect::<Vec<_>>(),
        "agent": rendered.agent,
        "agent_config": rendered.agent_config,
        "install_script": rendered.install_script,
        "uninstall_script": rendered.uninstall_script,
        "cloud_init": rendered.cloud_init,
    })
}
