"""Changes one field of one thing in an AWS account with boto3, as a colleague in the console would.

For each line of JSON on standard input (`{"url", "kind", "field"}`) one line on standard output: `{"changed": true}`, or
`{"immutable": "why"}` where the API itself has no way to change that field of something that exists. A field that is not in
the table is an error: whoever adds one to privnet adds its row here. For the kind `rows` it lists the rows.
"""

import json
import sys

from census import Account, pages

SERVICE = "orders"
DATABASE = "sg-0ddddddddddddddd4"
SPARE_SUBNET = "subnet-0ccccccccccccccc3"
VPC = "vpc-0a1b2c3d4e5f60718"
CERTIFICATE = "arn:aws:acm:us-east-1:123456789012:certificate/12345678-1234-1234-1234-123456789012"
SPARE_CERTIFICATE = "arn:aws:acm:us-east-1:123456789012:certificate/87654321-4321-4321-4321-210987654321"


class Drift(Account):
    """Finds privnet's things by their tags, and changes them."""

    def tagged(self, kind, name=None):
        wanted = {"privnet:service": SERVICE, "privnet:kind": kind}
        if name:
            wanted["privnet:name"] = name
        return lambda thing: wanted.items() <= {t["Key"]: t["Value"] for t in thing.get("Tags", [])}.items()

    def group(self):
        return next(filter(self.tagged("security-group", "main"), pages(self.ec2, "describe_security_groups", "SecurityGroups")))

    def rule(self):
        rules = pages(self.ec2, "describe_security_group_rules", "SecurityGroupRules")
        return next(filter(self.tagged("security-group-rule", f"database/{DATABASE}/5432"), rules))

    def template(self):
        return next(filter(self.tagged("launch-template"), pages(self.ec2, "describe_launch_templates", "LaunchTemplates")))

    def forwarders(self):
        groups = pages(self.auto_scaling, "describe_auto_scaling_groups", "AutoScalingGroups")
        return next(filter(self.tagged("forwarder-group"), groups))

    def update_forwarders(self, **changes):
        name = self.forwarders()["AutoScalingGroupName"]
        self.auto_scaling.update_auto_scaling_group(AutoScalingGroupName=name, **changes)

    def forwarders_tag(self, key, value):
        tag = {"ResourceId": self.forwarders()["AutoScalingGroupName"], "ResourceType": "auto-scaling-group"}
        self.auto_scaling.create_or_update_tags(Tags=[{**tag, "Key": key, "Value": value, "PropagateAtLaunch": False}])

    def spare_template(self):
        intel = self.ec2.describe_images(Filters=[{"Name": "architecture", "Values": ["x86_64"]}])["Images"]
        data = {"ImageId": intel[0]["ImageId"], "InstanceType": "t3.micro"}
        made = self.ec2.create_launch_template(LaunchTemplateName="somebody-elses", LaunchTemplateData=data)
        identifier = made["LaunchTemplate"]["LaunchTemplateId"]
        self.ec2.create_launch_template_version(LaunchTemplateId=identifier, LaunchTemplateData=data)
        return identifier

    def another_version(self):
        template = self.template()["LaunchTemplateId"]
        made = self.ec2.create_launch_template_version(
            LaunchTemplateId=template, SourceVersion="1", LaunchTemplateData={"InstanceType": "t3.large"}
        )
        number = made["LaunchTemplateVersion"]["VersionNumber"]
        self.update_forwarders(LaunchTemplate={"LaunchTemplateId": template, "Version": str(number)})

    def elb_thing(self, arns, kind, name=None):
        found = self.elb_tags(arns)
        return next(arn for arn in arns if self.tagged(kind, name)({"Tags": found.get(arn, [])}))

    def balancer(self):
        arns = [b["LoadBalancerArn"] for b in pages(self.elb, "describe_load_balancers", "LoadBalancers")]
        return self.elb_thing(arns, "load-balancer")

    def target_group(self, port="5432"):
        arns = [t["TargetGroupArn"] for t in pages(self.elb, "describe_target_groups", "TargetGroups")]
        return self.elb_thing(arns, "target-group", port)

    def listener(self, port="5432"):
        listeners = pages(self.elb, "describe_listeners", "Listeners", LoadBalancerArn=self.balancer())
        return next(one for one in listeners if one["Port"] == int(port))

    def idle_timeout(self, seconds):
        attributes = [{"Key": "tcp.idle_timeout.seconds", "Value": seconds}]
        self.elb.modify_listener_attributes(ListenerArn=self.listener()["ListenerArn"], Attributes=attributes)

    def service(self):
        services = pages(self.ec2, "describe_vpc_endpoint_service_configurations", "ServiceConfigurations")
        return next(filter(self.tagged("endpoint-service"), services))

    def modify_service(self, **changes):
        self.ec2.modify_vpc_endpoint_service_configuration(ServiceId=self.service()["ServiceId"], **changes)

    def ec2_tag(self, identifier):
        self.ec2.create_tags(Resources=[identifier], Tags=[{"Key": "cost-center", "Value": "drifted"}])

    def elb_tag(self, arn):
        self.elb.add_tags(ResourceArns=[arn], Tags=[{"Key": "cost-center", "Value": "drifted"}])

    def balancer_attribute(self, key, value):
        attributes = [{"Key": key, "Value": value}]
        self.elb.modify_load_balancer_attributes(LoadBalancerArn=self.balancer(), Attributes=attributes)

    def target_attribute(self, key, value):
        attributes = [{"Key": key, "Value": value}]
        self.elb.modify_target_group_attributes(TargetGroupArn=self.target_group(), Attributes=attributes)

    def spare_balancer(self):
        made = self.elb.create_load_balancer(Name="somebody-elses", Subnets=[SPARE_SUBNET], Scheme="internal", Type="network")
        arn = made["LoadBalancers"][0]["LoadBalancerArn"]
        self.elb.get_waiter("load_balancer_available").config.delay = 1
        self.elb.get_waiter("load_balancer_available").wait(LoadBalancerArns=[arn])
        return arn

    def spare_target_group(self):
        made = self.elb.create_target_group(Name="somebody-elses", Protocol="TCP", Port=1, VpcId=VPC, TargetType="ip")
        return made["TargetGroups"][0]["TargetGroupArn"]

    def spare_group(self):
        return self.ec2.create_security_group(GroupName="somebody-elses", Description="x", VpcId=VPC)["GroupId"]

    def modify_rule(self, **changes):
        rule = self.rule()
        described = {"IpProtocol": rule["IpProtocol"], "FromPort": rule["FromPort"], "ToPort": rule["ToPort"]}
        if "Description" in rule:
            described["Description"] = rule["Description"]
        if "ReferencedGroupInfo" in rule:
            described["ReferencedGroupId"] = rule["ReferencedGroupInfo"]["GroupId"]
        described.update(changes)
        self.ec2.modify_security_group_rules(
            GroupId=rule["GroupId"],
            SecurityGroupRules=[{"SecurityGroupRuleId": rule["SecurityGroupRuleId"], "SecurityGroupRule": described}],
        )

    def open_outbound(self):
        group = self.group()
        everything = [{"IpProtocol": "-1", "IpRanges": [{"CidrIp": "0.0.0.0/0"}]}]
        if group["IpPermissionsEgress"]:
            self.ec2.revoke_security_group_egress(GroupId=group["GroupId"], IpPermissions=group["IpPermissionsEgress"])
        else:
            self.ec2.authorize_security_group_egress(GroupId=group["GroupId"], IpPermissions=everything)

    def notification(self):
        found = pages(self.ec2, "describe_vpc_endpoint_connection_notifications", "ConnectionNotificationSet")
        return next(one for one in found if one["ServiceId"] == self.service()["ServiceId"])

    def modify_notification(self, **changes):
        identifier = self.notification()["ConnectionNotificationId"]
        self.ec2.modify_vpc_endpoint_connection_notification(ConnectionNotificationId=identifier, **changes)

    def permission_tag(self):
        identifier = self.service()["ServiceId"]
        allowed = pages(self.ec2, "describe_vpc_endpoint_service_permissions", "AllowedPrincipals", ServiceId=identifier)
        self.ec2_tag(allowed[0]["ServicePermissionId"])


FIXED = "the API has no call that changes it"
GIVEN = "AWS gives it once, when the service is made"
VERSIONED = "a version of a template never changes, and the group names its version, which has a row"
ROWS = {
    "security-group": {
        "vpc": FIXED,
        "open_outbound": Drift.open_outbound,
        "tags": lambda d: d.ec2_tag(d.group()["GroupId"]),
    },
    "security-group-rule": {
        "group": FIXED,
        "source": lambda d: d.modify_rule(ReferencedGroupId=d.spare_group()),
        "port": lambda d: d.modify_rule(FromPort=9, ToPort=9),
        "tags": lambda d: d.ec2_tag(d.rule()["SecurityGroupRuleId"]),
    },
    "load-balancer": {
        "vpc": FIXED,
        "subnets": lambda d: d.elb.set_subnets(
            LoadBalancerArn=d.balancer(),
            Subnets=["subnet-0aaaaaaaaaaaaaaa1", "subnet-0bbbbbbbbbbbbbbb2", SPARE_SUBNET],
        ),
        "security_groups": lambda d: d.elb.set_security_groups(
            LoadBalancerArn=d.balancer(), SecurityGroups=[d.spare_group()]
        ),
        "ip_address_type": lambda d: d.elb.set_ip_address_type(LoadBalancerArn=d.balancer(), IpAddressType="dualstack"),
        "cross_zone": lambda d: d.balancer_attribute("load_balancing.cross_zone.enabled", "false"),
        "deletion_protection": lambda d: d.balancer_attribute("deletion_protection.enabled", "true"),
        "enforce_inbound": lambda d: d.elb.set_security_groups(
            LoadBalancerArn=d.balancer(),
            SecurityGroups=[d.group()["GroupId"]],
            EnforceSecurityGroupInboundRulesOnPrivateLinkTraffic="on",
        ),
        "tags": lambda d: d.elb_tag(d.balancer()),
    },
    "target-group": {
        "protocol": FIXED,
        "port": FIXED,
        "vpc": FIXED,
        "target_type": FIXED,
        "ip_address_type": FIXED,
        "health_check": lambda d: d.elb.modify_target_group(
            TargetGroupArn=d.target_group(), HealthCheckPort="8008"
        ),
        "health_check_timing": lambda d: d.elb.modify_target_group(
            TargetGroupArn=d.target_group(), HealthCheckIntervalSeconds=30
        ),
        "preserve_client_ip": lambda d: d.target_attribute("preserve_client_ip.enabled", "true"),
        "proxy_protocol": lambda d: d.target_attribute("proxy_protocol_v2.enabled", "true"),
        "drain": lambda d: d.target_attribute("deregistration_delay.timeout_seconds", "7"),
        "terminate_after_drain": lambda d: d.target_attribute(
            "deregistration_delay.connection_termination.enabled", "false"
        ),
        "load_balancer": "it follows the listener that forwards to it, whose `target_group` has a row",
        "targets": lambda d: d.elb.register_targets(
            TargetGroupArn=d.target_group(), Targets=[{"Id": "10.0.0.77", "Port": 5432}]
        ),
        "tags": lambda d: d.elb_tag(d.target_group()),
    },
    "launch-template": {
        "image": VERSIONED,
        "size": VERSIONED,
        "security_groups": VERSIONED,
        "forwarder": VERSIONED,
        "hardened": VERSIONED,
        "user_data": VERSIONED,
        "tags": lambda d: d.ec2_tag(d.template()["LaunchTemplateId"]),
    },
    "forwarder-group": {
        "launch_template": lambda d: d.update_forwarders(
            LaunchTemplate={"LaunchTemplateId": d.spare_template(), "Version": "2"}
        ),
        "template_version": Drift.another_version,
        "subnets": lambda d: d.update_forwarders(VPCZoneIdentifier=f"subnet-0aaaaaaaaaaaaaaa1,{SPARE_SUBNET}"),
        "count": lambda d: d.update_forwarders(MinSize=1, MaxSize=4),
        "health_check": lambda d: d.update_forwarders(HealthCheckType="ELB"),
        "target_groups": lambda d: d.auto_scaling.detach_load_balancer_target_groups(
            AutoScalingGroupName=d.forwarders()["AutoScalingGroupName"], TargetGroupARNs=[d.target_group("5434")]
        ),
        "suspended": lambda d: d.auto_scaling.suspend_processes(
            AutoScalingGroupName=d.forwarders()["AutoScalingGroupName"], ScalingProcesses=["ReplaceUnhealthy"]
        ),
        "unregistered": lambda d: d.elb.deregister_targets(
            TargetGroupArn=d.target_group("5434"),
            Targets=[{"Id": d.forwarders()["Instances"][0]["InstanceId"]}],
        ),
        "drain": lambda d: d.forwarders_tag("privnet:drain", "7"),
        "load_balancers": "they follow the target groups, which have a row",
        "serves": "it follows the target groups, which have a row, and how the machines in them are",
        "since": "a group is made once",
        "tags": lambda d: d.forwarders_tag("cost-center", "drifted"),
    },
    "listener": {
        "load_balancer": FIXED,
        "port": "its address says it: on another port it is another listener, and its own is missing (`listener_moves`)",
        "protocol": lambda d: d.elb.modify_listener(
            ListenerArn=d.listener()["ListenerArn"], Protocol="TLS", Certificates=[{"CertificateArn": CERTIFICATE}]
        ),
        "certificate": lambda d: d.elb.modify_listener(
            ListenerArn=d.listener("5433")["ListenerArn"], Certificates=[{"CertificateArn": SPARE_CERTIFICATE}]
        ),
        "ssl_policy": lambda d: d.elb.modify_listener(
            ListenerArn=d.listener("5433")["ListenerArn"], SslPolicy="ELBSecurityPolicy-2016-08"
        ),
        "target_group": lambda d: d.elb.modify_listener(
            ListenerArn=d.listener()["ListenerArn"],
            DefaultActions=[{"Type": "forward", "TargetGroupArn": d.spare_target_group()}],
        ),
        "also_forwards_to": lambda d: d.elb.modify_listener(
            ListenerArn=d.listener()["ListenerArn"],
            DefaultActions=[{"Type": "forward", "ForwardConfig": {"TargetGroups": [
                {"TargetGroupArn": d.listener()["DefaultActions"][0]["TargetGroupArn"], "Weight": 1},
                {"TargetGroupArn": d.spare_target_group(), "Weight": 1},
            ]}}],
        ),
        "idle_timeout": lambda d: d.idle_timeout("60"),
        "tags": lambda d: d.elb_tag(d.listener()["ListenerArn"]),
    },
    "endpoint-service": {
        "load_balancers": lambda d: d.modify_service(AddNetworkLoadBalancerArns=[d.spare_balancer()]),
        "acceptance_required": lambda d: d.modify_service(AcceptanceRequired=False),
        "ip_address_types": lambda d: d.modify_service(RemoveSupportedIpAddressTypes=["ipv6"]),
        "zones": "it follows the load balancer's subnets, which have a row",
        "private_dns_name": lambda d: d.modify_service(PrivateDnsName="other.example.com"),
        "private_dns_verification": "the cloud sets it, by looking at the TXT record",
        "service_name": GIVEN,
        "host": GIVEN,
        "zone_ids": "they follow the load balancer's subnets, which have a row",
        "private_dns_record": "it follows the private DNS name, which has a row",
        "region_states": "they follow the supported Regions, which have a row",
        "supported_regions": lambda d: d.modify_service(RemoveSupportedRegions=["eu-west-1"]),
        "tags": lambda d: d.ec2_tag(d.service()["ServiceId"]),
    },
    "allowed-principals": {
        "service": FIXED,
        "taggable": "whether permissions have ids is the API's own",
        "principals": lambda d: d.ec2.modify_vpc_endpoint_service_permissions(
            ServiceId=d.service()["ServiceId"], AddAllowedPrincipals=["arn:aws:iam::444455556666:root"]
        ),
        "tags": Drift.permission_tag,
    },
    "connection-notification": {
        "service": FIXED,
        "sns_topic": lambda d: d.modify_notification(
            ConnectionNotificationArn="arn:aws:sns:us-east-1:123456789012:somebody-elses"
        ),
        "events": lambda d: d.modify_notification(ConnectionEvents=["Delete"]),
        "state": "AWS sets it, by whether it may publish to the topic",
    },
}


def unmanaged(drift):
    """What colleagues may do to privnet's things without privnet minding."""
    drift.ec2.create_tags(Resources=[drift.group()["GroupId"]], Tags=[{"Key": "team", "Value": "x"}])
    drift.ec2.create_tags(Resources=[drift.service()["ServiceId"]], Tags=[{"Key": "team", "Value": "x"}])
    drift.elb.add_tags(ResourceArns=[drift.balancer(), drift.target_group()], Tags=[{"Key": "team", "Value": "x"}])
    drift.target_attribute("stickiness.enabled", "true")
    drift.target_attribute("load_balancing.cross_zone.enabled", "false")
    drift.target_attribute("target_health_state.unhealthy.connection_termination.enabled", "false")
    drift.balancer_attribute("dns_record.client_routing_policy", "partial_availability_zone_affinity")
    drift.forwarders_tag("team", "x")
    drift.ec2.create_tags(Resources=[drift.template()["LaunchTemplateId"]], Tags=[{"Key": "team", "Value": "x"}])
    drift.ec2.create_launch_template_version(
        LaunchTemplateId=drift.template()["LaunchTemplateId"], SourceVersion="1", LaunchTemplateData={"InstanceType": "t3.large"}
    )
    permission = {"IpProtocol": "tcp", "FromPort": 1, "ToPort": 1, "IpRanges": [{"CidrIp": "10.0.0.0/24"}]}
    drift.ec2.authorize_security_group_ingress(GroupId=DATABASE, IpPermissions=[permission])
    # A description is for people, though it begins as the rule's name.
    drift.modify_rule(Description="the vendor's way in")


UNMANAGED = {
    "all": unmanaged,
    # Where the file does not speak of it, it is as AWS makes it, and nobody's to look after.
    "idle_timeout": lambda d: d.idle_timeout("60"),
}


# What changes several fields at once.
SEVERAL = {
    "listener_moves": lambda d: d.elb.modify_listener(ListenerArn=d.listener()["ListenerArn"], Port=5999),
    "tls_ends": lambda d: d.elb.modify_listener(ListenerArn=d.listener("5433")["ListenerArn"], Protocol="TCP"),
}


def main():
    for line in sys.stdin:
        asked = json.loads(line)
        drift = Drift(asked["url"])
        if asked["kind"] == "unmanaged":
            UNMANAGED[asked["field"]](drift)
            answer = {"changed": True}
        elif asked["kind"] == "several":
            SEVERAL[asked["field"]](drift)
            answer = {"changed": True}
        elif asked["kind"] == "rows":
            answer = {"rows": [f"{kind}.{field}" for kind, fields in ROWS.items() for field in fields]}
        else:
            row = ROWS.get(asked["kind"], {}).get(asked["field"])
            if row is None:
                answer = {"missing": f"no row for {asked['kind']}.{asked['field']}"}
            elif isinstance(row, str):
                answer = {"immutable": row}
            else:
                row(drift)
                answer = {"changed": True}
        print(json.dumps(answer), flush=True)


if __name__ == "__main__":
    main()
