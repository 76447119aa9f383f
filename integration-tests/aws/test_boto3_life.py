"""boto3, unchanged, carries out the whole life of an endpoint service on the sandbox: provider's side and consumer's."""

import time

import pytest
from botocore.exceptions import ClientError

from aws_sandbox import CERTIFICATE, FIVETRAN, INSTANCE, OWN, SECOND, STRANGER, SUBNETS, TOPIC, VPC, Sandbox


def code(failure):
    return failure.value.response["Error"]["Code"]


def tags(**pairs):
    return [{"Key": key, "Value": value} for key, value in pairs.items()]


class Stack:
    """What serves a database: made as AWS documents it, waiting with boto3's own waiters."""

    def __init__(self, sandbox, name="orders", wait=True):
        self.sandbox, self.name = sandbox, name
        self.ec2, self.elb = sandbox.client("ec2"), sandbox.client("elbv2")
        self.group = self.ec2.create_security_group(
            GroupName=f"{name}-nlb", Description="NLB", VpcId=VPC,
            TagSpecifications=[{"ResourceType": "security-group", "Tags": tags(app=name)}],
        )["GroupId"]
        self.balancer = self.elb.create_load_balancer(
            Name=name, Type="network", Scheme="internal", Subnets=SUBNETS[:2], SecurityGroups=[self.group], Tags=tags(app=name),
        )["LoadBalancers"][0]["LoadBalancerArn"]
        self.targets = self.elb.create_target_group(
            Name=name, Protocol="TCP", Port=5432, VpcId=VPC, TargetType="ip", Tags=tags(app=name),
            HealthCheckIntervalSeconds=10, HealthyThresholdCount=3, UnhealthyThresholdCount=3,
        )["TargetGroups"][0]["TargetGroupArn"]
        self.elb.register_targets(TargetGroupArn=self.targets, Targets=[{"Id": "10.0.0.30"}])
        self.listener = self.elb.create_listener(
            LoadBalancerArn=self.balancer, Protocol="TCP", Port=5432, Tags=tags(app=name),
            DefaultActions=[{"Type": "forward", "TargetGroupArn": self.targets}],
        )["Listeners"][0]["ListenerArn"]
        if wait:
            self.wait()

    def wait(self):
        waiter = self.elb.get_waiter("load_balancer_available")
        waiter.wait(LoadBalancerArns=[self.balancer], WaiterConfig={"Delay": 0.2, "MaxAttempts": 200})

    def serve(self, acceptance=True, principals=(f"arn:aws:iam::{SECOND}:root",), wait=lambda: None):
        made = self.ec2.create_vpc_endpoint_service_configuration(
            NetworkLoadBalancerArns=[self.balancer], AcceptanceRequired=acceptance,
            TagSpecifications=[{"ResourceType": "vpc-endpoint-service", "Tags": tags(Name=self.name)}],
        )["ServiceConfiguration"]
        self.service, self.service_name = made["ServiceId"], made["ServiceName"]
        assert made["ServiceState"] == "Pending"
        wait()
        self.sandbox.until(lambda: self.state() == "Available")
        if principals:
            self.allow(*principals)
        return self.service

    def allow(self, *principals):
        self.ec2.modify_vpc_endpoint_service_permissions(ServiceId=self.service, AddAllowedPrincipals=list(principals))

    def state(self):
        found = self.ec2.describe_vpc_endpoint_service_configurations(ServiceIds=[self.service])
        return found["ServiceConfigurations"][0]["ServiceState"]

    def connections(self, **filters):
        wanted = {"service-id": self.service, **{key.replace("_", "-"): value for key, value in filters.items()}}
        pages = self.ec2.get_paginator("describe_vpc_endpoint_connections").paginate(
            Filters=[{"Name": name, "Values": [value]} for name, value in wanted.items()],
            PaginationConfig={"PageSize": 1},
        )
        return [connection for page in pages for connection in page["VpcEndpointConnections"]]

    def connection(self, account):
        found = self.connections(vpc_endpoint_owner=account)
        return found[0] if found else None


def subnet_of(client, zone_id):
    found = client.describe_subnets(Filters=[{"Name": "availability-zone-id", "Values": [zone_id]}])["Subnets"]
    return found[0]["SubnetId"], found[0]["VpcId"]


def test_the_whole_life_of_an_endpoint_service(sandbox):
    with sandbox.almost_still():
        stack = Stack(sandbox, wait=False)
        ec2, elb = stack.ec2, stack.elb
        health = lambda: elb.describe_target_health(TargetGroupArn=stack.targets)["TargetHealthDescriptions"]
        # The load balancer is there after two minutes; its targets are checked from then on.
        sandbox.advance(121)
        stack.wait()
        assert health()[0]["TargetHealth"]["State"] == "initial"
    elb.get_waiter("target_in_service").wait(TargetGroupArn=stack.targets, WaiterConfig={"Delay": 0.2, "MaxAttempts": 200})
    assert health()[0]["Target"] == {"Id": "10.0.0.30", "Port": 5432, "AvailabilityZone": "us-east-1a"}
    stack.serve()

    # The consumer finds the service, picks a zone by its id (names differ between accounts), and asks.
    consumer = sandbox.client("ec2", SECOND)
    details = consumer.describe_vpc_endpoint_services(ServiceNames=[stack.service_name])["ServiceDetails"][0]
    assert details["Owner"] == OWN and details["AcceptanceRequired"]
    subnet, vpc = subnet_of(consumer, details["AvailabilityZoneIds"][0])
    endpoint = consumer.create_vpc_endpoint(
        VpcEndpointType="Interface", VpcId=vpc, ServiceName=stack.service_name, SubnetIds=[subnet],
    )["VpcEndpoint"]
    assert endpoint["State"] == "pendingAcceptance"
    # Lists show what is new after a while, and clients ask again:
    # https://docs.aws.amazon.com/ec2/latest/devguide/eventual-consistency.html
    pending = sandbox.until(lambda: stack.connection(SECOND))
    assert (pending["VpcEndpointId"], pending["VpcEndpointState"]) == (endpoint["VpcEndpointId"], "pendingAcceptance")

    # While somebody waits or is connected, the service cannot be deleted: HTTP 200 with a failure inside.
    refused = ec2.delete_vpc_endpoint_service_configurations(ServiceIds=[stack.service])["Unsuccessful"]
    assert [entry["Error"]["Code"] for entry in refused] == ["ExistingVpcEndpointConnections"]

    with sandbox.almost_still():
        accepted = ec2.accept_vpc_endpoint_connections(ServiceId=stack.service, VpcEndpointIds=[endpoint["VpcEndpointId"]])
        assert accepted["Unsuccessful"] == []
        assert stack.connection(SECOND)["VpcEndpointState"] == "pending"
    sandbox.until(lambda: stack.connection(SECOND)["VpcEndpointState"] == "available")
    seen = consumer.describe_vpc_endpoints(VpcEndpointIds=[endpoint["VpcEndpointId"]])["VpcEndpoints"][0]
    assert seen["State"] == "available" and len(seen["NetworkInterfaceIds"]) == 1

    # Un-safelisting disconnects nobody.
    ec2.modify_vpc_endpoint_service_permissions(
        ServiceId=stack.service, RemoveAllowedPrincipals=[f"arn:aws:iam::{SECOND}:root"]
    )
    assert stack.connection(SECOND)["VpcEndpointState"] == "available"
    with pytest.raises(ClientError) as failure:
        consumer.describe_vpc_endpoint_services(ServiceNames=[stack.service_name])
    assert code(failure) == "InvalidServiceName"

    teardown(sandbox, stack, endpoint["VpcEndpointId"])


def teardown(sandbox, stack, endpoint):
    ec2, elb = stack.ec2, stack.elb
    with pytest.raises(ClientError) as failure:
        elb.delete_load_balancer(LoadBalancerArn=stack.balancer)
    assert code(failure) == "ResourceInUse"
    assert ec2.reject_vpc_endpoint_connections(ServiceId=stack.service, VpcEndpointIds=[endpoint])["Unsuccessful"] == []
    assert stack.connection(SECOND)["VpcEndpointState"] == "rejected"
    delete = lambda: ec2.delete_vpc_endpoint_service_configurations(ServiceIds=[stack.service])["Unsuccessful"]
    others = [c["VpcEndpointId"] for c in stack.connections(vpc_endpoint_state="pendingAcceptance")]
    if others:
        ec2.reject_vpc_endpoint_connections(ServiceId=stack.service, VpcEndpointIds=others)
    sandbox.until(lambda: delete() == [])
    with pytest.raises(ClientError) as failure:
        elb.delete_target_group(TargetGroupArn=stack.targets)
    assert code(failure) == "ResourceInUse"
    elb.delete_listener(ListenerArn=stack.listener)
    with sandbox.almost_still():
        elb.delete_load_balancer(LoadBalancerArn=stack.balancer)
        gone = elb.get_waiter("load_balancers_deleted")
        gone.wait(LoadBalancerArns=[stack.balancer], WaiterConfig={"Delay": 0.2, "MaxAttempts": 200})
        elb.delete_target_group(TargetGroupArn=stack.targets)
        # The load balancer's interfaces linger, and hold the security group.
        with pytest.raises(ClientError) as failure:
            ec2.delete_security_group(GroupId=stack.group)
        assert code(failure) == "DependencyViolation"
        interfaces = [{"Name": "group-id", "Values": [stack.group]}]
        assert len(ec2.describe_network_interfaces(Filters=interfaces)["NetworkInterfaces"]) == 2
    sandbox.until(lambda: not ec2.describe_network_interfaces(Filters=interfaces)["NetworkInterfaces"])
    ec2.delete_security_group(GroupId=stack.group)
    with pytest.raises(ClientError) as failure:
        ec2.describe_security_groups(GroupIds=[stack.group])
    assert code(failure) == "InvalidGroup.NotFound"
    sandbox.pass_time(20)
    with pytest.raises(ClientError) as failure:
        ec2.describe_vpc_endpoint_service_configurations(ServiceIds=[stack.service])
    assert code(failure) == "InvalidVpcEndpointServiceId.NotFound"


def test_fivetran_and_a_stranger_ask_by_themselves(sandbox):
    stack = Stack(sandbox)
    stack.serve(principals=())
    with sandbox.almost_still():
        stack.allow(f"arn:aws:iam::{FIVETRAN}:root")
        assert stack.connections() == []
    sandbox.until(lambda: len(stack.connections()) == 2)
    owners = {c["VpcEndpointOwner"]: c["VpcEndpointState"] for c in stack.connections()}
    assert owners == {FIVETRAN: "pendingAcceptance", STRANGER: "pendingAcceptance"}
    sandbox.pass_time(120)
    assert len(stack.connections()) == 2, "each asks once"


def test_nobody_asks_while_requests_are_held_back():
    sandbox = Sandbox(held=True)
    try:
        stack = Stack(sandbox)
        stack.serve(principals=[f"arn:aws:iam::{FIVETRAN}:root"])
        sandbox.pass_time(120)
        assert stack.connections() == []
        assert stack.ec2.delete_vpc_endpoint_service_configurations(ServiceIds=[stack.service])["Unsuccessful"] == []
    finally:
        sandbox.close()


def test_without_acceptance_only_the_allowed_get_in(sandbox):
    stack = Stack(sandbox)
    stack.serve(acceptance=False, principals=[f"arn:aws:iam::{FIVETRAN}:root"])
    sandbox.until(lambda: (stack.connection(FIVETRAN) or {}).get("VpcEndpointState") == "available")
    sandbox.pass_time(60)
    assert stack.connection(STRANGER) is None


def test_decisions_on_each_connection_by_itself(sandbox):
    stack = Stack(sandbox)
    stack.serve(principals=[f"arn:aws:iam::{FIVETRAN}:root"])
    waiting = sandbox.until(lambda: stack.connection(FIVETRAN))["VpcEndpointId"]
    unknown = "vpce-0123456789abcdeff"
    done = stack.ec2.accept_vpc_endpoint_connections(ServiceId=stack.service, VpcEndpointIds=[waiting, unknown])
    assert [(e["ResourceId"], e["Error"]["Code"]) for e in done["Unsuccessful"]] == [
        (unknown, "InvalidVpcEndpointId.NotFound")
    ]
    again = stack.ec2.accept_vpc_endpoint_connections(ServiceId=stack.service, VpcEndpointIds=[waiting])
    assert [e["Error"]["Code"] for e in again["Unsuccessful"]] == ["InvalidState"]
    with pytest.raises(ClientError) as failure:
        stack.ec2.describe_vpc_endpoint_connections(Filters=[{"Name": "vpc-endpoint-id", "Values": [waiting]}])
    assert code(failure) == "InvalidParameterValue", "the model has this filter, the real server does not"


def test_permissions_are_tagged_and_deduplicated(sandbox):
    stack = Stack(sandbox)
    stack.serve(principals=())
    ec2, principal = stack.ec2, "arn:aws:iam::111122223333:role/reader"
    modify = lambda **what: ec2.modify_vpc_endpoint_service_permissions(ServiceId=stack.service, **what)
    added = modify(AddAllowedPrincipals=[principal, "*"])["AddedPrincipals"]
    assert {(p["Principal"], p["PrincipalType"]) for p in added} == {(principal, "Role"), ("*", "All")}
    assert modify(AddAllowedPrincipals=[principal])["AddedPrincipals"] == []
    permission = next(p["ServicePermissionId"] for p in added if p["Principal"] == principal)
    ec2.create_tags(Resources=[permission], Tags=tags(owner="me"))
    pages = ec2.get_paginator("describe_vpc_endpoint_service_permissions").paginate(
        ServiceId=stack.service, PaginationConfig={"PageSize": 1}
    )
    listed = {p["Principal"]: p for page in pages for p in page["AllowedPrincipals"]}
    assert listed[principal]["Tags"] == tags(owner="me") and listed["*"]["Tags"] == []
    elsewhere = "arn:aws-cn:iam::111122223333:root"
    several = ["arn:aws:iam::111122223333:role/a/b", "arn:aws:iam::111122223333:role/*"]
    for wrong in ["junk", "arn:aws:iam::1:root", elsewhere, *several]:
        with pytest.raises(ClientError) as failure:
            modify(AddAllowedPrincipals=[wrong])
        assert code(failure) == "InvalidPrincipal", wrong
    modify(RemoveAllowedPrincipals=[principal, "*"])
    assert ec2.describe_vpc_endpoint_service_permissions(ServiceId=stack.service)["AllowedPrincipals"] == []


def test_one_load_balancer_serves_one_service(sandbox):
    with sandbox.almost_still():
        stack = Stack(sandbox, wait=False)
        create = lambda **more: stack.ec2.create_vpc_endpoint_service_configuration(
            NetworkLoadBalancerArns=[stack.balancer], **more
        )
        with pytest.raises(ClientError) as failure:
            create()
        assert code(failure) == "InvalidParameter", "not active yet"
    stack.wait()
    first = create(ClientToken="one")["ServiceConfiguration"]["ServiceId"]
    assert create(ClientToken="one")["ServiceConfiguration"]["ServiceId"] == first, "the same token is the same service"
    with pytest.raises(ClientError) as failure:
        create(ClientToken="one", AcceptanceRequired=False)
    assert code(failure) == "IdempotentParameterMismatch"
    with pytest.raises(ClientError) as failure:
        create(ClientToken="two")
    assert code(failure) == "InvalidParameter", "that load balancer has a service"


def test_every_setting_of_a_service_can_be_changed(sandbox):
    stack = Stack(sandbox)
    stack.serve(principals=())
    ec2 = stack.ec2
    modify = lambda **what: ec2.modify_vpc_endpoint_service_configuration(ServiceId=stack.service, **what)
    show = lambda: ec2.describe_vpc_endpoint_service_configurations(ServiceIds=[stack.service])["ServiceConfigurations"][0]
    modify(AcceptanceRequired=False, AddSupportedRegions=["eu-west-1"], PrivateDnsName="db.example.com")
    now = show()
    assert not now["AcceptanceRequired"] and now["PrivateDnsName"] == "db.example.com"
    assert [region["Region"] for region in now["SupportedRegions"]] == ["eu-west-1", "us-east-1"]
    assert now["PrivateDnsNameConfiguration"]["State"] == "pendingVerification"
    ec2.start_vpc_endpoint_service_private_dns_verification(ServiceId=stack.service)
    sandbox.until(lambda: show()["PrivateDnsNameConfiguration"]["State"] == "failed")
    with pytest.raises(ClientError) as failure:
        modify(AddSupportedIpAddressTypes=["ipv6"])
    assert code(failure) == "InvalidParameter", "the load balancer is not dual-stack"
    stack.elb.set_ip_address_type(LoadBalancerArn=stack.balancer, IpAddressType="dualstack")
    stack.wait()
    modify(AddSupportedIpAddressTypes=["ipv6"], RemovePrivateDnsName=True, RemoveSupportedRegions=["eu-west-1"])
    now = show()
    assert now["SupportedIpAddressTypes"] == ["ipv4", "ipv6"] and "PrivateDnsName" not in now
    # A zone that is added later reaches the service only when the load balancer is associated again.
    stack.elb.set_subnets(LoadBalancerArn=stack.balancer, Subnets=SUBNETS)
    stack.wait()
    assert len(show()["AvailabilityZones"]) == 2
    modify(AddNetworkLoadBalancerArns=[stack.balancer])
    assert len(show()["AvailabilityZones"]) == 3


def test_notifications(sandbox):
    stack = Stack(sandbox)
    stack.serve(principals=())
    ec2 = stack.ec2
    create = lambda topic, events: ec2.create_vpc_endpoint_connection_notification(
        ServiceId=stack.service, ConnectionNotificationArn=topic, ConnectionEvents=events
    )["ConnectionNotification"]["ConnectionNotificationId"]
    with pytest.raises(ClientError):
        create(TOPIC.replace("privnet", "other"), ["Connect"])
    made = create(TOPIC, ["Connect", "Accept"])
    ec2.modify_vpc_endpoint_connection_notification(ConnectionNotificationId=made, ConnectionEvents=["Reject"])
    named = ec2.describe_vpc_endpoint_connection_notifications(ConnectionNotificationId=made)
    assert [n["ConnectionEvents"] for n in named["ConnectionNotificationSet"]] == [["Reject"]]
    of_service = [{"Name": "service-id", "Values": [stack.service]}]
    listed = lambda: ec2.describe_vpc_endpoint_connection_notifications(Filters=of_service)["ConnectionNotificationSet"]
    assert sandbox.until(listed) == named["ConnectionNotificationSet"]
    assert ec2.delete_vpc_endpoint_connection_notifications(ConnectionNotificationIds=[made])["Unsuccessful"] == []
    again = ec2.delete_vpc_endpoint_connection_notifications(ConnectionNotificationIds=[made])["Unsuccessful"]
    assert [e["ResourceId"] for e in again] == [made]


def test_security_group_rules(sandbox):
    ec2 = sandbox.client("ec2")
    group = ec2.create_security_group(GroupName="rules", Description="r", VpcId=VPC)["GroupId"]
    permission = {
        "IpProtocol": "tcp", "FromPort": 5432, "ToPort": 5432,
        "IpRanges": [{"CidrIp": "10.0.0.0/8", "Description": "vendor"}],
    }
    made = ec2.authorize_security_group_ingress(
        GroupId=group, IpPermissions=[permission],
        TagSpecifications=[{"ResourceType": "security-group-rule", "Tags": tags(a="b")}],
    )["SecurityGroupRules"][0]
    assert made["CidrIpv4"] == "10.0.0.0/8" and made["Tags"] == tags(a="b")
    with pytest.raises(ClientError) as failure:
        ec2.authorize_security_group_ingress(GroupId=group, IpPermissions=[permission])
    assert code(failure) == "InvalidPermission.Duplicate"
    ec2.modify_security_group_rules(
        GroupId=group,
        SecurityGroupRules=[{
            "SecurityGroupRuleId": made["SecurityGroupRuleId"],
            "SecurityGroupRule": {
                "IpProtocol": "tcp", "FromPort": 1433, "ToPort": 1433, "CidrIpv4": "10.1.0.0/16", "Description": "d",
            },
        }],
    )
    listed = ec2.describe_security_group_rules(SecurityGroupRuleIds=[made["SecurityGroupRuleId"]])["SecurityGroupRules"]
    assert (listed[0]["FromPort"], listed[0]["CidrIpv4"], listed[0]["Description"]) == (1433, "10.1.0.0/16", "d")
    with pytest.raises(ClientError) as failure:
        ec2.revoke_security_group_ingress(GroupId=group, IpPermissions=[permission])
    assert code(failure) == "InvalidPermission.NotFound"
    ec2.revoke_security_group_ingress(GroupId=group, SecurityGroupRuleIds=[made["SecurityGroupRuleId"]])
    egress = [{"IpProtocol": "-1", "IpRanges": [{"CidrIp": "0.0.0.0/0"}]}]
    ec2.revoke_security_group_egress(GroupId=group, IpPermissions=egress)
    to_group = [{"IpProtocol": "tcp", "FromPort": 1, "ToPort": 2, "UserIdGroupPairs": [{"GroupId": group}]}]
    ec2.authorize_security_group_egress(GroupId=group, IpPermissions=to_group)
    shown = ec2.describe_security_groups(GroupIds=[group])["SecurityGroups"][0]
    assert shown["IpPermissions"] == [] and shown["IpPermissionsEgress"][0]["UserIdGroupPairs"][0]["GroupId"] == group
    ec2.delete_security_group(GroupId=group)


def test_creating_again_and_creating_otherwise(sandbox):
    stack = Stack(sandbox, wait=False)
    elb = stack.elb
    balancer = dict(Name="orders", Type="network", Scheme="internal", SecurityGroups=[stack.group])
    same = elb.create_load_balancer(**balancer, Subnets=SUBNETS[:2], Tags=tags(app="other"))["LoadBalancers"][0]
    assert same["LoadBalancerArn"] == stack.balancer
    kept = elb.describe_tags(ResourceArns=[stack.balancer])["TagDescriptions"][0]["Tags"]
    assert kept == tags(app="orders"), "equal settings succeed on what is there, and change nothing"
    with pytest.raises(ClientError) as failure:
        elb.create_load_balancer(**balancer, Subnets=SUBNETS)
    assert code(failure) == "DuplicateLoadBalancerName"
    with pytest.raises(ClientError) as failure:
        elb.create_target_group(Name="orders", Protocol="TCP", Port=1433, VpcId=VPC, TargetType="ip")
    assert code(failure) == "DuplicateTargetGroupName"
    other = elb.create_target_group(Name="other", Protocol="TCP", Port=5432, VpcId=VPC, TargetType="ip")
    other = other["TargetGroups"][0]["TargetGroupArn"]
    with pytest.raises(ClientError) as failure:
        elb.create_listener(
            LoadBalancerArn=stack.balancer, Protocol="TCP", Port=5432,
            DefaultActions=[{"Type": "forward", "TargetGroupArn": other}],
        )
    assert code(failure) == "DuplicateListener"
    second = elb.create_load_balancer(Name="second", Type="network", Scheme="internal", Subnets=SUBNETS[:1])
    with pytest.raises(ClientError) as failure:
        elb.create_listener(
            LoadBalancerArn=second["LoadBalancers"][0]["LoadBalancerArn"], Protocol="TCP", Port=5432,
            DefaultActions=[{"Type": "forward", "TargetGroupArn": stack.targets}],
        )
    assert code(failure) == "TargetGroupAssociationLimit"
    with pytest.raises(ClientError) as failure:
        elb.set_security_groups(
            LoadBalancerArn=second["LoadBalancers"][0]["LoadBalancerArn"], SecurityGroups=[stack.group]
        )
    assert code(failure) == "InvalidConfigurationRequest", "made without groups, it never gets any"


@pytest.mark.parametrize("name", ["a" * 33, "-a", "a-", "a_b", "internal-a"])
def test_names_of_load_balancers(sandbox, name):
    with pytest.raises(ClientError) as failure:
        sandbox.client("elbv2").create_load_balancer(Name=name, Type="network", Scheme="internal", Subnets=SUBNETS[:1])
    assert code(failure) == "ValidationError"


def test_enforcement_attributes_and_protection(sandbox):
    stack = Stack(sandbox)
    elb, arn = stack.elb, stack.balancer
    with sandbox.almost_still():
        elb.set_security_groups(
            LoadBalancerArn=arn, SecurityGroups=[stack.group], EnforceSecurityGroupInboundRulesOnPrivateLinkTraffic="off"
        )
        shown = elb.describe_load_balancers(LoadBalancerArns=[arn])["LoadBalancers"][0]
        assert shown["EnforceSecurityGroupInboundRulesOnPrivateLinkTraffic"] == "off"
        assert shown["State"]["Code"] == "provisioning", "a change provisions again"
    stack.wait()
    set_attributes = lambda **pairs: [{"Key": k.replace("__", "."), "Value": v} for k, v in pairs.items()]
    elb.modify_load_balancer_attributes(
        LoadBalancerArn=arn,
        Attributes=set_attributes(deletion_protection__enabled="true", load_balancing__cross_zone__enabled="true"),
    )
    with pytest.raises(ClientError) as failure:
        elb.delete_load_balancer(LoadBalancerArn=arn)
    assert code(failure) == "OperationNotPermitted"
    elb.modify_target_group_attributes(
        TargetGroupArn=stack.targets,
        Attributes=set_attributes(proxy_protocol_v2__enabled="true", deregistration_delay__timeout_seconds="60"),
    )
    elb.modify_listener_attributes(
        ListenerArn=stack.listener, Attributes=set_attributes(tcp__idle_timeout__seconds="600")
    )
    for wrong in ({"tcp__idle_timeout__seconds": "59"}, {"colour": "red"}):
        with pytest.raises(ClientError) as failure:
            elb.modify_listener_attributes(ListenerArn=stack.listener, Attributes=set_attributes(**wrong))
        assert code(failure) == "InvalidConfigurationRequest"
    read = elb.describe_listener_attributes(ListenerArn=stack.listener)["Attributes"]
    assert {"Key": "tcp.idle_timeout.seconds", "Value": "600"} in read


def test_targets_inside_and_outside_the_vpc(sandbox):
    stack = Stack(sandbox, wait=False)
    elb, group = stack.elb, stack.targets
    for wrong in (
        {"Id": "8.8.8.8"},
        {"Id": "8.8.8.8", "AvailabilityZone": "all"},
        {"Id": "172.16.4.20"},
        {"Id": "172.16.4.20", "AvailabilityZone": "us-east-1z"},
        {"Id": "10.0.0.31", "AvailabilityZone": "us-east-1a"},
        {"Id": "not-an-address"},
    ):
        with pytest.raises(ClientError) as failure:
            elb.register_targets(TargetGroupArn=group, Targets=[wrong])
        assert code(failure) == "InvalidTarget", wrong
    outside = {"Id": "172.16.4.20", "AvailabilityZone": "all"}
    elb.register_targets(TargetGroupArn=group, Targets=[outside, {"Id": "10.0.0.250"}, {"Id": "10.0.32.9"}])
    states = lambda: {
        d["Target"]["Id"]: (d["TargetHealth"]["State"], d["TargetHealth"].get("Reason"))
        for d in elb.describe_target_health(TargetGroupArn=group)["TargetHealthDescriptions"]
    }
    stack.wait()
    sandbox.until(lambda: states()["172.16.4.20"][0] == "healthy")
    assert states()["10.0.0.250"] == ("unhealthy", "Target.FailedHealthChecks")
    assert states()["10.0.32.9"] == ("unused", "Target.NotInUse"), "its zone is not the load balancer's"
    elb.modify_target_group_attributes(
        TargetGroupArn=group, Attributes=[{"Key": "deregistration_delay.timeout_seconds", "Value": "30"}]
    )
    with sandbox.almost_still():
        elb.deregister_targets(TargetGroupArn=group, Targets=[{"Id": "172.16.4.20"}])
        assert states()["172.16.4.20"] == ("draining", "Target.DeregistrationInProgress")
    sandbox.until(lambda: "172.16.4.20" not in states())
    elb.get_waiter("target_deregistered").wait(
        TargetGroupArn=group, Targets=[{"Id": "172.16.4.20"}], WaiterConfig={"Delay": 0.2, "MaxAttempts": 200}
    )


def test_instances_and_application_load_balancers_as_targets(sandbox):
    elb = sandbox.client("elbv2")
    make = lambda name, **more: elb.create_target_group(Name=name, Protocol="TCP", VpcId=VPC, **more)["TargetGroups"][0]["TargetGroupArn"]
    by_instance = make("by-instance", Port=5432, TargetType="instance")
    elb.register_targets(TargetGroupArn=by_instance, Targets=[{"Id": INSTANCE}])
    with pytest.raises(ClientError) as failure:
        elb.register_targets(TargetGroupArn=by_instance, Targets=[{"Id": "i-00000000000000001"}])
    assert code(failure) == "InvalidTarget"
    alb = elb.describe_load_balancers(Names=["web"])["LoadBalancers"][0]
    assert alb["Type"] == "application"
    by_alb = make("by-alb", Port=80, TargetType="alb", HealthCheckProtocol="HTTP")
    elb.register_targets(TargetGroupArn=by_alb, Targets=[{"Id": alb["LoadBalancerArn"]}])
    unused = elb.describe_target_health(TargetGroupArn=by_alb)["TargetHealthDescriptions"][0]["TargetHealth"]
    assert (unused["State"], unused["Reason"]) == ("unused", "Target.NotInUse")


def test_tls_listeners(sandbox):
    stack = Stack(sandbox, wait=False)
    create = lambda port, **more: stack.elb.create_listener(
        LoadBalancerArn=stack.balancer, Port=port,
        DefaultActions=[{"Type": "forward", "TargetGroupArn": stack.targets}], **more,
    )["Listeners"][0]
    made = create(6432, Protocol="TLS", Certificates=[{"CertificateArn": CERTIFICATE}])
    assert made["Certificates"] == [{"CertificateArn": CERTIFICATE}] and made["SslPolicy"].startswith("ELBSecurityPolicy-")
    with pytest.raises(ClientError) as failure:
        create(6433, Protocol="TLS", Certificates=[{"CertificateArn": CERTIFICATE.replace("1234", "9999")}])
    assert code(failure) == "CertificateNotFound"
    with pytest.raises(ClientError) as failure:
        create(6434, Protocol="TCP", Certificates=[{"CertificateArn": CERTIFICATE}])
    assert code(failure) == "InvalidConfigurationRequest"
    changed = stack.elb.modify_listener(ListenerArn=made["ListenerArn"], Protocol="TCP", Port=6435)["Listeners"][0]
    assert "Certificates" not in changed and changed["Port"] == 6435


def test_pages_filters_and_dry_runs(sandbox):
    ec2, elb = sandbox.client("ec2"), sandbox.client("elbv2")
    made = [
        ec2.create_security_group(
            GroupName=f"page-{n}", Description="p", VpcId=VPC,
            TagSpecifications=[{"ResourceType": "security-group", "Tags": tags(n=str(n), app="pages")}],
        )["GroupId"]
        for n in range(7)
    ]
    sandbox.pass_time(2)
    find = lambda *filters, **more: sorted(
        group["GroupId"]
        for page in ec2.get_paginator("describe_security_groups").paginate(
            Filters=[{"Name": name, "Values": values} for name, *values in filters], PaginationConfig={"PageSize": 5}, **more
        )
        for group in page["SecurityGroups"]
    )
    assert find(("tag:app", "pages")) == sorted(made)
    assert find(("tag:app", "p*s"), ("tag:n", "1", "2")) == sorted(made[1:3])
    assert find(("group-name", "page-?")) == sorted(made)
    assert find(("tag-key", "app"), ("vpc-id", "vpc-00000000000000001")) == []
    with pytest.raises(ClientError) as failure:
        find(("colour", "red"))
    assert code(failure) == "InvalidParameterValue"
    with pytest.raises(ClientError) as failure:
        ec2.describe_security_groups(MaxResults=5, NextToken="junk")
    assert code(failure) == "InvalidNextToken"
    described = ec2.get_paginator("describe_tags").paginate(
        Filters=[{"Name": "key", "Values": ["n"]}], PaginationConfig={"PageSize": 5}
    )
    assert len([tag for page in described for tag in page["Tags"]]) == 7
    with pytest.raises(ClientError) as failure:
        ec2.delete_security_group(GroupId=made[0], DryRun=True)
    assert code(failure) == "DryRunOperation" and failure.value.response["ResponseMetadata"]["HTTPStatusCode"] == 412
    assert ec2.describe_security_groups(GroupIds=[made[0]])["SecurityGroups"]
    pages = elb.get_paginator("describe_load_balancers").paginate(PaginationConfig={"PageSize": 1})
    names = [lb["LoadBalancerName"] for page in pages for lb in page["LoadBalancers"]]
    assert sorted(names) == ["db", "shared", "web"]
    with pytest.raises(ClientError) as failure:
        elb.describe_load_balancers(Names=["db", "missing"])
    assert code(failure) == "LoadBalancerNotFound", "one missing name fails the whole lookup"


def test_tag_filters_and_lists_lag(sandbox_with_lag):
    sandbox = sandbox_with_lag
    ec2 = sandbox.client("ec2")
    by_tag = lambda value: ec2.describe_security_groups(Filters=[{"Name": "tag:app", "Values": [value]}])["SecurityGroups"]
    with sandbox.almost_still():
        group = ec2.create_security_group(
            GroupName="lag", Description="l", VpcId=VPC,
            TagSpecifications=[{"ResourceType": "security-group", "Tags": tags(app="lag")}],
        )["GroupId"]
        assert ec2.describe_security_groups(GroupIds=[group])["SecurityGroups"][0]["Tags"] == tags(app="lag")
        assert by_tag("lag") == []
    deadline = time.monotonic() + 20
    while not by_tag("lag"):
        assert time.monotonic() < deadline
        time.sleep(0.05)
    with sandbox.almost_still():
        ec2.create_tags(Resources=[group], Tags=tags(app="new"))
        assert by_tag("new") == [] and by_tag("lag"), "the old value is seen for a while"


def test_new_connections_notifications_and_listeners_lag_in_lists(sandbox_with_lag):
    sandbox = sandbox_with_lag
    with sandbox.almost_still():
        stack = Stack(sandbox, wait=False)
        listeners = lambda: stack.elb.describe_listeners(LoadBalancerArn=stack.balancer)["Listeners"]
        assert listeners() == []
        named = stack.elb.describe_listeners(ListenerArns=[stack.listener])["Listeners"]
        assert [one["ListenerArn"] for one in named] == [stack.listener]
        sandbox.advance(121)
        assert listeners() == named
        stack.serve(wait=lambda: sandbox.advance(11))
        ec2, consumer = stack.ec2, sandbox.client("ec2", SECOND)
        details = consumer.describe_vpc_endpoint_services(ServiceNames=[stack.service_name])["ServiceDetails"][0]
        subnet, vpc = subnet_of(consumer, details["AvailabilityZoneIds"][0])
        endpoint = consumer.create_vpc_endpoint(
            VpcEndpointType="Interface", VpcId=vpc, ServiceName=stack.service_name, SubnetIds=[subnet],
        )["VpcEndpoint"]["VpcEndpointId"]
        made = ec2.create_vpc_endpoint_connection_notification(
            ServiceId=stack.service, ConnectionNotificationArn=TOPIC, ConnectionEvents=["Connect"]
        )["ConnectionNotification"]["ConnectionNotificationId"]
        notifications = lambda: [
            one["ConnectionNotificationId"]
            for one in ec2.describe_vpc_endpoint_connection_notifications()["ConnectionNotificationSet"]
        ]
        asked = lambda: [connection["VpcEndpointId"] for connection in stack.connections()]
        assert made not in notifications() and endpoint not in asked()
        # What is named is there: a decision need not wait for the list.
        done = ec2.accept_vpc_endpoint_connections(ServiceId=stack.service, VpcEndpointIds=[endpoint])
        assert done["Unsuccessful"] == []
        sandbox.advance(3)
        assert made in notifications() and endpoint in asked()


def test_roles_accounts_and_partitions(sandbox):
    sts = sandbox.client("sts")
    assert sts.get_caller_identity()["Account"] == OWN
    assert sandbox.client("sts", SECOND).get_caller_identity()["Account"] == SECOND
    role = f"arn:aws:iam::{SECOND}:role/needs-external-id"
    with pytest.raises(ClientError) as failure:
        sts.assume_role(RoleArn=role, RoleSessionName="session")
    assert code(failure) == "AccessDenied"
    given = sts.assume_role(RoleArn=role, RoleSessionName="session", ExternalId="sandbox-external-id")["Credentials"]
    keys = {
        "aws_access_key_id": given["AccessKeyId"],
        "aws_secret_access_key": given["SecretAccessKey"],
        "aws_session_token": given["SessionToken"],
    }
    who = sandbox.client("sts", **keys).get_caller_identity()
    assert who["Account"] == SECOND and who["Arn"].endswith("assumed-role/needs-external-id/session")
    assert given["SecretAccessKey"] not in sandbox.record.read_text()
    vpcs = sandbox.client("ec2", **keys).describe_vpcs()["Vpcs"]
    assert [vpc["OwnerId"] for vpc in vpcs] == [SECOND]
    for region, partition in (("us-gov-west-1", "aws-us-gov"), ("cn-north-1", "aws-cn"), ("eu-west-1", "aws")):
        ec2 = sandbox.client("ec2", region=region)
        subnet = ec2.describe_subnets()["Subnets"][0]
        assert subnet["SubnetArn"].startswith(f"arn:{partition}:ec2:{region}:{OWN}:subnet/")
        assert VPC not in [vpc["VpcId"] for vpc in ec2.describe_vpcs()["Vpcs"]]


def test_request_rates(sandbox_with_rates):
    ec2 = sandbox_with_rates.client("ec2", retries=1)
    failed = 0
    with sandbox_with_rates.almost_still():
        for _ in range(12):
            try:
                ec2.modify_vpc_endpoint_service_configuration(ServiceId="vpce-svc-0eeeeeeeeeeeeeee5", AcceptanceRequired=True)
            except ClientError as error:
                assert error.response["Error"]["Code"] == "RequestLimitExceeded"
                failed += 1
    assert failed >= 1, "a bucket of ten that refills one a second"
    patient = sandbox_with_rates.client("ec2", retries=10)
    patient.modify_vpc_endpoint_service_configuration(ServiceId="vpce-svc-0eeeeeeeeeeeeeee5", AcceptanceRequired=True)
