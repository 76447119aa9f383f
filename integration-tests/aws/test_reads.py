"""What the default world shows to boto3, and tags in both APIs."""

import botocore.exceptions
import botocore.session
import pytest

from aws_sandbox import INSTANCE, OWN, SUBNETS, VPC, CliError

BALANCER = f"arn:aws:elasticloadbalancing:us-east-1:{OWN}:loadbalancer/net/db/0123456789abcdef"


def test_the_network(sandbox):
    ec2 = sandbox.client("ec2")
    zones = ec2.describe_availability_zones()["AvailabilityZones"]
    assert [(zone["ZoneName"], zone["ZoneId"]) for zone in zones] == [
        ("us-east-1a", "use1-az4"), ("us-east-1b", "use1-az6"), ("us-east-1c", "use1-az1"),
    ]
    one = ec2.describe_availability_zones(ZoneIds=["use1-az6"])["AvailabilityZones"]
    assert [zone["ZoneName"] for zone in one] == ["us-east-1b"]
    attribute = lambda name: ec2.describe_vpc_attribute(VpcId=VPC, Attribute=name)
    assert attribute("enableDnsHostnames")["EnableDnsHostnames"] == {"Value": True}
    assert attribute("enableDnsSupport")["EnableDnsSupport"] == {"Value": True}
    assert attribute("enableNetworkAddressUsageMetrics")["EnableNetworkAddressUsageMetrics"] == {"Value": False}
    with pytest.raises(botocore.exceptions.ClientError, match="InvalidVpcID.NotFound"):
        ec2.describe_vpc_attribute(VpcId="vpc-00000000000000000", Attribute="enableDnsSupport")
    named = [{"Name": "prefix-list-name", "Values": ["com.amazonaws.us-east-1.s3"]}]
    assert ec2.describe_prefix_lists(Filters=named)["PrefixLists"] == []
    in_vpc = [{"Name": "vpc-id", "Values": [VPC]}]
    pages = ec2.get_paginator("describe_subnets").paginate(Filters=in_vpc, PaginationConfig={"PageSize": 5})
    assert [subnet["SubnetId"] for page in pages for subnet in page["Subnets"]] == SUBNETS
    reservations = ec2.describe_instances(InstanceIds=[INSTANCE])["Reservations"]
    instance = reservations[0]["Instances"][0]
    assert (instance["State"]["Name"], instance["PrivateIpAddress"]) == ("running", "10.0.0.40")
    interface = instance["NetworkInterfaces"][0]["NetworkInterfaceId"]
    found = ec2.describe_network_interfaces(NetworkInterfaceIds=[interface])["NetworkInterfaces"][0]
    assert found["Attachment"]["InstanceId"] == INSTANCE
    by_balancer = [{"Name": "description", "Values": ["ELB net/db/*"]}]
    interfaces = ec2.describe_network_interfaces(Filters=by_balancer)["NetworkInterfaces"]
    assert {i["InterfaceType"] for i in interfaces} == {"network_load_balancer"} and len(interfaces) == 2


def test_the_regions(sandbox):
    published = botocore.session.get_session().get_available_regions
    for region, partition, domain in [
        ("us-east-1", "aws", "amazonaws.com"),
        ("cn-north-1", "aws-cn", "amazonaws.com.cn"),
        ("us-gov-west-1", "aws-us-gov", "amazonaws.com"),
    ]:
        shown = sandbox.client("ec2", region=region).describe_regions(AllRegions=True)["Regions"]
        found = {one["RegionName"]: one["Endpoint"] for one in shown}
        assert found == {name: f"ec2.{name}.{domain}" for name in published("ec2", partition)}
    ec2 = sandbox.client("ec2")
    names = lambda **asked: [region["RegionName"] for region in ec2.describe_regions(**asked)["Regions"]]
    where = lambda **filters: [{"Name": name.replace("_", "-"), "Values": values} for name, values in filters.items()]
    enabled = ec2.describe_regions()["Regions"]
    assert len(enabled) == 17 and {region["OptInStatus"] for region in enabled} == {"opt-in-not-required"}
    disabled = names(AllRegions=True, Filters=where(opt_in_status=["not-opted-in"]))
    assert len(disabled) == 17 and "af-south-1" in disabled
    assert names(Filters=where(opt_in_status=["not-opted-in"])) == [], "which regions there are comes first"
    assert names(Filters=where(endpoint=["ec2.us-*"], region_name=["*-1"])) == ["us-east-1", "us-west-1"]
    assert ec2.describe_regions(RegionNames=["af-south-1"])["Regions"] == [{
        "RegionName": "af-south-1", "Endpoint": "ec2.af-south-1.amazonaws.com", "OptInStatus": "not-opted-in",
        "Geography": [{"Name": "South Africa"}],
    }], "what is named is shown"
    there = sandbox.client("ec2", region="af-south-1")
    assert there.describe_regions(Filters=where(opt_in_status=["opted-in"]))["Regions"][0]["RegionName"] == "af-south-1"
    for asked, words in [
        ({"RegionNames": ["us-east-1", "us-east-9", "eu-west-9"]}, r"Invalid region: \[eu-west-9\]"),
        ({"RegionNames": ["cn-north-1"]}, r"Invalid region: \[cn-north-1\]"),
        ({"Filters": where(colour=["red"])}, "The filter 'colour' is invalid"),
    ]:
        with pytest.raises(botocore.exceptions.ClientError, match=f"InvalidParameterValue.*{words}"):
            ec2.describe_regions(**asked)
    with pytest.raises(botocore.exceptions.ClientError, match="DryRunOperation"):
        ec2.describe_regions(DryRun=True)


def test_the_regions_by_the_cli(sandbox):
    names = lambda *asked: [region["RegionName"] for region in sandbox.cli("ec2", "describe-regions", *asked)["Regions"]]
    assert len(names()) == 17 and len(names("--all-regions")) == 34
    assert names("--filters", "Name=endpoint,Values=*us-west*") == ["us-west-1", "us-west-2"]
    assert names("--region-names", "ap-east-2") == ["ap-east-2"]
    with pytest.raises(CliError, match=r"Invalid region: \[mars-north-1\]"):
        names("--region-names", "mars-north-1")


def test_the_load_balancer_that_is_there(sandbox):
    elb = sandbox.client("elbv2")
    pages = elb.get_paginator("describe_listeners").paginate(LoadBalancerArn=BALANCER)
    listeners = [listener for page in pages for listener in page["Listeners"]]
    assert [(one["Protocol"], one["Port"]) for one in listeners] == [("TCP", 5432)]
    assert elb.describe_listeners(ListenerArns=[listeners[0]["ListenerArn"]])["Listeners"] == listeners
    group = elb.describe_target_groups(LoadBalancerArn=BALANCER)["TargetGroups"][0]
    assert group["TargetGroupArn"] == listeners[0]["DefaultActions"][0]["TargetGroupArn"]
    assert group["LoadBalancerArns"] == [BALANCER]
    health = elb.describe_target_health(TargetGroupArn=group["TargetGroupArn"])["TargetHealthDescriptions"]
    assert {one["TargetHealth"]["State"] for one in health} == {"healthy"}
    named = elb.describe_target_groups(Names=[group["TargetGroupName"]])["TargetGroups"]
    assert named == [group]
    attributes = lambda answer: {pair["Key"]: pair["Value"] for pair in answer["Attributes"]}
    balancer = attributes(elb.describe_load_balancer_attributes(LoadBalancerArn=BALANCER))
    assert balancer["load_balancing.cross_zone.enabled"] == "false"
    group = attributes(elb.describe_target_group_attributes(TargetGroupArn=group["TargetGroupArn"]))
    assert group["preserve_client_ip.enabled"] == "false" and group["deregistration_delay.timeout_seconds"] == "300"
    elb.modify_target_group(TargetGroupArn=named[0]["TargetGroupArn"], HealthCheckPort="8080", HealthCheckProtocol="HTTP")
    changed = elb.describe_target_groups(TargetGroupArns=[named[0]["TargetGroupArn"]])["TargetGroups"][0]
    assert (changed["HealthCheckPort"], changed["HealthCheckPath"], changed["Matcher"]) == ("8080", "/", {"HttpCode": "200-399"})
    limits = {limit["Name"]: limit["Max"] for limit in elb.describe_account_limits()["Limits"]}
    assert limits["listeners-per-network-load-balancer"] == "50"


def test_tags_of_both_apis(sandbox):
    elb, ec2 = sandbox.client("elbv2"), sandbox.client("ec2")
    read = lambda: {tag["Key"]: tag["Value"] for tag in elb.describe_tags(ResourceArns=[BALANCER])["TagDescriptions"][0]["Tags"]}
    elb.add_tags(ResourceArns=[BALANCER], Tags=[{"Key": "a", "Value": "1"}, {"Key": "b", "Value": "2"}])
    elb.remove_tags(ResourceArns=[BALANCER], TagKeys=["a", "missing"])
    assert read() == {"Name": "db", "b": "2"}
    show = lambda: {tag["Key"]: tag["Value"] for tag in ec2.describe_vpcs(VpcIds=[VPC])["Vpcs"][0]["Tags"]}
    ec2.create_tags(Resources=[VPC], Tags=[{"Key": "a", "Value": "1"}, {"Key": "b", "Value": "2"}])
    ec2.delete_tags(Resources=[VPC], Tags=[{"Key": "a", "Value": "other"}, {"Key": "b"}])
    assert show() == {"Name": "main", "a": "1"}, "a value that is given must be the tag's"
