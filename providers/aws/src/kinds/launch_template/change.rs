//! A launch template's create, update and delete.

use std::collections::BTreeSet;
use std::time::Duration;

use aws_sdk_ec2::types::{
    InstanceType, LaunchTemplate, LaunchTemplateBlockDeviceMappingRequest,
    LaunchTemplateEbsBlockDeviceRequest, LaunchTemplateHttpTokensState,
    LaunchTemplateInstanceMetadataEndpointState, LaunchTemplateInstanceMetadataOptionsRequest,
    LaunchTemplateInstanceNetworkInterfaceSpecificationRequest, LaunchTemplateVersion,
    RequestLaunchTemplateData, ResourceType, VolumeType,
};
use aws_smithy_types::base64;
use privnet_core::execute::{Poll, Replay, Until};
use privnet_core::{Applied, Error, ErrorKind, Generation, Step};

use super::{DESCRIPTION, Template, whole};
use crate::buckets::Operation;
use crate::cloud::Cloud;
use crate::error::gone_is_fine;
use crate::facts::Image;
use crate::forwarders;
use crate::gather;
use crate::kinds::{created_as, live_id, outputs};
use crate::launch_templates;
use crate::network::tags_of;
use crate::ownership;
use crate::tagging;

const CREATE: Operation = Operation::ec2("CreateLaunchTemplate");
const CREATE_VERSION: Operation = Operation::ec2("CreateLaunchTemplateVersion");
const DELETE: Operation = Operation::ec2("DeleteLaunchTemplate");

/// The description of the version that only tells which image a parameter names.
const DRAFT: &str = "privnet: asks which image the parameter names";

const SHOWS_WITHIN: Duration = Duration::from_secs(120);

// Create.

/// A disk can be encrypted only by its device's name, which the image decides. Only a template tells which image a parameter
/// names, so for a parameter the first version asks that, and the second one is what machines are made from.
pub(crate) async fn create(cloud: &Cloud<'_>, step: &Step<'_>) -> Result<Applied, Error> {
    let wanted = Template::from_fields(step.fields)?;
    let (name, tags) = created_as(step, &wanted.tags);
    let disk = match wanted.image.starts_with("ami-") {
        true => Some(root_device(cloud, &wanted, &wanted.image).await?),
        false => None,
    };
    let description = if disk.is_some() { described(&wanted) } else { DRAFT.to_owned() };
    let made = cloud
        .create(CREATE, &name, || {
            let request = cloud.reach.ec2.create_launch_template().launch_template_name(&name);
            let request = request.version_description(&description);
            let request = request.launch_template_data(data(&wanted, disk.as_deref()));
            request.tag_specifications(tagging::specification(ResourceType::LaunchTemplate, &tags)).send()
        })
        .await;
    let (id, note) = match made {
        Ok(made) => {
            let id = made.launch_template.and_then(|made| made.launch_template_id);
            (id.unwrap_or_default(), None)
        }
        Err(error) if error.kind() == ErrorKind::Conflict => {
            (ours_of_that_name(cloud, step, &name, error).await?, Some("it was there already".to_owned()))
        }
        Err(error) => return Err(error),
    };
    let version = finished(cloud, &id, &wanted).await?;
    converge(cloud, &name, &id, &wanted).await?;
    Ok(Applied { outputs: outputs([("id", &id), ("version", &version)]), note })
}

fn described(wanted: &Template) -> String {
    format!("{DESCRIPTION}{}", wanted.forwarder)
}

/// What machines are made of. No public address, no role, no key; metadata by token and from the machine alone.
fn data(wanted: &Template, disk: Option<&str>) -> RequestLaunchTemplateData {
    let interface = LaunchTemplateInstanceNetworkInterfaceSpecificationRequest::builder()
        .device_index(0)
        .associate_public_ip_address(false)
        .delete_on_termination(true)
        .set_groups(Some(wanted.security_groups.iter().cloned().collect()))
        .build();
    let metadata = LaunchTemplateInstanceMetadataOptionsRequest::builder()
        .http_endpoint(LaunchTemplateInstanceMetadataEndpointState::Enabled)
        .http_tokens(LaunchTemplateHttpTokensState::Required)
        .http_put_response_hop_limit(1)
        .build();
    let disks = disk.map(|device| {
        let ebs = LaunchTemplateEbsBlockDeviceRequest::builder()
            .encrypted(true)
            .delete_on_termination(true)
            .volume_type(VolumeType::Gp3)
            .build();
        vec![LaunchTemplateBlockDeviceMappingRequest::builder().device_name(device).ebs(ebs).build()]
    });
    RequestLaunchTemplateData::builder()
        .image_id(&wanted.image)
        .instance_type(InstanceType::from(wanted.size.as_str()))
        .network_interfaces(interface)
        .metadata_options(metadata)
        .set_block_device_mappings(disks)
        .set_user_data(wanted.user_data.as_ref().map(base64::encode))
        .build()
}

/// What is there under our name, if it is ours; else the conflict.
async fn ours_of_that_name(
    cloud: &Cloud<'_>,
    step: &Step<'_>,
    name: &str,
    conflict: Error,
) -> Result<String, Error> {
    let found = listed(cloud, name, CREATE).await?;
    let tags = tags_of(found.tags());
    let proof = ownership::proof_under_name(&tags, step.deployment, name);
    match (proof, found.launch_template_id()) {
        (Some(proof), Some(id)) if proof.address == step.action.address => Ok(id.to_owned()),
        _ => Err(conflict.with_hint(format!(
            "something else is called {name}: {}",
            ownership::why_not(&tags, step.deployment, &step.action.address)
        ))),
    }
}

/// The template of this name, as soon as a list shows it.
async fn listed(cloud: &Cloud<'_>, name: &str, operation: Operation) -> Result<LaunchTemplate, Error> {
    let until = Until { operation: operation.name, subject: name, what: "shown", limit: SHOWS_WITHIN };
    cloud
        .context
        .until(until, || async {
            let found = launch_templates::template(cloud, name).await?;
            Ok(found.map_or_else(|| Poll::Pending("not listed yet".to_owned()), Poll::Ready))
        })
        .await
}

/// The number of the version that machines are made from, made where it is not there yet.
async fn finished(cloud: &Cloud<'_>, id: &str, wanted: &Template) -> Result<String, Error> {
    let first = shown(cloud, id, |versions| versions.first().cloned()).await?;
    let there = launch_templates::versions(cloud, id).await?;
    if whole(&there).is_none() {
        let draft = first.version_number().unwrap_or(1);
        let image = launch_templates::resolved_image(cloud, id, draft).await?.ok_or_else(|| {
            let message = format!("{} names no image that this account and region can see", wanted.image);
            Error::new(ErrorKind::Invalid, CREATE_VERSION.name, id, message).with_hint(
                "`forwarder.image` takes an AMI id, or the parameter of one: `resolve:ssm:/images/forwarder`",
            )
        })?;
        let disk = root_device(cloud, wanted, &image).await?;
        cloud
            .create(CREATE_VERSION, id, || {
                let request = cloud.reach.ec2.create_launch_template_version().launch_template_id(id);
                // The same whenever it is sent: a template has one such version.
                let request = request.client_token(format!("{id}-{}", wanted.forwarder));
                let request = request.version_description(described(wanted));
                request.launch_template_data(data(wanted, Some(&disk))).send()
            })
            .await?;
    }
    let version = shown(cloud, id, |versions| whole(versions).cloned()).await?;
    let made = Template { tags: wanted.tags.clone(), ..Template::of(&version, &ownership::TagMap::new()) };
    if made != (Template { user_data: None, ..wanted.clone() }) {
        let message = "it is there with other settings, which cannot be changed";
        return Err(Error::new(ErrorKind::Conflict, CREATE.name, id, message)
            .with_hint("run the same command again: the plan then replaces it"));
    }
    Ok(version.version_number().unwrap_or_default().to_string())
}

/// A version, as soon as a read shows it.
async fn shown(
    cloud: &Cloud<'_>,
    id: &str,
    choose: impl Fn(&[LaunchTemplateVersion]) -> Option<LaunchTemplateVersion>,
) -> Result<LaunchTemplateVersion, Error> {
    let until = Until { operation: CREATE_VERSION.name, subject: id, what: "shown", limit: SHOWS_WITHIN };
    let choose = &choose;
    cloud
        .context
        .until(until, || async move {
            let versions = launch_templates::versions(cloud, id).await?;
            Ok(choose(&versions)
                .map_or_else(|| Poll::Pending("the version does not show yet".to_owned()), Poll::Ready))
        })
        .await
}

/// The device of an image's root disk. An image that machines of this size cannot run from is an error.
async fn root_device(cloud: &Cloud<'_>, wanted: &Template, id: &str) -> Result<String, Error> {
    let found = launch_templates::images(cloud, &BTreeSet::from([id.to_owned()])).await?;
    let image: Option<Image> = found.get(id).map(gather::image);
    let name = if wanted.image == id { id.to_owned() } else { format!("{id} (of {})", wanted.image) };
    if let Some(why) = forwarders::unfit(&name, image.as_ref(), &wanted.size) {
        return Err(Error::new(ErrorKind::Invalid, "DescribeImages", id, why)
            .with_hint("give another `forwarder.image` or `forwarder.size`"));
    }
    Ok(image.map(|image| image.root_device).unwrap_or_default())
}

// Update.

pub(crate) async fn update(cloud: &Cloud<'_>, step: &Step<'_>) -> Result<Applied, Error> {
    let wanted = Template::from_fields(step.fields)?;
    let id = live_id(step)?;
    let generation = step.action.generation.unwrap_or(Generation::A);
    let name = ownership::cloud_name(step.deployment, &step.action.address, generation);
    converge(cloud, &name, &id, &wanted).await?;
    let version = shown(cloud, &id, |versions| whole(versions).cloned()).await?;
    let version = version.version_number().unwrap_or_default().to_string();
    Ok(Applied { outputs: outputs([("id", &id), ("version", &version)]), note: None })
}

/// Writes the tags where they differ, and returns when a list shows them.
async fn converge(cloud: &Cloud<'_>, name: &str, id: &str, wanted: &Template) -> Result<(), Error> {
    let mut written = false;
    let until = Until { operation: CREATE.name, subject: id, what: "tagged", limit: SHOWS_WITHIN };
    loop {
        let there = cloud
            .context
            .until(until, || async {
                let there = ownership::managed_tags(&tags_of(listed(cloud, name, CREATE).await?.tags()));
                Ok(if there == wanted.tags || !written {
                    Poll::Ready(there)
                } else {
                    Poll::Pending("the tags do not show yet".to_owned())
                })
            })
            .await?;
        if there == wanted.tags {
            return Ok(());
        }
        tagging::retag_ec2(cloud, id, &ownership::retag(&there, &wanted.tags)).await?;
        written = true;
    }
}

// Delete.

pub(crate) async fn delete(cloud: &Cloud<'_>, step: &Step<'_>) -> Result<Applied, Error> {
    let id = live_id(step)?;
    let sent = cloud
        .call(DELETE, &id, Replay::Safe, || {
            cloud.reach.ec2.delete_launch_template().launch_template_id(&id).send()
        })
        .await;
    gone_is_fine(sent.map(|_| ()))?;
    let generation = step.action.generation.unwrap_or(Generation::A);
    let name = ownership::cloud_name(step.deployment, &step.action.address, generation);
    let until = Until { operation: DELETE.name, subject: &id, what: "gone", limit: SHOWS_WITHIN };
    cloud
        .context
        .until(until, || async {
            let there = launch_templates::template(cloud, &name).await?;
            let there = there.is_some_and(|there| there.launch_template_id() == Some(id.as_str()));
            Ok(if there { Poll::Pending("still listed".to_owned()) } else { Poll::Ready(()) })
        })
        .await?;
    Ok(Applied::default())
}
