//! Right files: what they decode to, as YAML and as JSON, and that the schema takes them.

use std::collections::BTreeSet;

use privnet_core::spec::aws::{AwsForm, AwsTarget};
use privnet_core::spec::azure::AzureForm;
use privnet_core::spec::gcp::{GcpAcceptBy, GcpBackend, GcpForm};
use privnet_core::spec::{
    Acceptance, CloudName, CloudService, Place, Resolver, Spec, Upstream, decode, render_all, schema,
};
use serde_json::Value;

use crate::json_schema;

const FILES: [(&str, &str); 4] = [
    ("format.yaml", include_str!("good/format.yaml")),
    ("aws.yaml", include_str!("good/aws.yaml")),
    ("azure.yaml", include_str!("good/azure.yaml")),
    ("gcp.yaml", include_str!("good/gcp.yaml")),
];

fn good(file: &str) -> Spec {
    let (name, text) = FILES.into_iter().find(|(name, _)| *name == file).unwrap();
    decode(name, text).unwrap_or_else(|errors| panic!("\n{}", render_all(&errors, false)))
}

/// The spec without the places, which differ between two spellings of one file.
fn without_places(mut spec: Spec) -> Spec {
    spec.services.iter_mut().for_each(|service| service.place = Place { line: 1, column: 1 });
    spec.consumers.values_mut().for_each(|consumer| consumer.place = None);
    spec
}

#[test]
fn the_example_of_the_format() {
    let spec = good("format.yaml");
    assert_eq!(spec.services.len(), 7);
    assert_eq!(spec.tags["cost-center"], "4711");
    let fivetran = spec.consumers.iter().find(|(name, _)| name.as_str() == "fivetran").unwrap().1;
    assert_eq!(fivetran.preset.as_ref().unwrap().version.len(), "2026-01-01".len());
    assert!(fivetran.aws.is_some(), "the preset's other lists stay");
    assert_eq!(fivetran.azure.as_ref().unwrap().visible_to().len(), 1);
    let CloudService::Aws(orders) = &spec.service("orders-rds").unwrap().cloud else { panic!() };
    let AwsForm::Made(made) = &orders.form else { panic!() };
    assert_eq!(made.subnets.len(), 2, "the defaults are merged in");
    assert!(made.load_balancer.cross_zone && made.load_balancer.enforce_inbound.is_none());
    assert!(matches!(&made.ports[0].port.to, AwsTarget::Dns(name) if name.as_str().starts_with("orders.")));
    assert_eq!(
        spec.service("events-vm").unwrap().allow.values().next().unwrap().only,
        BTreeSet::from(["12345678901234567890".to_owned()])
    );
    let CloudService::Azure(onprem) = &spec.service("onprem-sql").unwrap().cloud else { panic!() };
    let AzureForm::Made(made) = &onprem.form else { panic!() };
    assert!(made.load_balancer_subnet.to_string().ends_with("/virtualNetworks/hub/subnets/lb"));
    assert_eq!(spec.service("legacy-nlb").unwrap().place, Place { line: 23, column: 5 });
}

#[test]
fn ids_are_texts_however_they_are_written() {
    let spec = good("aws.yaml");
    assert_eq!(spec.tags["cost-center"], "0815");
    let CloudService::Aws(all) = &spec.services[0].cloud else { panic!() };
    assert_eq!(all.location.account.as_ref().unwrap().as_str(), "012345678901");
    assert_eq!(all.location.region.as_str(), "eu-west-1", "a service's own key beats the default");
    let AwsForm::Made(made) = &all.form else { panic!() };
    assert!(matches!(&made.targets.resolver, Resolver::Servers(servers) if servers.len() == 2));
    assert_eq!(made.endpoint_service.private_dns_name.as_ref().unwrap().as_str(), "db.corp.example");
    assert!(
        matches!(&made.ports[4].port.to, AwsTarget::Forwarder(Upstream::Dns(name)) if name.as_str() == "db.corp.example")
    );
    let CloudService::Aws(alb) = &spec.service("alb").unwrap().cloud else { panic!() };
    assert_eq!(alb.location.assume_role.as_ref().unwrap().external_id.as_ref().unwrap().as_str(), "4711");
    assert_eq!(spec.service("alb").unwrap().acceptance, Acceptance::Automatic);
    let CloudService::Gcp(gcp) = &good("gcp.yaml").services[0].cloud.clone() else { panic!() };
    let GcpForm::Made(made) = &gcp.form else { panic!() };
    assert_eq!(made.attachment.domain_names[0].as_str(), "db.acme.example.");
    assert_eq!(made.attachment.propagated_connection_limit, Some(0));
}

#[test]
fn forms_of_each_cloud() {
    let aws: Vec<bool> = good("aws.yaml").services.iter().map(|service| {
        let CloudService::Aws(aws) = &service.cloud else { panic!() };
        match service.name.as_str() {
            "everything" | "alb" => matches!(aws.form, AwsForm::Made(_)),
            "on-load-balancer" => matches!(&aws.form, AwsForm::OnLoadBalancer(on) if on.vpc.is_some() && on.ports.len() == 1),
            "endpoint-service" => matches!(&aws.form, AwsForm::EndpointService(id) if id.as_str() == "vpce-svc-0123456789abcdef0"),
            _ => aws.form == AwsForm::Removed && service.remove && service.allow.is_empty(),
        }
    }).collect();
    assert_eq!(aws, [true; 5]);
    let azure: Vec<bool> = good("azure.yaml").services.iter().map(|service| {
        let CloudService::Azure(azure) = &service.cloud else { panic!() };
        match service.name.as_str() {
            "everything" => matches!(&azure.form, AzureForm::Made(made) if made.link.nat_addresses == 8 && made.ports.len() == 3),
            "on-frontend" => matches!(&azure.form, AzureForm::OnFrontend(on) if on.scope.resource_group.as_str() == "rg.(data)"),
            "private-link-service" => matches!(azure.form, AzureForm::PrivateLinkService(_)),
            "hosted" => matches!(azure.form, AzureForm::Hosted(_)),
            "gone" => matches!(azure.form, AzureForm::Removed { .. }) && service.remove,
            _ => matches!(azure.form, AzureForm::Hosted(_)) && service.remove,
        }
    }).collect();
    assert_eq!(azure, [true; 6]);
    let gcp: Vec<bool> = good("gcp.yaml")
        .services
        .iter()
        .map(|service| {
            let CloudService::Gcp(gcp) = &service.cloud else { panic!() };
            match (service.name.as_str(), &gcp.form) {
                ("everything", GcpForm::Made(made)) => {
                    matches!(&made.backend, GcpBackend::Direct { ports, .. } if ports.len() == 6)
                }
                ("group", GcpForm::Made(made)) => made.attachment.accept_by == GcpAcceptBy::Project,
                ("forwarded", GcpForm::Made(made)) => {
                    matches!(&made.backend, GcpBackend::Forwarder { ports, .. } if ports.len() == 2)
                }
                ("on-forwarding-rule", GcpForm::OnForwardingRule(on)) => on.forwarding_rule.as_str() == "db",
                ("attachment", GcpForm::ServiceAttachment { accept_by, .. }) => {
                    *accept_by == GcpAcceptBy::Endpoint
                }
                // The same attachment: who was let in there under the old name is looked at.
                ("renamed", GcpForm::ServiceAttachment { name, accept_by }) => {
                    service.remove && name.as_str() == "db" && *accept_by == GcpAcceptBy::Project
                }
                (_, form) => *form == GcpForm::Removed && service.remove,
            }
        })
        .collect();
    assert_eq!(gcp, [true; 7]);
}

/// A program that writes JSON gets the same: in one line, and with tabs.
#[test]
fn json_is_the_same_file() {
    for (name, text) in FILES {
        // Through YAML's own numbers ids would lose their zeros, so those are put into quotes first.
        let quoted = text
            .replace(": 0815", ": \"0815\"")
            .replace("account: 012345678901", "account: \"012345678901\"");
        let quoted = quoted
            .replace("external_id: 4711", "external_id: \"4711\"")
            .replace("[12345678901234567890,", "[\"12345678901234567890\",");
        let value: Value = serde_saphyr::from_str(&quoted).unwrap();
        let expected = without_places(good(name));
        let tabs = serde_json::to_string_pretty(&value).unwrap().replace("  ", "\t");
        for json in [value.to_string(), serde_json::to_string_pretty(&value).unwrap(), tabs] {
            let spec =
                decode(name, &json).unwrap_or_else(|errors| panic!("{name}\n{}", render_all(&errors, false)));
            assert_eq!(without_places(spec), expected, "{name}");
        }
    }
}

#[test]
fn the_schema_takes_them() {
    let schema = schema();
    for (name, text) in FILES {
        let value: Value = serde_saphyr::from_str(text).unwrap();
        assert_eq!(json_schema::problems(&schema, &value), Vec::<String>::new(), "{name}");
    }
}

/// Every key of the schema is used by one of the files, so every key is one that the decoder takes.
#[test]
fn every_key_of_the_schema_is_decoded() {
    fn known(schema: &Value, path: &str, found: &mut BTreeSet<String>) {
        for (key, inner) in schema.get("properties").and_then(Value::as_object).into_iter().flatten() {
            found.insert(format!("{path}.{key}"));
            known(inner, &format!("{path}.{key}"), found);
        }
        for inner in [schema.get("items"), schema.get("additionalProperties")].into_iter().flatten() {
            known(inner, path, found);
        }
    }
    fn used(schema: &Value, value: &Value, path: &str, found: &mut BTreeSet<String>) {
        let properties = schema.get("properties").and_then(Value::as_object);
        for (key, inner) in value.as_object().into_iter().flatten() {
            match properties.and_then(|map| map.get(key)) {
                Some(schema) => {
                    found.insert(format!("{path}.{key}"));
                    used(schema, inner, &format!("{path}.{key}"), found);
                }
                None => used(&schema["additionalProperties"], inner, path, found),
            }
        }
        for item in value.as_array().into_iter().flatten() {
            used(&schema["items"], item, path, found);
        }
    }
    let schema = schema();
    let (mut all, mut seen) = (BTreeSet::new(), BTreeSet::new());
    known(&schema, "", &mut all);
    for (_, text) in FILES {
        used(&schema, &serde_saphyr::from_str(text).unwrap(), "", &mut seen);
    }
    let missing: Vec<&String> = all.difference(&seen).collect();
    assert!(missing.is_empty(), "no good file uses {missing:?}");
    assert!(all.len() > 150, "{}", all.len());
}

#[test]
fn a_file_without_services_is_a_file() {
    let spec = decode("x.yaml", "version: 1\ndeployment: dd\nservices: []\n").unwrap();
    assert!(spec.services.is_empty() && spec.consumers.is_empty() && spec.defaults.is_empty());
    let text = "version: 1\ndeployment: dd\ndefaults: { gcp: { region: us-east4 } }\nservices: []\n";
    assert_eq!(decode("x.yaml", text).unwrap().defaults, BTreeSet::from([CloudName::Gcp]));
}

/// Editors of other systems end lines in two characters, and begin files with a mark.
#[test]
fn line_ends_and_marks_of_other_systems() {
    for (name, text) in FILES {
        let crlf = text.replace('\n', "\r\n");
        assert_eq!(decode(name, &crlf).unwrap(), good(name), "{name}");
        let marked = format!("\u{feff}{text}");
        assert_eq!(without_places(decode(name, &marked).unwrap()), without_places(good(name)), "{name}");
        let wrong = crlf.replace("services:", "servces:");
        let line = text.lines().position(|line| line.starts_with("services:")).unwrap() + 1;
        let errors = decode(name, &wrong).unwrap_err();
        let error = errors.iter().find(|error| error.code == "unknown-key").unwrap();
        assert_eq!(
            (error.line as usize, error.column, error.source_line.as_str()),
            (line, 1, "servces:"),
            "{name}"
        );
    }
}

/// Columns count characters, whatever their number of bytes, also far out in a long line.
#[test]
fn columns_count_characters() {
    let long = "é".repeat(3000);
    let text = format!("version: 1\ndeployment: dd\nservices: []\ntags: {{ é: \"{long}\", b: [] }}\n");
    let errors = decode("x.yaml", &text).unwrap_err();
    let places: Vec<(u32, u32, u32)> = errors.iter().map(|e| (e.line, e.column, e.width)).collect();
    let value = 12;
    assert_eq!(places, [(4, value, 109), (4, value + 3002 + 5, 2)], "{errors:?}");
    assert_eq!(
        errors[1].source_line.chars().skip(errors[1].offset as usize).take(2).collect::<String>(),
        "[]"
    );
}
