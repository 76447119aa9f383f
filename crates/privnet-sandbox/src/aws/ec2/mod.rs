//! The EC2 actions.

mod connections;
mod discovery;
mod endpoints;
mod groups;
mod images;
mod instances;
mod interfaces;
mod launch_templates;
mod listing;
mod network;
mod notifications;
mod permissions;
mod regions;
mod rule_edits;
mod rules;
mod service_edits;
mod services;
mod tagging;
mod template_data;
mod template_versions;

pub(crate) use template_data::{Launchable, launchable};

use super::call::Handler;

pub(crate) fn handler(action: &str) -> Option<Handler> {
    Some(match action {
        "DescribeRegions" => regions::describe_regions,
        "DescribeAvailabilityZones" => network::describe_availability_zones,
        "DescribeVpcs" => network::describe_vpcs,
        "DescribePrefixLists" => network::describe_prefix_lists,
        "DescribeVpcAttribute" => network::describe_vpc_attribute,
        "DescribeSubnets" => network::describe_subnets,
        "DeleteSubnet" => network::delete_subnet,
        "DescribeInstances" => instances::describe_instances,
        "TerminateInstances" => instances::terminate_instances,
        "DescribeImages" => images::describe,
        "CreateLaunchTemplate" => launch_templates::create,
        "DescribeLaunchTemplates" => launch_templates::describe,
        "ModifyLaunchTemplate" => launch_templates::modify,
        "DeleteLaunchTemplate" => launch_templates::delete,
        "CreateLaunchTemplateVersion" => template_versions::create,
        "DescribeLaunchTemplateVersions" => template_versions::describe,
        "DeleteLaunchTemplateVersions" => template_versions::delete,
        "DescribeNetworkInterfaces" => interfaces::describe_network_interfaces,
        "CreateSecurityGroup" => groups::create_security_group,
        "DescribeSecurityGroups" => groups::describe_security_groups,
        "DeleteSecurityGroup" => groups::delete_security_group,
        "AuthorizeSecurityGroupIngress" => rule_edits::authorize_ingress,
        "AuthorizeSecurityGroupEgress" => rule_edits::authorize_egress,
        "RevokeSecurityGroupIngress" => rule_edits::revoke_ingress,
        "RevokeSecurityGroupEgress" => rule_edits::revoke_egress,
        "ModifySecurityGroupRules" => rule_edits::modify_security_group_rules,
        "DescribeSecurityGroupRules" => rules::describe_security_group_rules,
        "CreateTags" => tagging::create_tags,
        "DeleteTags" => tagging::delete_tags,
        "DescribeTags" => tagging::describe_tags,
        "CreateVpcEndpointServiceConfiguration" => service_edits::create,
        "ModifyVpcEndpointServiceConfiguration" => service_edits::modify,
        "DeleteVpcEndpointServiceConfigurations" => services::delete,
        "DescribeVpcEndpointServiceConfigurations" => services::describe,
        "StartVpcEndpointServicePrivateDnsVerification" => services::start_verification,
        "DescribeVpcEndpointServicePermissions" => permissions::describe,
        "ModifyVpcEndpointServicePermissions" => permissions::modify,
        "DescribeVpcEndpointServices" => discovery::describe,
        "DescribeVpcEndpointConnections" => connections::describe,
        "AcceptVpcEndpointConnections" => connections::accept,
        "RejectVpcEndpointConnections" => connections::reject,
        "CreateVpcEndpointConnectionNotification" => notifications::create,
        "DescribeVpcEndpointConnectionNotifications" => notifications::describe,
        "ModifyVpcEndpointConnectionNotification" => notifications::modify,
        "DeleteVpcEndpointConnectionNotifications" => notifications::delete,
        "CreateVpcEndpoint" => endpoints::create,
        "DescribeVpcEndpoints" => endpoints::describe,
        "DeleteVpcEndpoints" => endpoints::delete,
        _ => return None,
    })
}
