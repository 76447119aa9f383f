//! How the forwarder machines are made: image, size, what they run, and what they do not have.
//!
//! A version of a template never changes, and the group names its version: whatever is added to the template later counts for
//! nothing. Another setting is another template.

mod change;

use std::collections::{BTreeMap, BTreeSet};

use aws_sdk_ec2::types::{
    LaunchTemplateHttpTokensState, LaunchTemplateVersion, ResponseLaunchTemplateData as Data,
};
use privnet_core::kind::{Change, Shape};
use privnet_core::spec::Service;
use privnet_core::spec::aws::AwsService;
use privnet_core::{
    Address, Error, Field, Health, Kind, Live, Lowered, Origin, Ownership, Replacement, Value,
};

use crate::fields::Fields;
use crate::forwarders;
use crate::kinds::{LAUNCH_TEMPLATE, outputs, security_group};
use crate::lower::Lowering;
use crate::observe::Snapshot;
use crate::ownership::{self, TagMap};

pub(crate) use change::{create, delete, update};

/// The description of the version that machines are made from; the fingerprint of what they run follows. It cannot be changed.
const DESCRIPTION: &str = "privnet forwarder ";

// The type.

#[derive(Clone, Debug, PartialEq, Eq)]
struct Template {
    /// An AMI id, or `resolve:ssm:` and a parameter's name: a newer image behind it is no difference.
    image: String,
    size: String,
    security_groups: BTreeSet<String>,
    /// The fingerprint of what they run.
    forwarder: String,
    /// Whether they have all that a forwarder must not lack: metadata by token and from the machine itself alone, an encrypted
    /// disk, no public address, no role and no key.
    hardened: bool,
    /// What they run, when it is made.
    user_data: Option<String>,
    tags: TagMap,
}

impl Template {
    fn from_fields(values: &BTreeMap<String, Value>) -> Result<Self, Error> {
        let fields = Fields::new(LAUNCH_TEMPLATE, values);
        Ok(Self {
            image: fields.text("image")?,
            size: fields.text("size")?,
            security_groups: fields.texts("security_groups")?,
            forwarder: fields.text("forwarder")?,
            hardened: fields.flag("hardened")?,
            user_data: fields.text_if_any("user_data")?,
            tags: fields.text_map("tags")?,
        })
    }

    fn to_fields(&self) -> BTreeMap<String, Value> {
        BTreeMap::from([
            ("image".to_owned(), Value::text(&self.image)),
            ("size".to_owned(), Value::text(&self.size)),
            ("security_groups".to_owned(), Value::texts(&self.security_groups)),
            ("forwarder".to_owned(), Value::text(&self.forwarder)),
            ("hardened".to_owned(), Value::Bool(self.hardened)),
            ("user_data".to_owned(), self.user_data.clone().into()),
            ("tags".to_owned(), Value::text_map(&self.tags)),
        ])
    }

    fn of(version: &LaunchTemplateVersion, tags: &TagMap) -> Self {
        let data = version.launch_template_data().cloned().unwrap_or_else(|| Data::builder().build());
        let interface = data.network_interfaces().first();
        Self {
            image: data.image_id().unwrap_or_default().to_owned(),
            size: data.instance_type().map_or("", |size| size.as_str()).to_owned(),
            security_groups: interface
                .map(|interface| interface.groups().iter().cloned().collect())
                .unwrap_or_default(),
            forwarder: fingerprint(version).unwrap_or_default().to_owned(),
            hardened: is_hardened(&data),
            user_data: None,
            tags: ownership::managed_tags(tags),
        }
    }
}

/// The fingerprint of what machines of this version run; nothing where it is no version of privnet's, or not the last step of one.
fn fingerprint(version: &LaunchTemplateVersion) -> Option<&str> {
    version.version_description()?.strip_prefix(DESCRIPTION)
}

/// The version that machines are made from: the first one that is whole.
fn whole(versions: &[LaunchTemplateVersion]) -> Option<&LaunchTemplateVersion> {
    versions.iter().find(|version| fingerprint(version).is_some())
}

/// The fingerprint of what machines of a template of these versions run.
pub(crate) fn runs(versions: &[LaunchTemplateVersion]) -> Option<String> {
    whole(versions).and_then(fingerprint).map(str::to_owned)
}

fn is_hardened(data: &Data) -> bool {
    let metadata = data.metadata_options();
    let by_token = metadata.and_then(|options| options.http_tokens())
        == Some(&LaunchTemplateHttpTokensState::Required)
        && metadata.and_then(|options| options.http_put_response_hop_limit()) == Some(1);
    let disks = data.block_device_mappings();
    let encrypted = !disks.is_empty()
        && disks.iter().all(|disk| disk.ebs().and_then(|ebs| ebs.encrypted()) == Some(true));
    let interfaces = data.network_interfaces();
    let private = !interfaces.is_empty()
        && interfaces.iter().all(|interface| interface.associate_public_ip_address() == Some(false));
    by_token && encrypted && private && data.iam_instance_profile().is_none() && data.key_name().is_none()
}

// The table.

pub(crate) const KIND: Kind = Kind {
    name: LAUNCH_TEMPLATE,
    title: "launch template",
    fields: &[
        Field::managed("image").on_change(Change::Replace),
        Field::managed("size").on_change(Change::Replace),
        Field::managed("security_groups").on_change(Change::Replace).shaped(Shape::Set),
        Field::managed("forwarder").on_change(Change::Replace).naming_targets(),
        Field::managed("hardened").on_change(Change::Replace),
        Field::observed("user_data"),
        Field::managed("tags"),
    ],
    replacement: Replacement::CreateFirst,
    teardown_rank: 55,
    severs: false,
    serialized_by: &[],
    telling: &["version"],
};

// Lower.

/// The address of a service's template.
pub(crate) fn address(service: &str) -> Address {
    Address::new(service, LAUNCH_TEMPLATE, "main")
}

pub(crate) fn named(service: &Service, aws: &AwsService) -> Option<Address> {
    forwarders::of(aws).map(|_| address(service.name.as_str()))
}

pub(crate) fn lower(lowering: &Lowering<'_>, lowered: &mut Lowered) {
    let Some(machines) = forwarders::of(lowering.aws) else { return };
    let address = address(lowering.name());
    let Some(rendered) = forwarders::lower(lowering, &address, lowered) else { return };
    let wanted = Template {
        image: machines.image(),
        size: machines.asked.size.clone(),
        security_groups: BTreeSet::new(),
        forwarder: rendered.fingerprint,
        hardened: true,
        user_data: Some(rendered.cloud_init),
        tags: lowering.spec.tags.clone(),
    };
    let mut fields = wanted.to_fields();
    let group = Value::output(&security_group::forwarders(lowering.name()), "id");
    fields.insert("security_groups".to_owned(), Value::list([group]));
    lowered.resources.push(lowering.resource(address, Origin::Owned, fields, BTreeSet::new()));
}

// Observe.

pub(crate) fn live(snapshot: &Snapshot<'_>) -> Vec<Live> {
    let templates = snapshot.machines.templates.iter().filter_map(|seen| {
        let id = seen.described.launch_template_id()?.to_owned();
        let version = whole(&seen.versions).filter(|_| seen.claim.ownership == Ownership::Ours);
        let number = version.and_then(|version| version.version_number()).unwrap_or_default().to_string();
        Some(Live {
            address: seen.claim.address.clone(),
            generation: Some(seen.claim.generation),
            scope: snapshot.reach.scope.clone(),
            fields: version.map(|version| Template::of(version, &seen.tags).to_fields()).unwrap_or_default(),
            outputs: outputs([("id", &id), ("version", &number)]),
            id,
            ownership: seen.claim.ownership.clone(),
            health: Health::Ready,
        })
    });
    templates.collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn template() -> Template {
        Template {
            image: "resolve:ssm:/images/forwarder".to_owned(),
            size: "t3.small".to_owned(),
            security_groups: BTreeSet::from(["sg-1".to_owned()]),
            forwarder: "0123456789abcdef".to_owned(),
            hardened: true,
            user_data: Some("#cloud-config\n".to_owned()),
            tags: TagMap::from([("a".to_owned(), "b".to_owned())]),
        }
    }

    #[test]
    fn round_trips_through_values() {
        let fields = template().to_fields();
        assert_eq!(Template::from_fields(&fields).unwrap(), template());
        crate::kinds::tests::assert_in_table(&KIND, &fields);
    }

    #[test]
    fn only_a_whole_version_counts_and_the_first_of_them() {
        let version = |number: i64, description: &str| {
            LaunchTemplateVersion::builder().version_number(number).version_description(description).build()
        };
        let all =
            [version(1, "a draft"), version(2, "privnet forwarder abc"), version(3, "privnet forwarder def")];
        assert_eq!(whole(&all).and_then(|version| version.version_number()), Some(2));
        assert_eq!(whole(&all).and_then(fingerprint), Some("abc"));
        assert!(whole(&all[..1]).is_none());
    }

    #[test]
    fn what_lacks_anything_is_not_hardened() {
        assert!(!is_hardened(&Data::builder().build()));
    }
}
