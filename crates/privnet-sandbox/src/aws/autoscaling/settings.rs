//! What create and update share: sizes, places, the launch template, health checks.
//!
//! Sources: Auto Scaling API reference of CreateAutoScalingGroup, UpdateAutoScalingGroup, LaunchTemplateSpecification.

use serde::Deserialize;
use serde_json::Value;

use super::lookup::invalid;
use crate::aws::call::Call;
use crate::aws::ec2::launchable;
use crate::aws::error::ApiError;
use crate::aws::world::{LaunchTemplate, ScalingGroup, Scope, TemplateRef, World};

/// Settings that are only kept and shown; requests and answers call them the same.
pub(super) const KEPT: [&str; 12] = [
    "AvailabilityZoneDistribution",
    "AvailabilityZoneImpairmentPolicy",
    "CapacityRebalance",
    "CapacityReservationSpecification",
    "Context",
    "DefaultCooldown",
    "DefaultInstanceWarmup",
    "DesiredCapacityType",
    "InstanceLifecyclePolicy",
    "InstanceMaintenancePolicy",
    "MaxInstanceLifetime",
    "ServiceLinkedRoleARN",
];

/// A launch template as requests name it.
#[derive(Debug, Clone, Deserialize)]
#[serde(rename_all = "PascalCase")]
pub(super) struct TemplateInput {
    launch_template_id: Option<String>,
    launch_template_name: Option<String>,
    version: Option<String>,
}

/// The members that create and update have in common.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "PascalCase")]
pub(super) struct Settings {
    pub(super) auto_scaling_group_name: String,
    launch_configuration_name: Option<String>,
    launch_template: Option<TemplateInput>,
    instance_id: Option<String>,
    min_size: Option<i64>,
    max_size: Option<i64>,
    desired_capacity: Option<i64>,
    #[serde(default)]
    availability_zones: Vec<String>,
    #[serde(rename = "VPCZoneIdentifier")]
    vpc_zone_identifier: Option<String>,
    health_check_type: Option<String>,
    health_check_grace_period: Option<i64>,
    termination_policies: Option<Vec<String>>,
    new_instances_protected_from_scale_in: Option<bool>,
    deletion_protection: Option<String>,
}

const TERMINATION_POLICIES: [&str; 7] = [
    "AllocationStrategy",
    "ClosestToNextInstanceHour",
    "Default",
    "NewestInstance",
    "OldestInstance",
    "OldestLaunchConfiguration",
    "OldestLaunchTemplate",
];

impl Settings {
    /// Writes what is given over what the group has, checked. Sizes, the desired one included, as the API reference of
    /// UpdateAutoScalingGroup has them.
    pub(super) fn apply(&self, world: &World, call: &Call, group: &mut ScalingGroup) -> Result<(), ApiError> {
        self.sizes(group)?;
        self.places(world, call, group)?;
        self.template(world, call, group)?;
        if let Some(checks) = &self.health_check_type {
            if let Some(wrong) =
                checks.split(',').find(|one| !matches!(*one, "EC2" | "ELB" | "EBS" | "VPC_LATTICE"))
            {
                return Err(invalid(format!("Invalid health check type: {wrong}")));
            }
            group.health_check.clone_from(checks);
        }
        if let Some(grace) = self.health_check_grace_period {
            if grace < 0 {
                return Err(invalid("HealthCheckGracePeriod must be non-negative"));
            }
            group.grace = grace;
        }
        if let Some(policies) = &self.termination_policies {
            let known = |policy: &&String| {
                TERMINATION_POLICIES.contains(&policy.as_str()) || policy.starts_with("arn:")
            };
            if let Some(wrong) = policies.iter().find(|policy| !known(policy)) {
                return Err(invalid(format!("Invalid termination policy: {wrong}")));
            }
            group.termination_policies.clone_from(policies);
        }
        group.protect_new = self.new_instances_protected_from_scale_in.unwrap_or(group.protect_new);
        group.deletion_protection = self.deletion_protection.clone().or(group.deletion_protection.take());
        for name in KEPT {
            if let Some(value) = call.input.get(name) {
                group.settings.insert(name.to_owned(), value.clone());
            }
        }
        Ok(())
    }

    fn sizes(&self, group: &mut ScalingGroup) -> Result<(), ApiError> {
        group.min = self.min_size.unwrap_or(group.min);
        group.max = self.max_size.unwrap_or(group.max);
        let before = group.desired;
        if group.min < 0 || group.max < 0 || self.desired_capacity.is_some_and(|desired| desired < 0) {
            return Err(invalid("MinSize, MaxSize and DesiredCapacity must be non-negative"));
        }
        if group.max < group.min {
            let why = format!(
                "Max bound, {}, must be greater than or equal to min bound, {}",
                group.max, group.min
            );
            return Err(invalid(why));
        }
        group.desired = self.desired_capacity.unwrap_or(group.desired.clamp(group.min, group.max));
        if !(group.min..=group.max).contains(&group.desired) {
            let why = format!(
                "Desired capacity:{} must be between the specified min size:{} and max size:{}",
                group.desired, group.min, group.max
            );
            return Err(invalid(why));
        }
        if group.desired != before {
            let (min, max, desired) = (group.min, group.max, group.desired);
            group.why = format!(
                "a user request update of AutoScalingGroup constraints to min: {min}, max: {max}, desired: {desired} \
                 changing the desired capacity from {before} to {desired}."
            );
        }
        Ok(())
    }

    fn places(&self, world: &World, call: &Call, group: &mut ScalingGroup) -> Result<(), ApiError> {
        if let Some(list) = &self.vpc_zone_identifier {
            group.subnets =
                list.split(',').map(str::trim).filter(|id| !id.is_empty()).map(str::to_owned).collect();
        }
        if group.subnets.is_empty() {
            let why = if self.availability_zones.is_empty() {
                "At least one Availability Zone or VPC Subnet is required."
            } else {
                "No default subnet for the Availability Zones: the accounts here have no default VPC."
            };
            return Err(invalid(why));
        }
        let mut zones = Vec::new();
        let mut vpc = None;
        for id in &group.subnets {
            let subnet = world.subnets.get(id).filter(|subnet| subnet.scope == call.scope);
            let Some(subnet) = subnet else {
                return Err(invalid(format!("The subnet ID '{id}' does not exist")));
            };
            if vpc.replace(subnet.vpc.clone()).is_some_and(|other| other != subnet.vpc) {
                return Err(invalid("The specified subnets are not in the same VPC."));
            }
            if !zones.contains(&subnet.zone) {
                zones.push(subnet.zone.clone());
            }
        }
        let mut named = self.availability_zones.clone();
        named.sort_unstable();
        zones.sort_unstable();
        if !named.is_empty() && named != zones {
            let why =
                "The availability zones of the specified subnets and the Auto Scaling group do not match";
            return Err(invalid(why));
        }
        group.zones = zones;
        Ok(())
    }

    fn template(&self, world: &World, call: &Call, group: &mut ScalingGroup) -> Result<(), ApiError> {
        if let Some(name) = &self.launch_configuration_name {
            let why = format!("Launch configuration name not found - Launch configuration {name} not found");
            return Err(invalid(why));
        }
        if self.instance_id.is_some() {
            return Err(invalid("Groups can be made of launch templates here, not of instances."));
        }
        let Some(input) = &self.launch_template else {
            if group.template.id.is_empty() {
                let why = "Valid requests must contain either LaunchTemplate, LaunchConfigurationName, InstanceId or \
                           MixedInstancesPolicy parameter.";
                return Err(invalid(why));
            }
            return Ok(());
        };
        let template = find_template(world, &call.scope, input)?;
        let subnet = group.subnets.first().and_then(|id| world.subnets.get(id));
        let (_, version) = template.version(input.version.as_deref()).ok_or_else(|| {
            let wanted = input.version.as_deref().unwrap_or("$Default");
            ill_formed(&format!(
                "Could not find the specified version {wanted} for the launch template with ID {}.",
                template.id
            ))
        })?;
        launchable(world, &call.scope, &version.data, subnet).map_err(|error| ill_formed(&error.message))?;
        group.template = TemplateRef {
            id: template.id.clone(),
            name: template.name.clone(),
            version: input.version.clone(),
        };
        Ok(())
    }
}

/// Auto Scaling tries a launch (dry run) when a template is named, and passes on what EC2 says.
fn ill_formed(why: &str) -> ApiError {
    invalid(format!("You must use a valid fully-formed launch template. {why}"))
}

fn find_template<'w>(
    world: &'w World,
    scope: &Scope,
    input: &TemplateInput,
) -> Result<&'w LaunchTemplate, ApiError> {
    let mut mine = world.launch_templates.values().filter(|template| template.scope == *scope);
    match (&input.launch_template_id, &input.launch_template_name) {
        (Some(id), None) => mine.find(|template| template.id == *id).ok_or_else(|| {
            ill_formed(&format!("The specified launch template, with template ID {id}, does not exist."))
        }),
        (None, Some(name)) => mine.find(|template| template.name == *name).ok_or_else(|| {
            ill_formed(&format!("The specified launch template, with template name {name}, does not exist."))
        }),
        _ => Err(invalid("Valid requests must contain either launchTemplateId or LaunchTemplateName")),
    }
}

/// A template as answers show it: the version as it was given.
pub(super) fn show_template(template: &TemplateRef) -> Value {
    serde_json::json!({
        "LaunchTemplateId": template.id,
        "LaunchTemplateName": template.name,
        "Version": template.version,
    })
}
