//! What is wrong in any cloud: YAML itself, the top level, consumers, and who may connect.

use privnet_core::spec::{decode, decode_many, render_all};

use crate::{Case, golden, table};

pub(crate) const BASE: &str = "\
version: 1
deployment: data-platform
tags: { cost-center: \"4711\" }
consumers:
  acme: { aws: { principals: [\"arn:aws:iam::111122223333:role/reader\"] } }
defaults:
  aws: { account: \"123456789012\", region: us-east-1, vpc: vpc-0a1b2c3d4e5f60718, subnets: [subnet-0aaaaaaaaaaaaaaa1] }
services:
  - name: orders
    allow: { fivetran: {}, acme: { max_connections: 2 } }
    acceptance: manual
    allow_anyone: false
    aws:
      ports:
        - listen: 5432
          to: { ips: [10.0.3.17] }
";

/// A character more than EC2 takes.
const LONG_KEY: &str = "cost-center-of-the-whole-company-that-is-as-long-as-a-key-may-be-elsewhere-on-aws-and-one-character-too-long-for-ec2-which-has-1";

pub(crate) const CASES: &[Case] = &[
    ("another version", "version: 1", "version: 2"),
    ("the version as text", "version: 1", "version: \"1\""),
    ("no version", "version: 1\n", ""),
    ("no deployment", "deployment: data-platform\n", ""),
    ("a deployment in capitals", "data-platform", "Data-Platform"),
    ("a deployment that is too long", "data-platform", "data-platform-of-the-whole-company"),
    ("a misspelt key at the top", "services:", "service:"),
    ("a key of a service at the top", "tags:", "allow: {}\ntags:"),
    ("tags as a list", "{ cost-center: \"4711\" }", "[cost-center]"),
    ("a tag that AWS keeps", "cost-center", "aws:cost-center"),
    ("a tag that privnet keeps", "cost-center", "privnet-owner"),
    ("a tag whose key EC2 refuses", "cost-center", LONG_KEY),
    ("a tag's value that is a flag", "\"4711\"", "true"),
    ("a tag with a character that AWS refuses", "\"4711\"", "\"a;b\""),
    ("a key given twice", "deployment: data-platform", "deployment: data-platform\ndeployment: other"),
    ("a service without a name", "- name: orders\n    allow", "- allow"),
    ("a service's name with an underscore", "name: orders", "name: my_orders"),
    (
        "two services of one name",
        "  - name: orders\n",
        "  - { name: orders, remove: true, aws: {} }\n  - name: orders\n",
    ),
    ("services as a map", "services:\n  - name: orders\n", "services:\n    name: orders\n"),
    (
        "a service on no cloud",
        "    aws:\n      ports:\n        - listen: 5432\n          to: { ips: [10.0.3.17] }\n",
        "",
    ),
    ("a service on two clouds", "    aws:\n", "    gcp: {}\n    aws:\n"),
    (
        "a cloud's key outside its block",
        "    acceptance: manual\n",
        "    acceptance: manual\n    ports: []\n",
    ),
    ("another word for acceptance", "acceptance: manual", "acceptance: auto"),
    ("a flag as YAML 1.1 has it", "allow_anyone: false", "allow_anyone: no"),
    ("a flag as text", "allow_anyone: false", "allow_anyone: \"false\""),
    (
        "anyone, automatically",
        "acceptance: manual\n    allow_anyone: false",
        "acceptance: automatic\n    allow_anyone: true",
    ),
    ("nobody allowed", "{ fivetran: {}, acme: { max_connections: 2 } }", "{}"),
    ("no allow", "    allow: { fivetran: {}, acme: { max_connections: 2 } }\n", ""),
    ("an unknown consumer", "fivetran: {}", "fivetrann: {}"),
    ("a consumer without a map", "fivetran: {}", "fivetran: "),
    ("the wildcard for a consumer", "fivetran: {}", "\"*\": {}"),
    ("zero connections", "max_connections: 2", "max_connections: 0"),
    ("a number of connections that is no number", "max_connections: 2", "max_connections: two"),
    ("a misspelt key of a consumer's allowance", "max_connections", "max_conections"),
    ("principals under allow", "max_connections: 2", "aws: {}"),
    ("an endpoint id of another cloud", "max_connections: 2", "only: [\"12345678901234567890\"]"),
    (
        "only with automatic acceptance",
        "acme: { max_connections: 2 } }\n    acceptance: manual",
        "acme: { only: [vpce-0123456789abcdef0] } }\n    acceptance: automatic",
    ),
    ("the wildcard without the word", "arn:aws:iam::111122223333:role/reader", "*"),
    (
        "the wildcard beside others",
        "[\"arn:aws:iam::111122223333:role/reader\"]",
        "[\"*\", \"arn:aws:iam::111122223333:root\"]",
    ),
    (
        "a preset redefined",
        "  acme:",
        "  fivetran: { aws: { principals: [\"arn:aws:iam::111122223333:root\"] } }\n  acme:",
    ),
    ("a preset that stands for another", "  acme:", "  fivetran: { preset: databricks }\n  acme:"),
    ("an unknown preset", "  acme:", "  other: { preset: fivetrn }\n  acme:"),
    ("a consumer of nothing", "  acme:", "  other: {}\n  acme:"),
    (
        "a consumer's list outside its cloud",
        "{ aws: { principals: [\"arn:aws:iam::111122223333:role/reader\"] } }",
        "{ principals: [] }",
    ),
    (
        "a consumer without data for the cloud",
        "{ aws: { principals: [\"arn:aws:iam::111122223333:role/reader\"] } }",
        "{ gcp: { projects: [acme-data] } }",
    ),
    ("an account for a principal", "arn:aws:iam::111122223333:role/reader", "111122223333"),
    ("a principal with a path", "role/reader", "role/team/reader"),
    (
        "a principal of another service",
        "arn:aws:iam::111122223333:role/reader",
        "arn:aws:sts::111122223333:assumed-role/a/b",
    ),
    ("an empty list of principals", "[\"arn:aws:iam::111122223333:role/reader\"]", "[]"),
    (
        "a list that is a text",
        "[\"arn:aws:iam::111122223333:role/reader\"]",
        "arn:aws:iam::111122223333:role/reader",
    ),
    ("more than location keys in the defaults", "region: us-east-1,", "region: us-east-1, drain: 60s,"),
    ("a service's key in the defaults", "defaults:\n", "defaults:\n  acceptance: manual\n"),
    ("a merge key", "  - name: orders\n", "  - name: orders\n    <<: { acceptance: automatic }\n"),
    (
        "several errors at once",
        "listen: 5432\n          to: { ips: [10.0.3.17] }\n",
        "listen: 0\n          too: { ips: [10.0.3.17] }\n          engine: postgre\n          healthcheck: {}\n",
    ),
];

/// Files that are wrong as a whole.
pub(crate) const WHOLE: &[(&str, &str)] = &[
    ("nothing", ""),
    ("a comment alone", "# version: 1\n"),
    ("a list", "- version: 1\n"),
    ("a text", "version 1\n"),
    ("two documents", "version: 1\n---\nversion: 1\n"),
    ("no YAML: a tab for indentation", "version: 1\nservices:\n\t- name: a\n"),
    ("no YAML: an open bracket", "version: 1\ntags: { a: b\nservices: []\n"),
    ("no YAML: a text without an end", "version: 1\ndeployment: \"data\n"),
    ("a tag of one's own", "version: 1\ndeployment: !env NAME\nservices: []\n"),
    ("a tag that hides a number", "version: !!str 1\ndeployment: dd\nservices: []\n"),
    ("an alias without an anchor", "version: 1\ndeployment: *name\nservices: []\n"),
    ("an alias inside its anchor", "version: 1\ndeployment: dd\nservices: &all\n  - *all\n"),
    ("a map for a key", "version: 1\n? { a: b }\n: c\ndeployment: dd\nservices: []\n"),
    ("an empty key", "version: 1\ndeployment: dd\n~: 1\nservices: []\n"),
    ("JSON with a misspelt key", "{\"version\": 1, \"deploymnt\": \"dd\", \"services\": []}\n"),
    (
        "a very long line",
        "{\"version\": 1, \"deployment\": \"dd\", \"tags\": {\"aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa\": \"bbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbb\"}, \"servces\": [], \"cccccccccccccccccccccccc\": \"ddddddddddddddddd\"}\n",
    ),
    ("control characters in a text", "version: 1\ndeployment: \"d\\e[31md\"\nservices: []\n"),
];

#[test]
fn in_any_cloud() {
    golden!("general", table("privnet.yaml", BASE, CASES));
}

#[test]
fn as_a_whole() {
    let shown: Vec<String> = WHOLE
        .iter()
        .map(|(name, text)| {
            let errors = decode("privnet.yaml", text).expect_err(name);
            assert!(errors.iter().all(|error| error.code != "internal"), "{name}");
            format!("===== {name}\n{}\n", render_all(&errors, false))
        })
        .collect();
    golden!("whole", shown.join("\n"));
}

#[test]
fn two_files_of_one_deployment() {
    let second = BASE.replace("orders", "bills");
    let errors = decode_many(&[("a.yaml", BASE), ("b.yaml", &second)]).unwrap_err();
    golden!("two-files", render_all(&errors, false));
    let other = second.replace("data-platform", "other");
    assert_eq!(decode_many(&[("a.yaml", BASE), ("b.yaml", &other)]).unwrap().len(), 2);
    let errors = decode_many(&[("a.yaml", ""), ("b.yaml", "x: 1")]).unwrap_err();
    assert_eq!(errors.iter().filter(|error| error.file == "a.yaml").count(), 1);
    assert!(errors.iter().any(|error| error.file == "b.yaml"));
}

#[test]
fn colours_change_nothing_else() {
    let errors = decode("privnet.yaml", "version: 2\n").unwrap_err();
    let (plain, painted) = (render_all(&errors, false), render_all(&errors, true));
    assert!(!plain.contains('\u{1b}') && painted.contains('\u{1b}'));
    let stripped: Vec<&str> =
        painted.split('\u{1b}').map(|part| part.split_once('m').map_or(part, |(_, rest)| rest)).collect();
    assert_eq!(stripped.concat(), plain);
}
