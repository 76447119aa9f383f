use super::*;

fn create(bench: &Bench, name: &str) -> String {
    let parameters = [("GroupName", name), ("GroupDescription", "d"), ("VpcId", ids::VPC)];
    value(&bench.ec2("CreateSecurityGroup", &parameters), "groupId")
}

#[test]
fn wrong_groups() {
    let bench = Bench::new();
    let error = |name: &str, vpc: &str| {
        bench.ec2_error(
            "CreateSecurityGroup",
            &[("GroupName", name), ("GroupDescription", "d"), ("VpcId", vpc)],
        )
    };
    assert_eq!(error("sg-x", ids::VPC), "InvalidParameterValue");
    assert_eq!(error("ü", ids::VPC), "InvalidParameterValue");
    assert_eq!(error("x", "vpc-00000000000000000"), "InvalidVpcID.NotFound");
    assert_eq!(error("databases", ids::VPC), "InvalidGroup.Duplicate");
    assert_eq!(bench.ec2_error("DeleteSecurityGroup", &[("GroupId", ids::DEFAULT_GROUP)]), "CannotDelete");
    assert_eq!(bench.ec2_error("DeleteSecurityGroup", &[("GroupId", "sg-1")]), "InvalidGroupId.Malformed");
}

#[test]
fn a_group_that_is_referred_to_or_in_use_stays() {
    let bench = Bench::new();
    let group = create(&bench, "referred");
    let rule = [
        ("GroupId", ids::DATABASE_GROUP),
        ("IpPermissions.1.IpProtocol", "tcp"),
        ("IpPermissions.1.FromPort", "5432"),
        ("IpPermissions.1.ToPort", "5432"),
        ("IpPermissions.1.Groups.1.GroupId", group.as_str()),
    ];
    let made = bench.ec2("AuthorizeSecurityGroupIngress", &rule);
    assert!(value(&made, "securityGroupRuleId").starts_with("sgr-0"));
    assert_eq!(bench.ec2_error("AuthorizeSecurityGroupIngress", &rule), "InvalidPermission.Duplicate");
    assert_eq!(bench.ec2_error("DeleteSecurityGroup", &[("GroupId", &group)]), "DependencyViolation");
    bench.ec2("RevokeSecurityGroupIngress", &rule);
    assert_eq!(bench.ec2_error("RevokeSecurityGroupIngress", &rule), "InvalidPermission.NotFound");

    let balancer = bench.balancer("holds", &[("SecurityGroups.member.1", &group)]);
    assert_eq!(bench.ec2_error("DeleteSecurityGroup", &[("GroupId", &group)]), "DependencyViolation");
    bench.elb("DeleteLoadBalancer", &[("LoadBalancerArn", &balancer)]);
    let interfaces = || {
        let filter = [("Filter.1.Name", "group-id"), ("Filter.1.Value.1", group.as_str())];
        values(&bench.ec2("DescribeNetworkInterfaces", &filter), "networkInterfaceId").len()
    };
    assert_eq!(interfaces(), 2, "they linger");
    assert_eq!(bench.ec2_error("DeleteSecurityGroup", &[("GroupId", &group)]), "DependencyViolation");
    bench.pass(40);
    assert_eq!(interfaces(), 0);
    bench.ec2("DeleteSecurityGroup", &[("GroupId", &group)]);
}

#[test]
fn permissions_are_all_or_nothing_and_ranges_are_canonical() {
    let bench = Bench::new();
    let group = create(&bench, "ranges");
    let authorize = |protocol: &str, from: &str, to: &str, cidr: &str| {
        let parameters = [
            ("GroupId", group.as_str()),
            ("IpPermissions.1.IpProtocol", "tcp"),
            ("IpPermissions.1.FromPort", "1"),
            ("IpPermissions.1.ToPort", "1"),
            ("IpPermissions.1.IpRanges.1.CidrIp", "10.0.0.0/8"),
            ("IpPermissions.2.IpProtocol", protocol),
            ("IpPermissions.2.FromPort", from),
            ("IpPermissions.2.ToPort", to),
            ("IpPermissions.2.IpRanges.1.CidrIp", cidr),
        ];
        bench.answer_as(OWNER, Api::Ec2, "AuthorizeSecurityGroupIngress", &parameters)
    };
    for (protocol, from, to, cidr) in [
        ("tcp", "2", "1", "10.0.0.0/8"),
        ("tcp", "2", "70000", "10.0.0.0/8"),
        ("tcp", "2", "2", "10.0.0.1/8"),
        ("xyz", "2", "2", "10.0.0.0/8"),
    ] {
        assert_eq!(failure(&authorize(protocol, from, to, cidr)), "InvalidParameterValue");
    }
    let shown = bench.ec2("DescribeSecurityGroups", &[("GroupId.1", &group)]);
    assert_eq!(value(&shown, "ipPermissions"), "", "the good half of a bad request is not kept");
    success(&authorize("6", "2", "3", "192.168.0.0/16"));
    let shown = bench.ec2("DescribeSecurityGroups", &[("GroupId.1", &group)]);
    let mut ranges = values(&shown, "cidrIp");
    ranges.sort();
    assert_eq!(ranges, ["0.0.0.0/0", "10.0.0.0/8", "192.168.0.0/16"]);
}

#[test]
fn lists_and_tag_filters_lag_and_ids_do_not() {
    let bench = Bench::with(|setup| setup.rate_limits = false);
    let parameters = [
        ("GroupName", "lag"),
        ("GroupDescription", "d"),
        ("VpcId", ids::VPC),
        ("TagSpecification.1.ResourceType", "security-group"),
        ("TagSpecification.1.Tag.1.Key", "app"),
        ("TagSpecification.1.Tag.1.Value", "lag"),
    ];
    let group = value(&bench.ec2("CreateSecurityGroup", &parameters), "groupId");
    let by_tag =
        || bench.ec2("DescribeSecurityGroups", &[("Filter.1.Name", "tag:app"), ("Filter.1.Value.1", "l?g")]);
    assert!(bench.ec2("DescribeSecurityGroups", &[("GroupId.1", &group)]).contains("<value>lag</value>"));
    assert!(!by_tag().contains(&group));
    bench.pass(1);
    assert!(by_tag().contains(&group));
    bench.ec2("DeleteTags", &[("ResourceId.1", &group), ("Tag.1.Key", "app")]);
    assert!(by_tag().contains(&group), "a removed tag is found for a while");
    bench.pass(1);
    assert!(!by_tag().contains(&group));
}

/// A rule for one port and one range.
fn one_port<'a>(group: &'a str, key: &'a str, range: &'a str) -> [(&'a str, &'a str); 5] {
    let port = [("IpPermissions.1.FromPort", "1"), ("IpPermissions.1.ToPort", "1")];
    [("GroupId", group), ("IpPermissions.1.IpProtocol", "tcp"), port[0], port[1], (key, range)]
}

/// The quota is enforced for IPv4 and IPv6 apart.
#[test]
fn a_group_takes_sixty_rules_of_each_address_family() {
    let bench = Bench::new();
    let group = create(&bench, "full");
    let v4 = "IpPermissions.1.IpRanges.1.CidrIp";
    let ranges: Vec<String> = (0..60).map(|nth| format!("10.1.{nth}.0/24")).collect();
    for range in &ranges {
        bench.ec2("AuthorizeSecurityGroupIngress", &one_port(&group, v4, range));
    }
    let error = bench.ec2_error("AuthorizeSecurityGroupIngress", &one_port(&group, v4, "10.2.0.0/24"));
    assert_eq!(error, "RulesPerSecurityGroupLimitExceeded");
    bench.ec2(
        "AuthorizeSecurityGroupIngress",
        &one_port(&group, "IpPermissions.1.Ipv6Ranges.1.CidrIpv6", "fd00::/64"),
    );
}
