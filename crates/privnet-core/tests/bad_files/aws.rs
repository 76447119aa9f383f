//! What is wrong on AWS.

use crate::{Case, golden, table};

const BASE: &str = "\
version: 1
deployment: data-platform
defaults:
  aws: { account: \"123456789012\", region: us-east-1, vpc: vpc-0a1b2c3d4e5f60718, subnets: [subnet-0aaaaaaaaaaaaaaa1] }
services:
  - name: orders
    allow: { fivetran: {} }
    aws:
      cross_zone: true
      database_security_groups: [sg-0ddddddddddddddd4]
      ports:
        - listen: 5432
          engine: postgres
          to: { ips: [10.0.3.17, 10.0.4.17] }
        - { listen: 15432, port: 5432, to: { instances: [i-0123456789abcdef0] } }
  - name: legacy
    allow: { fivetran: {} }
    aws:
      existing: { load_balancer: \"arn:aws:elasticloadbalancing:us-east-1:123456789012:loadbalancer/net/db/0123456789abcdef\" }
";

const FIRST: &str = "      cross_zone: true\n";
const IPS: &str = "{ ips: [10.0.3.17, 10.0.4.17] }";
const LEGACY: &str = "      existing: { load_balancer: \"arn:aws:elasticloadbalancing:us-east-1:123456789012:loadbalancer/net/db/0123456789abcdef\" }\n";

pub(crate) const CASES: &[Case] = &[
    ("an account of eleven digits", "\"123456789012\"", "\"12345678901\""),
    ("no region", "region: us-east-1, ", ""),
    ("a zone for a region", "region: us-east-1,", "region: us-east-1a,"),
    ("no VPC", "vpc: vpc-0a1b2c3d4e5f60718, ", ""),
    ("a VPC's name for its id", "vpc-0a1b2c3d4e5f60718", "main"),
    ("no subnets", ", subnets: [subnet-0aaaaaaaaaaaaaaa1]", ""),
    ("a subnet's id with a wrong length", "subnet-0aaaaaaaaaaaaaaa1", "subnet-0aaaa"),
    ("a subnet twice", "[subnet-0aaaaaaaaaaaaaaa1]", "[subnet-0aaaaaaaaaaaaaaa1, subnet-0aaaaaaaaaaaaaaa1]"),
    ("a misspelt key", "cross_zone", "crosszone"),
    ("a key of a port in the block", FIRST, "      listen: 5432\n"),
    ("a misspelt key that another cloud has", FIRST, "      subnet: [subnet-0aaaaaaaaaaaaaaa1]\n"),
    (
        "no ports",
        "      ports:\n        - listen: 5432\n          engine: postgres\n          to: { ips: [10.0.3.17, 10.0.4.17] }\n        - { listen: 15432, port: 5432, to: { instances: [i-0123456789abcdef0] } }\n",
        "",
    ),
    (
        "an empty list of ports",
        "      ports:\n        - listen: 5432\n          engine: postgres\n          to: { ips: [10.0.3.17, 10.0.4.17] }\n        - { listen: 15432, port: 5432, to: { instances: [i-0123456789abcdef0] } }\n",
        "      ports: []\n",
    ),
    ("port 0", "listen: 5432", "listen: 0"),
    ("port 65536", "listen: 5432", "listen: 65536"),
    ("a port in octal", "listen: 5432", "listen: 05432"),
    ("two ports listen on one", "listen: 15432", "listen: 5432"),
    ("no target", IPS, "{}"),
    ("a target that is a text", IPS, "10.0.3.17"),
    ("two targets", IPS, "{ ips: [10.0.3.17], dns: db.corp.example }"),
    ("a target of another cloud", IPS, "{ nics: [db] }"),
    ("no addresses", IPS, "{ ips: [] }"),
    ("a public address", "10.0.4.17", "8.8.8.8"),
    ("a loopback address", "10.0.4.17", "127.0.0.1"),
    ("a name among addresses", "10.0.4.17", "db.corp.example"),
    ("an address twice", "10.0.4.17", "10.0.3.17"),
    ("both address families", "10.0.4.17", "\"fd00::17\""),
    ("IPv6 on a load balancer of IPv4", "[10.0.3.17, 10.0.4.17]", "[\"fd00::17\"]"),
    ("an address for a name", IPS, "{ dns: 10.0.3.17 }"),
    ("an instance's name for its id", "i-0123456789abcdef0", "db-1"),
    ("an unknown engine", "engine: postgres", "engine: postgresql"),
    ("an engine that privnet does not know", "engine: postgres", "engine: db2"),
    ("a health check that is too frequent", "engine: postgres", "health_check: { interval: 1s }"),
    ("a health check without patience", "engine: postgres", "health_check: { threshold: 1 }"),
    ("a health check by a full URL", "engine: postgres", "health_check: { http: \"http://x/health\" }"),
    ("a duration without a unit", FIRST, "      drain: 300\n"),
    ("a duration with two units", FIRST, "      drain: 5m30s\n"),
    ("a drain of two hours", FIRST, "      drain: 2h\n"),
    ("an idle timeout that is too short", FIRST, "      tcp_idle_timeout: 5s\n"),
    ("inbound ranges outside their map", FIRST, "      enforce_inbound: [10.0.0.0/8]\n"),
    ("a range with bits beyond its prefix", FIRST, "      enforce_inbound: { cidrs: [10.1.0.0/8] }\n"),
    ("an address for a range", FIRST, "      enforce_inbound: { cidrs: [10.1.0.9] }\n"),
    ("a security group's name for its id", "sg-0ddddddddddddddd4", "database"),
    ("another IP type", FIRST, "      ip_address_type: ipv6\n"),
    ("a private DNS name of Amazon's", FIRST, "      private_dns_name: db.us-east-1.rds.amazonaws.com\n"),
    ("a private DNS name without a domain", FIRST, "      private_dns_name: db\n"),
    ("a private DNS name that is a number", FIRST, "      private_dns_name: 1.5\n"),
    (
        "a forwarder's size that is a number",
        FIRST,
        "      forwarder: { subnets: [subnet-0aaaaaaaaaaaaaaa1], size: 1.5 }\n",
    ),
    ("a region of another partition", FIRST, "      supported_regions: [us-gov-west-1]\n"),
    (
        "a topic of another region",
        FIRST,
        "      notification: { sns_topic: \"arn:aws:sns:us-west-2:123456789012:t\" }\n",
    ),
    (
        "a queue for a topic",
        FIRST,
        "      notification: { sns_topic: \"arn:aws:sqs:us-east-1:123456789012:q\" }\n",
    ),
    (
        "an event that there is not",
        FIRST,
        "      notification: { sns_topic: \"arn:aws:sns:us-east-1:123456789012:t\", events: [accept] }\n",
    ),
    ("a resolver that is a name", FIRST, "      resolver: dns.corp.example\n"),
    (
        "a role of another account",
        FIRST,
        "      assume_role: { arn: \"arn:aws:iam::999999999999:role/privnet\" }\n",
    ),
    ("a user for a role", FIRST, "      assume_role: { arn: \"arn:aws:iam::123456789012:user/me\" }\n"),
    ("a role without its ARN", FIRST, "      assume_role: { external_id: abc }\n"),
    (
        "a certificate of another region",
        "engine: postgres",
        "tls: { certificate: \"arn:aws:acm:eu-west-1:123456789012:certificate/a\" }",
    ),
    (
        "a network load balancer behind another",
        IPS,
        "{ alb: \"arn:aws:elasticloadbalancing:us-east-1:123456789012:loadbalancer/net/db/0123456789abcdef\" }",
    ),
    (
        "TLS before an application load balancer",
        "engine: postgres\n          to: { ips: [10.0.3.17, 10.0.4.17] }",
        "tls: { certificate: \"arn:aws:acm:us-east-1:123456789012:certificate/a\" }\n          to: { alb: \"arn:aws:elasticloadbalancing:us-east-1:123456789012:loadbalancer/app/db/0123456789abcdef\" }",
    ),
    (
        "a PROXY header for an application load balancer",
        "      cross_zone: true\n      database_security_groups: [sg-0ddddddddddddddd4]\n      ports:\n        - listen: 5432\n          engine: postgres\n          to: { ips: [10.0.3.17, 10.0.4.17] }",
        "      proxy_protocol: true\n      ports:\n        - listen: 5432\n          to: { alb: \"arn:aws:elasticloadbalancing:us-east-1:123456789012:loadbalancer/app/db/0123456789abcdef\" }",
    ),
    ("a port to a forwarder without machines", IPS, "{ forwarder: { dns: db.corp.example } }"),
    (
        "machines that nothing leads to",
        FIRST,
        "      forwarder: { subnets: [subnet-0aaaaaaaaaaaaaaa1], size: t4g.small }\n",
    ),
    (
        "machines that a port leads to which is wrong",
        "      cross_zone: true\n      database_security_groups: [sg-0ddddddddddddddd4]\n      ports:\n        - listen: 5432\n          engine: postgres\n          to: { ips: [10.0.3.17, 10.0.4.17] }",
        "      forwarder: { subnets: [subnet-0aaaaaaaaaaaaaaa1], size: t4g.small }\n      ports:\n        - listen: 5432\n          to: { forwardr: { dns: db.corp.example } }",
    ),
    (
        "one forwarder",
        FIRST,
        "      forwarder: { subnets: [subnet-0aaaaaaaaaaaaaaa1], size: t4g.small, count: 1 }\n",
    ),
    ("a forwarder without subnets and size", FIRST, "      forwarder: { count: 2 }\n"),
    (
        "a forwarder's target in the machines' block",
        FIRST,
        "      forwarder: { subnets: [subnet-0aaaaaaaaaaaaaaa1], size: t4g.small, dns: db.corp.example }\n",
    ),
    (
        "a forwarder's image that is neither an AMI nor a parameter",
        FIRST,
        "      forwarder: { subnets: [subnet-0aaaaaaaaaaaaaaa1], size: t4g.small, image: ubuntu-24.04 }\n",
    ),
    (
        "a forwarder's image of a parameter without a name",
        FIRST,
        "      forwarder: { subnets: [subnet-0aaaaaaaaaaaaaaa1], size: t4g.small, image: \"resolve:ssm:\" }\n",
    ),
    (
        "a forwarder's zone elsewhere",
        FIRST,
        "      forwarder: { subnets: [subnet-0aaaaaaaaaaaaaaa1], size: t4g.small, zones: [us-west-2a] }\n",
    ),
    ("a forwarder to a public address", IPS, "{ forwarder: { ip: 52.1.2.3 } }"),
    ("a load balancer of another region", "loadbalancing:us-east-1", "loadbalancing:us-west-2"),
    (
        "a load balancer of another account",
        "us-east-1:123456789012:loadbalancer/net",
        "us-east-1:999999999999:loadbalancer/net",
    ),
    ("a load balancer of another partition", "arn:aws:elastic", "arn:aws-us-gov:elastic"),
    ("an application load balancer as the service's own", "loadbalancer/net", "loadbalancer/app"),
    (
        "settings of a load balancer that is yours",
        LEGACY,
        "      deletion_protection: true\n      existing: { load_balancer: \"arn:aws:elasticloadbalancing:us-east-1:123456789012:loadbalancer/net/db/0123456789abcdef\" }\n",
    ),
    (
        "settings of an endpoint service that is yours",
        LEGACY,
        "      private_dns_name: db.corp.example\n      existing: { endpoint_service: vpce-svc-0123456789abcdef0 }\n",
    ),
    (
        "an endpoint service of another region",
        LEGACY,
        "      existing: { endpoint_service: com.amazonaws.vpce.eu-west-1.vpce-svc-0123456789abcdef0 }\n",
    ),
    ("nothing that exists", LEGACY, "      existing: {}\n"),
    (
        "one load balancer for two services",
        LEGACY,
        "      existing: &lb { load_balancer: \"arn:aws:elasticloadbalancing:us-east-1:123456789012:loadbalancer/net/db/0123456789abcdef\" }\n  - { name: second, allow: { fivetran: {} }, aws: { existing: *lb } }\n",
    ),
    (
        "a principal of another partition",
        "region: us-east-1, vpc: vpc-0a1b2c3d4e5f60718, subnets: [subnet-0aaaaaaaaaaaaaaa1] }\nservices:\n  - name: orders\n    allow: { fivetran: {} }",
        "region: us-gov-west-1, vpc: vpc-0a1b2c3d4e5f60718, subnets: [subnet-0aaaaaaaaaaaaaaa1] }\nconsumers: { acme: { aws: { principals: [\"arn:aws:iam::111122223333:root\"] } } }\nservices:\n  - name: orders\n    allow: { acme: {} }",
    ),
    (
        "every role of an account",
        "\nservices:\n  - name: orders\n    allow: { fivetran: {} }",
        "\nconsumers: { acme: { aws: { principals: [\"arn:aws:iam::111122223333:role/*\"] } } }\nservices:\n  - name: orders\n    allow: { acme: {} }",
    ),
    (
        "every user of an account",
        "\nservices:\n  - name: orders\n    allow: { fivetran: {} }",
        "\nconsumers: { acme: { aws: { principals: [\"arn:aws:iam::111122223333:user/*\"] } } }\nservices:\n  - name: orders\n    allow: { acme: {} }",
    ),
    (
        "a role whose name is a pattern",
        "\nservices:\n  - name: orders\n    allow: { fivetran: {} }",
        "\nconsumers: { acme: { aws: { principals: [\"arn:aws:iam::111122223333:role/etl-?\"] } } }\nservices:\n  - name: orders\n    allow: { acme: {} }",
    ),
    (
        "a tombstone without a location",
        "region: us-east-1, vpc: vpc-0a1b2c3d4e5f60718, subnets: [subnet-0aaaaaaaaaaaaaaa1] }\nservices:\n",
        "vpc: vpc-0a1b2c3d4e5f60718, subnets: [subnet-0aaaaaaaaaaaaaaa1] }\nservices:\n  - { name: gone, remove: true, aws: {} }\n",
    ),
];

#[test]
fn on_aws() {
    golden!("aws", table("aws.yaml", BASE, CASES));
}
