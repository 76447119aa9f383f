"""Makes things in the local cloud that look like somebody's: `look_alikes.py URL '[{"kind", "name", "tags": [[key, value]]}]'`.

It knows nothing of privnet: names and tags are given. Of load balancers it prints the ARNs, of security groups the ids.
"""

import json
import sys

import boto3

VPC = "vpc-0a1b2c3d4e5f60718"
SUBNETS = ["subnet-0aaaaaaaaaaaaaaa1", "subnet-0bbbbbbbbbbbbbbb2"]


def machine(ec2):
    intel = ec2.describe_images(Filters=[{"Name": "architecture", "Values": ["x86_64"]}])["Images"]
    return {"ImageId": intel[0]["ImageId"], "InstanceType": "t3.micro"}


def main(url, things):
    settings = dict(
        endpoint_url=url,
        region_name="us-east-1",
        aws_access_key_id="AKIASANDBOX123456789",
        aws_secret_access_key="sandbox",
    )
    ec2 = boto3.client("ec2", **settings)
    elb = boto3.client("elbv2", **settings)
    auto_scaling = boto3.client("autoscaling", **settings)
    for thing in things:
        name, tags = thing["name"], [{"Key": k, "Value": v} for k, v in thing["tags"]]
        tagged = {"Tags": tags} if tags else {}
        if thing["kind"] == "security-group":
            made = ec2.create_security_group(GroupName=name, Description="a colleague", VpcId=VPC)
            if tags:
                ec2.create_tags(Resources=[made["GroupId"]], Tags=tags)
            print(made["GroupId"])
        elif thing["kind"] == "load-balancer":
            made = elb.create_load_balancer(Name=name, Type="network", Scheme="internal", Subnets=SUBNETS, **tagged)
            print(made["LoadBalancers"][0]["LoadBalancerArn"])
        elif thing["kind"] == "target-group":
            elb.create_target_group(
                Name=name, Protocol="TCP", Port=9999, VpcId=VPC, TargetType="ip", **tagged
            )
        elif thing["kind"] == "launch-template":
            specified = {"TagSpecifications": [{"ResourceType": "launch-template", "Tags": tags}]} if tags else {}
            ec2.create_launch_template(LaunchTemplateName=name, LaunchTemplateData=machine(ec2), **specified)
        elif thing["kind"] == "rule":
            port = {"IpProtocol": "tcp", "FromPort": thing["port"], "ToPort": thing["port"]}
            source = {"CidrIp": thing["source"], "Description": name}
            specified = {"TagSpecifications": [{"ResourceType": "security-group-rule", "Tags": tags}]} if tags else {}
            ec2.authorize_security_group_ingress(
                GroupId=thing["group"], IpPermissions=[{**port, "IpRanges": [source]}], **specified
            )
        elif thing["kind"] == "listener":
            group = elb.create_target_group(
                Name=f"of-{thing['port']}", Protocol="TCP", Port=1, VpcId=VPC, TargetType="ip"
            )["TargetGroups"][0]["TargetGroupArn"]
            forward = [{"Type": "forward", "TargetGroupArn": group}]
            elb.create_listener(
                LoadBalancerArn=thing["balancer"], Protocol="TCP", Port=thing["port"], DefaultActions=forward, **tagged
            )
        elif thing["kind"] == "allowed-principal":
            added = ec2.modify_vpc_endpoint_service_permissions(
                ServiceId=thing["service"], AddAllowedPrincipals=[name]
            )["AddedPrincipals"]
            if tags:
                ec2.create_tags(Resources=[added[0]["ServicePermissionId"]], Tags=tags)
        elif thing["kind"] == "notification":
            # It has no tags.
            ec2.create_vpc_endpoint_connection_notification(
                ServiceId=thing["service"], ConnectionNotificationArn=name, ConnectionEvents=thing["events"]
            )
        elif thing["kind"] == "forwarder-group":
            template = ec2.create_launch_template(LaunchTemplateName=f"of-{name}", LaunchTemplateData=machine(ec2))
            auto_scaling.create_auto_scaling_group(
                AutoScalingGroupName=name,
                LaunchTemplate={"LaunchTemplateId": template["LaunchTemplate"]["LaunchTemplateId"], "Version": "1"},
                MinSize=0,
                MaxSize=0,
                VPCZoneIdentifier=",".join(SUBNETS),
                Tags=[{**tag, "PropagateAtLaunch": False} for tag in tags],
            )
        else:
            raise SystemExit(f"cannot make a {thing['kind']}")


if __name__ == "__main__":
    main(sys.argv[1], json.loads(sys.argv[2]))
