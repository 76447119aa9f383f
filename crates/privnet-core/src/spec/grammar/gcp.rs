//! The tables of a GCP block.

use super::super::gcp_ids::{
    DomainName, GcpInstance, GcpInstanceGroup, GcpName, GcpRegion, GcpZone, MachineType, ProjectId,
    RegionalRef,
};
use super::super::leaf;
use super::super::shape::{Key, MapShape, Shape};
use super::super::text::Text;
use super::{
    ANY, COUNT, ENGINE, EXISTING_HINT, FORWARDER_DRAIN, FORWARDER_RESOLVER, HEALTH_CHECK, LISTEN,
    TARGET_PORT, TO_FORWARDER,
};

const NAME: Shape = Shape::Text(&GcpName::RULE);

const PROJECT: Key = Key::new("project", &Shape::Text(&ProjectId::RULE), "The project.");
const REGION: Key = Key::new("region", &Shape::Text(&GcpRegion::RULE), "The region.");
const NETWORK: Key = Key::new("network", &NAME, "The network.");
const SUBNET: Key = Key::new("subnet", &NAME, "The subnet of the forwarding rule.");
const HOST_PROJECT: Key = Key::new(
    "host_project",
    &Shape::Text(&ProjectId::RULE),
    "The project of the network, with Shared VPC; `project` unless given.",
);

/// What `defaults` may hold for GCP.
pub(in super::super) static LOCATION: MapShape = MapShape {
    what: "`defaults.gcp`",
    keys: &[PROJECT, REGION, NETWORK, SUBNET, HOST_PROJECT],
    exactly_one: &[],
    elsewhere: &[(&GCP, "it belongs to each service; `defaults` holds location keys only")],
};

/// A service's GCP block.
pub(in super::super) static GCP: MapShape = MapShape {
    what: "a service on GCP",
    keys: &[
        PROJECT,
        REGION,
        NETWORK,
        SUBNET,
        HOST_PROJECT,
        Key::new(
            "nat_subnets",
            &Shape::List { of: &Shape::OneOf(&NAT_SUBNET), least: 1, most: ANY },
            "The subnets of the NAT addresses.",
        ),
        Key::new("ip_address", &Shape::Text(&leaf::ADDRESS_OR_AUTO), "The forwarding rule's address.")
            .default("auto"),
        Key::new(
            "domain_names",
            &Shape::List { of: &Shape::Text(&DomainName::RULE), least: 0, most: 1 },
            "The domain name of the service attachment.",
        )
        .default("[]"),
        Key::new(
            "accept_by",
            &Shape::Word(&["endpoint", "project", "network"]),
            "What an entry of the accept list names. `endpoint` with manual acceptance, `project` with automatic, unless given.",
        ),
        Key::new(
            "reconcile_connections",
            &Shape::Flag,
            "A change of the lists also cuts connections that were accepted before.",
        )
        .default("false"),
        Key::new("global_access", &Shape::Flag, "Clients of every region may use the forwarding rule.")
            .default("false"),
        Key::new(
            "all_ports",
            &Shape::Flag,
            "The forwarding rule takes all ports instead of the listed ones.",
        )
        .default("false"),
        Key::new(
            "propagated_connection_limit",
            &Shape::Whole { least: 0, most: u32::MAX as u64 },
            "How many propagated connections a consumer may have; not managed unless given.",
        ),
        Key::new("proxy_protocol", &Shape::Flag, "The PROXY v2 header is sent to targets.").default("false"),
        Key::new(
            "ports",
            &Shape::List { of: &Shape::Map(&PORT), least: 1, most: ANY },
            "The ports; at most five unless `all_ports`.",
        ),
        Key::new(
            "forwarder",
            &Shape::Map(&FORWARDER),
            "The machines that forward to what the load balancer cannot target.",
        ),
        Key::new("existing", &Shape::OneOf(&EXISTING), "What is there instead of being made."),
    ],
    exactly_one: &[],
    elsewhere: &[
        (&super::SERVICE, "it belongs to the service, outside the `gcp` block"),
        (&PORT, "it belongs to a port"),
        (&EXISTING, EXISTING_HINT),
        (&super::aws::AWS, "that is a key of services on AWS"),
        (&super::azure::AZURE, "that is a key of services on Azure"),
    ],
};

pub(in super::super) static NAT_SUBNET: MapShape = MapShape {
    what: "an entry of `nat_subnets`",
    keys: &[
        Key::new("create", &Shape::Map(&super::azure::CREATE), "A subnet to make."),
        Key::new("existing", &NAME, "A subnet of the network that exists."),
    ],
    exactly_one: &[],
    elsewhere: &[(&super::azure::CREATE, "it belongs into `create`")],
};

pub(in super::super) static EXISTING: MapShape = MapShape {
    what: "`existing` on GCP",
    keys: &[
        Key::new(
            "forwarding_rule",
            &Shape::Text(&RegionalRef::RULE),
            "A forwarding rule of an internal load balancer.",
        ),
        Key::new("service_attachment", &Shape::Text(&RegionalRef::RULE), "A service attachment."),
    ],
    exactly_one: &[],
    elsewhere: &[],
};

pub(in super::super) static PORT: MapShape = MapShape {
    what: "a port on GCP",
    keys: &[
        LISTEN,
        TARGET_PORT,
        Key::new(
            "to",
            &Shape::OneOf(&TO),
            "Where the port leads. Without a forwarder all ports lead to the same.",
        )
        .required(),
        ENGINE,
        HEALTH_CHECK,
    ],
    exactly_one: &[],
    elsewhere: &[(&TO, "it belongs into `to`"), (&super::HEALTH, "it belongs into `health_check`")],
};

pub(in super::super) static TO: MapShape = MapShape {
    what: "`to` on GCP",
    keys: &[
        Key::new(
            "instances",
            &Shape::List { of: &Shape::Text(&GcpInstance::RULE), least: 1, most: ANY },
            "Instances.",
        ),
        Key::new("instance_group", &Shape::Text(&GcpInstanceGroup::RULE), "An instance group."),
        TO_FORWARDER,
    ],
    exactly_one: &[],
    elsewhere: &[
        (&super::aws::TO, "that is a target on AWS"),
        (&super::azure::TO, "that is a target on Azure"),
    ],
};

pub(in super::super) static FORWARDER: MapShape = MapShape {
    what: "`forwarder`",
    keys: &[
        Key::new("subnets", &Shape::List { of: &NAME, least: 1, most: ANY }, "Where the machines stand.")
            .required(),
        Key::new(
            "zones",
            &Shape::List { of: &Shape::Text(&GcpZone::RULE), least: 1, most: ANY },
            "The zones to use; all unless given.",
        ),
        COUNT,
        Key::new("size", &Shape::Text(&MachineType::RULE), "The machine type.").required(),
        Key::new("image", &Shape::Text(&leaf::GCP_IMAGE), "The machine image; it must hold nft and python3."),
        FORWARDER_DRAIN,
        FORWARDER_RESOLVER,
    ],
    exactly_one: &[],
    elsewhere: super::UPSTREAM_ELSEWHERE,
};
