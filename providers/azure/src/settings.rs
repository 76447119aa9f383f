//! Which Azure, and how to get in.

use std::fmt;

/// How the provider reaches Azure.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct AzureSettings {
    /// Which of Microsoft's clouds.
    pub cloud: Cloud,
    /// A local endpoint instead of the cloud. Nothing else can then be reached, whatever the environment says: every
    /// request is sent there, with this token.
    pub endpoint: Option<Endpoint>,
}

impl AzureSettings {
    /// Settings that lead to a sandbox and nowhere else.
    #[must_use]
    pub fn sandbox(url: impl Into<String>, token: impl Into<String>) -> Self {
        Self { cloud: Cloud::Public, endpoint: Some(Endpoint { url: url.into(), token: token.into() }) }
    }
}

/// A local endpoint that answers as Azure Resource Manager does.
#[derive(Clone, PartialEq, Eq)]
pub struct Endpoint {
    /// Its URL; only scheme, host and port count.
    pub url: String,
    /// The bearer token that is sent there.
    pub token: String,
}

impl fmt::Debug for Endpoint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Endpoint").field("url", &self.url).finish_non_exhaustive()
    }
}

/// One of Microsoft's clouds: where its resource manager is, and who gives tokens
/// (<https://learn.microsoft.com/azure/azure-government/compare-azure-government-global-azure>,
/// <https://learn.microsoft.com/azure/china/resources-developer-guide>).
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum Cloud {
    /// Azure.
    #[default]
    Public,
    /// Azure Government.
    UsGovernment,
    /// Azure operated by 21Vianet.
    China,
    /// Another one, such as Azure Stack.
    Other {
        /// The URL of its resource manager.
        resource_manager: String,
        /// The URL of its authority.
        authority: String,
    },
}

impl Cloud {
    /// The cloud that the Azure CLI calls by this name.
    #[must_use]
    pub fn from_name(name: &str) -> Option<Self> {
        match name.to_ascii_lowercase().as_str() {
            "azurecloud" => Some(Self::Public),
            "azureusgovernment" => Some(Self::UsGovernment),
            "azurechinacloud" => Some(Self::China),
            _ => None,
        }
    }

    /// The URL of its resource manager.
    #[must_use]
    pub fn resource_manager(&self) -> &str {
        match self {
            Self::Public => "https://management.azure.com",
            Self::UsGovernment => "https://management.usgovcloudapi.net",
            Self::China => "https://management.chinacloudapi.cn",
            Self::Other { resource_manager, .. } => resource_manager.trim_end_matches('/'),
        }
    }

    /// The OAuth scope of its resource manager.
    pub(crate) fn scope(&self) -> String {
        format!("{}/.default", self.resource_manager())
    }

    /// The same cloud as the credential library knows it.
    pub(crate) fn configuration(&self) -> azure_core::cloud::CloudConfiguration {
        use azure_core::cloud::{CloudConfiguration, CustomConfiguration};
        match self {
            Self::Public => CloudConfiguration::AzurePublic,
            Self::UsGovernment => CloudConfiguration::AzureGovernment,
            Self::China => CloudConfiguration::AzureChina,
            Self::Other { authority, .. } => {
                let mut custom = CustomConfiguration::default();
                custom.authority_host.clone_from(authority);
                custom.into()
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_token_is_not_in_what_is_logged() {
        let settings = AzureSettings::sandbox("http://127.0.0.1:1", "hush");
        assert!(!format!("{settings:?}").contains("hush"));
    }

    #[test]
    fn each_cloud_has_its_own_manager_and_scope() {
        let scopes: Vec<_> = ["AzureCloud", "AzureUSGovernment", "AzureChinaCloud"]
            .iter()
            .filter_map(|name| Cloud::from_name(name))
            .map(|cloud| cloud.scope())
            .collect();
        assert_eq!(
            scopes,
            [
                "https://management.azure.com/.default",
                "https://management.usgovcloudapi.net/.default",
                "https://management.chinacloudapi.cn/.default",
            ]
        );
        assert_eq!(Cloud::from_name("mars"), None);
    }
}
