//! What the forwarder machines of a service would run. Pure: the file alone decides it.
//!
//! The maps and settings are those that the providers give their machines.

use privnet_core::spec::aws::{AwsForm, AwsPort, AwsTarget};
use privnet_core::spec::azure::{AzureForm, AzureTarget};
use privnet_core::spec::gcp::{GcpBackend, GcpForm};
use privnet_core::spec::{CloudService, Engine, Resolver, Seconds, Service};
use privnet_forwarder::{
    AskedPort, CloudLimit, Destination, Forwarder, PortMap, RenderError, Rendered, probers,
};
use serde::Serialize;

/// What the forwarder machines of one service run.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ServiceForwarder {
    /// The service.
    pub service: String,
    /// `aws`, `azure` or `gcp`.
    pub cloud: &'static str,
    /// What is forwarded, by listening port.
    pub maps: Vec<Forwarded>,
    /// The parts.
    pub rendered: Rendered,
}

/// One forwarded port, for people and programs.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Forwarded {
    /// The port that the load balancer sends to.
    pub listen: u16,
    /// The database's address or name.
    pub to: String,
    /// The database's port.
    pub port: u16,
    /// What speaks there, by the file's word.
    pub engine: &'static str,
    /// The HTTP port that answers 200 while this works.
    pub health_port: u16,
}

/// A service whose forwarders cannot be rendered.
#[derive(Debug, thiserror::Error)]
#[error("the forwarders of `{service}` cannot be made as the file says")]
pub struct CannotRender {
    /// The service.
    pub service: String,
    /// Why.
    #[source]
    pub why: RenderError,
}

/// What the machines of a service run; nothing where no port leads to a forwarder.
///
/// # Errors
/// When the file asks for what forwarders cannot do, or the user data is larger than the cloud takes.
pub fn forwarder_of(service: &Service) -> Result<Option<ServiceForwarder>, CannotRender> {
    let Some(asked) = asked(service) else { return Ok(None) };
    let failed = |why| CannotRender { service: service.name.to_string(), why };
    let probers = probers::ranges(asked.probers);
    let forwarder = Forwarder::asked(&asked.ports, asked.resolver, asked.drain, probers).map_err(failed)?;
    let rendered = forwarder.render();
    rendered.user_data(asked.limit).map_err(failed)?;
    Ok(Some(ServiceForwarder {
        service: service.name.to_string(),
        cloud: service.cloud_name().as_str(),
        maps: forwarder.ports().iter().map(forwarded).collect(),
        rendered,
    }))
}

fn forwarded(map: &PortMap) -> Forwarded {
    Forwarded {
        listen: map.listen,
        to: match &map.destination {
            Destination::Address(address) => address.to_string(),
            Destination::Name(name) => name.clone(),
        },
        port: map.port,
        engine: Engine::from(map.engine).as_str(),
        health_port: map.health_port,
    }
}

/// What a file asks forwarders for, whatever the cloud.
struct Asked<'a> {
    ports: Vec<AskedPort<'a>>,
    resolver: &'a Resolver,
    drain: Seconds,
    probers: &'static [&'static str],
    limit: CloudLimit,
}

fn asked(service: &Service) -> Option<Asked<'_>> {
    match &service.cloud {
        CloudService::Aws(aws) => {
            let (ports, forwarder) = match &aws.form {
                AwsForm::Made(made) => (&made.ports, made.forwarder.as_ref()?),
                AwsForm::OnLoadBalancer(on) => (&on.ports, on.forwarder.as_ref()?),
                AwsForm::EndpointService(_) | AwsForm::Removed => return None,
            };
            let ports = ports.iter().filter_map(on_aws).collect();
            let (resolver, drain) = (&forwarder.resolver, forwarder.drain);
            Some(Asked { ports, resolver, drain, probers: &[], limit: CloudLimit::Aws })
        }
        CloudService::Azure(azure) => {
            let AzureForm::Made(made) = &azure.form else { return None };
            let ports = made.ports.iter().filter_map(|port| match &port.to {
                AzureTarget::Forwarder(upstream) => Some(AskedPort::of(port, upstream)),
                AzureTarget::Nics(_) => None,
            });
            let forwarder = made.forwarder.as_ref()?;
            let (resolver, drain) = (&forwarder.resolver, forwarder.drain);
            Some(Asked {
                ports: ports.collect(),
                resolver,
                drain,
                probers: probers::AZURE,
                limit: CloudLimit::Azure,
            })
        }
        CloudService::Gcp(gcp) => {
            let GcpForm::Made(made) = &gcp.form else { return None };
            let GcpBackend::Forwarder { forwarder, ports } = &made.backend else { return None };
            let ports = ports.iter().map(|port| AskedPort::of(port, &port.to)).collect();
            let (resolver, drain) = (&forwarder.resolver, forwarder.drain);
            Some(Asked { ports, resolver, drain, probers: probers::GCP, limit: CloudLimit::Gcp })
        }
    }
}

fn on_aws(port: &AwsPort) -> Option<AskedPort<'_>> {
    match &port.port.to {
        AwsTarget::Forwarder(upstream) => Some(AskedPort::of(&port.port, upstream)),
        AwsTarget::Ips(_) | AwsTarget::Instances(_) | AwsTarget::Dns(_) | AwsTarget::Alb(_) => None,
    }
}
