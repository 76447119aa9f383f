//! The endpoint service: what consumers connect to.
//!
//! Everything of it can be modified in place
//! (<https://docs.aws.amazon.com/AWSEC2/latest/APIReference/API_ModifyVpcEndpointServiceConfiguration.html>), so that the
//! hand-over, its name, is kept. It has no name of the user's: it is found by its tags and its load balancer.

mod change;
mod create;
mod delete;
mod lower;

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use aws_sdk_ec2::types::{ServiceConfiguration, ServiceState};
use privnet_core::kind::{Change, Shape};
use privnet_core::{Error, Field, Health, Kind, Live, Replacement, Value};

use crate::fields::Fields;
use crate::kinds::ENDPOINT_SERVICE;
use crate::network::tags_of;
use crate::observe::Snapshot;
use crate::ownership::{self, TagMap};

pub(crate) use change::{leave_ipv6, update};
pub(crate) use create::create;
pub(crate) use delete::delete;
pub(crate) use lower::{lower, opening, record_name};

/// The name within its service of an endpoint service that the user supplied.
pub(crate) const SUPPLIED: &str = "supplied";

/// The tag that says for which private DNS name the verification was started.
const VERIFICATION_TAG: &str = "privnet:dns-verification";
/// The part of the field `private_dns_record` that says that the record is there.
const SEEN: &str = "seen";
/// What the field `private_dns_verification` says once the verification was started.
const STARTED: &str = "started";
/// AWS shows no address types for services of before there were types: those take IPv4.
const DEFAULT_TYPE: &str = "ipv4";

pub(crate) const KIND: Kind = Kind {
    name: ENDPOINT_SERVICE,
    title: "endpoint service",
    fields: &[
        // Sessions go through the load balancer that they began at.
        Field::managed("load_balancers")
            .on_change(Change::GrowUnlessConnected)
            .shaped(Shape::Set)
            .naming_targets(),
        Field::managed("acceptance_required"),
        // What AWS does with endpoints that have addresses of a type that goes is not documented: they are taken to be cut.
        Field::managed("ip_address_types").on_change(Change::GrowUnlessConnected).shaped(Shape::Set),
        // Zones that the load balancer gains reach the service only when it is associated again.
        Field::if_set("zones").shaped(Shape::Set),
        Field::managed("private_dns_name").shaped(Shape::IgnoreCase),
        Field::if_set("private_dns_verification"),
        // Besides its own.
        Field::if_set("supported_regions").shaped(Shape::Set),
        Field::managed("tags"),
        Field::observed("service_name"),
        Field::observed("host"),
        Field::observed("zone_ids"),
        Field::observed("private_dns_record"),
        Field::observed("region_states"),
    ],
    replacement: Replacement::CreateFirst,
    teardown_rank: 10,
    severs: true,
    serialized_by: &[],
    telling: &["service_name"],
};

/// An endpoint service's managed fields.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
struct EndpointService {
    load_balancers: BTreeSet<String>,
    acceptance_required: bool,
    ip_address_types: BTreeSet<String>,
    /// By the account's own names; absent where nobody knows which it should have.
    zones: Option<BTreeSet<String>>,
    private_dns_name: Option<String>,
    private_dns_verification: Option<String>,
    /// Besides its own; absent: not managed.
    supported_regions: Option<BTreeSet<String>>,
    tags: TagMap,
}

impl EndpointService {
    /// What a described service has.
    fn of(service: &ServiceConfiguration, region: &str) -> Self {
        let tags = tags_of(service.tags());
        let types = service.supported_ip_address_types().iter().map(|kind| kind.as_str().to_lowercase());
        let mut ip_address_types: BTreeSet<String> = types.collect();
        if ip_address_types.is_empty() {
            ip_address_types.insert(DEFAULT_TYPE.to_owned());
        }
        let regions = service.supported_regions().iter().filter_map(|of| of.region());
        Self {
            load_balancers: service.network_load_balancer_arns().iter().cloned().collect(),
            acceptance_required: service.acceptance_required().unwrap_or(true),
            ip_address_types,
            zones: Some(service.availability_zones().iter().cloned().collect()),
            private_dns_name: service.private_dns_name().filter(|name| !name.is_empty()).map(str::to_owned),
            private_dns_verification: verification(service, &tags),
            supported_regions: Some(regions.filter(|other| *other != region).map(str::to_owned).collect()),
            tags: ownership::managed_tags(&tags),
        }
    }

    /// As a plan's fields.
    fn to_fields(&self) -> BTreeMap<String, Value> {
        let mut fields = BTreeMap::from([
            ("load_balancers".to_owned(), Value::texts(&self.load_balancers)),
            ("acceptance_required".to_owned(), self.acceptance_required.into()),
            ("ip_address_types".to_owned(), Value::texts(&self.ip_address_types)),
            ("private_dns_name".to_owned(), self.private_dns_name.clone().into()),
            ("tags".to_owned(), Value::text_map(&self.tags)),
        ]);
        if let Some(zones) = &self.zones {
            fields.insert("zones".to_owned(), Value::texts(zones));
        }
        if let Some(state) = &self.private_dns_verification {
            fields.insert("private_dns_verification".to_owned(), Value::text(state));
        }
        if let Some(regions) = &self.supported_regions {
            fields.insert("supported_regions".to_owned(), Value::texts(regions));
        }
        fields
    }

    /// From a plan's fields.
    fn from_fields(values: &BTreeMap<String, Value>) -> Result<Self, Error> {
        let fields = Fields::new(ENDPOINT_SERVICE, values);
        let if_set = |name: &str| values.contains_key(name).then(|| fields.texts(name)).transpose();
        Ok(Self {
            load_balancers: fields.texts("load_balancers")?,
            acceptance_required: fields.flag("acceptance_required")?,
            ip_address_types: fields.texts("ip_address_types")?,
            zones: if_set("zones")?,
            private_dns_name: fields.text_if_any("private_dns_name")?,
            private_dns_verification: fields.text_if_any("private_dns_verification")?,
            supported_regions: if_set("supported_regions")?,
            tags: fields.text_map("tags")?,
        })
    }
}

/// Where the verification of the private DNS name stands: `started` while it runs and once it has succeeded, else AWS's word
/// for its state. The state alone does not tell whether it was started; a tag of ours does.
fn verification(service: &ServiceConfiguration, tags: &TagMap) -> Option<String> {
    let name = service.private_dns_name().filter(|name| !name.is_empty())?;
    let state =
        service.private_dns_name_configuration().and_then(|of| of.state()).map_or("", |state| state.as_str());
    let started = tags.get(VERIFICATION_TAG).is_some_and(|of| of.eq_ignore_ascii_case(name));
    let done = state.eq_ignore_ascii_case("verified");
    let failed = state.eq_ignore_ascii_case("failed");
    Some(if done || (started && !failed) { STARTED.to_owned() } else { state.to_owned() })
}

/// Whether the service is gone or on its way out.
pub(crate) fn is_going(service: &ServiceConfiguration) -> bool {
    let word = service.service_state().map_or("", ServiceState::as_str).to_ascii_lowercase();
    matches!(word.as_str(), "deleting" | "deleted")
}

fn health(service: &ServiceConfiguration) -> Health {
    let state = service.service_state().map_or("unknown", ServiceState::as_str);
    match state.to_ascii_lowercase().as_str() {
        "available" => Health::Ready,
        "failed" => Health::Broken { state: state.to_owned() },
        _ => Health::Busy { state: state.to_owned() },
    }
}

/// What others refer to.
fn outputs(service: &ServiceConfiguration) -> BTreeMap<String, Value> {
    let texts = [("id", service.service_id()), ("service_name", service.service_name())];
    texts.into_iter().filter_map(|(name, text)| Some((name.to_owned(), Value::text(text?)))).collect()
}

/// What is read and never compared.
fn observed(service: &ServiceConfiguration) -> BTreeMap<String, Value> {
    let mut fields = BTreeMap::new();
    let mut add = |name: &str, value: Value| fields.insert(name.to_owned(), value);
    if let Some(name) = service.service_name() {
        add("service_name", Value::text(name));
    }
    if let Some(host) = service.base_endpoint_dns_names().first() {
        add("host", Value::text(host));
    }
    if !service.availability_zone_ids().is_empty() {
        add("zone_ids", Value::texts(service.availability_zone_ids()));
    }
    if let Some(record) = service.private_dns_name_configuration().filter(|record| record.value().is_some()) {
        let parts = [
            ("name", record.name()),
            ("type", record.r#type()),
            ("value", record.value()),
            ("state", record.state().map(|state| state.as_str())),
        ];
        let parts = parts.into_iter().filter_map(|(name, text)| Some((name.to_owned(), Value::text(text?))));
        add("private_dns_record", Value::map(parts.collect()));
    }
    let regions = service.supported_regions().iter();
    let states: BTreeMap<_, _> = regions
        .filter_map(|of| {
            Some((of.region()?.to_owned(), Value::text(of.service_state().unwrap_or("unknown"))))
        })
        .collect();
    if !states.is_empty() {
        add("region_states", Value::map(states));
    }
    fields
}

/// The record of a private DNS name whose verification failed: its whole name, its text, and where it stands in the live
/// resource.
pub(crate) fn failed_record(live: &mut Live) -> Option<(String, String, &mut BTreeMap<String, Value>)> {
    let private = live.fields.get("private_dns_name")?.as_text()?.to_owned();
    let Some(Value::Map(record)) = live.fields.get_mut("private_dns_record") else { return None };
    let part = |part: &str| record.get(part).and_then(Value::as_text).map(str::to_owned);
    let (name, value, state) = (part("name")?, part("value")?, part("state")?);
    state.eq_ignore_ascii_case("failed").then(|| (record_name(&name, &private), value, Arc::make_mut(record)))
}

/// Notes that the record was found.
pub(crate) fn mark_seen(record: &mut BTreeMap<String, Value>) {
    record.insert(SEEN.to_owned(), true.into());
}

/// Every endpoint service that concerns the deployment.
pub(crate) fn live(snapshot: &Snapshot<'_>) -> Vec<Live> {
    let region = &snapshot.reach.region;
    let services = snapshot.exposure.services.iter().map(|service| {
        let mut fields = EndpointService::of(&service.described, region).to_fields();
        fields.extend(observed(&service.described));
        Live {
            address: service.address.clone(),
            generation: service.generation,
            scope: snapshot.reach.scope.clone(),
            id: service.id.clone(),
            ownership: service.ownership.clone(),
            fields,
            outputs: outputs(&service.described),
            health: health(&service.described),
        }
    });
    services.collect()
}

#[cfg(test)]
mod tests {
    use aws_sdk_ec2::types::{
        DnsNameState, PrivateDnsNameConfiguration, ServiceConnectivityType, SupportedRegionDetail, Tag,
    };

    use super::*;

    fn texts(all: &[&str]) -> BTreeSet<String> {
        all.iter().map(|text| (*text).to_owned()).collect()
    }

    pub(super) fn full() -> EndpointService {
        EndpointService {
            load_balancers: texts(&["arn:b", "arn:a"]),
            acceptance_required: true,
            ip_address_types: texts(&["ipv4", "ipv6"]),
            zones: Some(texts(&["us-east-1a"])),
            private_dns_name: Some("db.corp.example".to_owned()),
            private_dns_verification: Some(STARTED.to_owned()),
            supported_regions: Some(texts(&["eu-west-1"])),
            tags: BTreeMap::from([("team".to_owned(), "data".to_owned())]),
        }
    }

    #[test]
    fn fields_read_back_what_was_written_and_the_table_knows_them() {
        let plain = EndpointService { acceptance_required: false, ..EndpointService::default() };
        for typed in [full(), plain] {
            let fields = typed.to_fields();
            assert_eq!(EndpointService::from_fields(&fields).unwrap(), typed);
            assert!(fields.keys().all(|name| KIND.field(name).is_some()), "{fields:?}");
        }
        assert!(observed(&described()).keys().all(|name| KIND.field(name).is_some()));
    }

    fn described() -> ServiceConfiguration {
        let record = PrivateDnsNameConfiguration::builder()
            .name("_x.db.corp.example")
            .r#type("TXT")
            .value("vpce:abc")
            .state(DnsNameState::PendingVerification)
            .build();
        let region =
            |name: &str| SupportedRegionDetail::builder().region(name).service_state("Available").build();
        ServiceConfiguration::builder()
            .service_id("vpce-svc-1")
            .service_name("com.amazonaws.vpce.us-east-1.vpce-svc-1")
            .base_endpoint_dns_names("vpce-svc-1.us-east-1.vpce.amazonaws.com")
            .availability_zones("us-east-1a")
            .availability_zone_ids("use1-az4")
            .network_load_balancer_arns("arn:a")
            .network_load_balancer_arns("arn:b")
            .acceptance_required(true)
            .supported_ip_address_types(ServiceConnectivityType::Ipv4)
            .supported_ip_address_types(ServiceConnectivityType::Ipv6)
            .private_dns_name("db.corp.example")
            .private_dns_name_configuration(record)
            .supported_regions(region("us-east-1"))
            .supported_regions(region("eu-west-1"))
            .service_state(ServiceState::Available)
            .tags(Tag::builder().key("team").value("data").build())
            .tags(Tag::builder().key("privnet:tags").value("team").build())
            .tags(Tag::builder().key(VERIFICATION_TAG).value("DB.corp.example").build())
            .build()
    }

    #[test]
    fn a_described_service_is_what_the_file_wants() {
        assert_eq!(EndpointService::of(&described(), "us-east-1"), full());
        assert_eq!(health(&described()), Health::Ready);
    }

    #[test]
    fn a_failed_verification_is_a_difference_and_one_that_was_never_started_too() {
        let of = |state: DnsNameState, tagged: bool| {
            let record = PrivateDnsNameConfiguration::builder().state(state).build();
            let service = ServiceConfiguration::builder()
                .private_dns_name("a.b")
                .private_dns_name_configuration(record);
            let tags = BTreeMap::from([(
                VERIFICATION_TAG.to_owned(),
                if tagged { "a.b" } else { "c.d" }.to_owned(),
            )]);
            verification(&service.build(), &tags).unwrap()
        };
        assert_eq!(of(DnsNameState::Verified, false), STARTED);
        assert_eq!(of(DnsNameState::PendingVerification, true), STARTED);
        assert_eq!(of(DnsNameState::PendingVerification, false), "pendingVerification");
        assert_eq!(of(DnsNameState::Failed, true), "failed");
    }

    #[test]
    fn the_record_of_a_failed_verification_is_looked_for() {
        let record = |state: DnsNameState| {
            let record = PrivateDnsNameConfiguration::builder().name("_x").value("vpce:abc").state(state);
            let service = ServiceConfiguration::builder().private_dns_name("a.b");
            let service = service.private_dns_name_configuration(record.build()).build();
            let mut fields = EndpointService::of(&service, "us-east-1").to_fields();
            fields.extend(observed(&service));
            Live {
                address: privnet_core::Address::new("orders", ENDPOINT_SERVICE, "main"),
                generation: None,
                scope: privnet_core::Scope("aws/123456789012/us-east-1".to_owned()),
                id: "vpce-svc-1".to_owned(),
                ownership: privnet_core::Ownership::Ours,
                fields,
                outputs: BTreeMap::new(),
                health: Health::Ready,
            }
        };
        let mut live = record(DnsNameState::Failed);
        let (name, value, found) = failed_record(&mut live).unwrap();
        assert_eq!((name.as_str(), value.as_str()), ("_x.a.b", "vpce:abc"));
        mark_seen(found);
        assert_eq!(live.fields["private_dns_record"].as_map().unwrap()[SEEN], Value::Bool(true));
        assert!(failed_record(&mut record(DnsNameState::PendingVerification)).is_none());
        assert!(failed_record(&mut record(DnsNameState::Verified)).is_none());
    }

    #[test]
    fn a_service_without_types_takes_ipv4() {
        let bare = EndpointService::of(&ServiceConfiguration::builder().build(), "us-east-1");
        assert_eq!(bare.ip_address_types, texts(&["ipv4"]));
        assert_eq!(bare.private_dns_verification, None);
    }

    #[test]
    fn going_and_broken_are_seen_in_any_case() {
        let in_state =
            |state: &str| ServiceConfiguration::builder().service_state(ServiceState::from(state)).build();
        assert!(
            is_going(&in_state("deleting"))
                && is_going(&in_state("Deleted"))
                && !is_going(&in_state("Pending"))
        );
        assert_eq!(health(&in_state("available")), Health::Ready);
        assert!(matches!(health(&in_state("Failed")), Health::Broken { .. }));
        assert!(matches!(health(&in_state("Pending")), Health::Busy { .. }));
    }
}
