//! Resource URLs and paths. A resource is kept under its path, `projects/<id>/<scope>/<collection>/<name>`; every
//! spelling of its URL that the public API takes (full, partial, of another version or host, with the project's number)
//! leads to that path.

use serde::{Deserialize, Serialize};

use super::world::World;

/// What links in answers begin with. Clients compare links, so it does not depend on where the sandbox listens.
pub(crate) const BASE: &str = "https://www.googleapis.com/compute/v1/";

/// The full URL of a path.
pub(crate) fn url(path: &str) -> String {
    format!("{BASE}{path}")
}

/// The path of a full URL that this module made.
pub(crate) fn path(url: &str) -> &str {
    url.strip_prefix(BASE).unwrap_or(url)
}

/// Where a resource lives.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub(crate) enum Scope {
    Global,
    Region(String),
    Zone(String),
}

impl Scope {
    /// `global`, `regions/r` or `zones/z`.
    pub(crate) fn segment(&self) -> String {
        match self {
            Self::Global => "global".to_owned(),
            Self::Region(region) => format!("regions/{region}"),
            Self::Zone(zone) => format!("zones/{zone}"),
        }
    }
}

/// A path, taken apart.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Parts {
    pub(crate) project: String,
    pub(crate) scope: Scope,
    pub(crate) collection: String,
    pub(crate) name: String,
}

impl Parts {
    /// Takes a path apart.
    pub(crate) fn parse(path: &str) -> Option<Self> {
        let rest = path.strip_prefix("projects/")?;
        let (project, rest) = rest.split_once('/')?;
        let segments: Vec<&str> = rest.split('/').collect();
        let (scope, collection, name) = match segments[..] {
            ["global", collection, name] => (Scope::Global, collection, name),
            ["regions", region, collection, name] => (Scope::Region(region.to_owned()), collection, name),
            ["zones", zone, collection, name] => (Scope::Zone(zone.to_owned()), collection, name),
            _ => return None,
        };
        let (project, collection, name) = (project.to_owned(), collection.to_owned(), name.to_owned());
        Some(Self { project, scope, collection, name })
    }

    /// The path of these parts.
    pub(crate) fn path(&self) -> String {
        join(&self.project, &self.scope, &self.collection, &self.name)
    }
}

/// The path of a resource.
pub(crate) fn join(project: &str, scope: &Scope, collection: &str, name: &str) -> String {
    format!("projects/{project}/{}/{collection}/{name}", scope.segment())
}

/// The collection and name at the end of a path: what a resource is called in a message.
pub(crate) fn last(path: &str) -> &str {
    path.rsplit('/').next().unwrap_or(path)
}

/// The region of a zone: `us-east4` of `us-east4-b`.
pub(crate) fn region_of(zone: &str) -> &str {
    zone.rsplit_once('-').map_or(zone, |(region, _)| region)
}

/// The path that a reference in a request names, with the project's id and, where the resource is known, its name.
///
/// `project` is the request's own project: a partial URL (`global/networks/n`) is within it. `None` when the text is
/// no reference at all.
pub(crate) fn resolve(world: &World, project: &str, reference: &str) -> Option<String> {
    let relative = relative(reference);
    let full = if relative.starts_with("projects/") {
        relative.to_owned()
    } else if ["global/", "regions/", "zones/"].iter().any(|start| relative.starts_with(start)) {
        format!("projects/{project}/{relative}")
    } else {
        return None;
    };
    let mut parts = Parts::parse(&full)?;
    parts.project = world.project_id(&parts.project)?;
    let path = parts.path();
    Some(world.named(&path).unwrap_or(path))
}

/// What follows `…/compute/<version>/`.
fn relative(reference: &str) -> &str {
    if let Some(rest) = reference.strip_prefix("//compute.googleapis.com/") {
        return rest;
    }
    let Some(at) = reference.find("/compute/") else {
        return reference.trim_start_matches('/');
    };
    if !reference.starts_with("http") {
        return reference;
    }
    let rest = &reference[at + "/compute/".len()..];
    match rest.split_once('/') {
        Some(("v1" | "beta" | "alpha", path)) => path,
        _ => reference,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_spelling_leads_to_one_path() {
        let world = World::default();
        let path = "projects/acme-data/global/networks/prod";
        for text in [
            "https://www.googleapis.com/compute/v1/projects/acme-data/global/networks/prod",
            "https://compute.googleapis.com/compute/beta/projects/acme-data/global/networks/prod",
            "http://127.0.0.1:8080/compute/v1/projects/acme-data/global/networks/prod",
            "//compute.googleapis.com/projects/acme-data/global/networks/prod",
            "projects/acme-data/global/networks/prod",
            "projects/123456789012/global/networks/prod",
            "global/networks/prod",
        ] {
            assert_eq!(resolve(&world, "acme-data", text).as_deref(), Some(path), "{text}");
        }
        assert_eq!(resolve(&world, "acme-data", "prod"), None);
        assert_eq!(resolve(&world, "acme-data", "projects/nobody/global/networks/prod"), None);
    }

    #[test]
    fn a_resource_is_found_by_its_number() {
        let world = World::default();
        let path = "projects/acme-data/global/networks/prod";
        let id = world.resources.get(path).unwrap().id.to_string();
        let by_id = format!("projects/acme-data/global/networks/{id}");
        assert_eq!(resolve(&world, "acme-data", &by_id).as_deref(), Some(path));
    }

    #[test]
    fn parts_round_trip() {
        for path in [
            "projects/p/zones/z/instances/i",
            "projects/p/regions/r/addresses/a",
            "projects/p/global/images/i",
        ] {
            assert_eq!(Parts::parse(path).unwrap().path(), path);
        }
        assert!(Parts::parse("projects/p").is_none());
    }
}
