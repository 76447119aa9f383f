//! How this provider gets to Google Cloud.

/// The settings of a provider.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct GcpSettings {
    /// A server to use instead of Google's own endpoint. Absent: Google's, with the machine's application default credentials.
    pub endpoint: Option<Endpoint>,
}

impl GcpSettings {
    /// The settings for a local cloud, such as the sandbox, that listens at `url`.
    #[must_use]
    pub fn sandbox(url: impl Into<String>) -> Self {
        Self { endpoint: Some(Endpoint::Local { url: url.into() }) }
    }

    /// The settings for another endpoint of the real API, such as one of Private Service Connect, at `url`.
    #[must_use]
    pub fn other_api(url: impl Into<String>) -> Self {
        Self { endpoint: Some(Endpoint::Other { url: url.into() }) }
    }
}

/// A server that stands for all of Compute Engine.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Endpoint {
    /// A local cloud. Credentials are anonymous and requests go to this URL only: neither an environment variable nor a file of
    /// gcloud's leads elsewhere. Where a proxy of the environment would take the requests, nothing is sent.
    Local {
        /// Its URL, such as `http://127.0.0.1:4580`.
        url: String,
    },
    /// The real API by another name, with the machine's application default credentials.
    Other {
        /// Its URL, `https` and the host.
        url: String,
    },
}

impl Endpoint {
    /// Its URL, without a slash at the end.
    pub(crate) fn url(&self) -> &str {
        let (Self::Local { url } | Self::Other { url }) = self;
        url.trim_end_matches('/')
    }
}
