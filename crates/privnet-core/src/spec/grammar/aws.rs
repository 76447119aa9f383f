//! The tables of an AWS block.

use ipnet::IpNet;

use super::super::HostName;
use super::super::aws_ids::{
    AccountId, ApplicationLoadBalancerArn, CertificateArn, EndpointServiceId, ExternalId, InstanceId,
    InstanceType, NetworkLoadBalancerArn, PrivateDnsName, ProfileName, Region, RoleArn, SecurityGroupId,
    SubnetId, TopicArn, VpcId, ZoneName,
};
use super::super::leaf;
use super::super::shape::{Key, MapShape, Shape};
use super::super::text::Text;
use super::{
    ANY, COUNT, DURATION, ENGINE, EXISTING_HINT, FORWARDER_DRAIN, FORWARDER_RESOLVER, HEALTH_CHECK, LISTEN,
    RESOLVER, TARGET_PORT, TO_FORWARDER,
};

const CIDRS: Shape = Shape::List { of: &Shape::Text(&<IpNet as Text>::RULE), least: 1, most: ANY };
const SUBNETS: Shape = Shape::List { of: &Shape::Text(&SubnetId::RULE), least: 1, most: ANY };

const ACCOUNT: Key =
    Key::new("account", &Shape::Text(&AccountId::RULE), "The account that the credentials must belong to.");
const REGION: Key = Key::new("region", &Shape::Text(&Region::RULE), "The region.");
const PROFILE: Key =
    Key::new("profile", &Shape::Text(&ProfileName::RULE), "A profile of the AWS configuration files.");
static ASSUMED: Shape = Shape::Map(&ROLE);
const ASSUME_ROLE: Key = Key::new("assume_role", &ASSUMED, "A role to take on.");
const VPC: Key = Key::new("vpc", &Shape::Text(&VpcId::RULE), "The VPC.");
const SUBNET_KEY: Key = Key::new("subnets", &SUBNETS, "The subnets of the load balancer, one in each zone.");

/// What `defaults` may hold for AWS.
pub(in super::super) static LOCATION: MapShape = MapShape {
    what: "`defaults.aws`",
    keys: &[ACCOUNT, REGION, PROFILE, ASSUME_ROLE, VPC, SUBNET_KEY],
    exactly_one: &[],
    elsewhere: &[(&AWS, "it belongs to each service; `defaults` holds location keys only")],
};

/// A service's AWS block.
pub(in super::super) static AWS: MapShape = MapShape {
    what: "a service on AWS",
    keys: &[
        ACCOUNT,
        REGION,
        PROFILE,
        ASSUME_ROLE,
        VPC,
        SUBNET_KEY,
        Key::new("ports", &Shape::List { of: &Shape::Map(&PORT), least: 1, most: 50 }, "The ports."),
        Key::new(
            "ip_address_type",
            &Shape::Word(&["ipv4", "dualstack"]),
            "The load balancer's address families.",
        )
        .default("ipv4"),
        Key::new("cross_zone", &Shape::Flag, "Each node sends to targets of every zone.").default("true"),
        Key::new("deletion_protection", &Shape::Flag, "The API refuses to delete the load balancer.")
            .default("false"),
        Key::new(
            "enforce_inbound",
            &Shape::Map(&INBOUND),
            "Inbound rules for PrivateLink traffic. Without it they are not enforced, and there are none.",
        ),
        Key::new(
            "database_security_groups",
            &Shape::List { of: &Shape::Text(&SecurityGroupId::RULE), least: 0, most: ANY },
            "Security groups of databases; each gets one rule for the load balancer.",
        )
        .default("[]"),
        Key::new(
            "private_dns_name",
            &Shape::Text(&PrivateDnsName::RULE),
            "A name of your own domain that consumers may use.",
        ),
        Key::new(
            "supported_regions",
            &Shape::List { of: &Shape::Text(&Region::RULE), least: 1, most: ANY },
            "Further regions that consumers may connect from.",
        ),
        Key::new("notification", &Shape::Map(&NOTIFICATION), "Whom to notify of connection events."),
        Key::new("drain", &DURATION, "How long a target that goes keeps its sessions.").default("300s"),
        Key::new("tcp_idle_timeout", &DURATION, "How long a listener keeps an idle session.").default("350s"),
        Key::new("proxy_protocol", &Shape::Flag, "The PROXY v2 header is sent to targets.").default("false"),
        Key::new(
            "resolver",
            &RESOLVER,
            "Who resolves `dns` targets: `system`, or addresses of name servers.",
        )
        .default("system"),
        Key::new(
            "target_ranges",
            &CIDRS,
            "Where addresses of `dns` targets may lie; the VPC's ranges unless given.",
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
        (&super::SERVICE, "it belongs to the service, outside the `aws` block"),
        (&PORT, "it belongs to a port"),
        (&EXISTING, EXISTING_HINT),
        (&super::azure::AZURE, "that is a key of services on Azure"),
        (&super::gcp::GCP, "that is a key of services on GCP"),
    ],
};

pub(in super::super) static ROLE: MapShape = MapShape {
    what: "`assume_role`",
    keys: &[
        Key::new("arn", &Shape::Text(&RoleArn::RULE), "The role.").required(),
        Key::new(
            "external_id",
            &Shape::Text(&ExternalId::RULE),
            "The external id that its trust policy asks for.",
        ),
    ],
    exactly_one: &[],
    elsewhere: &[],
};

pub(in super::super) static INBOUND: MapShape = MapShape {
    what: "`enforce_inbound`",
    keys: &[Key::new("cidrs", &CIDRS, "Where traffic may come from.").required()],
    exactly_one: &[],
    elsewhere: &[],
};

pub(in super::super) static NOTIFICATION: MapShape = MapShape {
    what: "`notification`",
    keys: &[
        Key::new("sns_topic", &Shape::Text(&TopicArn::RULE), "The topic.").required(),
        Key::new(
            "events",
            &Shape::List { of: &Shape::Word(&["Accept", "Reject", "Connect", "Delete"]), least: 1, most: 4 },
            "The events.",
        )
        .default(r#"["Accept", "Reject", "Connect", "Delete"]"#),
    ],
    exactly_one: &[],
    elsewhere: &[],
};

pub(in super::super) static EXISTING: MapShape = MapShape {
    what: "`existing` on AWS",
    keys: &[
        Key::new("load_balancer", &Shape::Text(&NetworkLoadBalancerArn::RULE), "A network load balancer."),
        Key::new(
            "endpoint_service",
            &Shape::Text(&EndpointServiceId::RULE),
            "An endpoint service, by id or name.",
        ),
    ],
    exactly_one: &[],
    elsewhere: &[],
};

pub(in super::super) static PORT: MapShape = MapShape {
    what: "a port on AWS",
    keys: &[
        LISTEN,
        TARGET_PORT,
        Key::new("to", &Shape::OneOf(&TO), "Where the port leads.").required(),
        ENGINE,
        HEALTH_CHECK,
        Key::new("tls", &Shape::Map(&TLS), "The listener terminates TLS."),
    ],
    exactly_one: &[],
    elsewhere: &[(&TO, "it belongs into `to`"), (&super::HEALTH, "it belongs into `health_check`")],
};

pub(in super::super) static TLS: MapShape = MapShape {
    what: "`tls`",
    keys: &[Key::new("certificate", &Shape::Text(&CertificateArn::RULE), "The certificate.").required()],
    exactly_one: &[],
    elsewhere: &[],
};

pub(in super::super) static TO: MapShape = MapShape {
    what: "`to` on AWS",
    keys: &[
        Key::new(
            "ips",
            &Shape::List { of: &Shape::Text(&leaf::TARGET_ADDRESS), least: 1, most: ANY },
            "Private addresses.",
        ),
        Key::new(
            "instances",
            &Shape::List { of: &Shape::Text(&InstanceId::RULE), least: 1, most: ANY },
            "Instances.",
        ),
        Key::new("dns", &Shape::Text(&HostName::RULE), "A name whose addresses are followed."),
        Key::new("alb", &Shape::Text(&ApplicationLoadBalancerArn::RULE), "An application load balancer."),
        TO_FORWARDER,
    ],
    exactly_one: &[],
    elsewhere: &[
        (&super::azure::TO, "that is a target on Azure"),
        (&super::gcp::TO, "that is a target on GCP"),
    ],
};

pub(in super::super) static FORWARDER: MapShape = MapShape {
    what: "`forwarder`",
    keys: &[
        Key::new("subnets", &SUBNETS, "Where the machines stand.").required(),
        Key::new(
            "zones",
            &Shape::List { of: &Shape::Text(&ZoneName::RULE), least: 1, most: ANY },
            "The zones to use; all unless given.",
        ),
        COUNT,
        Key::new("size", &Shape::Text(&InstanceType::RULE), "The instance type.").required(),
        Key::new("image", &Shape::Text(&leaf::AWS_IMAGE), "The machine image; it must hold nft and python3."),
        FORWARDER_DRAIN,
        FORWARDER_RESOLVER,
    ],
    exactly_one: &[],
    elsewhere: super::UPSTREAM_ELSEWHERE,
};
