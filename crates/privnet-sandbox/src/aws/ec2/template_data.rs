//! What a launch template says: what is refused at once, and what turns out when an instance is launched with it.
//!
//! Sources: API reference of CreateLaunchTemplate ("parameters are not fully validated when you create the launch template")
//! and RunInstances; EC2's "Error codes" page; EC2 user guide, "Instance user data" (16 KB before encoding).

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use serde::Deserialize;
use serde_json::Value;

use crate::aws::error::ApiError;
use crate::aws::ids::well_formed;
use crate::aws::world::{Image, Scope, Subnet, World};

/// The largest user data, before it is encoded.
const USER_DATA: usize = 16 * 1024;
/// What instances' own tags can be for.
const TAGGED_AT_LAUNCH: [&str; 4] = ["instance", "network-interface", "spot-instances-request", "volume"];

/// The part of a template's data that the sandbox acts on.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(rename_all = "PascalCase", default)]
pub(crate) struct Data {
    pub(crate) image_id: Option<String>,
    pub(crate) instance_type: Option<String>,
    pub(crate) key_name: Option<String>,
    pub(crate) user_data: Option<String>,
    pub(crate) security_group_ids: Vec<String>,
    pub(crate) security_groups: Vec<String>,
    pub(crate) network_interfaces: Vec<NetworkInterface>,
    pub(crate) block_device_mappings: Vec<Mapping>,
    pub(crate) tag_specifications: Vec<Tagged>,
    pub(crate) metadata_options: Option<Value>,
    pub(crate) iam_instance_profile: Option<Value>,
}

#[derive(Debug, Clone, Default, Deserialize)]
#[serde(rename_all = "PascalCase", default)]
pub(crate) struct NetworkInterface {
    pub(crate) associate_public_ip_address: Option<bool>,
    pub(crate) description: Option<String>,
    pub(crate) device_index: Option<i64>,
    pub(crate) groups: Vec<String>,
}

#[derive(Debug, Clone, Default, Deserialize)]
#[serde(rename_all = "PascalCase", default)]
pub(crate) struct Mapping {
    pub(crate) device_name: Option<String>,
    pub(crate) ebs: Option<Disk>,
}

#[derive(Debug, Clone, Default, Deserialize)]
#[serde(rename_all = "PascalCase", default)]
pub(crate) struct Disk {
    pub(crate) volume_size: Option<i64>,
}

#[derive(Debug, Clone, Default, Deserialize)]
#[serde(rename_all = "PascalCase", default)]
pub(crate) struct Tagged {
    pub(crate) resource_type: Option<String>,
    pub(crate) tags: Vec<Tag>,
}

#[derive(Debug, Clone, Default, Deserialize)]
#[serde(rename_all = "PascalCase", default)]
pub(crate) struct Tag {
    pub(crate) key: Option<String>,
    pub(crate) value: Option<String>,
}

impl Data {
    /// Reads a template's data.
    pub(crate) fn read(data: &Value) -> Result<Self, ApiError> {
        serde_json::from_value(data.clone())
            .map_err(|error| ApiError::new("InvalidParameterCombination", error.to_string()))
    }

    /// The security groups of the first interface, or of the instance.
    fn groups(&self) -> &[String] {
        self.network_interfaces.first().map_or(&self.security_group_ids, |interface| &interface.groups)
    }
}

/// Refuses what no template may say.
pub(super) fn check(data: &Value) -> Result<(), ApiError> {
    if data.as_object().is_none_or(serde_json::Map::is_empty) {
        let why = "The request must contain the parameter LaunchTemplateData with at least one value";
        return Err(ApiError::new("MissingParameter", why));
    }
    let data = Data::read(data)?;
    if let Some(image) = &data.image_id
        && !image.starts_with("resolve:ssm:")
        && !well_formed(image, "ami")
    {
        let why = format!("Invalid id: \"{image}\" (expecting \"ami-...\")");
        return Err(ApiError::new("InvalidAMIID.Malformed", why));
    }
    if let Some(text) = &data.user_data {
        let Ok(raw) = STANDARD.decode(text) else {
            return Err(ApiError::new("InvalidUserData.Malformed", "Invalid BASE64 encoding of user data."));
        };
        if raw.len() > USER_DATA {
            let why = format!("User data is limited to {USER_DATA} bytes");
            return Err(ApiError::new("InvalidParameterValue", why));
        }
    }
    for specification in &data.tag_specifications {
        let kind = specification.resource_type.as_deref().unwrap_or_default();
        if !TAGGED_AT_LAUNCH.contains(&kind) {
            let why = format!("'{kind}' is not a valid taggable resource type for this operation.");
            return Err(ApiError::new("InvalidParameterValue", why));
        }
        let reserved = |tag: &&Tag| {
            let key = tag.key.as_deref().unwrap_or_default();
            key.is_empty() || key.to_ascii_lowercase().starts_with("aws:")
        };
        if let Some(tag) = specification.tags.iter().find(reserved) {
            let key = tag.key.clone().unwrap_or_default();
            let why = format!("Tag keys starting with 'aws:' are reserved for internal use: '{key}'");
            return Err(ApiError::new("InvalidParameterValue", why));
        }
    }
    let hops = data.metadata_options.as_ref().and_then(|options| options["HttpPutResponseHopLimit"].as_i64());
    if let Some(hops) = hops.filter(|hops| !(1..=64).contains(hops)) {
        let why = "The value must be between 1 and 64.";
        return Err(ApiError::bad_value("HttpPutResponseHopLimit", hops, why));
    }
    Ok(())
}

/// What an instance would be launched with.
pub(crate) struct Launchable {
    pub(crate) image: Image,
    pub(crate) instance_type: String,
    pub(crate) groups: Vec<String>,
    pub(crate) data: Data,
}

/// What RunInstances would say to a template's data in a region, and in a subnet if one is known.
pub(crate) fn launchable(
    world: &World,
    scope: &Scope,
    data: &Value,
    subnet: Option<&Subnet>,
) -> Result<Launchable, ApiError> {
    let data = Data::read(data)?;
    let Some(wanted) = &data.image_id else {
        let why = "The request must contain the parameter ImageId";
        return Err(ApiError::new("MissingParameter", why));
    };
    let Some(image) = world.image_id(&scope.region, wanted) else {
        let why = format!("Systems Manager parameter {wanted} does not exist or names no image");
        return Err(ApiError::new("InvalidParameterValue", why));
    };
    let Some(image) = world.image(&scope.region, &image) else {
        let why = format!("The image id '[{image}]' does not exist");
        return Err(ApiError::new("InvalidAMIID.NotFound", why));
    };
    let instance_type = check_type(&data, image)?;
    if let Some(key) = &data.key_name {
        // The accounts here have no key pairs, and no instance profiles.
        return Err(ApiError::not_found("InvalidKeyPair.NotFound", "key pair", key));
    }
    if data.iam_instance_profile.is_some() {
        let why = "Value for parameter iamInstanceProfile is invalid. Invalid IAM Instance Profile name";
        return Err(ApiError::new("InvalidParameterValue", why));
    }
    let names_groups = !data.security_group_ids.is_empty() || !data.security_groups.is_empty();
    if names_groups && !data.network_interfaces.is_empty() {
        let why = "Network interfaces and an instance-level security groups may not be specified on the same request";
        return Err(ApiError::new("InvalidParameterCombination", why));
    }
    if !data.security_groups.is_empty() {
        let why = "The parameter groupName cannot be used with the parameter subnet";
        return Err(ApiError::new("InvalidParameterCombination", why));
    }
    let groups = check_groups(world, scope, &data, subnet)?;
    for mapping in &data.block_device_mappings {
        let size = mapping.ebs.as_ref().and_then(|disk| disk.volume_size);
        let is_root = mapping.device_name.as_deref() == Some(&image.root_device);
        if let Some(size) = size.filter(|size| is_root && *size < image.root_size) {
            let why = format!(
                "Volume of size {size}GB is smaller than snapshot '{}', expect size >= {}GB",
                image.id.replacen("ami-", "snap-", 1),
                image.root_size
            );
            return Err(ApiError::new("InvalidBlockDeviceMapping", why));
        }
    }
    Ok(Launchable { image: image.clone(), instance_type, groups, data })
}

fn check_type(data: &Data, image: &Image) -> Result<String, ApiError> {
    let Some(kind) = data.instance_type.clone() else {
        return Err(ApiError::new("MissingParameter", "The request must contain the parameter InstanceType"));
    };
    let Some(architecture) = architecture_of(&kind) else {
        return Err(ApiError::new(
            "InvalidParameterValue",
            format!("Invalid value '{kind}' for InstanceType."),
        ));
    };
    if architecture != image.architecture {
        let why = format!(
            "The architecture '{architecture}' of the specified instance type does not match the architecture '{}' of \
             the specified AMI. Specify an instance type and an AMI that have matching architectures, and try again.",
            image.architecture
        );
        return Err(ApiError::new("InvalidParameterValue", why));
    }
    Ok(kind)
}

/// The groups of the instance's interface; without any, its VPC's default group.
fn check_groups(
    world: &World,
    scope: &Scope,
    data: &Data,
    subnet: Option<&Subnet>,
) -> Result<Vec<String>, ApiError> {
    for id in data.groups() {
        let found = world.groups.get(id).filter(|group| group.scope == *scope);
        let group =
            found.ok_or_else(|| ApiError::not_found("InvalidGroup.NotFound", "security group", id))?;
        if let Some(subnet) = subnet.filter(|subnet| subnet.vpc != group.vpc) {
            let why = format!("Security group {id} and subnet {} belong to different networks.", subnet.id);
            return Err(ApiError::new("InvalidParameter", why));
        }
    }
    if !data.groups().is_empty() {
        return Ok(data.groups().to_vec());
    }
    let of_vpc = |vpc: &String| world.groups.values().find(|g| g.vpc == *vpc && g.name == "default");
    Ok(subnet.and_then(|s| of_vpc(&s.vpc)).map(|group| group.id.clone()).into_iter().collect())
}

/// The letters that families of instance types begin with.
const SERIES: [&str; 22] = [
    "a", "c", "d", "dl", "f", "g", "gr", "h", "hpc", "i", "im", "inf", "is", "m", "p", "r", "t", "trn", "u",
    "vt", "x", "z",
];

/// The architecture of an instance type; `None` when there is no such type.
///
/// Source: EC2 instance types guide, "Naming conventions": series, generation, options (`g` is AWS Graviton), then the size.
fn architecture_of(kind: &str) -> Option<&'static str> {
    let (family, size) = kind.split_once('.')?;
    let (name, _) = family.split_once('-').unwrap_or((family, ""));
    let generation = name.find(|c: char| c.is_ascii_digit())?;
    let (series, rest) = name.split_at(generation);
    let options = rest.trim_start_matches(|c: char| c.is_ascii_digit());
    if !SERIES.contains(&series) || !options.chars().all(|c| c.is_ascii_lowercase()) {
        return None;
    }
    let graviton = options.contains('g') || series == "a";
    let burstable = series == "t";
    let times = size.strip_suffix("xlarge").filter(|n| n.is_empty() || n.parse::<u16>().is_ok_and(|n| n > 1));
    let fits = match size {
        "nano" | "micro" | "small" => burstable,
        // Of Intel's and the older AMD's there is none.
        "medium" => burstable || graviton || options.starts_with('a'),
        "large" => true,
        _ if size == "metal" || size.starts_with("metal-") => !burstable,
        _ => times.is_some_and(|n| !burstable || matches!(n, "" | "2")),
    };
    fits.then_some(if graviton { "arm64" } else { "x86_64" })
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn instance_types_have_an_architecture() {
        for (kind, architecture) in [
            ("t4g.nano", Some("arm64")),
            ("m7g.medium", Some("arm64")),
            ("t3.small", Some("x86_64")),
            ("c7i-flex.large", Some("x86_64")),
            ("c8gn.metal-24xl", Some("arm64")),
            ("g5.xlarge", Some("x86_64")),
            ("m8i.96xlarge", Some("x86_64")),
            ("m5.medium", None),
            ("t3.4xlarge", None),
            ("q9.large", None),
            ("m7g.1xlarge", None),
            ("m5", None),
        ] {
            assert_eq!(architecture_of(kind), architecture, "{kind}");
        }
    }

    #[test]
    fn user_data_is_measured_before_it_is_encoded() {
        let with = |bytes: usize| json!({"UserData": STANDARD.encode(vec![b'x'; bytes])});
        assert_eq!(check(&with(16 * 1024)), Ok(()));
        assert_eq!(check(&with(16 * 1024 + 1)).unwrap_err().code, "InvalidParameterValue");
        let bad = json!({"UserData": "#cloud-config"});
        assert_eq!(check(&bad).unwrap_err().code, "InvalidUserData.Malformed");
        assert_eq!(check(&json!({})).unwrap_err().code, "MissingParameter");
    }
}
