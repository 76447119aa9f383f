//! The world for people: the fixed ids, and what privnet and others made.

use jiff::Timestamp;
use serde_json::{Map, Value, json};

use super::ids::arn;
use super::world::{World, ids};

/// Fixed ids and present contents.
pub(crate) fn of(world: &World, now: Timestamp) -> Value {
    json!({
        "accounts": {
            "default": ids::ACCOUNT,
            "second": ids::SECOND_ACCOUNT,
            "fivetran": ids::FIVETRAN,
            "stranger": ids::STRANGER,
        },
        "access keys": ids::KEYS.iter().map(|(key, account)| ((*key).to_owned(), Value::from(*account))).collect::<Map<_, _>>(),
        "regions": ids::REGIONS,
        "in us-east-1 of the default account": home(),
        "networks": networks(world),
        "images in us-east-1": images(world),
        "launch templates": launch_templates(world),
        "auto scaling groups": scaling_groups(world),
        "load balancers": load_balancers(world),
        "endpoint services": services(world, now),
    })
}

fn home() -> Value {
    let elb = |resource: &str| arn("elasticloadbalancing", "us-east-1", ids::ACCOUNT, resource);
    json!({
        "vpc": ids::VPC,
        "subnets": ids::SUBNETS,
        "database security group": ids::DATABASE_GROUP,
        "instance": ids::INSTANCE,
        "instance that fails its health checks": ids::SICK_INSTANCE,
        "addresses that fail their health checks": format!("x.x.x.{}", ids::SICK_LAST_OCTET),
        "load balancer without a service": elb(&format!("loadbalancer/{}", ids::LOAD_BALANCER)),
        "application load balancer": elb(&format!("loadbalancer/{}", ids::ALB)),
        "endpoint service of a colleague": ids::SERVICE,
        "certificate": arn("acm", "us-east-1", ids::ACCOUNT, ids::CERTIFICATE),
        "topic": arn("sns", "us-east-1", ids::ACCOUNT, ids::TOPIC),
        "topic of a colleague": arn("sns", "us-east-1", ids::ACCOUNT, ids::OTHER_TOPIC),
    })
}

fn networks(world: &World) -> Vec<Value> {
    let subnets = |vpc: &str| -> Vec<&str> {
        world.subnets.values().filter(|s| s.vpc == vpc).map(|s| s.id.as_str()).collect()
    };
    let line = |vpc: &super::world::Vpc| {
        json!({
            "vpc": vpc.id,
            "account": vpc.scope.account,
            "region": vpc.scope.region,
            "range": vpc.cidr,
            "subnets": subnets(&vpc.id),
        })
    };
    world.vpcs.values().map(line).collect()
}

/// Parameter name → the image that it leads to.
fn images(world: &World) -> Value {
    let home = world.parameters.values().filter(|parameter| parameter.region == "us-east-1");
    home.map(|parameter| (parameter.name.clone(), json!(parameter.images.last())))
        .collect::<Map<_, _>>()
        .into()
}

fn launch_templates(world: &World) -> Vec<Value> {
    let line = |template: &super::world::LaunchTemplate| {
        json!({
            "id": template.id,
            "name": template.name,
            "default version": template.default_version,
            "latest version": template.latest_version,
        })
    };
    world.launch_templates.values().map(line).collect()
}

fn scaling_groups(world: &World) -> Vec<Value> {
    let instances = |group: &super::world::ScalingGroup| -> Vec<Value> {
        let line = |m: &super::world::Member| json!({"id": m.id, "zone": m.zone, "state": m.state(), "healthy": !m.unhealthy});
        group.members.values().map(line).collect()
    };
    let line = |group: &super::world::ScalingGroup| {
        json!({
            "name": group.name,
            "account": group.scope.account,
            "region": group.scope.region,
            "desired": group.desired,
            "deleting": group.deleted.is_some(),
            "instances": instances(group),
        })
    };
    world.scaling_groups.values().map(line).collect()
}

fn load_balancers(world: &World) -> Vec<Value> {
    world.load_balancers.values().map(|lb| json!(lb.arn)).collect()
}

fn services(world: &World, now: Timestamp) -> Vec<Value> {
    let connections = |id: &str| -> Vec<Value> {
        let line = |e: &super::world::Endpoint| json!({"id": e.id, "account": e.scope.account, "state": e.state(now)});
        world.connections_of(id, now).map(line).collect()
    };
    world
        .services
        .values()
        .filter(|service| service.state(now).is_some())
        .map(|service| {
            json!({
                "id": service.id,
                "name": service.name(),
                "called": world.tags.of(&service.id).get("Name"),
                "state": service.state(now),
                "principals": service.permissions.keys().collect::<Vec<_>>(),
                "connections": connections(&service.id),
            })
        })
        .collect()
}
