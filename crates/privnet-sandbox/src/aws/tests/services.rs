use super::*;

/// A topic of the default world that may be published to.
const TOPIC: &str = "arn:aws:sns:us-east-1:123456789012:privnet-connections";
const ROOT: &str = "arn:aws:iam::210987654321:root";

fn create(bench: &Bench, balancer: &str, more: &[(&str, &str)]) -> Answer {
    let mut parameters = vec![("NetworkLoadBalancerArn.1", balancer)];
    parameters.extend(more);
    bench.answer_as(OWNER, Api::Ec2, "CreateVpcEndpointServiceConfiguration", &parameters)
}

fn describe(bench: &Bench, id: &str) -> String {
    bench.ec2("DescribeVpcEndpointServiceConfigurations", &[("ServiceId.1", id)])
}

#[test]
fn a_new_notification_is_missing_from_the_list_for_a_while() {
    let bench = Bench::with(|setup| setup.rate_limits = false);
    let balancer = bench.balancer("a", &[]);
    let service = bench.service(&balancer, "true", ROOT);
    let parameters = [
        ("ServiceId", service.as_str()),
        ("ConnectionNotificationArn", TOPIC),
        ("ConnectionEvents.1", "Connect"),
    ];
    let made =
        value(&bench.ec2("CreateVpcEndpointConnectionNotification", &parameters), "connectionNotificationId");
    let read = |parameters: &[(&str, &str)]| {
        bench.ec2("DescribeVpcEndpointConnectionNotifications", parameters).contains(&made)
    };
    assert!(read(&[("ConnectionNotificationId", &made)]));
    assert!(!read(&[("Filter.1.Name", "service-id"), ("Filter.1.Value.1", &service)]));
    bench.pass(1);
    assert!(read(&[("Filter.1.Name", "service-id"), ("Filter.1.Value.1", &service)]));
}

#[test]
fn a_service_goes_through_its_states() {
    let bench = Bench::new();
    let balancer = bench.balancer("a", &[]);
    let made = success(&create(&bench, &balancer, &[]));
    let id = value(&made, "serviceId");
    assert_eq!((id.len(), value(&made, "serviceState").as_str()), ("vpce-svc-".len() + 17, "Pending"));
    assert_eq!(value(&made, "serviceName"), format!("com.amazonaws.vpce.us-east-1.{id}"));
    assert_eq!(value(&made, "acceptanceRequired"), "true");
    bench.pass(10);
    assert_eq!(value(&describe(&bench, &id), "serviceState"), "Available");
    bench.ec2("DeleteVpcEndpointServiceConfigurations", &[("ServiceId.1", &id)]);
    assert_eq!(value(&describe(&bench, &id), "serviceState"), "Deleting");
    let again = bench.ec2("DeleteVpcEndpointServiceConfigurations", &[("ServiceId.1", &id)]);
    assert_eq!(value(&again, "code"), "InvalidVpcEndpointService.NotFound", "HTTP 200 with a failure inside");
    bench.pass(15);
    let gone = bench.ec2_error("DescribeVpcEndpointServiceConfigurations", &[("ServiceId.1", &id)]);
    assert_eq!(gone, "InvalidVpcEndpointServiceId.NotFound");
    success(&create(&bench, &balancer, &[]));
}

#[test]
fn client_tokens() {
    let bench = Bench::new();
    let balancer = bench.balancer("a", &[]);
    let first = value(&success(&create(&bench, &balancer, &[("ClientToken", "t")])), "serviceId");
    let again = success(&create(&bench, &balancer, &[("ClientToken", "t")]));
    assert_eq!((value(&again, "serviceId"), value(&again, "clientToken")), (first.clone(), "t".to_owned()));
    let other = create(&bench, &balancer, &[("ClientToken", "t"), ("AcceptanceRequired", "false")]);
    assert_eq!(failure(&other), "IdempotentParameterMismatch");
    // After a deletion the token still answers the old id, which nothing describes.
    bench.ec2("DeleteVpcEndpointServiceConfigurations", &[("ServiceId.1", &first)]);
    bench.pass(60);
    assert_eq!(value(&success(&create(&bench, &balancer, &[("ClientToken", "t")])), "serviceId"), first);
    let gone = bench.ec2_error("DescribeVpcEndpointServiceConfigurations", &[("ServiceId.1", &first)]);
    assert_eq!(gone, "InvalidVpcEndpointServiceId.NotFound");
    // A token of a call that failed is free.
    let failed = create(&bench, "arn:nothing", &[("ClientToken", "u")]);
    assert_eq!(failure(&failed), "InvalidParameter");
    success(&create(&bench, &balancer, &[("ClientToken", "u")]));
}

#[test]
fn a_load_balancer_has_one_service_and_must_be_active() {
    let bench = Bench::new();
    let balancer = bench.balancer("a", &[]);
    success(&create(&bench, &balancer, &[]));
    assert_eq!(failure(&create(&bench, &balancer, &[])), "InvalidParameter");
    let parameters = [
        ("Name", "young"),
        ("Type", "network"),
        ("Scheme", "internal"),
        ("Subnets.member.1", ids::SUBNETS[0]),
    ];
    let young = value(&bench.elb("CreateLoadBalancer", &parameters), "LoadBalancerArn");
    assert_eq!(failure(&create(&bench, &young, &[])), "InvalidParameter");
    assert_eq!(bench.elb_error("DeleteLoadBalancer", &[("LoadBalancerArn", &balancer)]), "ResourceInUse");
}

#[test]
fn a_private_name_is_verified_by_its_record() {
    let bench = Bench::new();
    let balancer = bench.balancer("a", &[]);
    let made = success(&create(&bench, &balancer, &[("PrivateDnsName", "db.example.com")]));
    let (id, name, text) =
        (value(&made, "serviceId"), value(&made, "name"), values(&made, "value").pop().unwrap());
    let state = || value(&value(&describe(&bench, &id), "privateDnsNameConfiguration"), "state");
    let start = || bench.ec2("StartVpcEndpointServicePrivateDnsVerification", &[("ServiceId", &id)]);
    start();
    assert_eq!(state(), "pendingVerification");
    bench.pass(15);
    assert_eq!(state(), "failed");
    let names = crate::dns::Names::open(bench.dir.path()).unwrap();
    names.set_text(&format!("{name}.db.example.com"), &[text]).unwrap();
    start();
    bench.pass(15);
    assert_eq!(state(), "verified");
}

#[test]
fn only_the_allowed_see_a_service_and_zones_are_told_by_id() {
    let bench = Bench::new();
    let balancer = bench.balancer("a", &[]);
    let id = bench.service(&balancer, "true", "arn:aws:iam::111122223333:root");
    let name = format!("com.amazonaws.vpce.us-east-1.{id}");
    let look =
        || bench.answer_as(CONSUMER, Api::Ec2, "DescribeVpcEndpointServices", &[("ServiceName.1", &name)]);
    assert_eq!(failure(&look()), "InvalidServiceName");
    bench.ec2("ModifyVpcEndpointServicePermissions", &[("ServiceId", &id), ("AddAllowedPrincipals.1", ROOT)]);
    assert_eq!(values(&value(&success(&look()), "availabilityZoneIdSet"), "item"), ["use1-az4", "use1-az6"]);
    // The consumer's own subnets have the same zones under other names.
    let subnets = success(&bench.answer_as(CONSUMER, Api::Ec2, "DescribeSubnets", &[]));
    let zones: Vec<_> = values(&subnets, "availabilityZoneId");
    assert_eq!(zones, ["use1-az6", "use1-az1", "use1-az4"]);
    let (vpc, ids) = (value(&subnets, "vpcId"), values(&subnets, "subnetId"));
    let connect = |subnet: &str| {
        let parameters = [
            ("VpcEndpointType", "Interface"),
            ("VpcId", vpc.as_str()),
            ("ServiceName", name.as_str()),
            ("SubnetId.1", subnet),
        ];
        bench.answer_as(CONSUMER, Api::Ec2, "CreateVpcEndpoint", &parameters)
    };
    assert_eq!(failure(&connect(&ids[1])), "InvalidParameter");
    assert_eq!(value(&success(&connect(&ids[0])), "state"), "pendingAcceptance");
}

/// A name is taken as it stands: nothing in it stands for several.
#[test]
fn a_principal_is_one() {
    let bench = Bench::new();
    let id =
        bench.service(&bench.balancer("a", &[]), "true", "arn:aws:iam::111122223333:role/a.b=c,d+e@f_g-1");
    for wrong in ["role/*", "user/*", "role/a?", "role/a b", "role/a/b"] {
        let principal = format!("arn:aws:iam::111122223333:{wrong}");
        let parameters = [("ServiceId", id.as_str()), ("AddAllowedPrincipals.1", &principal)];
        assert_eq!(
            bench.ec2_error("ModifyVpcEndpointServicePermissions", &parameters),
            "InvalidPrincipal",
            "{wrong}"
        );
    }
}

#[test]
fn accounts_regions_and_partitions_are_apart() {
    let bench = Bench::new();
    let look =
        |region| success(&bench.answer_as(Caller { region, ..OWNER }, Api::Ec2, "DescribeSubnets", &[]));
    for (region, prefix) in
        [("us-gov-west-1", "arn:aws-us-gov:ec2:us-gov-west-1:"), ("cn-north-1", "arn:aws-cn:ec2:cn-north-1:")]
    {
        assert!(values(&look(region), "subnetArn").iter().all(|arn| arn.starts_with(prefix)));
    }
    let mut all: Vec<String> =
        ids::REGIONS.iter().flat_map(|region| values(&look(region), "subnetId")).collect();
    all.sort();
    all.dedup();
    assert_eq!(all.len(), 4 * 3 + ids::OTHER_SUBNETS.len());
    assert!(values(&look("eu-north-1"), "subnetId").is_empty());
    let wrong = bench.answer_as(CONSUMER, Api::Ec2, "DescribeVpcs", &[("VpcId.1", ids::VPC)]);
    assert_eq!(failure(&wrong), "InvalidVpcID.NotFound");
}
