"""boto3, unchanged, makes launch templates and Auto Scaling groups as AWS documents them, and looks at what becomes of them."""

import base64

import pytest
from botocore.exceptions import ClientError

from aws_sandbox import DATABASE_GROUP, INSTANCE, SUBNETS, VPC

DEBIAN = "resolve:ssm:/aws/service/debian/release/12/latest/arm64"


def code(failure):
    return failure.value.response["Error"]["Code"]


def message(failure):
    return failure.value.response["Error"]["Message"]


def tags(**pairs):
    return [{"Key": key, "Value": value} for key, value in pairs.items()]


def data(**more):
    """A machine without a public address, key or role, with metadata version 2 only and an encrypted disk."""
    return {
        "ImageId": DEBIAN,
        "InstanceType": "t4g.small",
        "UserData": base64.b64encode(b"#cloud-config\n").decode(),
        "MetadataOptions": {"HttpTokens": "required", "HttpEndpoint": "enabled", "HttpPutResponseHopLimit": 1},
        "NetworkInterfaces": [{
            "DeviceIndex": 0, "AssociatePublicIpAddress": False, "Groups": [DATABASE_GROUP], "DeleteOnTermination": True,
        }],
        "BlockDeviceMappings": [
            {"DeviceName": "/dev/xvda", "Ebs": {"Encrypted": True, "VolumeType": "gp3", "VolumeSize": 8, "DeleteOnTermination": True}}
        ],
        "TagSpecifications": [
            {"ResourceType": "instance", "Tags": tags(Name="forwarder")},
            {"ResourceType": "volume", "Tags": tags(Name="forwarder")},
            {"ResourceType": "network-interface", "Tags": tags(Name="forwarder")},
        ],
        **more,
    }


def make_template(ec2, name="forwarders", **more):
    made = ec2.create_launch_template(
        LaunchTemplateName=name, LaunchTemplateData=data(**more),
        TagSpecifications=[{"ResourceType": "launch-template", "Tags": tags(app="fwd")}],
    )["LaunchTemplate"]
    assert (made["DefaultVersionNumber"], made["LatestVersionNumber"], made["Tags"]) == (1, 1, tags(app="fwd"))
    return made["LaunchTemplateId"]


class Stack:
    """A load balancer with a target group for instances behind it, and a group of machines."""

    def __init__(self, sandbox, desired=2, attached=True, **more):
        self.sandbox = sandbox
        self.ec2, self.elb, self.asg = (sandbox.client(name) for name in ("ec2", "elbv2", "autoscaling"))
        self.template = make_template(self.ec2)
        self.balancer = self.elb.create_load_balancer(
            Name="fwd", Type="network", Scheme="internal", Subnets=SUBNETS[:2]
        )["LoadBalancers"][0]["LoadBalancerArn"]
        self.targets = self.elb.create_target_group(
            Name="fwd", Protocol="TCP", Port=5432, VpcId=VPC, TargetType="instance", HealthCheckProtocol="HTTP",
            HealthCheckPort="8080", HealthCheckPath="/", HealthCheckIntervalSeconds=10, HealthyThresholdCount=2,
        )["TargetGroups"][0]["TargetGroupArn"]
        self.elb.modify_target_group_attributes(
            TargetGroupArn=self.targets, Attributes=[{"Key": "deregistration_delay.timeout_seconds", "Value": "60"}]
        )
        self.elb.create_listener(
            LoadBalancerArn=self.balancer, Protocol="TCP", Port=5432,
            DefaultActions=[{"Type": "forward", "TargetGroupArn": self.targets}],
        )
        self.asg.create_auto_scaling_group(
            AutoScalingGroupName="fwd-a",
            LaunchTemplate={"LaunchTemplateId": self.template, "Version": "1"},
            MinSize=desired, MaxSize=desired, DesiredCapacity=desired,
            VPCZoneIdentifier=",".join(SUBNETS[:2]),
            HealthCheckType="EC2",
            HealthCheckGracePeriod=60,
            Tags=[
                {"ResourceType": "auto-scaling-group", "ResourceId": "fwd-a", "Key": "app", "Value": "fwd", "PropagateAtLaunch": True},
                {"ResourceType": "auto-scaling-group", "ResourceId": "fwd-a", "Key": "quiet", "Value": "yes", "PropagateAtLaunch": False},
            ],
            **({"TargetGroupARNs": [self.targets]} if attached else {}),
            **more,
        )

    def group(self, name="fwd-a"):
        found = self.asg.describe_auto_scaling_groups(AutoScalingGroupNames=[name])["AutoScalingGroups"]
        return found[0] if found else None

    def states(self):
        return sorted(instance["LifecycleState"] for instance in self.group()["Instances"])

    def health(self):
        found = self.elb.describe_target_health(TargetGroupArn=self.targets)["TargetHealthDescriptions"]
        return {one["Target"]["Id"]: one["TargetHealth"]["State"] for one in found}

    def until_healthy(self, count=2):
        self.sandbox.until(lambda: list(self.health().values()).count("healthy") == count, 600)


def test_the_whole_life_of_a_group(sandbox):
    stack = Stack(sandbox)
    ec2, asg = stack.ec2, stack.asg
    sandbox.until(lambda: stack.states() == ["InService", "InService"])
    group = stack.group()
    assert group["TargetGroupARNs"] == [stack.targets] and group["LaunchTemplate"]["Version"] == "1"
    assert {tag["Key"]: tag["PropagateAtLaunch"] for tag in group["Tags"]} == {"app": True, "quiet": False}
    assert sorted(i["AvailabilityZone"] for i in group["Instances"]) == ["us-east-1a", "us-east-1b"]
    machine_looks_as_the_template_says(stack, [i["InstanceId"] for i in group["Instances"]])
    stack.until_healthy()
    assert asg.describe_load_balancer_target_groups(AutoScalingGroupName="fwd-a")["LoadBalancerTargetGroups"] == [
        {"LoadBalancerTargetGroupARN": stack.targets, "State": "InService"}
    ]
    activities = asg.describe_scaling_activities(AutoScalingGroupName="fwd-a")["Activities"]
    assert [a["StatusCode"] for a in activities] == ["Successful"] * 2
    assert "difference between desired and actual capacity" in activities[0]["Cause"]

    with pytest.raises(ClientError) as failure:
        ec2.delete_subnet(SubnetId=SUBNETS[0])
    assert code(failure) == "DependencyViolation"
    with pytest.raises(ClientError) as failure:
        asg.delete_auto_scaling_group(AutoScalingGroupName="fwd-a")
    assert code(failure) == "ResourceInUse"
    with sandbox.almost_still():
        asg.update_auto_scaling_group(AutoScalingGroupName="fwd-a", MinSize=0, MaxSize=0, DesiredCapacity=0)
        # A group takes two seconds to begin with it.
        sandbox.advance(3)
        assert set(stack.health().values()) == {"draining"}
        with pytest.raises(ClientError) as failure:
            asg.delete_auto_scaling_group(AutoScalingGroupName="fwd-a")
        assert code(failure) == "ScalingActivityInProgress"
    sandbox.until(lambda: stack.group()["Instances"] == [])
    asg.delete_auto_scaling_group(AutoScalingGroupName="fwd-a")
    sandbox.until(lambda: stack.group() is None)
    gone = asg.describe_scaling_activities(AutoScalingGroupName="fwd-a", IncludeDeletedGroups=True)["Activities"]
    assert len(gone) == 4 and {a["AutoScalingGroupState"] for a in gone} == {"Deleted"}
    for call in (asg.describe_scaling_activities, asg.delete_auto_scaling_group):
        with pytest.raises(ClientError) as failure:
            call(AutoScalingGroupName="fwd-a")
        assert code(failure) == "ValidationError" and "not found" in message(failure)
    ec2.delete_launch_template(LaunchTemplateId=stack.template)
    left = ec2.describe_instances(Filters=[{"Name": "tag:app", "Values": ["fwd"]}])["Reservations"]
    assert {i["State"]["Name"] for r in left for i in r["Instances"]} == {"terminated"}


def machine_looks_as_the_template_says(stack, ids):
    reservations = stack.ec2.describe_instances(InstanceIds=ids)["Reservations"]
    instances = [instance for reservation in reservations for instance in reservation["Instances"]]
    image = stack.ec2.describe_launch_template_versions(LaunchTemplateId=stack.template, ResolveAlias=True)
    image = image["LaunchTemplateVersions"][0]["LaunchTemplateData"]["ImageId"]
    for instance in instances:
        assert instance["State"]["Name"] == "running" and instance["ImageId"] == image
        assert "PublicIpAddress" not in instance and "KeyName" not in instance and "IamInstanceProfile" not in instance
        assert instance["MetadataOptions"]["HttpTokens"] == "required"
        assert [group["GroupId"] for group in instance["SecurityGroups"]] == [DATABASE_GROUP]
        found = {tag["Key"]: tag["Value"] for tag in instance["Tags"]}
        assert found == {
            "Name": "forwarder", "app": "fwd", "aws:autoscaling:groupName": "fwd-a",
            "aws:ec2launchtemplate:id": stack.template, "aws:ec2launchtemplate:version": "1",
        }
        interface = instance["NetworkInterfaces"][0]
        assert "Association" not in interface
        shown = stack.ec2.describe_network_interfaces(NetworkInterfaceIds=[interface["NetworkInterfaceId"]])
        assert shown["NetworkInterfaces"][0]["Attachment"]["InstanceId"] == instance["InstanceId"]
        assert shown["NetworkInterfaces"][0]["TagSet"] == tags(Name="forwarder")
    managed = stack.asg.describe_auto_scaling_instances(InstanceIds=ids + [INSTANCE])["AutoScalingInstances"]
    assert {(i["AutoScalingGroupName"], i["HealthStatus"]) for i in managed} == {("fwd-a", "HEALTHY")}


def test_a_forced_deletion(sandbox):
    stack = Stack(sandbox)
    stack.until_healthy()
    with sandbox.almost_still():
        stack.asg.delete_auto_scaling_group(AutoScalingGroupName="fwd-a", ForceDelete=True)
        assert stack.group()["Status"] == "Delete in progress"
        for call in (
            lambda: stack.asg.update_auto_scaling_group(AutoScalingGroupName="fwd-a", MinSize=1),
            lambda: stack.asg.create_auto_scaling_group(
                AutoScalingGroupName="fwd-a", MinSize=0, MaxSize=0, VPCZoneIdentifier=SUBNETS[0],
                LaunchTemplate={"LaunchTemplateId": stack.template},
            ),
        ):
            with pytest.raises(ClientError) as failure:
                call()
            assert code(failure) in ("ValidationError", "AlreadyExists") and "pending delete" in message(failure)
    sandbox.until(lambda: stack.group() is None)


def test_target_groups_and_traffic_sources(sandbox):
    stack = Stack(sandbox, attached=False)
    asg = stack.asg
    sandbox.until(lambda: stack.states() == ["InService", "InService"])
    assert stack.health() == {}
    state = lambda: [t["State"] for t in asg.describe_load_balancer_target_groups(AutoScalingGroupName="fwd-a")["LoadBalancerTargetGroups"]]
    with sandbox.almost_still():
        asg.attach_load_balancer_target_groups(AutoScalingGroupName="fwd-a", TargetGroupARNs=[stack.targets])
        assert state() == ["Adding"]
    sandbox.until(lambda: state() == ["Added"])
    stack.until_healthy()
    sources = asg.describe_traffic_sources(AutoScalingGroupName="fwd-a")["TrafficSources"]
    assert [(s["Identifier"], s["Type"]) for s in sources] == [(stack.targets, "elbv2")]
    with sandbox.almost_still():
        asg.detach_load_balancer_target_groups(AutoScalingGroupName="fwd-a", TargetGroupARNs=[stack.targets])
        assert state() == ["Removing"] and set(stack.health().values()) == {"draining"}
        # They drain for a minute, and that they are removed shows for ten seconds.
        sandbox.advance(62)
        assert state() == ["Removed"]
        sandbox.advance(10)
        assert state() == []
    source = [{"Identifier": stack.targets, "Type": "elbv2"}]
    asg.attach_traffic_sources(AutoScalingGroupName="fwd-a", TrafficSources=source)
    sandbox.until(lambda: len(stack.health()) == 2)
    # What was attached as a traffic source is unknown to the older calls.
    assert state() == [] and stack.group()["TargetGroupARNs"] == []
    with pytest.raises(ClientError) as failure:
        asg.detach_load_balancer_target_groups(AutoScalingGroupName="fwd-a", TargetGroupARNs=[stack.targets])
    assert code(failure) == "ValidationError"
    asg.detach_traffic_sources(AutoScalingGroupName="fwd-a", TrafficSources=source)
    by_address = stack.elb.create_target_group(Name="ip", Protocol="TCP", Port=1, VpcId=VPC, TargetType="ip")
    with pytest.raises(ClientError) as failure:
        asg.attach_load_balancer_target_groups(
            AutoScalingGroupName="fwd-a", TargetGroupARNs=[by_address["TargetGroups"][0]["TargetGroupArn"]]
        )
    assert code(failure) == "ValidationError"


def test_machines_that_fail_are_replaced_and_sick_targets_are_not(sandbox):
    stack = Stack(sandbox)
    asg, elb, ec2 = stack.asg, stack.elb, stack.ec2
    stack.until_healthy()
    ids = [instance["InstanceId"] for instance in stack.group()["Instances"]]
    # The sandbox's switch: one forwarder, or all behind a target group.
    ec2.create_tags(Resources=ids[:1], Tags=tags(**{"sandbox-health": "down"}))
    sandbox.until(lambda: stack.health()[ids[0]] == "unhealthy" and stack.health()[ids[1]] == "healthy", 120)
    ec2.delete_tags(Resources=ids[:1], Tags=[{"Key": "sandbox-health"}])
    stack.until_healthy()
    elb.add_tags(ResourceArns=[stack.targets], Tags=tags(**{"sandbox-health": "down"}))
    sandbox.until(lambda: set(stack.health().values()) == {"unhealthy"}, 120)
    sandbox.pass_time(120)
    assert [instance["InstanceId"] for instance in stack.group()["Instances"]] == ids, "the type of the check is EC2"
    asg.suspend_processes(AutoScalingGroupName="fwd-a", ScalingProcesses=["Launch", "ReplaceUnhealthy"])
    ec2.terminate_instances(InstanceIds=ids[:1])
    sandbox.until(lambda: "Unhealthy" in [i["HealthStatus"] for i in stack.group()["Instances"]])
    assert {p["ProcessName"] for p in stack.group()["SuspendedProcesses"]} == {"Launch", "ReplaceUnhealthy"}
    asg.resume_processes(AutoScalingGroupName="fwd-a")
    sandbox.until(lambda: stack.states() == ["InService", "InService"] and ids[0] not in str(stack.group()), 300)
    asg.set_instance_health(InstanceId=ids[1], HealthStatus="Unhealthy", ShouldRespectGracePeriod=False)
    sandbox.until(lambda: stack.states() == ["InService", "InService"] and ids[1] not in str(stack.group()), 300)


def test_sizes(sandbox):
    stack = Stack(sandbox)
    asg = stack.asg
    sandbox.until(lambda: stack.states() == ["InService", "InService"])
    asg.update_auto_scaling_group(AutoScalingGroupName="fwd-a", MaxSize=4)
    asg.set_desired_capacity(AutoScalingGroupName="fwd-a", DesiredCapacity=3)
    sandbox.until(lambda: stack.states() == ["InService"] * 3)
    for wrong, words in ((5, "above max value 4"), (1, "below min value 2")):
        with pytest.raises(ClientError) as failure:
            asg.set_desired_capacity(AutoScalingGroupName="fwd-a", DesiredCapacity=wrong)
        assert code(failure) == "ValidationError" and words in message(failure)
    one = stack.group()["Instances"][0]["InstanceId"]
    ended = asg.terminate_instance_in_auto_scaling_group(InstanceId=one, ShouldDecrementDesiredCapacity=True)
    assert one in ended["Activity"]["Description"]
    sandbox.until(lambda: stack.states() == ["InService"] * 2, 200)
    assert stack.group()["DesiredCapacity"] == 2
    with pytest.raises(ClientError) as failure:
        asg.terminate_instance_in_auto_scaling_group(InstanceId=INSTANCE, ShouldDecrementDesiredCapacity=False)
    assert code(failure) == "ValidationError" and "No managed instance" in message(failure)
    # Another template is for new machines only.
    stack.ec2.create_launch_template_version(
        LaunchTemplateId=stack.template, SourceVersion="1", LaunchTemplateData={"InstanceType": "t4g.medium"}
    )
    asg.update_auto_scaling_group(
        AutoScalingGroupName="fwd-a", LaunchTemplate={"LaunchTemplateId": stack.template, "Version": "2"}
    )
    assert {i["LaunchTemplate"]["Version"] for i in stack.group()["Instances"]} == {"1"}
    asg.set_desired_capacity(AutoScalingGroupName="fwd-a", DesiredCapacity=3)
    sandbox.until(lambda: stack.states() == ["InService"] * 3)
    assert sorted(i["InstanceType"] for i in stack.group()["Instances"]) == ["t4g.medium", "t4g.small", "t4g.small"]


def test_tags_and_pages_of_groups(sandbox):
    asg, ec2 = sandbox.client("autoscaling"), sandbox.client("ec2")
    template = make_template(ec2)
    for n in range(5):
        asg.create_auto_scaling_group(
            AutoScalingGroupName=f"page-{n}", MinSize=0, MaxSize=1, VPCZoneIdentifier=SUBNETS[0],
            LaunchTemplate={"LaunchTemplateId": template, "Version": "$Latest"},
            Tags=[{"Key": "n", "Value": str(n)}],
        )
    sandbox.pass_time(2)
    find = lambda **more: [
        group["AutoScalingGroupName"]
        for page in asg.get_paginator("describe_auto_scaling_groups").paginate(PaginationConfig={"PageSize": 2}, **more)
        for group in page["AutoScalingGroups"]
    ]
    assert find() == [f"page-{n}" for n in range(5)]
    assert find(AutoScalingGroupNames=["page-3", "missing"]) == ["page-3"]
    assert find(Filters=[{"Name": "tag:n", "Values": ["1", "4"]}]) == ["page-1", "page-4"]
    assert find(Filters=[{"Name": "tag-key", "Values": ["n"]}, {"Name": "tag-value", "Values": ["2"]}]) == ["page-2"]
    with pytest.raises(ClientError) as failure:
        find(Filters=[{"Name": "colour", "Values": ["red"]}])
    assert code(failure) == "ValidationError"
    with pytest.raises(ClientError) as failure:
        asg.describe_auto_scaling_groups(NextToken="junk")
    assert code(failure) == "InvalidNextToken"
    tag = {"ResourceId": "page-0", "ResourceType": "auto-scaling-group", "Key": "n"}
    asg.create_or_update_tags(Tags=[{**tag, "Value": "0", "PropagateAtLaunch": True}, {**tag, "Key": "more", "PropagateAtLaunch": False}])
    sandbox.pass_time(2)
    described = [
        tag for page in asg.get_paginator("describe_tags").paginate(
            Filters=[{"Name": "auto-scaling-group", "Values": ["page-0"]}], PaginationConfig={"PageSize": 1}
        ) for tag in page["Tags"]
    ]
    assert [(tag["Key"], tag["Value"], tag["PropagateAtLaunch"]) for tag in described] == [("more", "", False), ("n", "0", True)]
    asg.delete_tags(Tags=[{**tag, "Value": "other"}, {**tag, "Key": "more"}])
    sandbox.pass_time(2)
    left = asg.describe_tags(Filters=[{"Name": "auto-scaling-group", "Values": ["page-0"]}])["Tags"]
    assert [tag["Key"] for tag in left] == ["n"], "a value that is given must be the tag's"


def test_launch_templates(sandbox):
    ec2 = sandbox.client("ec2")
    make_template(ec2, "one")
    with pytest.raises(ClientError) as failure:
        make_template(ec2, "one")
    assert code(failure) == "InvalidLaunchTemplateName.AlreadyExistsException"
    again = lambda name, **more: ec2.create_launch_template(
        LaunchTemplateName=name, LaunchTemplateData=data(), ClientToken="token", **more
    )["LaunchTemplate"]["LaunchTemplateId"]
    two = again("two")
    assert again("two") == two
    with pytest.raises(ClientError) as failure:
        again("three")
    assert code(failure) == "IdempotentParameterMismatch"
    with pytest.raises(ClientError) as failure:
        again("four", DryRun=True)
    assert code(failure) == "DryRunOperation"
    sandbox.pass_time(2)
    names = lambda **more: [
        template["LaunchTemplateName"]
        for page in ec2.get_paginator("describe_launch_templates").paginate(PaginationConfig={"PageSize": 1}, **more)
        for template in page["LaunchTemplates"]
    ]
    assert sorted(names()) == ["one", "two"] and names(LaunchTemplateNames=["two"]) == ["two"]
    assert names(Filters=[{"Name": "tag:app", "Values": ["fwd"]}]) == ["one"]
    assert names(Filters=[{"Name": "launch-template-name", "Values": ["t*"]}]) == ["two"]
    for wrong, expected in (
        ({"LaunchTemplateIds": ["lt-00000000000000000"]}, "InvalidLaunchTemplateId.NotFound"),
        ({"LaunchTemplateIds": ["template"]}, "InvalidLaunchTemplateId.Malformed"),
        ({"LaunchTemplateNames": ["missing"]}, "InvalidLaunchTemplateName.NotFoundException"),
        ({"LaunchTemplateNames": ["a b"]}, "InvalidLaunchTemplateName.MalformedException"),
    ):
        with pytest.raises(ClientError) as failure:
            ec2.describe_launch_templates(**wrong)
        assert code(failure) == expected
    ec2.create_tags(Resources=[two], Tags=tags(app="two"))
    found = ec2.delete_launch_template(LaunchTemplateName="two")["LaunchTemplate"]
    assert (found["LaunchTemplateId"], found["Tags"]) == (two, tags(app="two"))
    with pytest.raises(ClientError) as failure:
        ec2.delete_launch_template(LaunchTemplateId=two)
    assert code(failure) == "InvalidLaunchTemplateId.NotFound"


def test_versions_of_a_launch_template(sandbox):
    ec2 = sandbox.client("ec2")
    template = make_template(ec2)
    made = ec2.create_launch_template_version(
        LaunchTemplateId=template, SourceVersion="$Latest", VersionDescription="larger",
        LaunchTemplateData={"InstanceType": "t4g.large"}, ResolveAlias=True,
    )["LaunchTemplateVersion"]
    assert made["LaunchTemplateData"]["ImageId"].startswith("ami-") and not made["DefaultVersion"]
    ec2.create_launch_template_version(LaunchTemplateName="forwarders", LaunchTemplateData={"InstanceType": "t4g.nano"})
    versions = lambda **more: [
        version
        for page in ec2.get_paginator("describe_launch_template_versions").paginate(PaginationConfig={"PageSize": 1}, **more)
        for version in page["LaunchTemplateVersions"]
    ]
    numbers = lambda **more: [version["VersionNumber"] for version in versions(**more)]
    assert numbers(LaunchTemplateId=template) == [3, 2, 1]
    assert numbers(LaunchTemplateId=template, Versions=["$Default", "$Latest"]) == [3, 1]
    assert numbers(LaunchTemplateId=template, MinVersion="2", MaxVersion="2") == [2]
    sandbox.pass_time(2)
    assert numbers(Versions=["$Latest"]) == [3]
    second, first = versions(LaunchTemplateId=template, Versions=["1", "2"])
    assert first["LaunchTemplateData"] == data()
    assert second["LaunchTemplateData"] == {**data(), "InstanceType": "t4g.large"}
    with pytest.raises(ClientError) as failure:
        versions(LaunchTemplateId=template, Versions=["9"])
    assert code(failure) == "InvalidLaunchTemplateId.VersionNotFound"
    changed = ec2.modify_launch_template(LaunchTemplateId=template, DefaultVersion="2")["LaunchTemplate"]
    assert (changed["DefaultVersionNumber"], changed["LatestVersionNumber"]) == (2, 3)
    deleted = ec2.delete_launch_template_versions(LaunchTemplateId=template, Versions=["1", "2", "7"])
    assert [v["VersionNumber"] for v in deleted["SuccessfullyDeletedLaunchTemplateVersions"]] == [1]
    refused = deleted["UnsuccessfullyDeletedLaunchTemplateVersions"]
    assert {v["VersionNumber"]: v["ResponseError"]["Code"] for v in refused} == {
        2: "unexpectedError", 7: "launchTemplateVersionDoesNotExist",
    }
    assert numbers(LaunchTemplateId=template) == [3, 2]


@pytest.mark.parametrize(
    "more, expected",
    [
        ({"UserData": base64.b64encode(b"x" * 16385).decode()}, "InvalidParameterValue"),
        ({"UserData": "#cloud-config"}, "InvalidUserData.Malformed"),
        ({"ImageId": "debian"}, "InvalidAMIID.Malformed"),
        ({"TagSpecifications": [{"ResourceType": "vpc", "Tags": tags(a="b")}]}, "InvalidParameterValue"),
        ({"MetadataOptions": {"HttpPutResponseHopLimit": 65}}, "InvalidParameterValue"),
    ],
)
def test_what_a_launch_template_cannot_say(sandbox, more, expected):
    with pytest.raises(ClientError) as failure:
        make_template(sandbox.client("ec2"), **more)
    assert code(failure) == expected


@pytest.mark.parametrize(
    "more, words",
    [
        ({"ImageId": "ami-00000000000000000"}, "The image id '[ami-00000000000000000]' does not exist"),
        ({"ImageId": "resolve:ssm:/aws/service/debian/release/99/latest/arm64"}, "does not exist"),
        ({"InstanceType": "t3.small"}, "does not match the architecture 'arm64'"),
        ({"SecurityGroupIds": [DATABASE_GROUP]}, "may not be specified on the same request"),
    ],
)
def test_what_comes_out_at_the_launch(sandbox, more, words):
    """A template with such data can be made, with a warning; a group of it cannot."""
    ec2 = sandbox.client("ec2")
    made = ec2.create_launch_template(LaunchTemplateName="warned", LaunchTemplateData=data(**more))
    assert words in made["Warning"]["Errors"][0]["Message"]
    with pytest.raises(ClientError) as failure:
        sandbox.client("autoscaling").create_auto_scaling_group(
            AutoScalingGroupName="none", MinSize=0, MaxSize=1, VPCZoneIdentifier=SUBNETS[0],
            LaunchTemplate={"LaunchTemplateName": "warned"},
        )
    assert code(failure) == "ValidationError"
    assert message(failure).startswith("You must use a valid fully-formed launch template.") and words in message(failure)


def test_images_and_the_names_that_lead_to_them(sandbox):
    ec2, asg = sandbox.client("ec2"), sandbox.client("autoscaling")
    debian = ec2.describe_images(
        Owners=["136693071363"],
        Filters=[{"Name": "name", "Values": ["debian-12-*"]}, {"Name": "architecture", "Values": ["arm64"]}],
    )["Images"]
    assert len(debian) == 1 and debian[0]["State"] == "available" and debian[0]["RootDeviceName"] == "/dev/xvda"
    amazon = ec2.get_paginator("describe_images").paginate(Owners=["amazon"], PaginationConfig={"PageSize": 1})
    assert {image["Architecture"] for page in amazon for image in page["Images"]} == {"x86_64", "arm64"}
    assert ec2.describe_images(Owners=["self"])["Images"] == []
    for wrong, expected in (("ami-00000000000000000", "InvalidAMIID.NotFound"), ("debian", "InvalidAMIID.Malformed")):
        with pytest.raises(ClientError) as failure:
            ec2.describe_images(ImageIds=[wrong])
        assert code(failure) == expected
    template = make_template(ec2)
    resolved = lambda: ec2.describe_launch_template_versions(
        LaunchTemplateId=template, Versions=["$Latest"], ResolveAlias=True
    )["LaunchTemplateVersions"][0]["LaunchTemplateData"]["ImageId"]
    assert resolved() == debian[0]["ImageId"]
    # The sandbox's switch: the publisher has a newer build, or has taken one away.
    ec2.create_tags(Resources=[resolved()], Tags=tags(**{"sandbox-image": "newer"}))
    newer = resolved()
    assert newer != debian[0]["ImageId"] and len(ec2.describe_images(ImageIds=[newer, debian[0]["ImageId"]])["Images"]) == 2
    asg.create_auto_scaling_group(
        AutoScalingGroupName="late", MinSize=0, MaxSize=1, VPCZoneIdentifier=SUBNETS[0],
        LaunchTemplate={"LaunchTemplateId": template},
    )
    ec2.create_tags(Resources=[newer], Tags=tags(**{"sandbox-image": "gone"}))
    asg.set_desired_capacity(AutoScalingGroupName="late", DesiredCapacity=1)
    activities = lambda: asg.describe_scaling_activities(AutoScalingGroupName="late")["Activities"]
    failed = sandbox.until(activities)[0]
    assert failed["StatusCode"] == "Failed" and newer in failed["StatusMessage"]
