//! Edits that would cut a live consumer: each is refused, with exit status 3, until the user says so in words.

use serde_json::Value;

use super::{Ground, both, orders};

/// What is changed in the file, and how the command is called.
struct Edit {
    what: &'static str,
    from: &'static str,
    to: &'static str,
    flags: &'static str,
}

const fn edit(what: &'static str, from: &'static str, to: &'static str) -> Edit {
    Edit { what, from, to, flags: "" }
}

const VPC: &str =
    "vpc: vpc-0a1b2c3d4e5f60718\n    subnets: [subnet-0aaaaaaaaaaaaaaa1, subnet-0bbbbbbbbbbbbbbb2]";

const CERTIFICATE: &str = "listen: 5433, tls: { certificate: 'arn:aws:acm:us-east-1:123456789012:certificate/12345678-1234-1234-1234-123456789012' },";

const EDITS: [Edit; 9] = [
    edit("a tombstone", "  - name: orders\n", "  - name: orders\n    remove: true\n"),
    edit(
        "another endpoint service",
        super::ORDERS,
        "  - name: orders\n    allow: { fivetran: {} }\n    aws: { existing: { endpoint_service: vpce-svc-0eeeeeeeeeeeeeee5 } }\n",
    ),
    edit("a zone less", ", subnet-0bbbbbbbbbbbbbbb2]", "]"),
    edit("another VPC", VPC, "vpc: vpc-007b2c3d4e5f60718\n    subnets: [subnet-007aaaaaaaaaaaaa1]"),
    edit("a port less", "        - { listen: 5433, engine: postgres, to: { ips: [10.0.0.26] } }\n", ""),
    edit("TLS where clients speak plainly", "listen: 5433,", CERTIFICATE),
    edit(
        "the PROXY header where databases do not expect it",
        "    aws:\n      database",
        "    aws:\n      proxy_protocol: true\n      database",
    ),
    edit("another port to listen on", "listen: 5433,", "listen: 5434, port: 5433,"),
    Edit {
        what: "a service taken out, with --prune",
        from: "  - name: orders\n",
        to: "  - name: renamed\n",
        flags: "--prune",
    },
];

/// A ground whose service has a live connection.
fn connected() -> Ground {
    let ground = Ground::new();
    ground.must("--sandbox apply --yes", 0);
    ground.pass(60);
    ground.must("--sandbox accept-pending --yes", 0);
    ground.pass(60);
    assert!(is_live(&ground), "{:#}", ground.status());
    ground
}

fn live(status: &Value) -> Option<&str> {
    let connections = status["services"][0]["connections"].as_array()?;
    connections.iter().find(|one| one["cloud_state"] == "available")?["id"].as_str()
}

fn is_live(ground: &Ground) -> bool {
    ground.write("aws.yaml", &orders());
    live(&ground.status()).is_some()
}

#[test]
fn an_edit_that_would_cut_is_refused() {
    let ground = connected();
    let mut failures = Vec::new();
    for Edit { what, from, to, flags } in EDITS {
        let edited = orders().replacen(from, to, 1);
        assert_ne!(edited, orders(), "{what}");
        ground.write("aws.yaml", &edited);
        for line in
            [format!("--sandbox plan --detailed-exitcode {flags}"), format!("--sandbox apply --yes {flags}")]
        {
            let output = ground.run(&line);
            let said = both(&output);
            if output.status.code() != Some(3) || !said.contains("refused ") {
                failures.push(format!("{what}: {line} → {:?}\n{said}", output.status.code()));
            }
        }
        if !is_live(&ground) {
            failures.push(format!("{what}: the connection is gone"));
        }
    }
    assert!(failures.is_empty(), "{}", failures.join("\n"));
}

#[test]
fn commands_that_would_cut_are_refused_and_carried_out_with_the_word() {
    let ground = connected();
    let status = ground.status();
    let connection = live(&status).unwrap();
    ground.must("--sandbox destroy --yes", 3);
    ground.must(&format!("--sandbox reject --yes --connection {connection}"), 3);
    ground.must("--sandbox accept-pending --yes --reject-others", 0);
    assert!(is_live(&ground), "--reject-others takes pending ones only");

    ground.write(
        "aws.yaml",
        &orders().replace("fivetran: {}", "acme: {}").replace(
            "services:\n",
            "consumers: { acme: { aws: { principals: ['arn:aws:iam::210987654321:root'] } } }\nservices:\n",
        ),
    );
    ground.must("--sandbox apply --yes", 0);
    ground.must("--sandbox accept-pending --yes --reject-others", 0);
    assert!(is_live(&ground), "who is no longer a consumer is not cut by the way");

    ground.must(&format!("--sandbox reject --yes --sever-connections --connection {connection}"), 0);
    ground.pass(30);
    assert!(!is_live(&ground), "{:#}", ground.status());
    ground.must("--sandbox destroy --yes", 0);
}
