//! The network security group of the forwarders: the NAT addresses may reach the ports, the load balancer's prober the health
//! ports, and nobody else anything.

use std::collections::{BTreeMap, BTreeSet};

use privnet_core::{Address, Applied, Change, Error, Field, Kind, Live, Origin, Replacement, Shape, Value};
use serde::{Deserialize, Serialize};
use serde_json::json;

use super::{applied, health, outputs};
use crate::act::Act;
use crate::arm::{Json, Target, items, set, text, text_map, texts};
use crate::lower::Lowering;
use crate::snapshot::Snapshot;
use crate::{facts, fields, ownership};

/// The name of the rule for consumers.
const CONSUMERS: &str = "consumers";
/// The name of the rule for the load balancer's prober.
const PROBES: &str = "probes";

/// A network security group.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct SecurityGroup {
    /// Its location.
    pub(crate) location: String,
    /// All its own rules, by priority.
    #[serde(default)]
    pub(crate) rules: Vec<Rule>,
    /// The user's tags.
    #[serde(default)]
    pub(crate) tags: BTreeMap<String, String>,
}

/// A rule. `*` stands for any.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Rule {
    pub(crate) name: String,
    pub(crate) priority: i64,
    /// `Inbound`, `Outbound`.
    pub(crate) direction: String,
    /// `Allow`, `Deny`.
    pub(crate) access: String,
    /// `Tcp`, `*`.
    pub(crate) protocol: String,
    pub(crate) sources: Vec<String>,
    /// The ports that they come from: any.
    pub(crate) source_ports: Vec<String>,
    /// The addresses that they go to: any, since the group is on the forwarders alone.
    pub(crate) destinations: Vec<String>,
    pub(crate) ports: Vec<String>,
}

/// Its table.
pub(crate) const KIND: Kind = Kind {
    name: "network-security-group",
    title: "network security group",
    fields: &[
        Field::managed("location").on_change(Change::Replace).shaped(Shape::IgnoreCase),
        Field::managed("rules"),
        Field::managed("tags"),
    ],
    replacement: Replacement::CreateFirst,
    teardown_rank: 4,
    severs: false,
    serialized_by: &[],
    telling: &[],
};

/// Its address.
pub(crate) fn address(service: &str) -> Address {
    Address::new(service, KIND.name, "forwarder")
}

/// What a service wants.
pub(crate) fn lower(lowering: &mut Lowering<'_>) {
    let Some(made) = lowering.made() else { return };
    let maps = lowering.forwarded();
    if maps.is_empty() {
        return;
    }
    let ports: Vec<u16> = maps.iter().map(|map| map.listen).collect();
    let health: Vec<u16> = maps.iter().map(|map| map.health_port).collect();
    let wanted = SecurityGroup {
        location: made.scope.location.to_string(),
        rules: rules(lowering.nat_ranges(), &ports, &health),
        tags: lowering.tags(),
    };
    lowering.want(address(lowering.name()), Origin::Owned, fields::of(&wanted), BTreeSet::new());
}

/// The health ports that a group which is there lets the load balancer's prober reach.
pub(crate) fn open_to_probes(live: &Live) -> BTreeSet<u16> {
    let there = fields::typed::<SecurityGroup>(KIND.name, &live.fields).ok();
    let rules = there.iter().flat_map(|group| &group.rules).filter(|rule| rule.name == PROBES);
    rules.flat_map(|rule| &rule.ports).filter_map(|port| port.parse().ok()).collect()
}

fn rules(sources: Vec<String>, ports: &[u16], health: &[u16]) -> Vec<Rule> {
    let any = || vec!["*".to_owned()];
    let rule = |name: &str, priority, access: &str, protocol: &str, sources, ports| Rule {
        name: name.to_owned(),
        priority,
        direction: "Inbound".to_owned(),
        access: access.to_owned(),
        protocol: protocol.to_owned(),
        sources,
        source_ports: any(),
        destinations: any(),
        ports,
    };
    let sorted = |ports: &[u16]| -> Vec<String> {
        ports.iter().collect::<BTreeSet<_>>().into_iter().map(u16::to_string).collect()
    };
    vec![
        rule(CONSUMERS, 100, "Allow", "Tcp", sources, sorted(ports)),
        rule(PROBES, 110, "Allow", "Tcp", vec!["AzureLoadBalancer".to_owned()], sorted(health)),
        rule("nobody-else", 4096, "Deny", "*", any(), any()),
    ]
}

/// What is there.
pub(crate) fn live(snapshot: &Snapshot<'_>) -> Vec<Live> {
    let of = |group: &Json| {
        let claim = snapshot.claim(group, KIND.name)?;
        let id = text(group, "id")?;
        Some(Live {
            address: claim.address,
            generation: Some(claim.generation),
            scope: snapshot.scope.clone(),
            id: id.to_owned(),
            ownership: claim.ownership,
            fields: fields::of(&read(group)),
            outputs: outputs([("id", fields::id(id))]),
            health: health(group),
        })
    };
    snapshot.security_groups.iter().filter_map(of).collect()
}

fn read(group: &Json) -> SecurityGroup {
    let rule = |rule: &Json| {
        let word = |path: &str| text(rule, path).unwrap_or_default().to_owned();
        // One value stands in the singular property, several in the plural one.
        let either = |one: &str, many: &str| {
            let mut all = texts(rule, many);
            all.extend(text(rule, one).map(str::to_owned));
            all
        };
        Rule {
            name: word("name"),
            priority: crate::arm::at(rule, "properties.priority").and_then(Json::as_i64).unwrap_or_default(),
            direction: word("properties.direction"),
            access: word("properties.access"),
            protocol: word("properties.protocol"),
            sources: either("properties.sourceAddressPrefix", "properties.sourceAddressPrefixes"),
            source_ports: either("properties.sourcePortRange", "properties.sourcePortRanges"),
            destinations: either(
                "properties.destinationAddressPrefix",
                "properties.destinationAddressPrefixes",
            ),
            ports: either("properties.destinationPortRange", "properties.destinationPortRanges"),
        }
    };
    let mut rules: Vec<Rule> = items(group, "properties.securityRules").iter().map(rule).collect();
    rules.sort_by_key(|rule| rule.priority);
    SecurityGroup {
        location: facts::short_location(text(group, "location").unwrap_or_default()),
        rules,
        tags: ownership::managed_tags(&text_map(group, "tags")),
    }
}

fn rule_body(rule: &Rule) -> Json {
    let mut body = json!({"name": rule.name, "properties": {
        "priority": rule.priority, "direction": rule.direction, "access": rule.access, "protocol": rule.protocol}});
    let mut put = |one: &str, many: &str, values: &[String]| match values {
        [only] => set(&mut body, &format!("properties.{one}"), json!(only)),
        several => set(&mut body, &format!("properties.{many}"), json!(several)),
    };
    put("sourceAddressPrefix", "sourceAddressPrefixes", &rule.sources);
    put("sourcePortRange", "sourcePortRanges", &rule.source_ports);
    put("destinationAddressPrefix", "destinationAddressPrefixes", &rule.destinations);
    put("destinationPortRange", "destinationPortRanges", &rule.ports);
    body
}

/// A port that privnet's own rules let in to and did not when the plan was made, which does not want it either.
fn opened_since(
    there: &SecurityGroup,
    planned: Option<&SecurityGroup>,
    wanted: &SecurityGroup,
) -> Option<String> {
    let known = |name: &str, port: &String| {
        let rules = planned.into_iter().chain([wanted]).flat_map(|group| &group.rules);
        rules.filter(|rule| rule.name == name).any(|rule| rule.ports.contains(port))
    };
    let open = there.rules.iter().filter(|rule| [CONSUMERS, PROBES].contains(&rule.name.as_str()));
    let mut ports = open.flat_map(|rule| rule.ports.iter().map(|port| (rule.name.as_str(), port)));
    ports.find(|(name, port)| !known(name, port)).map(|(_, port)| port.clone())
}

/// Makes or changes it.
pub(crate) async fn write(act: &Act<'_>) -> Result<Applied, Error> {
    let wanted: SecurityGroup = fields::typed(KIND.name, act.step.fields)?;
    let id = match &act.step.action.live_id {
        Some(id) => id.clone(),
        None => format!("{}/providers/Microsoft.Network/networkSecurityGroups/{}", act.group(), act.name()),
    };
    let target = Target::of(&id);
    let planned = act.step.live.and_then(|live| fields::typed::<SecurityGroup>(KIND.name, &live.fields).ok());
    let shape = |body: &mut Json| {
        if let Some(port) = opened_since(&read(body), planned.as_ref(), &wanted) {
            let message = format!(
                "it lets in to port {port} since this plan was made, which knows nothing of that and would shut it"
            );
            return Err(act.overtaken(message));
        }
        if body.get("location").is_none() {
            set(body, "location", json!(wanted.location));
        }
        if read(body).rules != wanted.rules {
            set(body, "properties.securityRules", wanted.rules.iter().map(rule_body).collect());
        }
        Ok(())
    };
    act.write(&target, &wanted.tags, &shape).await?;
    act.until_listed(&target, true).await?;
    Ok(applied(outputs([("id", fields::id(&id))])))
}

/// Deletes it.
pub(crate) async fn delete(act: &Act<'_>) -> Result<Applied, Error> {
    act.delete(&Target::of(act.live_id()?)).await?;
    Ok(Applied::default())
}

/// A reference to the group of a service's forwarders.
pub(crate) fn id_of(service: &str) -> Value {
    Value::output(&address(service), "id")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_port_that_the_plan_does_not_know_is_seen() {
        let of = |ports: &[u16]| SecurityGroup {
            location: "eastus2".to_owned(),
            rules: rules(vec!["10.1.9.0/28".to_owned()], ports, &[21433]),
            tags: BTreeMap::new(),
        };
        let (one, both) = (of(&[1433]), of(&[1433, 3306]));
        assert_eq!(opened_since(&both, Some(&one), &one).as_deref(), Some("3306"));
        assert_eq!(opened_since(&both, None, &one).as_deref(), Some("3306"));
        assert_eq!(opened_since(&both, Some(&both), &one), None);
        assert_eq!(opened_since(&both, Some(&one), &both), None);
    }

    #[test]
    fn reads_back_what_it_writes() {
        let rules = rules(vec!["10.1.9.0/28".to_owned()], &[5432, 1433], &[21433, 25432]);
        let wanted = SecurityGroup { location: "eastus2".to_owned(), rules, tags: BTreeMap::new() };
        let bodies: Vec<Json> = wanted.rules.iter().map(rule_body).collect();
        let group = json!({"location": "East US 2", "properties": {"securityRules": bodies}});
        assert_eq!(read(&group), wanted);
        assert_eq!(fields::typed::<SecurityGroup>("k", &fields::of(&wanted)).unwrap(), wanted);
        assert!(fields::of(&wanted).keys().all(|name| KIND.field(name).is_some()));
    }
}
