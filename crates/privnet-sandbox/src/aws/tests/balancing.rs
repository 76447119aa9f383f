use super::*;

fn group(bench: &Bench, name: &str, more: &[(&str, &str)]) -> String {
    let mut parameters = vec![
        ("Name", name),
        ("Protocol", "TCP"),
        ("Port", "5432"),
        ("VpcId", ids::VPC),
        ("TargetType", "ip"),
    ];
    parameters.extend(more);
    value(&bench.elb("CreateTargetGroup", &parameters), "TargetGroupArn")
}

fn listener(bench: &Bench, balancer: &str, group: &str, port: &str) -> Answer {
    let parameters = [
        ("LoadBalancerArn", balancer),
        ("Protocol", "TCP"),
        ("Port", port),
        ("DefaultActions.member.1.Type", "forward"),
        ("DefaultActions.member.1.TargetGroupArn", group),
    ];
    bench.answer_as(OWNER, Api::Elb, "CreateListener", &parameters)
}

/// The list of a load balancer's listeners is a list like any other; one that is named is read at once.
#[test]
fn a_new_listener_is_missing_from_the_list_for_a_while() {
    let bench = Bench::with(|setup| setup.rate_limits = false);
    let balancer = bench.balancer("a", &[]);
    let group = group(&bench, "g", &[]);
    let made = value(&success(&listener(&bench, &balancer, &group, "5432")), "ListenerArn");
    let listed = || bench.elb("DescribeListeners", &[("LoadBalancerArn", &balancer)]).contains(&made);
    assert!(bench.elb("DescribeListeners", &[("ListenerArns.member.1", &made)]).contains(&made));
    assert!(!listed());
    bench.pass(1);
    assert!(listed());
}

fn health(bench: &Bench, group: &str) -> (String, String) {
    let text = bench.elb("DescribeTargetHealth", &[("TargetGroupArn", group)]);
    (value(&text, "State"), values(&text, "Reason").pop().unwrap_or_default())
}

fn register(bench: &Bench, group: &str, id: &str, zone: Option<&str>) -> Answer {
    let mut parameters = vec![("TargetGroupArn", group), ("Targets.member.1.Id", id)];
    parameters.extend(zone.map(|zone| ("Targets.member.1.AvailabilityZone", zone)));
    bench.answer_as(OWNER, Api::Elb, "RegisterTargets", &parameters)
}

#[test]
fn a_load_balancer_is_provisioned_and_again_after_changes() {
    let bench = Bench::new();
    let group = value(
        &bench.ec2(
            "CreateSecurityGroup",
            &[("GroupName", "g"), ("GroupDescription", "g"), ("VpcId", ids::VPC)],
        ),
        "groupId",
    );
    let parameters = [
        ("Name", "a"),
        ("Type", "network"),
        ("Scheme", "internal"),
        ("Subnets.member.1", ids::SUBNETS[0]),
        ("SecurityGroups.member.1", group.as_str()),
    ];
    let made = bench.elb("CreateLoadBalancer", &parameters);
    let arn = value(&made, "LoadBalancerArn");
    let suffix = arn.strip_prefix("arn:aws:elasticloadbalancing:us-east-1:123456789012:loadbalancer/net/a/");
    assert_eq!(suffix.map(str::len), Some(16));
    let state = || value(&bench.elb("DescribeLoadBalancers", &[("LoadBalancerArns.member.1", &arn)]), "Code");
    assert_eq!(state(), "provisioning");
    bench.pass(120);
    assert_eq!(state(), "active");
    let enforce = |value| {
        let parameters = [
            ("LoadBalancerArn", arn.as_str()),
            ("SecurityGroups.member.1", group.as_str()),
            ("EnforceSecurityGroupInboundRulesOnPrivateLinkTraffic", value),
        ];
        bench.elb("SetSecurityGroups", &parameters);
    };
    enforce("off");
    assert_eq!(state(), "provisioning");
    bench.pass(20);
    assert_eq!(state(), "active");
    enforce("off");
    assert_eq!(state(), "active", "what changes nothing provisions nothing");
}

#[test]
fn wrong_load_balancers() {
    let bench = Bench::new();
    let create = |name: &str, scheme: &str, subnets: &[&str]| {
        let keys: Vec<String> = (1..=subnets.len()).map(|n| format!("Subnets.member.{n}")).collect();
        let mut parameters = vec![("Name", name), ("Type", "network"), ("Scheme", scheme)];
        parameters.extend(keys.iter().map(String::as_str).zip(subnets.iter().copied()));
        bench.elb_error("CreateLoadBalancer", &parameters)
    };
    assert_eq!(create("internal-a", "internal", &ids::SUBNETS), "ValidationError");
    assert_eq!(create("a_b", "internal", &ids::SUBNETS), "ValidationError");
    assert_eq!(create("a", "internal", &[]), "ValidationError");
    assert_eq!(create("a", "internal", &["subnet-00000000000000000"]), "SubnetNotFound");
    assert_eq!(create("a", "internal", &[ids::SUBNETS[0], ids::SUBNETS[0]]), "InvalidConfigurationRequest");
    assert_eq!(create("a", "internet-facing", &ids::SUBNETS), "InvalidSubnet");
    assert_eq!(create("db", "internal", &ids::SUBNETS), "DuplicateLoadBalancerName");
}

#[test]
fn a_target_becomes_healthy_step_by_step() {
    let bench = Bench::new();
    let balancer = bench.balancer("a", &[]);
    let quick = [("HealthCheckIntervalSeconds", "10"), ("HealthyThresholdCount", "3")];
    let group = group(&bench, "g", &quick);
    success(&register(&bench, &group, "10.0.0.30", None));
    assert_eq!(health(&bench, &group), ("unused".into(), "Target.NotInUse".into()));
    success(&listener(&bench, &balancer, &group, "5432"));
    assert_eq!(health(&bench, &group), ("initial".into(), "Elb.RegistrationInProgress".into()));
    bench.pass(15);
    assert_eq!(health(&bench, &group), ("initial".into(), "Elb.InitialHealthChecking".into()));
    bench.pass(30);
    assert_eq!(health(&bench, &group).0, "healthy");
    bench.elb("DeregisterTargets", &[("TargetGroupArn", &group), ("Targets.member.1.Id", "10.0.0.30")]);
    assert_eq!(health(&bench, &group), ("draining".into(), "Target.DeregistrationInProgress".into()));
    success(&register(&bench, &group, "10.0.0.30", None));
    assert_eq!(health(&bench, &group).0, "initial", "one that drains begins anew");
    bench.elb("DeregisterTargets", &[("TargetGroupArn", &group), ("Targets.member.1.Id", "10.0.0.30")]);
    bench.pass(300);
    assert!(values(&bench.elb("DescribeTargetHealth", &[("TargetGroupArn", &group)]), "Id").is_empty());
}

#[test]
fn zones_of_targets() {
    let bench = Bench::new();
    let balancer = bench.balancer("a", &[]);
    let group = group(&bench, "g", &[]);
    success(&listener(&bench, &balancer, &group, "5432"));
    assert_eq!(failure(&register(&bench, &group, "172.16.4.20", None)), "InvalidTarget");
    assert_eq!(failure(&register(&bench, &group, "9.9.9.9", Some("all"))), "InvalidTarget");
    assert_eq!(failure(&register(&bench, &group, "10.0.0.31", Some("us-east-1a"))), "InvalidTarget");
    success(&register(&bench, &group, "10.0.32.9", None));
    bench.pass(600);
    assert_eq!(health(&bench, &group), ("unused".into(), "Target.NotInUse".into()));
    let cross = [
        ("LoadBalancerArn", balancer.as_str()),
        ("Attributes.member.1.Key", "load_balancing.cross_zone.enabled"),
        ("Attributes.member.1.Value", "true"),
    ];
    bench.elb("ModifyLoadBalancerAttributes", &cross);
    assert_eq!(health(&bench, &group).0, "healthy");
}

#[test]
fn a_target_group_is_for_one_load_balancer_and_a_port_for_one_listener() {
    let bench = Bench::new();
    let (one, two) = (bench.balancer("one", &[]), bench.balancer("two", &[]));
    let (first, second) = (group(&bench, "first", &[]), group(&bench, "second", &[]));
    let made = value(&success(&listener(&bench, &one, &first, "5432")), "ListenerArn");
    assert_eq!(value(&success(&listener(&bench, &one, &first, "5432")), "ListenerArn"), made);
    assert_eq!(failure(&listener(&bench, &one, &second, "5432")), "DuplicateListener");
    assert_eq!(failure(&listener(&bench, &two, &first, "5432")), "TargetGroupAssociationLimit");
    assert_eq!(bench.elb_error("DeleteTargetGroup", &[("TargetGroupArn", &first)]), "ResourceInUse");
    bench.elb("DeleteListener", &[("ListenerArn", &made)]);
    assert_eq!(bench.elb_error("DeleteListener", &[("ListenerArn", &made)]), "ListenerNotFound");
    bench.elb("DeleteTargetGroup", &[("TargetGroupArn", &first)]);
    bench.elb("DeleteTargetGroup", &[("TargetGroupArn", &first)]);
    bench.elb("DeleteLoadBalancer", &[("LoadBalancerArn", &two)]);
    bench.elb("DeleteLoadBalancer", &[("LoadBalancerArn", &two)]);
}

#[test]
fn health_checks_are_changed_and_checked() {
    let bench = Bench::new();
    let group = group(&bench, "g", &[]);
    let modify = |key: &str, value: &str| {
        bench.answer_as(OWNER, Api::Elb, "ModifyTargetGroup", &[("TargetGroupArn", &group), (key, value)])
    };
    let shown = success(&modify("HealthCheckProtocol", "HTTP"));
    assert_eq!((value(&shown, "HealthCheckPath"), value(&shown, "HttpCode")), ("/".into(), "200-399".into()));
    assert_eq!(value(&success(&modify("HealthCheckPort", "8080")), "HealthCheckPort"), "8080");
    assert_eq!(failure(&modify("HealthCheckPort", "70000")), "ValidationError");
    assert_eq!(failure(&modify("HealthCheckIntervalSeconds", "4")), "ValidationError");
    assert_eq!(failure(&modify("HealthCheckTimeoutSeconds", "120")), "ValidationError");
    let back = success(&modify("HealthCheckProtocol", "TCP"));
    assert!(values(&back, "HealthCheckPath").is_empty());
}
