//! What the vendor needs to connect.

use std::collections::BTreeMap;

use serde::Serialize;

/// What to send to the vendor for one service.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Handoff {
    /// The service's name in the file.
    pub name: String,
    /// `aws`, `azure` or `gcp`.
    pub cloud: &'static str,
    /// What the vendor needs, by the field's standard name (`service_name`, `ports`, `az_ids`); absent until known.
    #[serde(flatten)]
    pub fields: BTreeMap<String, serde_json::Value>,
    /// What is not known yet, and why.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub missing: Vec<String>,
    /// What the vendor or the user should know besides.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub notes: Vec<String>,
    /// Whether nobody could look, or what consumers connect to is not to be found: this is then not what was asked for.
    #[serde(skip)]
    pub is_unseen: bool,
}
