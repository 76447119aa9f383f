use super::*;

/// All places in a body.
fn places(value: &Value, at: &str, found: &mut Vec<String>) {
    match value {
        Value::Object(map) => {
            for (name, inner) in map {
                let at = format!("{at}/{}", name.replace('~', "~0").replace('/', "~1"));
                found.push(at.clone());
                places(inner, &at, found);
            }
        }
        Value::Array(list) => {
            for (index, inner) in list.iter().enumerate() {
                let at = format!("{at}/{index}");
                found.push(at.clone());
                places(inner, &at, found);
            }
        }
        _ => {}
    }
}

/// Whatever stands in whatever place of a body: ARM answers, and blames the caller or takes it.
#[test]
fn nonsense_in_any_place_is_answered() {
    let mut arm = Arm::with(|setup| setup.rate_limits = false);
    arm.make(&network("loadBalancers", "lb"), balancer_body("lb", &["fe"]));
    let bodies = [
        (network("loadBalancers", "lb2"), balancer_body("lb2", &["fe"])),
        (network("privateLinkServices", "svc"), service_body("lb", "fe", &[CONSUMER])),
        (super::scale_sets::set("fwd"), super::scale_sets::body(2, "aGVsbG8=")),
        (network("networkInterfaces", "nic"), arm.get(&network("networkInterfaces", "db-1-nic")).body),
        (network("virtualNetworks", "hub"), arm.get(&network("virtualNetworks", "hub")).body),
        (subnet("nat"), arm.get(&subnet("nat")).body),
        (
            network("networkSecurityGroups", "nsg"),
            json!({"location": "eastus2", "properties": {"securityRules": [{"name": "a", "properties": {"protocol": "Tcp",
                "access": "Allow", "direction": "Inbound", "priority": 100, "sourceAddressPrefix": "*",
                "destinationAddressPrefix": "*", "sourcePortRange": "*", "destinationPortRange": "1433"}}]}}),
        ),
        (
            format!(
                "/subscriptions/{OWN}/resourceGroups/{GROUP}/providers/Microsoft.Network/privateEndpoints/pe"
            ),
            json!({"location": "eastus2", "properties": {"subnet": {"id": subnet("fwd")},
                "manualPrivateLinkServiceConnections": [{"name": "c", "properties": {"privateLinkServiceId":
                    format!("/subscriptions/{OWN}/resourceGroups/{GROUP}/providers/Microsoft.Sql/servers/crm"),
                    "groupIds": ["sqlServer"], "requestMessage": "x"}}]}}),
        ),
    ];
    let nonsense = [
        json!(null),
        json!(-1),
        json!("\u{fffd}/"),
        json!(true),
        json!([]),
        json!([null]),
        json!({}),
        json!({"id": 1}),
    ];
    let mut tried = 0;
    for (target, body) in bodies {
        let mut all = vec![String::new()];
        places(&body, "", &mut all);
        for place in all {
            for word in &nonsense {
                let mut bad = body.clone();
                *bad.pointer_mut(&place).unwrap() = word.clone();
                let reply = arm.put(&target, bad);
                assert!(
                    (200..500).contains(&reply.status),
                    "{target} {place} {word}: {} {}",
                    reply.status,
                    reply.body
                );
                assert!(reply.status < 300 || !reply.code().is_empty(), "{target} {place} {word}");
                tried += 1;
            }
            arm.pass(70);
        }
    }
    assert!(tried > 1000, "{tried}");
    for path in ["//", "/subscriptions", "/subscriptions//x", "/subscriptions/%ff/providers/", "/%2e%2e/x"] {
        assert!(arm.get(path).status < 500, "{path}");
    }
    let mut exchange = Arm::exchange("PUT", &subnet("nat"), None);
    exchange.body = b"{not json".to_vec();
    arm.send(&exchange).refused(400, "InvalidRequestContent");
}
