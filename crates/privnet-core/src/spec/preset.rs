//! Presets: consumers that a file may name without defining them, from a dated data file.

use std::collections::BTreeMap;
use std::sync::LazyLock;

use serde::Deserialize;

use super::consumer::{AwsConsumer, AzureConsumer, GcpConsumer, PresetRef, Who};
use super::text::Text;

const DATA: &str = include_str!("../../presets/consumers.yaml");

static PRESETS: LazyLock<Result<BTreeMap<String, Preset>, String>> = LazyLock::new(|| presets_in(DATA));

/// What the data file says of a preset was worth.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Evidence {
    /// The vendor's own setup documents were read.
    Documents,
    /// Only an excerpt of them was seen: confirm it with the vendor.
    Excerpt,
}

/// A consumer that is known in public material.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Preset {
    /// The name that files use.
    pub name: String,
    /// The day of the last check, `YYYY-MM-DD`.
    pub date: String,
    /// How good the sources are.
    pub evidence: Evidence,
    /// Where it is from.
    pub sources: Vec<String>,
    /// As AWS knows it.
    pub aws: Option<AwsConsumer>,
    /// As Azure knows it.
    pub azure: Option<AzureConsumer>,
    /// As GCP knows it.
    pub gcp: Option<GcpConsumer>,
    /// What to ask the vendor for on Azure, when no public source says it.
    pub ask_azure: Option<String>,
}

impl Preset {
    pub(super) fn reference(&self) -> PresetRef {
        PresetRef { name: self.name.clone(), version: self.date.clone() }
    }
}

/// All presets, by name.
pub fn presets() -> impl Iterator<Item = &'static Preset> {
    PRESETS.iter().flat_map(BTreeMap::values)
}

/// The preset of that name.
pub fn preset(name: &str) -> Option<&'static Preset> {
    PRESETS.as_ref().ok()?.get(name)
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Raw {
    date: String,
    evidence: Evidence,
    sources: Vec<String>,
    aws: Option<RawAws>,
    azure: Option<RawAzure>,
    gcp: Option<RawGcp>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct RawAws {
    principals: Vec<String>,
    #[serde(default)]
    cidrs: Vec<String>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct RawAzure {
    #[serde(default)]
    subscriptions: Vec<String>,
    ask: Option<String>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct RawGcp {
    projects: Vec<String>,
}

/// The presets of a text in the form of the data file: what another release would know.
///
/// # Errors
/// What is wrong with it, in words.
pub fn presets_in(data: &str) -> Result<BTreeMap<String, Preset>, String> {
    let raw: BTreeMap<String, Raw> = serde_saphyr::from_str(data).map_err(|error| error.to_string())?;
    raw.into_iter()
        .map(|(name, raw)| {
            let preset = resolve(&name, raw).map_err(|why| format!("preset {name}: {why}"))?;
            Ok((name, preset))
        })
        .collect()
}

fn resolve(name: &str, raw: Raw) -> Result<Preset, String> {
    raw.date.parse::<jiff::civil::Date>().map_err(|error| error.to_string())?;
    if raw.sources.is_empty() {
        return Err("has no source".to_owned());
    }
    let aws = raw.aws.map(|aws| -> Result<_, String> {
        Ok(AwsConsumer { principals: who(&aws.principals)?, cidrs: texts(&aws.cidrs)?.into_iter().collect() })
    });
    let azure = raw.azure.map(|azure| -> Result<_, String> {
        let subscriptions = who(&azure.subscriptions)?;
        let known = !subscriptions.is_empty();
        Ok((known.then(|| AzureConsumer { subscriptions, ..AzureConsumer::default() }), azure.ask))
    });
    let (azure, ask_azure) = azure.transpose()?.unwrap_or_default();
    let gcp = raw.gcp.map(|gcp| -> Result<_, String> {
        Ok(GcpConsumer { projects: who(&gcp.projects)?, ..GcpConsumer::default() })
    });
    Ok(Preset {
        name: name.to_owned(),
        date: raw.date,
        evidence: raw.evidence,
        sources: raw.sources,
        aws: aws.transpose()?,
        azure,
        gcp: gcp.transpose()?,
        ask_azure,
    })
}

fn texts<T: Text>(list: &[String]) -> Result<Vec<T>, String> {
    list.iter().map(|text| T::parse_text(text).map_err(|problem| format!("{text}: {problem}"))).collect()
}

fn who<T: Text + Ord>(list: &[String]) -> Result<std::collections::BTreeSet<Who<T>>, String> {
    Ok(texts(list)?.into_iter().map(Who::Is).collect())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::spec::aws_ids::{Partition, Region};

    #[test]
    fn the_data_file_is_well_formed() {
        let presets = presets_in(DATA).unwrap();
        let names: Vec<&str> = presets.keys().map(String::as_str).collect();
        assert_eq!(names, ["artie", "databricks", "dbt-cloud", "fivetran", "streamkap"]);
        for preset in presets.values() {
            assert_eq!(preset.evidence == Evidence::Documents, preset.name == "fivetran", "{}", preset.name);
            assert!(preset.aws.as_ref().is_some_and(|aws| !aws.principals.is_empty() && !aws.anyone()));
        }
        assert!(preset("fivetran").unwrap().ask_azure.as_deref().unwrap().contains("subscription"));
        assert!(preset("fivetran").unwrap().azure.is_none());
    }

    #[test]
    fn principals_follow_partition_and_region() {
        let resolved = |name: &str, region: &str| -> Vec<String> {
            let region: Region = region.parse().unwrap();
            let aws = preset(name).unwrap().aws.as_ref().unwrap();
            aws.principals_for(region.partition(), &region).into_iter().collect()
        };
        assert_eq!(resolved("fivetran", "us-east-1"), ["arn:aws:iam::834469178297:root"]);
        assert_eq!(resolved("fivetran", "us-gov-west-1"), ["arn:aws-us-gov:iam::834469178297:root"]);
        assert_eq!(
            resolved("databricks", "eu-west-1"),
            ["arn:aws:iam::565502421330:role/private-connectivity-role-eu-west-1"]
        );
        assert_eq!(Partition::from_name("aws-us-gov"), Some(Partition::UsGov));
    }

    #[test]
    fn a_bad_entry_is_told() {
        let bad = "x: {date: 2026-13-01, evidence: excerpt, sources: [a], aws: {principals: []}}";
        assert!(presets_in(bad).unwrap_err().contains("preset x"));
        let bad = "x: {date: 2026-12-01, evidence: rumour, sources: [a]}";
        assert!(presets_in(bad).is_err());
        let bad = "x: {date: 2026-12-01, evidence: excerpt, sources: [a], aws: {principals: [nobody]}}";
        assert!(presets_in(bad).unwrap_err().contains("nobody"));
    }
}
