//! Launch templates as wholes.
//!
//! Sources: API reference of Create/Describe/Modify/DeleteLaunchTemplate(s); EC2's "Error codes" page (InvalidLaunchTemplate…).

use std::collections::BTreeMap;

use serde::Deserialize;
use serde_json::{Value, json};

use super::listing::{Ask, Kind, Noun, one};
use super::tagging::{TagSpecification, shown, specified, write};
use super::template_data;
use crate::aws::call::{Call, Tx};
use crate::aws::error::{ApiError, Reply};
use crate::aws::filter::Filters;
use crate::aws::ids::fresh;
use crate::aws::world::{LaunchTemplate, TemplateVersion, World, wire_time};

const TEMPLATE: Noun = Noun {
    prefix: "lt",
    what: "launch template ID",
    missing: "InvalidLaunchTemplateId.NotFound",
    malformed: "InvalidLaunchTemplateId.Malformed",
};

/// How many launch templates an account may have in a region.
const QUOTA: usize = 5000;

/// Which template a request means: its id or its name, not both.
#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
pub(super) struct Which {
    launch_template_id: Option<String>,
    launch_template_name: Option<String>,
}

impl Which {
    /// Whether the request names a template at all.
    pub(super) fn is_given(&self) -> bool {
        self.launch_template_id.is_some() || self.launch_template_name.is_some()
    }

    pub(super) fn find<'w>(&self, world: &'w World, call: &Call) -> Result<&'w LaunchTemplate, ApiError> {
        match (&self.launch_template_id, &self.launch_template_name) {
            (Some(id), None) => by_id(world, call, id),
            (None, Some(name)) => by_name(world, call, name),
            (Some(_), Some(_)) => {
                let why = "You must specify either the launch template ID or the launch template name, but not both";
                Err(ApiError::new("InvalidParameterCombination", why))
            }
            (None, None) => {
                let why = "The request must contain the parameter LaunchTemplateId or LaunchTemplateName";
                Err(ApiError::new("MissingParameter", why))
            }
        }
    }
}

fn by_id<'w>(world: &'w World, call: &Call, id: &str) -> Result<&'w LaunchTemplate, ApiError> {
    let found = world.launch_templates.get(id).filter(|template| template.scope == call.scope);
    found.ok_or_else(|| TEMPLATE.error(id))
}

fn by_name<'w>(world: &'w World, call: &Call, name: &str) -> Result<&'w LaunchTemplate, ApiError> {
    check_name(name)?;
    let mut all = world.launch_templates.values();
    all.find(|template| template.scope == call.scope && template.name == name).ok_or_else(|| {
        let why = format!("The specified launch template, with template name {name}, does not exist.");
        ApiError::new("InvalidLaunchTemplateName.NotFoundException", why)
    })
}

fn check_name(name: &str) -> Result<(), ApiError> {
    let allowed = |c: char| c.is_ascii_alphanumeric() || "().-/_".contains(c);
    if !(3..=128).contains(&name.len()) || !name.chars().all(allowed) {
        let why = "A launch template name must be between 3 and 128 characters, and may contain letters, numbers, and \
                   the following characters: ( ) . / _ -";
        return Err(ApiError::new("InvalidLaunchTemplateName.MalformedException", why));
    }
    Ok(())
}

/// A template as answers show it.
fn show(tx: &Tx, template: &LaunchTemplate) -> Value {
    json!({
        "LaunchTemplateId": template.id,
        "LaunchTemplateName": template.name,
        "CreateTime": wire_time(template.created),
        "CreatedBy": template.created_by,
        "DefaultVersionNumber": template.default_version,
        "LatestVersionNumber": template.latest_version,
        "Tags": shown(tx, &template.id),
        "Operator": {"Managed": false},
    })
}

/// What will fail when an instance is launched is a warning when a template is made.
pub(super) fn warning(tx: &Tx, call: &Call, data: &Value) -> Value {
    match template_data::launchable(tx, &call.scope, data, None) {
        // What is missing may be given at launch.
        Err(error) if error.code != "MissingParameter" => {
            json!({"Errors": [{"Code": error.code, "Message": error.message}]})
        }
        _ => Value::Null,
    }
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Create {
    launch_template_name: String,
    version_description: Option<String>,
    launch_template_data: Value,
    #[serde(default)]
    tag_specifications: Vec<TagSpecification>,
}

pub(super) fn create(tx: &mut Tx, call: &Call) -> Reply {
    let input: Create = call.input()?;
    check_name(&input.launch_template_name)?;
    template_data::check(&input.launch_template_data)?;
    let tags = specified(&input.tag_specifications, "launch-template")?;
    let mine: Vec<&LaunchTemplate> =
        tx.launch_templates.values().filter(|template| template.scope == call.scope).collect();
    if mine.iter().any(|template| template.name == input.launch_template_name) {
        let why = "Launch template name already in use.";
        return Err(ApiError::new("InvalidLaunchTemplateName.AlreadyExistsException", why));
    }
    if mine.len() >= QUOTA {
        let why = format!("The maximum number of launch templates, {QUOTA}, is reached");
        return Err(ApiError::new("LaunchTemplateLimitExceeded", why));
    }
    let version = TemplateVersion {
        description: input.version_description,
        created_by: call.caller.arn.clone(),
        created: call.now,
        data: input.launch_template_data,
    };
    let warning = warning(tx, call, &version.data);
    let template = LaunchTemplate {
        scope: call.scope.clone(),
        id: fresh("lt"),
        name: input.launch_template_name,
        created_by: call.caller.arn.clone(),
        created: call.now,
        default_version: 1,
        latest_version: 1,
        versions: BTreeMap::from([(1, version)]),
    };
    tx.launch_templates.insert(template.id.clone(), template.clone());
    write(tx, call, &template.id, &tags);
    Ok(json!({"LaunchTemplate": show(tx, &template), "Warning": warning}))
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Describe {
    #[serde(default)]
    launch_template_ids: Vec<String>,
    #[serde(default)]
    launch_template_names: Vec<String>,
    #[serde(default)]
    filters: Filters,
    max_results: Option<usize>,
    next_token: Option<String>,
}

pub(super) fn describe(tx: &mut Tx, call: &Call) -> Reply {
    let Describe { launch_template_ids: mut ids, launch_template_names, filters, max_results, next_token } =
        call.input()?;
    if !ids.is_empty() && !launch_template_names.is_empty() {
        let why = "You must specify either launch template IDs or launch template names, but not both";
        return Err(ApiError::new("InvalidParameterCombination", why));
    }
    for name in &launch_template_names {
        let found = by_name(tx, call, name).map_err(|error| ApiError {
            message: "At least one of the launch templates specified in the request does not exist."
                .to_owned(),
            ..error
        })?;
        ids.push(found.id.clone());
    }
    let ask = Ask { ids, filters, max_results, next_token };
    let kind = Kind {
        noun: &TEMPLATE,
        filters: &["create-time", "launch-template-name"],
        id: |template: &LaunchTemplate| &template.id,
        created: |template| Some(template.created),
    };
    let mine = tx.launch_templates.values().filter(|template| template.scope == call.scope);
    let page = kind.list(tx, call, &ask, mine, |template, name| match name {
        "create-time" => one(wire_time(template.created)),
        _ => one(&template.name),
    })?;
    let templates: Vec<Value> = page.items.iter().map(|template| show(tx, template)).collect();
    Ok(json!({"LaunchTemplates": templates, "NextToken": page.next}))
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Modify {
    #[serde(flatten)]
    which: Which,
    /// The wire calls it `SetDefaultVersion`.
    default_version: Option<String>,
}

pub(super) fn modify(tx: &mut Tx, call: &Call) -> Reply {
    let input: Modify = call.input()?;
    let template = input.which.find(tx, call)?;
    let Some(wanted) = input.default_version else {
        return Err(ApiError::new(
            "MissingParameter",
            "The request must contain the parameter SetDefaultVersion",
        ));
    };
    let (number, _) = template.version(Some(&wanted)).ok_or_else(|| no_version(template, &wanted))?;
    let id = template.id.clone();
    if let Some(template) = tx.launch_templates.get_mut(&id) {
        template.default_version = number;
    }
    let shown = by_id(tx, call, &id).map(|template| show(tx, template))?;
    Ok(json!({"LaunchTemplate": shown}))
}

/// The error for a version that a template does not have.
pub(super) fn no_version(template: &LaunchTemplate, wanted: &str) -> ApiError {
    let why = format!(
        "Could not find the specified version {wanted} for the launch template with ID {}.",
        template.id
    );
    ApiError::new("InvalidLaunchTemplateId.VersionNotFound", why)
}

/// A group may still name it: its next launch will fail.
pub(super) fn delete(tx: &mut Tx, call: &Call) -> Reply {
    let which: Which = call.input()?;
    let template = which.find(tx, call)?.clone();
    let shown = show(tx, &template);
    tx.launch_templates.remove(&template.id);
    tx.tags.forget(&template.id);
    Ok(json!({"LaunchTemplate": shown}))
}
