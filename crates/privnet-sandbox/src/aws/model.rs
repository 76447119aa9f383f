//! The published shape of each call: names, wire names, types and limits, for both directions.
//!
//! `model.json` is extracted from botocore's service models (EC2 2016-11-15, ELBv2 2015-12-01, Auto
//! Scaling 2011-01-01, STS 2011-06-15) by
//! `integration-tests/aws/extract_model.py`.

use std::collections::{BTreeMap, HashMap};
use std::sync::OnceLock;

use serde::Deserialize;

/// One service: its calls, and the shapes of its requests and answers (wire names differ between the two).
#[derive(Debug, Deserialize)]
pub(crate) struct Service {
    pub(crate) version: String,
    pub(crate) namespace: String,
    pub(crate) operations: HashMap<String, Operation>,
    pub(crate) requests: Shapes,
    pub(crate) answers: Shapes,
}

pub(crate) type Shapes = HashMap<String, Shape>;

/// A call's shapes, by name; absent where it has none.
#[derive(Debug, Deserialize)]
pub(crate) struct Operation {
    #[serde(rename = "in")]
    pub(crate) input: Option<String>,
    #[serde(rename = "out")]
    pub(crate) output: Option<String>,
}

/// A shape.
#[derive(Debug, Deserialize)]
#[serde(tag = "type", rename_all = "lowercase")]
pub(crate) enum Shape {
    Structure {
        /// Member name → (wire name, shape name).
        members: BTreeMap<String, (String, String)>,
        #[serde(default)]
        required: Vec<String>,
    },
    List {
        of: String,
        /// What a member's element is called in answers.
        #[serde(default = "member_name")]
        member: String,
        #[serde(default)]
        flattened: bool,
    },
    String {
        #[serde(default, rename = "enum")]
        values: Vec<String>,
        max: Option<f64>,
    },
    #[serde(alias = "long")]
    Integer {
        min: Option<f64>,
        max: Option<f64>,
    },
    Boolean,
    Timestamp,
}

fn member_name() -> String {
    "member".to_owned()
}

/// Which of the two dialects of the Query protocol a service speaks.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(crate) enum Api {
    Ec2,
    Elb,
    Scaling,
    Sts,
}

impl Api {
    /// All of them.
    pub(crate) const ALL: [Self; 4] = [Self::Ec2, Self::Elb, Self::Scaling, Self::Sts];

    /// The service by its name in a signing scope.
    pub(crate) fn from_scope(name: &str) -> Option<Self> {
        match name {
            "ec2" => Some(Self::Ec2),
            "elasticloadbalancing" => Some(Self::Elb),
            "autoscaling" => Some(Self::Scaling),
            "sts" => Some(Self::Sts),
            _ => None,
        }
    }

    /// The service by its API version.
    pub(crate) fn from_version(version: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|api| api.model().version == version)
    }

    /// The published description.
    pub(crate) fn model(self) -> &'static Service {
        &models()[match self {
            Self::Ec2 => "ec2",
            Self::Elb => "elbv2",
            Self::Scaling => "autoscaling",
            Self::Sts => "sts",
        }]
    }

    /// Whether an action's answer has a member of that name.
    pub(crate) fn answers(self, action: &str, member: &str) -> bool {
        let model = self.model();
        let output = model.operations.get(action).and_then(|operation| operation.output.as_deref());
        let shape = output.and_then(|output| model.answers.get(output));
        matches!(shape, Some(Shape::Structure { members, .. }) if members.contains_key(member))
    }
}

#[allow(clippy::expect_used, reason = "the file is part of the program; a test reads it")]
fn models() -> &'static HashMap<String, Service> {
    static MODELS: OnceLock<HashMap<String, Service>> = OnceLock::new();
    MODELS
        .get_or_init(|| serde_json::from_str(include_str!("model.json")).expect("model.json is well-formed"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_shape_that_is_named_is_there() {
        for api in Api::ALL {
            let model = api.model();
            for (table, shapes) in [("requests", &model.requests), ("answers", &model.answers)] {
                for (name, shape) in shapes {
                    let used: Vec<&String> = match shape {
                        Shape::Structure { members, .. } => {
                            members.values().map(|(_, shape)| shape).collect()
                        }
                        Shape::List { of, .. } => vec![of],
                        _ => Vec::new(),
                    };
                    for inner in used {
                        assert!(shapes.contains_key(inner), "{table}: {name} uses {inner}");
                    }
                }
            }
        }
    }
}
