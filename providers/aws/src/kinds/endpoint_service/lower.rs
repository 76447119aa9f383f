//! What the file wants of the endpoint service. Pure.

use std::collections::{BTreeMap, BTreeSet};

use privnet_core::plan::Rule;
use privnet_core::spec::Acceptance;
use privnet_core::spec::aws::{AwsEndpointService, AwsForm, AwsIpAddressType};
use privnet_core::spec::aws_ids::EndpointServiceId;
use privnet_core::{Address, Health, Live, Lowered, Origin, Value};

use super::{SEEN, STARTED, SUPPLIED};
use crate::exposure::ExposureFacts;
use crate::kinds::{ENDPOINT_SERVICE, LOAD_BALANCER, allowed_principals, listener};
use crate::lower::Lowering;

/// Adds the endpoint service to what the service wants, and what there is to say about it.
pub(crate) fn lower(lowering: &Lowering<'_>, lowered: &mut Lowered) {
    match &lowering.aws.form {
        AwsForm::Made(made) => {
            let zones =
                made.subnets.iter().map(|id| Some(lowering.facts.subnets.get(id.as_str())?.zone.clone()));
            let front = Front { zones: zones.collect(), types: made.load_balancer.ip_address_type };
            owned(lowering, lowered, &made.endpoint_service, front);
        }
        AwsForm::OnLoadBalancer(on) => {
            let supplied = lowering.facts.supplied.as_ref();
            let zones = supplied.map(|supplied| supplied.zones.keys().cloned().collect());
            let dual =
                supplied.is_some_and(|supplied| supplied.ip_address_type.eq_ignore_ascii_case("dualstack"));
            let types = if dual { AwsIpAddressType::Dualstack } else { AwsIpAddressType::Ipv4 };
            owned(lowering, lowered, &on.endpoint_service, Front { zones, types });
        }
        AwsForm::EndpointService(id) => supplied(lowering, lowered, id),
        AwsForm::Removed => {}
    }
}

/// What the endpoint service takes from the load balancer in front of it.
struct Front {
    /// Its zones; absent where they could not be read.
    zones: Option<BTreeSet<String>>,
    types: AwsIpAddressType,
}

fn owned(lowering: &Lowering<'_>, lowered: &mut Lowered, wanted: &AwsEndpointService, front: Front) {
    let address = lowering.address(ENDPOINT_SERVICE, "main");
    let there = lowering.world.at(&address);
    let types: &[&str] = match front.types {
        AwsIpAddressType::Ipv4 => &["ipv4"],
        AwsIpAddressType::Dualstack => &["ipv4", "ipv6"],
    };
    let balancer = lowering.address(LOAD_BALANCER, "main");
    let mut fields = BTreeMap::from([
        ("load_balancers".to_owned(), Value::list([Value::output(&balancer, "arn")])),
        ("acceptance_required".to_owned(), (lowering.service.acceptance == Acceptance::Manual).into()),
        ("ip_address_types".to_owned(), Value::texts(types.iter().copied())),
        ("private_dns_name".to_owned(), wanted.private_dns_name.as_ref().map(ToString::to_string).into()),
        ("tags".to_owned(), lowering.tags()),
    ]);
    if let Some(zones) = front.zones {
        // A zone that the service has and the load balancer does not does no harm, and cannot be taken away in place.
        let kept = there.map(|live| texts(live, "zones")).unwrap_or_default();
        fields.insert("zones".to_owned(), Value::texts(zones.union(&kept)));
    }
    let name = wanted.private_dns_name.as_ref().map(|name| name.as_str());
    // A service that takes another name begins its verification in the same step.
    let takes_it = there.is_some_and(|live| !has_name(live, name));
    if name.is_some() && !takes_it && !there.is_some_and(|live| lacks_record(live, name)) {
        fields.insert("private_dns_verification".to_owned(), Value::text(STARTED));
    }
    if let Some(regions) = &wanted.supported_regions {
        let others = regions.iter().filter(|region| **region != lowering.aws.location.region);
        let others: BTreeSet<String> = others.map(ToString::to_string).collect();
        warn_of_regions(lowering, lowered, there, &others);
        fields.insert("supported_regions".to_owned(), Value::texts(&others));
    } else if let Some(left) =
        there.map(|live| texts(live, "supported_regions")).filter(|left| !left.is_empty())
    {
        let left = left.into_iter().collect::<Vec<_>>().join(", ");
        lowered.warnings.push(format!(
            "{name}: consumers may connect from {left} too: the file has no `supported_regions`, so that stays as it is; to end it \
             write `supported_regions: [{}]`",
            lowering.aws.location.region,
            name = lowering.name()
        ));
    }
    // Consumers never see a load balancer that is half made: to a service that is there it is attached once it has its listeners. A new
    // one is made beside them, since nobody may ask for it before its principals are allowed.
    let mut needs = if there.is_some() { listener::all(lowered) } else { BTreeSet::new() };
    if opening(lowering).is_some() {
        needs.insert(allowed_principals::of_own(lowering.name()));
    }
    wait_for_verification(lowering, lowered, there, name);
    warn_of_name(lowering, lowered, there, name);
    lowered.resources.push(lowering.resource(address, Origin::Owned, fields, needs));
}

/// The endpoint service of privnet's own that is to let in by itself whom it allows, and does not yet: whoever is not to be allowed any
/// more goes first, or he would be let in meanwhile, or for good where taking him off the list fails.
pub(crate) fn opening<'a>(lowering: &Lowering<'a>) -> Option<&'a Live> {
    let asks = |live: &&Live| live.fields.get("acceptance_required").and_then(Value::as_bool) != Some(false);
    let stays = |live: &&Live| matches!(live.health, Health::Ready | Health::Busy { .. });
    let there = lowering.world.at(&lowering.address(ENDPOINT_SERVICE, "main"));
    there.filter(|_| lowering.service.acceptance == Acceptance::Automatic).filter(asks).filter(stays)
}

/// From a region that goes nobody asks any more, and who is connected from there stays: that is what AWS recommends to end in so many
/// words (<https://docs.aws.amazon.com/vpc/latest/privatelink/configure-endpoint-service.html#manage-supported-regions>).
fn warn_of_regions(
    lowering: &Lowering<'_>,
    lowered: &mut Lowered,
    there: Option<&Live>,
    wanted: &BTreeSet<String>,
) {
    let had = there.map(|live| texts(live, "supported_regions")).unwrap_or_default();
    let live = ExposureFacts::of(lowering.world, lowering.name()).live_from;
    for region in had.difference(wanted) {
        let Some(connected) = live.get(region) else { continue };
        let connected = connected.iter().cloned().collect::<Vec<_>>().join(", ");
        lowered.warnings.push(format!(
            "{}: {region} leaves `supported_regions`: nobody can ask from there any more, but AWS leaves who is connected from there: \
             {connected}; `privnet reject --sever-connections --connection ID` cuts one",
            lowering.name()
        ));
    }
}

/// Another private DNS name cuts nobody: "If the verification status changes, new connection requests are denied but existing
/// connections are not affected" (<https://docs.aws.amazon.com/vpc/latest/privatelink/configure-endpoint-service.html#associate-private-dns-name>).
/// How long endpoints go on answering to the old one is written nowhere.
fn warn_of_name(lowering: &Lowering<'_>, lowered: &mut Lowered, there: Option<&Live>, wanted: Option<&str>) {
    let Some(has) = there.and_then(|live| live.fields.get("private_dns_name")?.as_text()) else { return };
    let seen = lowering.world.services.get(lowering.name());
    let Some(seen) = seen.filter(|seen| seen.connections.may_be_live()) else { return };
    let known = seen.connections.known().iter().filter(|connection| connection.state.may_be_live());
    let connected = match known.count() {
        0 => "whoever is connected".to_owned(),
        live => format!("{live} live connection(s)"),
    };
    let becomes = match wanted {
        Some(wanted) if wanted.eq_ignore_ascii_case(has) => return,
        Some(wanted) => {
            format!("becomes {wanted}: until that is proven, new requests are denied, and {connected} stay")
        }
        None => format!("goes: {connected} stay"),
    };
    lowered.warnings.push(format!(
        "{}: the private DNS name {has} {becomes}, but clients that connect by the old name may not find the database any more: have \
         them use another name first",
        lowering.name()
    ));
}

/// The texts of a live field.
fn texts(live: &Live, field: &str) -> BTreeSet<String> {
    let members = live.fields.get(field).and_then(Value::as_list).unwrap_or_default();
    members.iter().filter_map(|member| member.as_text().map(str::to_owned)).collect()
}

/// Whether the verification of this name failed and its record still cannot be seen: then there is nothing to do but wait.
fn lacks_record(live: &Live, wanted: Option<&str>) -> bool {
    let record = live.fields.get("private_dns_record").and_then(Value::as_map);
    let part = |part: &str| record.and_then(|record| record.get(part));
    let failed =
        part("state").and_then(Value::as_text).is_some_and(|state| state.eq_ignore_ascii_case("failed"));
    has_name(live, wanted) && failed && part(SEEN) != Some(&Value::Bool(true))
}

/// Whether this is the service's private DNS name.
fn has_name(live: &Live, wanted: Option<&str>) -> bool {
    let name = live.fields.get("private_dns_name").and_then(Value::as_text);
    name.zip(wanted).is_some_and(|(name, wanted)| name.eq_ignore_ascii_case(wanted))
}

/// The private DNS name works once its TXT record is there and AWS has seen it.
fn wait_for_verification(
    lowering: &Lowering<'_>,
    lowered: &mut Lowered,
    live: Option<&Live>,
    wanted: Option<&str>,
) {
    let Some(name) = wanted else { return };
    let has = live.and_then(|live| live.fields.get("private_dns_name")?.as_text());
    if !has.is_some_and(|has| has.eq_ignore_ascii_case(name)) {
        let why =
            format!("the DNS record that proves {name}: `privnet handoff` prints it once AWS has told it");
        lowered.waits.push(lowering.wait("you", why));
        return;
    }
    let Some(record) = live.and_then(|live| live.fields.get("private_dns_record")?.as_map()) else { return };
    let part = |part: &str| record.get(part).and_then(Value::as_text).unwrap_or_default();
    let why = match part("state").to_ascii_lowercase().as_str() {
        "verified" => return,
        "failed" => "AWS did not find it; once it is there, `privnet apply` asks AWS to look again",
        _ => "AWS looks for it",
    };
    let why = format!(
        "the DNS record that proves {name}: in its public zone, {} {} \"{}\" ({why})",
        record_name(part("name"), name),
        part("type"),
        part("value")
    );
    lowered.waits.push(lowering.wait("you", why));
}

/// The record's whole name: AWS gives the part that goes before the domain.
pub(crate) fn record_name(record: &str, private_dns_name: &str) -> String {
    let domain = private_dns_name.trim_start_matches("*.");
    let record = record.trim_end_matches('.');
    if record.is_empty() || record.ends_with(domain) {
        record.to_owned()
    } else {
        format!("{record}.{domain}")
    }
}

/// A service of the user's own is looked at and never altered.
fn supplied(lowering: &Lowering<'_>, lowered: &mut Lowered, id: &EndpointServiceId) {
    let address = lowering.address(ENDPOINT_SERVICE, SUPPLIED);
    lowered.intent.exposed = address.clone();
    if let Some(live) = lowering.world.at(&address) {
        check_acceptance(lowering, lowered, &address, live, id);
    }
    lowered.resources.push(lowering.resource(address, Origin::Supplied, BTreeMap::new(), BTreeSet::new()));
}

/// Whether the supplied service decides as the file says.
fn check_acceptance(
    lowering: &Lowering<'_>,
    lowered: &mut Lowered,
    address: &Address,
    live: &Live,
    id: &EndpointServiceId,
) {
    let required = live.fields.get("acceptance_required").and_then(Value::as_bool).unwrap_or(true);
    match (lowering.service.acceptance, required) {
        (Acceptance::Manual, false) => {
            let why = format!(
                "the endpoint service {id} accepts everybody whom it allows, but the file wants `acceptance: manual`; privnet \
                 never alters what is yours: require acceptance there, or say `acceptance: automatic`"
            );
            lowered.refusals.push(lowering.refusal(address, Rule::Unsuitable, why));
        }
        (Acceptance::Automatic, true) => lowered.warnings.push(format!(
            "{}: the endpoint service {id} requires acceptance, which privnet does not alter: requests wait for \
             `privnet accept-pending` although the file says `acceptance: automatic`",
            lowering.name()
        )),
        (Acceptance::Manual, true) | (Acceptance::Automatic, false) => {}
    }
}

#[cfg(test)]
mod tests {
    use privnet_core::World;
    use privnet_core::spec::{CloudService, Spec};

    use super::*;
    use crate::facts::ServiceFacts;
    use crate::policy::tests::{defined, spec};

    fn supplied_spec() -> Spec {
        let form = AwsForm::EndpointService("vpce-svc-0123456789abcdef0".parse().unwrap());
        spec(form, "us-east-1", &[("acme", defined(&["arn:aws:iam::111122223333:root"], None))])
    }

    fn live(fields: BTreeMap<String, Value>) -> Live {
        Live {
            address: Address::new("orders", ENDPOINT_SERVICE, SUPPLIED),
            generation: None,
            scope: privnet_core::Scope("aws/123456789012/us-east-1".to_owned()),
            id: "vpce-svc-0123456789abcdef0".to_owned(),
            ownership: privnet_core::Ownership::Supplied,
            fields,
            outputs: BTreeMap::new(),
            health: privnet_core::Health::Ready,
        }
    }

    fn lowered(spec: &Spec, world: &World) -> Lowered {
        let CloudService::Aws(_) = &spec.services[0].cloud else {
            unreachable!("the tests' services are on AWS")
        };
        crate::lower::lower(spec, &spec.services[0], world)
    }

    #[test]
    fn a_supplied_service_that_accepts_by_itself_is_refused_in_words() {
        let mut world = World::default();
        world.live.push(live(BTreeMap::from([("acceptance_required".to_owned(), false.into())])));
        let mut spec = supplied_spec();
        let refused = lowered(&spec, &world);
        assert_eq!(refused.refusals.len(), 1, "{refused:?}");
        assert!(refused.refusals[0].why.contains("acceptance: manual"), "{refused:?}");
        assert_eq!(refused.intent.exposed.name, SUPPLIED);
        spec.services[0].acceptance = Acceptance::Automatic;
        assert_eq!(lowered(&spec, &world).refusals, []);
    }

    #[test]
    fn a_supplied_service_is_never_written() {
        let all = lowered(&supplied_spec(), &World::default()).resources;
        let of = |kind: &str| all.iter().filter(|resource| resource.address.kind == kind).collect::<Vec<_>>();
        assert_eq!(of(ENDPOINT_SERVICE)[0].origin, Origin::Supplied);
        assert_eq!(of(ENDPOINT_SERVICE).len(), 1);
        assert!(of(ENDPOINT_SERVICE)[0].fields.is_empty());
    }

    #[test]
    fn the_record_is_a_wait_until_it_is_verified() {
        let spec = supplied_spec();
        let CloudService::Aws(aws) = &spec.services[0].cloud else {
            unreachable!("the tests' services are on AWS")
        };
        let world = World::default();
        let lowering = Lowering {
            spec: &spec,
            service: &spec.services[0],
            aws,
            world: &world,
            facts: ServiceFacts::default(),
            scope: privnet_core::Scope("aws/123456789012/us-east-1".to_owned()),
        };
        let waits = |state: &str, wanted: Option<&str>| {
            let part = |key: &str, text: &str| (key.to_owned(), Value::text(text));
            let record = BTreeMap::from([
                part("name", "_abc"),
                part("type", "TXT"),
                part("value", "vpce:xyz"),
                part("state", state),
            ]);
            let fields = BTreeMap::from([
                part("private_dns_name", "*.db.corp.example"),
                ("private_dns_record".to_owned(), Value::map(record)),
            ]);
            let mut into = lowered(&spec, &world);
            into.waits.clear();
            wait_for_verification(&lowering, &mut into, Some(&live(fields)), wanted);
            into.waits
        };
        let found = waits("pendingVerification", Some("*.db.corp.example"));
        assert!(found[0].why.contains("_abc.db.corp.example TXT \"vpce:xyz\""), "{found:?}");
        assert!(waits("failed", Some("*.db.corp.example"))[0].why.contains("look again"));
        assert!(waits("verified", Some("*.db.corp.example")).is_empty());
        assert!(waits("pendingVerification", None).is_empty(), "the name is on its way out");
        assert!(
            waits("verified", Some("new.corp.example"))[0].why.contains("new.corp.example"),
            "a new name is to come"
        );
    }

    #[test]
    fn a_failed_verification_is_started_again_only_once_the_record_is_seen() {
        let with = |state: &str, seen: bool| {
            let part = |key: &str, text: &str| (key.to_owned(), Value::text(text));
            let mut record =
                BTreeMap::from([part("name", "_abc"), part("value", "vpce:xyz"), part("state", state)]);
            if seen {
                record.insert(SEEN.to_owned(), true.into());
            }
            let name = part("private_dns_name", "db.corp.example");
            live(BTreeMap::from([name, ("private_dns_record".to_owned(), Value::map(record))]))
        };
        let name = Some("db.corp.example");
        assert!(lacks_record(&with("failed", false), name));
        assert!(!lacks_record(&with("failed", true), name));
        assert!(!lacks_record(&with("pendingVerification", false), name));
        assert!(
            !lacks_record(&with("failed", false), Some("other.corp.example")),
            "another name starts anew"
        );
    }

    #[test]
    fn record_names_are_whole() {
        assert_eq!(record_name("_abc", "db.corp.example"), "_abc.db.corp.example");
        assert_eq!(record_name("_abc.db.corp.example.", "db.corp.example"), "_abc.db.corp.example");
    }
}
