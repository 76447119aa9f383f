"""What somebody would write with boto3: one step after another, waiting with boto3's own waiters and with sleeps. Prints the seconds
that it took on the cloud at the URL of its first argument, whose time passes as fast as the second says; the third is how many
services are made, one after another.

The waiters' pauses are those of boto3 divided by the speed, so that both sides of a comparison live in the same time.
"""

import sys
import time

from census import Account

SUBNETS = ["subnet-0aaaaaaaaaaaaaaa1", "subnet-0bbbbbbbbbbbbbbb2"]
VPC = "vpc-0a1b2c3d4e5f60718"


def service(ec2, elb, speed, name):
    """One service, from nothing to whom it allows."""
    group = ec2.create_security_group(GroupName=name, Description=name, VpcId=VPC)["GroupId"]
    balancer = elb.create_load_balancer(
        Name=name, Type="network", Scheme="internal", Subnets=SUBNETS, SecurityGroups=[group]
    )["LoadBalancers"][0]["LoadBalancerArn"]
    wait(elb, speed, "load_balancer_available", LoadBalancerArns=[balancer])
    elb.set_security_groups(
        LoadBalancerArn=balancer,
        SecurityGroups=[group],
        EnforceSecurityGroupInboundRulesOnPrivateLinkTraffic="off",
    )
    elb.modify_load_balancer_attributes(
        LoadBalancerArn=balancer, Attributes=[{"Key": "load_balancing.cross_zone.enabled", "Value": "true"}]
    )
    targets = elb.create_target_group(
        Name=name, Protocol="TCP", Port=5432, VpcId=VPC, TargetType="ip"
    )["TargetGroups"][0]["TargetGroupArn"]
    elb.register_targets(TargetGroupArn=targets, Targets=[{"Id": "10.0.0.25"}])
    elb.create_listener(
        LoadBalancerArn=balancer,
        Protocol="TCP",
        Port=5432,
        DefaultActions=[{"Type": "forward", "TargetGroupArn": targets}],
    )
    wait(elb, speed, "target_in_service", TargetGroupArn=targets)
    made = ec2.create_vpc_endpoint_service_configuration(NetworkLoadBalancerArns=[balancer], AcceptanceRequired=True)
    made = made["ServiceConfiguration"]["ServiceId"]
    while True:
        described = ec2.describe_vpc_endpoint_service_configurations(ServiceIds=[made])
        if described["ServiceConfigurations"][0]["ServiceState"] == "Available":
            break
        time.sleep(15 / speed)
    ec2.modify_vpc_endpoint_service_permissions(
        ServiceId=made, AddAllowedPrincipals=["arn:aws:iam::834469178297:root"]
    )


def wait(client, speed, name, **arguments):
    waiter = client.get_waiter(name)
    waiter.config.delay /= speed
    waiter.wait(**arguments)


def main():
    account, speed, services = Account(sys.argv[1]), float(sys.argv[2]), int(sys.argv[3])
    started = time.monotonic()
    for number in range(services):
        service(account.ec2, account.elb, speed, f"script-{number}")
    print(time.monotonic() - started)


if __name__ == "__main__":
    main()
