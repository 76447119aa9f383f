"""Takes a census of what is in an AWS account: for each URL read from standard input, one line of JSON with everything that
boto3 lists there, a text for each thing, generated ids replaced by names so that two runs can be compared.

It knows nothing of privnet: what it reports is what a stranger's client sees. Its arguments name what is left out: an emulator may
have no call for it.
"""

import gc
import json
import sys
from urllib.parse import urlsplit

import boto3
from botocore.config import Config


def tags(thing):
    return sorted((t["Key"], t["Value"]) for t in thing.get("Tags", []) if not t["Key"].startswith("aws:"))


def pages(client, operation, key, **arguments):
    found = []
    for page in client.get_paginator(operation).paginate(**arguments):
        found.extend(page[key])
    return found


class Account:
    def __init__(self, url, region="us-east-1", without=()):
        self.without = without
        settings = dict(
            endpoint_url=url,
            region_name=region,
            aws_access_key_id="AKIAIOSFODNN7EXAMPLE",
            aws_secret_access_key="wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY",
            config=Config(retries={"max_attempts": 8, "mode": "standard"}),
        )
        self.ec2 = boto3.client("ec2", **settings)
        self.elb = boto3.client("elbv2", **settings)
        self.auto_scaling = boto3.client("autoscaling", **settings)
        self.names = {}

    def turn_to(self, url):
        """Lists what is at another URL from now on: to make clients takes as long as to list what a small account holds."""
        self.names = {}
        self.host = urlsplit(url).netloc
        for client in (self.ec2, self.elb, self.auto_scaling):
            client.meta.events.register("before-send", self.redirect, unique_id="redirect")

    def redirect(self, request, **_):
        request.url = urlsplit(request.url)._replace(netloc=self.host).geturl()

    def name(self, identifier):
        return self.names.get(identifier, identifier)

    def elb_tags(self, arns):
        found = {}
        for start in range(0, len(arns), 20):
            for described in self.elb.describe_tags(ResourceArns=arns[start : start + 20])["TagDescriptions"]:
                found[described["ResourceArn"]] = described["Tags"]
        return found

    def things(self):
        groups = pages(self.ec2, "describe_security_groups", "SecurityGroups")
        balancers = pages(self.elb, "describe_load_balancers", "LoadBalancers")
        target_groups = pages(self.elb, "describe_target_groups", "TargetGroups")
        services = pages(self.ec2, "describe_vpc_endpoint_service_configurations", "ServiceConfigurations")
        for group in groups:
            # Each VPC has a group of this name.
            default = group["GroupName"] == "default"
            self.names[group["GroupId"]] = f"default of {group['VpcId']}" if default else group["GroupName"]
        for balancer in balancers:
            self.names[balancer["LoadBalancerArn"]] = balancer["LoadBalancerName"]
        for target_group in target_groups:
            self.names[target_group["TargetGroupArn"]] = target_group["TargetGroupName"]
        for service in services:
            label = dict(tags(service)).get("Name", "unnamed")
            self.names[service["ServiceId"]] = label
        yield from self.security(groups)
        yield from self.balancing(balancers, target_groups)
        yield from self.exposing(services)
        yield from self.machines()
        if "notifications" not in self.without:
            yield from self.notifications()

    def machines(self):
        for template in pages(self.ec2, "describe_launch_templates", "LaunchTemplates"):
            identifier = template["LaunchTemplateId"]
            self.names[identifier] = template["LaunchTemplateName"]
            versions = pages(
                self.ec2, "describe_launch_template_versions", "LaunchTemplateVersions", LaunchTemplateId=identifier
            )
            held = [(v["VersionNumber"], v.get("VersionDescription")) for v in versions]
            yield ["launch-template", template["LaunchTemplateName"], sorted(held), tags(template)]
        for group in pages(self.auto_scaling, "describe_auto_scaling_groups", "AutoScalingGroups"):
            template = group.get("LaunchTemplate", {})
            yield [
                "forwarder-group",
                group["AutoScalingGroupName"],
                group.get("Status"),
                [group["MinSize"], group["DesiredCapacity"], group["MaxSize"], len(group["Instances"])],
                sorted(group["VPCZoneIdentifier"].split(",")),
                [self.name(template.get("LaunchTemplateId")), template.get("Version")],
                sorted(map(self.name, group["TargetGroupARNs"])),
                tags(group),
            ]

    def security(self, groups):
        for group in groups:
            yield ["security-group", group["GroupName"], group["VpcId"], tags(group)]
        for rule in pages(self.ec2, "describe_security_group_rules", "SecurityGroupRules"):
            group = rule.get("ReferencedGroupInfo", {}).get("GroupId")
            source = rule.get("CidrIpv4") or rule.get("CidrIpv6") or group
            way = "out" if rule["IsEgress"] else "in"
            ports = f"{rule.get('FromPort')}-{rule.get('ToPort')}/{rule['IpProtocol']}"
            yield ["rule", self.name(rule["GroupId"]), way, ports, self.name(source), rule.get("Description"), tags(rule)]

    def balancing(self, balancers, target_groups):
        listeners = {
            b["LoadBalancerArn"]: pages(self.elb, "describe_listeners", "Listeners", LoadBalancerArn=b["LoadBalancerArn"])
            for b in balancers
        }
        arns = [*listeners, *(t["TargetGroupArn"] for t in target_groups)]
        tagged = self.elb_tags(arns + [one["ListenerArn"] for all in listeners.values() for one in all])
        for balancer in balancers:
            arn = balancer["LoadBalancerArn"]
            attributes = self.elb.describe_load_balancer_attributes(LoadBalancerArn=arn)["Attributes"]
            yield [
                "load-balancer",
                balancer["LoadBalancerName"],
                sorted(z["SubnetId"] for z in balancer["AvailabilityZones"]),
                sorted(map(self.name, balancer.get("SecurityGroups", []))),
                sorted((a["Key"], a["Value"]) for a in attributes),
                balancer.get("EnforceSecurityGroupInboundRulesOnPrivateLinkTraffic"),
                balancer.get("IpAddressType"),
                sorted((t["Key"], t["Value"]) for t in tagged.get(arn, [])),
            ]
            for listener in listeners[arn]:
                forwards = sorted(self.name(a.get("TargetGroupArn")) for a in listener["DefaultActions"])
                bears = sorted((t["Key"], t["Value"]) for t in tagged.get(listener["ListenerArn"], []))
                name = balancer["LoadBalancerName"]
                speaks = [sorted(c["CertificateArn"] for c in listener.get("Certificates", [])), listener.get("SslPolicy")]
                yield ["listener", name, listener["Port"], listener["Protocol"], forwards, speaks, self.settings(listener), bears]
        for group in target_groups:
            arn = group["TargetGroupArn"]
            attributes = self.elb.describe_target_group_attributes(TargetGroupArn=arn)["Attributes"]
            health = self.elb.describe_target_health(TargetGroupArn=arn)["TargetHealthDescriptions"]
            staying = [h["Target"] for h in health if h["TargetHealth"]["State"] != "draining"]
            yield [
                "target-group",
                group["TargetGroupName"],
                group["Port"],
                group["TargetType"],
                group.get("IpAddressType"),
                sorted((key, value) for key, value in group.items() if key.startswith("Health") or key == "UnhealthyThresholdCount"),
                sorted(f"{t['Id']}:{t['Port']}@{t.get('AvailabilityZone')}" for t in staying),
                sorted((a["Key"], a["Value"]) for a in attributes),
                sorted((t["Key"], t["Value"]) for t in tagged.get(arn, [])),
            ]

    def settings(self, listener):
        attributes = self.elb.describe_listener_attributes(ListenerArn=listener["ListenerArn"])["Attributes"]
        return sorted((a["Key"], a["Value"]) for a in attributes)

    def exposing(self, services):
        for service in services:
            identifier = service["ServiceId"]
            yield [
                "endpoint-service",
                self.name(identifier),
                service["AcceptanceRequired"],
                sorted(map(self.name, service.get("NetworkLoadBalancerArns", []))),
                service.get("PrivateDnsName"),
                sorted(region["Region"] for region in service.get("SupportedRegions", [])),
                sorted(service.get("SupportedIpAddressTypes", [])),
                tags(service),
            ]
            allowed = pages(
                self.ec2, "describe_vpc_endpoint_service_permissions", "AllowedPrincipals", ServiceId=identifier
            )
            for principal in allowed:
                yield ["allowed-principal", self.name(identifier), principal["Principal"], tags(principal)]

    def notifications(self):
        notifications = pages(
            self.ec2, "describe_vpc_endpoint_connection_notifications", "ConnectionNotificationSet"
        )
        for one in notifications:
            topic = one["ConnectionNotificationArn"]
            yield ["notification", self.name(one.get("ServiceId")), topic, sorted(one["ConnectionEvents"])]


def main():
    account = None
    for line in sys.stdin:
        if account is None:
            account = Account(line.strip(), without=sys.argv[1:])
        else:
            account.turn_to(line.strip())
        things = [json.dumps(thing) for thing in account.things()]
        print(json.dumps(things), flush=True)
        # What the clients are made of stays: it is not looked through again each time.
        gc.collect()
        gc.freeze()


if __name__ == "__main__":
    main()
