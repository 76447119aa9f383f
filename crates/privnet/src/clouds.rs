//! Which clouds a session talks to, and how: for real, or only ever on a sandbox.

use std::net::SocketAddr;
use std::sync::Arc;

use privnet_core::Provider;
use privnet_core::spec::{CloudName, Spec};

/// Where a sandbox listens. A session on a sandbox gets its endpoints and credentials from here and from nowhere else:
/// neither the environment nor profiles can lead it to a real cloud.
#[derive(Clone, Debug, PartialEq)]
pub struct SandboxEndpoints {
    /// The URL of the EC2, ELBv2 and STS endpoint.
    pub aws: String,
    /// The URL of the Azure Resource Manager endpoint.
    pub azure: String,
    /// The URL of the Compute Engine endpoint.
    pub gcp: String,
    /// The address of its name server.
    pub dns: SocketAddr,
    /// How much faster than real time the sandbox's time passes.
    pub speed: f64,
}

/// The clouds of a session.
#[derive(Clone, Debug, PartialEq)]
pub enum Clouds {
    /// The real ones, with the credentials that each cloud's own tools would find.
    Real,
    /// A sandbox.
    Sandbox(SandboxEndpoints),
}

/// Why a cloud of the file cannot be talked to.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum CloudsError {
    /// This build has no provider for it.
    #[error("this build of privnet has no provider for {0}")]
    NoProvider(CloudName),
    /// An endpoint of one's own is not encrypted and not on this machine.
    #[error(
        "{variable} is {url}: plain http is taken for loopback addresses only, and there with \
             PRIVNET_INSECURE_LOOPBACK_CREDENTIALS=1"
    )]
    PlainHttp {
        /// The variable that names it.
        variable: &'static str,
        /// What it says.
        url: String,
    },
    /// An endpoint of one's own is no URL of a place, or holds a user's name or password; it is not shown.
    #[error("{variable} is no URL like https://HOST, without a user or password in it")]
    NoPlace {
        /// The variable that names it.
        variable: &'static str,
    },
}

impl CloudsError {
    /// What to do about it.
    #[must_use]
    pub fn hint(&self) -> Option<String> {
        match self {
            Self::NoProvider(_) => None,
            Self::PlainHttp { variable, .. } | Self::NoPlace { variable } => Some(format!(
                "set {variable} to a URL that begins with https://, or unset it: the cloud's own endpoint is then used"
            )),
        }
    }
}

impl Clouds {
    /// A provider for each cloud that the file uses.
    ///
    /// # Errors
    /// [`CloudsError`] for a cloud whose feature is not in this build, or an endpoint that is not safe.
    pub fn providers(&self, spec: &Spec) -> Result<Vec<Arc<dyn Provider>>, CloudsError> {
        let mut used: Vec<CloudName> =
            spec.services.iter().map(privnet_core::spec::Service::cloud_name).collect();
        used.sort();
        used.dedup();
        used.into_iter().map(|cloud| self.provider(cloud)).collect()
    }

    /// How much faster than real time the clouds' time passes.
    #[must_use]
    pub fn pace(&self) -> f64 {
        match self {
            Self::Real => 1.0,
            Self::Sandbox(endpoints) => endpoints.speed,
        }
    }

    fn provider(&self, cloud: CloudName) -> Result<Arc<dyn Provider>, CloudsError> {
        match cloud {
            #[cfg(feature = "aws")]
            CloudName::Aws => Ok(Arc::new(self.aws())),
            #[cfg(feature = "azure")]
            CloudName::Azure => Ok(Arc::new(self.azure()?)),
            #[cfg(feature = "gcp")]
            CloudName::Gcp => Ok(Arc::new(self.gcp()?)),
            #[cfg(not(all(feature = "aws", feature = "azure", feature = "gcp")))]
            cloud => Err(CloudsError::NoProvider(cloud)),
        }
    }

    #[cfg(feature = "aws")]
    fn aws(&self) -> privnet_aws::AwsProvider {
        let settings = match self {
            Self::Real => privnet_aws::AwsSettings::default(),
            Self::Sandbox(endpoints) => privnet_aws::AwsSettings::sandbox(&endpoints.aws, endpoints.dns),
        };
        privnet_aws::AwsProvider::new(settings)
    }

    #[cfg(feature = "azure")]
    fn azure(&self) -> Result<privnet_azure::AzureProvider, CloudsError> {
        let settings = match self {
            Self::Real => crate::endpoints::azure(&|name| std::env::var(name).ok())?,
            Self::Sandbox(endpoints) => privnet_azure::AzureSettings::sandbox(&endpoints.azure, "sandbox"),
        };
        Ok(privnet_azure::AzureProvider::new(settings))
    }
    #[cfg(feature = "gcp")]
    fn gcp(&self) -> Result<privnet_gcp::GcpProvider, CloudsError> {
        let settings = match self {
            Self::Real => crate::endpoints::gcp(&|name| std::env::var(name).ok())?,
            Self::Sandbox(endpoints) => privnet_gcp::GcpSettings::sandbox(&endpoints.gcp),
        };
        Ok(privnet_gcp::GcpProvider::new(settings))
    }
}
