"""Changes one field of one thing in an Azure subscription with azure-mgmt-*, as a colleague in the portal would.

For each line of JSON on standard input (`{"url", "kind", "field"}`) one line on standard output: `{"changed": true}`, or
`{"immutable": "why"}` where ARM has no way to change that field of something that exists, or refused it just now. A field that
is not in the table is an error: whoever adds one to privnet adds its row here. The kind `rows` asks for the names of all rows, and
`unmanaged` changes what nobody manages, which may be whatever it likes.
"""

import json
import sys

from azure.core.exceptions import HttpResponseError
from azure.mgmt.network import models as net
from subscription import GROUP, OWN, Subscription, name_of

SERVICE = "orders"
STRANGER = "99999999-8888-7777-6666-555555555555"
FIXED = "the type has no way to change it: it is part of what the resource is"


def network_id(kind, name):
    return f"/subscriptions/{OWN}/resourceGroups/{GROUP}/providers/Microsoft.Network/{kind}/{name}"


class Drift(Subscription):
    """Finds privnet's things by their tags, and changes them."""

    def tagged(self, things, kind):
        wanted = {"privnet:service": SERVICE, "privnet:kind": kind}
        return next(thing for thing in things if wanted.items() <= (thing.tags or {}).items())

    def edit(self, operations, kind, change):
        found = self.tagged(operations.list(GROUP), kind)
        found = operations.get(GROUP, found.name)
        change(found)
        return operations.begin_create_or_update(GROUP, found.name, found).result()

    def security_group(self, change):
        self.edit(self.network.network_security_groups, "network-security-group", change)

    def balancer(self, change):
        self.edit(self.network.load_balancers, "load-balancer", change)

    def machines(self, change):
        self.edit(self.compute.virtual_machine_scale_sets, "scale-set", change)

    def service(self, change):
        self.edit(self.network.private_link_services, "private-link-service", change)

    def interface(self, change):
        """The machines' interface as the group's model has it."""

        def of_group(group):
            (nic,) = group.properties.virtual_machine_profile.network_profile.network_interface_configurations
            change(nic.properties)

        self.machines(of_group)

    def configuration(self, change):
        self.interface(lambda nic: change(nic.ip_configurations[0].properties))

    def subnet(self, name, change):
        found = self.network.subnets.get(GROUP, "hub", name)
        change(found.properties)
        self.network.subnets.begin_create_or_update(GROUP, "hub", name, found).result()

    def own_subnet(self, change):
        hub = self.network.virtual_networks.get(GROUP, "hub")
        self.subnet(next(s.name for s in hub.properties.subnets if s.name.startswith(f"pn-{SERVICE}-")), change)

    def membership(self, change):
        """The pools of the user's own machine."""
        nic = self.network.network_interfaces.get(GROUP, "db-1-nic")
        (configuration,) = nic.properties.ip_configurations
        configuration.properties.load_balancer_backend_address_pools = change()
        self.network.network_interfaces.begin_create_or_update(GROUP, nic.name, nic).result()

    def spare_security_group(self):
        body = net.NetworkSecurityGroup(location="eastus2")
        return self.network.network_security_groups.begin_create_or_update(GROUP, "somebody-elses", body).result()

    def spare_pool(self):
        frontend = net.FrontendIPConfiguration(
            name="fe",
            properties=net.FrontendIPConfigurationPropertiesFormat(
                subnet=net.Subnet(id=network_id("virtualNetworks", "hub/subnets/db"))
            ),
        )
        body = net.LoadBalancer(
            location="eastus2",
            sku=net.LoadBalancerSku(name="Standard"),
            properties=net.LoadBalancerPropertiesFormat(
                frontend_ip_configurations=[frontend], backend_address_pools=[net.BackendAddressPool(name="pool")]
            ),
        )
        self.network.load_balancers.begin_create_or_update(GROUP, "somebody-elses", body).result()
        return network_id("loadBalancers", "somebody-elses/backendAddressPools/pool")

    def drained(self):
        """A colleague takes the forwarders out of service."""

        def down(balancer):
            for pool in balancer.properties.backend_address_pools:
                for member in pool.properties.load_balancer_backend_addresses or []:
                    if name_of(pool.id) == "forwarder":
                        member.properties.admin_state = "Down"

        self.balancer(down)


def tag(thing):
    thing.tags["cost-center"] = "drifted"


def set_tag(name, value):
    return lambda thing: thing.tags.update({name: value})


def on(edit, **values):
    """Sets these properties of what `edit` shows."""

    def change(shown):
        for name, value in values.items():
            setattr(shown, name, value)

    return lambda drift: edit(drift, change)


def inside(edit, change):
    """Changes the properties of what `edit` shows."""
    return lambda drift: edit(drift, lambda found: change(found.properties))


def add_address(properties):
    first = properties.ip_configurations[0].properties
    properties.ip_configurations.append(
        net.PrivateLinkServiceIpConfiguration(
            name="theirs",
            properties=net.PrivateLinkServiceIpConfigurationProperties(subnet=net.Subnet(id=first.subnet.id)),
        )
    )


def first_frontend(subnet):
    def change(properties):
        properties.frontend_ip_configurations[0].properties.subnet = net.Subnet(
            id=network_id("virtualNetworks", f"hub/subnets/{subnet}")
        )

    return change


def elsewhere(properties):
    properties.load_balancer_frontend_ip_configurations = [
        net.FrontendIPConfiguration(id=network_id("loadBalancers", "somebody-elses/frontendIPConfigurations/fe"))
    ]


def moved_addresses(properties):
    for configuration in properties.ip_configurations:
        configuration.properties.subnet = net.Subnet(id=network_id("virtualNetworks", "hub/subnets/nat"))


def rewritten_rules(group):
    """Each part of a rule that privnet does not set by the file, and a rule less."""
    first, second, *_ = group.security_rules
    first.properties.source_port_range = "1024-65535"
    second.properties.destination_address_prefix = "10.1.2.0/24"
    group.security_rules.pop()


def each_part_of_a_rule(properties):
    """Each part of a rule and a probe that the file does not set, and the pool that a rule leads to."""
    first = properties.load_balancing_rules[0].properties
    first.idle_timeout_in_minutes = 30
    first.load_distribution = "SourceIP"
    first.enable_tcp_reset = False
    first.probe = net.SubResource(id=properties.probes[1].id)


def each_part_of_a_probe(properties):
    first = properties.probes[0].properties
    first.interval_in_seconds = 60
    first.probe_threshold = 9
    first.port = 9998


def another_pool(properties):
    others = [rule.properties.backend_address_pool.id for rule in properties.load_balancing_rules]
    properties.load_balancing_rules[0].properties.backend_address_pool = net.SubResource(id=others[-1])


def inbound_nat(properties):
    """A rule for one machine, as administrators have it for their shell."""
    properties.inbound_nat_rules = [
        net.InboundNatRule(
            name="shell",
            properties=net.InboundNatRulePropertiesFormat(
                frontend_ip_configuration=net.SubResource(id=properties.frontend_ip_configurations[0].id),
                frontend_port=2222,
                backend_port=22,
                protocol="Tcp",
            ),
        )
    ]


def nobodys(drift):
    """What nobody manages: tags of somebody else's, and settings beside those that are ours."""
    for change in (drift.balancer, drift.service, drift.machines, drift.security_group):
        change(set_tag("policy", "theirs"))
    drift.balancer(lambda balancer: inbound_nat(balancer.properties))
    drift.own_subnet(lambda s: setattr(s, "service_endpoints", [net.ServiceEndpointPropertiesFormat(service="Microsoft.Storage")]))
    drift.machines(lambda group: setattr(group.properties.upgrade_policy, "mode", "Automatic"))
    nic = drift.network.network_interfaces.get(GROUP, "db-1-nic")
    nic.tags = {**(nic.tags or {}), "policy": "theirs"}
    drift.network.network_interfaces.begin_create_or_update(GROUP, nic.name, nic).result()


ROWS = {
    "nat-subnet": {
        "vnet": FIXED,
        "cidr": on(Drift.own_subnet, address_prefix="10.1.10.0/28"),
        "policy": on(Drift.own_subnet, private_link_service_network_policies="Enabled"),
    },
    "subnet-policy": {
        "vnet": FIXED,
        "subnet": lambda d: d.subnet(
            "nat-policed", lambda s: setattr(s, "private_link_service_network_policies", "Enabled")
        ),
    },
    "network-security-group": {
        "location": FIXED,
        "rules": inside(Drift.security_group, rewritten_rules),
        "tags": lambda d: d.security_group(tag),
    },
    "load-balancer": {
        "location": FIXED,
        "vnet": "it follows the subnet, which has a row",
        "zones": "ARM changes no zone of a frontend that exists",
        "others": "rules on frontends of somebody else's: they are read, and written back as they are",
        "subnet": inside(Drift.balancer, first_frontend("db")),
        "pools": inside(Drift.balancer, lambda p: p.backend_address_pools.append(net.BackendAddressPool(name="theirs"))),
        "probes": inside(Drift.balancer, each_part_of_a_probe),
        "rules": inside(Drift.balancer, each_part_of_a_rule),
        "listens": inside(
            Drift.balancer,
            lambda p: (another_pool(p), setattr(p.load_balancing_rules[0].properties, "frontend_port", 9999)),
        ),
        "tags": lambda d: d.balancer(tag),
    },
    "scale-set": {
        "location": FIXED,
        "load_balancer": "it follows the pool, which has a row",
        "all_zones": "they are the location's",
        "custom_data": "ARM never shows it: its hash is in a tag, and `forwarder` has a row",
        "serves": "it follows `draining`, which has a row",
        "since": "a group is made once",
        "subnet": lambda d: d.configuration(
            lambda c: setattr(c.subnet, "id", network_id("virtualNetworks", "hub/subnets/db"))
        ),
        "zones": lambda d: d.machines(lambda g: g.zones.append("3")),
        "count": lambda d: d.machines(lambda g: setattr(g.sku, "capacity", 3)),
        "size": lambda d: d.machines(lambda g: setattr(g.sku, "name", "Standard_D8s_v5")),
        "image": lambda d: d.machines(
            lambda g: setattr(g.properties.virtual_machine_profile.storage_profile.image_reference, "version", "24.04.202510010")
        ),
        "forwarder": lambda d: d.machines(set_tag("privnet:forwarder", "0000000000000000")),
        "security_group": lambda d: d.interface(
            lambda nic: setattr(nic.network_security_group, "id", d.spare_security_group().id)
        ),
        "pool": lambda d: d.configuration(
            lambda c: setattr(c.load_balancer_backend_address_pools[0], "id", d.spare_pool())
        ),
        "ip_forwarding": lambda d: d.interface(lambda nic: setattr(nic, "enable_ip_forwarding", False)),
        "public_address": lambda d: d.configuration(
            lambda c: setattr(c, "public_ip_address_configuration", {"name": "public"})
        ),
        "drain": lambda d: d.machines(set_tag("privnet:drain", "1")),
        "draining": Drift.drained,
        "tags": lambda d: d.machines(tag),
    },
    "nic-membership": {
        "vnet": FIXED,
        "load_balancer": "it follows the pool, which has a row",
        "nic": lambda d: d.membership(list),
        "pool": lambda d: d.membership(lambda: [net.BackendAddressPool(id=d.spare_pool())]),
    },
    "private-link-service": {
        "location": FIXED,
        "vnet": "it follows the NAT subnet, which has a row",
        "load_balancer": "it follows the frontend, which has a row",
        "frontend": lambda d: (d.spare_pool(), inside(Drift.service, elsewhere)(d)),
        "nat_subnet": inside(Drift.service, moved_addresses),
        "nat_addresses": inside(Drift.service, add_address),
        "visibility": inside(Drift.service, lambda p: p.visibility.subscriptions.append(STRANGER)),
        "auto_approval": inside(
            Drift.service, lambda p: p.auto_approval.subscriptions.append(p.visibility.subscriptions[0])
        ),
        "access_mode": inside(Drift.service, lambda p: setattr(p, "access_mode", "Default")),
        "proxy_protocol": inside(Drift.service, lambda p: setattr(p, "enable_proxy_protocol", True)),
        "fqdns": inside(Drift.service, lambda p: p.fqdns.append("theirs.example.com")),
        "tags": lambda d: d.service(tag),
    },
    "hosted-service": {"resource_id": FIXED, "subresource": "the file's: nothing is written"},
}


def answer(asked):
    if asked["kind"] == "rows":
        return {"rows": [f"{kind}.{field}" for kind, fields in ROWS.items() for field in fields]}
    if asked["kind"] == "unmanaged":
        nobodys(Drift(asked["url"]))
        return {"changed": True}
    row = ROWS.get(asked["kind"], {}).get(asked["field"])
    if row is None:
        return {"missing": f"{asked['kind']}.{asked['field']} has no row in azure/drift.py"}
    if isinstance(row, str):
        return {"immutable": row}
    try:
        row(Drift(asked["url"]))
    except HttpResponseError as refused:
        if refused.status_code in (400, 409) and refused.error:
            return {"immutable": f"ARM refuses it: {refused.error.code}"}
        raise
    return {"changed": True}


def main():
    for line in sys.stdin:
        print(json.dumps(answer(json.loads(line))), flush=True)


if __name__ == "__main__":
    main()
