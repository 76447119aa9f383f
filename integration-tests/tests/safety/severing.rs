//! Edits that would cut a live consumer: each is refused, with exit status 3, until the user says so in words.

use privnet_integration_tests::ground::{Ground, both};
use privnet_integration_tests::severing::{
    Edit, PRUNED, RENAMED, are_carried_out_with_the_word, commands_need_the_word, each_is_refused, edit,
    is_carried_out_with_the_word,
};

use privnet_integration_tests::own_named::{self, Own};
use privnet_integration_tests::query::{Api, Caller, element, query, query_as};
use privnet_integration_tests::records::record_of;
use privnet_integration_tests::town::look_alikes;
use privnet_sandbox::{Options, Sandbox};
use serde_json::{Value, json};

use super::{ORDERS, orders};

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

const A_ZONE_LESS: Edit = edit("a zone less", ", subnet-0bbbbbbbbbbbbbbb2]", "]").by("would-sever");

const ANOTHER_VPC: Edit = edit("another VPC", HERE, IN_ANOTHER_VPC).by("would-sever");

const TLS: Edit = edit("TLS where clients speak plainly", "listen: 5433,", CERTIFICATE).by("would-sever");

const PROXY_HEADER: Edit = edit(
    "the PROXY header where databases do not expect it",
    "    aws:\n      database",
    "    aws:\n      proxy_protocol: true\n      database",
)
.by("would-sever");

const ANOTHER_PORT: Edit =
    edit("another port to listen on", "listen: 5433,", "listen: 5434, port: 5433,").by("would-sever");

/// Both databases are in the first zone.
const OWN_ZONES_ONLY: Edit = edit(
    "no traffic across zones where one has no database",
    "    aws:\n      ",
    "    aws:\n      cross_zone: false\n      ",
)
.by("would-sever");

const A_LOAD_BALANCER_THAT_IS_THERE: Edit = edit(
    "a load balancer that is there already",
    ORDERS,
    "  - name: orders\n    allow: { fivetran: {} }\n    aws: { existing: { load_balancer: 'arn:aws:elasticloadbalancing:us-east-1:123456789012:loadbalancer/net/db/0123456789abcdef' } }\n",
)
.by("would-sever");

const NO_WAY_TO_THE_DATABASE: Edit =
    edit("no rule in the database's group", "      database_security_groups: [sg-0ddddddddddddddd4]\n", "")
        .by("would-sever");

const ENFORCED_WITHOUT_THE_CONSUMER: Edit = edit(
    "inbound rules that leave out where the consumer comes from",
    "    aws:\n      database",
    "    aws:\n      enforce_inbound: { cidrs: [192.0.2.0/24] }\n      database",
)
.by("would-sever");

const EDITS: [Edit; 16] = [
    edit("an account that the credentials are not of", "'123456789012'", "'210987654321'").by("wrong-account"),
    edit("a tombstone", "  - name: orders\n", "  - name: orders\n    remove: true\n").by("would-sever"),
    edit(
        "another endpoint service",
        ORDERS,
        "  - name: orders\n    allow: { fivetran: {} }\n    aws: { existing: { endpoint_service: vpce-svc-0eeeeeeeeeeeeeee5 } }\n",
    )
    .by("hand-over"),
    A_LOAD_BALANCER_THAT_IS_THERE,
    A_ZONE_LESS,
    ANOTHER_VPC,
    edit("a port less", "        - { listen: 5433, engine: postgres, to: { ips: [10.0.0.26] } }\n", "")
        .by("would-sever"),
    TLS,
    PROXY_HEADER,
    ANOTHER_PORT,
    OWN_ZONES_ONLY,
    NO_WAY_TO_THE_DATABASE,
    edit("another group that databases are said to be in", ONE_GROUP, ANOTHER_GROUP).by("would-sever"),
    ENFORCED_WITHOUT_THE_CONSUMER,
    RENAMED,
    PRUNED,
];

/// The same with everything on that can be turned off, and a second group that databases may be in.
fn all_on() -> String {
    orders().replace("listen: 5433,", CERTIFICATE).replace(ONE_GROUP, TWO_GROUPS).replace(
        "    aws:\n      ",
        "    aws:\n      ip_address_type: dualstack\n      proxy_protocol: true\n      ",
    )
}

const ONE_GROUP: &str = "database_security_groups: [sg-0ddddddddddddddd4]";
const ANOTHER_GROUP: &str = "database_security_groups: [sg-0fffffffffffffff6]";
const TWO_GROUPS: &str = "database_security_groups: [sg-0ddddddddddddddd4, sg-0fffffffffffffff6]";

/// Which of the databases are in it, only the user knows.
const A_GROUP_LESS: Edit =
    edit("one of two groups that databases may be in", TWO_GROUPS, ONE_GROUP).by("would-sever");

const TURNED_OFF: [Edit; 5] = [
    A_GROUP_LESS,
    edit("no TLS where clients speak it", CERTIFICATE, "listen: 5433,").by("would-sever"),
    edit("no PROXY header where databases expect it", "      proxy_protocol: true\n", "").by("would-sever"),
    edit("no IPv6 where endpoints may have it", "      ip_address_type: dualstack\n", "").by("would-sever"),
    edit("no IPv6, in words", "ip_address_type: dualstack", "ip_address_type: ipv4").by("would-sever"),
];

#[test]
fn an_edit_that_would_cut_is_refused() {
    each_is_refused(&Ground::connected("aws.yaml", &orders()), &orders(), &EDITS);
}

#[test]
fn what_is_turned_off_under_a_consumer_is_refused() {
    each_is_refused(&Ground::connected("aws.yaml", &all_on()), &all_on(), &TURNED_OFF);
}

#[test]
fn what_would_cut_is_done_with_the_word() {
    let plain = || Ground::connected("aws.yaml", &orders());
    are_carried_out_with_the_word(
        &plain(),
        &orders(),
        &[TLS, PROXY_HEADER, OWN_ZONES_ONLY, ANOTHER_PORT, NO_WAY_TO_THE_DATABASE],
    );
    for edit in [ANOTHER_VPC, A_LOAD_BALANCER_THAT_IS_THERE, RENAMED] {
        is_carried_out_with_the_word(&plain(), &orders(), &edit);
    }
    are_carried_out_with_the_word(&Ground::connected("aws.yaml", &all_on()), &all_on(), &TURNED_OFF[..4]);
}

const NAMED: &str =
    "arn:aws:elasticloadbalancing:us-east-1:123456789012:loadbalancer/net/db/0123456789abcdef";

/// The user's own load balancer, with a listener of privnet's on it.
fn on_yours() -> String {
    let on = format!("      existing: {{ load_balancer: '{NAMED}' }}\n      ports:\n");
    let own = "      database_security_groups: [sg-0ddddddddddddddd4]\n      ports:\n";
    orders().replace(own, &on).replace("listen: 5432,", "listen: 6432,")
}

/// Another load balancer, which `another` is, cannot be among the rows that are known beforehand.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_edit_of_a_load_balancer_of_yours_that_would_cut_is_refused() {
    let ground = Ground::connected("aws.yaml", &on_yours());
    let record = record_of(ground.path());
    let options = Options { rate_limits: false, record, ..Options::new(ground.at("sandbox")) };
    let running = Sandbox::serve(&options).await.unwrap();
    let spare = json!([{ "kind": "load-balancer", "name": "spare", "tags": [] }]);
    let another = look_alikes("aws", running.url("aws").unwrap(), &spare);
    drop(running);
    let other: Edit =
        edit("another load balancer of yours", NAMED, Box::leak(another.trim().to_owned().into_boxed_str()))
            .by("would-sever");
    let less = edit(
        "a port less on your load balancer",
        "        - { listen: 5433, engine: postgres, to: { ips: [10.0.0.26] } }\n",
        "",
    )
    .by("would-sever");
    let own = edit(
        "a load balancer of privnet's in place of yours",
        "      existing: { load_balancer: 'arn:aws:elasticloadbalancing:us-east-1:123456789012:loadbalancer/net/db/0123456789abcdef' }\n",
        "",
    )
    .by("would-sever");
    let gone =
        edit("a tombstone", "  - name: orders\n", "  - name: orders\n    remove: true\n").by("would-sever");
    each_is_refused(&ground, &on_yours(), &[other, less, own, gone, RENAMED]);
    ground.pass(300);
    is_carried_out_with_the_word(&ground, &on_yours(), &other);
}

/// What machines of forwarders send to, and where a name leads.
fn elsewhere() -> String {
    orders()
        .replace("to: { ips: [10.0.0.25] }", "to: { forwarder: { ip: 172.16.4.20 } }")
        .replace("to: { ips: [10.0.0.26] }", "to: { dns: orders.cluster-abc.us-east-1.rds.amazonaws.com }")
        .replace(
            "      ports:\n",
            "      forwarder: { subnets: [subnet-0aaaaaaaaaaaaaaa1, subnet-0bbbbbbbbbbbbbbb2], size: t3.small }\n      ports:\n",
        )
}

/// It is known by what it serves; what serves something else, or somebody else, is another service, and comes as the other one is left.
#[test]
fn another_name_is_told_from_another_service() {
    let ground = Ground::connected("aws.yaml", &elsewhere());
    each_is_refused(&ground, &elsewhere(), &[RENAMED]);
    let renamed = elsewhere().replace("- name: orders\n", "- name: renamed\n");
    let others = [
        ("172.16.4.20", "172.16.4.21"),
        ("listen: 5432,", "listen: 5434, port: 5432,"),
        ("to: { dns: orders.cluster-abc.us-east-1.rds.amazonaws.com }", "to: { ips: [10.0.0.26] }"),
        (
            "to: { dns: orders.cluster-abc.us-east-1.rds.amazonaws.com }",
            "to: { forwarder: { dns: orders.cluster-abc.us-east-1.rds.amazonaws.com } }",
        ),
        ("allow: { fivetran: {} }", "allow: { acme: {} }"),
        (", subnet-0bbbbbbbbbbbbbbb2]\nservices", "]\nservices"),
    ];
    for (from, to) in &others[..5] {
        let edited = renamed.replacen(from, to, 1);
        assert_ne!(edited, renamed, "{from}");
        ground.edit(&edited.replace("defaults:", "consumers: { acme: { aws: { principals: ['arn:aws:iam::111122223333:role/reader'] } } }\ndefaults:"));
        ground.must("--sandbox plan --detailed-exitcode", 2);
    }
    // Settings are no other service.
    let (from, to) = others[5];
    ground.edit(&renamed.replacen(from, to, 1));
    let refused = ground.must("--sandbox plan --detailed-exitcode", 3);
    assert!(both(&refused).contains("`orders` was renamed"), "{}", both(&refused));
    // What is to go is listed beside it.
    let tombstone = "  - { name: orders, remove: true, aws: {} }\n";
    ground.edit(&format!("{renamed}{tombstone}"));
    let refused = ground.must("--sandbox plan --detailed-exitcode", 3);
    let said = both(&refused);
    assert!(said.contains("refused orders/") && !said.contains("refused renamed/"), "{said}");
}

/// What is left behind in the old place is seen while another service is there.
const BESIDE: &str = "  - name: beside
    allow: { fivetran: {} }
    aws:
      ports: [{ listen: 5432, engine: postgres, to: { ips: [10.0.0.27] } }]
";

const ABROAD: Edit = edit("another region", ORDERS, IN_ANOTHER_REGION).by("hand-over");

const MOVES: [Edit; 2] =
    [ABROAD, edit("another account, by a role in it", ORDERS, IN_ANOTHER_ACCOUNT).by("hand-over")];

const IN_ANOTHER_REGION: &str = "  - name: orders
    allow: { fivetran: {} }
    aws:
      region: eu-west-1
      vpc: vpc-001b2c3d4e5f60718
      subnets: [subnet-001aaaaaaaaaaaaa1, subnet-001bbbbbbbbbbbbb2]
      ports: [{ listen: 5432, engine: postgres, to: { ips: [10.1.0.25] } }]
";

const IN_ANOTHER_ACCOUNT: &str = "  - name: orders
    allow: { fivetran: {} }
    aws:
      account: '210987654321'
      assume_role: { arn: 'arn:aws:iam::210987654321:role/deploy' }
      vpc: vpc-004b2c3d4e5f60718
      subnets: [subnet-004aaaaaaaaaaaaa1, subnet-004bbbbbbbbbbbbb2]
      ports: [{ listen: 5432, engine: postgres, to: { ips: [10.4.0.25] } }]
";

#[test]
fn a_service_that_would_move_is_refused() {
    let file = format!("{}{BESIDE}", orders());
    each_is_refused(&Ground::connected("aws.yaml", &file), &file, &MOVES);
    // Another region of the account is looked into where nothing else of the file is there.
    each_is_refused(&Ground::connected("aws.yaml", &orders()), &orders(), &[ABROAD]);
}

const ACME_ABROAD: Caller = ("AKIASANDBOX210987654", "eu-west-1");

/// A consumer of acme's asks from another region than the service's, by its own tools.
fn asks_from_abroad(url: &str) {
    let service = query(url, Api::Ec2, "DescribeVpcEndpointServiceConfigurations", &[]).unwrap();
    let own = service.split("<serviceId>").find(|one| one.contains("<value>pn-orders")).unwrap();
    let name = element(own, "", "serviceName").unwrap();
    let endpoint = [
        ("VpcEndpointType", "Interface"),
        ("VpcId", "vpc-005b2c3d4e5f60718"),
        ("ServiceName", name),
        ("ServiceRegion", "us-east-1"),
        ("SubnetId.1", "subnet-005aaaaaaaaaaaaa1"),
    ];
    query_as(ACME_ABROAD, url, Api::Ec2, "CreateVpcEndpoint", &endpoint).unwrap();
}

/// By AWS's own words neither cuts anybody: who is connected stays, the plan says what is lost all the same, and no word is needed.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_region_that_goes_and_another_name_cut_nobody_and_are_warned_about() {
    let consumers =
        "consumers: { acme: { aws: { principals: ['arn:aws:iam::210987654321:root'] } } }\nservices:\n";
    let extra = "    aws:\n      supported_regions: [us-east-1, eu-west-1]\n      private_dns_name: db.safety.example\n";
    let file = orders()
        .replace("services:\n", consumers)
        .replace("fivetran: {}", "acme: {}")
        .replace("    aws:\n      database", &format!("{extra}      database"));
    let ground = Ground::new("aws.yaml", &file);
    ground.must("--sandbox apply --yes", 0);
    let (record, dir) = (record_of(ground.path()), ground.at("sandbox"));
    let running = Sandbox::serve(&Options { rate_limits: false, record, ..Options::new(dir) }).await.unwrap();
    tokio::task::block_in_place(|| asks_from_abroad(running.url("aws").unwrap()));
    drop(running);
    ground.must("--sandbox accept-pending --yes", 0);
    ground.pass(60);
    let connection = ground.live().unwrap();

    let edited = file.replace("[us-east-1, eu-west-1]", "[us-east-1]").replace("db.safety", "sql.safety");
    ground.edit(&edited);
    let plan = ground.json("--sandbox plan");
    let warnings: Vec<&str> = plan["warnings"].as_array().unwrap().iter().filter_map(Value::as_str).collect();
    let said =
        |part: &str| warnings.iter().any(|warning| warning.contains(part) && warning.contains("orders:"));
    assert!(said("eu-west-1 leaves `supported_regions`") && said(&connection), "{warnings:#?}");
    assert!(said("db.safety.example becomes sql.safety.example"), "{warnings:#?}");
    ground.must("--sandbox apply --yes", 0);
    ground.must("--sandbox plan --detailed-exitcode", 0);
    assert_eq!(ground.live(), Some(connection));

    ground.edit(&edited.replace("      private_dns_name: sql.safety.example\n", ""));
    let warned = ground.must("--sandbox apply --yes", 0);
    assert!(both(&warned).contains("the private DNS name sql.safety.example goes"), "{}", both(&warned));
    ground.must("--sandbox plan --detailed-exitcode", 0);
    assert!(ground.live().is_some(), "{:#}", ground.status());
}

/// AWS takes no zone away while an endpoint is attached: the word alone does not help, and nothing is begun that must fail.
#[test]
fn a_zone_goes_when_nobody_is_attached() {
    let ground = Ground::connected("aws.yaml", &orders());
    ground.must("--sandbox accept-pending --yes --reject-others", 0);
    let connection = ground.live().unwrap();
    ground.edit(&orders().replace(", subnet-0bbbbbbbbbbbbbbb2]", "]"));
    let refused = ground.must("--sandbox apply --yes --sever-connections", 3);
    assert!(both(&refused).contains("privnet reject --sever-connections"), "{}", both(&refused));
    assert!(ground.live().is_some(), "{:#}", ground.status());
    ground.must(&format!("--sandbox reject --yes --sever-connections --connection {connection}"), 0);
    ground.pass(30);
    ground.must("--sandbox apply --yes", 0);
    ground.must("--sandbox plan --detailed-exitcode", 0);
}

/// A database for each port in each zone.
fn in_each_zone(file: &str) -> String {
    file.replace("[10.0.0.25]", "[10.0.0.25, 10.0.16.25]").replace("[10.0.0.26]", "[10.0.0.26, 10.0.16.26]")
}

const A_ZONE_WITHOUT: Edit =
    edit("the only target of a zone taken away", "[10.0.0.26, 10.0.16.26]", "[10.0.0.26]").by("would-sever");

const A_ZONE_WITHOUT_ON_ANOTHER_PORT: Edit = edit(
    "the only target of a zone taken away, and the others asked at another port",
    "listen: 5433, engine: postgres, to: { ips: [10.0.0.26, 10.0.16.26]",
    "listen: 5433, port: 5434, engine: postgres, to: { ips: [10.0.0.26]",
)
.by("would-sever");

/// Where each zone has a database of its own that works, nobody is cut by traffic that stays within zones, and then not by another
/// database in the place of one. A zone's last one needs the word.
#[test]
fn traffic_within_zones_is_no_cut_where_each_has_a_database() {
    let file = in_each_zone(&orders());
    let ground = Ground::connected("aws.yaml", &file);
    let within = file.replace("    aws:\n      ", "    aws:\n      cross_zone: false\n      ");
    ground.edit(&within);
    ground.must("--sandbox apply --yes", 0);
    ground.must("--sandbox plan --detailed-exitcode", 0);
    assert!(ground.live().is_some(), "{:#}", ground.status());
    each_is_refused(&ground, &within, &[A_ZONE_WITHOUT, A_ZONE_WITHOUT_ON_ANOTHER_PORT]);
    let another = within.replace("10.0.16.25", "10.0.16.27");
    ground.edit(&another);
    ground.must("--sandbox apply --yes", 0);
    ground.must("--sandbox plan --detailed-exitcode", 0);
    is_carried_out_with_the_word(&ground, &another, &A_ZONE_WITHOUT);
}

/// So does one on a load balancer of the user's, which sends within zones; the file cannot change that, and is not told to.
#[test]
fn a_zone_of_your_load_balancer_without_a_database_is_refused() {
    let file = in_each_zone(&on_yours());
    let ground = Ground::connected("aws.yaml", &file);
    each_is_refused(&ground, &file, &[A_ZONE_WITHOUT, A_ZONE_WITHOUT_ON_ANOTHER_PORT]);
    ground.edit(&file.replace("[10.0.0.26, 10.0.16.26]", "[10.0.0.26]"));
    let told = both(&ground.must("--sandbox apply --yes --sever-connections", 0));
    assert!(told.contains("at your load balancer") && !told.contains("`cross_zone"), "{told}");
}

const NARROWER: Edit =
    edit("narrower inbound rules", "cidrs: [10.0.0.0/8]", "cidrs: [10.64.0.0/10]").by("would-sever");

#[test]
fn narrower_inbound_rules_that_may_keep_a_consumer_out_are_refused() {
    let enforced = "    aws:\n      enforce_inbound: { cidrs: [10.0.0.0/8] }\n      database";
    let file = orders().replace("    aws:\n      database", enforced);
    each_is_refused(&Ground::connected("aws.yaml", &file), &file, &[NARROWER]);
}

#[test]
fn commands_that_would_cut_are_refused_and_carried_out_with_the_word() {
    let others = orders().replace("fivetran: {}", "acme: {}").replace(
        "services:\n",
        "consumers: { acme: { aws: { principals: ['arn:aws:iam::210987654321:root'] } } }\nservices:\n",
    );
    commands_need_the_word(&Ground::connected("aws.yaml", &orders()), &others);
}

/// Whom the deployment's own rule keeps out is not let in by another service that names the same as the user's own.
#[test]
fn what_the_deployment_made_is_not_named_as_the_users_own() {
    let ground = Ground::connected("aws.yaml", &orders());
    let handoff = both(&ground.must("--sandbox handoff", 0));
    let (_, service) = handoff.split_once("com.amazonaws.vpce.us-east-1.").unwrap();
    let service = service.split_whitespace().next().unwrap();
    let balancer = own_named::made(&ground, "aws", "loadbalancer/net/pn-orders");
    let service = format!("    aws: {{ existing: {{ endpoint_service: {service} }} }}\n");
    let arn =
        format!("arn:aws:elasticloadbalancing:us-east-1:123456789012:loadbalancer/net/pn-orders{balancer}");
    let balancer = format!("    aws: {{ existing: {{ load_balancer: '{arn}' }} }}\n");
    let [service, balancer] =
        [Own { block: &service, is_exposed: true }, Own { block: &balancer, is_exposed: false }];
    own_named::is_refused(&ground, &orders(), &service, ("fivetran", "dbt-cloud"));
    own_named::is_refused(&ground, &orders(), &balancer, ("fivetran", "dbt-cloud"));
}
