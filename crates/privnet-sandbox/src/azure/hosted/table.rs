//! The providers of the sandbox and how each treats connections.
//!
//! Sources: the recorded life of a connection on a MySQL flexible server; Azure CLI's table of providers
//! (`private_link_resource_and_endpoint_connections/custom.py`: who has a list of its own); Microsoft, "What is a private
//! endpoint: Private-link resource" (subresources); the REST references of the providers (statuses).

/// What the answer to a PUT of a connection is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Reply {
    /// 200 with the decided connection.
    Done,
    /// 200 with the connection and `Azure-AsyncOperation`.
    Shown,
    /// 202 with `{"operation", "startTime"}`, `Azure-AsyncOperation` and `Location`.
    Named(&'static str),
    /// 202 without a body, `Location` alone.
    Located,
    /// 202 with the connection, `Azure-AsyncOperation` and `Location`.
    Begun,
}

/// A type of hosted service.
#[derive(Debug)]
pub(crate) struct Hosted {
    /// `Microsoft.Sql/servers`.
    pub(crate) kind: &'static str,
    /// The subresources of an endpoint.
    pub(crate) groups: &'static [&'static str],
    /// Whether `…/privateEndpointConnections` can be listed; otherwise the parent carries them.
    pub(crate) lists: bool,
    /// `provisioningState` of a connection at rest.
    pub(crate) settled: &'static str,
    /// The same of one that is not approved, where that is another word.
    pub(crate) unapproved: Option<&'static str>,
    /// The answer to a PUT.
    pub(crate) reply: Reply,
    /// Whether it shows `Approving` and `Rejecting`.
    pub(crate) passes_through: bool,
    /// Whether only a pending connection can be decided.
    pub(crate) pending_only: bool,
    /// The refusal of Rejected → Approved.
    pub(crate) rejected_is_final: Option<(&'static str, &'static str)>,
    /// Whether a connection lacks name and type (recorded of MySQL).
    pub(crate) nameless: bool,
    /// Where a connection tells its subresources.
    pub(crate) tells_groups: Tells,
    /// How it spells what it asks the consumer to do.
    pub(crate) action: &'static str,
}

/// Where a connection tells its subresources.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Tells {
    /// Nowhere.
    Nothing,
    /// `groupIds`: all of them.
    All,
    /// `groupId`: the one that it has (recorded of Search).
    One,
}

impl Hosted {
    /// Whether a PUT is the whole of it.
    pub(crate) fn decides_at_once(&self) -> bool {
        self.reply == Reply::Done
    }
}

const PLAIN: Hosted = Hosted {
    kind: "",
    groups: &[],
    lists: true,
    settled: "Succeeded",
    unapproved: None,
    reply: Reply::Done,
    passes_through: false,
    pending_only: false,
    rejected_is_final: None,
    nameless: false,
    tells_groups: Tells::Nothing,
    action: "actionsRequired",
};

static TABLE: [Hosted; 10] = [
    Hosted {
        kind: "Microsoft.Sql/servers",
        groups: &["sqlServer"],
        settled: "Ready",
        reply: Reply::Named("PrivateEndpointConnection"),
        pending_only: true,
        tells_groups: Tells::All,
        ..PLAIN
    },
    Hosted {
        kind: "Microsoft.Sql/managedInstances",
        groups: &["managedInstance"],
        settled: "Ready",
        reply: Reply::Named("ManagedInstancePrivateEndpointConnection"),
        pending_only: true,
        ..PLAIN
    },
    Hosted {
        kind: "Microsoft.DBforMySQL/flexibleServers",
        groups: &["mysqlServer"],
        lists: false,
        settled: "Ready",
        reply: Reply::Named("PrivateEndpointConnectionManagementOperation"),
        nameless: true,
        tells_groups: Tells::All,
        ..PLAIN
    },
    Hosted {
        kind: "Microsoft.DBforPostgreSQL/flexibleServers",
        groups: &["postgresqlServer"],
        reply: Reply::Named("PrivateEndpointConnectionManagementOperation"),
        tells_groups: Tells::All,
        ..PLAIN
    },
    Hosted {
        kind: "Microsoft.Storage/storageAccounts",
        groups: &["blob", "dfs", "file", "queue", "table", "web"],
        // Azure/azure-rest-api-specs, Microsoft.Storage: `PrivateLinkServiceConnectionState`.
        action: "actionRequired",
        ..PLAIN
    },
    Hosted {
        kind: "Microsoft.KeyVault/vaults",
        groups: &["vault"],
        lists: false,
        reply: Reply::Shown,
        ..PLAIN
    },
    Hosted {
        kind: "Microsoft.DocumentDB/databaseAccounts",
        groups: &["Sql", "MongoDB", "Cassandra", "Gremlin", "Table"],
        reply: Reply::Shown,
        rejected_is_final: Some((
            "BadRequest",
            "Approving rejected private endpoint connections is not supported.",
        )),
        ..PLAIN
    },
    Hosted {
        kind: "Microsoft.ServiceBus/namespaces",
        groups: &["namespace"],
        reply: Reply::Located,
        ..PLAIN
    },
    Hosted {
        kind: "Microsoft.Search/searchServices",
        groups: &["searchService"],
        tells_groups: Tells::One,
        rejected_is_final: Some((
            "OperationNotAllowed",
            "A rejected private endpoint connection cannot be approved; the consumer has to request a new one.",
        )),
        ..PLAIN
    },
    // Recorded by Azure CLI: test_private_endpoint_connection_webapp.yaml.
    Hosted {
        kind: "Microsoft.Web/sites",
        groups: &["sites"],
        unapproved: Some("Pending"),
        reply: Reply::Begun,
        passes_through: true,
        tells_groups: Tells::All,
        ..PLAIN
    },
];

/// The row of a type, without case.
pub(crate) fn hosted_kind(kind: &str) -> Option<&'static Hosted> {
    TABLE.iter().find(|row| row.kind.eq_ignore_ascii_case(kind))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn six_providers_and_two_that_list_through_the_parent() {
        let others = TABLE.iter().filter(|row| !row.kind.starts_with("Microsoft.Sql/"));
        assert!(others.count() >= 5);
        assert!(TABLE.iter().filter(|row| !row.lists).count() >= 2);
        assert!(hosted_kind("microsoft.sql/SERVERS").is_some_and(|row| row.groups == ["sqlServer"]));
        assert!(TABLE.iter().all(|row| !row.groups.is_empty()));
    }
}
