//! Edits that would cut a live consumer: each is refused, with exit status 3, until the user says so in words.

use privnet_integration_tests::ground::Ground;
use privnet_integration_tests::severing::{Edit, PRUNED, commands_need_the_word, each_is_refused, edit};

use super::orders;

const HERE: &str = "vpc: vpc-0a1b2c3d4e5f60718
    subnets: [subnet-0aaaaaaaaaaaaaaa1, subnet-0bbbbbbbbbbbbbbb2]
services:
  - name: orders
    allow: { fivetran: {} }
    aws:
      database_security_groups: [sg-0ddddddddddddddd4]
      ports:
        - { listen: 5432, engine: postgres, to: { ips: [10.0.0.25] } }
        - { listen: 5433, engine: postgres, to: { ips: [10.0.0.26] } }
";

/// The same where a copy of the databases is.
const IN_ANOTHER_VPC: &str = "vpc: vpc-0b1b2c3d4e5f60719
    subnets: [subnet-0ddddddddddddddd4, subnet-0eeeeeeeeeeeeeee5]
services:
  - name: orders
    allow: { fivetran: {} }
    aws:
      ports:
        - { listen: 5432, engine: postgres, to: { ips: [10.100.0.25] } }
        - { listen: 5433, engine: postgres, to: { ips: [10.100.0.26] } }
";

const CERTIFICATE: &str = "listen: 5433, tls: { certificate: 'arn:aws:acm:us-east-1:123456789012:certificate/12345678-1234-1234-1234-123456789012' },";

const EDITS: [Edit; 9] = [
    edit("a tombstone", "  - name: orders\n", "  - name: orders\n    remove: true\n").by("would-sever"),
    edit(
        "another endpoint service",
        super::ORDERS,
        "  - name: orders\n    allow: { fivetran: {} }\n    aws: { existing: { endpoint_service: vpce-svc-0eeeeeeeeeeeeeee5 } }\n",
    )
    .by("would-sever"),
    edit("a zone less", ", subnet-0bbbbbbbbbbbbbbb2]", "]").by("would-sever"),
    edit("another VPC", HERE, IN_ANOTHER_VPC).by("would-sever"),
    edit("a port less", "        - { listen: 5433, engine: postgres, to: { ips: [10.0.0.26] } }\n", "")
        .by("would-sever"),
    edit("TLS where clients speak plainly", "listen: 5433,", CERTIFICATE).by("would-sever"),
    edit(
        "the PROXY header where databases do not expect it",
        "    aws:\n      database",
        "    aws:\n      proxy_protocol: true\n      database",
    )
    .by("would-sever"),
    edit("another port to listen on", "listen: 5433,", "listen: 5434, port: 5433,").by("would-sever"),
    PRUNED,
];

#[test]
fn an_edit_that_would_cut_is_refused() {
    each_is_refused(&Ground::connected("aws.yaml", &orders()), &orders(), &EDITS);
}

#[test]
fn commands_that_would_cut_are_refused_and_carried_out_with_the_word() {
    let others = orders().replace("fivetran: {}", "acme: {}").replace(
        "services:\n",
        "consumers: { acme: { aws: { principals: ['arn:aws:iam::210987654321:root'] } } }\nservices:\n",
    );
    commands_need_the_word(&Ground::connected("aws.yaml", &orders()), &others);
}
