use super::*;

/// A launch template of the default world's Debian; its id.
fn template(bench: &Bench, name: &str, more: &[(&str, &str)]) -> String {
    let mut parameters = vec![
        ("LaunchTemplateName", name),
        ("LaunchTemplateData.ImageId", "resolve:ssm:/aws/service/debian/release/12/latest/arm64"),
        ("LaunchTemplateData.InstanceType", "t4g.small"),
        ("LaunchTemplateData.SecurityGroupId.1", ids::DATABASE_GROUP),
    ];
    parameters.retain(|(key, _)| !more.iter().any(|(other, _)| key == other));
    parameters.extend(more);
    value(&bench.ec2("CreateLaunchTemplate", &parameters), "launchTemplateId")
}

/// A target group for instances, behind a listener of a load balancer in the first two subnets.
fn served_target_group(bench: &Bench, name: &str) -> String {
    let balancer = bench.balancer(name, &[]);
    let parameters = [
        ("Name", name),
        ("Protocol", "TCP"),
        ("Port", "5432"),
        ("VpcId", ids::VPC),
        ("TargetType", "instance"),
        ("HealthCheckIntervalSeconds", "10"),
        ("HealthyThresholdCount", "2"),
        ("UnhealthyThresholdCount", "2"),
    ];
    let group = value(&bench.elb("CreateTargetGroup", &parameters), "TargetGroupArn");
    let parameters = [
        ("LoadBalancerArn", balancer.as_str()),
        ("Protocol", "TCP"),
        ("Port", "5432"),
        ("DefaultActions.member.1.Type", "forward"),
        ("DefaultActions.member.1.TargetGroupArn", &group),
    ];
    bench.elb("CreateListener", &parameters);
    group
}

fn subnets() -> String {
    ids::SUBNETS[..2].join(",")
}

fn create(bench: &Bench, name: &str, template: &str, more: &[(&str, &str)]) -> Answer {
    let zones = subnets();
    let mut parameters = vec![
        ("AutoScalingGroupName", name),
        ("LaunchTemplate.LaunchTemplateId", template),
        ("MinSize", "2"),
        ("MaxSize", "4"),
        ("VPCZoneIdentifier", &zones),
    ];
    parameters.retain(|(key, _)| !more.iter().any(|(other, _)| key == other));
    parameters.extend(more);
    bench.answer_as(OWNER, Api::Scaling, "CreateAutoScalingGroup", &parameters)
}

fn group(bench: &Bench, name: &str) -> String {
    bench.scaling("DescribeAutoScalingGroups", &[("AutoScalingGroupNames.member.1", name)])
}

/// Lifecycle states of a group's instances, sorted.
fn states(bench: &Bench, name: &str) -> Vec<String> {
    let mut found = values(&group(bench, name), "LifecycleState");
    found.sort();
    found
}

fn healths(bench: &Bench, target_group: &str) -> Vec<String> {
    let mut found = values(&bench.elb("DescribeTargetHealth", &[("TargetGroupArn", target_group)]), "State");
    found.sort();
    found
}

#[test]
fn a_group_comes_up_serves_and_goes() {
    let bench = Bench::new();
    let (template, targets) = (template(&bench, "forwarders", &[]), served_target_group(&bench, "fwd"));
    success(&create(&bench, "g", &template, &[("TargetGroupARNs.member.1", &targets)]));
    assert_eq!(failure(&create(&bench, "g", &template, &[])), "AlreadyExists");
    assert!(states(&bench, "g").is_empty());
    bench.pass(2);
    assert_eq!(states(&bench, "g"), ["Pending", "Pending"]);
    let mut zones = values(&bench.scaling("DescribeAutoScalingInstances", &[]), "AvailabilityZone");
    zones.sort();
    assert_eq!(zones, ["us-east-1a", "us-east-1b"], "spread over the zones");
    assert!(healths(&bench, &targets).is_empty());
    bench.pass(30);
    assert_eq!(states(&bench, "g"), ["InService", "InService"]);
    assert_eq!(healths(&bench, &targets), ["initial", "initial"]);
    bench.pass(35);
    assert_eq!(healths(&bench, &targets), ["healthy", "healthy"]);
    // Its instances hold the security group and the subnets.
    assert_eq!(bench.ec2_error("DeleteSubnet", &[("SubnetId", ids::SUBNETS[0])]), "DependencyViolation");
    assert_eq!(
        bench.scaling_error("DeleteAutoScalingGroup", &[("AutoScalingGroupName", "g")]),
        "ResourceInUse"
    );
    let none = [("AutoScalingGroupName", "g"), ("MinSize", "0"), ("MaxSize", "0"), ("DesiredCapacity", "0")];
    bench.scaling("UpdateAutoScalingGroup", &none);
    bench.pass(2);
    assert_eq!(states(&bench, "g"), ["Terminating", "Terminating"]);
    assert_eq!(healths(&bench, &targets), ["draining", "draining"]);
    let early = bench.scaling_error("DeleteAutoScalingGroup", &[("AutoScalingGroupName", "g")]);
    assert_eq!(early, "ScalingActivityInProgress");
    bench.pass(299);
    assert_eq!(states(&bench, "g").len(), 2, "they drain for the target group's delay");
    bench.pass(21);
    assert!(states(&bench, "g").is_empty());
    bench.scaling("DeleteAutoScalingGroup", &[("AutoScalingGroupName", "g")]);
    assert!(group(&bench, "g").contains("<Status>Delete in progress</Status>"));
    assert_eq!(failure(&create(&bench, "g", &template, &[])), "AlreadyExists");
    bench.pass(5);
    assert!(!group(&bench, "g").contains("<AutoScalingGroupName>"));
    let gone = bench.scaling_error("DeleteAutoScalingGroup", &[("AutoScalingGroupName", "g")]);
    assert_eq!(gone, "ValidationError");
}

#[test]
fn it_all_happens_at_its_time_when_nobody_looks_for_a_long_while() {
    let (bench, seen) = (Bench::new(), Bench::new());
    let run = |bench: &Bench, steps: &[i64]| {
        let (template, targets) = (template(bench, "t-1", &[]), served_target_group(bench, "tg"));
        success(&create(bench, "g", &template, &[("TargetGroupARNs.member.1", &targets)]));
        steps.iter().for_each(|step| {
            bench.pass(*step);
            group(bench, "g");
        });
        bench.scaling("DeleteAutoScalingGroup", &[("AutoScalingGroupName", "g"), ("ForceDelete", "true")]);
        steps.iter().for_each(|step| {
            bench.pass(*step);
            group(bench, "g");
        });
        let text = bench.scaling("DescribeScalingActivities", &[("IncludeDeletedGroups", "true")]);
        (values(&text, "StartTime"), values(&text, "EndTime"), values(&text, "StatusCode"))
    };
    assert_eq!(run(&bench, &[600]), run(&seen, &[1; 600]));
}

#[test]
fn unhealthy_targets_end_machines_only_where_the_group_asks_for_it() {
    let bench = Bench::new();
    let (template, targets) = (template(&bench, "t-1", &[]), served_target_group(&bench, "tg"));
    success(&create(&bench, "g", &template, &[("TargetGroupARNs.member.1", &targets)]));
    bench.pass(100);
    let before = values(&group(&bench, "g"), "InstanceId");
    let down = [
        ("ResourceArns.member.1", targets.as_str()),
        ("Tags.member.1.Key", "sandbox-health"),
        ("Tags.member.1.Value", "down"),
    ];
    bench.elb("AddTags", &down);
    bench.pass(19);
    assert_eq!(healths(&bench, &targets), ["healthy", "healthy"], "checks take their time to find out");
    bench.pass(1);
    assert_eq!(healths(&bench, &targets), ["unhealthy", "unhealthy"]);
    bench.pass(600);
    assert_eq!(values(&group(&bench, "g"), "InstanceId"), before, "of the type EC2: a database may be down");
    let elb = [("AutoScalingGroupName", "g"), ("HealthCheckType", "ELB")];
    bench.scaling("UpdateAutoScalingGroup", &elb);
    // Health is looked at whenever somebody looks; what is found then is acted upon a little later.
    assert_eq!(states(&bench, "g"), ["InService", "InService"]);
    bench.pass(2);
    assert_eq!(states(&bench, "g"), ["Pending", "Pending", "Terminating", "Terminating"]);
}

#[test]
fn a_machine_that_ends_is_replaced() {
    let bench = Bench::new();
    let template = template(&bench, "t-1", &[]);
    success(&create(&bench, "g", &template, &[]));
    bench.pass(60);
    let ended = value(&group(&bench, "g"), "InstanceId");
    bench.ec2("TerminateInstances", &[("InstanceId.1", &ended)]);
    bench.pass(1);
    assert!(group(&bench, "g").contains("<HealthStatus>Unhealthy</HealthStatus>"));
    bench.pass(60);
    let now = values(&group(&bench, "g"), "InstanceId");
    assert!(now.len() == 2 && !now.contains(&ended), "{now:?}");
    let suspend = [("AutoScalingGroupName", "g"), ("ScalingProcesses.member.1", "ReplaceUnhealthy")];
    bench.scaling("SuspendProcesses", &suspend);
    bench.ec2("TerminateInstances", &[("InstanceId.1", &now[0])]);
    bench.pass(300);
    assert!(values(&group(&bench, "g"), "InstanceId").contains(&now[0]));
    bench.scaling("ResumeProcesses", &suspend);
    bench.pass(60);
    assert!(!values(&group(&bench, "g"), "InstanceId").contains(&now[0]));
}

#[test]
fn a_launch_that_fails_shows_in_the_activities_and_is_tried_again() {
    let bench = Bench::new();
    let template = template(&bench, "t-1", &[]);
    let image = value(
        &bench.ec2(
            "DescribeLaunchTemplateVersions",
            &[("LaunchTemplateId", &template), ("ResolveAlias", "true")],
        ),
        "imageId",
    );
    success(&create(&bench, "g", &template, &[("MinSize", "0")]));
    let switch = |value: &str| {
        bench.ec2(
            "CreateTags",
            &[("ResourceId.1", &image), ("Tag.1.Key", "sandbox-image"), ("Tag.1.Value", value)],
        );
    };
    switch("gone");
    assert_eq!(bench.ec2_error("DescribeImages", &[("ImageId.1", &image)]), "InvalidAMIID.NotFound");
    bench.scaling("SetDesiredCapacity", &[("AutoScalingGroupName", "g"), ("DesiredCapacity", "2")]);
    bench.pass(2);
    let text = bench.scaling("DescribeScalingActivities", &[("AutoScalingGroupName", "g")]);
    assert_eq!(values(&text, "StatusCode"), ["Failed"]);
    assert!(value(&text, "StatusMessage").contains(&image), "{text}");
    bench.pass(3600);
    let text = bench.scaling("DescribeScalingActivities", &[("AutoScalingGroupName", "g")]);
    let tries = values(&text, "StatusCode").len();
    assert!((3..12).contains(&tries), "{tries} tries in an hour");
    assert!(states(&bench, "g").is_empty());
}

#[test]
fn a_newer_image_behind_the_name_is_for_new_machines() {
    let bench = Bench::new();
    let template = template(&bench, "t-1", &[]);
    let image = |resolve: &str| {
        let parameters = [("LaunchTemplateId", template.as_str()), ("ResolveAlias", resolve)];
        value(&bench.ec2("DescribeLaunchTemplateVersions", &parameters), "imageId")
    };
    let named = image("false");
    assert_eq!(named, "resolve:ssm:/aws/service/debian/release/12/latest/arm64");
    success(&create(&bench, "g", &template, &[]));
    bench.pass(60);
    let old = image("true");
    bench.ec2(
        "CreateTags",
        &[("ResourceId.1", &old), ("Tag.1.Key", "sandbox-image"), ("Tag.1.Value", "newer")],
    );
    let new = image("true");
    assert_ne!(old, new);
    assert_eq!(image("false"), named, "the template is as it was");
    bench.scaling("SetDesiredCapacity", &[("AutoScalingGroupName", "g"), ("DesiredCapacity", "3")]);
    bench.pass(60);
    let mut images = values(
        &bench.ec2(
            "DescribeInstances",
            &[("Filter.1.Name", "tag:aws:autoscaling:groupName"), ("Filter.1.Value.1", "g")],
        ),
        "imageId",
    );
    images.sort();
    let mut wanted = [old.clone(), old, new];
    wanted.sort();
    assert_eq!(images, wanted);
}

#[test]
fn target_groups_are_attached_and_detached_in_steps() {
    let bench = Bench::new();
    let (template, targets) = (template(&bench, "t-1", &[]), served_target_group(&bench, "tg"));
    success(&create(&bench, "g", &template, &[]));
    bench.pass(60);
    let named = [("AutoScalingGroupName", "g"), ("TargetGroupARNs.member.1", targets.as_str())];
    let state = || values(&bench.scaling("DescribeLoadBalancerTargetGroups", &named[..1]), "State");
    bench.scaling("AttachLoadBalancerTargetGroups", &named);
    assert_eq!(state(), ["Adding"]);
    bench.pass(5);
    assert_eq!((state(), healths(&bench, &targets).len()), (vec!["Added".to_owned()], 2));
    bench.scaling("UpdateAutoScalingGroup", &[("AutoScalingGroupName", "g"), ("HealthCheckType", "EC2,ELB")]);
    assert_eq!(state(), ["Added"]);
    bench.pass(40);
    assert_eq!(state(), ["InService"]);
    bench.scaling("DetachLoadBalancerTargetGroups", &named);
    assert_eq!(
        (state(), healths(&bench, &targets)),
        (vec!["Removing".to_owned()], vec!["draining".to_owned(); 2])
    );
    assert!(values(&group(&bench, "g"), "TargetGroupARNs").iter().all(|list| !list.contains("arn:")));
    bench.pass(300);
    assert_eq!(state(), ["Removed"]);
    bench.pass(10);
    assert!(state().is_empty());
    assert_eq!(bench.scaling_error("DetachLoadBalancerTargetGroups", &named), "ValidationError");
}

#[test]
fn what_a_group_cannot_be() {
    let bench = Bench::new();
    let good = template(&bench, "good", &[]);
    let other_image =
        template(&bench, "x86", &[("LaunchTemplateData.TagSpecification.1.ResourceType", "instance")]);
    bench.ec2(
        "CreateLaunchTemplateVersion",
        &[
            ("LaunchTemplateId", &other_image),
            ("SourceVersion", "1"),
            ("LaunchTemplateData.InstanceType", "t3.small"),
        ],
    );
    let unknown_type = template(&bench, "unknown", &[("LaunchTemplateData.InstanceType", "q1.small")]);
    let ip_group = bench.elb(
        "CreateTargetGroup",
        &[("Name", "ip"), ("Protocol", "TCP"), ("Port", "1"), ("VpcId", ids::VPC), ("TargetType", "ip")],
    );
    let ip_group = value(&ip_group, "TargetGroupArn");
    for (more, words) in [
        (vec![("MinSize", "5")], "Max bound, 4, must be greater than or equal to min bound, 5"),
        (vec![("DesiredCapacity", "9")], "Desired capacity:9 must be between"),
        (vec![("VPCZoneIdentifier", "subnet-00000000000000000")], "does not exist"),
        (vec![("TargetGroupARNs.member.1", ip_group.as_str())], "target type ip"),
        (vec![("TargetGroupARNs.member.1", "arn:aws:none")], "Provided Target Groups may not be valid"),
        (vec![("HealthCheckType", "NONE")], "Invalid health check type"),
        (vec![("LaunchTemplate.Version", "7")], "fully-formed launch template. Could not find"),
        (vec![("LaunchTemplate.LaunchTemplateName", "good")], "either launchTemplateId or"),
        (vec![("LaunchTemplate.LaunchTemplateId", "lt-00000000000000000")], "does not exist"),
        (
            vec![
                ("LaunchTemplate.LaunchTemplateId", other_image.as_str()),
                ("LaunchTemplate.Version", "$Latest"),
            ],
            "does not match the architecture 'arm64'",
        ),
        (vec![("Tags.member.1.Key", "aws:x")], "reserved"),
        (
            vec![("LaunchTemplate.LaunchTemplateId", unknown_type.as_str())],
            "Invalid value 'q1.small' for InstanceType",
        ),
        (vec![("LaunchConfigurationName", "old")], "Launch configuration name not found"),
    ] {
        let answer = create(&bench, "g", &good, &more);
        assert_eq!(failure(&answer), "ValidationError", "{more:?}");
        assert!(answer.text().contains(words), "{more:?}: {}", answer.text());
    }
    assert!(!bench.scaling("DescribeAutoScalingGroups", &[]).contains("<AutoScalingGroupName>"));
}

#[test]
fn a_group_that_leaves_a_zone_has_its_replacement_first() {
    let bench = Bench::new();
    let template = template(&bench, "t-1", &[]);
    success(&create(&bench, "g", &template, &[]));
    bench.pass(60);
    let moved = [ids::SUBNETS[0], ids::SUBNETS[2]].join(",");
    bench.scaling("UpdateAutoScalingGroup", &[("AutoScalingGroupName", "g"), ("VPCZoneIdentifier", &moved)]);
    bench.pass(2);
    assert_eq!(states(&bench, "g"), ["InService", "InService", "Pending"]);
    bench.pass(31);
    group(&bench, "g");
    bench.pass(30);
    let mut zones = values(&bench.scaling("DescribeAutoScalingInstances", &[]), "AvailabilityZone");
    zones.sort();
    assert_eq!(zones, ["us-east-1a", "us-east-1c"]);
}

#[test]
fn states_that_do_not_come_about_by_themselves_come_on_demand() {
    let bench = Bench::new();
    let balancer = bench.balancer("one", &[]);
    let state =
        || value(&bench.elb("DescribeLoadBalancers", &[("LoadBalancerArns.member.1", &balancer)]), "Code");
    let tell = |resource: &str, key: &str, value: &str| {
        let tag =
            [("ResourceArns.member.1", resource), ("Tags.member.1.Key", key), ("Tags.member.1.Value", value)];
        bench.elb("AddTags", &tag);
    };
    assert_eq!(state(), "active");
    tell(&balancer, "sandbox-state", "active_impaired");
    assert_eq!(state(), "active_impaired");
    let connection = "vpce-svc-conn-0eeeeeeeeeeeeeee7";
    bench.ec2(
        "CreateTags",
        &[("ResourceId.1", connection), ("Tag.1.Key", "sandbox-state"), ("Tag.1.Value", "partial")],
    );
    assert_eq!(bench.connections(ids::SERVICE), [(ids::SECOND_ACCOUNT.to_owned(), "partial".to_owned())]);

    let (template, targets) = (template(&bench, "t-1", &[]), served_target_group(&bench, "tg"));
    success(&create(&bench, "g", &template, &[("TargetGroupARNs.member.1", &targets)]));
    bench.pass(120);
    let attributes = [
        ("TargetGroupArn", targets.as_str()),
        ("Attributes.member.1.Key", "target_health_state.unhealthy.connection_termination.enabled"),
        ("Attributes.member.1.Value", "false"),
        ("Attributes.member.2.Key", "target_health_state.unhealthy.draining_interval_seconds"),
        ("Attributes.member.2.Value", "60"),
    ];
    bench.elb("ModifyTargetGroupAttributes", &attributes);
    tell(&targets, "sandbox-health", "down");
    bench.pass(20);
    assert_eq!(healths(&bench, &targets), ["unhealthy.draining", "unhealthy.draining"]);
    bench.pass(60);
    assert_eq!(healths(&bench, &targets), ["unhealthy", "unhealthy"]);
    tell(&targets, "sandbox-health", "unavailable");
    assert_eq!(healths(&bench, &targets), ["unavailable", "unavailable"]);
}
