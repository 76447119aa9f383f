//! How this provider gets to Google Cloud.

/// The settings of a provider.
#[derive(Clone, Debug, Default)]
pub struct GcpSettings {
    /// A server that stands for all of Compute Engine, such as the sandbox's. Absent: Google's, with the machine's
    /// application default credentials.
    pub endpoint: Option<Endpoint>,
}

impl GcpSettings {
    /// The settings for a sandbox that listens at `url`.
    #[must_use]
    pub fn sandbox(url: impl Into<String>) -> Self {
        Self { endpoint: Some(Endpoint { url: url.into() }) }
    }
}

/// A local cloud. With one, credentials are anonymous and requests go to this URL only: no environment variable and no
/// file of gcloud's is read.
#[derive(Clone, Debug)]
pub struct Endpoint {
    /// Its URL, such as `http://127.0.0.1:4580`.
    pub url: String,
}
