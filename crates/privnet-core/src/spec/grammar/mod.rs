//! The tables of the format: every key, its shape, its default, and a line for editors.

pub(super) mod aws;
pub(super) mod azure;
pub(super) mod gcp;

use super::leaf;
use super::shape::{Key, MapShape, Shape};
use super::text::Text;
use super::{ConsumerName, DeploymentName, HostName, Seconds, ServiceName};
use super::{aws_ids, azure_ids, gcp_ids};

pub(super) use aws::{AWS, LOCATION as AWS_LOCATION};
pub(super) use azure::{AZURE, LOCATION as AZURE_LOCATION};
pub(super) use gcp::{GCP, LOCATION as GCP_LOCATION};

/// No limit of the format's own.
const ANY: usize = usize::MAX;

/// The whole file.
pub(super) static FILE: MapShape = MapShape {
    what: "a file",
    keys: &[
        Key::new("version", &Shape::Whole { least: 1, most: 1 }, "The version of the format.").required(),
        Key::new(
            "deployment",
            &Shape::Text(&DeploymentName::RULE),
            "The unit of ownership: everything that privnet makes is marked with it.",
        )
        .required(),
        Key::new(
            "tags",
            &Shape::Dict { key: &leaf::TAG_KEY, of: &Shape::Text(&leaf::TAG_VALUE) },
            "Tags for everything that takes tags or labels.",
        )
        .default("{}"),
        Key::new(
            "consumers",
            &Shape::Dict { key: &ConsumerName::RULE, of: &Shape::Map(&CONSUMER) },
            "Who may ask for a connection. A preset's name may be used without being defined.",
        )
        .default("{}"),
        Key::new("defaults", &Shape::Map(&DEFAULTS), "Location keys that the services of a cloud share."),
        Key::new(
            "services",
            &Shape::List { of: &Shape::Map(&SERVICE), least: 0, most: ANY },
            "The private paths.",
        )
        .required(),
    ],
    exactly_one: &[],
    elsewhere: &[
        (&SERVICE, "it belongs to a service"),
        (&AWS, "it belongs into the cloud's block of a service"),
    ],
};

pub(super) static CONSUMER: MapShape = MapShape {
    what: "a consumer",
    keys: &[
        Key::new("preset", &Shape::Text(&leaf::PRESET_NAME), "The preset that fills what is not given here."),
        Key::new("aws", &Shape::Map(&CONSUMER_AWS), "The consumer as AWS knows it."),
        Key::new("azure", &Shape::Map(&CONSUMER_AZURE), "The consumer as Azure knows it."),
        Key::new("gcp", &Shape::Map(&CONSUMER_GCP), "The consumer as GCP knows it."),
    ],
    exactly_one: &[],
    elsewhere: &[
        (&CONSUMER_AWS, "it belongs into `aws`"),
        (&CONSUMER_AZURE, "it belongs into `azure`"),
        (&CONSUMER_GCP, "it belongs into `gcp`"),
        (&ALLOW, "it belongs to `allow` of a service"),
    ],
};

pub(super) static CONSUMER_AWS: MapShape = MapShape {
    what: "a consumer's `aws`",
    keys: &[
        Key::new(
            "principals",
            &Shape::List { of: &Shape::TextOrAnyone(&aws_ids::PrincipalArn::RULE), least: 1, most: ANY },
            "IAM principals that may make endpoints.",
        ),
        Key::new(
            "cidrs",
            &Shape::List { of: &Shape::Text(&<ipnet::IpNet as Text>::RULE), least: 1, most: ANY },
            "Where its traffic comes from.",
        ),
    ],
    exactly_one: &[],
    elsewhere: &[],
};

pub(super) static CONSUMER_AZURE: MapShape = MapShape {
    what: "a consumer's `azure`",
    keys: &[
        Key::new(
            "subscriptions",
            &Shape::List { of: &Shape::TextOrAnyone(&azure_ids::SubscriptionId::RULE), least: 1, most: 100 },
            "Subscriptions that its private endpoints are in.",
        ),
        Key::new(
            "endpoints",
            &Shape::List { of: &Shape::Text(&azure_ids::ArmId::RULE), least: 1, most: ANY },
            "Its private endpoints by resource id, where they are known.",
        ),
    ],
    exactly_one: &[],
    elsewhere: &[],
};

pub(super) static CONSUMER_GCP: MapShape = MapShape {
    what: "a consumer's `gcp`",
    keys: &[
        Key::new(
            "projects",
            &Shape::List { of: &Shape::TextOrAnyone(&gcp_ids::ProjectRef::RULE), least: 1, most: 5000 },
            "Projects that its endpoints are in, by id or number.",
        ),
        Key::new(
            "networks",
            &Shape::List { of: &Shape::Text(&gcp_ids::NetworkPath::RULE), least: 1, most: 5000 },
            "Networks that its endpoints are in.",
        ),
    ],
    exactly_one: &[],
    elsewhere: &[],
};

static DEFAULTS: MapShape = MapShape {
    what: "`defaults`",
    keys: &[
        Key::new("aws", &Shape::Map(&AWS_LOCATION), "Location keys of the services on AWS."),
        Key::new("azure", &Shape::Map(&AZURE_LOCATION), "Location keys of the services on Azure."),
        Key::new("gcp", &Shape::Map(&GCP_LOCATION), "Location keys of the services on GCP."),
    ],
    exactly_one: &[],
    elsewhere: &[(&SERVICE, "it belongs to a service; `defaults` has a map for each cloud")],
};

/// One service.
pub(super) static SERVICE: MapShape = MapShape {
    what: "a service",
    keys: &[
        Key::new("name", &Shape::Text(&ServiceName::RULE), "The service's name within the deployment.")
            .required(),
        Key::new(
            "allow",
            &Shape::Dict { key: &ConsumerName::RULE, of: &Shape::Map(&ALLOW) },
            "Who may connect, and what it may have.",
        ),
        Key::new("acceptance", &Shape::Word(&["manual", "automatic"]), "Who decides on a request.")
            .default("manual"),
        Key::new(
            "allow_anyone",
            &Shape::Flag,
            "Consumers with the wildcard `*` may be allowed. Never together with automatic acceptance.",
        )
        .default("false"),
        Key::new(
            "remove",
            &Shape::Flag,
            "A tombstone: what the service had is removed; its location stays in the file.",
        )
        .default("false"),
        Key::new("aws", &Shape::Map(&AWS), "The service is on AWS."),
        Key::new("azure", &Shape::Map(&AZURE), "The service is on Azure."),
        Key::new("gcp", &Shape::Map(&GCP), "The service is on GCP."),
    ],
    exactly_one: &["aws", "azure", "gcp"],
    elsewhere: &[
        (&ALLOW, "it belongs to a consumer under `allow`"),
        (&AWS, "it belongs into the cloud's block"),
        (&AZURE, "it belongs into the cloud's block"),
        (&GCP, "it belongs into the cloud's block"),
    ],
};

pub(super) static ALLOW: MapShape = MapShape {
    what: "an allowed consumer",
    keys: &[
        Key::new("max_connections", &Shape::Whole { least: 1, most: u32::MAX as u64 }, "How many of its connections may be accepted.").default("1"),
        Key::new("only", &Shape::List { of: &Shape::Text(&leaf::ENDPOINT), least: 0, most: ANY }, "The endpoints that the vendor named: AWS VPC endpoint ids, Azure resource ids, GCP PSC_CONNECTION_IDs.").default("[]"),
    ],
    exactly_one: &[],
    elsewhere: &[(&CONSUMER, "it belongs to the consumer under `consumers`")],
};

const PORT: Shape = Shape::Whole { least: 1, most: 65535 };
const DURATION: Shape = Shape::Text(&<Seconds as Text>::RULE);

const LISTEN: Key = Key::new("listen", &PORT, "The port that the consumer connects to.").required();
const TARGET_PORT: Key =
    Key::new("port", &PORT, "The port of the database; the same as `listen` unless given.");
const ENGINE: Key = Key::new(
    "engine",
    &Shape::Word(&["postgres", "mysql", "sqlserver", "oracle", "other"]),
    "What speaks there, for health checks that complete a handshake.",
);
static CHECKED: Shape = Shape::Map(&HEALTH);
const HEALTH_CHECK: Key = Key::new("health_check", &CHECKED, "How the load balancer checks the target.");

pub(super) static HEALTH: MapShape = MapShape {
    what: "a health check",
    keys: &[
        Key::new("port", &PORT, "The port to check; the traffic's own unless given."),
        Key::new(
            "http",
            &Shape::Text(&leaf::HTTP_PATH),
            "The path of an HTTP check; a TCP check unless given.",
        ),
        Key::new("interval", &DURATION, "Time between two checks.").default("10s"),
        Key::new(
            "threshold",
            &Shape::Whole { least: 1, most: 100 },
            "How many equal answers change the state.",
        )
        .default("3"),
    ],
    exactly_one: &[],
    elsewhere: &[],
};

/// What a forwarder leads to.
const UPSTREAM_ELSEWHERE: &[(&MapShape, &str)] =
    &[(&UPSTREAM, "it belongs into `to: { forwarder: … }` of a port")];

static FORWARDED: Shape = Shape::OneOf(&UPSTREAM);
const TO_FORWARDER: Key = Key::new("forwarder", &FORWARDED, "Something that only a forwarder can reach.");

static UPSTREAM: MapShape = MapShape {
    what: "a forwarder's target",
    keys: &[
        Key::new(
            "dns",
            &Shape::Text(&HostName::RULE),
            "A name that the forwarder resolves, and follows when it moves.",
        ),
        Key::new("ip", &Shape::Text(&leaf::TARGET_ADDRESS), "A fixed private address."),
    ],
    exactly_one: &[],
    elsewhere: &[],
};

const COUNT: Key =
    Key::new("count", &Shape::Whole { least: 2, most: 100 }, "How many machines; at least two.").default("2");
const FORWARDER_DRAIN: Key =
    Key::new("drain", &DURATION, "How long an old group keeps serving its sessions before it goes.")
        .default("300s");
const RESOLVER: Shape = Shape::TextOrList(
    &Shape::Text(&leaf::RESOLVER),
    &Shape::List { of: &Shape::Text(&leaf::NAME_SERVER), least: 1, most: 3 },
);
const FORWARDER_RESOLVER: Key =
    Key::new("resolver", &RESOLVER, "Who resolves names: `system`, or addresses of name servers.")
        .default("system");

const EXISTING_HINT: &str = "name what is there under `existing`";
