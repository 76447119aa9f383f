//! Storage, disks and backups.

use super::{Answer, CLI, Evidence, List, Row};

/// The rows of this family.
pub(super) const ROWS: &[Row] = &[
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
        resource_type: "Microsoft.StorageSync/storageSyncServices",
        title: "Azure File Sync",
        version: "2020-03-01",
        list: List::Own,
        answer: Answer::Begun,
        subresources: &["Afs"],
        evidence: Evidence::Documented,
        source: CLI,
    },
];
