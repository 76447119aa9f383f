//! A local cloud with a file on it, in this process.

use std::error::Error;
use std::path::Path;
use std::sync::Arc;

use privnet::{AuditFile, Clouds, SandboxEndpoints, Session, SessionBuilder, Spec};
use privnet_core::Provider;
use privnet_sandbox::{Options, Running, Sandbox};

use crate::records;

/// Any failure of a test's own machinery.
pub type Fail = Box<dyn Error + Send + Sync>;

/// A local cloud in a folder of its own, fast and without request rates.
#[derive(Debug)]
pub struct Stage {
    folder: tempfile::TempDir,
    running: Running,
}

/// How fast time passes on a stage.
pub const SPEED: f64 = 2_000.0;

impl Stage {
    /// A stage with the default world, or with the state that `from` has.
    ///
    /// # Errors
    /// When it cannot be served.
    pub async fn open(from: Option<&Path>) -> Result<Self, Fail> {
        Self::open_with(from, |_| {}).await
    }

    /// The same with other options.
    ///
    /// # Errors
    /// When it cannot be served.
    pub async fn open_with(from: Option<&Path>, change: impl FnOnce(&mut Options)) -> Result<Self, Fail> {
        Self::serve(from, |options| {
            change(options);
            records::keep(options)
        })
        .await
    }

    /// The same as [`Stage::open`], of which no record is kept.
    ///
    /// # Errors
    /// When it cannot be served.
    pub async fn open_unrecorded(from: Option<&Path>) -> Result<Self, Fail> {
        Self::serve(from, |_| Ok(())).await
    }

    async fn serve(
        from: Option<&Path>,
        change: impl FnOnce(&mut Options) -> Result<(), Fail>,
    ) -> Result<Self, Fail> {
        let folder = tempfile::tempdir()?;
        if let Some(from) = from {
            for entry in std::fs::read_dir(from)? {
                let entry = entry?;
                if entry.path().extension().is_some_and(|extension| extension == "json") {
                    std::fs::copy(entry.path(), folder.path().join(entry.file_name()))?;
                }
            }
        }
        let mut options = Options::new(folder.path());
        options.speed = Some(SPEED);
        options.rate_limits = false;
        change(&mut options)?;
        let running = Sandbox::serve(&options).await?;
        Ok(Self { folder, running })
    }

    /// The folder of its state.
    #[must_use]
    pub fn folder(&self) -> &Path {
        self.folder.path()
    }

    /// The local cloud.
    #[must_use]
    pub fn running(&self) -> &Running {
        &self.running
    }

    /// The URL of a cloud on it.
    #[must_use]
    pub fn url(&self, cloud: &str) -> String {
        self.running.url(cloud).unwrap_or_default().to_owned()
    }

    /// A session for a file, with the AWS endpoint at `aws` (the stage's own, or a proxy's).
    ///
    /// # Errors
    /// When the file's cloud has no provider.
    pub fn session(&self, spec: Spec, aws: &str) -> Result<Session, Fail> {
        self.session_at(spec, |endpoints| aws.clone_into(&mut endpoints.aws))
    }

    /// A session for a file, with other endpoints than the stage's own.
    ///
    /// # Errors
    /// When the file's cloud has no provider.
    pub fn session_at(
        &self,
        spec: Spec,
        change: impl FnOnce(&mut SandboxEndpoints),
    ) -> Result<Session, Fail> {
        self.session_with(spec, change, |builder| builder)
    }

    /// A session for a file on these providers.
    ///
    /// # Errors
    /// None that would be the file's.
    pub fn session_on(&self, spec: Spec, providers: Vec<Arc<dyn Provider>>) -> Result<Session, Fail> {
        self.session_with(spec, |_| {}, |builder| builder.providers(providers))
    }

    /// A session for a file, built another way.
    ///
    /// # Errors
    /// When the file's cloud has no provider.
    pub fn session_with(
        &self,
        spec: Spec,
        change: impl FnOnce(&mut SandboxEndpoints),
        with: impl FnOnce(SessionBuilder) -> SessionBuilder,
    ) -> Result<Session, Fail> {
        let mut endpoints = SandboxEndpoints {
            aws: self.url("aws"),
            azure: self.url("azure"),
            gcp: self.url("gcp"),
            dns: self.running.dns(),
            speed: self.running.clock().speed(),
        };
        change(&mut endpoints);
        let audit = Arc::new(AuditFile::new(self.folder.path().join("audit.jsonl")));
        let builder = SessionBuilder::new(spec, Clouds::Sandbox(endpoints), audit);
        Ok(with(builder).build()?)
    }
}

/// A file of text that must be right.
///
/// # Errors
/// Its errors, rendered.
pub fn spec(text: &str) -> Result<Spec, Fail> {
    privnet::decode("test.yaml", text)
        .map_err(|errors| errors.iter().map(ToString::to_string).collect::<Vec<_>>().join("\n").into())
}
