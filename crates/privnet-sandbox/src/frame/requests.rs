//! Whether the sandbox's consumers ask for connections by themselves.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use super::error::SandboxError;

/// The switch of a folder, kept in `requests.json`: what is to be deleted can be left alone by new requests meanwhile.
///
/// While requests are held no consumer asks by itself; `connect` still makes one ask. Those whose time came meanwhile ask when
/// they are let go.
#[derive(Debug, Clone)]
pub struct Requests {
    path: PathBuf,
}

#[derive(Debug, Default, Serialize, Deserialize)]
struct Kept {
    held: bool,
    /// When they were let go last.
    since: Timestamp,
}

impl Requests {
    /// The switch of that folder. Without a file, consumers ask.
    pub fn open(dir: &Path) -> Self {
        Self { path: dir.join("requests.json") }
    }

    /// From now on nobody asks by himself.
    pub fn hold(&self) -> Result<(), SandboxError> {
        self.write(&Kept { held: true, since: Timestamp::MIN })
    }

    /// From now on consumers ask, and those who would have asked meanwhile ask now (in sandbox time).
    pub fn release(&self, now: Timestamp) -> Result<(), SandboxError> {
        self.write(&Kept { held: false, since: now })
    }

    /// Since when consumers ask, `Timestamp::MIN` where they always did; `None` while they are held.
    pub fn since(&self) -> Option<Timestamp> {
        // A file that cannot be read is one that somebody is about to make.
        let kept = fs::read(&self.path).ok().and_then(|text| serde_json::from_slice::<Kept>(&text).ok());
        match kept {
            Some(kept) => (!kept.held).then_some(kept.since),
            None => Some(Timestamp::MIN),
        }
    }

    /// Consumers ask again, as in a new folder.
    pub(crate) fn reset(&self) -> Result<(), SandboxError> {
        match fs::remove_file(&self.path) {
            Err(e) if e.kind() != io::ErrorKind::NotFound => {
                Err(SandboxError::io("let the consumers ask again", e))
            }
            _ => Ok(()),
        }
    }

    fn write(&self, kept: &Kept) -> Result<(), SandboxError> {
        let failed = |e| SandboxError::io(format!("write {}", self.path.display()), e);
        if let Some(dir) = self.path.parent() {
            fs::create_dir_all(dir).map_err(failed)?;
        }
        let text = serde_json::to_vec(kept).map_err(|e| failed(e.into()))?;
        super::store::replace_file(&self.path, &text).map_err(failed)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn they_are_held_let_go_and_reset() {
        let dir = tempfile::tempdir().unwrap();
        let requests = Requests::open(dir.path());
        assert_eq!(requests.since(), Some(Timestamp::MIN));
        requests.hold().unwrap();
        assert_eq!(Requests::open(dir.path()).since(), None);
        requests.release(Timestamp::UNIX_EPOCH).unwrap();
        assert_eq!(Requests::open(dir.path()).since(), Some(Timestamp::UNIX_EPOCH));
        requests.hold().unwrap();
        requests.reset().unwrap();
        requests.reset().unwrap();
        assert_eq!(requests.since(), Some(Timestamp::MIN));
    }
}
