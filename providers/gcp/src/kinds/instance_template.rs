//! What forwarder machines are made from (<https://cloud.google.com/compute/docs/instance-templates>). It cannot be changed: every
//! difference makes another one.
//!
//! Machines forward IP and have no public address, no service account and no project-wide SSH keys. What they run is user data
//! that Google's guest environment gives to cloud-init
//! (<https://cloud.google.com/compute/docs/metadata/predefined-metadata-keys>).

use std::collections::{BTreeMap, BTreeSet};

use privnet_core::{Address, Applied, Change, Error, Field, Kind, Live, Origin, Replacement};
use serde::{Deserialize, Serialize};
use serde_json::json;

use crate::act::Act;
use crate::collection::{At, Collection};
use crate::fields::{self, Fields};
use crate::forwarders;
use crate::image;
use crate::json::{Json, list, text, texts};
use crate::lower::Lowering;
use crate::ownership::{self, Labels};
use crate::path;
use crate::snapshot::Snapshot;

/// The metadata key with the fingerprint of what the machines run.
const FORWARDER: &str = "privnet-forwarder";
/// The metadata key of what cloud-init runs.
const USER_DATA: &str = "user-data";

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Template {
    pub(crate) subnet: String,
    pub(crate) size: String,
    /// The image, by path.
    pub(crate) image: String,
    /// The network tag that firewall rules name.
    pub(crate) tag: String,
    /// The fingerprint of what they run.
    pub(crate) forwarder: String,
    /// What they run, when it is made.
    #[serde(default)]
    pub(crate) user_data: Option<String>,
    /// The listening ports that they forward, where they are there and that can be told.
    #[serde(default)]
    pub(crate) listens: Option<BTreeSet<u16>>,
    /// The user's labels for the machines. A change of them reaches machines when they are next replaced for another reason.
    #[serde(default)]
    pub(crate) labels: Labels,
}

pub(crate) const KIND: Kind = Kind {
    name: "instance-template",
    title: "template of forwarders",
    fields: &[
        Field::managed("subnet").on_change(Change::Replace),
        Field::managed("size").on_change(Change::Replace),
        Field::managed("image").on_change(Change::Replace),
        Field::managed("tag").on_change(Change::Replace),
        Field::managed("forwarder").on_change(Change::Replace).naming_targets(),
        Field::observed("user_data"),
        Field::observed("listens"),
        Field::observed("labels"),
    ],
    replacement: Replacement::CreateFirst,
    teardown_rank: 45,
    severs: false,
    serialized_by: &[],
    telling: &[],
};

/// The network tag of a service's forwarders.
pub(crate) fn tag(deployment: &str, service: &str) -> String {
    let address = Address::new(service, "forwarder", "tag");
    ownership::cloud_name(deployment, &address, privnet_core::Generation::A)
}

pub(crate) fn lower(lowering: &mut Lowering<'_>) {
    let Some((forwarder, ports)) = lowering.made().and_then(forwarders::of) else { return };
    let program = match forwarders::program(forwarder, ports) {
        Ok(program) => program,
        Err(why) => return lowering.refuse(why),
    };
    for subnet in &forwarder.subnets {
        let typed = Template {
            subnet: lowering.subnet(subnet.as_str()),
            size: forwarder.size.clone(),
            image: image::of(forwarder),
            tag: tag(lowering.spec.deployment.as_str(), lowering.service.name.as_str()),
            forwarder: program.fingerprint.clone(),
            user_data: Some(program.user_data.clone()),
            listens: None,
            labels: lowering.spec.tags.clone(),
        };
        let address = lowering.address(KIND.name, subnet.as_str());
        lowering.want(address, Origin::Owned, fields::of(&typed), BTreeSet::new());
    }
}

pub(crate) fn live(snapshot: &Snapshot<'_>) -> Vec<Live> {
    super::live_of(
        snapshot,
        Collection::InstanceTemplates,
        &KIND,
        |json| fields::of(&read(json)),
        |_| Fields::new(),
    )
}

fn read(json: &Json) -> Template {
    let properties = json.get("properties").unwrap_or(&Json::Null);
    let first = |key: &str| list(properties, key).first().cloned().unwrap_or_default();
    let disk = first("disks");
    let parameters = disk.get("initializeParams").unwrap_or(&Json::Null);
    let metadata = properties.get("metadata").unwrap_or(&Json::Null);
    let item = |key: &str| {
        let found = list(metadata, "items").iter().find(|item| text(item, "key") == Some(key))?;
        text(found, "value")
    };
    let tags = properties.get("tags").unwrap_or(&Json::Null);
    Template {
        subnet: text(&first("networkInterfaces"), "subnetwork").map(path::of).unwrap_or_default(),
        size: text(properties, "machineType").unwrap_or_default().to_owned(),
        image: text(parameters, "sourceImage").map(path::of).unwrap_or_default(),
        tag: texts(tags, "items").into_iter().next().unwrap_or_default(),
        forwarder: item(FORWARDER).unwrap_or_default().to_owned(),
        user_data: None,
        listens: item(USER_DATA).and_then(privnet_forwarder::listens_of),
        labels: Labels::new(),
    }
}

fn body(wanted: &Template, labels: &Labels) -> Json {
    let items: BTreeMap<&str, &str> = BTreeMap::from([
        (USER_DATA, wanted.user_data.as_deref().unwrap_or_default()),
        (FORWARDER, &wanted.forwarder),
        ("block-project-ssh-keys", "true"),
        ("serial-port-enable", "false"),
    ]);
    let items: Vec<Json> = items.iter().map(|(key, value)| json!({ "key": key, "value": value })).collect();
    json!({ "properties": {
        "machineType": wanted.size,
        "canIpForward": true,
        "labels": labels,
        "tags": { "items": [wanted.tag] },
        "metadata": { "items": items },
        "disks": [{ "boot": true, "autoDelete": true, "type": "PERSISTENT", "mode": "READ_WRITE",
            "initializeParams": { "sourceImage": wanted.image } }],
        "networkInterfaces": [{ "subnetwork": wanted.subnet }],
        "scheduling": { "automaticRestart": true, "onHostMaintenance": "MIGRATE" } } })
}

pub(crate) async fn create(act: &Act<'_>) -> Result<Applied, Error> {
    let wanted: Template = fields::typed(KIND.name, act.step.fields)?;
    let (project, _) = act.place();
    let at = At {
        collection: Collection::InstanceTemplates,
        project: project.to_owned(),
        place: String::new(),
        name: act.name(),
    };
    let (deployment, address, generation) = (act.step.deployment, act.address(), act.generation());
    let labels = ownership::all_labels(&Json::Null, deployment, address, generation, &wanted.labels);
    let mut body = body(&wanted, &labels);
    body["name"] = json!(at.name);
    body["description"] = json!(act.marker());
    Ok(super::applied(&act.create(&at, &body).await?))
}

pub(crate) async fn update(act: &Act<'_>) -> Result<Applied, Error> {
    let at = act.there(Collection::InstanceTemplates)?;
    Ok(super::applied(&act.read(&at).await?))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn wanted() -> Template {
        Template {
            subnet: "projects/p/regions/r/subnetworks/s".to_owned(),
            size: "e2-small".to_owned(),
            image: "projects/ubuntu-os-cloud/global/images/family/ubuntu-2404-lts-amd64".to_owned(),
            tag: "pn-x".to_owned(),
            forwarder: "0123456789abcdef".to_owned(),
            user_data: Some("#cloud-config\n".to_owned()),
            listens: None,
            labels: Labels::new(),
        }
    }

    #[test]
    fn reads_back_what_it_writes() {
        let wanted = wanted();
        let expected = Template { user_data: None, ..wanted.clone() };
        assert_eq!(read(&body(&wanted, &Labels::new())), expected);
        assert_eq!(fields::typed::<Template>(KIND.name, &fields::of(&wanted)).expect("the same"), wanted);
        assert!(fields::of(&wanted).keys().all(|field| KIND.field(field).is_some()));
    }

    #[test]
    fn machines_forward_and_have_no_public_address_no_identity_and_no_keys() {
        let made = body(&wanted(), &Labels::new());
        let properties = &made["properties"];
        assert_eq!(properties["canIpForward"], true);
        assert!(properties.get("serviceAccounts").is_none());
        assert!(properties["networkInterfaces"][0].get("accessConfigs").is_none());
        assert!(properties["metadata"].to_string().contains("block-project-ssh-keys"));
    }
}
