//! A group launches an instance from its template.

use std::net::Ipv4Addr;

use jiff::Timestamp;
use serde_json::json;

use super::causes;
use crate::aws::ec2::{Launchable, launchable};
use crate::aws::error::ApiError;
use crate::aws::ids::fresh;
use crate::aws::world::{Instance, Launch, Member, ScalingGroup, Subnet, TemplateRef, World};

/// Launches one instance in the group's emptiest zone, or notes why that failed.
pub(super) fn launch(world: &mut World, group: &mut ScalingGroup, cause: &str, at: Timestamp) -> bool {
    let subnet = emptiest(world, group);
    let made = match &subnet {
        Some(subnet) => run(world, group, subnet, at),
        None => Err(ApiError::new("InvalidSubnetID.NotFound", "None of the group's subnets exists.")),
    };
    let (id, zone) = subnet.map(|subnet| (subnet.id, subnet.zone)).unwrap_or_default();
    match made {
        Ok(mut member) => {
            let about = format!("Launching a new EC2 instance: {}", member.id);
            let activity = causes::activity(about, cause, "PreInService", at, &id, &zone);
            member.activity.clone_from(&activity.id);
            group.begin(activity);
            group.members.insert(member.id.clone(), member);
            group.failures = 0;
            true
        }
        Err(error) => {
            let why: String =
                format!("{} Launching EC2 instance failed.", error.message).chars().take(255).collect();
            let about = format!("Launching a new EC2 instance.  Status Reason: {why}");
            let mut activity = causes::activity(about, cause, "Failed", at, &id, &zone);
            activity.end = Some(at);
            activity.message = Some(why);
            group.begin(activity);
            false
        }
    }
}

/// The subnet of the group that has the fewest instances, in the zone that has the fewest.
fn emptiest(world: &World, group: &ScalingGroup) -> Option<Subnet> {
    let in_zone = |zone: &str| group.staying().filter(|member| member.zone == zone).count();
    let in_subnet = |id: &str| {
        let within = |member: &&Member| world.instances.get(&member.id).is_some_and(|i| i.subnet == id);
        group.staying().filter(within).count()
    };
    let subnets = group.subnets.iter().filter_map(|id| world.subnets.get(id));
    subnets.min_by_key(|subnet| (in_zone(&subnet.zone), in_subnet(&subnet.id))).cloned()
}

fn run(world: &mut World, group: &ScalingGroup, subnet: &Subnet, at: Timestamp) -> Result<Member, ApiError> {
    let template = world.launch_templates.get(&group.template.id).ok_or_else(|| {
        let id = &group.template.id;
        let why = format!("The specified launch template, with template ID {id}, does not exist.");
        ApiError::new("InvalidLaunchTemplateId.NotFound", why)
    })?;
    let (number, version) = template.version(group.template.version.as_deref()).ok_or_else(|| {
        let why = format!("The specified version of the launch template {} does not exist.", template.id);
        ApiError::new("InvalidLaunchTemplateId.VersionNotFound", why)
    })?;
    if group.targets().any(|arn| !world.target_groups.contains_key(arn)) {
        let why = "One or more target groups not found. Validating load balancer configuration failed.";
        return Err(ApiError::new("ValidationError", why));
    }
    let found = launchable(world, &group.scope, &version.data, Some(subnet))?;
    let template = TemplateRef { version: Some(number.to_string()), ..group.template.clone() };
    let id = fresh("i");
    let first = found.data.network_interfaces.first();
    let description = first.and_then(|interface| interface.description.clone()).unwrap_or_default();
    let interface = world
        .add_interface(&subnet.id, "interface", &id, description, &found.groups, at)
        .ok_or_else(|| {
            let why = format!("There are not enough free addresses in subnet '{}'.", subnet.id);
            ApiError::new("InsufficientFreeAddressesInSubnet", why)
        })?;
    let public = first.is_some_and(|interface| interface.associate_public_ip_address == Some(true));
    let instance = Instance {
        scope: group.scope.clone(),
        id: id.clone(),
        vpc: subnet.vpc.clone(),
        subnet: subnet.id.clone(),
        zone: subnet.zone.clone(),
        address: interface.address,
        groups: found.groups.clone(),
        interface: interface.id.clone(),
        launched: at,
        launch: launched_with(&found, public.then(|| public_address(interface.address))),
        terminated: None,
    };
    world.instances.insert(id.clone(), instance);
    tag(world, group, &found, &template, [&id, &interface.id], at);
    Ok(Member {
        id,
        zone: subnet.zone.clone(),
        instance_type: found.instance_type,
        template,
        launched: at,
        in_service: None,
        protected: group.protect_new,
        unhealthy: false,
        leaving: None,
        stopping: None,
        activity: String::new(),
    })
}

/// One of the addresses for documents (RFC 5737), so that nobody is met by mistake.
fn public_address(private: Ipv4Addr) -> Ipv4Addr {
    Ipv4Addr::new(203, 0, 113, private.octets()[3])
}

fn launched_with(found: &Launchable, public_address: Option<Ipv4Addr>) -> Launch {
    let asked = found.data.metadata_options.clone().unwrap_or_default();
    // EC2 user guide, "Instance metadata options": what a template leaves out. `HttpTokens` follows the image.
    let mut metadata = json!({
        "State": "applied", "HttpTokens": "optional", "HttpPutResponseHopLimit": 1, "HttpEndpoint": "enabled",
        "HttpProtocolIpv6": "disabled", "InstanceMetadataTags": "disabled",
    });
    for (name, value) in asked.as_object().into_iter().flatten() {
        metadata[name] = value.clone();
    }
    Launch {
        image: found.image.id.clone(),
        instance_type: found.instance_type.clone(),
        architecture: found.image.architecture.clone(),
        root_device: found.image.root_device.clone(),
        metadata,
        public_address,
    }
}

/// The template's tags, then those that the group gives, which are stronger; and AWS's own.
fn tag(
    world: &mut World,
    group: &ScalingGroup,
    found: &Launchable,
    template: &TemplateRef,
    [instance, interface]: [&str; 2],
    at: Timestamp,
) {
    let mut tags: Vec<(&str, String, String)> = Vec::new();
    for specification in &found.data.tag_specifications {
        let resource = match specification.resource_type.as_deref() {
            Some("instance") => instance,
            Some("network-interface") => interface,
            _ => continue,
        };
        for tag in &specification.tags {
            tags.push((resource, tag.key.clone().unwrap_or_default(), tag.value.clone().unwrap_or_default()));
        }
    }
    let own = world.tags.of(&group.arn);
    for key in group.propagate.iter().filter(|(_, propagate)| **propagate).map(|(key, _)| key) {
        if let Some(value) = own.get(key.as_str()) {
            tags.push((instance, key.clone(), (*value).to_owned()));
        }
    }
    let version = template.version.clone().unwrap_or_default();
    tags.push((instance, "aws:autoscaling:groupName".to_owned(), group.name.clone()));
    tags.push((instance, "aws:ec2launchtemplate:id".to_owned(), template.id.clone()));
    tags.push((instance, "aws:ec2launchtemplate:version".to_owned(), version));
    for (resource, key, value) in tags {
        world.tags.set(resource, &key, &value, at);
    }
}
