"""The AWS CLI, unchanged, carries out the life of an endpoint service on the sandbox."""

import pytest

from aws_sandbox import DATABASE_GROUP, OWN, SECOND, SUBNETS, VPC, CliError


def test_the_life_of_an_endpoint_service(sandbox):
    aws = sandbox.cli
    assert aws("sts", "get-caller-identity")["Account"] == OWN
    group = aws(
        "ec2", "create-security-group", "--group-name", "cli", "--description", "made by the CLI", "--vpc-id", VPC,
        "--tag-specifications", "ResourceType=security-group,Tags=[{Key=made-by,Value=cli}]",
    )["GroupId"]
    aws(
        "ec2", "authorize-security-group-ingress", "--group-id", DATABASE_GROUP, "--ip-permissions",
        f"IpProtocol=tcp,FromPort=5432,ToPort=5432,UserIdGroupPairs=[{{GroupId={group}}}]",
    )
    balancer = aws(
        "elbv2", "create-load-balancer", "--name", "cli", "--type", "network", "--scheme", "internal",
        "--subnets", *SUBNETS[:2], "--security-groups", group, "--tags", "Key=made-by,Value=cli",
    )["LoadBalancers"][0]["LoadBalancerArn"]
    aws(
        "elbv2", "set-security-groups", "--load-balancer-arn", balancer, "--security-groups", group,
        "--enforce-security-group-inbound-rules-on-private-link-traffic", "off",
    )
    targets = aws(
        "elbv2", "create-target-group", "--name", "cli", "--protocol", "TCP", "--port", "5432", "--vpc-id", VPC,
        "--target-type", "ip",
    )["TargetGroups"][0]["TargetGroupArn"]
    aws("elbv2", "register-targets", "--target-group-arn", targets, "--targets", "Id=10.0.0.30")
    listener = aws(
        "elbv2", "create-listener", "--load-balancer-arn", balancer, "--protocol", "TCP", "--port", "5432",
        "--default-actions", f"Type=forward,TargetGroupArn={targets}",
    )["Listeners"][0]["ListenerArn"]
    aws(
        "elbv2", "modify-listener-attributes", "--listener-arn", listener, "--attributes",
        "Key=tcp.idle_timeout.seconds,Value=400",
    )
    state = lambda: aws("elbv2", "describe-load-balancers", "--names", "cli")["LoadBalancers"][0]["State"]["Code"]
    sandbox.until(lambda: state() == "active")
    service = aws(
        "ec2", "create-vpc-endpoint-service-configuration", "--network-load-balancer-arns", balancer,
        "--acceptance-required",
    )["ServiceConfiguration"]
    aws(
        "ec2", "modify-vpc-endpoint-service-permissions", "--service-id", service["ServiceId"],
        "--add-allowed-principals", f"arn:aws:iam::{SECOND}:root",
    )
    consumer(sandbox, service)
    delete(sandbox, group, balancer, targets, service["ServiceId"])


def consumer(sandbox, service):
    aws = lambda *arguments: sandbox.cli(*arguments, account=SECOND)
    find = lambda: aws("ec2", "describe-vpc-endpoint-services")["ServiceDetails"]
    details = sandbox.until(lambda: [s for s in find() if s["ServiceId"] == service["ServiceId"]])[0]
    subnets = aws("ec2", "describe-subnets", "--filters", f"Name=availability-zone-id,Values={details['AvailabilityZoneIds'][0]}")
    subnet = subnets["Subnets"][0]
    endpoint = aws(
        "ec2", "create-vpc-endpoint", "--vpc-endpoint-type", "Interface", "--vpc-id", subnet["VpcId"],
        "--service-name", service["ServiceName"], "--subnet-ids", subnet["SubnetId"],
    )["VpcEndpoint"]["VpcEndpointId"]
    done = sandbox.cli(
        "ec2", "accept-vpc-endpoint-connections", "--service-id", service["ServiceId"], "--vpc-endpoint-ids", endpoint
    )
    assert not done["Unsuccessful"]
    state = lambda: aws("ec2", "describe-vpc-endpoints", "--vpc-endpoint-ids", endpoint)["VpcEndpoints"][0]["State"]
    sandbox.until(lambda: state() == "available")
    assert not aws("ec2", "delete-vpc-endpoints", "--vpc-endpoint-ids", endpoint)["Unsuccessful"]
    sandbox.until(lambda: state() == "deleted")


def delete(sandbox, group, balancer, targets, service):
    aws = sandbox.cli
    asking = aws(
        "ec2", "describe-vpc-endpoint-connections", "--filters", f"Name=service-id,Values={service}",
        "Name=vpc-endpoint-state,Values=pendingAcceptance",
    )["VpcEndpointConnections"]
    for connection in asking:
        aws(
            "ec2", "reject-vpc-endpoint-connections", "--service-id", service, "--vpc-endpoint-ids",
            connection["VpcEndpointId"],
        )
    gone = lambda: aws("ec2", "delete-vpc-endpoint-service-configurations", "--service-ids", service)["Unsuccessful"] == []
    sandbox.until(gone)
    aws("elbv2", "delete-load-balancer", "--load-balancer-arn", balancer)
    aws("elbv2", "delete-target-group", "--target-group-arn", targets)
    with pytest.raises(CliError, match="DependencyViolation"):
        aws("ec2", "delete-security-group", "--group-id", group)
    aws(
        "ec2", "revoke-security-group-ingress", "--group-id", DATABASE_GROUP, "--ip-permissions",
        f"IpProtocol=tcp,FromPort=5432,ToPort=5432,UserIdGroupPairs=[{{GroupId={group}}}]",
    )

    def delete_group():
        try:
            aws("ec2", "delete-security-group", "--group-id", group)
            return True
        except CliError as failure:
            assert "DependencyViolation" in str(failure)
            return False

    sandbox.until(delete_group)
