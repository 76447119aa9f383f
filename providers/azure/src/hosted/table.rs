//! What Azure hosts, as data: how the connections of each resource type are listed and decided on.
//!
//! Which parts of a resource can be connected to is from
//! <https://learn.microsoft.com/azure/private-link/private-endpoint-overview#private-link-resource>.

mod analytics;
mod applications;
mod databases;
mod integration;
mod management;
mod storage;

/// How the connections of a resource are listed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum List {
    /// From their own collection, `…/privateEndpointConnections`.
    Own,
    /// From their own collection, which answers an array by itself, without pages.
    Array,
    /// From the resource itself, in this api-version: there is no collection to read.
    Parent(&'static str),
}

/// What the answer to a decision means.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Answer {
    /// 200 (or 201): it is done.
    Done,
    /// Also 201 or 202 with an operation: it is under way.
    Begun,
}

/// How well a row is known.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Evidence {
    /// From a recorded exchange with the real service: the list and a decision, in the row's api-version.
    Recorded,
    /// From documents or a published client.
    Documented,
}

/// One resource type.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Row {
    /// The type, matched without case.
    pub(crate) resource_type: &'static str,
    /// What people call it.
    pub(crate) title: &'static str,
    /// The api-version of its connections.
    pub(crate) version: &'static str,
    /// How they are listed.
    pub(crate) list: List,
    /// What a decision is answered with.
    pub(crate) answer: Answer,
    /// The parts that can be connected to, matched without case.
    pub(crate) subresources: &'static [&'static str],
    /// How well that is known.
    pub(crate) evidence: Evidence,
    /// Where from.
    pub(crate) source: &'static str,
}

/// The registrations of `az network private-endpoint-connection`: type, api-version, and whether there is a collection.
const CLI: &str = "https://github.com/Azure/azure-cli/blob/dev/src/azure-cli/azure/cli/command_modules/network/private_link_resource_and_endpoint_connections/custom.py";
/// A recorded test of the same commands, by the command's module and the test's name.
macro_rules! recording {
    ($module:literal, $test:literal) => {
        concat!(
            "https://github.com/Azure/azure-cli/tree/dev/src/azure-cli/azure/cli/command_modules/",
            $module,
            "/tests/latest/recordings/test_private_endpoint_connection_",
            $test,
            ".yaml"
        )
    };
}

use recording;

/// The row of a resource type.
pub(crate) fn row(resource_type: &str) -> Option<&'static Row> {
    all().find(|row| row.resource_type.eq_ignore_ascii_case(resource_type))
}

/// All rows, by family.
pub(crate) fn all() -> impl Iterator<Item = &'static Row> {
    let families = [
        databases::ROWS,
        storage::ROWS,
        analytics::ROWS,
        integration::ROWS,
        applications::ROWS,
        management::ROWS,
    ];
    families.into_iter().flatten()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_type_stands_once_and_says_where_it_is_from() {
        let mut types: Vec<String> = all().map(|row| row.resource_type.to_lowercase()).collect();
        types.sort();
        types.dedup();
        assert_eq!(types.len(), all().count());
        assert!(all().count() >= 35, "{}", all().count());
        for row in all() {
            assert!(!row.subresources.is_empty() && !row.title.is_empty(), "{}", row.resource_type);
            assert!(row.source.starts_with("https://"), "{}", row.resource_type);
            assert!(row.resource_type.split('/').count() == 2, "{}", row.resource_type);
        }
        let recorded: Vec<_> = all().filter(|row| row.evidence == Evidence::Recorded).collect();
        assert!(!recorded.is_empty());
        for row in recorded {
            assert!(row.source.contains("/recordings/"), "{}", row.resource_type);
        }
    }

    #[test]
    fn api_versions_are_dates() {
        for row in all() {
            let parent = match row.list {
                List::Own | List::Array => row.version,
                List::Parent(version) => version,
            };
            for version in [row.version, parent] {
                let date: String = version.chars().take(10).collect();
                assert!(date.parse::<jiff::civil::Date>().is_ok(), "{}: {version}", row.resource_type);
            }
        }
    }

    #[test]
    fn what_the_source_documents_name_is_there() {
        for (resource_type, subresource) in [
            ("microsoft.sql/servers", "sqlServer"),
            ("Microsoft.Sql/managedInstances", "managedInstance"),
            ("Microsoft.Storage/storageAccounts", "blob"),
            ("Microsoft.Storage/storageAccounts", "dfs"),
            ("Microsoft.ServiceBus/namespaces", "namespace"),
            ("Microsoft.DBforPostgreSQL/flexibleServers", "postgresqlServer"),
            ("Microsoft.DocumentDB/databaseAccounts", "Sql"),
            ("Microsoft.DocumentDB/databaseAccounts", "MongoDB"),
        ] {
            assert!(
                row(resource_type).is_some_and(|row| row.subresources.contains(&subresource)),
                "{resource_type}"
            );
        }
        assert_eq!(row("Microsoft.Nowhere/things"), None);
    }
}
