"""Makes things in the local cloud that look like somebody's: `look_alikes.py URL '[{"kind", "name", "tags": [[key, value]]}]'`.

It knows nothing of privnet: names and tags are given.
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
        elif thing["kind"] == "load-balancer":
            elb.create_load_balancer(Name=name, Type="network", Scheme="internal", Subnets=SUBNETS, **tagged)
        elif thing["kind"] == "target-group":
            elb.create_target_group(
                Name=name, Protocol="TCP", Port=9999, VpcId=VPC, TargetType="ip", **tagged
            )
        elif thing["kind"] == "launch-template":
            specified = {"TagSpecifications": [{"ResourceType": "launch-template", "Tags": tags}]} if tags else {}
            ec2.create_launch_template(LaunchTemplateName=name, LaunchTemplateData=machine(ec2), **specified)
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
