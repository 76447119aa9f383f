//! The versions of launch templates.
//!
//! Sources: API reference of Create/Describe/DeleteLaunchTemplateVersion(s); EC2 user guide, "Use a Systems Manager parameter
//! instead of an AMI ID".

use serde::Deserialize;
use serde_json::{Value, json};

use super::launch_templates::{Which, no_version, warning};
use super::listing::one;
use super::template_data;
use crate::aws::call::{Call, Tx};
use crate::aws::error::{ApiError, Reply};
use crate::aws::filter::Filters;
use crate::aws::page::page;
use crate::aws::world::{LaunchTemplate, TemplateVersion, wire_time};

/// How many versions a template may have.
const QUOTA: usize = 10_000;

/// A version as answers show it; with `resolve`, the image that its parameter names now.
fn show(
    tx: &Tx,
    call: &Call,
    template: &LaunchTemplate,
    number: i64,
    resolve: bool,
) -> Result<Value, ApiError> {
    let Some(version) = template.versions.get(&number) else {
        return Err(no_version(template, &number.to_string()));
    };
    let mut data = version.data.clone();
    if let Some(wanted) = data["ImageId"].as_str().filter(|_| resolve) {
        let image = tx.image_id(&call.scope.region, wanted).ok_or_else(|| {
            let why = format!("Systems Manager parameter {wanted} does not exist or names no image");
            ApiError::new("InvalidParameterValue", why)
        })?;
        data["ImageId"] = Value::from(image);
    }
    Ok(json!({
        "LaunchTemplateId": template.id,
        "LaunchTemplateName": template.name,
        "VersionNumber": number,
        "VersionDescription": version.description,
        "CreateTime": wire_time(version.created),
        "CreatedBy": version.created_by,
        "DefaultVersion": number == template.default_version,
        "LaunchTemplateData": data,
        "Operator": {"Managed": false},
    }))
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Create {
    #[serde(flatten)]
    which: Which,
    source_version: Option<String>,
    version_description: Option<String>,
    launch_template_data: Value,
    #[serde(default)]
    resolve_alias: bool,
}

pub(super) fn create(tx: &mut Tx, call: &Call) -> Reply {
    let input: Create = call.input()?;
    let template = input.which.find(tx, call)?.clone();
    let mut data = input.launch_template_data;
    if let Some(wanted) = &input.source_version {
        let (_, source) = template.version(Some(wanted)).ok_or_else(|| no_version(&template, wanted))?;
        // What is given stands over what is inherited, member by member.
        let mut inherited = source.data.clone();
        if let (Some(under), Some(over)) = (inherited.as_object_mut(), data.as_object_mut()) {
            under.append(over);
        }
        data = inherited;
    }
    template_data::check(&data)?;
    if template.versions.len() >= QUOTA {
        let why = format!("The maximum number of versions of a launch template, {QUOTA}, is reached");
        return Err(ApiError::new("VersionLimitExceeded", why));
    }
    let warning = warning(tx, call, &data);
    let number = template.latest_version + 1;
    let version = TemplateVersion {
        description: input.version_description,
        created_by: call.caller.arn.clone(),
        created: call.now,
        data,
    };
    let mut changed = template;
    changed.versions.insert(number, version);
    changed.latest_version = number;
    let shown = show(tx, call, &changed, number, input.resolve_alias)?;
    tx.launch_templates.insert(changed.id.clone(), changed);
    Ok(json!({"LaunchTemplateVersion": shown, "Warning": warning}))
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Describe {
    #[serde(flatten)]
    which: Which,
    #[serde(default)]
    versions: Vec<String>,
    min_version: Option<String>,
    max_version: Option<String>,
    #[serde(default)]
    filters: Filters,
    #[serde(default)]
    resolve_alias: bool,
    max_results: Option<usize>,
    next_token: Option<String>,
}

const FILTERS: [&str; 8] = [
    "create-time",
    "http-tokens",
    "iam-instance-profile",
    "image-id",
    "instance-type",
    "is-default-version",
    "kernel-id",
    "network-card-index",
];

pub(super) fn describe(tx: &mut Tx, call: &Call) -> Reply {
    let input: Describe = call.input()?;
    input.filters.check(&FILTERS, false)?;
    let mut found: Vec<(&LaunchTemplate, i64)> =
        if input.which.is_given() { of_one(tx, call, &input)? } else { of_all(tx, call, &input.versions)? };
    found.retain(|(template, number)| {
        template.versions.get(number).is_some_and(|version| {
            input.filters.matches(tx, call, "", |name| field(template, *number, version, name))
        })
    });
    let key = |(template, number): &(&LaunchTemplate, i64)| {
        // The newest first, as the service answers them.
        format!("{} {:020}", template.id, i64::MAX - number)
    };
    found.sort_by_key(key);
    let page = page(found, key, call, input.max_results, input.next_token.as_deref())?;
    let shown: Result<Vec<Value>, ApiError> = page
        .items
        .iter()
        .map(|(template, number)| show(tx, call, template, *number, input.resolve_alias))
        .collect();
    Ok(json!({"LaunchTemplateVersions": shown?, "NextToken": page.next}))
}

fn field(template: &LaunchTemplate, number: i64, version: &TemplateVersion, name: &str) -> Vec<String> {
    let text = |value: &Value| value.as_str().map(one).unwrap_or_default();
    match name {
        "create-time" => one(wire_time(version.created)),
        "http-tokens" => text(&version.data["MetadataOptions"]["HttpTokens"]),
        "iam-instance-profile" => text(&version.data["IamInstanceProfile"]["Arn"]),
        "image-id" => text(&version.data["ImageId"]),
        "instance-type" => text(&version.data["InstanceType"]),
        "is-default-version" => one(number == template.default_version),
        _ => Vec::new(),
    }
}

/// Versions of the template that is named: those that are named, or all within the bounds.
fn of_one<'w>(tx: &'w Tx, call: &Call, input: &Describe) -> Result<Vec<(&'w LaunchTemplate, i64)>, ApiError> {
    let template = input.which.find(tx, call)?;
    let number = |wanted: &String| {
        template.version(Some(wanted)).map(|(number, _)| number).ok_or_else(|| no_version(template, wanted))
    };
    if !input.versions.is_empty() {
        if input.min_version.is_some() || input.max_version.is_some() {
            let why = "Versions cannot be combined with MinVersion or MaxVersion";
            return Err(ApiError::new("InvalidParameterCombination", why));
        }
        let mut numbers = input.versions.iter().map(number).collect::<Result<Vec<i64>, _>>()?;
        numbers.sort_unstable();
        numbers.dedup();
        return Ok(numbers.into_iter().map(|number| (template, number)).collect());
    }
    let bound = |wanted: &Option<String>, otherwise: i64| match wanted {
        Some(wanted) => {
            wanted.parse().map_err(|_| ApiError::bad_value("MinVersion", wanted, "A version is a number."))
        }
        None => Ok(otherwise),
    };
    let (low, high) = (bound(&input.min_version, 1)?, bound(&input.max_version, i64::MAX)?);
    let within = template.versions.keys().filter(|number| (low..=high).contains(number));
    Ok(within.map(|number| (template, *number)).collect())
}

/// The latest and the default versions of all templates.
fn of_all<'w>(
    tx: &'w Tx,
    call: &Call,
    versions: &[String],
) -> Result<Vec<(&'w LaunchTemplate, i64)>, ApiError> {
    if versions.is_empty() {
        let why = "The request must contain the parameter LaunchTemplateId, LaunchTemplateName or LaunchTemplateVersion";
        return Err(ApiError::new("MissingParameter", why));
    }
    if let Some(wrong) = versions.iter().find(|version| !matches!(version.as_str(), "$Latest" | "$Default")) {
        let why = "Without a launch template, versions are $Latest and $Default.";
        return Err(ApiError::bad_value("LaunchTemplateVersion", wrong, why));
    }
    let mine = tx.launch_templates.values().filter(|template| template.scope == call.scope);
    let mut found: Vec<(&LaunchTemplate, i64)> = mine
        .filter(|template| call.listed(template.created))
        .flat_map(|template| {
            versions
                .iter()
                .filter_map(move |v| template.version(Some(v)).map(|(number, _)| (template, number)))
        })
        .collect();
    found.dedup_by_key(|(template, number)| (template.id.clone(), *number));
    Ok(found)
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Delete {
    #[serde(flatten)]
    which: Which,
    versions: Vec<String>,
}

/// Each version by itself: HTTP 200 with failures inside.
pub(super) fn delete(tx: &mut Tx, call: &Call) -> Reply {
    let input: Delete = call.input()?;
    let mut template = input.which.find(tx, call)?.clone();
    if input.versions.len() > 200 {
        let why = "You can delete up to 200 launch template versions in a single request.";
        return Err(ApiError::new("InvalidParameterValue", why));
    }
    let (mut done, mut failed) = (Vec::new(), Vec::new());
    for wanted in &input.versions {
        let number: i64 = wanted.parse().map_err(|_| {
            ApiError::bad_value("LaunchTemplateVersion", wanted, "The version must be a version number.")
        })?;
        let mut entry = json!({
            "LaunchTemplateId": template.id, "LaunchTemplateName": template.name, "VersionNumber": number,
        });
        let why = if number == template.default_version {
            ("unexpectedError", format!("Version {number} is the default version and cannot be deleted."))
        } else if template.versions.remove(&number).is_none() {
            ("launchTemplateVersionDoesNotExist", format!("Version {number} does not exist."))
        } else {
            done.push(entry);
            continue;
        };
        entry["ResponseError"] = json!({"Code": why.0, "Message": why.1});
        failed.push(entry);
    }
    tx.launch_templates.insert(template.id.clone(), template);
    Ok(json!({
        "SuccessfullyDeletedLaunchTemplateVersions": done,
        "UnsuccessfullyDeletedLaunchTemplateVersions": failed,
    }))
}
