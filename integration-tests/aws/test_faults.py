"""Faults on demand, as a client sees them."""

import pytest
from botocore.exceptions import ClientError, ConnectionClosedError

from aws_sandbox import VPC, Sandbox


@pytest.fixture
def faulty():
    """Makes sandboxes with faults."""
    running = []

    def start(*faults):
        running.append(Sandbox(faults=faults))
        return running[-1]

    yield start
    for sandbox in running:
        sandbox.close()


def names(ec2):
    return [group["GroupName"] for group in ec2.describe_security_groups()["SecurityGroups"]]


def create(ec2):
    return ec2.create_security_group(GroupName="once", Description="o", VpcId=VPC)


def test_a_lost_answer_has_its_effect(faulty):
    sandbox = faulty("aws:CreateSecurityGroup:1:lost")
    ec2 = sandbox.client("ec2", retries=1)
    with pytest.raises(ConnectionClosedError):
        create(ec2)
    sandbox.pass_time(2)
    assert "once" in names(ec2)
    with pytest.raises(ClientError) as failure:
        create(ec2)
    assert failure.value.response["Error"]["Code"] == "InvalidGroup.Duplicate"


@pytest.mark.parametrize(
    "mode, error, code",
    [
        ("fail", ClientError, "InternalError"),
        ("throttle", ClientError, "RequestLimitExceeded"),
        ("code=UnauthorizedOperation", ClientError, "UnauthorizedOperation"),
        ("reset", ConnectionClosedError, None),
    ],
)
def test_a_failed_call_has_none(faulty, mode, error, code):
    sandbox = faulty(f"aws:CreateSecurityGroup:1:{mode}")
    ec2 = sandbox.client("ec2", retries=1)
    with pytest.raises(error) as failure:
        create(ec2)
    if code:
        assert failure.value.response["Error"]["Code"] == code
    sandbox.pass_time(2)
    assert "once" not in names(ec2)
    assert create(ec2)["GroupId"]


def test_a_stale_read_is_one_write_behind(faulty):
    sandbox = faulty("aws:DescribeSecurityGroups:1:stale")
    ec2 = sandbox.client("ec2", retries=1)
    group = create(ec2)["GroupId"]
    with pytest.raises(ClientError) as failure:
        ec2.describe_security_groups(GroupIds=[group])
    assert failure.value.response["Error"]["Code"] == "InvalidGroup.NotFound"
    assert ec2.describe_security_groups(GroupIds=[group])["SecurityGroups"]


def test_clients_retry_what_is_throttled(faulty):
    sandbox = faulty("aws:DescribeVpcs:1-2:throttle", "aws:DescribeLoadBalancers:1:throttle")
    assert sandbox.client("ec2").describe_vpcs()["Vpcs"]
    assert sandbox.client("elbv2").describe_load_balancers()["LoadBalancers"]
