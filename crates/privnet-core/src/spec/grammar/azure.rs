//! The tables of an Azure block.

use super::super::HostName;
use super::super::azure_ids::{
    ArmId, AzureLocationName, AzureName, AzureSize, AzureZone, ResourceGroupName, Subresource, SubscriptionId,
};
use super::super::leaf;
use super::super::shape::{Key, MapShape, Shape};
use super::super::text::{Text, TextProblem, TextRule};
use super::{
    ANY, COUNT, ENGINE, EXISTING_HINT, FORWARDER_DRAIN, FORWARDER_RESOLVER, HEALTH_CHECK, LISTEN,
    TARGET_PORT, TO_FORWARDER,
};

/// A resource by its name in the service's resource group or virtual network, or by its full id.
const NAME_OR_ID: TextRule = TextRule {
    what: "the name or id of an Azure resource",
    pattern: Some("^(/.+|[A-Za-z0-9]([A-Za-z0-9._-]{0,78}[A-Za-z0-9_])?)$"),
    example: "hub",
    check: |text| -> Result<(), TextProblem> {
        if text.starts_with('/') {
            ArmId::parse_text(text).map(|_| ())
        } else {
            AzureName::parse_text(text).map(|_| ())
        }
    },
};

const SUBSCRIPTION: Key = Key::new("subscription", &Shape::Text(&SubscriptionId::RULE), "The subscription.");
const GROUP: Key = Key::new("resource_group", &Shape::Text(&ResourceGroupName::RULE), "The resource group.");
const PLACE: Key =
    Key::new("location", &Shape::Text(&AzureLocationName::RULE), "The location, by its short name.");
const VNET: Key = Key::new("vnet", &Shape::Text(&NAME_OR_ID), "The virtual network.");
const FRONTEND_SUBNET: Key = Key::new(
    "load_balancer_subnet",
    &Shape::Text(&NAME_OR_ID),
    "The subnet of the load balancer's frontend.",
);

/// What `defaults` may hold for Azure.
pub(in super::super) static LOCATION: MapShape = MapShape {
    what: "`defaults.azure`",
    keys: &[SUBSCRIPTION, GROUP, PLACE, VNET, FRONTEND_SUBNET],
    exactly_one: &[],
    elsewhere: &[(&AZURE, "it belongs to each service; `defaults` holds location keys only")],
};

/// A service's Azure block.
pub(in super::super) static AZURE: MapShape = MapShape {
    what: "a service on Azure",
    keys: &[
        SUBSCRIPTION,
        GROUP,
        PLACE,
        VNET,
        FRONTEND_SUBNET,
        Key::new("nat_subnet", &Shape::OneOf(&NAT_SUBNET), "The subnet of the NAT addresses."),
        Key::new("nat_addresses", &Shape::Whole { least: 1, most: 8 }, "How many NAT addresses.")
            .default("1"),
        Key::new(
            "disable_subnet_policies",
            &Shape::Flag,
            "The network policy of an existing NAT subnet may be switched off.",
        )
        .default("false"),
        Key::new("join_nics", &Shape::Flag, "NICs of your own machines may be joined to the pool.")
            .default("false"),
        Key::new(
            "fqdns",
            &Shape::List { of: &Shape::Text(&HostName::RULE), least: 0, most: ANY },
            "Names that consumers may use.",
        )
        .default("[]"),
        Key::new(
            "access_mode",
            &Shape::Word(&["restricted", "default"]),
            "Whether access is limited to the consumers' subscriptions.",
        )
        .default("restricted"),
        Key::new("proxy_protocol", &Shape::Flag, "The PROXY v2 header is sent to targets.").default("false"),
        Key::new("ports", &Shape::List { of: &Shape::Map(&PORT), least: 1, most: ANY }, "The ports."),
        Key::new(
            "forwarder",
            &Shape::Map(&FORWARDER),
            "The machines that forward to what the load balancer cannot target.",
        ),
        Key::new("existing", &Shape::OneOf(&EXISTING), "What is there instead of being made."),
        Key::new(
            "hosted",
            &Shape::Map(&HOSTED),
            "A service that Azure hosts; it excludes the rest but `subscription`.",
        ),
    ],
    exactly_one: &[],
    elsewhere: &[
        (&super::SERVICE, "it belongs to the service, outside the `azure` block"),
        (&PORT, "it belongs to a port"),
        (&HOSTED, "it belongs into `hosted`"),
        (&EXISTING, EXISTING_HINT),
        (&super::aws::AWS, "that is a key of services on AWS"),
        (&super::gcp::GCP, "that is a key of services on GCP"),
    ],
};

pub(in super::super) static NAT_SUBNET: MapShape = MapShape {
    what: "`nat_subnet`",
    keys: &[
        Key::new("create", &Shape::Map(&CREATE), "A subnet to make."),
        Key::new("existing", &Shape::Text(&NAME_OR_ID), "A subnet of the virtual network that exists."),
    ],
    exactly_one: &[],
    elsewhere: &[(&CREATE, "it belongs into `create`")],
};

pub(in super::super) static CREATE: MapShape = MapShape {
    what: "`create`",
    keys: &[Key::new("cidr", &Shape::Text(&leaf::NAT_RANGE), "The range.").required()],
    exactly_one: &[],
    elsewhere: &[],
};

pub(in super::super) static EXISTING: MapShape = MapShape {
    what: "`existing` on Azure",
    keys: &[
        Key::new("private_link_service", &Shape::Text(&ArmId::RULE), "A private link service."),
        Key::new(
            "load_balancer_frontend",
            &Shape::Text(&ArmId::RULE),
            "A frontend of an internal Standard load balancer.",
        ),
    ],
    exactly_one: &[],
    elsewhere: &[],
};

pub(in super::super) static HOSTED: MapShape = MapShape {
    what: "`hosted`",
    keys: &[
        Key::new("resource_id", &Shape::Text(&ArmId::RULE), "The resource.").required(),
        Key::new("subresource", &Shape::Text(&Subresource::RULE), "The part of it that is connected to.")
            .required(),
    ],
    exactly_one: &[],
    elsewhere: &[],
};

pub(in super::super) static PORT: MapShape = MapShape {
    what: "a port on Azure",
    keys: &[
        LISTEN,
        TARGET_PORT,
        Key::new("to", &Shape::OneOf(&TO), "Where the port leads.").required(),
        ENGINE,
        HEALTH_CHECK,
    ],
    exactly_one: &[],
    elsewhere: &[(&TO, "it belongs into `to`"), (&super::HEALTH, "it belongs into `health_check`")],
};

pub(in super::super) static TO: MapShape = MapShape {
    what: "`to` on Azure",
    keys: &[
        Key::new(
            "nics",
            &Shape::List { of: &Shape::Text(&NAME_OR_ID), least: 1, most: ANY },
            "Network interfaces of your own machines.",
        ),
        TO_FORWARDER,
    ],
    exactly_one: &[],
    elsewhere: &[(&super::aws::TO, "that is a target on AWS"), (&super::gcp::TO, "that is a target on GCP")],
};

pub(in super::super) static FORWARDER: MapShape = MapShape {
    what: "`forwarder`",
    keys: &[
        Key::new(
            "subnets",
            &Shape::List { of: &Shape::Text(&NAME_OR_ID), least: 1, most: ANY },
            "Where the machines stand.",
        )
        .required(),
        Key::new(
            "zones",
            &Shape::List { of: &Shape::Text(&AzureZone::RULE), least: 1, most: 3 },
            "The zones to use; all unless given.",
        ),
        COUNT,
        Key::new("size", &Shape::Text(&AzureSize::RULE), "The VM size.").required(),
        Key::new(
            "image",
            &Shape::Text(&leaf::AZURE_IMAGE),
            "The machine image; it must hold nft and python3.",
        ),
        FORWARDER_DRAIN,
        FORWARDER_RESOLVER,
    ],
    exactly_one: &[],
    elsewhere: super::UPSTREAM_ELSEWHERE,
};
