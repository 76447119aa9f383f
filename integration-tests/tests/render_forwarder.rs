//! `render forwarder`: what the forwarder machines of all three clouds would run, without a network.
//!
//! After an intended change of what they run: `INSTA_UPDATE=always cargo test -p privnet-integration-tests --test render_forwarder`,
//! and read the difference.

#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a test")]

use std::path::Path;
use std::process::{Output, Stdio};

use privnet::forwarder::forwarder_of;
use privnet_integration_tests::command::privnet;
use privnet_integration_tests::stage::{Fail, spec};
use serde_json::Value;

const FILE: &str = "version: 1
deployment: forwarders
consumers:
  fivetran:
    preset: fivetran
    azure: { subscriptions: [11111111-2222-3333-4444-555555555555] }
    gcp: { projects: [fivetran-prod] }
services:
  - name: orders
    allow: { fivetran: {} }
    aws:
      account: '123456789012'
      region: us-east-1
      vpc: vpc-0a1b2c3d4e5f60718
      subnets: [subnet-0aaaaaaaaaaaaaaa1, subnet-0bbbbbbbbbbbbbbb2]
      forwarder: { subnets: [subnet-0aaaaaaaaaaaaaaa1, subnet-0bbbbbbbbbbbbbbb2], size: t3.small, resolver: [10.0.0.2] }
      ports:
        - { listen: 5432, engine: postgres, to: { forwarder: { dns: orders.db.example } } }
        - { listen: 6432, engine: postgres, to: { ips: [10.0.0.25] } }
  - name: onprem-sql
    allow: { fivetran: {} }
    azure:
      subscription: aaaaaaaa-bbbb-cccc-dddd-eeeeeeeeeeee
      resource_group: rg-data
      location: eastus2
      vnet: hub
      load_balancer_subnet: lb
      nat_subnet: { create: { cidr: 10.1.9.0/28 } }
      forwarder: { subnets: [fwd], size: Standard_D2s_v5 }
      ports:
        - { listen: 1433, engine: sqlserver, to: { forwarder: { ip: 172.16.4.20 } } }
        - { listen: 5432, engine: postgres, to: { forwarder: { dns: pg.corp.example } } }
  - name: billing
    allow: { fivetran: {} }
    gcp:
      project: data-prod
      region: us-east4
      network: data
      subnet: ilb
      nat_subnets: [{ create: { cidr: 10.8.1.0/24 } }]
      forwarder: { subnets: [ilb], size: e2-small, zones: [us-east4-a, us-east4-b] }
      ports: [{ listen: 3307, port: 3306, engine: mysql, to: { forwarder: { ip: 10.90.0.3 } } }]
";

fn run(folder: &Path, line: &str) -> Result<Output, Fail> {
    Ok(privnet(folder).args(line.split_whitespace()).stdin(Stdio::null()).output()?)
}

fn folder(text: &str) -> Result<tempfile::TempDir, Fail> {
    let folder = tempfile::tempdir()?;
    std::fs::write(folder.path().join("all.yaml"), text)?;
    Ok(folder)
}

/// The text with what the forwarder's own tests look after (the agent and the scripts that hold everything) told by its first line.
fn shortened(text: &str, fingerprints: &[String]) -> String {
    let long =
        ["/usr/local/lib/privnet-forwarder/agent.py", "install script", "uninstall script", "cloud-init"];
    let mut out = Vec::new();
    let mut left_out = false;
    for line in text.lines() {
        if let Some(place) =
            line.strip_prefix("## ").filter(|place| place.starts_with('/') || long.contains(place))
        {
            left_out = long.contains(&place);
            out.push(line.to_owned());
            if left_out {
                out.push("…".to_owned());
            }
            continue;
        }
        left_out &= !(line.starts_with("# ") && line.contains(") fingerprint "));
        if !left_out {
            out.push(line.to_owned());
        }
    }
    fingerprints.iter().fold(out.join("\n"), |text, fingerprint| text.replace(fingerprint, "FINGERPRINT"))
}

#[test]
fn people_see_each_part_under_its_place() -> Result<(), Fail> {
    let folder = folder(FILE)?;
    let output = run(folder.path(), "render forwarder all.yaml")?;
    let shown = String::from_utf8(output.stdout)?;
    assert_eq!(output.status.code(), Some(0), "{}", String::from_utf8_lossy(&output.stderr));
    let mut fingerprints = Vec::new();
    for service in &spec(FILE)?.services {
        let forwarder = forwarder_of(service)?.ok_or("it has forwarders")?;
        let rendered = &forwarder.rendered;
        let mut parts =
            vec![&rendered.agent, &rendered.install_script, &rendered.uninstall_script, &rendered.cloud_init];
        parts.extend(rendered.units.iter().map(|unit| &unit.text));
        for part in parts {
            assert!(shown.contains(part.as_str()), "{}: a part is missing: {part}", forwarder.service);
        }
        // Each heading that is a place is where the install script puts it.
        for heading in shown.lines().filter_map(|line| line.strip_prefix("## /")) {
            assert!(rendered.install_script.contains(heading), "{heading}");
        }
        fingerprints.push(rendered.fingerprint.clone());
    }
    insta::assert_snapshot!("text", shortened(&shown, &fingerprints));
    Ok(())
}

#[test]
fn programs_get_each_part_as_a_field() -> Result<(), Fail> {
    let folder = folder(FILE)?;
    let output = run(folder.path(), "render forwarder --output json")?;
    assert_eq!(output.status.code(), Some(0), "{}", String::from_utf8_lossy(&output.stderr));
    let json: Value = serde_json::from_slice(&output.stdout)?;
    let services = json["services"].as_array().ok_or("a list of services")?;
    assert_eq!(services.len(), 3);
    for (shown, service) in services.iter().zip(&spec(FILE)?.services) {
        let rendered = forwarder_of(service)?.ok_or("it has forwarders")?.rendered;
        for (field, text) in [
            ("fingerprint", &rendered.fingerprint),
            ("ruleset", &rendered.ruleset),
            ("sysctl", &rendered.sysctl),
            ("agent", &rendered.agent),
            ("agent_config", &rendered.agent_config),
            ("install_script", &rendered.install_script),
            ("uninstall_script", &rendered.uninstall_script),
            ("cloud_init", &rendered.cloud_init),
        ] {
            assert_eq!(shown[field], text.as_str(), "{field}");
        }
        for (shown, unit) in shown["units"].as_array().ok_or("units")?.iter().zip(&rendered.units) {
            assert_eq!((&shown["name"], &shown["text"]), (&unit.name.into(), &unit.text.as_str().into()));
        }
    }
    let maps: Vec<_> =
        services.iter().map(|service| (&service["name"], &service["cloud"], &service["maps"])).collect();
    insta::assert_json_snapshot!("maps", maps);
    Ok(())
}

/// How long sessions stay on an old address is the file's word on each cloud; the default said aloud changes nothing.
#[test]
fn machines_drain_for_as_long_as_the_file_says() -> Result<(), Fail> {
    let with = |drain: &str| {
        FILE.replace("size: t3.small", &format!("size: t3.small, drain: {drain}"))
            .replace("size: Standard_D2s_v5", &format!("size: Standard_D2s_v5, drain: {drain}"))
            .replace("size: e2-small", &format!("size: e2-small, drain: {drain}"))
    };
    let rendered = |file: &str| -> Result<Vec<_>, Fail> {
        let mut all = Vec::new();
        for service in &spec(file)?.services {
            all.push(forwarder_of(service)?.ok_or("it has forwarders")?.rendered);
        }
        Ok(all)
    };
    let drains = |file: &str| -> Result<Vec<u64>, Fail> {
        let configs = rendered(file)?.into_iter().map(|rendered| {
            let config: Value = serde_json::from_str(&rendered.agent_config)?;
            Ok(config["drain"].as_u64().ok_or("a number")?)
        });
        configs.collect()
    };
    assert_eq!(drains(&with("45s"))?, [45, 45, 45]);
    assert_eq!(drains(FILE)?, [300, 300, 300]);
    for (default, said) in rendered(FILE)?.into_iter().zip(rendered(&with("5m"))?) {
        assert_eq!((default.cloud_init, default.fingerprint), (said.cloud_init, said.fingerprint));
    }
    Ok(())
}

#[test]
fn one_service_none_and_one_that_cannot_be() -> Result<(), Fail> {
    let folder = folder(FILE)?;
    let json = |line: &str| -> Result<Value, Fail> {
        Ok(serde_json::from_slice(&run(folder.path(), line)?.stdout)?)
    };
    let one = json("render forwarder all.yaml --service billing --output json")?;
    let names: Vec<_> = one["services"].as_array().ok_or("services")?.iter().map(|s| &s["name"]).collect();
    assert_eq!(names, ["billing"]);
    assert_eq!(run(folder.path(), "render forwarder all.yaml --service nobody")?.status.code(), Some(64));
    assert_eq!(run(folder.path(), "render all.yaml")?.status.code(), Some(64));

    // Nothing to render is no error.
    let none = FILE.replace(
        "to: { forwarder: { ip: 10.90.0.3 } }",
        "to: { instances: [zones/us-east4-b/instances/db-1] }",
    );
    let none = none.replace(
        "      forwarder: { subnets: [ilb], size: e2-small, zones: [us-east4-a, us-east4-b] }\n",
        "",
    );
    std::fs::write(
        folder.path().join("none.yaml"),
        none.replace("listen: 3307, port: 3306", "listen: 3306"),
    )?;
    let none = run(folder.path(), "render forwarder none.yaml --service billing")?;
    let said = String::from_utf8_lossy(&none.stderr).into_owned();
    assert_eq!((none.status.code(), none.stdout.is_empty()), (Some(0), true), "{said}");
    assert!(said.contains("no port of these services leads to a forwarder"), "{said}");

    // What forwarders cannot do is an error of the file, with the reason.
    std::fs::write(folder.path().join("ssh.yaml"), FILE.replace("listen: 3307", "listen: 22"))?;
    let refused = run(folder.path(), "render forwarder ssh.yaml")?;
    let said = String::from_utf8_lossy(&refused.stderr).into_owned();
    assert_eq!(refused.status.code(), Some(65), "{said}");
    assert!(said.contains("billing") && said.contains("port 22 is the machine's own SSH"), "{said}");
    assert!(said.contains("`listen:`") && !said.contains("take_ssh_port"), "{said}");
    Ok(())
}

/// What is printed is what the provider makes its machines of: the plan names the same fingerprint.
#[test]
fn it_is_what_the_plan_would_make() -> Result<(), Fail> {
    planned_as_shown(include_str!("../../examples/azure.yaml"))?;
    planned_as_shown(include_str!("../../examples/gcp-cloudsql.yaml"))?;
    let aws = include_str!("../../examples/aws-forwarder.yaml");
    planned_as_shown(aws)?;
    let drained = aws.replace("size: t3.small\n", "size: t3.small\n        drain: 45s\n");
    assert_ne!(drained, aws);
    planned_as_shown(&drained)
}

fn planned_as_shown(file: &str) -> Result<(), Fail> {
    let folder = folder(file)?;
    let json = |line: &str| -> Result<Value, Fail> {
        Ok(serde_json::from_slice(&run(folder.path(), line)?.stdout)?)
    };
    let plan = json("--sandbox plan all.yaml --output json")?;
    let actions = plan["actions"].as_array().ok_or("actions")?.iter();
    let changes = actions.filter_map(|action| action["changes"].as_array()).flatten();
    let made: Vec<_> = changes.filter(|c| c["field"] == "forwarder").map(|c| &c["to"]).collect();
    let shown = json("render forwarder all.yaml --output json")?;
    let shown: Vec<_> =
        shown["services"].as_array().ok_or("services")?.iter().map(|s| &s["fingerprint"]).collect();
    assert!(!shown.is_empty());
    assert_eq!(made, shown);
    Ok(())
}
