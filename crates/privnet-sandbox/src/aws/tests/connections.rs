use super::*;

const FIVETRAN: &str = "arn:aws:iam::834469178297:root";

fn pair(account: &str, state: &str) -> (String, String) {
    (account.to_owned(), state.to_owned())
}

fn decide(bench: &Bench, action: &str, service: &str, endpoint: &str) -> String {
    bench.ec2(action, &[("ServiceId", service), ("VpcEndpointId.1", endpoint)])
}

fn endpoint_of(bench: &Bench, service: &str, account: &str) -> String {
    let parameters = [
        ("Filter.1.Name", "service-id"),
        ("Filter.1.Value.1", service),
        ("Filter.2.Name", "vpc-endpoint-owner"),
        ("Filter.2.Value.1", account),
    ];
    value(&bench.ec2("DescribeVpcEndpointConnections", &parameters), "vpcEndpointId")
}

#[test]
fn fivetran_asks_then_the_stranger_and_each_once() {
    let bench = Bench::new();
    let balancer = bench.balancer("a", &[]);
    let service = bench.service(&balancer, "true", FIVETRAN);
    bench.pass(29);
    assert!(bench.connections(&service).is_empty());
    bench.pass(1);
    assert_eq!(bench.connections(&service), [pair(ids::FIVETRAN, "pendingAcceptance")]);
    bench.pass(15);
    let both = [pair(ids::FIVETRAN, "pendingAcceptance"), pair(ids::STRANGER, "pendingAcceptance")];
    assert_eq!(bench.connections(&service), both);
    bench.pass(3600);
    assert_eq!(bench.connections(&service), both);
}

#[test]
fn a_request_is_missing_from_the_list_for_a_while() {
    let bench = Bench::with(|setup| setup.rate_limits = false);
    let balancer = bench.balancer("a", &[]);
    let service = bench.service(&balancer, "true", FIVETRAN);
    bench.pass(30);
    assert!(bench.connections(&service).is_empty(), "it has just come");
    bench.pass(1);
    assert_eq!(bench.connections(&service), [pair(ids::FIVETRAN, "pendingAcceptance")]);
}

#[test]
fn a_request_came_when_it_was_due_whenever_somebody_looks() {
    let bench = Bench::new();
    let balancer = bench.balancer("a", &[]);
    let service = bench.service(&balancer, "true", FIVETRAN);
    let asked = bench.now.get() + SignedDuration::from_secs(30);
    bench.pass(5000);
    let text = bench.ec2(
        "DescribeVpcEndpointConnections",
        &[("Filter.1.Name", "service-id"), ("Filter.1.Value.1", &service)],
    );
    assert!(
        values(&text, "creationTimestamp").contains(&asked.strftime("%Y-%m-%dT%H:%M:%S.000Z").to_string())
    );
}

#[test]
fn nobody_asks_where_nobody_is_allowed() {
    let bench = Bench::new();
    let balancer = bench.balancer("a", &[]);
    let parameters = [("NetworkLoadBalancerArn.1", balancer.as_str())];
    let service = value(&bench.ec2("CreateVpcEndpointServiceConfiguration", &parameters), "serviceId");
    bench.pass(600);
    assert!(bench.connections(&service).is_empty());
}

#[test]
fn without_acceptance_the_allowed_connect_and_strangers_do_not() {
    let bench = Bench::new();
    let balancer = bench.balancer("a", &[]);
    let service = bench.service(&balancer, "false", FIVETRAN);
    bench.pass(30);
    assert_eq!(bench.connections(&service), [pair(ids::FIVETRAN, "pending")]);
    bench.pass(100);
    assert_eq!(bench.connections(&service), [pair(ids::FIVETRAN, "available")]);
}

#[test]
fn a_connection_goes_through_its_states_and_lingers() {
    let bench = Bench::new();
    let balancer = bench.balancer("a", &[]);
    let service = bench.service(&balancer, "true", FIVETRAN);
    bench.pass(30);
    let endpoint = endpoint_of(&bench, &service, ids::FIVETRAN);
    let state =
        || bench.connections(&service).into_iter().find(|(who, _)| who == ids::FIVETRAN).map(|(_, s)| s);
    let delete = || bench.ec2("DeleteVpcEndpointServiceConfigurations", &[("ServiceId.1", &service)]);
    assert_eq!(value(&delete(), "code"), "ExistingVpcEndpointConnections");
    assert!(values(&decide(&bench, "AcceptVpcEndpointConnections", &service, &endpoint), "code").is_empty());
    assert_eq!(state().as_deref(), Some("pending"));
    bench.pass(20);
    assert_eq!(state().as_deref(), Some("available"));
    let again = decide(&bench, "AcceptVpcEndpointConnections", &service, &endpoint);
    assert_eq!(value(&again, "code"), "InvalidState");
    assert_eq!(value(&delete(), "code"), "ExistingVpcEndpointConnections");
    decide(&bench, "RejectVpcEndpointConnections", &service, &endpoint);
    assert_eq!(state().as_deref(), Some("rejected"));
    let stranger = endpoint_of(&bench, &service, ids::STRANGER);
    decide(&bench, "RejectVpcEndpointConnections", &service, &stranger);
    assert_eq!(
        value(&delete(), "code"),
        "ExistingVpcEndpointConnections",
        "a rejected one holds for a while"
    );
    bench.pass(10);
    assert!(values(&delete(), "code").is_empty());
    assert_eq!(state().as_deref(), Some("rejected"), "it lingers");
    bench.pass(3600);
    assert_eq!(state(), None);
}

#[test]
fn connect_raises_further_requests() {
    let bench = Bench::new();
    let balancer = bench.balancer("a", &[]);
    let service = bench.service(&balancer, "true", FIVETRAN);
    bench.ec2(
        "CreateTags",
        &[("ResourceId.1", &service), ("Tag.1.Key", "privnet:service"), ("Tag.1.Value", "orders")],
    );
    let connect = |service: &str, consumer| bench.cloud.connect(service, consumer, bench.now.get());
    for name in ["orders", &service, &format!("com.amazonaws.vpce.us-east-1.{service}")] {
        assert_eq!(connect(name, None).unwrap()["consumer"], ids::FIVETRAN);
    }
    assert_eq!(connect("orders", Some("stranger")).unwrap()["state"], "pendingAcceptance");
    assert_eq!(connect("orders", Some(FIVETRAN)).unwrap()["consumer"], ids::FIVETRAN);
    assert!(connect("orders", Some("210987654321")).unwrap_err().contains("does not allow"));
    assert!(connect("orders", Some("junk")).unwrap_err().contains("not an AWS account"));
    assert!(connect("nothing", None).unwrap_err().contains("no such"));
    assert_eq!(bench.connections(&service).len(), 5);
}

#[test]
fn removing_a_principal_disconnects_nobody() {
    let bench = Bench::new();
    let balancer = bench.balancer("a", &[]);
    let service = bench.service(&balancer, "false", FIVETRAN);
    bench.pass(60);
    bench.ec2(
        "ModifyVpcEndpointServicePermissions",
        &[("ServiceId", &service), ("RemoveAllowedPrincipals.1", FIVETRAN)],
    );
    bench.pass(60);
    assert_eq!(bench.connections(&service), [pair(ids::FIVETRAN, "available")]);
}

#[test]
fn a_load_balancers_zones_and_swaps_under_attached_endpoints() {
    let bench = Bench::new();
    let balancer = bench.balancer("a", &[]);
    let service = bench.service(&balancer, "false", FIVETRAN);
    bench.pass(60);
    let one = [("LoadBalancerArn", balancer.as_str()), ("Subnets.member.1", ids::SUBNETS[0])];
    assert_eq!(bench.elb_error("SetSubnets", &one), "ResourceInUse");
    let narrow = value(
        &bench.elb(
            "CreateLoadBalancer",
            &[
                ("Name", "n"),
                ("Type", "network"),
                ("Scheme", "internal"),
                ("Subnets.member.1", ids::SUBNETS[0]),
            ],
        ),
        "LoadBalancerArn",
    );
    let wide = bench.balancer("b", &[]);
    let swap = |to: &str| {
        let parameters = [
            ("ServiceId", service.as_str()),
            ("AddNetworkLoadBalancerArn.1", to),
            ("RemoveNetworkLoadBalancerArn.1", balancer.as_str()),
        ];
        bench.answer_as(OWNER, Api::Ec2, "ModifyVpcEndpointServiceConfiguration", &parameters)
    };
    assert_eq!(failure(&swap(&narrow)), "ExistingVpcEndpointConnections");
    success(&swap(&wide));
}

#[test]
fn a_stale_read_shows_nothing_that_never_was() {
    let bench = Bench::new();
    let balancer = bench.balancer("a", &[]);
    let service = bench.service(&balancer, "true", FIVETRAN);
    bench.pass(60);
    let parameters = [("Filter.1.Name", "service-id"), ("Filter.1.Value.1", service.as_str())];
    let exchange = Bench::exchange(OWNER, Api::Ec2, "DescribeVpcEndpointConnections", &parameters);
    let stale = Moment { now: bench.now.get(), stale: true };
    let past = success(&bench.cloud.answer(&exchange, stale));
    assert!(values(&past, "vpcEndpointId").is_empty());
    let now = values(&bench.ec2("DescribeVpcEndpointConnections", &parameters), "vpcEndpointId");
    assert_eq!(now.len(), 2);
    // A write to something else: now even a stale read knows them, by the same ids.
    bench.ec2("CreateTags", &[("ResourceId.1", ids::VPC), ("Tag.1.Key", "k")]);
    assert_eq!(values(&success(&bench.cloud.answer(&exchange, stale)), "vpcEndpointId"), now);
}

#[test]
fn requests_are_held_back_and_let_go() {
    let bench = Bench::new();
    let requests = crate::frame::Requests::open(bench.dir.path());
    requests.hold().unwrap();
    let service = |name: &str| {
        let balancer = bench.balancer(name, &[]);
        bench.service(&balancer, "true", &format!("arn:aws:iam::{}:root", ids::FIVETRAN))
    };
    let (first, left_alone) = (service("one"), service("two"));
    let tag =
        [("ResourceId.1", left_alone.as_str()), ("Tag.1.Key", "sandbox-consumers"), ("Tag.1.Value", "none")];
    bench.ec2("CreateTags", &tag);
    bench.pass(3600);
    assert!(bench.connections(&first).is_empty());
    bench.cloud.connect(&first, Some("stranger"), bench.now.get()).unwrap();
    assert_eq!(bench.connections(&first).len(), 1, "on demand they come");
    requests.release(bench.now.get()).unwrap();
    assert_eq!(bench.connections(&first).len(), 3);
    let text = bench.ec2("DescribeVpcEndpointConnections", &[]);
    let late = bench.now.get().strftime("%Y-%m-%dT%H:%M:%S").to_string();
    let came = values(&text, "creationTimestamp").iter().filter(|time| time.starts_with(&late)).count();
    assert_eq!(came, 3, "they ask when they are let go, not before: {text}");
    bench.pass(3600);
    assert!(bench.connections(&left_alone).is_empty(), "that service is left alone");
}
