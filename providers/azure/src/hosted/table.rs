//! What Azure hosts, as data: how the connections of each resource type are listed and decided on.
//!
//! Which parts of a resource can be connected to is from
//! <https://learn.microsoft.com/azure/private-link/private-endpoint-overview#private-link-resource>.

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

/// The row of a resource type.
pub(crate) fn row(resource_type: &str) -> Option<&'static Row> {
    TABLE.iter().find(|row| row.resource_type.eq_ignore_ascii_case(resource_type))
}

/// All rows, by resource type within a family.
pub(crate) const TABLE: &[Row] = &[
    Row {
        resource_type: "Microsoft.Sql/servers",
        title: "Azure SQL Database",
        version: "2021-11-01",
        list: List::Own,
        answer: Answer::Begun,
        subresources: &["sqlServer"],
        evidence: Evidence::Documented,
        source: "https://learn.microsoft.com/rest/api/sql/private-endpoint-connections",
    },
    Row {
        resource_type: "Microsoft.Sql/managedInstances",
        title: "Azure SQL Managed Instance",
        version: "2021-11-01",
        list: List::Own,
        answer: Answer::Begun,
        subresources: &["managedInstance"],
        evidence: Evidence::Documented,
        source: "https://learn.microsoft.com/rest/api/sql/managed-instance-private-endpoint-connections",
    },
    Row {
        resource_type: "Microsoft.Storage/storageAccounts",
        title: "Azure Storage",
        version: "2019-06-01",
        list: List::Own,
        answer: Answer::Done,
        subresources: &[
            "blob",
            "blob_secondary",
            "table",
            "table_secondary",
            "queue",
            "queue_secondary",
            "file",
            "file_secondary",
            "web",
            "web_secondary",
            "dfs",
            "dfs_secondary",
        ],
        evidence: Evidence::Documented,
        source: CLI,
    },
    Row {
        resource_type: "Microsoft.ServiceBus/namespaces",
        title: "Azure Service Bus",
        version: "2021-06-01-preview",
        list: List::Own,
        answer: Answer::Begun,
        subresources: &["namespace"],
        evidence: Evidence::Documented,
        source: CLI,
    },
    Row {
        resource_type: "Microsoft.EventHub/namespaces",
        title: "Azure Event Hubs",
        version: "2021-06-01-preview",
        list: List::Own,
        answer: Answer::Begun,
        subresources: &["namespace"],
        evidence: Evidence::Documented,
        source: CLI,
    },
    Row {
        resource_type: "Microsoft.Relay/namespaces",
        title: "Azure Relay",
        version: "2021-11-01",
        list: List::Own,
        answer: Answer::Begun,
        subresources: &["namespace"],
        evidence: Evidence::Documented,
        source: "https://learn.microsoft.com/rest/api/relay/private-endpoint-connections",
    },
    Row {
        resource_type: "Microsoft.DBforPostgreSQL/flexibleServers",
        title: "Azure Database for PostgreSQL",
        version: "2025-08-01",
        list: List::Own,
        answer: Answer::Begun,
        subresources: &["postgresqlServer"],
        evidence: Evidence::Documented,
        source: "https://learn.microsoft.com/rest/api/postgresql/private-endpoint-connections",
    },
    Row {
        resource_type: "Microsoft.DBforPostgreSQL/servers",
        title: "Azure Database for PostgreSQL single server",
        version: "2018-06-01",
        list: List::Parent("2017-12-01-preview"),
        answer: Answer::Begun,
        subresources: &["postgresqlServer"],
        evidence: Evidence::Documented,
        source: CLI,
    },
    Row {
        resource_type: "Microsoft.DBforMySQL/flexibleServers",
        title: "Azure Database for MySQL",
        version: "2022-09-30-privatepreview",
        list: List::Parent("2022-09-30-privatepreview"),
        answer: Answer::Begun,
        subresources: &["mysqlServer"],
        evidence: Evidence::Recorded,
        source: recording!("network", "mysql_flexible_server"),
    },
    Row {
        resource_type: "Microsoft.DBforMySQL/servers",
        title: "Azure Database for MySQL single server",
        version: "2018-06-01",
        list: List::Parent("2017-12-01-preview"),
        answer: Answer::Begun,
        subresources: &["mysqlServer"],
        evidence: Evidence::Documented,
        source: CLI,
    },
    Row {
        resource_type: "Microsoft.DBforMariaDB/servers",
        title: "Azure Database for MariaDB",
        version: "2018-06-01",
        list: List::Parent("2018-06-01"),
        answer: Answer::Begun,
        subresources: &["mariadbServer"],
        evidence: Evidence::Documented,
        source: CLI,
    },
    Row {
        resource_type: "Microsoft.DocumentDB/databaseAccounts",
        title: "Azure Cosmos DB",
        version: "2019-08-01-preview",
        list: List::Parent("2020-03-01"),
        answer: Answer::Begun,
        subresources: &["Sql", "SqlDedicated", "MongoDB", "Cassandra", "Gremlin", "Table", "Analytical"],
        evidence: Evidence::Documented,
        source: CLI,
    },
    Row {
        resource_type: "Microsoft.DocumentDB/mongoClusters",
        title: "Azure Cosmos DB for MongoDB vCore",
        version: "2024-07-01",
        list: List::Own,
        answer: Answer::Begun,
        subresources: &["MongoCluster"],
        evidence: Evidence::Documented,
        source: "https://learn.microsoft.com/rest/api/mongocluster/private-endpoint-connections",
    },
    Row {
        resource_type: "Microsoft.KeyVault/vaults",
        title: "Azure Key Vault",
        version: "2019-09-01",
        list: List::Parent("2019-09-01"),
        answer: Answer::Begun,
        subresources: &["vault"],
        evidence: Evidence::Documented,
        source: CLI,
    },
    Row {
        resource_type: "Microsoft.KeyVault/managedHSMs",
        title: "Azure Key Vault Managed HSM",
        version: "2021-04-01-preview",
        list: List::Own,
        answer: Answer::Begun,
        subresources: &["managedhsm"],
        evidence: Evidence::Documented,
        source: CLI,
    },
    Row {
        resource_type: "Microsoft.Cache/Redis",
        title: "Azure Cache for Redis",
        version: "2021-06-01",
        list: List::Own,
        answer: Answer::Begun,
        subresources: &["redisCache"],
        evidence: Evidence::Documented,
        source: CLI,
    },
    Row {
        resource_type: "Microsoft.Cache/redisEnterprise",
        title: "Azure Cache for Redis Enterprise",
        version: "2022-01-01",
        list: List::Own,
        answer: Answer::Begun,
        subresources: &["redisEnterprise"],
        evidence: Evidence::Documented,
        source: "https://learn.microsoft.com/rest/api/redis/redisenterprisecache/private-endpoint-connections",
    },
    Row {
        resource_type: "Microsoft.Search/searchServices",
        title: "Azure AI Search",
        version: "2022-09-01",
        list: List::Own,
        answer: Answer::Done,
        subresources: &["searchService"],
        evidence: Evidence::Recorded,
        source: recording!("search", "crud"),
    },
    Row {
        resource_type: "Microsoft.Web/sites",
        title: "Azure App Service",
        version: "2019-08-01",
        list: List::Parent("2019-08-01"),
        answer: Answer::Begun,
        subresources: &["sites"],
        evidence: Evidence::Recorded,
        source: recording!("network", "webapp"),
    },
    Row {
        resource_type: "Microsoft.Web/hostingEnvironments",
        title: "App Service Environment",
        version: "2020-10-01",
        list: List::Own,
        answer: Answer::Begun,
        subresources: &["hostingEnvironments"],
        evidence: Evidence::Documented,
        source: CLI,
    },
    Row {
        resource_type: "Microsoft.Web/staticSites",
        title: "Azure Static Web Apps",
        version: "2020-12-01",
        list: List::Own,
        answer: Answer::Begun,
        subresources: &["staticSites"],
        evidence: Evidence::Documented,
        source: "https://learn.microsoft.com/rest/api/appservice/static-sites/get-private-endpoint-connection-list",
    },
    Row {
        resource_type: "Microsoft.AppConfiguration/configurationStores",
        title: "Azure App Configuration",
        version: "2020-06-01",
        list: List::Own,
        answer: Answer::Begun,
        subresources: &["configurationStores"],
        evidence: Evidence::Documented,
        source: CLI,
    },
    Row {
        resource_type: "Microsoft.Automation/automationAccounts",
        title: "Azure Automation",
        version: "2020-01-13-preview",
        list: List::Own,
        answer: Answer::Begun,
        subresources: &["Webhook", "DSCAndHybridWorker"],
        evidence: Evidence::Documented,
        source: CLI,
    },
    Row {
        resource_type: "Microsoft.BotService/botServices",
        title: "Azure Bot Service",
        version: "2021-03-01",
        list: List::Own,
        answer: Answer::Done,
        subresources: &["Bot", "Token"],
        evidence: Evidence::Documented,
        source: CLI,
    },
    Row {
        resource_type: "Microsoft.CognitiveServices/accounts",
        title: "Azure AI services",
        version: "2022-03-01",
        list: List::Own,
        answer: Answer::Begun,
        subresources: &["account"],
        evidence: Evidence::Documented,
        source: CLI,
    },
    Row {
        resource_type: "Microsoft.Compute/diskAccesses",
        title: "Azure managed disks",
        version: "2023-04-02",
        list: List::Own,
        answer: Answer::Begun,
        subresources: &["disks"],
        evidence: Evidence::Documented,
        source: CLI,
    },
    Row {
        resource_type: "Microsoft.ContainerRegistry/registries",
        title: "Azure Container Registry",
        version: "2019-12-01-preview",
        list: List::Own,
        answer: Answer::Begun,
        subresources: &["registry"],
        evidence: Evidence::Documented,
        source: CLI,
    },
    Row {
        resource_type: "Microsoft.ContainerService/managedClusters",
        title: "Azure Kubernetes Service",
        version: "2020-09-01",
        list: List::Own,
        answer: Answer::Begun,
        subresources: &["management"],
        evidence: Evidence::Documented,
        source: "https://learn.microsoft.com/rest/api/aks/private-endpoint-connections",
    },
    Row {
        resource_type: "Microsoft.DataFactory/factories",
        title: "Azure Data Factory",
        version: "2018-06-01",
        list: List::Own,
        answer: Answer::Done,
        subresources: &["dataFactory", "portal"],
        evidence: Evidence::Documented,
        source: CLI,
    },
    Row {
        resource_type: "Microsoft.Databricks/workspaces",
        title: "Azure Databricks",
        version: "2021-04-01-preview",
        list: List::Own,
        answer: Answer::Begun,
        subresources: &["databricks_ui_api", "browser_authentication"],
        evidence: Evidence::Documented,
        source: CLI,
    },
    Row {
        resource_type: "Microsoft.Devices/IotHubs",
        title: "Azure IoT Hub",
        version: "2020-03-01",
        list: List::Array,
        answer: Answer::Begun,
        subresources: &["iotHub"],
        evidence: Evidence::Documented,
        source: CLI,
    },
    Row {
        resource_type: "Microsoft.Devices/provisioningServices",
        title: "Azure IoT Hub Device Provisioning Service",
        version: "2020-03-01",
        list: List::Array,
        answer: Answer::Begun,
        subresources: &["iotDps"],
        evidence: Evidence::Documented,
        source: "https://learn.microsoft.com/rest/api/iot-dps/iot-dps-resource/list-private-endpoint-connections",
    },
    Row {
        resource_type: "Microsoft.DigitalTwins/digitalTwinsInstances",
        title: "Azure Digital Twins",
        version: "2020-12-01",
        list: List::Own,
        answer: Answer::Begun,
        subresources: &["API"],
        evidence: Evidence::Documented,
        source: CLI,
    },
    Row {
        resource_type: "Microsoft.EventGrid/topics",
        title: "Azure Event Grid topics",
        version: "2020-04-01-preview",
        list: List::Own,
        answer: Answer::Begun,
        subresources: &["topic"],
        evidence: Evidence::Documented,
        source: CLI,
    },
    Row {
        resource_type: "Microsoft.EventGrid/domains",
        title: "Azure Event Grid domains",
        version: "2020-04-01-preview",
        list: List::Own,
        answer: Answer::Begun,
        subresources: &["domain"],
        evidence: Evidence::Documented,
        source: CLI,
    },
    Row {
        resource_type: "Microsoft.HDInsight/clusters",
        title: "Azure HDInsight",
        version: "2018-06-01-preview",
        list: List::Own,
        answer: Answer::Begun,
        subresources: &["gateway", "headnode", "cluster"],
        evidence: Evidence::Documented,
        source: CLI,
    },
    Row {
        resource_type: "Microsoft.HybridCompute/privateLinkScopes",
        title: "Azure Arc",
        version: "2021-05-20",
        list: List::Own,
        answer: Answer::Begun,
        subresources: &["hybridcompute"],
        evidence: Evidence::Documented,
        source: CLI,
    },
    Row {
        resource_type: "Microsoft.HealthcareApis/services",
        title: "Azure API for FHIR",
        version: "2020-03-30",
        list: List::Own,
        answer: Answer::Begun,
        subresources: &["fhir"],
        evidence: Evidence::Documented,
        source: CLI,
    },
    Row {
        resource_type: "Microsoft.HealthcareApis/workspaces",
        title: "Azure Health Data Services",
        version: "2021-11-01",
        list: List::Own,
        answer: Answer::Begun,
        subresources: &["healthcareworkspace"],
        evidence: Evidence::Documented,
        source: "https://learn.microsoft.com/rest/api/healthcareapis/workspace-private-endpoint-connections",
    },
    Row {
        resource_type: "Microsoft.Insights/privateLinkScopes",
        title: "Azure Monitor",
        version: "2019-10-17-preview",
        list: List::Own,
        answer: Answer::Begun,
        subresources: &["azuremonitor"],
        evidence: Evidence::Documented,
        source: CLI,
    },
    Row {
        resource_type: "Microsoft.KubernetesConfiguration/privateLinkScopes",
        title: "Azure Arc-enabled Kubernetes",
        version: "2022-04-02-preview",
        list: List::Own,
        answer: Answer::Begun,
        subresources: &["kubernetesConfiguration"],
        evidence: Evidence::Documented,
        source: CLI,
    },
    Row {
        resource_type: "Microsoft.Kusto/clusters",
        title: "Azure Data Explorer",
        version: "2021-08-27",
        list: List::Own,
        answer: Answer::Begun,
        subresources: &["cluster"],
        evidence: Evidence::Documented,
        source: CLI,
    },
    Row {
        resource_type: "Microsoft.MachineLearningServices/workspaces",
        title: "Azure Machine Learning",
        version: "2021-01-01",
        list: List::Own,
        answer: Answer::Done,
        subresources: &["amlworkspace"],
        evidence: Evidence::Documented,
        source: CLI,
    },
    Row {
        resource_type: "Microsoft.Media/mediaservices",
        title: "Azure Media Services",
        version: "2021-06-01",
        list: List::Own,
        answer: Answer::Done,
        subresources: &["keydelivery", "liveevent", "streamingendpoint"],
        evidence: Evidence::Documented,
        source: CLI,
    },
    Row {
        resource_type: "Microsoft.ApiManagement/service",
        title: "Azure API Management",
        version: "2021-08-01",
        list: List::Own,
        answer: Answer::Begun,
        subresources: &["Gateway"],
        evidence: Evidence::Documented,
        source: CLI,
    },
    Row {
        resource_type: "Microsoft.PowerBI/privateLinkServicesForPowerBI",
        title: "Power BI",
        version: "2020-06-01",
        list: List::Parent("2020-06-01"),
        answer: Answer::Done,
        subresources: &["Tenant"],
        evidence: Evidence::Documented,
        source: CLI,
    },
    Row {
        resource_type: "Microsoft.Purview/accounts",
        title: "Microsoft Purview",
        version: "2021-07-01",
        list: List::Own,
        answer: Answer::Begun,
        subresources: &["account", "portal"],
        evidence: Evidence::Documented,
        source: CLI,
    },
    Row {
        resource_type: "Microsoft.RecoveryServices/vaults",
        title: "Azure Backup and Site Recovery",
        version: "2021-07-01",
        list: List::Own,
        answer: Answer::Begun,
        subresources: &["AzureBackup", "AzureBackup_secondary", "AzureSiteRecovery"],
        evidence: Evidence::Documented,
        source: CLI,
    },
    Row {
        resource_type: "Microsoft.SignalRService/signalR",
        title: "Azure SignalR Service",
        version: "2020-05-01",
        list: List::Parent("2020-05-01"),
        answer: Answer::Done,
        subresources: &["signalr"],
        evidence: Evidence::Documented,
        source: CLI,
    },
    Row {
        resource_type: "Microsoft.SignalRService/webPubSub",
        title: "Azure Web PubSub",
        version: "2021-09-01-preview",
        list: List::Parent("2021-09-01-preview"),
        answer: Answer::Done,
        subresources: &["webpubsub"],
        evidence: Evidence::Documented,
        source: CLI,
    },
    Row {
        resource_type: "Microsoft.StorageSync/storageSyncServices",
        title: "Azure File Sync",
        version: "2020-03-01",
        list: List::Own,
        answer: Answer::Begun,
        subresources: &["Afs"],
        evidence: Evidence::Documented,
        source: CLI,
    },
    Row {
        resource_type: "Microsoft.Synapse/workspaces",
        title: "Azure Synapse Analytics",
        version: "2019-06-01-preview",
        list: List::Own,
        answer: Answer::Begun,
        subresources: &["Sql", "SqlOnDemand", "Dev"],
        evidence: Evidence::Documented,
        source: CLI,
    },
];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_type_stands_once_and_says_where_it_is_from() {
        let mut types: Vec<String> = TABLE.iter().map(|row| row.resource_type.to_lowercase()).collect();
        types.sort();
        types.dedup();
        assert_eq!(types.len(), TABLE.len());
        assert!(TABLE.len() >= 35, "{}", TABLE.len());
        for row in TABLE {
            assert!(!row.subresources.is_empty() && !row.title.is_empty(), "{}", row.resource_type);
            assert!(row.source.starts_with("https://"), "{}", row.resource_type);
            assert!(row.resource_type.split('/').count() == 2, "{}", row.resource_type);
        }
        let recorded: Vec<_> = TABLE.iter().filter(|row| row.evidence == Evidence::Recorded).collect();
        assert!(!recorded.is_empty());
        for row in recorded {
            assert!(row.source.contains("/recordings/"), "{}", row.resource_type);
        }
    }

    #[test]
    fn api_versions_are_dates() {
        for row in TABLE {
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
