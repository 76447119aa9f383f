//! A network interface of the user's own machine in a pool of the service's load balancer: made only where the file allows it
//! (`join_nics`). The pool is privnet's, and so is what is in it.

use std::collections::BTreeSet;

use privnet_core::spec::azure::{AzureMade, AzureTarget};
use privnet_core::{
    Address, Applied, Change, Error, ErrorKind, Field, Health, Kind, Live, Origin, Ownership, Replacement,
    Shape, Value, name,
};
use serde::{Deserialize, Serialize};
use serde_json::json;

use super::{applied, load_balancer, outputs};
use crate::act::Act;
use crate::arm::{Json, Target, Write, at, is_gone, items, same_id, set, text};
use crate::fields;
use crate::lower::Lowering;
use crate::snapshot::Snapshot;

/// A membership.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct NicMembership {
    /// The virtual network, by id in lower case.
    pub(crate) vnet: String,
    /// The load balancer of the pool, by id in lower case.
    pub(crate) load_balancer: Value,
    /// The network interface, by id in lower case.
    pub(crate) nic: String,
    /// The pool, by id in lower case.
    pub(crate) pool: Value,
}

/// Its table.
pub(crate) const KIND: Kind = Kind {
    name: "nic-membership",
    title: "pool membership of a network interface",
    fields: &[
        Field::observed("vnet"),
        Field::observed("load_balancer"),
        Field::managed("nic").on_change(Change::Replace).shaped(Shape::IgnoreCase).naming_targets(),
        Field::managed("pool").on_change(Change::Replace).shaped(Shape::IgnoreCase),
    ],
    replacement: Replacement::DeleteFirst,
    teardown_rank: 2,
    severs: true,
    serialized_by: &["vnet", "load_balancer"],
    // It is the interface's, and its other memberships have the same.
    telling: &["id"],
};

/// Its address: the port, and the interface's name with a hash, since names are unique within a resource group only.
pub(crate) fn address(service: &str, pool: &str, nic: &str) -> Address {
    let short = nic.rsplit('/').next().unwrap_or(nic).to_lowercase();
    let listen = pool.trim_start_matches("port-");
    Address::new(service, KIND.name, format!("{listen}-{short}-{}", name::hash8(&[&fields::id(nic)])))
}

/// What a service wants.
pub(crate) fn lower(lowering: &mut Lowering<'_>) {
    let Some(made) = lowering.made() else { return };
    for left in left_by_the_user(lowering, made) {
        lowering.wait_for_leaving(&left.nic, &left.pool_id);
    }
    for port in &made.ports {
        let AzureTarget::Nics(nics) = &port.to else { continue };
        let pool = load_balancer::port_name(port.listen.get());
        for nic in nics {
            if !made.join_nics {
                lowering.wait_for_joining(nic, &pool);
                continue;
            }
            let wanted = NicMembership {
                vnet: fields::id(&made.scope.vnet.to_string()),
                load_balancer: load_balancer::id_of(lowering.name()),
                nic: fields::id(&nic.to_string()),
                pool: load_balancer::pool_of(lowering.name(), &pool),
            };
            let origin = Origin::AddedTo { to: format!("the network interface {nic}") };
            lowering.want(
                address(lowering.name(), &pool, &nic.to_string()),
                origin,
                fields::of(&wanted),
                BTreeSet::new(),
            );
        }
    }
}

/// An interface that the user put into a pool of a service and that nothing wants there any more.
pub(crate) struct LeftIn {
    /// The pool's name, spelled as it is there.
    pub(crate) pool: String,
    /// The pool, by id in lower case.
    pool_id: String,
    /// The interface, by id in lower case.
    nic: String,
}

/// Those interfaces of a service whose file leaves the pools to the user.
pub(crate) fn left_by_the_user(lowering: &Lowering<'_>, made: &AzureMade) -> Vec<LeftIn> {
    let of = |live: &Live| {
        let there: NicMembership = fields::typed(KIND.name, &live.fields).ok()?;
        let pool_id = fields::resolved(&there.pool).to_owned();
        Some(LeftIn { pool: spelled(lowering, pool_id.rsplit('/').next()?), pool_id, nic: there.nic })
    };
    let listed = |left: &LeftIn| {
        made.ports.iter().any(|port| match &port.to {
            AzureTarget::Nics(nics) => {
                load_balancer::port_name(port.listen.get()).eq_ignore_ascii_case(&left.pool)
                    && nics.iter().any(|nic| nic.key() == left.nic)
            }
            AzureTarget::Forwarder(_) => false,
        })
    };
    let theirs = lowering.live_of(KIND.name).filter(|live| live.ownership == Ownership::Supplied);
    theirs.filter_map(of).filter(|left| !listed(left)).collect()
}

/// A pool's name as the load balancer that is there spells it: names match without case, and one that is wanted in another spelling
/// would differ for ever, and be made beside the other.
fn spelled(lowering: &Lowering<'_>, pool: &str) -> String {
    let balancers = lowering.live_of(load_balancer::KIND.name).filter(|live| live.is_ours());
    let pools = balancers.filter_map(|live| live.fields.get("pools")?.as_list()).flatten();
    let same = pools.filter_map(Value::as_text).find(|name| name.eq_ignore_ascii_case(pool));
    same.unwrap_or(pool).to_owned()
}

/// What is there: interfaces of machines, not of scale sets, in the pools of the load balancers that are ours.
pub(crate) fn live(snapshot: &Snapshot<'_>) -> Vec<Live> {
    let mut found = Vec::new();
    for balancer in &snapshot.load_balancers {
        let Some(claim) =
            snapshot.claim(balancer, load_balancer::KIND.name).filter(|c| c.ownership == Ownership::Ours)
        else {
            continue;
        };
        let service = claim.address.service.as_str();
        // Who is in a pool that only somebody else's rules lead to is there for these.
        let others = load_balancer::others_of(balancer);
        for pool in items(balancer, "properties.backendAddressPools") {
            let (Some(pool_name), Some(pool_id)) = (text(pool, "name"), text(pool, "id")) else { continue };
            if others.has_pool(pool_name) {
                continue;
            }
            for nic in nics(pool) {
                found.push(Live {
                    address: address(service, pool_name, &nic),
                    generation: None,
                    scope: snapshot.scope.clone(),
                    id: format!("{pool_id}#{nic}"),
                    // Without the opt-in the user takes out who they put in. Otherwise who is in a pool of ours and not in the file
                    // leaves it with the port that it was there for.
                    ownership: if snapshot.user_joins(service) {
                        Ownership::Supplied
                    } else {
                        Ownership::Ours
                    },
                    fields: fields::of(&NicMembership {
                        vnet: snapshot.vnet_of(balancer).unwrap_or_default(),
                        load_balancer: Value::text(load_balancer::of_part(pool_id)),
                        nic: fields::id(&nic),
                        pool: Value::text(fields::id(pool_id)),
                    }),
                    outputs: outputs([("id", fields::id(&nic))]),
                    health: Health::Ready,
                });
            }
        }
    }
    found
}

/// The network interfaces in a pool, by id.
fn nics(pool: &Json) -> BTreeSet<String> {
    let configurations =
        items(pool, "properties.backendIPConfigurations").iter().filter_map(|c| text(c, "id"));
    let own = configurations.filter(|id| !id.to_lowercase().contains("/virtualmachinescalesets/"));
    own.filter_map(|id| {
        let at = id.to_lowercase().find("/ipconfigurations/")?;
        id.get(..at).map(str::to_owned)
    })
    .collect()
}

/// Puts the interface's primary configuration into the pool, or takes every configuration out of it.
///
/// Who joins leaves the pools of the load balancer that this one takes the place of, all of which the same plan takes it out of: Azure takes an
/// interface behind one internal load balancer
/// (<https://learn.microsoft.com/troubleshoot/azure/load-balancer/load-balancer-common-deployment-errors>), and one of several
/// ports is in several pools.
fn shape(body: &mut Json, pool: &str, member: bool) {
    let Some(configurations) = at(body, "properties.ipConfigurations").and_then(Json::as_array).cloned()
    else {
        return;
    };
    let primary = |c: &Json| at(c, "properties.primary").and_then(Json::as_bool) == Some(true);
    let chosen = configurations.iter().position(primary).unwrap_or(0);
    let path = "properties.loadBalancerBackendAddressPools";
    let is_pool = |p: &Json| text(p, "id").is_some_and(|id| same_id(id, pool));
    let former = former_of(pool).filter(|_| member);
    let is_former = |p: &Json| former.is_some() && text(p, "id").map(load_balancer::of_part) == former;
    let changed: Vec<Json> = configurations
        .into_iter()
        .enumerate()
        .map(|(index, mut configuration)| {
            let mut pools = items(&configuration, path).to_vec();
            pools.retain(|p| !is_former(p) && (member || !is_pool(p)));
            if member && index == chosen && !pools.iter().any(is_pool) {
                pools.push(json!({"id": pool}));
            }
            if pools == items(&configuration, path) {
                return configuration;
            }
            set(&mut configuration, path, json!(pools));
            configuration
        })
        .collect();
    set(body, "properties.ipConfigurations", json!(changed));
}

/// The load balancer that the one of this pool takes the place of, or would: it has the other generation's name.
fn former_of(pool: &str) -> Option<String> {
    let balancer = load_balancer::of_part(pool);
    let (name, generation) = balancer.rsplit_once('-')?;
    let other = if generation == "a" { "b" } else { "a" };
    name.rsplit('/').next()?.starts_with("pn-").then(|| format!("{name}-{other}"))
}

async fn put(act: &Act<'_>, nic: &str, pool: &str, member: bool) -> Result<(), Error> {
    let build = |there: Option<&Json>| {
        let Some(there) = there else {
            return Err(act.error(ErrorKind::NotFound, format!("the network interface {nic} is not there")));
        };
        let mut body = there.clone();
        shape(&mut body, pool, member);
        Ok(if body == *there { Write::Keep } else { Write::Put(body) })
    };
    act.arm.change(act.context, &Target::of(nic), &build).await.map(|_| ())
}

/// Joins it.
pub(crate) async fn write(act: &Act<'_>) -> Result<Applied, Error> {
    let wanted: NicMembership = fields::typed(KIND.name, act.step.fields)?;
    put(act, &wanted.nic, fields::resolved(&wanted.pool), true).await?;
    Ok(applied(outputs([("id", wanted.nic)])))
}

/// Takes it out. An interface that is gone is out.
pub(crate) async fn delete(act: &Act<'_>) -> Result<Applied, Error> {
    let there: NicMembership = fields::typed(KIND.name, act.step.fields)?;
    let pool = fields::resolved(&there.pool);
    match put(act, &there.nic, pool, false).await {
        Err(error) if is_gone(&error) => {}
        done => done?,
    }
    load_balancer::prune(act, pool).await?;
    Ok(Applied::default())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn joins_the_primary_configuration_and_leaves_nothing_behind() {
        let before = json!({"properties": {"ipConfigurations": [
            {"name": "second", "properties": {"loadBalancerBackendAddressPools": [{"id": "/other"}]}},
            {"name": "first", "properties": {"primary": true}}]}});
        let mut nic = before.clone();
        shape(&mut nic, "/LB/pool", true);
        assert_eq!(
            nic["properties"]["ipConfigurations"][1]["properties"]["loadBalancerBackendAddressPools"],
            json!([{"id": "/LB/pool"}])
        );
        assert_eq!(nic["properties"]["ipConfigurations"][0], before["properties"]["ipConfigurations"][0]);
        let joined = nic.clone();
        shape(&mut nic, "/lb/POOL", true);
        assert_eq!(nic, joined, "twice is once");
        shape(&mut nic, "/lb/pool", false);
        assert_eq!(
            nic["properties"]["ipConfigurations"][1]["properties"]["loadBalancerBackendAddressPools"],
            json!([])
        );
    }

    #[test]
    fn leaves_the_load_balancer_of_before_when_it_joins_its_successor() {
        let pool =
            |balancer: &str| json!({"id": format!("/n/loadBalancers/{balancer}/backendAddressPools/port-1")});
        let pools = |pools: &[&str]| json!(pools.iter().map(|name| pool(name)).collect::<Vec<_>>());
        let path = "/properties/ipConfigurations/0/properties/loadBalancerBackendAddressPools";
        let mut nic = json!({"properties": {"ipConfigurations": [{"properties": {
            "loadBalancerBackendAddressPools": pools(&["PN-orders-0b25a1fe-a", "pn-billing-0b25a1fe-a", "theirs-a"])}}]}});
        shape(&mut nic, pool("pn-orders-0b25a1fe-b")["id"].as_str().unwrap(), true);
        let left = nic.pointer(path).unwrap().clone();
        assert_eq!(left, pools(&["pn-billing-0b25a1fe-a", "theirs-a", "pn-orders-0b25a1fe-b"]));
        // Who leaves a pool leaves that alone.
        shape(&mut nic, pool("pn-billing-0b25a1fe-b")["id"].as_str().unwrap(), false);
        assert_eq!(nic.pointer(path), Some(&left));
    }

    #[test]
    fn reads_back_what_it_writes() {
        let wanted = NicMembership {
            vnet: "/v".to_owned(),
            load_balancer: Value::text("/lb"),
            nic: "/n".to_owned(),
            pool: Value::text("/p"),
        };
        assert_eq!(fields::typed::<NicMembership>("k", &fields::of(&wanted)).unwrap(), wanted);
        assert!(fields::of(&wanted).keys().all(|name| KIND.field(name).is_some()));
        let pool = json!({"properties": {"backendIPConfigurations": [
            {"id": "/s/networkInterfaces/N1/ipConfigurations/a"},
            {"id": "/s/virtualMachineScaleSets/x/virtualMachines/0/networkInterfaces/n/ipConfigurations/ip"}]}});
        assert_eq!(nics(&pool), BTreeSet::from(["/s/networkInterfaces/N1".to_owned()]));
    }
}
