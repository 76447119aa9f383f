//! The documented request rates of Compute Engine, and which call counts against which.
//!
//! Rates are counted for each project, by group of methods: 25 requests a second for reads and for writes, 30 for
//! polls of operations (<https://cloud.google.com/compute/api-quota>, read 2026-11).

use privnet_core::execute::Bucket;

/// A group of methods that share a rate.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Group {
    /// `get` and `list`.
    Read,
    /// `insert`, `patch`, `delete` and the like.
    Write,
    /// `operations.get` and `operations.wait`.
    Operation,
}

/// The bucket of a group in a project.
pub(crate) fn bucket(project: &str, group: Group) -> Bucket {
    let (word, per_second) = match group {
        Group::Read => ("read", 25.0),
        Group::Write => ("write", 25.0),
        Group::Operation => ("operation", 30.0),
    };
    Bucket { key: format!("gcp/{project}/{word}"), size: per_second, per_second }
}
