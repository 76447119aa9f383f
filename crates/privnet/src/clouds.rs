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

/// A cloud that the file uses and this build has no provider for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("this build of privnet has no provider for {0}")]
pub struct NoProvider(pub CloudName);

impl Clouds {
    /// A provider for each cloud that the file uses.
    ///
    /// # Errors
    /// [`NoProvider`] for a cloud whose feature is not in this build.
    pub fn providers(&self, spec: &Spec) -> Result<Vec<Arc<dyn Provider>>, NoProvider> {
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

    fn provider(&self, cloud: CloudName) -> Result<Arc<dyn Provider>, NoProvider> {
        match cloud {
            #[cfg(feature = "aws")]
            CloudName::Aws => Ok(Arc::new(self.aws())),
            cloud => Err(NoProvider(cloud)),
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
}
