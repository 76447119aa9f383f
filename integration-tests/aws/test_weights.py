"""boto3 lets a listener forward to two target groups by weight, and looks at what the load balancer checks."""

import pytest
from botocore.exceptions import ClientError

from aws_sandbox import SUBNETS, VPC


def code(failure):
    return failure.value.response["Error"]["Code"]


def group(elb, name, address):
    made = elb.create_target_group(
        Name=name, Protocol="TCP", Port=5432, VpcId=VPC, TargetType="ip", HealthCheckIntervalSeconds=10, HealthyThresholdCount=2
    )
    arn = made["TargetGroups"][0]["TargetGroupArn"]
    elb.register_targets(TargetGroupArn=arn, Targets=[{"Id": address}])
    return arn


def weighed(*groups):
    return [{"Type": "forward", "ForwardConfig": {"TargetGroups": [
        {"TargetGroupArn": arn, "Weight": weight} for arn, weight in groups
    ]}}]


def test_a_group_of_no_weight_is_checked(sandbox):
    elb = sandbox.client("elbv2")
    balancer = elb.create_load_balancer(Name="weighed", Type="network", Scheme="internal", Subnets=SUBNETS[:2])
    balancer = balancer["LoadBalancers"][0]["LoadBalancerArn"]
    old, new = group(elb, "old", "10.0.0.25"), group(elb, "new", "10.0.0.26")
    state = lambda arn: elb.describe_target_health(TargetGroupArn=arn)["TargetHealthDescriptions"][0]["TargetHealth"]
    listener = elb.create_listener(
        LoadBalancerArn=balancer, Protocol="TCP", Port=5432, DefaultActions=[{"Type": "forward", "TargetGroupArn": old}]
    )["Listeners"][0]["ListenerArn"]
    sandbox.until(lambda: state(old)["State"] == "healthy", 600)
    # Nobody checks a group that no listener names.
    assert state(new)["Reason"] == "Target.NotInUse"

    elb.modify_listener(ListenerArn=listener, DefaultActions=weighed((old, 1), (new, 0)))
    assert state(old)["State"] == "healthy", "what serves is checked on as before"
    sandbox.until(lambda: state(new)["State"] == "healthy", 600)
    action = elb.describe_listeners(ListenerArns=[listener])["Listeners"][0]["DefaultActions"][0]
    assert "TargetGroupArn" not in action
    assert [(one["TargetGroupArn"], one["Weight"]) for one in action["ForwardConfig"]["TargetGroups"]] == [(old, 1), (new, 0)]
    assert elb.describe_target_groups(TargetGroupArns=[new])["TargetGroups"][0]["LoadBalancerArns"] == [balancer]
    with pytest.raises(ClientError) as failure:
        elb.delete_target_group(TargetGroupArn=new)
    assert code(failure) == "ResourceInUse"

    elb.modify_listener(ListenerArn=listener, DefaultActions=[{"Type": "forward", "TargetGroupArn": new}])
    assert (state(new)["State"], state(old)["Reason"]) == ("healthy", "Target.NotInUse")
    elb.delete_target_group(TargetGroupArn=old)


@pytest.mark.parametrize("actions", [
    lambda one: weighed((one, 1000)),
    lambda one: weighed((one, 1), (one, 0)),
    lambda one: [{"Type": "forward", "TargetGroupArn": one, **weighed((one, 1), ("arn:other", 0))[0]}],
])
def test_what_a_listener_cannot_forward_to(sandbox, actions):
    elb = sandbox.client("elbv2")
    balancer = elb.create_load_balancer(Name="weighed", Type="network", Scheme="internal", Subnets=SUBNETS[:2])
    with pytest.raises(ClientError) as failure:
        elb.create_listener(
            LoadBalancerArn=balancer["LoadBalancers"][0]["LoadBalancerArn"], Protocol="TCP", Port=5432,
            DefaultActions=actions(group(elb, "one", "10.0.0.25")),
        )
    assert code(failure) == "ValidationError"
