//! Application default credentials that are worth something nowhere else: with them in its place no login of the user's is found.
//!
//! They are those of a federated identity (<https://google.aip.dev/auth/4117>), which needs no key. Its pool is one of a workforce: the
//! libraries ask Google for the project of any other.

use std::fs;
use std::path::{Path, PathBuf};

use serde_json::json;

use super::error::SandboxError;

/// Writes them for the cloud at `url`; where they are.
pub(crate) fn write(dir: &Path, url: &str) -> Result<PathBuf, SandboxError> {
    let dir = std::path::absolute(dir).map_err(|e| SandboxError::io(format!("find {}", dir.display()), e))?;
    let (file, token) = (dir.join("gcp-credentials.json"), dir.join("gcp-subject-token"));
    let credentials = json!({
        "type": "external_account",
        "audience": "//iam.googleapis.com/locations/global/workforcePools/sandbox/providers/sandbox",
        "subject_token_type": "urn:ietf:params:oauth:token-type:id_token",
        "token_url": format!("{url}/v1/token"),
        "credential_source": { "file": token },
    });
    for (path, text) in [(&token, "sandbox".to_owned()), (&file, format!("{credentials:#}\n"))] {
        fs::write(path, text).map_err(|e| SandboxError::io(format!("write {}", path.display()), e))?;
    }
    Ok(file)
}
