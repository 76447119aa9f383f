//! Ids and names of Google Cloud.

use std::fmt;

use super::Text;
use super::text::{TextProblem, all, lower_alnum, structured_text, text_type};

text_type!(
    /// A project's id.
    ProjectId,
    "a GCP project id",
    Some("^([a-z0-9.-]+:)?[a-z][a-z0-9-]{4,28}[a-z0-9]$"),
    "acme-data",
    project_id
);

text_type!(
    /// A resource's name: RFC 1035, 1 to 63 characters.
    GcpName,
    "the name of a GCP resource",
    Some("^[a-z]([-a-z0-9]{0,61}[a-z0-9])?$"),
    "prod",
    |text| {
        if text.is_empty() || text.len() > 63 {
            return Err(TextProblem::new("must have 1 to 63 characters"));
        }
        if let Some(bad) = text.chars().find(|c| !lower_alnum(*c) && *c != '-') {
            return Err(TextProblem::new(format!(
                "has {bad:?}; only lower-case letters, digits and hyphens may be used"
            )));
        }
        if !text.starts_with(|c: char| c.is_ascii_lowercase()) || text.ends_with('-') {
            return Err(TextProblem::new("must begin with a letter and not end with a hyphen"));
        }
        Ok(text.to_owned())
    }
);

text_type!(
    /// A region, such as `us-east4`.
    GcpRegion,
    "a GCP region",
    Some("^[a-z]+-[a-z]+[0-9]+$"),
    "us-east4",
    |text| if is_region(text) {
        Ok(text.to_owned())
    } else if is_zone(text) {
        Err(TextProblem::new("is a zone, not a region"))
    } else {
        Err(TextProblem::new("does not look like `us-east4`"))
    }
);

text_type!(
    /// A zone, such as `us-east4-a`.
    GcpZone,
    "a GCP zone",
    Some("^[a-z]+-[a-z]+[0-9]+-[a-z]$"),
    "us-east4-a",
    |text| if is_zone(text) {
        Ok(text.to_owned())
    } else {
        Err(TextProblem::new("does not look like `us-east4-a`"))
    }
);

impl GcpZone {
    /// The region that the zone is in.
    pub fn region(&self) -> &str {
        self.as_str().rsplit_once('-').map_or("", |(region, _)| region)
    }
}

text_type!(
    /// A machine type, such as `e2-small`.
    MachineType,
    "a machine type",
    Some("^[a-z][a-z0-9-]*$"),
    "e2-small",
    |text| {
        let ok = |c: char| lower_alnum(c) || c == '-';
        if !all(text, ok) || !text.starts_with(|c: char| c.is_ascii_lowercase()) {
            return Err(TextProblem::new("does not look like `e2-small`"));
        }
        Ok(text.to_owned())
    }
);

text_type!(
    /// The `pscConnectionId` of an endpoint: an unsigned 64-bit number.
    PscConnectionId,
    "a PSC_CONNECTION_ID",
    Some("^[0-9]{1,20}$"),
    "12345678901234567890",
    |text| match text.parse::<u64>() {
        Ok(id) if id > 0 && all(text, |c| c.is_ascii_digit()) => Ok(id.to_string()),
        _ => Err(TextProblem::new("must be a positive whole number of at most 64 bits")),
    }
);

text_type!(
    /// A domain name of a service attachment, with its final dot.
    DomainName,
    "a domain name",
    Some("^[A-Za-z0-9_]([A-Za-z0-9._-]*[A-Za-z0-9_])?\\.?$"),
    "db.acme.example.",
    |text| {
        let name = super::HostName::parse_text(text)?;
        if !name.as_str().contains('.') {
            return Err(TextProblem::new("must have at least two labels"));
        }
        Ok(format!("{name}."))
    }
);

fn project_id(text: &str) -> Result<String, TextProblem> {
    let name = match text.split_once(':') {
        Some((domain, name)) if domain.contains('.') => name,
        Some(_) => return Err(TextProblem::new("has a colon")),
        None => text,
    };
    if name.contains('_') {
        let hint = format!(
            "no project id has one; is `{}` meant? Confirm it with the owner",
            text.replace('_', "-")
        );
        return Err(TextProblem::new("has an underscore").hint(hint));
    }
    if let Some(bad) = name.chars().find(|c| !lower_alnum(*c) && *c != '-') {
        return Err(TextProblem::new(format!(
            "has {bad:?}; only lower-case letters, digits and hyphens may be used"
        )));
    }
    if !(6..=30).contains(&name.len()) {
        return Err(TextProblem::new("must have 6 to 30 characters"));
    }
    if !name.starts_with(|c: char| c.is_ascii_lowercase()) || name.ends_with('-') {
        return Err(TextProblem::new("must begin with a letter and not end with a hyphen"));
    }
    Ok(text.to_owned())
}

fn is_region(text: &str) -> bool {
    let Some((area, place)) = text.split_once('-') else { return false };
    let name = place.trim_end_matches(|c: char| c.is_ascii_digit());
    name.len() < place.len() && all(area, |c| c.is_ascii_lowercase()) && all(name, |c| c.is_ascii_lowercase())
}

fn is_zone(text: &str) -> bool {
    let Some((region, letter)) = text.rsplit_once('-') else { return false };
    is_region(region) && letter.len() == 1 && all(letter, |c| c.is_ascii_lowercase())
}

/// A project of a consumer, by id or by number. The API takes either and may answer with the other.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum ProjectRef {
    /// By its id.
    Id(ProjectId),
    /// By its number.
    Number(u64),
}

impl ProjectRef {
    fn parse(text: &str) -> Result<Self, TextProblem> {
        if all(text, |c| c.is_ascii_digit()) {
            return match text.parse() {
                Ok(number) if number > 0 => Ok(Self::Number(number)),
                _ => Err(TextProblem::new("is no project number")),
            };
        }
        ProjectId::parse_text(text).map(Self::Id)
    }
}

impl fmt::Display for ProjectRef {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Id(id) => id.fmt(f),
            Self::Number(number) => number.fmt(f),
        }
    }
}

structured_text!(
    ProjectRef,
    "a GCP project (id or number)",
    Some("^([0-9]+|([a-z0-9.-]+:)?[a-z][a-z0-9-]{4,28}[a-z0-9])$"),
    "fivetran-donkeys"
);

/// A network of a consumer: `projects/PROJECT/global/networks/NAME`, or its URL. Its project is named by id, as Google Cloud shows
/// whose an endpoint is: by number it would match nobody.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct NetworkPath {
    /// The project.
    pub project: ProjectId,
    /// The network.
    pub network: GcpName,
}

impl NetworkPath {
    fn parse(text: &str) -> Result<Self, TextProblem> {
        match path_of(text).as_slice() {
            ["projects", project, "global", "networks", _] if all(project, |c| c.is_ascii_digit()) => {
                Err(TextProblem::new("names the project by its number")
                    .hint("name it by its id: Google Cloud shows the networks of endpoints so"))
            }
            ["projects", project, "global", "networks", network] => {
                Ok(Self { project: ProjectId::parse_text(project)?, network: GcpName::parse_text(network)? })
            }
            _ => Err(TextProblem::new("must be of the form `projects/PROJECT/global/networks/NAME`")),
        }
    }
}

impl fmt::Display for NetworkPath {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "projects/{}/global/networks/{}", self.project, self.network)
    }
}

structured_text!(
    NetworkPath,
    "a GCP network",
    Some("^(https://.+/)?projects/[^/]+/global/networks/[^/]+$"),
    "projects/acme-data/global/networks/prod"
);

/// An instance: `zones/ZONE/instances/NAME`, with or without its project, or its URL.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct GcpInstance {
    /// The project, when it was written.
    pub project: Option<ProjectId>,
    /// The zone.
    pub zone: GcpZone,
    /// The instance.
    pub name: GcpName,
}

impl GcpInstance {
    fn parse(text: &str) -> Result<Self, TextProblem> {
        match with_project(&path_of(text))? {
            (project, ["zones", zone, "instances", name]) => {
                Ok(Self { project, zone: GcpZone::parse_text(zone)?, name: GcpName::parse_text(name)? })
            }
            _ => Err(TextProblem::new("must be of the form `zones/ZONE/instances/NAME`")),
        }
    }
}

impl fmt::Display for GcpInstance {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if let Some(project) = &self.project {
            write!(f, "projects/{project}/")?;
        }
        write!(f, "zones/{}/instances/{}", self.zone, self.name)
    }
}

structured_text!(
    GcpInstance,
    "a GCP instance",
    Some("^(.+/)?zones/[^/]+/instances/[^/]+$"),
    "zones/us-east4-b/instances/db-1"
);

/// An instance group, zonal or regional.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct GcpInstanceGroup {
    /// The project, when it was written.
    pub project: Option<ProjectId>,
    /// Where it is.
    pub scope: GcpGroupScope,
    /// The group.
    pub name: GcpName,
}

/// Where an instance group is.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum GcpGroupScope {
    /// In one zone.
    Zone(GcpZone),
    /// In a region (a regional managed group).
    Region(GcpRegion),
}

impl GcpGroupScope {
    /// The region of the group.
    pub fn region(&self) -> &str {
        match self {
            Self::Zone(zone) => zone.region(),
            Self::Region(region) => region.as_str(),
        }
    }
}

impl GcpInstanceGroup {
    fn parse(text: &str) -> Result<Self, TextProblem> {
        let path = path_of(text);
        let (project, rest) = with_project(&path)?;
        let (scope, name) = match rest {
            ["zones", zone, "instanceGroups" | "instanceGroupManagers", name] => {
                (GcpGroupScope::Zone(GcpZone::parse_text(zone)?), name)
            }
            ["regions", region, "instanceGroups" | "instanceGroupManagers", name] => {
                (GcpGroupScope::Region(GcpRegion::parse_text(region)?), name)
            }
            _ => {
                return Err(TextProblem::new(
                    "must be of the form `zones/ZONE/instanceGroups/NAME` or `regions/REGION/instanceGroups/NAME`",
                ));
            }
        };
        Ok(Self { project, scope, name: GcpName::parse_text(name)? })
    }
}

impl fmt::Display for GcpInstanceGroup {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if let Some(project) = &self.project {
            write!(f, "projects/{project}/")?;
        }
        match &self.scope {
            GcpGroupScope::Zone(zone) => write!(f, "zones/{zone}")?,
            GcpGroupScope::Region(region) => write!(f, "regions/{region}")?,
        }
        write!(f, "/instanceGroups/{}", self.name)
    }
}

structured_text!(
    GcpInstanceGroup,
    "a GCP instance group",
    Some("^(.+/)?(zones|regions)/[^/]+/(instanceGroups|instanceGroupManagers)/[^/]+$"),
    "zones/us-east4-b/instanceGroups/db"
);

/// A resource of a region by name, or by `projects/P/regions/R/COLLECTION/NAME` or its URL.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct RegionalRef {
    /// The project, when it was written.
    pub project: Option<ProjectId>,
    /// The region, when it was written.
    pub region: Option<GcpRegion>,
    /// The collection, such as `forwardingRules`, when it was written.
    pub collection: Option<String>,
    /// The name.
    pub name: GcpName,
}

impl RegionalRef {
    fn parse(text: &str) -> Result<Self, TextProblem> {
        let path = path_of(text);
        match with_project(&path)? {
            (None, [name]) => {
                Ok(Self { project: None, region: None, collection: None, name: GcpName::parse_text(name)? })
            }
            (project, ["regions", region, collection, name]) => Ok(Self {
                project,
                region: Some(GcpRegion::parse_text(region)?),
                collection: Some((*collection).to_owned()),
                name: GcpName::parse_text(name)?,
            }),
            _ => {
                Err(TextProblem::new("must be a name, or `projects/PROJECT/regions/REGION/COLLECTION/NAME`"))
            }
        }
    }
}

impl fmt::Display for RegionalRef {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if let Some(project) = &self.project {
            write!(f, "projects/{project}/")?;
        }
        if let (Some(region), Some(collection)) = (&self.region, &self.collection) {
            write!(f, "regions/{region}/{collection}/")?;
        }
        self.name.fmt(f)
    }
}

structured_text!(
    RegionalRef,
    "a GCP resource of the region",
    Some("^(.+/regions/[^/]+/[^/]+/|regions/[^/]+/[^/]+/)?[a-z]([-a-z0-9]{0,61}[a-z0-9])?$"),
    "db-rule"
);

/// The parts of a relative path or of a resource's URL, from `projects` (or what follows it) on.
fn path_of(text: &str) -> Vec<&str> {
    let parts: Vec<&str> = text.split('/').collect();
    match parts.iter().position(|part| *part == "projects") {
        Some(at) if text.starts_with("https://") => parts[at..].to_vec(),
        _ => parts,
    }
}

/// Takes the project off the front of a path.
fn with_project<'a, 'b>(path: &'b [&'a str]) -> Result<(Option<ProjectId>, &'b [&'a str]), TextProblem> {
    match path {
        ["projects", project, rest @ ..] => Ok((Some(ProjectId::parse_text(project)?), rest)),
        rest => Ok((None, rest)),
    }
}
