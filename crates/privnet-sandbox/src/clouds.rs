//! Which clouds this build has. A new cloud is one line here.

use std::sync::Arc;

use crate::frame::{CloudServer, SandboxError, Setup};

/// Opens every cloud of this build over the setup's folder, in the order of their ports.
#[allow(clippy::vec_init_then_push, reason = "which clouds are pushed depends on the build")]
pub(crate) fn open_all(setup: &Setup) -> Result<Vec<Arc<dyn CloudServer>>, SandboxError> {
    #[allow(unused_mut, reason = "a build can have no cloud at all")]
    let mut clouds: Vec<Arc<dyn CloudServer>> = Vec::new();
    #[cfg(feature = "aws")]
    clouds.push(Arc::new(crate::aws::Aws::open(setup)?));
    #[cfg(feature = "azure")]
    clouds.push(Arc::new(crate::azure::AzureServer::open(setup)?));
    #[cfg(feature = "gcp")]
    clouds.push(Arc::new(crate::gcp::Gcp::open(setup)?));
    let _ = setup;
    Ok(clouds)
}
