//! From a service of the file to what the plan compares. Pure.

mod check;
pub(crate) mod existing;

use std::collections::{BTreeMap, BTreeSet};

use privnet_core::plan::{Refusal, Rule, Wait};
use privnet_core::spec::azure::{
    AzureForm, AzureHosted, AzureLink, AzureMade, AzureNatSubnet, AzureOnFrontend, AzureScope, AzureService,
    AzureTarget,
};
use privnet_core::spec::azure_ids::ArmId;
use privnet_core::spec::{CloudService, Service, Spec, Zones};
use privnet_core::{Address, Live, Lowered, Origin, Resource, Scope, ServiceIntent, Value, World};
use privnet_forwarder::{AskedPort, Forwarder, PortMap, Rendered, probers};

use crate::facts::{self, Facts};
use crate::fields::Fields;
use crate::kinds::{self, load_balancer, network_security_group, private_link_service, scale_set};
use crate::policy::{self, Lists};
use crate::{hosted, ownership};

/// What a service lowers to.
pub(crate) fn service(spec: &Spec, service: &Service, world: &World) -> Lowered {
    let name = service.name.as_str();
    let exposed = private_link_service::address(name);
    let CloudService::Azure(azure) = &service.cloud else {
        return empty(spec, service, Scope(String::new()), exposed);
    };
    match &azure.form {
        AzureForm::Hosted(form) => with_doubt(of_hosted(spec, service, form), azure, world),
        AzureForm::PrivateLinkService(id) => {
            with_doubt(existing::lower(spec, service, id, world), azure, world)
        }
        AzureForm::Removed { resource_group } => {
            let scope = crate::scope::of(azure.subscription.as_str(), resource_group.as_str());
            empty(spec, service, scope, exposed)
        }
        AzureForm::Made(made) => of_made(spec, service, azure, &made.scope, world),
        AzureForm::OnFrontend(form) => of_made(spec, service, azure, &form.scope, world),
    }
}

/// Where the subscription could not be searched for what was made before the service turned to what is there already, it is said. A service
/// that could not be looked at either is refused, and that says it.
fn with_doubt(mut lowered: Lowered, azure: &AzureService, world: &World) -> Lowered {
    let name = lowered.intent.name.as_str();
    if !world.refusals.iter().any(|refusal| refusal.address.service == name) {
        lowered.warnings.extend(facts::unsearched(world, azure.subscription.as_str()));
    }
    lowered
}

fn empty(spec: &Spec, service: &Service, scope: Scope, exposed: Address) -> Lowered {
    let intent = ServiceIntent {
        name: service.name.to_string(),
        cloud: "azure",
        scope,
        remove: service.remove,
        policy: policy::of(spec, service),
        exposed,
        listens: service.cloud.listens(),
    };
    Lowered { intent, resources: Vec::new(), waits: Vec::new(), refusals: Vec::new(), warnings: Vec::new() }
}

fn of_hosted(spec: &Spec, service: &Service, form: &AzureHosted) -> Lowered {
    let mut lowered = empty(spec, service, hosted::scope(form), hosted::address(service.name.as_str()));
    if service.remove {
        return lowered;
    }
    lowered.warnings.extend(policy::nameless(spec, service));
    lowered.warnings.extend(hosted::warning(service, form));
    lowered.warnings.extend(hosted::crowded(spec, service, form));
    match hosted::problem(service, form) {
        Some(refusal) => lowered.refusals.push(refusal),
        None => lowered.resources.push(hosted::resource(service, form)),
    }
    lowered
}

fn of_made(
    spec: &Spec,
    service: &Service,
    azure: &AzureService,
    place: &AzureScope,
    world: &World,
) -> Lowered {
    let scope = crate::scope::of(azure.subscription.as_str(), place.resource_group.as_str());
    let mut lowered =
        empty(spec, service, scope.clone(), private_link_service::address(service.name.as_str()));
    lowered.warnings.extend(policy::nameless(spec, service));
    // Without facts it was not observed, and is refused for that.
    let Some(facts) = facts::of(world, service.name.as_str()) else { return lowered };
    if facts.group_gone {
        lowered.refusals.push(no_group(service, place));
        return lowered;
    }
    let mut lowering = Lowering { spec, service, azure, facts: &facts, world, scope, lowered };
    check::all(&mut lowering);
    kinds::lower(&mut lowering);
    lowering.lowered
}

/// What is wanted of a service has no place: privnet makes no resource groups.
fn no_group(service: &Service, place: &AzureScope) -> Refusal {
    let (group, location) = (&place.resource_group, &place.location);
    Refusal {
        address: private_link_service::address(service.name.as_str()),
        rule: Rule::Unsuitable,
        why: format!(
            "the resource group {group} is not there, and privnet makes none: `az group create --name {group} --location {location}` does, \
             or name another one; where the service shall go, put `remove: true` in its place"
        ),
        flag: None,
    }
}

/// One service on its way to resources.
pub(crate) struct Lowering<'a> {
    spec: &'a Spec,
    service: &'a Service,
    azure: &'a AzureService,
    facts: &'a Facts,
    world: &'a World,
    scope: Scope,
    lowered: Lowered,
}

impl<'a> Lowering<'a> {
    /// The service's name.
    pub(crate) fn name(&self) -> &'a str {
        self.service.name.as_str()
    }

    /// Whether somebody may be connected to the service as it is.
    pub(crate) fn may_be_connected(&self) -> bool {
        self.world.may_be_connected(self.name())
    }

    /// The form that makes everything, if it is that one.
    pub(crate) fn made(&self) -> Option<&'a AzureMade> {
        match &self.azure.form {
            AzureForm::Made(made) => Some(made),
            _ => None,
        }
    }

    fn on_frontend(&self) -> Option<&'a AzureOnFrontend> {
        match &self.azure.form {
            AzureForm::OnFrontend(form) => Some(form),
            _ => None,
        }
    }

    /// Where resources are made.
    pub(crate) fn place(&self) -> Option<&'a AzureScope> {
        self.made().map(|made| &made.scope).or(self.on_frontend().map(|form| &form.scope))
    }

    /// The private link service's settings.
    pub(crate) fn link(&self) -> Option<&'a AzureLink> {
        self.made().map(|made| &made.link).or(self.on_frontend().map(|form| &form.link))
    }

    /// The frontend that the user supplied.
    pub(crate) fn supplied_frontend(&self) -> Option<&'a ArmId> {
        self.on_frontend().map(|form| &form.frontend)
    }

    /// The user's tags.
    pub(crate) fn tags(&self) -> BTreeMap<String, String> {
        self.spec.tags.clone()
    }

    /// The lists of the private link service.
    pub(crate) fn lists(&self) -> Lists {
        policy::lists(self.spec, self.service)
    }

    /// The location's zones; none where they may not be read.
    pub(crate) fn zones(&self) -> &'a [String] {
        &self.facts.zones
    }

    /// The zones of something that is made at this address over all of the location's: these, or where they may not be read, those that
    /// stand in its place (`field`), else the load balancer's, else those that the file names. Nothing: nobody knows them.
    pub(crate) fn zones_for(&self, address: &Address, field: &str) -> Option<Vec<String>> {
        if self.facts.zones_unseen.is_none() {
            return Some(self.zones().to_vec());
        }
        let there = |address: &Address, field: &str| {
            let mut ours = self.world.live.ours_at(address);
            let zones = ours.next()?.fields.get(field).and_then(Value::as_list).unwrap_or_default();
            Some(zones.iter().filter_map(Value::as_text).map(str::to_owned).collect::<Vec<_>>())
        };
        let balancer =
            || there(&load_balancer::address(self.name()), "zones").filter(|zones| !zones.is_empty());
        let said = || match &self.made()?.forwarder.as_ref()?.zones {
            Zones::These(zones) => Some(zones.iter().map(ToString::to_string).collect()),
            Zones::All => None,
        };
        there(address, field).or_else(balancer).or_else(said)
    }

    /// The ranges that NAT addresses are taken from.
    pub(crate) fn nat_ranges(&self) -> Vec<String> {
        let Some(link) = self.link() else { return Vec::new() };
        match &link.nat_subnet {
            AzureNatSubnet::Create { cidr } => vec![cidr.to_string()],
            AzureNatSubnet::Existing(id) => {
                self.subnet(id).map(|subnet| subnet.prefixes.clone()).unwrap_or_default()
            }
        }
    }

    fn subnet(&self, id: &ArmId) -> Option<&'a facts::Subnet> {
        self.facts.vnet.as_ref()?.subnets.get(&id.key())
    }

    /// The subnet whose policy must be, and may be, switched off; also where that was done and failed after it showed, which keeps everything
    /// out of the subnet.
    pub(crate) fn policy_to_disable(&self) -> Option<String> {
        let link = self.link()?;
        let AzureNatSubnet::Existing(id) = &link.nat_subnet else { return None };
        let subnet = self.subnet(id)?;
        let on = subnet.policies_on || subnet.is_broken;
        (on && link.disable_subnet_policies).then(|| id.to_string())
    }

    /// What the forwarders forward, or why that cannot be; nothing where there are none.
    fn forwarders(&self) -> Option<Result<Forwarder, String>> {
        let made = self.made()?;
        let forwarder = made.forwarder.as_ref()?;
        let served = self.health_ports_that_are_served();
        let ports: Vec<AskedPort<'_>> = made
            .ports
            .iter()
            .filter_map(|port| match &port.to {
                AzureTarget::Forwarder(upstream) => {
                    let health_port = served.get(&port.listen.get()).copied();
                    Some(AskedPort { health_port, ..AskedPort::of(port, upstream) })
                }
                AzureTarget::Nics(_) => None,
            })
            .collect();
        let prober = probers::ranges(probers::AZURE);
        let asked = Forwarder::asked(&ports, &forwarder.resolver, forwarder.drain, prober);
        Some(asked.map_err(|why| why.to_string()))
    }

    /// The health ports of the forwarders that are there, by listening port: where the load balancer asks and the security group lets
    /// it, which is not so where somebody changed one of them by hand; none where no machines are there. Both are written before a new group of machines is
    /// there, so a health port that moved would leave the old one without new connections until then.
    fn health_ports_that_are_served(&self) -> BTreeMap<u16, u16> {
        let ours = |kind| self.live_of(kind).filter(|live| live.is_ours());
        if ours(scale_set::KIND.name).next().is_none() {
            return BTreeMap::new();
        }
        let (balancers, groups) = (ours(load_balancer::KIND.name), ours(network_security_group::KIND.name));
        let open: BTreeSet<u16> = groups.flat_map(network_security_group::open_to_probes).collect();
        let mut served: BTreeMap<u16, u16> = balancers.flat_map(load_balancer::asked_for_health).collect();
        served.retain(|_, port| open.contains(port));
        served
    }

    /// What the forwarders forward; nothing where they cannot.
    pub(crate) fn forwarded(&self) -> Vec<PortMap> {
        let forwarder = self.forwarders().and_then(Result::ok);
        forwarder.map(|forwarder| forwarder.ports().to_vec()).unwrap_or_default()
    }

    /// The forwarders' health port for a port.
    pub(crate) fn health_port(&self, listen: u16) -> Option<u16> {
        self.forwarders()?.ok()?.health_port(listen)
    }

    /// What the forwarders run, or why that cannot be; nothing where there are none.
    pub(crate) fn rendered(&self) -> Option<Result<Rendered, String>> {
        Some(self.forwarders()?.map(|forwarder| forwarder.render()))
    }

    /// Wants a resource.
    pub(crate) fn want(
        &mut self,
        address: Address,
        origin: Origin,
        fields: Fields,
        needs: BTreeSet<Address>,
    ) {
        self.lowered.resources.push(Resource { address, scope: self.scope.clone(), origin, fields, needs });
    }

    /// Refuses the service.
    pub(crate) fn refuse(&mut self, address: &Address, why: impl Into<String>) {
        let refusal =
            Refusal { address: address.clone(), rule: Rule::Unsuitable, why: why.into(), flag: None };
        self.lowered.refusals.push(refusal);
    }

    /// Says something of the service that stops nothing.
    pub(crate) fn warn(&mut self, what: impl std::fmt::Display) {
        self.lowered.warnings.push(format!("{}: {what}", self.service.name));
    }

    /// What is there of this service, of one kind.
    pub(crate) fn live_of(&self, kind: &'static str) -> impl Iterator<Item = &'a Live> {
        let name = self.name();
        self.world.live.of(name).iter().filter(move |live| live.address.kind == kind)
    }

    /// Where the file does not let privnet take an interface out of a pool, the user does; until then it is waited for.
    pub(crate) fn wait_for_leaving(&mut self, nic: &str, pool: &str) {
        let short = nic.rsplit('/').next().unwrap_or_default();
        let group = crate::scope::of_id(nic);
        let group = group.0.rsplit('/').next().unwrap_or_default();
        let why = format!(
            "the file does not want the network interface {nic} in its pool: `az network nic ip-config address-pool remove --nic-name \
             {short} -g {group} --ip-config-name <NAME> --address-pool {pool}`, or set `join_nics: true`"
        );
        self.wait("you", why);
    }

    /// Where the file does not let privnet join an interface, the user does; until then it is waited for.
    pub(crate) fn wait_for_joining(&mut self, nic: &ArmId, pool: &str) {
        let Some(balancer) = self.world.at(&load_balancer::address(self.name())) else {
            return self.wait("you", format!("the network interface {nic} must be put into the pool `{pool}` once the load balancer is there"));
        };
        let pool_id = format!("{}/backendAddressPools/{pool}", balancer.id);
        let joined =
            self.facts.nics.get(&nic.key()).is_some_and(|seen| seen.pools.contains(&pool_id.to_lowercase()));
        if !joined {
            let why = format!(
                "put the network interface into the pool: `az network nic ip-config address-pool add --nic-name {} \
                 -g {} --ip-config-name <NAME> --address-pool {pool_id}`, or set `join_nics: true`{}",
                nic.name(),
                nic.resource_group(),
                self.still_behind(nic)
            );
            self.wait("you", why);
        }
    }

    /// Which internal load balancer an interface must leave first: Azure takes it behind one.
    fn still_behind(&self, nic: &ArmId) -> String {
        let behind = self.facts.nics.get(&nic.key()).map(|seen| &seen.behind);
        let internal = behind.into_iter().flatten().find(|(_, behind)| behind.is_internal == Some(true));
        let say = |(balancer, _)| {
            format!(
                "; it, or another one of its machine, is behind the internal load balancer {balancer}, and Azure takes them behind one only: \
                 take that one out there first"
            )
        };
        internal.map(say).unwrap_or_default()
    }

    fn wait(&mut self, on: &str, why: String) {
        self.lowered.waits.push(Wait { on: on.to_owned(), why, service: self.name().to_owned() });
    }
}

/// Why the file's tags cannot be set on Azure, if they cannot.
fn bad_tags(spec: &Spec) -> Option<String> {
    ownership::unsuitable(&spec.tags)
}
