"""What somebody would write with boto3: one step after another, waiting with boto3's own waiters and with sleeps. Prints the seconds
that it took on the cloud at the URL of its first argument, whose time passes as fast as the second says.

The waiters' pauses are those of boto3 divided by the speed, so that both sides of a comparison live in the same time.
"""

import sys
import time

from census import Account

DATABASE_GROUP = "sg-0ddddddddddddddd4"
SUBNETS = ["subnet-0aaaaaaaaaaaaaaa1", "subnet-0bbbbbbbbbbbbbbb2"]
VPC = "vpc-0a1b2c3d4e5f60718"


def main():
    account, speed = Account(sys.argv[1]), float(sys.argv[2])
    ec2, elb = account.ec2, account.elb
    started = time.monotonic()
    group = ec2.create_security_group(GroupName="script", Description="script", VpcId=VPC)["GroupId"]
    balancer = elb.create_load_balancer(
        Name="script", Type="network", Scheme="internal", Subnets=SUBNETS, SecurityGroups=[group]
    )["LoadBalancers"][0]["LoadBalancerArn"]
    waiter = elb.get_waiter("load_balancer_available")
    waiter.config.delay /= speed
    waiter.wait(LoadBalancerArns=[balancer])
    elb.set_security_groups(
        LoadBalancerArn=balancer,
        SecurityGroups=[group],
        EnforceSecurityGroupInboundRulesOnPrivateLinkTraffic="off",
    )
    elb.modify_load_balancer_attributes(
        LoadBalancerArn=balancer, Attributes=[{"Key": "load_balancing.cross_zone.enabled", "Value": "true"}]
    )
    targets = elb.create_target_group(
        Name="script", Protocol="TCP", Port=5432, VpcId=VPC, TargetType="ip"
    )["TargetGroups"][0]["TargetGroupArn"]
    elb.register_targets(TargetGroupArn=targets, Targets=[{"Id": "10.0.0.25"}])
    elb.create_listener(
        LoadBalancerArn=balancer,
        Protocol="TCP",
        Port=5432,
        DefaultActions=[{"Type": "forward", "TargetGroupArn": targets}],
    )
    permission = {"IpProtocol": "tcp", "FromPort": 5432, "ToPort": 5432, "UserIdGroupPairs": [{"GroupId": group}]}
    ec2.authorize_security_group_ingress(GroupId=DATABASE_GROUP, IpPermissions=[permission])
    waiter = elb.get_waiter("target_in_service")
    waiter.config.delay /= speed
    waiter.wait(TargetGroupArn=targets)
    service = ec2.create_vpc_endpoint_service_configuration(
        NetworkLoadBalancerArns=[balancer], AcceptanceRequired=True
    )["ServiceConfiguration"]["ServiceId"]
    while True:
        described = ec2.describe_vpc_endpoint_service_configurations(ServiceIds=[service])
        if described["ServiceConfigurations"][0]["ServiceState"] == "Available":
            break
        time.sleep(15 / speed)
    ec2.modify_vpc_endpoint_service_permissions(
        ServiceId=service, AddAllowedPrincipals=["arn:aws:iam::834469178297:root"]
    )
    print(time.monotonic() - started)


if __name__ == "__main__":
    main()
