//! Resources' paths: `projects/P/regions/R/COLLECTION/NAME`, the part of every URL that means something.
//!
//! The API answers with URLs of several hosts and versions for one thing; they are compared by their path.

/// The path in a URL or path; text without `projects/` is left as it is.
pub(crate) fn of(url: &str) -> String {
    match url.find("projects/") {
        Some(at) => url.get(at..).unwrap_or(url).to_owned(),
        None => url.to_owned(),
    }
}

/// The last part: the name.
pub(crate) fn name(path: &str) -> &str {
    path.rsplit('/').next().unwrap_or(path)
}

/// The part that follows `word`: the project, region or zone.
pub(crate) fn after<'a>(path: &'a str, word: &str) -> Option<&'a str> {
    let mut parts = path.split('/');
    parts.by_ref().find(|part| *part == word)?;
    parts.next()
}

/// The region of a path, that of its zone too; nothing where it is global.
pub(crate) fn region(path: &str) -> Option<&str> {
    let zone = || after(path, "zones")?.rsplit_once('-').map(|(region, _)| region);
    after(path, "regions").or_else(zone)
}

/// Whether two URLs or paths mean the same.
pub(crate) fn same(one: &str, other: &str) -> bool {
    of(one) == of(other)
}

/// A path in a region.
pub(crate) fn regional(project: &str, region: &str, collection: &str, name: &str) -> String {
    format!("projects/{project}/regions/{region}/{collection}/{name}")
}

/// A path in a zone.
pub(crate) fn zonal(project: &str, zone: &str, collection: &str, name: &str) -> String {
    format!("projects/{project}/zones/{zone}/{collection}/{name}")
}

/// A global path.
pub(crate) fn global(project: &str, collection: &str, name: &str) -> String {
    format!("projects/{project}/global/{collection}/{name}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn versions_and_hosts_mean_nothing() {
        let v1 = "https://www.googleapis.com/compute/v1/projects/p/regions/r/subnetworks/s";
        let beta = "https://compute.googleapis.com/compute/beta/projects/p/regions/r/subnetworks/s";
        assert!(same(v1, beta) && same(v1, &regional("p", "r", "subnetworks", "s")));
        assert_eq!((region(v1), region(&zonal("p", "us-east4-b", "x", "n"))), (Some("r"), Some("us-east4")));
        assert_eq!(region(&global("p", "firewalls", "n")), None);
        assert_eq!((name(v1), after(v1, "regions"), after(v1, "zones")), ("s", Some("r"), None));
    }
}
