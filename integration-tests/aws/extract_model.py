"""Writes the sandbox's compact model of the AWS calls that it answers, from botocore's service models.

    integration-tests/.venv/bin/python integration-tests/aws/extract_model.py

The result, crates/privnet-sandbox/src/aws/model.json, holds names, wire names, types, required members and limits:
facts of the published description, nothing of botocore's code. It is checked in, so that building needs no Python;
test_botocore_check.py holds it to the pinned botocore.
"""

import json
import pathlib

import botocore.session

TARGET = pathlib.Path(__file__).resolve().parents[2] / "crates/privnet-sandbox/src/aws/model.json"
ACTIONS = {
    "ec2": """
        DescribeRegions DescribeAvailabilityZones
        DescribeVpcs DescribeVpcAttribute DescribeSubnets DescribeInstances DescribeNetworkInterfaces
        CreateSecurityGroup DescribeSecurityGroups DeleteSecurityGroup
        AuthorizeSecurityGroupIngress AuthorizeSecurityGroupEgress
        RevokeSecurityGroupIngress RevokeSecurityGroupEgress
        DescribeSecurityGroupRules ModifySecurityGroupRules
        CreateTags DeleteTags DescribeTags
        CreateVpcEndpointServiceConfiguration DescribeVpcEndpointServiceConfigurations
        ModifyVpcEndpointServiceConfiguration DeleteVpcEndpointServiceConfigurations
        DescribeVpcEndpointServicePermissions ModifyVpcEndpointServicePermissions
        StartVpcEndpointServicePrivateDnsVerification DescribeVpcEndpointServices
        DescribeVpcEndpointConnections AcceptVpcEndpointConnections RejectVpcEndpointConnections
        CreateVpcEndpointConnectionNotification DescribeVpcEndpointConnectionNotifications
        ModifyVpcEndpointConnectionNotification DeleteVpcEndpointConnectionNotifications
        CreateVpcEndpoint DescribeVpcEndpoints DeleteVpcEndpoints
        CreateLaunchTemplate DescribeLaunchTemplates ModifyLaunchTemplate DeleteLaunchTemplate
        CreateLaunchTemplateVersion DescribeLaunchTemplateVersions DeleteLaunchTemplateVersions
        DescribeImages DescribePrefixLists TerminateInstances DeleteSubnet
    """,
    "elbv2": """
        CreateLoadBalancer DescribeLoadBalancers DeleteLoadBalancer
        DescribeLoadBalancerAttributes ModifyLoadBalancerAttributes
        SetSecurityGroups SetSubnets SetIpAddressType
        CreateTargetGroup DescribeTargetGroups ModifyTargetGroup DeleteTargetGroup
        DescribeTargetGroupAttributes ModifyTargetGroupAttributes
        RegisterTargets DeregisterTargets DescribeTargetHealth
        CreateListener DescribeListeners ModifyListener DeleteListener
        DescribeListenerAttributes ModifyListenerAttributes
        AddTags RemoveTags DescribeTags DescribeAccountLimits
    """,
    "autoscaling": """
        CreateAutoScalingGroup DescribeAutoScalingGroups UpdateAutoScalingGroup DeleteAutoScalingGroup
        AttachLoadBalancerTargetGroups DetachLoadBalancerTargetGroups DescribeLoadBalancerTargetGroups
        AttachTrafficSources DetachTrafficSources DescribeTrafficSources
        CreateOrUpdateTags DeleteTags DescribeTags
        DescribeScalingActivities DescribeAutoScalingInstances
        SetDesiredCapacity TerminateInstanceInAutoScalingGroup SetInstanceHealth
        SuspendProcesses ResumeProcesses
    """,
    "sts": "GetCallerIdentity AssumeRole",
}

# Parts of shapes that the sandbox never reads or writes; without them the model is a third of the size.
SKIPPED = {
    "AuthenticateOidcConfig", "AuthenticateCognitoConfig", "JwtValidationConfig", "RedirectConfig",
    "FixedResponseConfig", "MutualAuthentication",
    "InstanceRequirements", "MixedInstancesPolicy", "WarmPoolConfiguration", "LifecycleHookSpecificationList",
    "ElasticGpuSpecifications", "ElasticInferenceAccelerators", "ImageWatermarks", "ScanResults",
}
# Enumerations of more than a thousand values; the sandbox has rules of its own for these.
UNLISTED = {"InstanceType", "ResourceType"}
# The members of an instance that are answered; the published shape has some eighty, many of them trees.
INSTANCE = {
    "InstanceId", "ImageId", "InstanceType", "KeyName", "LaunchTime", "Placement", "PrivateDnsName",
    "PrivateIpAddress", "PublicDnsName", "State", "SubnetId", "VpcId", "SecurityGroups", "Tags", "Architecture",
    "AmiLaunchIndex", "ClientToken", "EbsOptimized", "Hypervisor", "RootDeviceType", "SourceDestCheck",
    "VirtualizationType", "NetworkInterfaces", "StateTransitionReason", "StateReason", "MetadataOptions",
    "BlockDeviceMappings", "RootDeviceName", "PublicIpAddress", "IamInstanceProfile", "Monitoring",
}


class Extract:
    """The shapes of one service in one direction: wire names differ between requests and answers."""

    def __init__(self, protocol, request):
        self.protocol, self.request, self.shapes = protocol, request, {}

    def wire(self, name, shape):
        extra = shape.serialization
        if self.request and self.protocol == "ec2":
            if "queryName" in extra:
                return extra["queryName"]
            located = extra.get("name", name)
            return located[0].upper() + located[1:]
        return extra.get("name", name)

    def add(self, shape):
        if shape.name in self.shapes:
            return shape.name
        self.shapes[shape.name] = None
        kind = shape.type_name
        if kind == "structure":
            members = {}
            of_ec2 = self.protocol == "ec2" and shape.name == "Instance"
            for name, member in shape.members.items():
                if name in SKIPPED or (of_ec2 and name not in INSTANCE):
                    continue
                members[name] = [self.wire(name, member), self.add(member)]
            out = {"type": "structure", "members": members}
            if self.request and shape.required_members:
                out["required"] = list(shape.required_members)
        elif kind == "list":
            out = {"type": "list", "of": self.add(shape.member)}
            member = shape.member.serialization.get("name", "member")
            if member != "member":
                out["member"] = member
            if shape.serialization.get("flattened"):
                out["flattened"] = True
        elif kind == "map":
            out = {"type": "string"}
        else:
            out = {"type": kind}
            if self.request and getattr(shape, "enum", None) and shape.name not in UNLISTED:
                out["enum"] = list(shape.enum)
            if self.request:
                out.update({k: v for k, v in shape.metadata.items() if k in ("min", "max")})
        self.shapes[shape.name] = out
        return shape.name


def extract(service, actions):
    model = botocore.session.get_session().get_service_model(service)
    protocol = model.metadata["protocol"]
    requests, answers = Extract(protocol, True), Extract(protocol, False)
    operations = {}
    for action in actions:
        operation = model.operation_model(action)
        entry = {}
        if operation.input_shape:
            entry["in"] = requests.add(operation.input_shape)
        if operation.output_shape:
            entry["out"] = answers.add(operation.output_shape)
        operations[action] = entry
    return {
        "version": model.api_version,
        "namespace": model.metadata.get("xmlNamespace", f"http://ec2.amazonaws.com/doc/{model.api_version}/"),
        "operations": operations,
        "requests": requests.shapes,
        "answers": answers.shapes,
    }


def current():
    """The model's text, from the botocore that is installed."""
    return render({service: extract(service, actions.split()) for service, actions in ACTIONS.items()})


def main():
    TARGET.write_text(current(), encoding="utf-8")


def render(model):
    """One shape a line: compact, and still readable in a diff."""
    services = []
    for service, entry in model.items():
        parts = [f'"version": {json.dumps(entry["version"])}', f'"namespace": {json.dumps(entry["namespace"])}']
        for table in ("operations", "requests", "answers"):
            lines = [f"{json.dumps(k)}: {json.dumps(v, separators=(',', ':'))}" for k, v in sorted(entry[table].items())]
            parts.append(f'"{table}": {{\n' + ",\n".join(lines) + "\n}")
        services.append(f'"{service}": {{\n' + ",\n".join(parts) + "\n}")
    return "{\n" + ",\n".join(services) + "\n}\n"


if __name__ == "__main__":
    main()
