use super::*;
use crate::frame::Failure;

#[test]
fn the_api_is_told_by_the_scope_and_else_by_the_version() {
    let bench = Bench::new();
    let sts = success(&bench.answer_as(OWNER, Api::Sts, "GetCallerIdentity", &[]));
    assert_eq!(value(&sts, "Account"), ids::ACCOUNT);
    let mut strange = Bench::exchange(OWNER, Api::Elb, "DescribeLoadBalancers", &[]);
    let scope = "AWS4-HMAC-SHA256 Credential=K/20260601/us-east-1/other/aws4_request";
    strange.headers.insert("authorization", scope.parse().unwrap());
    let answer = bench.cloud.answer(&strange, Moment::at(bench.now.get()));
    assert!(answer.text().starts_with("<DescribeLoadBalancersResponse xmlns=\"http://elasticloadbalancing"));
}

#[test]
fn a_get_with_a_query_is_a_request_too() {
    let bench = Bench::new();
    let mut exchange = Bench::exchange(OWNER, Api::Ec2, "DescribeVpcs", &[]);
    exchange.method = "GET".into();
    exchange.query = String::from_utf8(std::mem::take(&mut exchange.body)).unwrap();
    assert!(success(&bench.cloud.answer(&exchange, Moment::at(bench.now.get()))).contains(ids::VPC));
    assert_eq!(bench.cloud.action(&exchange), "DescribeVpcs");
}

#[test]
fn errors_have_each_apis_form() {
    let bench = Bench::new();
    let ec2 = bench.answer_as(OWNER, Api::Ec2, "DescribeVpcs", &[("VpcId.1", "vpc-00000000000000000")]);
    assert_eq!(ec2.status, 400);
    assert!(
        ec2.text().contains("<Response><Errors><Error><Code>InvalidVpcID.NotFound</Code>"),
        "{}",
        ec2.text()
    );
    assert!(ec2.text().contains("<RequestID>"));
    let arn = "arn:aws:elasticloadbalancing:us-east-1:123456789012:loadbalancer/net/x/0000000000000000";
    let elb =
        bench.answer_as(OWNER, Api::Elb, "DescribeLoadBalancers", &[("LoadBalancerArns.member.1", arn)]);
    assert!(
        elb.text().contains("<Type>Sender</Type>")
            && elb.text().contains("<Code>LoadBalancerNotFound</Code>")
    );
    assert_eq!(failure(&bench.answer_as(OWNER, Api::Ec2, "DescribeMoons", &[])), "InvalidAction");
    let mut unsigned = Bench::exchange(OWNER, Api::Ec2, "DescribeVpcs", &[]);
    unsigned.headers.remove("authorization");
    let answer = bench.cloud.answer(&unsigned, Moment::at(bench.now.get()));
    assert_eq!((answer.status, failure(&answer).as_str()), (403, "MissingAuthenticationToken"));
}

#[test]
fn failures_that_the_frame_asks_for() {
    let bench = Bench::new();
    let ec2 = Bench::exchange(OWNER, Api::Ec2, "CreateSecurityGroup", &[]);
    let elb = Bench::exchange(OWNER, Api::Elb, "CreateListener", &[]);
    let throttled = bench.cloud.failure(&ec2, &Failure::Throttled);
    assert_eq!((throttled.status, failure(&throttled).as_str()), (503, "RequestLimitExceeded"));
    let throttled = bench.cloud.failure(&elb, &Failure::Throttled);
    assert_eq!((throttled.status, failure(&throttled).as_str()), (400, "Throttling"));
    assert_eq!(bench.cloud.failure(&elb, &Failure::Internal).status, 500);
    assert_eq!(
        failure(&bench.cloud.failure(&ec2, &Failure::Code("UnauthorizedOperation".into()))),
        "UnauthorizedOperation"
    );
    assert!(bench.cloud.is_read(&Bench::exchange(OWNER, Api::Elb, "DescribeTags", &[])));
    assert!(!bench.cloud.is_read(&ec2));
}

#[test]
fn each_api_call_has_its_own_bucket_and_elb_reads_share_one() {
    let bench = Bench::with(|setup| setup.list_lag = std::time::Duration::ZERO);
    let accept = [("ServiceId", ids::SERVICE), ("VpcEndpointId.1", ids::CONNECTED_ENDPOINT)];
    for _ in 0..10 {
        bench.ec2("AcceptVpcEndpointConnections", &accept);
    }
    assert_eq!(bench.ec2_error("AcceptVpcEndpointConnections", &accept), "RequestLimitExceeded");
    bench.ec2(
        "RejectVpcEndpointConnections",
        &[("ServiceId", ids::SERVICE), ("VpcEndpointId.1", "vpce-00000000000000000")],
    );
    bench.pass(1);
    bench.ec2("AcceptVpcEndpointConnections", &accept);
    for _ in 0..40 {
        bench.elb("DescribeLoadBalancers", &[]);
    }
    assert_eq!(bench.elb_error("DescribeAccountLimits", &[]), "Throttling");
}

#[test]
fn the_world_is_kept_and_described() {
    let bench = Bench::new();
    let made = value(
        &bench.ec2(
            "CreateSecurityGroup",
            &[("GroupName", "kept"), ("GroupDescription", "k"), ("VpcId", ids::VPC)],
        ),
        "groupId",
    );
    let again = Aws::open(&Setup::new(bench.dir.path())).unwrap();
    let exchange = Bench::exchange(OWNER, Api::Ec2, "DescribeSecurityGroups", &[("GroupId.1", &made)]);
    assert!(success(&again.answer(&exchange, Moment::at(bench.now.get()))).contains(&made));
    let world = again.describe_world(bench.now.get());
    assert_eq!(world["in us-east-1 of the default account"]["vpc"], ids::VPC);
    assert_eq!(world["endpoint services"][0]["id"], ids::SERVICE);
}

#[test]
fn a_request_that_fails_changes_nothing() {
    let bench = Bench::new();
    let name = format!("resource-{}", "x".repeat(3));
    let bad_tag = [
        ("GroupName", name.as_str()),
        ("GroupDescription", "d"),
        ("VpcId", ids::VPC),
        ("TagSpecification.1.ResourceType", "vpc"),
        ("TagSpecification.1.Tag.1.Key", "a"),
    ];
    assert_eq!(bench.ec2_error("CreateSecurityGroup", &bad_tag), "InvalidParameterValue");
    let found =
        bench.ec2("DescribeSecurityGroups", &[("Filter.1.Name", "group-name"), ("Filter.1.Value.1", &name)]);
    assert!(values(&found, "groupId").is_empty());
    // Two resources, the second missing: the first is not tagged either.
    let tags = [("ResourceId.1", ids::VPC), ("ResourceId.2", "vpc-00000000000000000"), ("Tag.1.Key", "half")];
    assert_eq!(bench.ec2_error("CreateTags", &tags), "InvalidVpcID.NotFound");
    assert!(!bench.ec2("DescribeVpcs", &[("VpcId.1", ids::VPC)]).contains("half"));
}
